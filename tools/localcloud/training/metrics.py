"""The metrics of a job: what the regular expressions of its MetricDefinitions find in its log."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock


@dataclass(frozen=True)
class MetricDefinition:
    """A metric's name, and an expression whose first group is its value."""

    name: str
    regex: str


@dataclass(frozen=True)
class Metric:
    """The last value of a metric that was logged."""

    name: str
    value: float
    at: dt.datetime


class MetricReader:
    """Reads the log of a job line by line, from all of its hosts."""

    def __init__(self, definitions: Sequence[MetricDefinition]) -> None:
        self._patterns = [(each.name, re.compile(each.regex)) for each in definitions]
        self._lock = Lock()
        self._found: dict[str, Metric] = {}

    def read(self, line: str) -> None:
        """Remember what a line says."""
        if not self._patterns:
            return
        now = dt.datetime.now(dt.UTC)
        for name, pattern in self._patterns:
            for match in pattern.finditer(line):
                value = _number(match)
                if value is not None:
                    with self._lock:
                        self._found[name] = Metric(name, value, now.replace(microsecond=0))

    @property
    def metrics(self) -> list[Metric]:
        """The last value of each metric that was found, in the order of the definitions."""
        with self._lock:
            return [self._found[name] for name, _ in self._patterns if name in self._found]


def _number(match: re.Match[str]) -> float | None:
    """What the first group says, if it is a number that can be told."""
    try:
        value = float(match.group(1))
    except (IndexError, TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None
