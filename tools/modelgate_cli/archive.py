"""Writes what is laid out: a model.tar.gz that is the same bytes for the same files, or a folder of them."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any

from isal import igzip_threaded

if TYPE_CHECKING:
    from modelgate_cli.layouts.material import Content

# Called with how many more bytes of the files were read.
Told = Callable[[int], None]

_CHUNK = 1024 * 1024
# isal's default. Weights hardly compress at any level, and the next one takes twice as long over them.
_LEVEL = 2
# Each block is compressed by itself, so the bytes do not depend on the number of threads.
_THREADS = 2
# The tar's entries tell nothing of the machine that packed them.
_FILE_MODE, _FOLDER_MODE = 0o644, 0o755


def write_tarball(stream: IO[bytes], files: Mapping[str, Content], told: Told) -> None:
    """Writes the files in their order, at about 300 MB/s on two cores.

    Neither the gzip's header nor the tar's entries tell a time, an owner or a name of this machine.

    Raises:
        OSError: a file cannot be read, or became shorter meanwhile.
    """
    gzip: Any = igzip_threaded  # has no types
    with (
        gzip.open(stream, "wb", compresslevel=_LEVEL, threads=_THREADS, block_size=_CHUNK) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT, bufsize=_CHUNK) as tar,
    ):
        tar.copybufsize = _CHUNK  # type: ignore[attr-defined]  # an argument of open that has no type yet
        folders: set[str] = set()
        for name, content in files.items():
            for folder in reversed(PurePosixPath(name).parents[:-1]):
                if str(folder) not in folders:
                    folders.add(str(folder))
                    tar.addfile(_entry(str(folder), tarfile.DIRTYPE, _FOLDER_MODE, 0))
            _add(tar, name, content, told)


def write_folder(folder: Path, files: Mapping[str, Content], told: Told) -> None:
    """Puts the files into an empty folder: as hard links, which take no space, or else as copies.

    Changing a linked file in place changes the model that it was linked from.
    """
    for name, content in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            target.write_bytes(content)
            continue
        try:
            os.link(content, target)
        except OSError:  # another file system, or one without links
            shutil.copyfile(content, target)
        told(target.stat().st_size)


def _add(tar: tarfile.TarFile, name: str, content: Content, told: Told) -> None:
    if isinstance(content, bytes):
        tar.addfile(_entry(name, tarfile.REGTYPE, _FILE_MODE, len(content)), io.BytesIO(content))
        return
    with content.open("rb") as source:
        size = os.fstat(source.fileno()).st_size
        # Of a file's methods tarfile calls none but read.
        tar.addfile(_entry(name, tarfile.REGTYPE, _FILE_MODE, size), _Counted(source, told))


class _Counted:
    """A file that tells how much of it was read."""

    def __init__(self, source: IO[bytes], told: Told) -> None:
        self._source = source
        self._told = told

    def read(self, size: int = -1) -> bytes:
        chunk = self._source.read(size)
        self._told(len(chunk))
        return chunk


def _entry(name: str, kind: bytes, mode: int, size: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.size = kind, mode, size
    return entry
