"""Which groups and endpoints there are: what the sweep goes through.

Names only. What is known of an endpoint is in its own item, and of a group in the registry.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from modelgate.ports import Record

if TYPE_CHECKING:
    from modelgate.ports import Table

_KEY = "DIRECTORY"
_GROUP = "GROUP#"
_ENDPOINT = "ENDPOINT#"


def entry_of_group(group: str) -> Record:
    """What is written with the first thing that is known of a group."""
    return Record(_KEY, f"{_GROUP}{group}", json.dumps({"group": group}), None)


def entry_of_endpoint(endpoint: str, group: str) -> Record:
    """What is written with the first item of an endpoint."""
    document = json.dumps({"endpoint": endpoint, "group": group})
    return Record(_KEY, f"{_ENDPOINT}{endpoint.lower()}", document, None)


class Directory:
    """Reads the entries."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def groups(self) -> list[str]:
        """Every group that a version was registered in, or that has an endpoint."""
        return [json.loads(record.document)["group"] for record in self._table.query(_KEY, _GROUP)]

    def endpoints(self) -> dict[str, str]:
        """The group of every endpoint that there is an item of, by the endpoint's name."""
        entries = [json.loads(record.document) for record in self._table.query(_KEY, _ENDPOINT)]
        return {entry["endpoint"]: entry["group"] for entry in entries}
