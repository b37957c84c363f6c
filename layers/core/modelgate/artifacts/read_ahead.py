"""Reads a stream in a thread of its own, ahead of who uses it, and hashes what it reads.

Receiving, hashing and unpacking all release the interpreter's lock, so with two processors the first two cost
the third nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from threading import Condition
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from modelgate.artifacts.gzip_stream import Readable

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

CHUNK = 256 * 1024
_MOST_AHEAD = 4  # chunks: what is being made of them takes a millisecond each


class Digest(Protocol):
    """What is to be told of all that is read, in order."""

    def update(self, data: bytes, /) -> None: ...


class ReadAhead:
    """Iterates over a stream's content in chunks, from ``with`` on; the thread is gone behind it.

    What the stream raises is raised where its content would have come. The stream itself is left open.

    Args:
        stream: read by the thread alone.
        digest: has been told of everything that was yielded, and perhaps of what comes next.
        chunk: so many bytes each, but for the last.
    """

    def __init__(self, stream: Readable, digest: Digest, chunk: int = CHUNK) -> None:
        self._stream = stream
        self._digest = digest
        self._chunk = chunk
        self._changed = Condition()
        self._ready: deque[bytes] = deque()
        self._stopped = False  # by who uses it
        self._over = False  # by the thread

    _threads: ThreadPoolExecutor
    _reading: Future[None]

    def __enter__(self) -> Self:
        from concurrent.futures import ThreadPoolExecutor

        self._threads = ThreadPoolExecutor(max_workers=1)
        self._reading = self._threads.submit(self._read)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._threads.shutdown()

    def __iter__(self) -> Iterator[bytes]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._ready or self._over)
                if not self._ready:
                    break
                packed = self._ready.popleft()
                self._changed.notify_all()
            yield packed
        self._reading.result()

    def _read(self) -> None:
        try:
            while packed := self._filled():
                self._digest.update(packed)
                with self._changed:
                    self._changed.wait_for(lambda: len(self._ready) < _MOST_AHEAD or self._stopped)
                    if self._stopped:
                        break
                    self._ready.append(packed)
                    self._changed.notify_all()
        finally:
            with self._changed:
                self._over = True
                self._changed.notify_all()

    def _filled(self) -> bytes:
        parts, wanted = [], self._chunk
        while wanted and (part := self._stream.read(wanted)):
            parts.append(part)
            wanted -= len(part)
        return b"".join(parts)
