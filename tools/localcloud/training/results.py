"""What is kept of the hosts of a job: archives of their folders.

"How Amazon SageMaker AI Processes Training Output" in the SageMaker Developer Guide: what all hosts wrote
comes into one archive. Names ought not to clash; where they do, the first host's file is taken.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path


def pack(trees: Sequence[Path], folder: str, archive: Path) -> Path | None:
    """Make a gzipped tar of a folder of all hosts; None if it is empty on each of them.

    Args:
        trees: what is ``/opt/ml`` on each host.
        folder: below it, such as ``output/data``.
    """
    found = list(contents(trees, folder))
    if not found:
        return None
    with tarfile.open(archive, "w:gz", compresslevel=6) as tar:
        for name, path in found:
            tar.add(path, name, recursive=False, filter=_of_nobody)
    return archive


def contents(trees: Sequence[Path], folder: str) -> Iterator[tuple[str, Path]]:
    """The names in a folder, sorted, each with the path that it has on the first host that has it."""
    found: dict[str, Path] = {}
    for tree in trees:
        for path in (tree / folder).rglob("*"):
            found.setdefault(path.relative_to(tree / folder).as_posix(), path)
    yield from sorted(found.items())


def _of_nobody(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry
