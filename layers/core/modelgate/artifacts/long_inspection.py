"""Inspection in parts, for a model.tar.gz that takes longer to read than one invocation may.

A part reads on until it is told to pause, looks for the next place where a block of the deflate stream
starts, and hands back a state of some kilobytes: the 32 KB of content that the next block may refer to, the
checksum so far, where the walk through the tar stands, and what was seen. The next part begins there, in any
process. A part that dies is done again, from the same state. The verdicts are ``inspection.inspect``'s.

Of SHA-256 no state can be carried. So the digest is made of pieces, as Amazon S3 makes its composite
checksums: the SHA-256 of the SHA-256s, 32 bytes each, of every 64 MiB of the compressed file.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, astuple, fields
from typing import Any

from modelgate.artifacts.gzip_stream import PACK, Gunzip, GzipState, Limits, Readable
from modelgate.artifacts.inspection import LIMITS, Artifact, Member, Reading, is_script
from modelgate.artifacts.read_ahead import CHUNK, ReadAhead
from modelgate.artifacts.tar_walk import TarWalk
from modelgate.errors import Problem, Refused
from modelgate.values import dataclass

PIECE = 64 * 1024**2  # bytes of the compressed file that are hashed together

# Amazon S3 gives one function about 75 MB/s, whatever its memory, and unpacking is slower than that only on
# less than a third of a processor. A fifth is left for bad days.
RATE = 60_000_000  # compressed bytes per second

ASK_EVERY = 4 * 1024**2  # compressed bytes
# No compressor in use makes blocks of more than about a megabyte.
_MOST_SEARCHED = 8 * 1024**2


def fits(size: int, seconds: float) -> bool:
    """Whether an artifact of so many compressed bytes can be read in one go in so many seconds."""
    return size <= RATE * seconds


@dataclass(frozen=True)
class Paused:
    """An artifact that is read as far as one part went.

    Attributes:
        state: from which the next part goes on; only this version of Modelgate understands it.
        read_bytes: compressed bytes that are done with.
    """

    state: bytes
    read_bytes: int


def inspect_part(
    open_at: Callable[[int], Readable],
    pause: Callable[[], bool],
    *,
    state: bytes = b"",
    keep: Callable[[str], bool] = is_script,
    where: str = "model.tar.gz",
    limits: Limits = LIMITS,
    ask_every: int = ASK_EVERY,
    chunk: int = CHUNK,
) -> Artifact | Paused:
    """Read an artifact on, from its beginning or from where the part before paused.

    Args:
        open_at: the artifact's content from a byte on. Must be the very same in each part.
        pause: asked every few megabytes. Once it says so, a place to pause is looked for, which takes less
            than a second as a rule, and half a minute where there is none.
        state: of the part before; empty for the first part.
        keep, where, limits: as of ``inspection.inspect``; the same in each part.
        ask_every: so many compressed bytes after which ``pause`` is asked.
        chunk: so many compressed bytes are read at a time.

    Returns:
        What the artifact holds if this was the last part; else the state for the next.

    Raises:
        Refused: as by ``inspection.inspect``; or there is no place to pause.
    """
    gzip, pieces, reading = _restored(state, keep, where, limits)
    gunzip = Gunzip(limits, where, gzip)
    digest = _Pieces(pieces)
    known = gzip.packed_bytes - digest.hashed_bytes
    since_asked = searched = 0
    with ReadAhead(open_at(digest.hashed_bytes), digest, chunk) as ahead:
        for packed in _behind(known, ahead):
            if searched or (since_asked >= ask_every and pause()):
                searched += len(packed)
                for found in gunzip.feed_until_start(packed):
                    if isinstance(found, GzipState):
                        return _paused(found, digest, reading)
                    reading.feed(found)
                if searched > _MOST_SEARCHED:
                    raise _without_a_pause(where)
            else:
                since_asked = 0 if since_asked >= ask_every else since_asked + len(packed)
                for unpacked in gunzip.feed(packed):
                    reading.feed(unpacked)
        gunzip.finish()
        reading.finish()
        return reading.artifact(gunzip.packed_bytes, digest.hexdigest(), in_pieces=True)


def _without_a_pause(where: str) -> Refused:
    blocks = f"blocks of more than {_MOST_SEARCHED / 1e6:.0f} MB"
    found = f"is too large to be read in one go, and compressed in {blocks}"
    return Refused(Problem(where, found, f"compress it with gzip or pigz: {PACK}"))


def _behind(offset: int, chunks: Iterable[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        if offset < len(chunk):
            yield chunk[offset:]
        offset = max(0, offset - len(chunk))


class _Pieces:
    """The digest of a file by its pieces, from the piece on behind those whose own are given."""

    def __init__(self, done: Sequence[bytes]) -> None:
        self.done = list(done)
        self._piece = hashlib.sha256()
        self._missing = PIECE

    @property
    def hashed_bytes(self) -> int:
        """Of the pieces that are whole."""
        return PIECE * len(self.done)

    def update(self, data: bytes, /) -> None:
        while data:
            now, data = data[: self._missing], data[self._missing :]
            self._piece.update(now)
            self._missing -= len(now)
            if not self._missing:
                self.done.append(self._piece.digest())
                self._piece, self._missing = hashlib.sha256(), PIECE

    def hexdigest(self) -> str:
        last = [self._piece.digest()] if self._missing < PIECE else []
        return hashlib.sha256(b"".join((*self.done, *last))).hexdigest()


_WALKED = tuple(each.name for each in fields(TarWalk) if each.name != "limits")
_SEEN = ("texts", "links", "open", "keeps_open", "entries", "kept_bytes", "unsound")


def _paused(gzip: GzipState, digest: _Pieces, reading: Reading) -> Paused:
    state = {
        "gzip": asdict(gzip),
        # The thread that hashes may be ahead of what is done with.
        "pieces": digest.done[: gzip.packed_bytes // PIECE],
        "walk": {name: getattr(reading.walk, name) for name in _WALKED},
        "seen": {name: getattr(reading, name) for name in _SEEN},
        "members": [astuple(member) for member in reading.members.values()],
        "problems": [astuple(problem) for problem in reading.problems],
    }
    return Paused(zlib.compress(json.dumps(state, default=_of_bytes).encode()), gzip.packed_bytes)


def _restored(
    state: bytes, keep: Callable[[str], bool], where: str, limits: Limits
) -> tuple[GzipState, list[bytes], Reading]:
    reading = Reading(keep, where, limits)
    if not state:
        return GzipState(), [], reading
    read = json.loads(zlib.decompress(state), object_hook=_to_bytes)
    reading.walk = TarWalk(limits, **read["walk"])
    reading.members = {name: Member(name, *rest) for name, *rest in read["members"]}
    reading.problems = [Problem(*problem) for problem in read["problems"]]
    for name in _SEEN:
        setattr(reading, name, read["seen"][name])
    return GzipState(**read["gzip"]), read["pieces"], reading


def _of_bytes(value: bytes) -> dict[str, str]:
    return {_BYTES: base64.b64encode(value).decode()}


def _to_bytes(value: dict[str, Any]) -> Any:
    return base64.b64decode(value[_BYTES]) if value.keys() == {_BYTES} else value


_BYTES = "base64 "
