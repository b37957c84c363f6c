"""Metrics × policy × champion → verdict. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelgate.policy import GatePolicy, Threshold


@dataclass(frozen=True)
class Champion:
    """The version that is live, and its metrics."""

    version: int
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Check:
    """One demand on one metric, and whether it was met.

    Attributes:
        metric: the metric's name.
        found: the submission's value; None where it has none.
        demand: what was demanded, in words, such as ``at least 0.9``.
        passed: whether the demand was met.
    """

    metric: str
    found: float | None
    demand: str
    passed: bool

    def __str__(self) -> str:
        found = "missing" if self.found is None else f"{self.found:g}"
        return f"{self.metric} is {found}, {'' if self.passed else 'not '}{self.demand}"


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


def judge(metrics: Mapping[str, float], policy: GatePolicy, champion: Champion | None) -> Verdict:
    """Holds a submission's metrics against the thresholds and the champion.

    A metric that is demanded and missing fails; one that nobody demands is let through; a champion
    that has no value for a metric demands nothing of it.
    """
    return Verdict(
        tuple(check for threshold in policy.metrics for check in _checks(metrics, threshold, champion))
    )


def _checks(metrics: Mapping[str, float], threshold: Threshold, champion: Champion | None) -> list[Check]:
    found = metrics.get(threshold.name)
    bound = threshold.at_least if threshold.goal == "maximize" else threshold.at_most
    word = "at least" if threshold.goal == "maximize" else "at most"
    checks = []
    if bound is not None:
        checks.append(_check(threshold, found, Decimal(str(bound)), f"{word} {bound:g}"))
    best = champion.metrics.get(threshold.name) if champion else None
    if champion and best is not None and threshold.champion_tolerance is not None:
        # Decimals, because 0.95 - 0.01 as floats lies below 0.94, and a gate must not turn on that.
        tolerance = Decimal(str(threshold.champion_tolerance))
        limit = Decimal(str(best)) + (-tolerance if threshold.goal == "maximize" else tolerance)
        origin = f"version {champion.version} has {best:g}, tolerance {threshold.champion_tolerance:g}"
        checks.append(_check(threshold, found, limit, f"{word} {float(limit):.6g} ({origin})"))
    if found is None and not checks:
        # Only the champion was to be compared with, and there is none yet: the next one needs this value.
        checks.append(Check(threshold.name, None, "given, as the policy names it", passed=False))
    return checks


def _check(threshold: Threshold, found: float | None, limit: Decimal, demand: str) -> Check:
    if found is None:
        return Check(threshold.name, None, demand, passed=False)
    value = Decimal(str(found))
    passed = value >= limit if threshold.goal == "maximize" else value <= limit
    return Check(threshold.name, found, demand, passed)
