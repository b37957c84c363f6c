"""The items of endpoints and their closed attempts in the table."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from modelgate.deployment.facts import Closed
from modelgate.deployment.state import EndpointState
from modelgate.directory import entry_of_endpoint, entry_of_group
from modelgate.ports import Record

if TYPE_CHECKING:
    from modelgate.ports import Table


@cache
def _of_states() -> TypeAdapter[EndpointState]:
    return TypeAdapter(EndpointState)


@cache
def _of_closed_attempts() -> TypeAdapter[Closed]:
    return TypeAdapter(Closed)


def key_of(endpoint: str) -> str:
    """SageMaker takes names that differ in case only for the same, and so does the table."""
    return f"ENDPOINT#{endpoint.lower()}"


class EndpointStates:
    """Reads and writes the items of endpoints."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def load(self, endpoint: str) -> EndpointState | None:
        record = self._table.get(key_of(endpoint), "STATE")
        if record is None:
            return None
        return replace(_of_states().validate_json(record.document), revision=record.revision or 0)

    def save(self, state: EndpointState, newly_closed: tuple[Closed, ...] = ()) -> EndpointState:
        """Writes the item, and with it an item for each attempt that it closes.

        Raises:
            StaleRevision: somebody else wrote it since it was read.
        """
        saved = replace(state, revision=state.revision + 1)
        key = key_of(state.name)
        document = _of_states().dump_json(saved).decode()
        item = Record(key, "STATE", document, saved.revision, _facts(saved))
        attempts = [
            Record(key, f"ATTEMPT#{closed.number:08}", _of_closed_attempts().dump_json(closed).decode(), None)
            for closed in newly_closed
        ]
        # With the first write of an endpoint it becomes known to the sweep.
        first = state.revision == 0
        entries = [entry_of_endpoint(state.name, state.group), entry_of_group(state.group)] if first else []
        self._table.put(item, *attempts, *entries)
        return saved

    def history(self, endpoint: str) -> list[Closed]:
        """Every closed attempt, oldest first."""
        records = self._table.query(key_of(endpoint), "ATTEMPT#")
        return [_of_closed_attempts().validate_json(record.document) for record in records]


def _facts(state: EndpointState) -> tuple[tuple[str, str | int], ...]:
    live = state.release.target.version if state.release and state.release.target else 0
    desired = state.wanted.version if state.wanted else 0
    attempt = state.attempt.number if state.attempt else 0
    return (
        ("endpoint", state.name),
        ("group", state.group),
        ("live_version", live),
        ("decided_version", desired),
        ("open_attempt", attempt),
    )
