"""The report of a submission: a document for programs, a page that cannot be turned against its reader."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from modelgate.artifacts.inspection import Artifact, Member
from modelgate.errors import Problem
from modelgate.gate import Champion, Check, Verdict
from modelgate.manifest import Lineage, Manifest, SmokeTest
from modelgate.ports import ObjectVersion
from modelgate.registry import report_page
from modelgate.registry.metric_tracks import Scale, tracks_of
from modelgate.registry.report import Report, ReportedContainer
from modelgate.submission import SubmissionId

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
VOID = {"meta", "br", "hr", "img", "input", "link", "base"}


def manifest(**given: Any) -> Manifest:
    """A sound one; what is given is not checked, as if the checks had let it through."""
    smoke_test = SmokeTest(content_type="text/csv", body="1,2,3")
    sound: dict[str, Any] = {
        "container": {"framework": "sklearn", "version": "1.4-2"},
        "metrics": {"accuracy": 0.95},
        "content_types": ["text/csv"],
        "response_types": ["application/json"],
        "smoke_test": smoke_test.model_dump(),
    }
    return Manifest.model_validate(sound).model_copy(update=given)


def artifact(*members: Member) -> Artifact:
    size = sum(member.size for member in members)
    return Artifact(members, MappingProxyType({}), size // 2, size, "ab" * 32)


def container(*members: Member, **given: Any) -> ReportedContainer:
    found = artifact(*(members or [Member("model.joblib", 1000, "file")]))
    return ReportedContainer(**{"place": "container", "image": "an-image:1", "artifact": found, **given})


def check(
    metric: str,
    found: float | None,
    limit: float,
    goal: Literal["maximize", "minimize"] = "maximize",
    champion: float | None = None,
) -> Check:
    passed = found is not None and (found >= limit if goal == "maximize" else found <= limit)
    kind: Literal["threshold", "champion"] = "threshold" if champion is None else "champion"
    word = "at least" if goal == "maximize" else "at most"
    return Check(metric, found, f"{word} {limit:g}", passed, kind, goal, limit, champion)


def report(status: str = "registered", *checks: Check, **given: Any) -> Report:
    metrics = {each.metric: each.found for each in checks if isinstance(each.found, float)}
    return Report(
        SubmissionId("iris", "run-7"),
        status,
        NOON,
        **{"verdict": Verdict(checks), "metrics": metrics, "version": 7, **given},
    )


class Page(HTMLParser):
    """What a browser makes of a page: its tags with their attributes, in order, and the text in them."""

    def __init__(self, of: Report) -> None:
        super().__init__()
        self.html = of.to_html()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self._open: list[str] = []
        self.feed(self.html.decode())
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self._open[-1] if self._open else "", data))

    @property
    def text(self) -> str:
        return "".join(data for tag, data in self.texts if tag != "style")

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for each, attributes in self.tags if each == tag]

    def within(self, tag: str) -> list[str]:
        return [data.strip() for each, data in self.texts if each == tag and data.strip()]


# ── what is told ──────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("status", "version", "headline"),
    [
        ("registered", 7, "Version 7 of iris is registered and waits for approval."),
        ("rejected", 7, "Version 7 of iris is registered, and rejected by the gate."),
        ("refused", None, "Submission run-7 of iris is refused."),
    ],
)
def test_the_headline_says_what_became_of_it(status: str, version: int | None, headline: str) -> None:
    page = Page(report(status, version=version))
    assert page.within("h1") == [headline]
    assert "1 March 2026, 12:00 UTC" in page.text


def test_only_a_version_that_waits_is_to_be_approved() -> None:
    assert "modelgate approve iris 7" in Page(report("registered")).text
    assert "modelgate approve" not in Page(report("rejected")).text


def test_a_refusal_gives_every_reason_before_anything_else() -> None:
    problems = tuple(Problem(f"manifest.yaml: field{n}", f"is wrong{n}", f"write{n}") for n in range(30))
    text = Page(report("refused", check("auc", 0.5, 0.75), problems=problems)).text
    for problem in problems:
        assert text.index(problem.where) < text.index(problem.found) < text.index(problem.mend)
    assert text.index("auc is 0.5") < text.index("What the gate says")


def test_every_check_is_told_with_its_verdict() -> None:
    checks = (
        check("accuracy", 0.95, 0.9),
        check("accuracy", 0.95, 0.96, champion=0.97),
        check("log_loss", None, 0.5, "minimize"),
        Check("git_commit", "4f2a91c", "given in the manifest's metadata", passed=True, kind="metadata"),
    )
    page = Page(report("rejected", *checks, champion=Champion(6, {"accuracy": 0.97})))
    for each in checks:
        assert each.metric in page.text
        assert each.demand in page.text
        assert each.found_in_words in page.text
    cells = [text for text in page.within("td") if text in {"met", "not met"}]
    assert cells == ["met", "not met", "not met", "met"]


def test_a_value_just_below_its_limit_is_not_shown_as_if_it_were_the_limit() -> None:
    assert "0.8999999999" in Page(report("rejected", check("accuracy", 0.8999999999, 0.9))).text


def test_what_is_registered_says_where_it_lies_and_what_was_read() -> None:
    uploaded = ObjectVersion("models/iris/run-7/model.tar.gz", "version-id", 500, '"an-etag"')
    served = container(uploaded=uploaded, registered_url="s3://intake/registered/iris/ab/model.tar.gz")
    text = Page(report(containers=(served,))).text
    for fact in ("an-image:1", uploaded.key, "version-id", "an-etag", "ab" * 32, str(served.registered_url)):
        assert fact in text


def test_every_container_of_a_pipeline_is_told() -> None:
    chain = (container(place="containers.0"), container(place="containers.1", image="b:2", artifact=None))
    page = Page(report(containers=chain))
    assert {"Container 1 of 2", "Container 2 of 2"} <= set(page.within("h2"))
    assert "It needs no artifact." in page.text


def test_the_manifest_is_told() -> None:
    lineage = Lineage(commit="c0ffee", source_uri="runs:/8e5c1d/model")
    said = manifest(description="Trees on irises.", metadata={"team": "botany"}, lineage=lineage)
    text = Page(report(manifest=said)).text
    for fact in ("Trees on irises.", "team", "botany", "c0ffee", "runs:/8e5c1d/model", "1,2,3", "text/csv"):
        assert fact in text


# ── what is hostile ───────────────────────────────────────────────────────────────────────────────
def saturated(text: str) -> Report:
    """A report with this text wherever somebody else decides what stands there."""
    said = manifest(
        description=text,
        metadata={text: text},
        lineage=Lineage().model_copy(update=dict.fromkeys(Lineage.model_fields, text)),
        smoke_test=SmokeTest.model_construct(content_type=text, body=text, accept=text, expect=text),
        content_types=[text],
    )
    served = container(
        Member(text, 10, "file"),
        environment={text: text},
        image=text,
        framework=text,
        version=text,
        uploaded=ObjectVersion(text, text, 1, text),
        registered_url=text,
    )
    judged = Check(text, text, text, passed=False, kind="presence")
    return replace(
        report("refused", judged, check("auc", 0.5, 0.75)),
        submission=SubmissionId(text, text),
        problems=(Problem(text, text, text),),
        champion=Champion(6, {text: 0.5}),
        manifest=said,
        policy=text,
        policy_version=text,
        containers=(served,),
    )


HARMLESS = Page(saturated("x")).tags
ATTACKS = st.text("<>&\"'/=!-`{}%# \n\0\u202e\ud800scriptonload:", min_size=1, max_size=40)


@settings(max_examples=40, deadline=None)
@given(ATTACKS | st.text(min_size=1, max_size=40))
@example("<script>alert(1)</script>")
@example("</title></style><img src=x onerror=alert(1)>")
@example("\"'><svg/onload=alert(1)>")
@example("{{ 7 * 7 }}{% raw %}<!--")
@example("<" * 5000)
def test_no_text_ever_becomes_a_tag_or_an_attribute(text: str) -> None:
    assert Page(saturated(text)).tags == HARMLESS


@settings(max_examples=40, deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"]), min_size=1, max_size=200))
def test_what_can_be_seen_is_shown_as_it_was_written(text: str) -> None:
    assert text in Page(report(manifest=manifest(description=text))).text


def test_what_cannot_be_seen_is_made_visible() -> None:
    page = Page(saturated("gnp\u202e.exe\0\ud800"))
    assert "gnp\\u202e.exe\\x00\\ud800" in page.text
    assert "\u202e" not in page.text


def test_the_page_needs_nothing_else_and_leads_nowhere() -> None:
    page = Page(saturated("https://example.com/"))
    assert not {"a", "script", "img", "link", "iframe", "form", "base", "object"} & {
        tag for tag, _ in page.tags
    }
    names = {name for _, attributes in page.tags for name in attributes}
    assert not {name for name in names if name.startswith("on") or name in {"href", "src", "action"}}
    styles = "".join(data for tag, data in page.texts if tag == "style")
    assert not re.search(r"url\(|@import|@font-face", styles)


def test_a_huge_artifact_leaves_the_page_and_the_document_small() -> None:
    members = [Member(f"lib/{'deep/' * (n % 5)}module_{n}.py", n, "file") for n in range(19_600)]
    members += [Member('"' * 4000 + str(n), 10**9, "file") for n in range(400)]
    made = report(containers=(container(*members),), manifest=manifest(description="&" * 60_000))
    page = Page(made)
    assert len(page.html) < 300_000
    assert "20,000 files" in page.text
    assert len(page.all("details")) == 1
    document = made.to_json()
    assert len(document) < 1_000_000
    told = json.loads(document)["containers"][0]["artifact"]
    assert told["member_count"] == 20_000
    assert told["members_shown"] == len(told["members"]) <= 1000


def test_small_members_stay_behind_the_large_ones() -> None:
    sizes = [5, 3_000_000, 70, 40_000]
    made = report(containers=(container(*(Member(f"of-{size}", size, "file") for size in sizes)),))
    names = [text for text in Page(made).within("code") if text.startswith("of-")]
    assert names == ["of-3000000", "of-40000", "of-70", "of-5"]


# ── the plot ──────────────────────────────────────────────────────────────────────────────────────
FINITE = st.floats(allow_nan=False, allow_infinity=False)
GOALS: Sequence[Literal["maximize", "minimize"]] = ("maximize", "minimize")


@settings(max_examples=150, deadline=None)
@given(st.lists(FINITE | st.sampled_from([0.0, 1e-9, 1e9, 0.95, -0.0]), min_size=1, max_size=6))
@example([5e-324, 1.7976931348623157e308])
@example([-1.7976931348623157e308, 1.7976931348623157e308])
def test_positions_are_in_the_order_of_the_values(values: list[float]) -> None:
    scale = Scale.of(values)
    assert scale.low < scale.high
    placed = [scale.position(each) for each in sorted(values)]
    assert placed == sorted(placed)
    assert 0 <= placed[0] <= placed[-1] <= 100


@pytest.mark.parametrize("values", [(0.9, 0.95), (1e-9, 1e9), (-3.0, -2.5), (0.0, 1e-9), (1e9, 1e9 + 1)])
def test_values_that_differ_stand_apart(values: tuple[float, float]) -> None:
    scale = Scale.of(values)
    low, high = (scale.position(each) for each in values)
    assert high - low > 10


def test_a_share_is_not_drawn_beyond_one_nor_a_latency_below_zero() -> None:
    assert Scale.of([0.99, 0.9]).high == 1
    assert Scale.of([1.0, 30.0]).low == 0


@settings(max_examples=60, deadline=None)
@given(FINITE, FINITE, FINITE, st.sampled_from(GOALS))
def test_what_passes_stands_where_it_is_accepted(
    found: float, limit: float, best: float, goal: Literal["maximize", "minimize"]
) -> None:
    track = tracks_of(report("registered", check("m", found, limit, goal, champion=best)))[0]
    assert track.accepted
    assert track.found
    assert track.champion
    start, end = track.accepted
    assert start == 0 or end == 100
    if track.passed:
        assert start <= track.found.at <= end
    marks = [(found, track.found.at), (best, track.champion.at), (limit, track.limits[0].at)]
    assert [at for _, at in sorted(marks)] == sorted(at for _, at in marks)


def test_a_metric_is_drawn_with_its_champion_and_described_in_words() -> None:
    champion = Champion(6, {"accuracy": 0.9})
    page = Page(report("registered", check("accuracy", 0.95, 0.85), champion=champion))
    at = {
        each["data-mark"]: float(str(each["x"]).rstrip("%"))
        for each in page.all("svg")
        if "data-mark" in each
    }
    (limit,) = (
        float(str(each["x1"]).rstrip("%"))
        for each in page.all("line")
        if "%" in str(each.get("x1")) and each["class"] == "threshold"
    )
    assert limit < at["champion"] < at["found"]
    (description,) = page.within("desc")
    assert "This submission has 0.95. The live version has 0.9. Demanded: at least 0.85." in description


@pytest.mark.parametrize("count", [1, 25])
def test_every_metric_has_a_track_judged_ones_first(count: int) -> None:
    checks = [check(f"judged-{n}", n / 100, 0.1) for n in range(count)]
    made = report("rejected", *checks)
    others = {f"other-{n}": 10.0**n for n in range(-9, 10)}
    made = replace(made, metrics={**others, **(made.metrics or {})})
    tracks = tracks_of(made)
    assert [track.metric for track in tracks[:count]] == [each.metric for each in checks]
    assert {track.metric for track in tracks[count:]} == set(others)
    assert len([each for each in Page(made).all("svg") if each.get("role") == "img"]) == len(tracks)


def test_a_metric_that_is_missing_has_no_mark_but_a_limit() -> None:
    (track,) = tracks_of(report("refused", check("auc", None, 0.75)))
    assert track.found is None
    assert track.limits
    assert track.shown == "missing"


# ── who reads it ──────────────────────────────────────────────────────────────────────────────────
def test_a_screen_reader_finds_its_way() -> None:
    page = Page(saturated("words"))
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("caption")) == len(page.all("table"))
    assert all("scope" in each for each in page.all("th"))
    identities = [each["id"] for _, each in page.tags if "id" in each]
    assert len(identities) == len(set(identities))
    pictures = [each for each in page.all("svg") if each.get("role") == "img"]
    assert all(set(str(each["aria-labelledby"]).split()) <= set(identities) for each in pictures)
    others = [each for each in page.all("svg") if each.get("role") != "img" and "data-mark" not in each]
    assert all(each.get("aria-hidden") == "true" for each in others)


def _luminance(color: str) -> float:
    parts = [int(color[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_every_text_has_the_contrast_that_wcag_asks_for_in_light_in_dark_and_in_print() -> None:
    style = Path(report_page.__file__).with_name("report_page.html.jinja").read_text(encoding="utf-8")
    themes = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    assert len(themes) == 3
    for theme in themes:
        colors = dict(
            re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", re.sub(r"#(.)(.)(.);", r"#\1\1\2\2\3\3;", theme))
        )
        for ink in ("ink", "quiet", "good", "bad", "open"):
            for paper in ("paper", "raised"):
                light, dark = sorted((_luminance(colors[ink]), _luminance(colors[paper])), reverse=True)
                assert (light + 0.05) / (dark + 0.05) >= 4.5, (ink, paper, theme)


# ── the document ──────────────────────────────────────────────────────────────────────────────────
def test_the_document_has_its_keys_and_a_verdict_that_can_be_read_back() -> None:
    made = report("registered", check("auc", 0.8, 0.75), manifest=manifest(), containers=(container(),))
    told = json.loads(made.to_json())
    assert set(told) == {
        *("schema", "submission", "status", "at", "version", "problems", "policy", "metrics", "champion"),
        *("verdict", "instance_types", "containers", "manifest"),
    }
    assert (told["schema"], told["submission"], told["version"]) == (1, "iris/run-7", 7)
    assert Verdict.of_json(told["verdict"]) == made.verdict


def test_the_document_is_json_whatever_the_numbers_and_the_letters_are() -> None:
    champion = Champion(6, {"auc": math.nan, "loss": math.inf})
    made = replace(saturated("half a pair: \ud800"), champion=champion)
    told = json.loads(made.to_json(), parse_constant=pytest.fail)
    assert told["champion"]["metrics"] == {"auc": "nan", "loss": "inf"}
    assert told["problems"][0]["found"] == "half a pair: \ud800"


@settings(max_examples=30, deadline=None)
@given(st.floats(), st.floats())
def test_no_number_is_too_strange_for_a_page(found: float, best: float) -> None:
    judged = check("auc", found, 0.5)
    assert "auc" in Page(report("rejected", judged, champion=Champion(6, {"auc": best}))).text
