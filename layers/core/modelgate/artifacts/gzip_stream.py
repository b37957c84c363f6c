"""A gzip stream that is checked while it is read: every byte to the last, checksum and length included.

The standard library's tarfile stops reading where the tar ends, so under ``r|gz`` a wrong checksum or a
missing trailer passes. Here the end of the gzip is reached, or reading raises.
"""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass
from typing import Protocol

from modelgate.errors import Problem, Refused

# zlib: a window of 32 KB, in a gzip wrapper, whose header, checksum and length zlib verifies itself.
_GZIP = 31
_CHUNK = 256 * 1024

_OTHER_FORMATS = {
    b"PK\x03\x04": "a zip",
    b"BZh": "compressed with bzip2",
    b"\xfd7zXZ": "compressed with xz",
    b"\x28\xb5\x2f\xfd": "compressed with zstd",
    b"7z\xbc\xaf": "a 7z archive",
}


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
        header_bytes: one extended header of the tar (a long name), which is held in memory.
    """

    members: int = 20_000
    unpacked_bytes: int = 512 * 1024**3
    ratio: int = 200
    ratio_from_bytes: int = 1024**3
    kept_bytes: int = 1024**2
    kept_total_bytes: int = 8 * 1024**2
    header_bytes: int = 64 * 1024


class GzipStream:
    """The decompressed content of a gzip stream, readable once, forwards.

    Attributes:
        packed_bytes: compressed bytes read so far.
        unpacked_bytes: decompressed bytes read so far.
    """

    def __init__(self, stream: Readable, limits: Limits, where: str) -> None:
        self._stream = stream
        self._limits = limits
        self._where = where
        self._sha256 = hashlib.sha256()
        self._packed = b""
        # None between two gzip members, of which a stream may have several.
        self._inflate = None
        self._members = 0
        self._exhausted = False
        self.packed_bytes = 0
        self.unpacked_bytes = 0

    _inflate: zlib._Decompress | None

    @property
    def sha256(self) -> str:
        """The hash of the compressed bytes read so far, in hexadecimal."""
        return self._sha256.hexdigest()

    def read(self, size: int) -> bytes:
        """At most ``size`` decompressed bytes; none when the stream has ended as it should.

        Raises:
            Refused: it is not a gzip, or damaged, or decompresses to more than the limits allow.
        """
        while not (self._exhausted and not self._packed and self._inflate is None):
            unpacked = self._step(size)
            if unpacked:
                self.unpacked_bytes += len(unpacked)
                self._check_limits()
                return unpacked
        if not self._members:
            raise self._refusal("is empty", "upload the model: " + PACK)
        return b""

    def drain(self) -> bool:
        """Read to the end. Tells whether there was anything but zeros."""
        only_zeros = True
        while unpacked := self.read(_CHUNK):
            only_zeros = only_zeros and not unpacked.strip(b"\0")
        return not only_zeros

    def _step(self, size: int) -> bytes:
        if not self._packed and not self._exhausted:
            self._fill()
        if self._inflate is None:
            # Zeros after the end are padding, as tapes and block devices leave it.
            self._packed = self._packed.lstrip(b"\0") if self._members else self._packed
            if not self._packed:
                return b""
            self._begin_member()
        return self._decompress(size)

    def _fill(self) -> None:
        chunks, wanted = [], _CHUNK
        while wanted and (chunk := self._stream.read(wanted)):
            chunks.append(chunk)
            wanted -= len(chunk)
        self._packed = b"".join(chunks)
        self._exhausted = wanted > 0
        self._sha256.update(self._packed)
        self.packed_bytes += len(self._packed)

    def _begin_member(self) -> None:
        if not self._members and not self._packed.startswith(b"\x1f\x8b"):
            known = (name for start, name in _OTHER_FORMATS.items() if self._packed.startswith(start))
            tar = "a tar that is not compressed" if self._packed[257:262] == b"ustar" else None
            raise self._refusal(f"is {tar or next(known, 'not a gzip')}", f"pack it with gzip: {PACK}")
        self._inflate = zlib.decompressobj(_GZIP)

    def _decompress(self, size: int) -> bytes:
        inflate = self._inflate
        if inflate is None:
            return b""
        try:
            unpacked = inflate.decompress(self._packed, size)
        except zlib.error as error:
            if self._members:
                raise self._refusal(
                    "has something else after the end of the gzip", f"upload the archive alone: {PACK}"
                ) from error
            raise self._refusal(f"is damaged ({error})", "pack and upload it again") from error
        if inflate.eof:
            self._packed, self._inflate = inflate.unused_data, None
            self._members += 1
        else:
            self._packed = inflate.unconsumed_tail
            if self._exhausted and not self._packed and not unpacked:
                raise self._refusal("is truncated: the gzip has no end", "upload the whole of it again")
        return unpacked

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

    def _refusal(self, found: str, mend: str) -> Refused:
        return Refused(Problem(self._where, found, mend))


PACK = "tar -C model -czf model.tar.gz ."
