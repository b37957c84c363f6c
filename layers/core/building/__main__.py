"""``python -m building FOLDER``: makes of layers/core what stands in the layer's ``python`` folder.

1. installing: the wheels of requirements.txt, and the package modelgate
2. models: of boto3's data, the services and operations that modelgate.aws calls
3. reachable: of all modules, those that a function can import
4. bytecode: everything compiled, so that no function compiles at its start
5. proving: what was built imports and makes every client

The same sources give the same bytes, whoever builds and when; PYTHONHASHSEED has to be the same, for the
order of sets goes into the byte code.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from building import bytecode, installing, models, proving, reachable

SOURCE = Path(__file__).parents[1]
_HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


def main() -> int:
    arguments = argparse.ArgumentParser(prog="building", description=__doc__)
    arguments.add_argument("folder", type=Path, metavar="FOLDER")
    arguments.add_argument(
        "--version",
        default=_HERE,
        help="of Python, such as 3.13; for another one than that which builds there is no byte code",
    )
    arguments.add_argument("--uv", help="a uv that installs, where this Python has no pip")
    told = arguments.parse_args()
    build(told.folder.resolve(), told.version, told.uv)
    return 0


def build(folder: Path, version: str, uv: str | None = None) -> None:
    """Builds into a folder, which is emptied first.

    Args:
        version: of the Python that will run it.
        uv: the program that installs; pip where it is None.

    Raises:
        subprocess.CalledProcessError: the wheels could not be installed, or what was built does not start;
            the program that failed has said why.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    installing.install(SOURCE / "requirements.txt", folder, version, uv)
    shutil.copytree(SOURCE / "modelgate", folder / "modelgate", ignore=shutil.ignore_patterns("__pycache__"))
    calls = models.trim(folder)
    reachable.prune(folder)
    if version == _HERE:
        bytecode.write(folder)
        proving.prove(folder, calls.services)
    else:
        sys.stderr.write(f"building: this is Python {_HERE}, so there is no byte code for {version}\n")
    bytecode.settle_times(folder)


if __name__ == "__main__":
    sys.exit(main())
