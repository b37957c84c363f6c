"""`make build`: what Lambda gets, by `sam build`, and whether it fits.

SAM installs the layer with the Python of the runtime, so that one has to be here. Lambda's quota for a
function with its layers is 250 MB unzipped ("Lambda quotas"); the limits here leave room to spare.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
BUILT = ROOT / ".aws-sam" / "build"
LAYER_LIMIT_MB = 40
FUNCTION_LIMIT_MB = 1
MEGABYTE = 1024 * 1024


class BuildError(Exception):
    """The build cannot go on; the message says how to mend it."""


def runtime() -> str:
    """The functions' runtime as the template has it, which is also the name of the interpreter."""
    lines = (ROOT / "template.yaml").read_text().splitlines()
    return next(line.split(":")[1].strip() for line in lines if line.strip().startswith("Runtime:"))


def interpreter(name: str) -> Path:
    """An interpreter of this name that really starts; a pyenv shim may only say that it does not.

    Raises:
        BuildError: there is none.
    """
    version = name.removeprefix("python")
    installed = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/{name}"), reverse=True)
    found = shutil.which(name)
    for candidate in ([Path(found)] if found else []) + installed:
        answer = subprocess.run([candidate, "-m", "pip", "--version"], capture_output=True, check=False)
        if answer.returncode == 0:
            return candidate
    raise BuildError(
        f"no working {name} with pip on PATH, nor under ~/.pyenv/versions, and the layer is built with it; "
        f"install it (uv python install {version}, or pyenv install {version}) and put it on PATH"
    )


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
            "AWS::Serverless::LayerVersion": LAYER_LIMIT_MB,
            "AWS::Serverless::Function": FUNCTION_LIMIT_MB,
        }
        if resource["Type"] in limits:
            built[name] = megabytes(BUILT / name)
            if built[name] > limits[resource["Type"]]:
                raise BuildError(
                    f"{name} has {built[name]:.1f} MB, and {limits[resource['Type']]} are allowed"
                )
    return built


def build() -> dict[str, float]:
    """Builds with `sam build`; the sizes of what was built.

    Raises:
        BuildError: SAM failed, or something is too large.
    """
    python = interpreter(runtime())
    path = os.pathsep.join((str(python.parent), str(Path(sys.executable).parent), os.environ["PATH"]))
    environment = {**os.environ, "PATH": path}
    # The venv's own variables would have the layer's pip install into the venv's Python.
    environment.pop("VIRTUAL_ENV", None)
    sam = Path(sys.executable).with_name("sam")
    if subprocess.run([sam, "build"], cwd=ROOT, env=environment, check=False).returncode != 0:
        raise BuildError("sam build failed; what it says stands above")
    return sizes()


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
