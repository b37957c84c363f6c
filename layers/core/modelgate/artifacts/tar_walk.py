"""Walks through a tar that is given bit by bit: ustar, GNU and pax (IEEE Std 1003.1, "pax").

Stricter than the tools that unpack: what they would guess, or pass over, is damage here. Nothing of the
content is held but what is asked for, and a walk can be taken up by another process anywhere.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from modelgate.artifacts.gzip_stream import Limits

_BLOCK = 512
_LONG = {tarfile.GNUTYPE_LONGNAME: "path", tarfile.GNUTYPE_LONGLINK: "linkpath"}
_EXTENDED = frozenset((tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.XGLTYPE, *_LONG))
_FILES = frozenset((tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE))
_WITHOUT_CONTENT = frozenset(
    (
        tarfile.LNKTYPE,
        tarfile.SYMTYPE,
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
        tarfile.DIRTYPE,
        tarfile.FIFOTYPE,
    )
)
# Of pax headers only what says what is where; the keys of sparse files stand for themselves.
_KEYS = frozenset(("path", "linkpath", "size", "GNU.sparse.name"))
_SPARSE = "GNU.sparse."
_MOST_DIGITS = 20
_TOO_LARGE_FOR_A_HEADER = 8 * 1024**3  # bytes: from there on the header's own size may be anything
_HEADER, _CONTENT = "header", "content"


@dataclass(frozen=True, slots=True)
class Entry:
    """What a header, with the extended ones before it, says of a member.

    Attributes:
        name, target: as they stand there; ``target`` is a link's.
        size: of the content, in bytes.
        type: the header's type flag.
        sparse: whether it is stored with holes.
    """

    name: str
    target: str
    size: int
    type: bytes
    sparse: bool

    @property
    def is_file(self) -> bool:
        return self.type in _FILES


class Unsound(Exception):
    """It is not a tar, or damaged."""


class Listener(Protocol):
    """Who wants to know what is in the tar."""

    def begins(self, entry: Entry) -> int:
        """Is told of each member. How many of its first bytes are wanted?"""

    def content(self, first: bytes) -> None:
        """Those, once all of them are there; fewer where the file has no more, and no call for none."""


@dataclass
class TarWalk:
    """One walk. Its fields are all that there is to know of where it stands: numbers, strings and bytes.

    Attributes:
        begun: whether anything came at all.
        ended: whether the end of the tar was seen.
        followed: whether something else than zeros came behind it.
    """

    limits: Limits
    begun: bool = False
    ended: bool = False
    followed: bool = False
    awaits: str = _HEADER  # or the type of an extended one, or _CONTENT
    wanted: int = _BLOCK  # bytes of that
    held: bytes = b""  # what there is of them
    behind: int = 0  # bytes that are passed over once they are there
    skip: int = 0  # bytes to be passed over now
    to_all: dict[str, str] = field(default_factory=dict)  # what extended headers say of all members
    to_next: dict[str, str] = field(default_factory=dict)

    def feed(self, data: bytes, listener: Listener) -> None:
        """Takes the next bytes of the tar.

        Raises:
            Unsound: it is not a tar, or damaged. Nothing may be fed any more.
        """
        self.begun = self.begun or bool(data)
        at = 0
        while at < len(data) and not self.ended:
            if self.skip:
                step = min(self.skip, len(data) - at)
                self.skip -= step
            else:
                step = min(self.wanted - len(self.held), len(data) - at)
                self.held += data[at : at + step]
                if len(self.held) == self.wanted:
                    self._take(listener)
            at += step
        if self.ended and not self.followed:
            self.followed = bool(data[at:].strip(b"\0"))

    def finish(self) -> None:
        """
        Raises:
            Unsound: there is nothing, or it was cut within a member.
        """
        if not self.begun:
            raise Unsound("it is empty")
        if self.awaits == _HEADER and self.held:
            raise Unsound("truncated header")
        if self.awaits != _HEADER or self.skip:
            raise Unsound("unexpected end of data")
        if self.to_next:
            raise Unsound("an extended header without a member")

    def _take(self, listener: Listener) -> None:
        awaited, held = self.awaits, self.held
        self.awaits, self.wanted, self.held = _HEADER, _BLOCK, b""
        self.skip, self.behind = self.behind, 0
        if awaited == _CONTENT:
            listener.content(held)
        elif awaited != _HEADER:
            self._extended(awaited.encode(), held)
        elif held.strip(b"\0"):
            self._header(held, listener)
        elif self.to_next:
            raise Unsound("an extended header without a member")
        else:
            self.ended = True

    def _await(self, what: str, wanted: int, stored: int) -> None:
        self.awaits, self.wanted, self.behind = what, wanted, -(-stored // _BLOCK) * _BLOCK - wanted

    def _header(self, block: bytes, listener: Listener) -> None:
        try:
            header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.HeaderError as error:
            raise Unsound(str(error)) from error
        self._check_size(header.name, header.size)
        if header.type in _EXTENDED:
            if header.size > self.limits.header_bytes:
                raise Unsound(f"an extended header of {header.size:,} bytes")
            self._await(header.type.decode(), header.size, header.size)
            return
        if header.type == tarfile.GNUTYPE_SPARSE:
            # Further blocks with its holes may follow, and no two versions of tar agree on the rest.
            raise Unsound(f"{header.name!a} is stored as a sparse file")
        entry = self._entry(header)
        self.to_next = {}
        stored = 0 if entry.type in _WITHOUT_CONTENT else entry.size
        wanted = min(listener.begins(entry), stored)
        self._await(_CONTENT if wanted else _HEADER, wanted, stored)
        if not wanted:
            self.wanted, self.skip, self.behind = _BLOCK, self.behind, 0

    def _entry(self, header: tarfile.TarInfo) -> Entry:
        says = {**self.to_all, **self.to_next}
        name = says.get("GNU.sparse.name") or says.get("path") or header.name
        size = header.size
        if said := says.get("size"):
            if not (said.isascii() and said.isdigit() and len(said) <= _MOST_DIGITS):
                raise Unsound(f"{name!a} has a size that is no number: {said[:_MOST_DIGITS]!a}")
            size = int(said)
            self._check_size(name, size)
            if header.size not in (0, size) and size < _TOO_LARGE_FOR_A_HEADER:
                raise Unsound(f"{name!a} has two sizes, {header.size:,} and {size:,} bytes")
        return Entry(name, says.get("linkpath") or header.linkname, size, header.type, _SPARSE in says)

    def _check_size(self, name: str, size: int) -> None:
        if not 0 <= size <= self.limits.unpacked_bytes:
            raise Unsound(f"{name!a} claims to have {size:,} bytes")

    def _extended(self, kind: bytes, body: bytes) -> None:
        if kind in _LONG:
            self.to_next[_LONG[kind]] = _text(body.partition(b"\0")[0])
            return
        says = self.to_all if kind == tarfile.XGLTYPE else self.to_next
        for key, value in _records(body):
            if key in _KEYS:
                says[key] = value
            if key.startswith(_SPARSE):
                says[_SPARSE] = "yes"


def _records(body: bytes) -> Iterator[tuple[str, str]]:
    """What a pax header says: ``18 path=code/a.py\\n``, where the number counts all of the record's bytes."""
    body = body.rstrip(b"\0")
    at = 0
    while at < len(body):
        digits, _, _ = body[at : at + _MOST_DIGITS].partition(b" ")
        end = at + int(digits) if digits.isdigit() else 0
        record = body[at + len(digits) + 1 : end]
        key, equals, value = record.removesuffix(b"\n").partition(b"=")
        if end > len(body) or not key or not equals or not record.endswith(b"\n"):
            raise Unsound("an extended header that is not well formed")
        yield _text(key), _text(value)
        at = end


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
