"""What is due later, and what is in flight now."""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Condition, Thread

from localcloud.errors import LocalCloudError, NotSettledError


class InFlight:
    """Counts what is under way, so that somebody can wait until nothing is.

    Whoever starts something takes a ticket before its cause is over, and gives it back when it has
    started all that follows from it: so there is no moment at which a chain of events looks finished
    and is not.
    """

    def __init__(self) -> None:
        self._changed = Condition()
        self._labels: dict[int, str] = {}
        self._numbers = itertools.count(1)
        self._faults: list[BaseException] = []

    def take(self, label: str) -> int:
        """A ticket for what ``label`` says; give it back with ``give_back``."""
        with self._changed:
            number = next(self._numbers)
            self._labels[number] = label
            return number

    def give_back(self, number: int) -> None:
        """What the ticket was for is over, or whatever follows from it has tickets of its own."""
        with self._changed:
            self._labels.pop(number, None)
            if not self._labels:
                self._changed.notify_all()

    @contextmanager
    def ticket(self, label: str) -> Iterator[None]:
        """Under way for the length of the block."""
        number = self.take(label)
        try:
            yield
        finally:
            self.give_back(number)

    def broke(self, error: BaseException) -> None:
        """A fault of the local cloud's own; whoever waits is told."""
        with self._changed:
            self._faults.append(error)
            self._changed.notify_all()

    @property
    def labels(self) -> list[str]:
        """What is under way, oldest first."""
        with self._changed:
            return list(self._labels.values())

    def settle(self, timeout: float) -> None:
        """Return when nothing is under way.

        Raises:
            NotSettledError: something still is, after ``timeout`` seconds; the message lists it.
            LocalCloudError: the local cloud itself broke; the cause is attached.
        """
        with self._changed:
            settled = self._changed.wait_for(lambda: bool(self._faults) or not self._labels, timeout)
            if self._faults:
                fault = self._faults.pop(0)
                raise LocalCloudError(f"the local cloud broke: {fault!r}") from fault
            if not settled:
                listing = "\n".join(f"  - {label}" for label in self._labels.values())
                raise NotSettledError(f"after {timeout:g} s there is still in flight:\n{listing}")


@dataclass(order=True)
class _Due:
    at: float
    number: int
    ticket: int = field(compare=False)
    action: Callable[[], object] = field(compare=False)


class Scheduler:
    """Runs actions now or later, each on a thread of a pool; what is waiting counts as in flight."""

    def __init__(self, in_flight: InFlight, threads: int = 64) -> None:
        self._in_flight = in_flight
        self._wake = Condition()
        self._heap: list[_Due] = []
        self._numbers = itertools.count()
        self._stopping = False
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="localcloud")
        self._clock = Thread(target=self._run, name="localcloud-clock", daemon=True)
        self._clock.start()

    def after(self, delay: float, label: str, action: Callable[[], object]) -> None:
        """Do ``action`` in ``delay`` seconds."""
        ticket = self._in_flight.take(label)
        if delay <= 0:
            self._start(ticket, action)
            return
        with self._wake:
            heapq.heappush(self._heap, _Due(time.monotonic() + delay, next(self._numbers), ticket, action))
            self._wake.notify()

    def halt(self) -> None:
        """Forget what is due, and start nothing any more."""
        with self._wake:
            self._stopping = True
            self._heap.clear()
            self._wake.notify()
        self._clock.join()

    def join(self) -> None:
        """Wait for what is running; ``halt`` comes first."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _run(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._stopping or bool(self._heap))
                if self._stopping:
                    return
                pause = self._heap[0].at - time.monotonic()
                if pause > 0:
                    self._wake.wait(pause)
                    continue
                due = heapq.heappop(self._heap)
            self._start(due.ticket, due.action)

    def _start(self, ticket: int, action: Callable[[], object]) -> None:
        with self._wake:
            if self._stopping:
                self._in_flight.give_back(ticket)
                return
            future = self._pool.submit(action)
        future.add_done_callback(lambda done: self._ended(ticket, done))

    def _ended(self, ticket: int, future: Future[object]) -> None:
        error = None if future.cancelled() else future.exception()
        if error is not None:
            self._in_flight.broke(error)
        self._in_flight.give_back(ticket)
