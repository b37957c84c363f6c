"""Waiting for a condition, with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from modelgate_cli.complaints import TROUBLE, Complaint

T = TypeVar("T")

# What is looked at costs a call each time: quick at first, and patient with what takes minutes.
_FIRST_PAUSE, _GROWTH, _LONGEST_PAUSE = 0.1, 1.4, 3.0


def wait_for(
    look: Callable[[], T | None],
    *,
    seconds: float,
    what: str,
    mend: str,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    """What ``look`` finds, as soon as it is not None.

    Args:
        seconds: how long at most.
        what: what is waited for, for the complaint.
        mend: where to look when it did not come.

    Raises:
        Complaint: the time is over.
    """
    end = clock() + seconds
    pause = _FIRST_PAUSE
    while (found := look()) is None:
        left = end - clock()
        if left <= 0:
            raise Complaint(f"{what} did not come within {seconds:g} seconds", mend, TROUBLE)
        sleep(min(pause, left))
        pause = min(pause * _GROWTH, _LONGEST_PAUSE)
    return found
