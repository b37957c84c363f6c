"""The order of lists: as things were made, the oldest first, unless it is said otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from localcloud.calls import Call
from localcloud.sagemaker.studio.entities import Entity

E = TypeVar("E", bound=Entity)


def in_order(call: Call, entities: Sequence[E]) -> list[E]:
    """Sorted as SortBy and SortOrder say."""
    by_change = call.params.get("SortBy") == "LastModifiedTime"
    return sorted(
        entities,
        key=lambda entity: entity.modified if by_change else entity.created,
        reverse=call.params.get("SortOrder") == "Descending",
    )
