"""Lists in pages, as every List operation of SageMaker's gives them."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from localcloud.calls import Call
from localcloud.errors import invalid

T = TypeVar("T")


class Job(Protocol):
    """A job as lists tell of it."""

    name: str
    created: dt.datetime

    @property
    def status(self) -> str:
        """SageMaker's word."""

    @property
    def modified(self) -> dt.datetime:
        """When its status changed last."""

    def summary(self) -> dict[str, Any]:
        """As a list has it."""


_PAGE = 10


def utc(moment: dt.datetime) -> dt.datetime:
    """A time that says that it is in UTC; botocore's parser leaves that out."""
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def created_within(call: Call, created: dt.datetime) -> bool:
    """Whether something was made in the span of CreationTimeAfter and CreationTimeBefore."""
    after, before = call.params.get("CreationTimeAfter"), call.params.get("CreationTimeBefore")
    return (after is None or created > utc(after)) and (before is None or created < utc(before))


def in_order(call: Call, items: Sequence[T], keys: Mapping[str, Callable[[T], Any]], by: str) -> list[T]:
    """Sorted as SortBy (``by``, if it is not given) and SortOrder say; newest first if they do not."""
    key = keys[call.params.get("SortBy", by)]
    descending = call.params.get("SortOrder", "Descending") == "Descending"
    return sorted(items, key=key, reverse=descending)


def page(call: Call, items: Sequence[T]) -> tuple[list[T], dict[str, str]]:
    """The page that is asked for, and the members that lead to the next one.

    Raises:
        ServiceError: the token is not one that was given out.
    """
    token = call.params.get("NextToken")
    try:
        start = int(base64.b64decode(token)) if token else 0
    except ValueError as error:
        raise invalid("Invalid NextToken.") from error
    end = start + int(call.params.get("MaxResults", _PAGE))
    rest = {"NextToken": base64.b64encode(str(end).encode()).decode()} if end < len(items) else {}
    return list(items[start:end]), rest


def jobs(call: Call, records: Sequence[Job]) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """The summaries of the jobs that are asked for, and the members that lead to the next page.

    Raises:
        ServiceError: the token is not one that was given out.
    """
    part, status = call.params.get("NameContains", "").lower(), call.params.get("StatusEquals")
    after, before = call.params.get("LastModifiedTimeAfter"), call.params.get("LastModifiedTimeBefore")
    found = [
        record
        for record in records
        if part in record.name.lower()
        and status in {None, record.status}
        and created_within(call, record.created)
        and (after is None or record.modified > utc(after))
        and (before is None or record.modified < utc(before))
    ]
    keys: dict[str, Callable[[Job], Any]] = {
        "Name": lambda record: record.name,
        "CreationTime": lambda record: record.created,
        "Status": lambda record: record.status,
    }
    chosen, rest = page(call, in_order(call, found, keys, "CreationTime"))
    return [record.summary() for record in chosen], rest
