"""Metrics files: which figures of them can be judged, and what SageMaker is shown of them. Pure.

A file of the writer's own is a JSON object of numbers, flat (``{"accuracy": 0.95}``) or nested
(``{"val": {"accuracy": 0.95}}``). Whatever else stands in it is the writer's mistake, and refused.

A file in SageMaker's format has at least one of its groups, such as ``regression_metrics`` (Amazon SageMaker
AI Developer Guide, "Model Quality Metrics and Amazon CloudWatch Monitoring"). Curves, confusion matrices,
standard deviations and values that could not be computed are SageMaker's own matter there: they are left out,
and only a policy that names one is told so.
"""

from __future__ import annotations

import codecs
import json
import math
import re
from collections import Counter
from dataclasses import field
from typing import TYPE_CHECKING

from modelgate.documents import MAX_DEPTH
from modelgate.errors import Problem, Refused
from modelgate.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelgate.policy import GatePolicy

# Curves come with a point for each row of a test set; without them a file has a few KB.
MAX_BYTES = 1024 * 1024
MAX_FIGURES = 200
# Registration writes a metric on the package, under a key of CustomerMetadataProperties.
NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:/@-]{0,99}")

_MOST_PROBLEMS = 50
# No number that fits a float has more digits.
_MOST_DIGITS = 309

_REGRESSION, _BINARY, _MULTICLASS = (
    "regression_metrics",
    "binary_classification_metrics",
    "multiclass_classification_metrics",
)
_CONSTRAINTS = {
    _REGRESSION: "regression_constraints",
    _BINARY: "binary_classification_constraints",
    _MULTICLASS: "multiclass_classification_constraints",
}
# Names that only one of the groups has; accuracy is in both of those for classes.
_OF_REGRESSION = {"mae", "mse", "rmse", "r2"}
_OF_BINARY = {
    "auc",
    "precision",
    "recall",
    "f0_5",
    "f1",
    "f2",
    "true_positive_rate",
    "true_negative_rate",
    "false_positive_rate",
    "false_negative_rate",
}
# What SageMaker writes beside its groups: {"version": 0.0, "dataset": {"item_count": 4}, …}.
_NOTES = {"version", "dataset"}
_NOT_FIGURES = {
    "confusion_matrix": "a confusion matrix",
    "receiver_operating_characteristic_curve": "a curve",
    "precision_recall_curve": "a curve",
    "standard_deviation": "a standard deviation",
}


@dataclass(frozen=True)
class Metrics:
    """What a submission says of its quality.

    Attributes:
        figures: finite numbers by their dotted paths, such as ``regression_metrics.rmse``, without the
            ``.value`` at the end.
        left_out: what else a file in SageMaker's format holds, by its path, and what it is: ``a curve``.
        document: such a file as it came, with a bare NaN as the text that SageMaker writes. None: the figures
            are all there is.
    """

    figures: Mapping[str, float]
    left_out: Mapping[str, str] = field(default_factory=dict)
    document: bytes | None = None

    def paths(self, name: str) -> tuple[str, ...]:
        """What a policy may mean by a name; more than one path: the name alone does not tell."""
        return paths_of(name, {**self.left_out, **self.figures})


def paths_of(name: str, among: Mapping[str, object]) -> tuple[str, ...]:
    """The paths that a name may mean: itself, with or without ``.value``, or else those that end in it."""
    bare = name.removesuffix(".value")
    for whole in (name, bare):
        if whole in among:
            return (whole,)
    return tuple(path for path in among if path.rpartition(".")[2] == bare)


def of_figures(figures: Mapping[str, float]) -> Metrics:
    """The metrics that a manifest names itself, checked by its model."""
    return Metrics(dict(figures))


def read(text: bytes, name: str) -> Metrics:
    """Reads a metrics file; ``name`` is what errors call it.

    Raises:
        Refused: with every problem of the file.
    """
    reading = _Reading(name)
    content = reading.load(text)
    if not isinstance(content, dict):
        mend = 'write a JSON object of numbers: {"accuracy": 0.95}'
        raise Refused(Problem(name, f"is {_shown(content)}", mend))
    reading.take(content)
    reading.refuse()
    document = _as_it_came(text, content) if _is_sagemakers(content) else None
    return Metrics(reading.figures, reading.left_out, document)


class _Reading:
    """Sorts what a file holds into figures, what is left out, and problems."""

    def __init__(self, name: str) -> None:
        self.figures: dict[str, float] = {}
        self.left_out: dict[str, str] = {}
        self._name = name
        self._lenient = False
        self._problems: list[Problem] = []

    def load(self, text: bytes) -> object:
        """
        Raises:
            Refused: it is too large, too deep, or no JSON.
        """
        if len(text) > MAX_BYTES:
            limit = f"{MAX_BYTES // 1024:,} KB"
            raise Refused(
                Problem(self._name, f"is larger than {limit}", f"keep it under {limit}; leave the curves out")
            )
        try:
            decoded = text.removeprefix(codecs.BOM_UTF8).decode()
            content: object = json.loads(decoded, object_pairs_hook=self._object, parse_int=_whole)
        except (ValueError, RecursionError) as error:
            problem = Problem(self._name, f"is not JSON ({error})", "write valid JSON, UTF-8")
            raise Refused(problem) from error
        if _is_deeper(content, MAX_DEPTH):
            raise Refused(Problem(self._name, f"is nested deeper than {MAX_DEPTH} levels", "write it flat"))
        return content

    def take(self, content: Mapping[str, object]) -> None:
        self._lenient = _is_sagemakers(content)
        for key, value in content.items():
            if self._lenient and key in _NOTES:
                self.left_out[key] = "a note of SageMaker's"
            else:
                self._take(key, key, value)

    def refuse(self) -> None:
        """
        Raises:
            Refused: the file has problems, too many figures, or none.
        """
        if len(self.figures) > MAX_FIGURES:
            mend = f"keep the {MAX_FIGURES} that matter most"
            self._problem("", f"holds {len(self.figures)} figures", mend)
        if not self.figures and not self._problems:
            self._problem("", "holds no figure to judge by", 'add one: {"accuracy": 0.95}')
        more = len(self._problems) - _MOST_PROBLEMS
        if more > 0:
            rest = Problem(self._name, f"has {more} more problems of these kinds", "mend them likewise")
            self._problems[_MOST_PROBLEMS:] = [rest]
        if self._problems:
            raise Refused(*self._problems)

    def _take(self, path: str, key: str, value: object) -> None:
        if self._lenient and key in _NOT_FIGURES:
            self.left_out[_plain(path)] = _NOT_FIGURES[key]
        elif not isinstance(value, dict):
            self._take_figure(path, value)
        elif "value" in value and not isinstance(value["value"], dict):
            self._take_figure(path, value["value"])
            for beside in value.keys() - {"value"}:
                self.left_out[_plain(f"{path}.{beside}")] = _NOT_FIGURES.get(beside, "a note beside a value")
        else:
            for inner, each in value.items():
                self._take(f"{path}.{inner}", inner, each)

    def _take_figure(self, path: str, value: object) -> None:
        figure = _finite(value)
        if figure is None:
            mend = "without quotes" if isinstance(value, str) else "or leave it out"
            self._leave_out(path, _shown(value), f"write a finite number, {mend}")
        if not NAME.fullmatch(path):
            mend = "use letters, digits and _.:/@-, at most 100 of them, and a letter first"
            self._leave_out(path, "a name that cannot be used", mend)
        elif path in self.figures:
            # Also in SageMaker's format: which of the two is meant must not be guessed.
            self._problem(path, "is there twice, by two ways of nesting", "keep one of them")
        elif figure is not None:
            self.figures[path] = figure

    def _leave_out(self, path: str, what: str, mend: str) -> None:
        if self._lenient:
            self.left_out[_plain(path)] = what
        else:
            self._problem(path, f"is {what}", mend)

    def _object(self, pairs: list[tuple[str, object]]) -> dict[str, object]:
        content = dict(pairs)
        if len(content) < len(pairs):
            for key, count in Counter(key for key, _ in pairs).items():
                if count > 1:
                    self._problem("", f"has the key {_shown(key)} a second time", "keep one of them")
        return content

    def _problem(self, path: str, found: str, mend: str) -> None:
        where = f"{self._name}: {_plain(path)}" if path else self._name
        self._problems.append(Problem(where, found, mend))


def _is_sagemakers(content: Mapping[str, object]) -> bool:
    return any(isinstance(content.get(group), dict) for group in _CONSTRAINTS)


def _whole(digits: str) -> int | float:
    """Python refuses to read whole numbers of thousands of digits; as a float they are infinite."""
    return int(digits) if len(digits) <= _MOST_DIGITS else float(digits)


def _finite(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        figure = float(value)
    except OverflowError:
        return None
    return figure if math.isfinite(figure) else None


def _is_deeper(content: object, levels: int) -> bool:
    inside = [content]
    for _ in range(levels + 1):
        inside = [
            each
            for outer in inside
            if isinstance(outer, dict | list)
            for each in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return bool(inside)


def _shown(value: object) -> str:
    """As JSON on one short line; a lone surrogate, which no file could hold, is spelt out."""
    text = json.dumps(value, ensure_ascii=False).encode(errors="backslashreplace").decode()
    return text if len(text) <= 80 else f"{text[:77]}..."


def _plain(path: str) -> str:
    return path if NAME.fullmatch(path) else _shown(path).strip('"')


# ── for the model package ─────────────────────────────────────────────────────────────────────────
def as_model_quality(metrics: Metrics) -> bytes:
    """The file for ModelMetrics.ModelQuality.Statistics, as Studio shows it.

    Studio charts the three groups of "Model Quality Metrics and Amazon CloudWatch Monitoring" and the entries
    in them that have a value and a standard deviation; SageMaker's own reader of such files (for model cards)
    takes one group only. So a file in that format goes out as it came, and other figures in the one group
    that fits their names: the group tells where they are shown, nothing more.
    """
    if metrics.document is not None:
        return metrics.document
    # SageMaker writes "NaN" where it has fewer than 200 rows to compute a standard deviation from.
    entries = {path: {"value": value, "standard_deviation": "NaN"} for path, value in metrics.figures.items()}
    return json.dumps({_group_of(metrics.figures): entries}, indent=2).encode()


def constraints(metrics: Metrics, gate: GatePolicy) -> bytes | None:
    """The file for ModelMetrics.ModelQuality.Constraints: what the gate demands whoever the champion is.

    It is what a model quality monitor of SageMaker's can be given as its constraints; the operator says when
    one is violated. None: the gate demands nothing of a metric that such a file can name.
    """
    groups: dict[str, dict[str, object]] = {}
    for threshold in gate.metrics:
        bound = threshold.bound
        paths = metrics.paths(threshold.name)
        if bound is None or len(paths) != 1 or paths[0] not in metrics.figures:
            continue
        group, _, metric = paths[0].partition(".")
        if metrics.document is None:
            group, metric = _group_of(metrics.figures), paths[0]
        if group in _CONSTRAINTS:
            operator = "LessThanThreshold" if threshold.goal == "maximize" else "GreaterThanThreshold"
            entry = {"threshold": bound, "comparison_operator": operator}
            groups.setdefault(_CONSTRAINTS[group], {})[metric] = entry
    return json.dumps({"version": 0.0, **groups}, indent=2).encode() if groups else None


def _group_of(figures: Mapping[str, float]) -> str:
    names = {path.rpartition(".")[2].lower() for path in figures}
    if names & _OF_REGRESSION:
        return _REGRESSION
    return _BINARY if names & _OF_BINARY else _MULTICLASS


def _as_it_came(text: bytes, content: object) -> bytes:
    """Python writes a bare NaN, which is no JSON and nothing that Studio's JavaScript reads."""
    strict = _without_bare_nans(content)
    if strict == content:
        return text.removeprefix(codecs.BOM_UTF8)
    return json.dumps(strict, indent=2).encode()


def _without_bare_nans(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without_bare_nans(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_without_bare_nans(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return json.dumps(value)
    return value
