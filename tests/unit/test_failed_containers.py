"""What is told of the log of containers that fail: which lines, where, and what when there are none."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelgate.announcements import Kind
from modelgate.deployment.container_log import (
    MAX_LINE,
    MAX_LINES,
    MAX_REASON,
    LogExcerpt,
    excerpt,
)
from modelgate.errors import AwsError, Forbidden, NotFound, Throttled, TimedOut
from modelgate.ports import LogLine
from tests.fakes.aws import START, Crash
from tests.fakes.deployment import Deployment
from tests.fakes.sagemaker import FakeSageMaker

GROUP = "/aws/sagemaker/Endpoints/iris"
ASYNCHRONOUS = b"deployment: {asynchronous: {}}"
LOOKS = {"DescribeLogStreams", "GetLogEvents"}


def container(*texts: str, at: int = 0) -> list[LogLine]:
    """What a container wrote, a line a second from a second on."""
    return [LogLine(START + timedelta(seconds=at + number), text) for number, text in enumerate(texts)]


def lines(*containers: list[LogLine]) -> list[str]:
    return list(excerpt(GROUP, containers).lines)


def rolled_back() -> Deployment:
    """Version 1 is live, and version 2 did not come up."""
    iris = Deployment()
    approved(iris)
    iris.sagemaker.never_ping.add(2)
    approved(iris)
    return iris


def approved(iris: Deployment) -> int:
    version = iris.register()
    iris.approve(version)
    iris.settle()
    return version


def description(iris: Deployment, version: int) -> str:
    package = iris.sagemaker.package("iris", version)
    assert package.approval == "Rejected"
    return package.description


def failure(iris: Deployment) -> dict[str, object]:
    """The facts of the one announcement of a failure."""
    (told,) = (each.facts for each in iris.bus.announced if each.kind is Kind.DEPLOYMENT_FAILED)
    return told


# ── the lines ─────────────────────────────────────────────────────────────────────────────────────
def test_lines_are_told_as_a_terminal_would_show_them() -> None:
    written = container(
        "\x1b[1;31mERROR\x1b[0m \x1b]0;title\x07failed",
        "",
        "  \x1b[2K\t ",
        " 10%\r 50%\r100% loaded\r",
        "Traceback:\n  File 'a'\r\nKeyError: 'b'\x00",
    )
    assert lines(written) == ["ERROR failed", "100% loaded", "Traceback:", "  File 'a'", "KeyError: 'b'"]


def test_pings_are_left_out_unless_there_is_nothing_else() -> None:
    ping = '10.0.0.1 - - "GET /ping HTTP/1.1" 502'
    assert lines(container("out of memory", ping, ping)) == ["out of memory"]
    assert lines(container(ping)) == [ping]


def test_the_lines_of_a_container_stay_together_and_who_wrote_last_comes_last() -> None:
    healthy = container("loaded", "listening", '"GET /ping HTTP/1.1" 200')
    assert lines(container("loading", "failed", at=1), [], healthy) == [
        "loaded",
        "listening",
        "loading",
        "failed",
    ]


@given(st.lists(st.lists(st.text(), max_size=30), max_size=3))
def test_lines_are_few_short_printable_and_never_empty(texts: list[list[str]]) -> None:
    told = lines(*(container(*each) for each in texts))
    assert len(told) <= MAX_LINES
    assert all(line.strip() and line.isprintable() and len(line) <= MAX_LINE for line in told)


# ── the reason ────────────────────────────────────────────────────────────────────────────────────
PRINTABLE = st.text(st.characters(exclude_categories=["C", "Z"]) | st.just(" "), min_size=1)


@given(PRINTABLE, st.lists(PRINTABLE.filter(lambda text: text.strip(" ^~")), min_size=1, max_size=30))
def test_the_reason_and_the_newest_line_are_always_told_and_fit(reason: str, written: list[str]) -> None:
    told = LogExcerpt(GROUP, tuple(written)).added_to(reason)
    assert len(told) <= MAX_REASON
    assert told.startswith(" ".join(reason.split())[:399])
    assert told.endswith(" ".join(written[-1].split()))


def test_the_oldest_lines_give_way() -> None:
    told = LogExcerpt(GROUP, tuple(f"line {number:02} {'.' * 100}" for number in range(20))).added_to("No.")
    assert told.startswith("No. Last log lines: line 11 ")
    assert told.endswith(f"line 19 {'.' * 100}")


def test_marks_under_a_place_in_the_line_before_take_no_room() -> None:
    told = LogExcerpt(GROUP, ("    result = f(a.b)", "             ~~^~", "KeyError: 'b'")).added_to("No")
    assert told == "No. Last log lines: result = f(a.b) | KeyError: 'b'"


def test_a_line_and_a_reason_without_end_are_both_cut() -> None:
    told = LogExcerpt(GROUP, ("older", "ValueError: " + "x" * 5000)).added_to("y" * 5000)
    assert len(told) == MAX_REASON
    assert "y… Last log lines: ValueError: xxx" in told
    assert "older" not in told


def test_a_reason_without_lines_stays_as_it_is() -> None:
    reason = "it could not be created:\n  no reason"
    assert LogExcerpt(GROUP).added_to(reason) == reason


# ── an attempt that fails ─────────────────────────────────────────────────────────────────────────
def test_a_version_that_is_rolled_back_is_rejected_with_its_last_log_lines() -> None:
    iris = rolled_back()
    assert description(iris, 2) == (
        "SageMaker rolled the update back: did not pass the ping health check. Last log lines: "
        "loading version 2 | RuntimeError: the weights are missing in version 2"
    )
    told = failure(iris)
    assert told["log_group"] == GROUP
    assert told["log_lines"] == [
        "loading version 2",
        "RuntimeError: the weights are missing in version 2",
    ]
    assert told["reason"] == "SageMaker rolled the update back: did not pass the ping health check"
    assert "weights are missing" in iris.states.history("iris")[-1].reason


def test_a_first_creation_that_fails_is_told_with_its_last_log_lines() -> None:
    iris = Deployment()
    iris.sagemaker.never_ping.add(1)
    approved(iris)
    assert description(iris, 1).endswith("RuntimeError: the weights are missing in version 1")


def test_what_the_containers_before_write_meanwhile_is_not_told() -> None:
    iris = Deployment()
    approved(iris)
    iris.sagemaker.never_ping.add(iris.register())
    iris.approve(2)
    iris.handle(iris.sagemaker.events.pop(0))
    iris.clock.forward(1)
    iris.sagemaker.write_log("iris", "version 1 answers")
    iris.settle()
    assert "weights are missing" in description(iris, 2)
    assert "version 1" not in description(iris, 2)


@pytest.mark.parametrize("policy", [b"deployment: {}", ASYNCHRONOUS])
def test_a_container_that_answers_a_smoke_test_with_an_error_is_told_of_by_what_it_wrote_then(
    policy: bytes,
) -> None:
    iris = Deployment(policy)
    iris.sagemaker.answer_wrongly.add(1)
    iris.approve(iris.register())
    iris.handle(iris.sagemaker.events.pop(0))
    iris.clock.forward(60)
    iris.sagemaker.advance("iris")
    iris.clock.forward(1)
    iris.settle()
    answered = iris.sagemaker.answer(iris.bucket)
    if answered:
        iris.runtime.reconciler.answered(answered, iris.invocation())
    iris.settle()
    assert failure(iris)["log_lines"] == ["ValueError: version 1 cannot predict"]
    assert "could not load the model. Last log lines: ValueError: " in description(iris, 1)


# ── no log ────────────────────────────────────────────────────────────────────────────────────────
def test_no_log_is_looked_at_while_all_goes_well() -> None:
    iris = Deployment()
    approved(iris)
    approved(iris)
    assert iris.outcomes() == [(1, "live"), (2, "live")]
    assert not LOOKS & set(iris.calls.made)


def test_a_wrong_answer_is_no_matter_of_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeSageMaker, "invoke", lambda *_: "virginica")
    iris = Deployment()
    approved(iris)
    assert "does not contain 'setosa'" in description(iris, 1)
    assert not LOOKS & set(iris.calls.made)
    assert "log_lines" not in failure(iris)


def test_what_aws_lacks_is_no_matter_of_the_log() -> None:
    iris = Deployment()
    approved(iris)
    iris.sagemaker.quota_reached = True
    approved(iris)
    iris.sagemaker.quota_reached = False
    iris.sagemaker.out_of_stock.add("ml.m5.large")
    iris.clock.forward(3600)
    iris.sweep()
    iris.settle()
    assert iris.outcomes() == [(1, "live"), (2, "blocked"), (2, "blocked")]
    assert not LOOKS & set(iris.calls.made)


def test_a_container_that_wrote_nothing_is_told_of_by_sagemakers_reason_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(FakeSageMaker, "write_log", lambda *_: None)
    iris = rolled_back()
    assert description(iris, 2) == "SageMaker rolled the update back: did not pass the ping health check"
    assert failure(iris)["log_lines"] == []


@pytest.mark.parametrize("call", sorted(LOOKS))
@pytest.mark.parametrize("kind", [Forbidden, Throttled, TimedOut, NotFound, AwsError])
def test_a_log_that_cannot_be_read_changes_nothing_but_the_words(call: str, kind: type[AwsError]) -> None:
    iris = Deployment()
    approved(iris)
    iris.sagemaker.never_ping.add(2)
    iris.calls.fail(call, kind(call, "Trouble", "because"))
    approved(iris)
    assert iris.outcomes() == [(1, "live"), (2, "failed")]
    assert description(iris, 2).endswith(f"ping health check (its log could not be read: {call}: Trouble)")
    assert failure(iris)["log_trouble"] == f"{call}: Trouble"


@pytest.mark.parametrize("call", sorted(LOOKS))
@pytest.mark.parametrize("after", [False, True])
def test_whoever_dies_at_the_log_leaves_one_outcome_to_the_next(call: str, after: bool) -> None:
    iris = Deployment()
    approved(iris)
    iris.sagemaker.never_ping.add(2)
    iris.calls.fail(call, Crash(), after=after)
    approved(iris)
    assert iris.outcomes() == [(1, "live"), (2, "failed")]
    assert iris.bus.kinds().count("Deployment Failed") == 1
    assert "weights are missing" in description(iris, 2)
