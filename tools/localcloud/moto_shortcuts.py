"""Shortcuts through moto: the same answers for less work.

Each stands in the place of a function of moto's for as long as a local cloud runs. What they spare was found
with a profiler: a fifth of what a call took here, and all that grew with the number of items in a table.
"""

from __future__ import annotations

import copy
import secrets
from collections.abc import Callable, Iterator
from functools import cache
from inspect import signature
from typing import Any

from moto.core import responses, serialize, utils

Replacement = tuple[object, str, object]


def of_every_service() -> Iterator[Replacement]:
    """What is replaced: where it stands, its name there, and by what."""
    yield responses, "method_names_from_class", cache(utils.method_names_from_class)
    yield responses, "gen_amzn_requestid_long", _request_id
    serializer = serialize.ResponseSerializer
    yield serializer, "get_value", _getting_what_is_there(serializer.get_value)


def of_dynamodb() -> Iterator[Replacement]:
    """The same for DynamoDB alone, which takes a while to import."""
    from moto.dynamodb import models
    from moto.dynamodb.models.table import Table

    yield Table, "query", _querying_one_partition(Table.query)
    yield models, "copy", _CopyingNoTables
    backend = models.DynamoDBBackend
    yield backend, "transact_write_items", _undoing(backend.transact_write_items)


def _request_id(headers: dict[str, Any] | None = None) -> str:
    """Each answer has an id of 52 letters, and moto draws them one by one."""
    made = secrets.token_hex(26).upper()
    if headers is not None:
        headers["x-amzn-requestid"] = made
    return made


# ── answers ───────────────────────────────────────────────────────────────────────────────────────


def _getting_what_is_there(get_value: Callable[..., Any]) -> Callable[..., Any]:
    """Most members of an answer's model are not in it, and moto looks for each under many names.

    Which names those are depends on the model alone, where the answer is a plain dictionary.
    """
    known: dict[tuple[type, Any, str], frozenset[str]] = {}

    def get(self: Any, value: Any, key: str, shape: Any) -> Any:
        picker = self._value_picker
        if type(value) is not dict or getattr(picker, "response_transformers", None):
            return get_value(self, value, key, shape)
        place = type(picker), shape, key
        names = known.get(place)
        if names is None:
            names = known[place] = _names(picker, key, shape)
        return None if names.isdisjoint(value) else get_value(self, value, key, shape)

    return get


def _names(picker: Any, key: str, shape: Any) -> frozenset[str]:
    """The names under which a member may stand in a dictionary; of a path its beginning."""
    if not isinstance(picker, serialize.AttributePicker):
        return frozenset({key.partition(".")[0]})
    context: Any = serialize.AttributePickerContext(
        obj={}, key=key, shape=shape, operation_model=None, service_model=None, key_path=""
    )
    return frozenset(name.partition(".")[0] for name in picker.get_possible_keys(context))


# ── tables ────────────────────────────────────────────────────────────────────────────────────────


def _querying_one_partition(query: Callable[..., Any]) -> Callable[..., Any]:
    """A query is about one partition, and moto sorts all items of the table for it."""
    parameters = signature(query)

    def query_partition(self: Any, *args: Any, **kwargs: Any) -> Any:
        asked = parameters.bind(self, *args, **kwargs).arguments
        if asked.get("index_name") or self.range_key_attr is None:
            return query(self, *args, **kwargs)
        partition = copy.copy(self)
        partition.items = {asked["hash_key"]: self.items.get(asked["hash_key"], {})}
        return query(partition, *args, **kwargs)

    return query_partition


class _CopyingNoTables:
    """In the place of the module copy: moto copies the whole of a table before each transaction."""

    @staticmethod
    def deepcopy(original: Any) -> Any:
        from moto.dynamodb.models.table import Table

        undone_here = isinstance(original, Table) and original.stream_shard is None
        return original if undone_here else copy.deepcopy(original)


def _undoing(transact: Callable[[Any, list[dict[str, Any]]], None]) -> Callable[..., None]:
    """A transaction that is refused leaves its items as they were; no other item is looked at."""

    def transact_or_undo(self: Any, transact_items: list[dict[str, Any]]) -> None:
        before = [place for item in transact_items for place in _places(self, item)]
        try:
            transact(self, transact_items)
        except Exception:
            for items, key, item in before:
                items.pop(key, None)
                if item is not None:
                    items[key] = item
            raise

    return transact_or_undo


def _places(backend: Any, entry: dict[str, Any]) -> Iterator[tuple[dict[Any, Any], Any, Any]]:
    """Where the item of an operation is kept, under which key, and a copy of it; None if there is none."""
    from moto.dynamodb.models.dynamo_type import DynamoType

    for operation in entry.values():
        table = backend.tables.get(operation.get("TableName", ""))
        key = operation.get("Key") or operation.get("Item") or {}
        if table is None or not set(table.table_key_attrs) <= set(key):
            continue  # which is refused
        items, place = table.items, DynamoType(key[table.hash_key_attr])
        if table.range_key_attr is not None:
            items, place = items[place], DynamoType(key[table.range_key_attr])
        yield items, place, copy.deepcopy(items.get(place))
