"""Somebody else wrote the item in between: what they wrote decides, so begin again."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from modelgate.errors import StaleRevision

if TYPE_CHECKING:
    from collections.abc import Callable

    R = TypeVar("R")

_RESTARTS = 4


def restarting(once: Callable[[], R]) -> R:
    """Does it, anew each time that an item had been written since it was read.

    Raises:
        StaleRevision: others write without a pause.
    """
    for _ in range(_RESTARTS):
        try:
            return once()
        except StaleRevision:
            continue
    return once()
