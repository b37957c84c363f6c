"""A gzip stream, RFC 1952, that is checked while it is unpacked: every byte to the last.

The standard library's tarfile stops reading where the tar ends, so under ``r|gz`` a wrong checksum or a
missing trailer passes. Here the end of the gzip is reached, or reading raises.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Literal, Protocol

from modelgate.artifacts.deflate import WINDOW, Inflater, fastest, starts
from modelgate.errors import Problem, Refused
from modelgate.values import dataclass

PACK = "tar -C model -czf model.tar.gz ."

_UNPACKED_AT_ONCE = 512 * 1024
_TRAILER = 8  # bytes: the checksum, and the length
_AGAIN = "pack and upload it again"

# What is uploaded in place of a gzip: how it begins, what it is, and what to do about it; None for packing.
_OTHERS: tuple[tuple[bytes, str, str | None], ...] = (
    (b"PK\x03\x04", "a zip", None),
    (b"BZh", "compressed with bzip2", None),
    (b"\xfd7zXZ", "compressed with xz", None),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", None),
    (b"\x04\x22\x4d\x18", "compressed with lz4", None),
    (b"\x1f\x9d", "compressed with compress", None),
    (b"7z\xbc\xaf", "a 7z archive", None),
    (b"\x89HDF", "an HDF5 file", None),
    (b"version https://git-lfs", "a Git LFS pointer in place of the file", "fetch the file: git lfs pull"),
    (b"<!doctype", "an HTML page", "what was downloaded is an error or a login page; upload the model"),
    (b"<html", "an HTML page", "what was downloaded is an error or a login page; upload the model"),
    (b"<?xml", "an XML document", "what was downloaded is an error; upload the model"),
)
_ENOUGH_TO_NAME = 262  # bytes; with that many the mark of a tar is among them


class Readable(Protocol):
    """All that is asked of a stream: the body of an S3 object can do no more."""

    def read(self, size: int, /) -> bytes:
        """At most so many bytes; none at the end."""
        ...


@dataclass(frozen=True)
class Limits:
    """What no real model meets, and a mistake or a decompression bomb does.

    Attributes:
        members: entries of the tar. The largest SavedModels and AutoML ensembles have a few thousand.
        unpacked_bytes: what the files take on disk. 512 GB is the largest volume that SageMaker gives an
            instance (Amazon SageMaker API Reference, ProductionVariant, VolumeSizeInGB).
        ratio: unpacked to compressed size, counted beyond ``ratio_from_bytes``. Weights hardly compress;
            forests written as text reach 10, and deflate's own limit, reached by zeros alone, is 1032.
        ratio_from_bytes: small artifacts may have any ratio.
        kept_bytes: size of one file whose text is kept; scripts have a few kilobytes.
        kept_total_bytes: and of all of them.
        header_bytes: one header of the gzip, or one extended header of the tar (a long name), which are held
            in memory.
    """

    members: int = 20_000
    unpacked_bytes: int = 512 * 1024**3
    ratio: int = 200
    ratio_from_bytes: int = 1024**3
    kept_bytes: int = 1024**2
    kept_total_bytes: int = 8 * 1024**2
    header_bytes: int = 64 * 1024


_Phase = Literal["header", "body", "trailer"]


@dataclass(frozen=True)
class GzipState:
    """Where the reading of a gzip stands, so that another process can go on.

    Attributes:
        packed_bytes: the offset of the first byte that is not read yet.
        unpacked_bytes: what came of those before it.
        members: how many members of the gzip are done.
        phase: what is read next.
        held: what was read of a header or trailer that is not whole yet.
        crc, length: of the member that is being read, so far.
        lead, window: with which an inflater goes on, in a body.
    """

    packed_bytes: int = 0
    unpacked_bytes: int = 0
    members: int = 0
    phase: _Phase = "header"
    held: bytes = b""
    crc: int = 0
    length: int = 0
    lead: bytes = b""
    window: bytes = b""


class Gunzip:
    """Unpacks a gzip of one or several members that is given bit by bit.

    Attributes:
        packed_bytes: compressed bytes read so far.
        unpacked_bytes: what came of them.
    """

    def __init__(self, limits: Limits, where: str, state: GzipState | None = None) -> None:
        state = state or GzipState()
        self._limits = limits
        self._where = where
        self._deflate = fastest()
        self._phase = state.phase
        self._members = state.members
        self._held = state.held
        self._crc, self._length = state.crc, state.length
        self._window = state.window
        self.packed_bytes = state.packed_bytes
        self.unpacked_bytes = state.unpacked_bytes
        self._inflater: Inflater = self._deflate.inflater(state.window)
        if state.lead:
            self._inflater.decompress(state.lead, 1)  # of what it leads to, nothing is whole yet

    def feed(self, packed: bytes) -> Iterator[bytes]:
        """What the next compressed bytes unpack to, in pieces of a bounded size. Must be run to its end.

        Raises:
            Refused: it is not a gzip, or damaged, or unpacks to more than the limits allow.
        """
        self.packed_bytes += len(packed)
        while packed:
            if self._phase == "body":
                for unpacked in self._inflate(packed):
                    self._count(unpacked)
                    yield unpacked
                packed = self._behind_body()
            elif self._phase == "header":
                packed = self._header(self._held + packed)
            else:
                packed = self._trailer(self._held + packed)

    def feed_until_start(self, packed: bytes) -> Iterator[bytes | GzipState]:
        """As ``feed``, but stops where another process could go on: then the last that comes is a state.

        That is between two blocks. They are looked for at 0.3 MB/s; in what gzip makes there is one every
        16 KB, and every megabyte in what the hardest compressors make.
        """
        if self._phase != "body":
            yield self._state()
            return
        members, fed = self._members, 0
        for start in starts(packed):
            if start.offset < fed or start.offset + start.proof > len(packed):
                continue
            yield from self.feed(packed[fed : start.offset])
            fed = start.offset
            if self._members > members or self._phase != "body":
                break
            state = self._state(lead=start.lead, window=self._window)
            ahead = packed[fed : fed + start.proof]
            expected = self._unpacked_from(state, ahead)
            if not expected:
                continue
            unpacked = list(self.feed(ahead))
            if self._phase == "body" and self._members == members and b"".join(unpacked) == expected:
                yield state
                return
            yield from unpacked
            fed += start.proof
        yield from self.feed(packed[fed:])

    def finish(self) -> None:
        """
        Raises:
            Refused: the stream ends where it should not.
        """
        if self._phase == "header" and self._held:
            self._check_beginning(self._held, whole=True)
        if self._phase == "header" and not self._members and not self._held:
            raise self._refusal("is empty", "upload the model: " + PACK)
        if self._phase != "header" or self._held:
            raise self._refusal("is truncated: the gzip has no end", "upload the whole of it again")

    def _state(self, lead: bytes = b"", window: bytes = b"") -> GzipState:
        return GzipState(
            packed_bytes=self.packed_bytes,
            unpacked_bytes=self.unpacked_bytes,
            members=self._members,
            phase=self._phase,
            held=self._held,
            crc=self._crc,
            length=self._length,
            lead=lead,
            window=window,
        )

    def _unpacked_from(self, state: GzipState, packed: bytes) -> bytes:
        """What another process would unpack from there; nothing if it could not."""
        trial = self._deflate.inflater(state.window)
        try:
            unpacked = trial.decompress(state.lead + packed, _UNPACKED_AT_ONCE)
        except self._deflate.errors:
            return b""
        return b"" if trial.eof else unpacked

    def _header(self, data: bytes) -> bytes:
        if self._members:
            data = data.lstrip(b"\0")  # padding, as tapes and block devices leave it
        self._held = data
        if not data or not self._check_beginning(data, whole=False):
            return b""
        try:
            length = _header_length(data)
        except ValueError as error:
            raise self._something_follows() if self._members else self._damaged(str(error)) from error
        if length is None and len(data) > self._limits.header_bytes:
            raise self._damaged("its header has no end")
        if length is None:
            return b""
        self._held, self._phase = b"", "body"
        self._crc, self._length, self._window = 0, 0, b""
        self._inflater = self._deflate.inflater(b"")
        return data[length:]

    def _check_beginning(self, data: bytes, *, whole: bool) -> bool:
        """Whether a gzip begins there; False when it is too little to say."""
        if data.startswith(_MARK):
            return True
        if not whole and (_MARK.startswith(data) or (not self._members and len(data) < _ENOUGH_TO_NAME)):
            return False
        if self._members:
            raise self._something_follows()
        if data[257:262] == b"ustar":
            raise self._refusal("is a tar that is not compressed", f"pack it with gzip: {PACK}")
        start = data[:32].lower()
        for begins, what, mend in _OTHERS:
            if start.startswith(begins.lower()):
                raise self._refusal(f"is {what}", mend or f"pack it with gzip: {PACK}")
        raise self._refusal("is not a gzip", f"pack it with gzip: {PACK}")

    def _inflate(self, packed: bytes) -> Iterator[bytes]:
        inflater, full = self._inflater, True
        try:
            while full or not (inflater.needs_input or inflater.eof):
                unpacked = inflater.decompress(packed, _UNPACKED_AT_ONCE)
                packed, full = b"", len(unpacked) == _UNPACKED_AT_ONCE and not inflater.eof
                if unpacked:
                    yield unpacked
        except self._deflate.errors as error:
            raise self._damaged("what is compressed makes no sense") from error

    def _count(self, unpacked: bytes) -> None:
        self.unpacked_bytes += len(unpacked)
        self._crc = self._deflate.crc32(unpacked, self._crc)
        self._length += len(unpacked)
        self._window = unpacked if len(unpacked) >= WINDOW else (self._window + unpacked)[-WINDOW:]
        self._check_limits()

    def _behind_body(self) -> bytes:
        if not self._inflater.eof:
            return b""
        self._phase = "trailer"
        return self._inflater.unused_data

    def _trailer(self, data: bytes) -> bytes:
        self._held = data
        if len(data) < _TRAILER:
            return b""
        if int.from_bytes(data[:4], "little") != self._crc:
            raise self._damaged("its content does not have the checksum that it should have")
        if int.from_bytes(data[4:_TRAILER], "little") != self._length % 2**32:
            raise self._damaged("its content does not have the length that it should have")
        self._held, self._phase = b"", "header"
        self._members += 1
        return data[_TRAILER:]

    def _check_limits(self) -> None:
        limits = self._limits
        if self.unpacked_bytes > limits.unpacked_bytes:
            raise self._refusal(
                f"unpacks to more than {limits.unpacked_bytes:,} bytes",
                "pack only what serves; no instance has a larger volume",
            )
        bomb = self.unpacked_bytes > limits.ratio * self.packed_bytes
        if bomb and self.unpacked_bytes > limits.ratio_from_bytes:
            raise self._refusal(
                f"unpacks to more than {limits.ratio} times its size", "pack the model, not empty space"
            )

    def _damaged(self, how: str) -> Refused:
        return self._refusal(f"is damaged ({how})", _AGAIN)

    def _something_follows(self) -> Refused:
        return self._refusal(
            "has something else after the end of the gzip", f"upload the archive alone: {PACK}"
        )

    def _refusal(self, found: str, mend: str) -> Refused:
        return Refused(Problem(self._where, found, mend))


_MARK = b"\x1f\x8b"
_DEFLATE = 8
_HAS_CHECKSUM, _HAS_EXTRA, _HAS_NAME, _HAS_COMMENT, _UNKNOWN_FLAGS = 2, 4, 8, 16, 0xE0


def _header_length(data: bytes) -> int | None:
    """In bytes; None when the header goes on behind the data.

    Raises:
        ValueError: it is none.
    """
    if len(data) < 10:
        return None
    method, flags, at = data[2], data[3], 10
    if method != _DEFLATE:
        raise ValueError("it is compressed by a method that is not deflate")
    if flags & _UNKNOWN_FLAGS:
        raise ValueError("its header has flags that the format does not know")
    if flags & _HAS_EXTRA:
        at += 2 + int.from_bytes(data[at : at + 2], "little")
    for flag in (_HAS_NAME, _HAS_COMMENT):
        if flags & flag:
            end = data.find(0, at)
            if end < 0:
                return None
            at = end + 1
    if flags & _HAS_CHECKSUM:
        if (
            len(data) >= at + 2
            and int.from_bytes(data[at : at + 2], "little") != zlib.crc32(data[:at]) & 0xFFFF
        ):
            raise ValueError("its header does not have the checksum that it should have")
        at += 2
    return at if len(data) >= at else None
