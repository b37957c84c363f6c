"""Checks a request against botocore's own model of the service, as AWS does before it looks any further.

botocore itself checks required members, types and minima. Patterns, enums and maxima are left to AWS,
and so are checked here, in AWS's words.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import regex
from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape

# Models write the supplementary planes as Java does, in surrogate pairs.
_SURROGATES = r"\uD800\uDC00-\uDBFF\uDFFF"
_SUPPLEMENTARY = r"\U00010000-\U0010FFFF"
_SHOWN = 256

_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "character": (str,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "boolean": (bool,),
    "timestamp": (dt.datetime, str, int, float),
    "blob": (bytes, bytearray, str),
    "list": (list,),
    "map": (dict,),
    "structure": (dict,),
}


@lru_cache(maxsize=4096)
def pattern(java: str) -> regex.Pattern[str]:
    """A pattern of a service model, which is a regular expression of Java's and must match in full.

    Raises:
        regex.error: Python cannot express it. No pattern is skipped silently.
    """
    return regex.compile(java.replace(_SURROGATES, _SUPPLEMENTARY).replace(r"\z", r"\Z"))


def violations(shape: Shape, params: object) -> list[str]:
    """What AWS would reject ``params`` for, one sentence each, none if it accepts them."""
    return list(_walk(shape, params, ""))


def message(found: list[str]) -> str:
    """AWS's message for violations."""
    plural = "" if len(found) == 1 else "s"
    return f"{len(found)} validation error{plural} detected: " + "; ".join(found)


def wrong_type(shape: Shape, value: object) -> str | None:
    """The first place whose type is wrong, which AWS refuses before it validates; None if all are right."""
    if not _has_type(shape, value):
        return f"a value of type {type(value).__name__} stands where the model has a {shape.type_name}"
    if isinstance(shape, StructureShape) and isinstance(value, Mapping):
        pairs = [(shape.members[name], item) for name, item in value.items() if name in shape.members]
    elif isinstance(shape, ListShape) and isinstance(value, list):
        pairs = [(shape.member, item) for item in value]
    elif isinstance(shape, MapShape) and isinstance(value, Mapping):
        pairs = [(shape.value, item) for item in value.values()]
    else:
        return None
    return next((found for member, item in pairs if (found := wrong_type(member, item))), None)


def _has_type(shape: Shape, value: object) -> bool:
    if getattr(shape, "is_document_type", False) or value is None:
        return True
    if isinstance(value, bool):
        return shape.type_name in {"boolean", "string"}
    return isinstance(value, _TYPES.get(shape.type_name, (object,)))


def _walk(shape: Shape, value: object, path: str) -> Iterator[str]:
    if isinstance(shape, StructureShape) and isinstance(value, Mapping):
        yield from _structure(shape, value, path)
    elif isinstance(shape, ListShape) and isinstance(value, list):
        yield from _length(shape, value, path)
        for index, item in enumerate(value, start=1):
            yield from _walk(shape.member, item, f"{path}.{index}.member")
    elif isinstance(shape, MapShape) and isinstance(value, Mapping):
        yield from _map(shape, value, path)
    else:
        for constraint in _scalar(shape, value):
            yield _sentence(value, path, constraint)


def _structure(shape: StructureShape, value: Mapping[str, Any], path: str) -> Iterator[str]:
    if getattr(shape, "is_document_type", False):
        return
    for name, member in shape.members.items():
        place = f"{path}.{_lower_first(name)}" if path else _lower_first(name)
        item = value.get(name)
        if item is not None:
            yield from _walk(member, item, place)
        elif name in shape.required_members:
            yield f"Value null at '{place}' failed to satisfy constraint: Member must not be null"


def _map(shape: MapShape, value: Mapping[str, Any], path: str) -> Iterator[str]:
    yield from _length(shape, value, path)
    keys = [constraint for key in value for constraint in _scalar(shape.key, key)]
    if keys:
        yield _sentence(value, path, f"Map keys must satisfy constraint: [{', '.join(dict.fromkeys(keys))}]")
    if isinstance(shape.value, StructureShape | ListShape | MapShape):
        for key, item in value.items():
            yield from _walk(shape.value, item, f"{path}.{key}.member")
        return
    values = [constraint for item in value.values() for constraint in _scalar(shape.value, item)]
    if values:
        constraints = ", ".join(dict.fromkeys(values))
        yield _sentence(value, path, f"Map value must satisfy constraint: [{constraints}]")


def _length(shape: Shape, value: list[Any] | Mapping[str, Any], path: str) -> Iterator[str]:
    for constraint in _bounds(shape, len(value), "length"):
        yield _sentence(value, path, constraint)


def _scalar(shape: Shape, value: object) -> Iterator[str]:
    if isinstance(value, str) and shape.type_name == "string":
        yield from _bounds(shape, len(value), "length")
        if isinstance(shape, StringShape) and shape.enum and value not in shape.enum:
            yield f"Member must satisfy enum value set: [{', '.join(shape.enum)}]"
        java = shape.metadata.get("pattern")
        if java and pattern(java).fullmatch(value) is None:
            yield f"Member must satisfy regular expression pattern: {java}"
    elif isinstance(value, bytes | bytearray):
        yield from _bounds(shape, len(value), "length")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _bounds(shape, value, "value")


def _bounds(shape: Shape, size: float, what: str) -> Iterator[str]:
    lowest, highest = shape.metadata.get("min"), shape.metadata.get("max")
    if lowest is not None and size < lowest:
        yield f"Member must have {what} greater than or equal to {lowest}"
    if highest is not None and size > highest:
        yield f"Member must have {what} less than or equal to {highest}"


def _sentence(value: object, path: str, constraint: str) -> str:
    shown = value if isinstance(value, str) else json.dumps(value, default=str)
    if len(shown) > _SHOWN:
        shown = shown[:_SHOWN] + "..."
    return f"Value '{shown}' at '{path}' failed to satisfy constraint: {constraint}"


def _lower_first(name: str) -> str:
    return name[:1].lower() + name[1:]
