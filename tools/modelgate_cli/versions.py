"""The versions of a group, and which of them serves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING

from modelgate.aws.errors import translated
from modelgate.deployment.planner import Nothing
from modelgate.errors import NotFound
from modelgate_cli.complaints import Complaint
from modelgate_cli.endpoints import live_version, wish_of
from modelgate_cli.screen import metrics_in_words, moment, table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.table import Table

    from modelgate_cli.stack import Stack


@dataclass(frozen=True)
class Version:
    """A version as people want to see it.

    Attributes:
        description: why it was approved or rejected.
        serves: those that hold of ``live``, ``desired`` and ``pinned``, with commas; or empty.
    """

    version: int
    approval: str
    description: str
    metrics: dict[str, float]
    submission: str | None
    created_at: datetime
    serves: str


def versions_of(stack: Stack, group: str, limit: int) -> list[Version]:
    """The newest versions, newest first.

    Raises:
        Complaint: the group is not there, or empty.
    """
    found = list(islice(_listed(stack, group), limit))
    if not found:
        mend = f"see its spelling, or submit the first version: modelgate submit DIR {group}"
        raise Complaint(f"there is no version of a group {group} in the registry", mend)
    marks = _marks(stack, group)
    versions = []
    for number, created_at in found:
        package = stack.registry.describe(group, number)
        if package is None:
            continue  # deleted since it was listed
        serves = [word for word, which in marks.items() if number in which]
        versions.append(
            Version(
                version=number,
                approval=package.approval,
                description=package.description,
                metrics=package.metrics,
                submission=package.submission.name if package.submission else None,
                created_at=created_at,
                serves=", ".join(serves),
            )
        )
    return versions


def _marks(stack: Stack, group: str) -> dict[str, set[int | None]]:
    """By word, the versions that it holds of."""
    live: set[int | None] = set()
    desired: set[int | None] = set()
    pinned: set[int | None] = set()
    for state in stack.states_of(group):
        wish = wish_of(stack, state, {})
        live.add(live_version(state) if stack.reconciler.observe(state) else None)
        desired.add(None if isinstance(wish, Nothing) else wish.version)
        pinned.add(state.pin.version if state.pin else None)
    return {"live": live, "desired": desired, "pinned": pinned}


def shown(versions: list[Version]) -> Table:
    listing = table("version", "approval", "serves", "metrics", "submission", "registered", "why")
    for each in versions:
        listing.add_row(
            str(each.version),
            each.approval,
            each.serves or "–",
            metrics_in_words(each.metrics),
            each.submission or "–",
            moment(each.created_at),
            each.description or "–",
        )
    return listing


def _listed(stack: Stack, group: str) -> Iterator[tuple[int, datetime]]:
    try:
        with translated("ListModelPackages"):
            pages = stack.sagemaker.get_paginator("list_model_packages").paginate(
                ModelPackageGroupName=group, SortBy="CreationTime", SortOrder="Descending"
            )
            for page in pages:
                for each in page["ModelPackageSummaryList"]:
                    yield each["ModelPackageVersion"], each["CreationTime"]
    except NotFound:
        return
