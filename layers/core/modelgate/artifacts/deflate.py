"""Deflate, RFC 1951: unpacking it as fast as it can be, and places from which it can be read on later.

ISA-L is about half as fast again as zlib. It judges as zlib does but in one thing: a block whose Huffman
codes are incomplete, so that some patterns of bits mean nothing, passes as long as none of those is met. What
is unpacked is held against the checksum all the same.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Protocol, cast

from modelgate.values import dataclass

WINDOW = 32 * 1024  # bytes of what was unpacked, which what follows may refer to


class Inflater(Protocol):
    """Unpacks one deflate stream.

    Attributes:
        needs_input: whether there is nothing more to be had from what was given.
        eof: whether the stream's end was reached.
        unused_data: what was given beyond the stream's end.
    """

    @property
    def needs_input(self) -> bool: ...
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, packed: bytes, most: int, /) -> bytes:
        """At most so many bytes.

        Raises:
            one of ``Deflate.errors``: the stream is damaged.
        """


@dataclass(frozen=True)
class Deflate:
    """A library that unpacks.

    Attributes:
        inflater: begins a stream; what was unpacked before it, ``WINDOW`` bytes at most, can be given.
        crc32: of some bytes, continued from the checksum of those before.
        errors: what a damaged stream raises.
    """

    inflater: Callable[[bytes], Inflater]
    crc32: Callable[[bytes, int], int]
    errors: tuple[type[Exception], ...]


@lru_cache
def fastest() -> Deflate:
    """ISA-L where there is a build for the machine, zlib otherwise."""
    try:
        from isal import igzip_lib, isal_zlib
    except ImportError:
        return by_zlib()

    def inflater(window: bytes) -> Inflater:
        before = (window,) if window else ()
        return igzip_lib.IgzipDecompressor(igzip_lib.DECOMP_DEFLATE, 15, *before)

    return Deflate(inflater, isal_zlib.crc32, (cast("type[Exception]", igzip_lib.IsalError),))


def by_zlib() -> Deflate:
    return Deflate(_ZlibInflater, zlib.crc32, (zlib.error,))


class _ZlibInflater:
    """zlib with the manners of ISA-L's binding, which keeps by itself what it was given too much."""

    def __init__(self, window: bytes) -> None:
        self._zlib = zlib.decompressobj(-15, window)

    def decompress(self, packed: bytes, most: int, /) -> bytes:
        tail = self._zlib.unconsumed_tail
        return self._zlib.decompress(tail + packed if tail else packed, most)

    @property
    def needs_input(self) -> bool:
        return not self.eof and not self._zlib.unconsumed_tail

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data


@dataclass(frozen=True)
class Start:
    """Where a block of a deflate stream may start, so that an inflater could begin there.

    Attributes:
        offset: of the first byte that the inflater has to be given as it is.
        lead: what it has to be given before that byte. A block may start at any bit, an inflater only at a
            byte, so these are blocks of nothing that end at that bit, and then the rest of the byte.
        proof: how many bytes from ``offset`` on must be unpacked alike before it may be believed.
    """

    offset: int
    lead: bytes
    proof: int


def starts(packed: bytes) -> Iterator[Start]:
    """Where blocks of a deflate stream may start in some bytes of it, in order.

    Most that are found are none: whether one is, shows when it is unpacked. Found are blocks with codes of
    their own and stored ones, which is what compressors make of all but the shortest input; a block with
    the fixed codes looks like anything.
    """
    kraft = _kraft()
    for at in range(len(packed) - _LONGEST_START):
        if packed[at] ^ packed[at + 2] == packed[at + 1] ^ packed[at + 3] == 0xFF:
            # Whether it is the last block is not known: it has to be seen that something comes after it.
            yield Start(at, _STORED, 4 + packed[at] + 256 * packed[at + 1] + _PROOF)
        word = int.from_bytes(packed[at : at + _LONGEST_START], "little")
        for bit in range(8):
            head = word >> bit
            # Codes of its own: at most 286 for bytes and lengths, at most 30 for distances.
            if head & 6 == 4 and head >> 3 & 31 < 30 and head >> 8 & 31 < 30:
                taken = head >> 17 & (1 << 3 * (head >> 13 & 15) + 12) - 1
                sizes = kraft[taken & 0xFFF] + kraft[taken >> 12 & 0xFFF] + kraft[taken >> 24 & 0xFFF]
                if sizes + kraft[taken >> 36 & 0xFFF] + kraft[taken >> 48] == _COMPLETE:
                    yield Start(at + 1, _aligned(bit, packed[at]), _PROOF)


_LONGEST_START = 10  # bytes: 7 bits before the block, 17 of its head, 57 with the lengths of the code's codes
_PROOF = 512  # bytes; wrong codes do not unpack so many to what the right ones do
_STORED = b"\0"  # the head of a stored block; its length follows on the next byte
_COMPLETE = 128  # a code of n bits takes 128 / 2ⁿ of all patterns; a good code takes them all


@lru_cache
def _kraft() -> tuple[int, ...]:
    """Of four lengths of three bits each: how much of all patterns codes of those lengths take."""
    takes = [0, *(_COMPLETE >> length for length in range(1, 8))]
    return tuple(sum(takes[four >> place & 7] for place in (0, 3, 6, 9)) for four in range(4096))


# A block of nothing by the fixed codes, whose end takes seven bits of zero; and, for an odd number of bits,
# one by codes of its own. The lengths' code there has one bit each for "many zeros" and for 1, and it says:
# 138 zeros, 117 zeros, and a length of 1 for the literal 255, for the end, for one distance. Then the end.
_EVEN_BITS, _EVEN = 10, 0b0000000_01_0
_ODD_BITS, _ODD = 91, 0x46AFF90000000000081C004


def _aligned(bit: int, byte: int) -> bytes:
    """Blocks of nothing that end where a bit of a byte is to begin, and what the byte has from there on."""
    length, bits = (_ODD_BITS, _ODD) if bit % 2 else (0, 0)
    while length % 8 != bit:
        bits |= _EVEN << length
        length += _EVEN_BITS
    return (bits | (byte >> bit << length)).to_bytes(length // 8 + 1, "little")
