"""Metrics × policy × champion → verdict. Pure."""

from __future__ import annotations

import math
import unicodedata
from dataclasses import asdict, fields, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from modelgate.metrics import paths_of
from modelgate.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from modelgate.metrics import Metrics
    from modelgate.policy import GatePolicy, Threshold

# Of ApprovalDescription, and of a value in CustomerMetadataProperties.
DESCRIPTION_LIMIT = 1024
METADATA_LIMIT = 256

_SHOWN_PATHS = 5
# How a sentence is told in the letters that a metadata value has.
_PLAIN = (("; ", " - "), (", ", " - "), (" (", " - "), ("%", " percent"))


@dataclass(frozen=True)
class Champion:
    """The version that is live, and its metrics by their paths."""

    version: int
    metrics: Mapping[str, float]

    def has(self, name: str) -> bool:
        """Whether a name that a policy has for a metric tells one of its metrics."""
        return len(paths_of(name, self.metrics)) == 1


@dataclass(frozen=True)
class Check:
    """One demand on one metric, or on the metadata, and whether it was met.

    Attributes:
        metric: the metric's path, as the policy names it where no metric was found; or the key of metadata.
        found: the submission's value: a finite number, or as a text what is there instead; None where
            nothing is.
        demand: what was demanded, in words, such as ``at least 0.9``.
        passed: whether the demand was met.
        kind: what was demanded: to keep to a threshold's bound, or beside the champion; a key of metadata; or
            merely one number to judge by (presence).
        goal: whether more is better; None where there is nothing to compare.
        limit: the worst value that passes; None where there is nothing to compare.
        champion: the champion's value, where that was compared with.
    """

    metric: str
    found: float | str | None
    demand: str
    passed: bool
    kind: Literal["threshold", "champion", "metadata", "presence"] = "threshold"
    goal: Literal["maximize", "minimize"] | None = None
    limit: float | None = None
    champion: float | None = None

    @property
    def found_in_words(self) -> str:
        """With as many digits as tell it from the limit."""
        if self.found is None:
            return "missing"
        return self.found if isinstance(self.found, str) else _short(self.found, self.limit)

    def __str__(self) -> str:
        return f"{self.metric} is {self.found_in_words}, {'' if self.passed else 'not '}{self.demand}"


@dataclass(frozen=True)
class Verdict:
    """The gate's result, with every reason."""

    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        return all(check.passed for check in self.checks)

    @property
    def failures(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if not check.passed)

    def as_json(self) -> dict[str, object]:
        return {"passed": self.passed, "checks": [asdict(check) for check in self.checks]}

    @classmethod
    def of_json(cls, content: Mapping[str, Any]) -> Verdict:
        """What `as_json` made, in this version or an earlier one."""
        return cls(tuple(check_from_json(check) for check in content["checks"]))

    def in_one_line(self, limit: int = DESCRIPTION_LIMIT) -> str:
        """The reasons of a refusal, or else everything that was met; no control characters.

        Args:
            limit: the most characters; what does not fit is counted.
        """
        return _fitted([_printable(reason) for reason in self._reasons], "; ", limit)

    def in_plain_letters(self, limit: int = METADATA_LIMIT) -> str:
        """The same in letters, digits, spaces and ``_.:/=+-@`` alone; begins with passed or failed."""
        first, *rest = map(_plain, self._reasons)
        return _fitted([f"{'passed' if self.passed else 'failed'}: {first}", *rest], " / ", limit)

    @property
    def _reasons(self) -> Sequence[str]:
        return [str(check) for check in self.failures or self.checks] or ["its policy demands nothing"]


def check_from_json(content: Mapping[str, Any]) -> Check:
    """A check of `Verdict.as_json`; keys that are not known here are passed over."""
    return Check(**{each.name: content[each.name] for each in fields(Check) if each.name in content})


def judge(
    metrics: Metrics, metadata: Mapping[str, str], policy: GatePolicy, champion: Champion | None
) -> Verdict:
    """Holds a submission's metrics against the thresholds and the champion, and looks for its metadata.

    A metric that is demanded and missing, or no finite number, fails. One that nobody demands is let through.
    A champion that has no finite value for a metric demands nothing of it.

    Args:
        metadata: the manifest's.
    """
    demands = [check for threshold in policy.metrics for check in _checks(metrics, threshold, champion)]
    return Verdict((*demands, *(_check_metadata(key, metadata) for key in policy.metadata)))


def _checks(metrics: Metrics, threshold: Threshold, champion: Champion | None) -> list[Check]:
    paths = metrics.paths(threshold.name)
    if len(paths) > 1:
        return [_ambiguous(threshold, paths)]
    path = paths[0] if paths else threshold.name.removesuffix(".value")
    found = metrics.figures.get(path)
    if paths and (found is None or not math.isfinite(found)):
        what = metrics.left_out[path] if found is None else _short(found)
        return [Check(path, what, "a figure that can be judged", passed=False, kind="presence")]
    checks = []
    if threshold.bound is not None:
        checks.append(_check(threshold, path, found, threshold.bound, _exact(threshold.bound)))
    if champion is not None:
        checks += _beside(champion, threshold, path, found)
    if found is None and not checks:
        # Only the champion was to be compared with, and there is none yet: the next one needs this value.
        demand = "given, as the policy names it"
        checks.append(Check(path, None, demand, passed=False, kind="presence", goal=threshold.goal))
    return checks


def _beside(champion: Champion, threshold: Threshold, path: str, found: float | None) -> list[Check]:
    best = _value_of(champion, threshold, path)
    allowed = threshold.beside(Decimal(str(best))) if best is not None else None
    if best is None or allowed is None:
        return []
    limit = float(allowed)
    tolerance = threshold.champion_tolerance
    written = tolerance if isinstance(tolerance, str) else f"{tolerance:g}"
    words = f"{_short(limit, found)} (version {champion.version} has {_short(best)}, tolerance {written})"
    return [replace(_check(threshold, path, found, limit, words), kind="champion", champion=best)]


def _check(threshold: Threshold, path: str, found: float | None, limit: float, words: str) -> Check:
    more = threshold.goal == "maximize"
    passed = found is not None and (found >= limit if more else found <= limit)
    # A champion at the end of what floats reach leaves no limit that could be drawn or written as JSON.
    drawn = limit if math.isfinite(limit) else None
    demand = f"{'at least' if more else 'at most'} {words}"
    return Check(path, found, demand, passed, goal=threshold.goal, limit=drawn)


def _ambiguous(threshold: Threshold, paths: Sequence[str]) -> Check:
    more = [f"{len(paths) - _SHOWN_PATHS} more"] if len(paths) > _SHOWN_PATHS else []
    found = " or ".join([*paths[:_SHOWN_PATHS], *more])
    demand = "one metric; name the one that is meant by its whole path in the policy"
    return Check(threshold.name, found, demand, passed=False, kind="presence", goal=threshold.goal)


def _check_metadata(key: str, metadata: Mapping[str, str]) -> Check:
    found = metadata.get(key)
    given = found is not None and bool(found.strip())
    shown = found if given else None if found is None else "empty"
    return Check(key, shown, "given in the manifest's metadata", given, kind="metadata")


def _value_of(champion: Champion, threshold: Threshold, path: str) -> float | None:
    """Its finite value for a metric; it may have been registered from a file of another form."""
    # A flat file, or a manifest, has the same metric under the last part of its path alone.
    last = path.rpartition(".")[2]
    same = [each for each in (path, last) if each in champion.metrics]
    paths = same or paths_of(threshold.name, champion.metrics)
    best = champion.metrics[paths[0]] if same or len(paths) == 1 else None
    return best if best is not None and math.isfinite(best) else None


# ── in words ──────────────────────────────────────────────────────────────────────────────────────
def _short(number: float, beside: float | None = None) -> str:
    """In six digits, or in as many as tell it from what it is compared with."""
    shown = f"{number:.6g}"
    alike = beside is not None and number != beside and shown == f"{beside:.6g}"
    return repr(number) if alike else shown


def _exact(number: float) -> str:
    shown = f"{number:.6g}"
    return shown if float(shown) == number else repr(number)


def _fitted(parts: Sequence[str], between: str, limit: int) -> str:
    """As many parts as fit, and how many more there are; of a first that does not, its beginning."""
    for count in range(len(parts), 0, -1):
        rest = [f"and {len(parts) - count} more"] if count < len(parts) else []
        line = between.join([*parts[:count], *rest])
        if len(line) <= limit:
            return line
    return f"{parts[0][: max(0, limit - 3)]}..."[:limit]


def _printable(text: str) -> str:
    return "".join(" " if unicodedata.category(sign)[0] == "C" else sign for sign in text)


def _plain(text: str) -> str:
    for sign, instead in _PLAIN:
        text = text.replace(sign, instead)
    allowed = (sign for sign in text if sign in "_.:/=+-@" or unicodedata.category(sign)[0] in "LZN")
    return "".join(allowed).strip()
