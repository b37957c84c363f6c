"""Packs a container's source: the same bytes for the same files, and quickly.

Files are compressed side by side, on two threads, and what hardly gets smaller is stored. That is why the
zip's own structures are written here: the standard library's zipfile, and what there is beside it, such as
stream-zip, compress one file after the other. "APPNOTE.TXT - .ZIP File Format Specification" says how.
"""

from __future__ import annotations

import os
import stat
import struct
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from isal import isal_zlib

from modelgate.builds.options import BUILD_FILE
from modelgate.builds.source import MAX_FILES, MAX_ZIP_BYTES
from modelgate.errors import Problem, Refused
from modelgate_cli import dockerignore

_THREADS = 2
# Small files go to a thread together, and a large one is a portion by itself.
_PORTION_BYTES, _PORTION_FILES = 2 * 1024 * 1024, 200
_WAITING = 3 * _THREADS
# isal's quickest: half of what is left at the next level, in half of the time.
_LEVEL = 0
_RAW = -15
_SAMPLE, _WORTH_IT = 8 * 1024, 0.9
_PIECE = 8 * 1024 * 1024
_STORED, _DEFLATED = 0, 8
_UTF8 = 0x800
_VERSION = 20
_UNIX = 3 << 8
# 1980-01-01 00:00, as MS-DOS writes it: no entry tells when it was made.
_TIME, _DATE = 0, 0x21
_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")

Told = Callable[[int], None]


@dataclass(frozen=True)
class Packed:
    """What came into the zip; ``read`` and ``written`` in bytes."""

    files: int
    read: int
    written: int
    seconds: float


@dataclass(frozen=True)
class _File:
    """A file of the source; ``content`` where it lies in no file."""

    name: str
    path: str
    size: int
    runs: bool
    content: bytes | None = None


@dataclass(frozen=True)
class _Entry:
    """A file as it stands in the zip, without its data."""

    name: bytes
    mode: int
    method: int
    checksum: int
    packed: int
    size: int
    offset: int


def pack_source(
    folder: Path,
    out: IO[bytes],
    *,
    options: bytes | None = None,
    dockerfile: str = "Dockerfile",
    progress: Told = lambda _: None,
) -> Packed:
    """Writes a zip of a folder, without what its `.dockerignore` and `.git` leave out.

    Names are sorted, times and owners left out, and of the modes only stays who may run a file. A symbolic
    link to a file of the folder becomes that file. Folders without files are not in the zip.

    Args:
        out: is sought in.
        options: what stands in place of the folder's own `build.yaml`.
        dockerfile: is in the zip, whatever is ignored.
        progress: called with how many more bytes were read.

    Raises:
        Refused: a link leads out of the folder, something is no file, or it is too much.
        OSError: a file cannot be read.
    """
    began = time.perf_counter()
    files = _files(folder, dockerfile, options)
    if len(files) > MAX_FILES:
        raise Refused(_too_much(folder, files, f"has {len(files):,} files, and {MAX_FILES:,} are allowed"))
    entries: list[_Entry] = []
    place = out.tell()
    with ThreadPoolExecutor(_THREADS) as pool:
        for file, checksum, method, data in _compressed(pool, files):
            offset = out.tell() - place
            if data is None:
                entry = _stream(out, file, offset)
            else:
                entry = _entry(file, method, checksum, len(data), file.size, offset)
                out.write(_header(entry) + entry.name)
                out.write(data)
            entries.append(entry)
            progress(entry.size)
            if out.tell() - place > MAX_ZIP_BYTES:
                pool.shutdown(cancel_futures=True)
                limit = f"packs to more than {MAX_ZIP_BYTES // 1024**3} GB"
                raise Refused(_too_much(folder, files, limit))
    directory = out.tell() - place
    for entry in entries:
        out.write(_directory_entry(entry))
    size = out.tell() - place - directory
    count = len(entries)
    out.write(_END.pack(b"PK\5\6", 0, 0, count, count, size, directory, 0))
    read = sum(entry.size for entry in entries)
    return Packed(count, read, out.tell() - place, time.perf_counter() - began)


# ── what belongs to it ────────────────────────────────────────────────────────────────────────────
def _files(folder: Path, dockerfile: str, options: bytes | None) -> list[_File]:
    ignored = dockerignore.read(folder, dockerfile)
    kept = {dockerfile, dockerignore.NAME, f"{dockerfile}{dockerignore.NAME}", BUILD_FILE}
    root = os.path.realpath(folder)
    files = list(_walk(root, "", ignored, frozenset(kept), root))
    if options is not None:
        files = [file for file in files if file.name != BUILD_FILE]
        files.append(_File(BUILD_FILE, "", len(options), runs=False, content=options))
    return sorted(files, key=lambda file: file.name)


def _walk(
    folder: str, prefix: str, ignored: dockerignore.Ignored, kept: frozenset[str], root: str
) -> Iterator[_File]:
    with os.scandir(folder) as found:
        for each in found:
            name = prefix + each.name
            out = ignored.leaves_out(name)
            if each.is_dir(follow_symlinks=False):
                # A folder that is left out may hold what an exception brings back, or the Dockerfile.
                wanted = not out or ignored.may_bring_back(name)
                if wanted or any(one.startswith(f"{name}/") for one in kept):
                    yield from _walk(each.path, f"{name}/", ignored, kept, root)
            elif not out or name in kept:
                yield _file(each, name, root)


def _file(found: os.DirEntry[str], name: str, root: str) -> _File:
    if found.is_symlink():
        _check_link(found, name, root)
    status = found.stat()
    if not stat.S_ISREG(status.st_mode):
        what = "is a link to a folder" if stat.S_ISDIR(status.st_mode) else "is neither a file nor a folder"
        mend = f"put the files there themselves, or leave it out by {dockerignore.NAME}"
        raise Refused(Problem(name, what, mend))
    return _File(name, found.path, status.st_size, runs=bool(status.st_mode & stat.S_IXUSR))


def _check_link(found: os.DirEntry[str], name: str, root: str) -> None:
    target = os.path.realpath(found.path)
    if not os.path.exists(target) or os.path.commonpath((root, target)) != root:  # noqa: PTH110 - a text
        what = f"is a link to {os.readlink(found.path)}, which is not in the folder"  # noqa: PTH115
        mend = f"copy the file there, or leave the link out by {dockerignore.NAME}"
        raise Refused(Problem(name, what, mend))


def _too_much(folder: Path, files: Sequence[_File], found: str) -> Problem:
    sizes: Counter[str] = Counter()
    for file in files:
        sizes[file.name.partition("/")[0]] += file.size
    largest = ", ".join(f"{name} ({size / 1_000_000:,.0f} MB)" for name, size in sizes.most_common(3))
    mend = f"leave out what the image does not need by {dockerignore.NAME}; most is in {largest}"
    return Problem(str(folder), found, mend)


# ── compression ───────────────────────────────────────────────────────────────────────────────────
_Compressed = tuple[_File, int, int, bytes | None]


def _compressed(pool: ThreadPoolExecutor, files: Sequence[_File]) -> Iterator[_Compressed]:
    """The files in their order, a few portions ahead of who takes them; a large file without its data."""
    waiting: deque[Future[list[_Compressed]]] = deque()
    for portion in _portions(files):
        waiting.append(pool.submit(_compress_all, portion))
        if len(waiting) > _WAITING:
            yield from waiting.popleft().result()
    while waiting:
        yield from waiting.popleft().result()


def _portions(files: Sequence[_File]) -> Iterator[list[_File]]:
    portion: list[_File] = []
    size = 0
    for file in files:
        portion.append(file)
        size += file.size
        if size >= _PORTION_BYTES or len(portion) >= _PORTION_FILES:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion


def _compress_all(files: Sequence[_File]) -> list[_Compressed]:
    return [_compress(file) for file in files]


def _compress(file: _File) -> _Compressed:
    if file.content is None and file.size > _PIECE:
        return file, 0, _DEFLATED, None
    content = file.content
    if content is None:
        with open(file.path, "rb", buffering=0) as stream:  # noqa: PTH123 - there are thousands of them
            content = stream.read()
    if len(content) != file.size:
        raise OSError(f"{file.path} was written while it was packed: pack it again")
    checksum = isal_zlib.crc32(content)
    if not _is_worth_it(content):
        return file, checksum, _STORED, content
    packed = isal_zlib.compress(content, _LEVEL, _RAW)
    if len(packed) >= len(content):
        return file, checksum, _STORED, content
    return file, checksum, _DEFLATED, packed


def _is_worth_it(content: bytes) -> bool:
    """Whether a piece from the middle gets smaller: headers often do, and what follows them does not."""
    if len(content) <= 8 * _SAMPLE:
        return True
    start = (len(content) - _SAMPLE) // 2
    sample = content[start : start + _SAMPLE]
    return len(isal_zlib.compress(sample, _LEVEL, _RAW)) < _WORTH_IT * _SAMPLE


def _stream(out: IO[bytes], file: _File, offset: int) -> _Entry:
    """A large file, a piece at a time; what is known at its end is written at its beginning afterwards."""
    begin = out.tell()
    placeholder = _entry(file, _DEFLATED, 0, 0, 0, offset)
    out.write(_header(placeholder) + placeholder.name)
    squeezer = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, _RAW)
    checksum = size = packed = 0
    with open(file.path, "rb", buffering=0) as stream:  # noqa: PTH123
        while piece := stream.read(_PIECE):
            checksum = isal_zlib.crc32(piece, checksum)
            size += len(piece)
            packed += out.write(squeezer.compress(piece))
            if packed > MAX_ZIP_BYTES:
                break
    packed += out.write(squeezer.flush())
    entry = _entry(file, _DEFLATED, checksum, packed, size, offset)
    end = out.tell()
    out.seek(begin)
    out.write(_header(entry))
    out.seek(end)
    return entry


# ── the zip's structures ──────────────────────────────────────────────────────────────────────────
def _entry(file: _File, method: int, checksum: int, packed: int, size: int, offset: int) -> _Entry:
    mode = stat.S_IFREG | (0o755 if file.runs else 0o644)
    return _Entry(os.fsencode(file.name), mode, method, checksum, packed, size, offset)


def _header(entry: _Entry) -> bytes:
    return _LOCAL.pack(
        b"PK\3\4",
        _VERSION,
        _UTF8,
        entry.method,
        _TIME,
        _DATE,
        entry.checksum,
        entry.packed,
        entry.size,
        len(entry.name),
        0,
    )


def _directory_entry(entry: _Entry) -> bytes:
    fixed = _CENTRAL.pack(
        b"PK\1\2",
        _UNIX | _VERSION,
        _VERSION,
        _UTF8,
        entry.method,
        _TIME,
        _DATE,
        entry.checksum,
        entry.packed,
        entry.size,
        len(entry.name),
        0,
        0,
        0,
        0,
        entry.mode << 16,
        entry.offset,
    )
    return fixed + entry.name
