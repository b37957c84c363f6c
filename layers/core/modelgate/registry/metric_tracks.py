"""The plot of a report: one horizontal track for each metric, with a scale and marks of its own."""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import TYPE_CHECKING

from modelgate.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import TypeGuard

    from modelgate.gate import Check
    from modelgate.registry.report import Report

# From here on a linear scale has no room left for the small values.
_LOGARITHMIC_FROM = 1000


@dataclass(frozen=True)
class Scale:
    """The numbers at both ends of a track, and what lies between them.

    Decimals, because from one end of the floats to the other is more than a float can hold, and because
    people read the ends.

    Attributes:
        low, high: the ends; low is less than high.
        logarithmic: whether equal ways are equal ratios.
    """

    low: Decimal
    high: Decimal
    logarithmic: bool = False

    @classmethod
    def of(cls, values: Iterable[float]) -> Scale:
        """A scale with round ends on which all of the values have a place.

        Args:
            values: finite; at least one.
        """
        given = sorted(Decimal(repr(float(each))) for each in values)
        least, most = given[0], given[-1]
        if least > 0 and most / least >= _LOGARITHMIC_FROM:
            top = most.adjusted() if most == _power(most.adjusted()) else most.adjusted() + 1
            return cls(_power(least.adjusted()), _power(top), logarithmic=True)
        room = (most - least) / 4 or abs(most) / 10 or Decimal(1)
        step = _step(room)
        low, high = _rounded(least - room, step, ROUND_FLOOR), _rounded(most + room, step, ROUND_CEILING)
        # A share stays within 0 and 1, and what is never negative is not shown as if it could be.
        if least >= 0:
            low = max(low, Decimal(0))
            high = min(high, Decimal(1)) if most <= 1 else high
        elif most <= 0:
            high = min(high, Decimal(0))
        return cls(low, high)

    def position(self, value: float) -> float:
        """How far a finite value lies from the left end, in percent of the way."""
        ends = self.low, self.high
        here = min(max(Decimal(repr(float(value))), self.low), self.high)
        if self.logarithmic:
            here, ends = here.log10(), (self.low.log10(), self.high.log10())
        return round(float((here - ends[0]) / (ends[1] - ends[0])) * 100, 2)


@dataclass(frozen=True)
class Mark:
    """A number on a track.

    Attributes:
        value: the number.
        at: its place, in percent of the way from the left.
        of_champion: of a limit, whether it follows from the champion's value rather than from a threshold.
    """

    value: float
    at: float
    of_champion: bool = False


@dataclass(frozen=True)
class Track:
    """One metric of a report.

    Attributes:
        metric: its name.
        shown: the submission's value as it is written, or what is there instead.
        demands: what the gate demanded of it, in words.
        passed: whether every demand was met; None where there was none.
        scale: of the track; None where there is no number to show, and so no mark.
        found: the submission's value.
        champion: the champion's.
        limits: what the gate demanded.
        accepted: from where to where a value passes, in percent of the way; None where nothing was demanded.
    """

    metric: str
    shown: str
    demands: tuple[str, ...] = ()
    passed: bool | None = None
    scale: Scale | None = None
    found: Mark | None = None
    champion: Mark | None = None
    limits: tuple[Mark, ...] = ()
    accepted: tuple[float, float] | None = None


def tracks_of(report: Report) -> list[Track]:
    """A track for each metric: those that the gate judged first, in its order, then the others by name."""
    judged: dict[str, list[Check]] = {}
    for check in report.verdict.checks if report.verdict else ():
        if check.kind != "metadata":
            judged.setdefault(check.metric, []).append(check)
    others = sorted(set(report.metrics or {}) - set(judged))
    return [_track(report, metric, judged.get(metric, ())) for metric in [*judged, *others]]


def _track(report: Report, metric: str, checks: Sequence[Check]) -> Track:
    found = checks[0].found if checks else (report.metrics or {})[metric]
    shown = checks[0].found_in_words if checks else f"{found:.6g}"
    # The gate knows the champion's value also where the champion has the metric under another path.
    champion = next((check.champion for check in checks if check.champion is not None), None)
    if champion is None and report.champion:
        champion = report.champion.metrics.get(metric)
    limits = [(check.limit, check.kind == "champion") for check in checks if check.limit is not None]
    numbers = [each for each in (found, champion, *(limit for limit, _ in limits)) if _is_number(each)]
    demands = tuple(check.demand for check in checks)
    passed = all(check.passed for check in checks) if checks else None
    if not numbers:
        return Track(metric, shown, demands, passed)
    scale = Scale.of(numbers)
    marks = tuple(Mark(limit, scale.position(limit), of_champion) for limit, of_champion in limits)
    accepted = None
    if marks and checks[0].goal == "maximize":
        accepted = (max(mark.at for mark in marks), 100.0)
    elif marks:
        accepted = (0.0, min(mark.at for mark in marks))
    here, beside = _mark(found, scale), _mark(champion, scale)
    return Track(metric, shown, demands, passed, scale, here, beside, marks, accepted)


def _mark(value: object, scale: Scale) -> Mark | None:
    return Mark(value, scale.position(value)) if _is_number(value) else None


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and math.isfinite(value)


def _power(exponent: int) -> Decimal:
    return Decimal(1).scaleb(exponent)


def _step(room: Decimal) -> Decimal:
    """The next round number from here: 1, 2, 5 or 10 times a power of ten."""
    power = _power(room.adjusted())
    return next(power * each for each in (1, 2, 5, 10) if power * each >= room)


def _rounded(value: Decimal, step: Decimal, rounding: str) -> Decimal:
    return (value / step).to_integral_value(rounding) * step
