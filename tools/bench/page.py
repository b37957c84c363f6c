"""Makes docs/performance.md of build/bench.json: ``python -m bench.page``.

The figures that the page shows are kept beside it, for build/ is not checked in; and so is what people write
of the techniques. The same two files always make the same page.
"""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence

import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter

from bench import ROOT
from bench.aims import AIMS, Figures, Judged, found
from bench.sections import EVENTS, SECTIONS, Section

MEASURED = ROOT / "build" / "bench.json"
PAGE = ROOT / "docs" / "performance.md"
FIGURES = ROOT / "docs" / "performance" / "figures.json"
TECHNIQUES = ROOT / "docs" / "performance" / "techniques.yaml"

_NOT_MEASURED = "not measured"


class Technique(BaseModel):
    """Something that was tried to be faster or smaller.

    Attributes:
        technique: what was done, in words.
        gain: what it brought, with its unit.
        kept: whether it is in.
        why: why it was left out, or what else is to be known of it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    technique: str
    gain: str
    kept: bool
    why: str = ""


def techniques_of(text: str) -> list[Technique]:
    """What was tried, as docs/performance/techniques.yaml has it.

    Raises:
        pydantic.ValidationError: something else stands there.
    """
    return TypeAdapter(list[Technique]).validate_python(yaml.safe_load(text))


def page(figures: Figures, techniques: Sequence[Technique]) -> str:
    """The page of these figures, in Markdown; what was not measured is told in words."""
    parts: list[Iterable[str]] = [
        _head(figures.get("machine")),
        _aims(figures),
        *(_section(section, figures.get(section.measure)) for section in SECTIONS),
        _techniques("What paid", [each for each in techniques if each.kept]),
        _techniques("What did not pay", [each for each in techniques if not each.kept]),
    ]
    return "\n\n".join(block for part in parts for block in part) + "\n"


def _head(machine: Figures | None) -> Iterator[str]:
    yield "# Performance"
    yield _prose(
        "Made by `make bench-docs` of what `make bench` measured, and not written by hand. Trust the ratios: "
        "milliseconds are those of one machine."
    )
    if not machine:
        yield "What it was measured on is not known."
        return
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    yield _prose(
        f"Measured on {machine['date']}: {machine['processor']}, {machine['cores']} cores, "
        f"{machine['memory_gb']} GB, {machine['system']}. The functions ran on Python "
        f"{machine['functions_python']}, the local cloud on {machine['python']}; {packages}."
    )


# ── aims ──────────────────────────────────────────────────────────────────────────────────────────
def _aims(figures: Figures) -> Iterator[str]:
    judged = [aim.judged(figures) for aim in AIMS]
    yield "## Aims"
    yield _table(("what", "figure", "aim", "measured", "met"), map(_judged, judged))
    yield "Where a figure has a `*`, it is that of the worst function."
    missed = [each for each in judged if each.met is False]
    if missed:
        yield "What limits those that miss their aim:"
        yield "\n".join(map(_limit, missed))


def _limit(missed: Judged) -> str:
    limit = missed.aim.limit or "this is not written down yet."
    return _prose(f"- **{missed.aim.what}, {_shown(missed.worst)}**: {limit}", hanging="  ")


def _judged(judged: Judged) -> tuple[str, ...]:
    aim, met = judged.aim, {True: "yes", False: "no", None: ""}[judged.met]
    return (aim.what, f"`{aim.figure}`", _asked(judged), _shown(judged.worst), met)


def _asked(judged: Judged) -> str:
    aim = judged.aim
    if aim.least is not None:
        return f"≥ {_shown(aim.least)}"
    bound = judged.bound if judged.bound is not None else aim.most
    if isinstance(bound, str):
        return f"≤ `{bound}`"
    return "0" if bound == 0 else f"≤ {_shown(bound)}"


# ── one section for each measure ──────────────────────────────────────────────────────────────────
def _section(section: Section, figures: Figures | None) -> Iterator[str]:
    tables = {"cold_start": _starts, "warm": _warm, "calls": _calls}
    yield f"## {section.title}"
    yield _prose(section.told)
    yield f"`make bench ONLY={section.measure}`"
    if not figures:
        yield "Not measured."
    elif section.measure in tables:
        yield tables[section.measure](figures)
    else:
        yield _listed(figures, section.labels)


def _starts(figures: Figures) -> str:
    peers = {"sagemaker_sdk_model": "SageMaker SDK ÷ ours", "mlflow_client": "MLflow ÷ ours"}
    figured = ("ours_ms", "clients_only_ms", "ratio", "ratio_until_ready")
    head = ("function", "ms", "its clients alone, ms", "ratio", "until ready", *peers.values())
    rows = [
        (
            f"`{name}`",
            *(_shown(start.get(each)) for each in figured),
            *(_shown(next(found(start, f"peers.{peer}"), None)) for peer in peers),
        )
        for name, start in figures.items()
        if isinstance(start, Mapping) and "ratio" in start
    ]
    return _table(head, rows)


def _warm(figures: Figures) -> str:
    rows = [
        (told, *(_shown(case[each]) for each in ("handler_ms", "calls_ms", "ratio")), str(len(case["calls"])))
        for event, told in EVENTS.items()
        if (case := figures.get(event))
    ]
    return _table(("event", "handler, ms", "its calls alone, ms", "ratio", "calls"), rows)


def _calls(figures: Figures) -> str:
    rows = [
        (told, _shown(figures[event]), ", ".join(next(found(figures, f"made.{event}"), ())))
        for event, told in EVENTS.items()
        if event in figures
    ]
    return _table(("event", "calls", "which"), rows)


def _listed(figures: Figures, labels: Mapping[str, str]) -> str:
    """Each figure with its label; one that has none, under its own name."""
    names = [*(name for name in labels if name in figures), *(name for name in figures if name not in labels)]
    rows = [(labels.get(name, f"`{name}`"), _shown(figures[name])) for name in names if figures[name] != []]
    return _table(("", "measured"), rows)


# ── what was tried ────────────────────────────────────────────────────────────────────────────────
def _techniques(title: str, techniques: Sequence[Technique]) -> Iterator[str]:
    if techniques:
        yield f"## {title}"
        rows = [(each.technique, each.gain, each.why) for each in techniques]
        yield _table(("technique", "gain", "remark"), rows)


# ── Markdown ──────────────────────────────────────────────────────────────────────────────────────
def _prose(text: str, hanging: str = "") -> str:
    return textwrap.fill(text, 118, subsequent_indent=hanging, break_long_words=False, break_on_hyphens=False)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


def _shown(value: object) -> str:
    if value is None:
        return _NOT_MEASURED
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(_shown, value))
    return f"{value:,}" if isinstance(value, int) else str(value)


def main() -> int:
    if not MEASURED.exists():
        sys.stderr.write(f"{MEASURED.relative_to(ROOT)} is not there: call make bench first\n")
        return 1
    figures = json.loads(MEASURED.read_text())
    text = page(figures, techniques_of(TECHNIQUES.read_text()))
    FIGURES.write_text(json.dumps(figures, indent=2) + "\n")
    PAGE.write_text(text)
    sys.stdout.write(f"written to {PAGE.relative_to(ROOT)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
