"""docs/performance.md shows what was measured, as it is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from bench.aims import AIMS, Aim
from bench.page import FIGURES, PAGE, TECHNIQUES, Technique, page, techniques_of
from bench.sections import SECTIONS

RATIO = Aim("cold_start.*.ratio", "start", most=0.70)
UPDATES = Aim("approvals.updates", "updates", most="approvals.updates_at_100")


def starts(**ratios: float) -> dict[str, Any]:
    return {"cold_start": {name: {"ratio": ratio} for name, ratio in ratios.items()}}


def row_of(text: str, what: str) -> list[str]:
    line = next(line for line in text.splitlines() if line.startswith(f"| {what} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def section_of(text: str, title: str) -> str:
    return text.split(f"\n## {title}\n")[1].split("\n## ", 1)[0]


def test_the_page_that_is_checked_in_is_what_its_figures_give() -> None:
    figures, techniques = json.loads(FIGURES.read_text()), techniques_of(TECHNIQUES.read_text())

    assert PAGE.read_text() == page(figures, techniques), "call make bench-docs"


def test_of_several_functions_the_worst_counts() -> None:
    judged = RATIO.judged(starts(approval_changed=0.61, sweep_due=0.72))

    assert (judged.worst, judged.met) == (0.72, False)


def test_an_aim_from_below_is_met_by_the_least() -> None:
    judged = Aim("cold_start.*.ratio", "start", least=0.5).judged(starts(one=0.5, other=0.9))

    assert (judged.worst, judged.met) == (0.5, True)


@pytest.mark.parametrize(("updates", "met"), [(2, True), (3, False)])
def test_a_figure_may_be_held_against_another_one(updates: int, met: bool) -> None:
    figures = {"approvals": {"updates": updates, "updates_at_100": 2}}

    assert UPDATES.judged(figures).met is met


def test_whether_an_aim_is_met_is_open_while_the_other_figure_is_missing() -> None:
    assert UPDATES.judged({"approvals": {"updates": 2}}).met is None


def test_a_figure_that_misses_its_aim_is_shown_with_what_limits_it() -> None:
    aim = next(each for each in AIMS if each.figure == "warm.ratio")

    text = page({"warm": {"ratio": 1.234}}, [])

    assert row_of(text, aim.what) == [aim.what, "`warm.ratio`", "≤ 1.1", "1.234", "no"]
    limits = " ".join(section_of(text, "Aims").split("miss their aim:")[1].split())
    assert limits == f"- **{aim.what}, 1.234**: {aim.limit}"


def test_what_was_not_measured_is_told_in_words() -> None:
    text = page({}, [])

    assert all(row_of(text, aim.what)[3:] == ["not measured", ""] for aim in AIMS)
    assert all("Not measured." in section_of(text, section.title) for section in SECTIONS)
    assert "miss their aim" not in text


def test_why_a_peer_could_not_be_had_stands_in_its_place() -> None:
    told = "pip found no wheel"
    start = {"ratio": 0.6, "ours_ms": 210, "clients_only_ms": 350, "peers": {"mlflow_client": told}}

    text = page({"cold_start": {"sweep_due": start}}, [])

    assert row_of(text, "start of MLflow's deployment client ÷ start of a function")[3:] == [told, ""]
    assert row_of(text, "`sweep_due`") == ["`sweep_due`", "210", "350", "0.6", *["not measured"] * 2, told]


def test_a_figure_that_no_label_is_known_for_is_shown_under_its_own_name() -> None:
    text = section_of(page({"chain": {"per_second": 49, "workers": 4}}, []), "A thousand submissions")

    assert row_of(text, "submissions per second") == ["submissions per second", "49"]
    assert row_of(text, "`workers`") == ["`workers`", "4"]


def test_each_aim_is_about_a_measure_that_has_a_section() -> None:
    assert {aim.figure.split(".")[0] for aim in AIMS} <= {section.measure for section in SECTIONS}


def test_techniques_are_told_apart_by_whether_they_are_in() -> None:
    tried = [Technique(technique="byte code", gain="2 ×", kept=True)]
    tried += [Technique(technique="fewer modules", gain="1 %", kept=False, why="too little")]

    text = page({}, tried)

    assert row_of(section_of(text, "What paid"), "byte code") == ["byte code", "2 ×", ""]
    assert row_of(section_of(text, "What did not pay"), "fewer modules")[1:] == ["1 %", "too little"]


def test_a_technique_without_its_gain_is_refused() -> None:
    with pytest.raises(ValidationError, match="gain"):
        techniques_of("[{technique: byte code, kept: true}]")
