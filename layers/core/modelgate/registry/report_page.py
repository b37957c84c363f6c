"""The page that people look at, drawn from the template `report_page.html.jinja` beside this file.

What it shows was written by others. The template escapes every value by itself; every value is cut to a
length that a page can bear, and what cannot be seen is made visible; nothing in it is a link.
"""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from modelgate.registry.metric_tracks import tracks_of
from modelgate.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jinja2 import Template

    from modelgate.artifacts.inspection import Artifact, Member
    from modelgate.gate import Champion, Check
    from modelgate.registry.report import Report

_TEMPLATE = Path(__file__).with_name("report_page.html.jinja")

# In characters. A text of a document may be as long as the document, which is 64 KB.
_MOST_TEXT = 1000
_MOST_ANYWHERE = 4000  # the body of a smoke test has this much room
_MOST_NAME = 160
# Of the members: those that are seen at once, and those that can be unfolded; of all containers together.
_SEEN = 20
_UNFOLDED = 200
_MOST_PROBLEMS = 100
_MOST_TRACKS = 60


@dataclass(frozen=True)
class _Reason:
    """Why it was refused: a problem, or a demand that was not met."""

    where: str
    found: str
    mend: str
    is_demand: bool = False


@dataclass(frozen=True)
class _Judged:
    """A metric, or a key of the metadata, and the demands on it."""

    metric: str
    checks: Sequence[Check]
    live: float | None

    @property
    def found(self) -> str:
        return self.checks[0].found_in_words

    @property
    def champion(self) -> float | None:
        """Of a champion that has the metric under another path, the gate knows the value."""
        return next((each.champion for each in self.checks if each.champion is not None), self.live)


@dataclass(frozen=True)
class _Row:
    """A member, and its share of all bytes in percent."""

    member: Member
    share: float


@dataclass(frozen=True)
class _Listing:
    """The largest members of an artifact; ``left_out`` counts those that are not listed."""

    seen: tuple[_Row, ...]
    unfolded: tuple[_Row, ...]
    left_out: int
    files: int
    folders: int


def page_of(report: Report) -> bytes:
    """The page in HTML, UTF-8; well under 500 KB whatever it is about."""
    reasons = _reasons(report)
    listings = max(1, sum(1 for each in report.containers if each.artifact))
    tracks = tracks_of(report)
    checks = report.verdict.checks if report.verdict else ()
    page = _template().render(
        report=report,
        title=_title(report),
        reasons=reasons[:_MOST_PROBLEMS],
        reasons_left_out=len(reasons[_MOST_PROBLEMS:]),
        checks=checks,
        judged=_judged(checks, report.champion),
        tracks=tracks[:_MOST_TRACKS],
        tracks_left_out=len(tracks[_MOST_TRACKS:]),
        listing_of=lambda artifact: _listing(artifact, max(_SEEN, _UNFOLDED // listings)),
    )
    return page.encode()


@lru_cache(maxsize=1)
def _template() -> Template:
    # Takes 60 ms to import, which only those wait for who write a page.
    from jinja2 import Environment, StrictUndefined

    filters: dict[str, Callable[..., object]] = {
        "bytes": _in_bytes,
        "counted": lambda count, one: f"{count:,} {one}{'' if count == 1 else 's'}",
        "end": _end,
        "figure": _figure,
        "moment": _moment,
        "name": _shortened,
        "seconds": lambda seconds: f"{seconds:.1f} s",
        "text": _visible,
    }
    environment = Environment(
        autoescape=True,
        finalize=_finalized,
        lstrip_blocks=True,
        trim_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= filters
    return environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))


# ── what is told ──────────────────────────────────────────────────────────────────────────────────
def _title(report: Report) -> str:
    group, name = _shortened(report.submission.group), _shortened(report.submission.name)
    if report.status == "registered":
        return f"Version {report.version} of {group} is registered and waits for approval"
    if report.status == "rejected":
        return f"Version {report.version} of {group} is registered, and rejected by the gate"
    return f"Submission {name} of {group} is {report.status}"


def _reasons(report: Report) -> list[_Reason]:
    failures = report.verdict.failures if report.verdict else ()
    problems = [_Reason(each.where, each.found, each.mend) for each in report.problems]
    for judged in _judged(failures, report.champion):
        demanded = "; and ".join(check.demand for check in judged.checks)
        problems.append(
            _Reason("", f"{_shortened(judged.metric)} is {judged.found}", demanded, is_demand=True)
        )
    return problems


def _judged(checks: Sequence[Check], champion: Champion | None) -> list[_Judged]:
    return [
        _Judged(metric, list(found), champion.metrics.get(metric) if champion else None)
        for metric, found in groupby(checks, key=lambda check: check.metric)
    ]


def _listing(artifact: Artifact, unfolded: int) -> _Listing:
    members = [member for member in artifact.members if member.kind != "directory"]
    largest = sorted(members, key=lambda member: (-member.size, member.name))
    total = artifact.uncompressed_size or 1
    rows = tuple(_Row(each, round(100 * each.size / total, 2)) for each in largest[: _SEEN + unfolded])
    return _Listing(
        seen=rows[:_SEEN],
        unfolded=rows[_SEEN:],
        left_out=len(largest) - len(rows),
        files=len(members),
        folders=len(artifact.members) - len(members),
    )


# ── how it is written ─────────────────────────────────────────────────────────────────────────────
def _visible(text: str, most: int = _MOST_TEXT) -> str:
    """The text without what cannot be seen or turns the line around, and cut where it is too long."""
    shown = text[:most]
    if not shown.isprintable():
        seen = (each if each in "\n\t" or _can_be_seen(each) else ascii(each)[1:-1] for each in shown)
        shown = "".join(seen)
    whole = len(text) <= most and len(shown) <= most
    return shown if whole else f"{shown[:most]}… ({len(text):,} characters)"


def _can_be_seen(character: str) -> bool:
    # Other, among them control characters and halves of surrogate pairs; and separators of lines.
    kind = unicodedata.category(character)
    return not kind.startswith("C") and kind not in {"Zl", "Zp"}


def _shortened(text: str) -> str:
    """A path or a name; of a long one the beginning, and the end, which tells what it is."""
    whole = text if len(text) <= _MOST_NAME else f"{text[: _MOST_NAME // 3]} … {text[-_MOST_NAME // 2 :]}"
    return _visible(whole)


def _finalized(value: object) -> object:
    """What no filter has cut is cut here. What has markup was made by the template itself, of cut values."""
    if isinstance(value, str) and not hasattr(value, "__html__"):
        return _visible(value, _MOST_ANYWHERE)
    return value


def _figure(value: float) -> str:
    return f"{value:.6g}"


def _end(value: Decimal) -> str:
    """An end of a scale: all of its digits, where six are too few."""
    short = f"{float(value):.6g}"
    return short if Decimal(short) == value else _plainly(value)


def _plainly(number: Decimal) -> str:
    number = number.normalize()
    if not number or -5 <= number.adjusted() < 12:
        return f"{number:,f}"
    return f"{number:e}".replace("e+", "e")


def _in_bytes(count: int) -> str:
    size = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{count:,} bytes" if unit == "bytes" else f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:,.3g} TB"


def _moment(at: datetime) -> str:
    there = at.astimezone(UTC)
    return f"{there.day} {there:%B %Y, %H:%M} UTC"
