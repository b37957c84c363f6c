"""Compiles everything, and gives every file the same time.

Lambda mounts a layer read-only, so what is not compiled there is compiled anew at each start. The byte code
is not checked against its source: the files' times change when the layer is zipped and unzipped.
"""

from __future__ import annotations

import os
import py_compile
from pathlib import Path

# Where Lambda puts a layer ("Packaging your layer content"): what stands in tracebacks.
MOUNTED = Path("/opt/python")
# Zip files know no time before 1980.
_TIME = 315_532_800


def write(folder: Path) -> None:
    """Compiles each module of a folder. Sources stay for tracebacks where they are modelgate's own.

    Raises:
        py_compile.PyCompileError: a module is no Python.
    """
    for file in sorted(folder.rglob("*.py")):
        inside = file.relative_to(folder)
        own = inside.parts[0] == "modelgate"
        py_compile.compile(
            str(file),
            # Byte code beside the sources, or in their place.
            cfile=None if own else str(file.with_suffix(".pyc")),
            dfile=str(MOUNTED / inside),
            doraise=True,
            # Docstrings and assertions of other people's modules are of no use there, and 6 % of the layer.
            optimize=0 if own else 2,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
        if not own:
            file.unlink()


def settle_times(folder: Path) -> None:
    """Makes what was built look the same whenever it was built."""
    for each in (folder, *folder.rglob("*")):
        each.chmod(0o755 if each.is_dir() else 0o644)
        os.utime(each, (_TIME, _TIME))
