"""Calls that do not wait for one another."""

from __future__ import annotations

from collections import deque
from contextvars import copy_context
from threading import Thread
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    T = TypeVar("T")

# As many as botocore keeps connections open for.
_AT_A_TIME = 10


def side_by_side(calls: Iterable[Callable[[], T]]) -> list[T]:
    """Makes the calls in threads, ten at a time; what they returned, in their order.

    Where one fails, those that have begun come to their end and the rest never begin. Of several errors the
    first in the order of the calls is raised.
    """
    left = deque(enumerate(calls))
    count = len(left)
    returned: dict[int, T] = {}
    raised: dict[int, BaseException] = {}

    def work() -> None:
        while not raised:
            try:
                number, call = left.popleft()
            except IndexError:
                return
            try:
                returned[number] = call()
            except BaseException as error:  # noqa: BLE001 - raised below, in the thread that asked
                raised[number] = error

    # This thread works as well, so that a single call takes no other.
    threads = [Thread(target=copy_context().run, args=(work,)) for _ in range(min(count, _AT_A_TIME) - 1)]
    for thread in threads:
        thread.start()
    work()
    for thread in threads:
        thread.join()
    if raised:
        raise raised[min(raised)]
    return [returned[number] for number in range(count)]
