"""JSONPath as batch transform has it: names, numbers, several of either, slices and ``*``.

"Associate Prediction Results with Input Records" in the SageMaker Developer Guide, "Supported JSONPath
operators". Of names, SageMaker takes letters and digits only, and of slices one in a pair of brackets; so it
was reported. The guide counts the end of a slice in, but filters such as ``$[0:-1]`` are in use for all but
the last column: here, as in JSONPath, the end is not part of it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

OPERATORS = ("$", "[", "]", "*", ".", " ", ",", ":", "-", "'")

_UNKNOWN = re.compile(rf"[^A-Za-z0-9{re.escape(''.join(OPERATORS))}]")
_NAME = re.compile(r"\.(?P<name>[A-Za-z0-9-]+)")
_QUOTED = r"'[^']*'"
_NAMES = re.compile(rf"\.?\[\s*({_QUOTED}(?:\s*,\s*{_QUOTED})*)\s*\]")
_NUMBERS = re.compile(r"\[\s*(-?\d+(?:\s*,\s*-?\d+)*)\s*\]")
_SLICE = re.compile(r"\[\s*(?P<start>-?\d+)?\s*:\s*(?P<end>-?\d+)?\s*\]")
_RANGES = re.compile(r"\[\s*[-\d:,\s]+\]")
_ALL = re.compile(r"\.\*|\.?\[\s*\*\s*\]")


class JsonPathError(Exception):
    """It is no path, or leads to nothing; the message is SageMaker's, or for a job's log."""


@dataclass(frozen=True)
class Names:
    """Members of an object."""

    names: Sequence[str]


@dataclass(frozen=True)
class Numbers:
    """Elements of a list; from its end if they are negative."""

    numbers: Sequence[int]


@dataclass(frozen=True)
class Ranges:
    """What is no single slice; it fails when it is used."""

    text: str


@dataclass(frozen=True)
class All:
    """Each element, or the value of each member."""


Step = Names | Numbers | Ranges | All | slice


def steps(path: str) -> list[Step]:
    """
    Raises:
        JsonPathError: it is none that batch transform knows; the message names what is unexpected.
    """
    if unknown := _UNKNOWN.search(path):
        raise _unexpected(unknown[0])
    if not path.startswith("$"):
        raise _unexpected(path[:1])
    found: list[Step] = []
    at = 1
    while at < len(path):
        step, at = _step(path, at)
        found.append(step)
    return found


def _step(path: str, at: int) -> tuple[Step, int]:
    """The step that begins there, and where the next one does."""
    if name := _NAME.match(path, at):
        return Names((name["name"],)), name.end()
    if names := _NAMES.match(path, at):
        return Names([each[1:-1] for each in re.findall(_QUOTED, names[1])]), names.end()
    if numbers := _NUMBERS.match(path, at):
        return Numbers([int(each) for each in numbers[1].split(",")]), numbers.end()
    if part := _SLICE.match(path, at):
        start, end = (int(each) if each is not None else None for each in part.groups())
        return slice(start, end), part.end()
    if ranges := _RANGES.match(path, at):
        return Ranges(ranges[0]), ranges.end()
    if everything := _ALL.match(path, at):
        return All(), everything.end()
    raise _unexpected(path[at:])


def _unexpected(what: str) -> JsonPathError:
    return JsonPathError(f'Unexpected "{what}" in JsonPath')


def chosen(record: Any, path: str) -> Any:
    """What a path chooses of a record: one value, or several as an object or a list.

    Raises:
        JsonPathError: the path leads to nothing in it.
    """
    try:
        return _chosen(record, steps(path))
    except (KeyError, IndexError, TypeError) as error:
        raise JsonPathError(f"Invalid JsonPath: {path}: a record has nothing there ({error})") from error
    except JsonPathError as error:
        raise JsonPathError(f"Invalid JsonPath: {path}: {error}") from error


def _chosen(value: Any, rest: Sequence[Step]) -> Any:
    if not rest:
        return value
    step, *after = rest
    match step:
        case Names([name]):
            return _chosen(_of_kind(value, dict)[name], after)
        case Names(names):
            return {name: _chosen(_of_kind(value, dict)[name], after) for name in names}
        case Numbers([number]):
            return _chosen(_of_kind(value, list)[number], after)
        case Numbers(numbers):
            return [_chosen(_of_kind(value, list)[number], after) for number in numbers]
        case slice():
            return [_chosen(each, after) for each in _of_kind(value, list)[step]]
        case All():
            every = value.values() if isinstance(value, dict) else _of_kind(value, list)
            return [_chosen(each, after) for each in every]
        case Ranges(text):
            raise JsonPathError(
                "only single range filters of format (eg: [1:5]) are supported. "
                f"Format {text} is not supported"
            )


def _of_kind(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"it is no {'object' if kind is dict else 'list'}")
    return value
