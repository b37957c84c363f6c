"""`make build`: what Lambda gets, by `sam build`, and whether it fits.

SAM has layers/core/Makefile build the layer, with the Python of the runtime, for the byte code has to be that
Python's. Where it is not here, the same program builds without byte code: what comes of it can be run in
containers, and `sam deploy` takes it too, but each start compiles anew. Lambda's quota for a function with
its layers is 250 MB unzipped ("Lambda quotas"); the limits here leave room to spare.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from samtranslator.yaml_helper import yaml_parse

from localcloud.sam.derived import NoBuildError, built_template

ROOT = Path(__file__).parents[1]
BUILT = ROOT / ".aws-sam" / "build"
LAYER_LIMIT_MB = 20
FUNCTION_LIMIT_MB = 1
MEGABYTE = 1024 * 1024
_FUNCTION, _LAYER = "AWS::Serverless::Function", "AWS::Serverless::LayerVersion"
_LAYER_SOURCE = ROOT / "layers" / "core"


class BuildError(Exception):
    """The build cannot go on; the message says how to mend it."""


def runtime() -> str:
    """The functions' runtime as the template has it, which is also the name of the interpreter."""
    lines = (ROOT / "template.yaml").read_text().splitlines()
    return next(line.split(":")[1].strip() for line in lines if line.strip().startswith("Runtime:"))


def interpreter(name: str) -> Path | None:
    """An interpreter of this name with pip that really starts; a pyenv shim may only say that it does not."""
    version = name.removeprefix("python")
    installed = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/{name}"), reverse=True)
    found = shutil.which(name)
    for candidate in ([Path(found)] if found else []) + installed:
        answer = subprocess.run([candidate, "-m", "pip", "--version"], capture_output=True, check=False)
        if answer.returncode == 0:
            return candidate
    return None


def runtimes_or_own() -> tuple[Path, str]:
    """The interpreter to measure with, the runtime's where it is here; and which one it is, in words."""
    python = interpreter(runtime())
    if python is not None:
        return python, f"{runtime()}, the runtime's"
    own = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return Path(sys.executable), f"{own}; the runtime's {runtime()} is not here"


def megabytes(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / MEGABYTE


def sizes() -> dict[str, float]:
    """The unzipped size in MB of each artifact that was built.

    Raises:
        BuildError: one is larger than it may be.
    """
    resources = yaml.safe_load((BUILT / "template.yaml").read_text())["Resources"]
    built = {}
    for name, resource in resources.items():
        limits = {
            _LAYER: LAYER_LIMIT_MB,
            _FUNCTION: FUNCTION_LIMIT_MB,
        }
        if resource["Type"] in limits:
            built[name] = megabytes(BUILT / name)
            if built[name] > limits[resource["Type"]]:
                raise BuildError(
                    f"{name} has {built[name]:.1f} MB, and {limits[resource['Type']]} are allowed"
                )
    return built


def build() -> dict[str, float]:
    """Builds; the sizes of what was built.

    Raises:
        BuildError: it failed, or something is too large.
    """
    python = interpreter(runtime())
    if python is not None:
        _build_with_sam(python)
    else:
        _build_without_byte_code(runtime().removeprefix("python"))
    return sizes()


def build_if_outdated() -> None:
    """Builds if nothing was built yet, or something has changed since.

    Raises:
        BuildError: it failed, or something is too large.
    """
    try:
        built_template(ROOT / "template.yaml")
    except NoBuildError:
        build()


def _build_with_sam(python: Path) -> None:
    path = os.pathsep.join((str(python.parent), str(Path(sys.executable).parent), os.environ["PATH"]))
    environment = {**os.environ, "PATH": path}
    # The venv's own variables would have the layer's pip install into the venv's Python.
    environment.pop("VIRTUAL_ENV", None)
    sam = Path(sys.executable).with_name("sam")
    if subprocess.run([sam, "build"], cwd=ROOT, env=environment, check=False).returncode != 0:
        raise BuildError("sam build failed; what it says stands above")


def layer_for(python: Path, folder: Path) -> None:
    """Builds into a folder what stands in the layer's own, for this interpreter and with its byte code.

    Raises:
        BuildError: it failed.
    """
    has_pip = (
        subprocess.run([python, "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0
    )
    _layer(python, folder, *([] if has_pip else ["--uv", str(uv(python.name))]))


def _build_without_byte_code(version: str) -> None:
    """What `sam build` makes, without the Python of the runtime."""
    sys.stderr.write(
        f"build: there is no python{version} with pip, on PATH or under ~/.pyenv/versions, so this is built "
        "without byte code, and functions start in nearly three times the time\n"
    )
    document: dict[str, Any] = yaml_parse((ROOT / "template.yaml").read_text())
    shutil.rmtree(BUILT, ignore_errors=True)
    for name, resource in document["Resources"].items():
        if resource["Type"] == _FUNCTION:
            _copy(ROOT / resource["Properties"]["CodeUri"], BUILT / name)
            resource["Properties"]["CodeUri"] = name
        elif resource["Type"] == _LAYER:
            told = ("--version", version, "--uv", str(uv(f"python{version}")))
            _layer(Path(sys.executable), BUILT / name / "python", *told)
            resource["Properties"]["ContentUri"] = name
    (BUILT / "template.yaml").write_text(json.dumps(document, indent=2))


def _layer(python: Path, folder: Path, *told: str) -> None:
    command = [str(python), "-m", "building", str(folder), *told]
    # The order of sets goes into byte code.
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    if subprocess.run(command, cwd=_LAYER_SOURCE, env=environment, check=False).returncode != 0:
        raise BuildError("the layer could not be built; what its program says stands above")


def uv(python: str = "a Python of the runtime") -> Path:
    """A uv to install with.

    Args:
        python: what would do instead, for the message.

    Raises:
        BuildError: there is none.
    """
    found = shutil.which("uv") or shutil.which("uv", path=str(ROOT / ".uv" / "bin"))
    if found is None:
        raise BuildError(
            f"there is neither a working {python} with pip, on PATH or under ~/.pyenv/versions, nor uv, and "
            f"one of them builds the layer: install {python}, or call make .uv/bin/uv"
        )
    return Path(found)


def _copy(source: Path, target: Path) -> None:
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)


def main() -> int:
    try:
        built = build()
    except BuildError as error:
        sys.stderr.write(f"build: {error}\n")
        return 1
    for name, size in built.items():
        sys.stdout.write(f"{name:<18} {size:6.2f} MB\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
