"""Packs a container's source: the same bytes for the same files, and quickly.

Files are compressed side by side, on two threads, and what hardly gets smaller is stored. That is why the
zip's own structures are written here: the standard library's zipfile, and what there is beside it
(stream-zip, zipfile-isal), compress one file after the other. "APPNOTE.TXT - .ZIP File Format
Specification" says how.
"""

from __future__ import annotations

import os
import stat
import struct
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from isal import isal_zlib

from modelgate.builds.options import BUILD_FILE
from modelgate.builds.source import MAX_FILES, MAX_ZIP_BYTES
from modelgate.errors import Problem, Refused
from modelgate_cli import dockerignore

_THREADS = 2
# Small files go to a thread together, and a large one in pieces.
_PORTION_BYTES, _PORTION_FILES = 2 * 1024 * 1024, 200
_PIECE = 4 * 1024 * 1024
_WAITING = 3 * _THREADS
_WRITE = 1024 * 1024
# isal's quickest. The next level takes a tenth longer over a source, and a tenth off what it packs to.
_LEVEL = 0
# That one stores by itself what gets no smaller, where the quickest makes it a fifth larger.
_CAREFUL_LEVEL = 1
_RAW = -15
_SAMPLE, _WORTH_IT = 16 * 1024, 0.9
# What the 32 bits of a zip's sizes hold. Larger ones would need its other form, which not every unzip knows.
_MAX_FILE_BYTES = 2**32 - 2
_STORED, _DEFLATED = 0, 8
_UTF8 = 0x800
_VERSION = 20
_UNIX = 3 << 8
_DOS_FOLDER = 0x10
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
    """A file of the source, or a folder that is empty; ``content`` where it lies in no file."""

    name: str
    path: str
    size: int
    mode: int
    content: bytes | None = None


@dataclass(frozen=True)
class _Piece:
    """A part of a file, from ``start`` on; mostly all of it."""

    file: _File
    start: int
    size: int

    @property
    def is_first(self) -> bool:
        return self.start == 0

    @property
    def is_last(self) -> bool:
        return self.start + self.size == self.file.size


@dataclass(frozen=True)
class _Data:
    """A piece as it stands in the zip."""

    piece: _Piece
    method: int
    checksum: int
    content: bytes


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
    link to a file of the folder becomes that file: what becomes of links in CodeBuild is not documented.
    Empty folders are kept, as docker does. The same files give the same bytes with the same isal, on the
    same kind of processor.

    Args:
        out: is sought in.
        options: what stands in place of the folder's own `build.yaml`.
        dockerfile: is in the zip, whatever is ignored.
        progress: called with how many more bytes are in the zip, as they were before.

    Raises:
        Refused: with every link that leads out of the folder and all else that cannot be packed; or it is too
            much.
        OSError: a file cannot be read, or is written meanwhile.
    """
    began = time.perf_counter()
    files = _files(folder, dockerfile, options)
    if len(files) > MAX_FILES:
        raise Refused(_too_much(folder, files, f"has {len(files):,} files, and {MAX_FILES:,} are allowed"))
    zipped = _Zip(out)
    with ThreadPoolExecutor(_THREADS) as pool:
        for data in _compressed(pool, files):
            zipped.add(data)
            progress(data.piece.size)
            if zipped.size > MAX_ZIP_BYTES:
                pool.shutdown(cancel_futures=True)
                limit = f"packs to more than {MAX_ZIP_BYTES // 1024**3} GB"
                raise Refused(_too_much(folder, files, limit))
    zipped.close()
    count = sum(stat.S_ISREG(file.mode) for file in files)
    return Packed(count, sum(file.size for file in files), zipped.size, time.perf_counter() - began)


# ── what belongs to it ────────────────────────────────────────────────────────────────────────────
def _files(folder: Path, dockerfile: str, options: bytes | None) -> list[_File]:
    """
    Raises:
        Refused: with all that cannot be packed.
    """
    kept = (dockerfile, dockerignore.NAME, f"{dockerfile}{dockerignore.NAME}", BUILD_FILE)
    walk = _Walk(os.path.realpath(folder), dockerignore.read(folder, dockerfile), kept)
    files = list(walk.files(walk.root, ""))
    if walk.problems:
        raise Refused(*sorted(walk.problems, key=lambda problem: problem.where))
    if options is not None:
        files = [file for file in files if file.name != BUILD_FILE]
        files.append(_File(BUILD_FILE, "", len(options), _mode(0), options))
    return sorted(files, key=lambda file: file.name)


@dataclass(frozen=True)
class _Walk:
    """Through a folder, without what is ignored."""

    root: str
    ignored: dockerignore.Ignored
    kept: tuple[str, ...]
    problems: list[Problem] = field(default_factory=list)

    def files(self, folder: str, prefix: str) -> Iterator[_File]:
        """What is in a folder, and folders in it of which nothing else is."""
        with os.scandir(folder) as found:
            for each in found:
                name = prefix + each.name
                out = self.ignored.leaves_out(name)
                if each.is_dir(follow_symlinks=False):
                    # A folder that is left out may hold what an exception brings back, or the Dockerfile.
                    if not out or self.ignored.may_bring_back(name) or self._holds_kept(name):
                        empty = not out
                        for file in self.files(each.path, f"{name}/"):
                            empty = False
                            yield file
                        if empty:
                            yield _File(f"{name}/", "", 0, stat.S_IFDIR | 0o755, b"")
                elif not out or name in self.kept:
                    yield from self._file(each, name)

    def _holds_kept(self, name: str) -> bool:
        return any(one.startswith(f"{name}/") for one in self.kept)

    def _file(self, found: os.DirEntry[str], name: str) -> Iterator[_File]:
        status = None if found.is_symlink() and not self._is_within(found) else found.stat()
        if status is None:
            what = f"is a link to {os.readlink(found.path)}, which is not in the folder"  # noqa: PTH115
            mend = f"copy the file there, or leave the link out by {dockerignore.NAME}"
        elif stat.S_ISDIR(status.st_mode):
            what = "is a link to a folder"
            mend = f"put the files there themselves, or leave it out by {dockerignore.NAME}"
        elif not stat.S_ISREG(status.st_mode):
            what = "is neither a file nor a folder"
            mend = f"leave it out by {dockerignore.NAME}"
        elif status.st_size > _MAX_FILE_BYTES:
            what = f"has {status.st_size / 1024**3:.1f} GB, and a file of a source has less than 4 GB"
            mend = f"have the build fetch it, and leave it out by {dockerignore.NAME}"
        elif not _is_text(name):
            what = "has a name that is not UTF-8"
            mend = f"give it another, or leave it out by {dockerignore.NAME}"
        else:
            yield _File(name, found.path, status.st_size, _mode(status.st_mode))
            return
        where = name.encode(errors="replace").decode()
        self.problems.append(Problem(where, what, mend))

    def _is_within(self, found: os.DirEntry[str]) -> bool:
        """Whether a link leads to something, and that is in the folder."""
        target = os.path.realpath(found.path)
        return os.path.exists(target) and os.path.commonpath((self.root, target)) == self.root  # noqa: PTH110


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _mode(mode: int) -> int:
    return stat.S_IFREG | (0o755 if mode & stat.S_IXUSR else 0o644)


def _too_much(folder: Path, files: Sequence[_File], found: str) -> Problem:
    sizes: Counter[str] = Counter()
    for file in files:
        sizes[file.name.partition("/")[0]] += file.size
    largest = ", ".join(f"{name} ({size / 1_000_000:,.0f} MB)" for name, size in sizes.most_common(3))
    mend = f"leave out what the image does not need by {dockerignore.NAME}; most is in {largest}"
    return Problem(str(folder), found, mend)


# ── compression ───────────────────────────────────────────────────────────────────────────────────
def _compressed(pool: ThreadPoolExecutor, files: Sequence[_File]) -> Iterator[_Data]:
    """The files in their order, a few portions ahead of who takes them."""
    waiting: deque[Future[list[_Data]]] = deque()
    for portion in _portions(files):
        waiting.append(pool.submit(_compress_all, portion))
        if len(waiting) > _WAITING:
            yield from waiting.popleft().result()
    while waiting:
        yield from waiting.popleft().result()


def _portions(files: Sequence[_File]) -> Iterator[list[_Piece]]:
    portion: list[_Piece] = []
    size = 0
    for file in files:
        for start in range(0, file.size, _PIECE) or (0,):
            piece = _Piece(file, start, min(_PIECE, file.size - start))
            portion.append(piece)
            size += piece.size
            if size >= _PORTION_BYTES or len(portion) >= _PORTION_FILES:
                yield portion
                portion, size = [], 0
    if portion:
        yield portion


def _compress_all(pieces: Sequence[_Piece]) -> list[_Data]:
    return [_compress(piece) for piece in pieces]


def _compress(piece: _Piece) -> _Data:
    content = _read(piece)
    checksum = isal_zlib.crc32(content)
    if piece.size != piece.file.size:
        # All of them make one stream of data, so each ends where another can go on.
        level = _LEVEL if _is_worth_it(content) else _CAREFUL_LEVEL
        squeezer = isal_zlib.compressobj(level, isal_zlib.DEFLATED, _RAW)
        squeezed = squeezer.compress(content)
        end = isal_zlib.Z_FINISH if piece.is_last else isal_zlib.Z_FULL_FLUSH
        return _Data(piece, _DEFLATED, checksum, squeezed + squeezer.flush(end))
    if _is_worth_it(content):
        packed = isal_zlib.compress(content, _LEVEL, _RAW)
        if len(packed) < len(content):
            return _Data(piece, _DEFLATED, checksum, packed)
    return _Data(piece, _STORED, checksum, content)


def _read(piece: _Piece) -> bytes:
    if piece.file.content is not None:
        return piece.file.content[piece.start : piece.start + piece.size]
    descriptor = os.open(piece.file.path, os.O_RDONLY)
    try:
        # One byte more would tell of a file that grew.
        content = os.pread(descriptor, piece.size + piece.is_last, piece.start)
    finally:
        os.close(descriptor)
    if len(content) != piece.size:
        raise OSError(f"{piece.file.path} was written while it was packed: pack it again")
    return content


def _is_worth_it(content: bytes) -> bool:
    """Whether a piece from the middle gets smaller: headers often do, and what follows them does not."""
    if len(content) <= 2 * _SAMPLE:
        return True
    start = (len(content) - _SAMPLE) // 2
    sample = content[start : start + _SAMPLE]
    return len(isal_zlib.compress(sample, _LEVEL, _RAW)) < _WORTH_IT * _SAMPLE


# ── the zip's structures ──────────────────────────────────────────────────────────────────────────
class _Zip:
    """A zip that is written from where the file stands."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out
        self._began = out.tell()
        self._directory: list[bytes] = []
        self._unwritten: list[bytes] = []
        self._unwritten_bytes = 0
        self.size = 0
        # Of the file whose pieces are coming in.
        self._offset = self._checksum = self._packed = 0

    def add(self, data: _Data) -> None:
        """Writes a piece, and behind a file's last one what is known at its end: into its beginning."""
        piece, file = data.piece, data.piece.file
        name = file.name.encode()
        if piece.is_first:
            self._offset, self._checksum, self._packed = self.size, data.checksum, len(data.content)
            header = self._header(file, data.method, len(name))
            self._write(_LOCAL.pack(b"PK\3\4", *header, 0) + name)
        else:
            self._checksum = isal_zlib.crc32_combine(self._checksum, data.checksum, piece.size)
            self._packed += len(data.content)
        self._write(data.content)
        if not piece.is_last:
            return
        header = self._header(file, data.method, len(name))
        if not piece.is_first:
            self._flush()
            self._out.seek(self._began + self._offset)
            self._out.write(_LOCAL.pack(b"PK\3\4", *header, 0))
            self._out.seek(self._began + self.size)
        attributes = file.mode << 16 | (_DOS_FOLDER if stat.S_ISDIR(file.mode) else 0)
        entry = _CENTRAL.pack(b"PK\1\2", _UNIX | _VERSION, *header, 0, 0, 0, 0, attributes, self._offset)
        self._directory.append(entry + name)

    def close(self) -> None:
        """Writes the directory, which ends the zip."""
        offset, count = self.size, len(self._directory)
        self._write(b"".join(self._directory))
        self._write(_END.pack(b"PK\5\6", 0, 0, count, count, self.size - offset, offset, 0))
        self._flush()

    def _header(self, file: _File, method: int, name: int) -> tuple[int, ...]:
        """What stands before each file and again in the directory."""
        sizes = self._checksum, self._packed, file.size
        return _VERSION, _UTF8, method, _TIME, _DATE, *sizes, name

    def _write(self, content: bytes) -> None:
        self._unwritten.append(content)
        self._unwritten_bytes += len(content)
        self.size += len(content)
        if self._unwritten_bytes >= _WRITE:
            self._flush()

    def _flush(self) -> None:
        """Small writes go out together."""
        self._out.write(b"".join(self._unwritten))
        self._unwritten.clear()
        self._unwritten_bytes = 0
