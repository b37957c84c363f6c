"""How large the layer is, beside what a plain build makes of the same requirements.

A plain build is what `sam build` does for a layer of Python: everything installed as it comes, no byte code.
Both are zipped as they would be uploaded, deflated. Megabytes are 2²⁰ bytes.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import zipfile
from pathlib import Path

import build
from bench import ROOT

CORE = ROOT / "layers" / "core"


def measure() -> dict[str, float | str]:
    """The sizes, and the ratio of the zips."""
    with tempfile.TemporaryDirectory(prefix="modelgate-bench-") as temporary:
        ours, plain = Path(temporary, "ours"), Path(temporary, "plain")
        python, told = build.runtimes_or_own()
        build.layer_for(python, ours)
        _plain(python, plain)
        sizes = {
            "layer_mb": build.megabytes(ours),
            "zip_mb": _zipped(ours),
            "plain_layer_mb": build.megabytes(plain),
            "plain_zip_mb": _zipped(plain),
        }
    return {
        **{name: round(size, 2) for name, size in sizes.items()},
        "zip_ratio": round(sizes["zip_mb"] / sizes["plain_zip_mb"], 3),
        "layer_ratio": round(sizes["layer_mb"] / sizes["plain_layer_mb"], 3),
        "python": told,
    }


def _plain(python: Path, folder: Path) -> None:
    install = [str(build.uv()), "pip", "install", "--quiet", "--python", str(python), "--link-mode", "copy"]
    exactly = ["--require-hashes", "--no-deps", "--only-binary", ":all:"]
    requirements = ["--target", str(folder), "--requirement", str(CORE / "requirements.txt")]
    subprocess.run([*install, *exactly, *requirements], check=True)
    shutil.copytree(CORE / "modelgate", folder / "modelgate", ignore=shutil.ignore_patterns("__pycache__"))


def _zipped(folder: Path) -> float:
    """Megabytes of a zip with all of it, below ``python`` as layers have it."""
    with tempfile.TemporaryFile() as out:
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(folder.rglob("*")):
                if file.is_file():
                    archive.write(file, f"python/{file.relative_to(folder)}")
        return out.tell() / build.MEGABYTE
