"""One after the other, where the trouble of one must not keep the others waiting."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from modelgate.errors import AwsError, NotYet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    N = TypeVar("N")
    R = TypeVar("R")


def in_turn(names: Iterable[N], visit: Callable[[N], R]) -> list[R]:
    """Visits each; what came of each.

    Raises:
        NotYet, AwsError: the first trouble, once all were visited.
    """
    results, trouble = [], None
    for name in names:
        try:
            results.append(visit(name))
        except (NotYet, AwsError) as error:
            trouble = trouble or error
    if trouble:
        raise trouble
    return results
