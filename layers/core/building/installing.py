"""Installs what is locked: wheels alone, by their hashes, for Lambda's system and not for this one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

# Lambda's Amazon Linux 2023 has glibc 2.34. What `make lock` resolves for is a little older still.
_GLIBC = 28
_OLDEST_GLIBC = 5


def install(requirements: Path, folder: Path, version: str, uv: str | None) -> None:
    """Installs into a folder.

    Raises:
        subprocess.CalledProcessError: it failed; what the program says stands on standard error.
    """
    command = _by_pip(version) if uv is None else _by_uv(uv, version)
    exactly = ["--target", str(folder), "--require-hashes", "--no-deps", "--only-binary", ":all:", "--quiet"]
    subprocess.run([*command, *exactly, "--requirement", str(requirements)], check=True)


def _by_pip(version: str) -> list[str]:
    # pip takes a wheel for one of the platforms that are named, and thinks of no older ones by itself.
    platforms = [f"manylinux_2_{minor}_x86_64" for minor in range(_GLIBC, _OLDEST_GLIBC - 1, -1)]
    platforms += ["manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64"]
    abi = f"cp{version.replace('.', '')}"
    told = [
        "--python-version",
        version,
        "--implementation",
        "cp",
        "--abi",
        abi,
        "--abi",
        "abi3",
        "--abi",
        "none",
    ]
    told += [word for platform in platforms for word in ("--platform", platform)]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"]
    return [*pip, "install", "--no-compile", "--root-user-action", "ignore", *told]


def _by_uv(uv: str, version: str) -> list[str]:
    told = ["--python-version", version, "--python-platform", f"x86_64-manylinux_2_{_GLIBC}"]
    return [uv, "pip", "install", "--python", sys.executable, "--link-mode", "copy", *told]
