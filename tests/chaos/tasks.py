"""Handlers take turns: each runs in a greenlet that stops before every call to AWS.

So which handler makes which call when is decided by the schedule alone, and two of them really
interleave, on one thread and always in the same way.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, TypeVar

from greenlet import getcurrent, greenlet

from modelgate.errors import Throttled, TimedOut
from tests.fakes.aws import Calls, Crash

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    T = TypeVar("T")


class Fate(Enum):
    """What becomes of the next call of a handler."""

    GOES_WELL = auto()
    THROTTLED = auto()
    ANSWER_LOST = auto()
    DIES_BEFORE = auto()
    DIES_AFTER = auto()


@dataclass(frozen=True)
class Delivery:
    """An event on its way to a function, as EventBridge and Lambda have it.

    Attributes:
        function: the function's name.
        event: what it gets.
        request_id: Lambda's; its retries keep it.
        retries: how many there were.
        version: the version whose approval it tells of; 0 for any other event.
    """

    function: str
    event: dict[str, Any]
    request_id: str
    retries: int = 0
    version: int = 0


@dataclass
class Task:
    """A handler that is running.

    Attributes:
        delivery: what it works on.
        until: when Lambda ends it.
        waits_for: the call that it makes next.
        looked_at: by version, when it last described the package.
    """

    delivery: Delivery
    until: datetime
    run: Callable[[], None]
    waits_for: str = ""
    error: BaseException | None = None
    looked_at: dict[int, datetime] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._greenlet = greenlet(self._run)
        self._greenlet.task = self  # type: ignore[attr-defined]  # greenlets take attributes

    @property
    def over(self) -> bool:
        return self._greenlet.dead

    def go_on(self, fate: Fate = Fate.GOES_WELL) -> None:
        """Until before its next call to AWS, or to its end."""
        self._greenlet.switch(fate)

    def pause(self, call: str) -> Fate:
        """Called by the handler's own greenlet: waits until it may make the call."""
        self.waits_for = call
        fate: Fate = self._greenlet.parent.switch()  # type: ignore[union-attr]  # it has one
        return fate

    def _run(self, fate: Fate) -> None:
        if fate in {Fate.DIES_BEFORE, Fate.DIES_AFTER}:
            self.error = Crash()
            return
        try:
            self.run()
        except BaseException as error:  # noqa: BLE001 - whatever it is belongs to the task
            self.error = error


class TakingTurns(Calls):
    """Calls that are made when the schedule says so, and go as it says."""

    def __init__(self) -> None:
        super().__init__()
        self.after: Callable[[str], None] = lambda _: None
        self._watching = False

    def make(self, name: str, call: Callable[[], T]) -> T:
        task: Task | None = getattr(getcurrent(), "task", None)
        if task is None or self._watching:
            return call()  # whoever looks at the world from outside
        fate = task.pause(name)
        if fate is Fate.DIES_BEFORE:
            raise Crash
        if fate is Fate.THROTTLED:
            raise Throttled(name, "ThrottlingException", "slow down")
        self.made.append(name)
        result = call()
        self._watching = True
        try:
            self.after(name)
        finally:
            self._watching = False
        if fate is Fate.ANSWER_LOST:
            raise TimedOut(name, "ReadTimeoutError", "no answer")
        if fate is Fate.DIES_AFTER:
            raise Crash
        return result


def current_task() -> Task | None:
    """The handler whose call is being made."""
    return getattr(getcurrent(), "task", None)
