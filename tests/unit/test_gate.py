"""The gate: metrics × policy × champion → verdict."""

from __future__ import annotations

import json
import re
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from modelgate.gate import Champion, Check, Verdict, check_from_json, judge
from modelgate.metrics import Metrics, of_figures
from modelgate.policy import GatePolicy, Threshold

ACCURACY = Threshold(name="accuracy", goal="maximize", at_least=0.9, champion_tolerance=0.01)
LOSS = Threshold(name="log_loss", goal="minimize", at_most=0.5, champion_tolerance=0.1)

numbers = st.floats(allow_nan=False, allow_infinity=False)
goals: st.SearchStrategy[Literal["maximize", "minimize"]] = st.sampled_from(["maximize", "minimize"])
tolerances = st.floats(0, 1e6) | st.integers(0, 300).map("{}%".format)


def verdict_on(
    figures: dict[str, float],
    *thresholds: Threshold,
    champion: dict[str, float] | None = None,
    **policy: Any,
) -> Verdict:
    """The verdict on figures and no metadata, beside a champion that is version 3."""
    gate = GatePolicy(metrics=list(thresholds), **policy)
    return judge(of_figures(figures), {}, gate, Champion(3, champion) if champion is not None else None)


def demands(
    goal: Literal["maximize", "minimize"], *, tolerance: float | str | None = None, bound: float | None = None
) -> Threshold:
    bounds = {"maximize": {"at_least": bound}, "minimize": {"at_most": bound}}[goal]
    return Threshold(name="m", goal=goal, champion_tolerance=tolerance, **bounds)


# ── thresholds ────────────────────────────────────────────────────────────────────────────────────
def test_what_meets_every_threshold_passes() -> None:
    assert verdict_on({"accuracy": 0.9, "log_loss": 0.5}, ACCURACY, LOSS).passed


def test_each_failure_is_named_with_what_was_found_and_demanded() -> None:
    verdict = verdict_on({"accuracy": 0.61}, ACCURACY, LOSS)
    assert not verdict.passed
    assert [str(check) for check in verdict.failures] == [
        "accuracy is 0.61, not at least 0.9",
        "log_loss is missing, not at most 0.5",
    ]


def test_metrics_that_nobody_demands_are_let_through() -> None:
    assert verdict_on({"anything": 0.0}, champion={"anything": 1.0}).passed


def test_what_just_falls_short_is_told_with_digits_enough_to_see_it() -> None:
    (check,) = verdict_on({"accuracy": 0.8999999999}, ACCURACY).checks
    assert str(check) == "accuracy is 0.8999999999, not at least 0.9"
    (check,) = verdict_on({"m": 0.5}, demands("maximize", bound=0.9999999)).checks
    assert str(check) == "m is 0.5, not at least 0.9999999"


@given(numbers, numbers, goals, st.floats(0, 1e9), tolerances, numbers)
def test_a_better_value_never_fails_where_a_worse_one_passes(
    one: float,
    other: float,
    goal: Literal["maximize", "minimize"],
    bound: float,
    tolerance: float | str,
    best: float,
) -> None:
    worse, better = sorted((one, other), reverse=goal == "minimize")
    threshold = demands(goal, tolerance=tolerance, bound=bound)
    if verdict_on({"m": worse}, threshold, champion={"m": best}).passed:
        assert verdict_on({"m": better}, threshold, champion={"m": best}).passed


# ── the champion ──────────────────────────────────────────────────────────────────────────────────
def test_a_version_may_be_worse_than_the_champion_by_the_tolerance_and_no_more() -> None:
    champion = {"accuracy": 0.95, "log_loss": 0.2}
    assert verdict_on({"accuracy": 0.94, "log_loss": 0.3}, ACCURACY, LOSS, champion=champion).passed
    verdict = verdict_on({"accuracy": 0.9399, "log_loss": 0.3001}, ACCURACY, LOSS, champion=champion)
    assert len(verdict.failures) == 2
    assert "version 3 has 0.95, tolerance 0.01" in verdict.failures[0].demand


@pytest.mark.parametrize(
    ("goal", "best", "passes", "fails"),
    [
        ("maximize", 0.95, 0.931, 0.9309),
        ("minimize", 200.0, 204.0, 204.1),
        ("maximize", -0.5, -0.51, -0.511),
        ("minimize", -0.5, -0.49, -0.489),
    ],
)
def test_percent_are_of_the_champions_value_whatever_its_sign(
    goal: Literal["maximize", "minimize"], best: float, passes: float, fails: float
) -> None:
    threshold = demands(goal, tolerance="2%")
    assert verdict_on({"m": passes}, threshold, champion={"m": best}).passed
    (failure,) = verdict_on({"m": fails}, threshold, champion={"m": best}).failures
    assert f"version 3 has {best:g}, tolerance 2%" in failure.demand


@given(numbers, numbers, goals, st.sampled_from([0.0, "0%"]))
def test_without_tolerance_exactly_what_is_not_worse_than_the_champion_passes(
    value: float, best: float, goal: Literal["maximize", "minimize"], nothing: float | str
) -> None:
    verdict = verdict_on({"m": value}, demands(goal, tolerance=nothing), champion={"m": best})
    assert verdict.passed == (value >= best if goal == "maximize" else value <= best)


@given(st.integers(-1000, 1000), st.integers(0, 300), st.integers(-4000, 4000), goals)
def test_percent_of_a_hundred_are_units(
    best: int, percent: int, value: int, goal: Literal["maximize", "minimize"]
) -> None:
    relative, absolute = (
        demands(goal, tolerance=f"{percent}%"),
        demands(goal, tolerance=abs(best) * percent / 100),
    )
    figures, champion = {"m": float(value)}, {"m": float(best)}
    assert (
        verdict_on(figures, relative, champion=champion).passed
        == verdict_on(figures, absolute, champion=champion).passed
    )


@pytest.mark.parametrize("value", [{}, {"m": float("nan")}, {"m": float("inf")}, {"a.m": 1.0, "b.m": 1.0}])
def test_a_champion_without_one_finite_value_demands_nothing(value: dict[str, float]) -> None:
    assert verdict_on({"m": 0.0}, demands("maximize", tolerance=0.0), champion=value).passed


@pytest.mark.parametrize("goal", ["maximize", "minimize"])
@pytest.mark.parametrize("best", [1.7e308, -1.7e308])
def test_a_limit_beyond_all_numbers_lets_everything_pass(
    goal: Literal["maximize", "minimize"], best: float
) -> None:
    (check,) = verdict_on({"m": best}, demands(goal, tolerance="300%"), champion={"m": best}).checks
    assert check.passed
    assert json.dumps(check.limit, allow_nan=False)


def test_a_metric_that_only_the_champion_is_compared_by_must_be_given_from_the_start() -> None:
    threshold = demands("maximize", tolerance=0.0)
    assert verdict_on({"m": 0.1}, threshold).passed
    (check,) = verdict_on({}, threshold).failures
    assert check.kind == "presence"


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("rmse", "rmse"),
        ("rmse", "regression_metrics.rmse"),
        ("rmse", "old.rmse"),
        ("regression_metrics.rmse", "rmse"),
    ],
)
def test_a_champion_is_compared_with_whatever_form_its_file_had(name: str, known: str) -> None:
    threshold = Threshold(name=name, goal="minimize", champion_tolerance=0.0)
    (check,) = verdict_on({"regression_metrics.rmse": 2.0}, threshold, champion={known: 1.0}).checks
    assert (check.passed, check.champion) == (False, 1.0)


def test_what_another_set_of_data_gave_is_not_compared_with() -> None:
    threshold = Threshold(name="test.accuracy", goal="maximize", champion_tolerance=0.0)
    assert verdict_on({"test.accuracy": 0.9}, threshold, champion={"train.accuracy": 0.99}).passed


# ── what is no figure ─────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("goal", ["maximize", "minimize"])
def test_no_number_fails_in_either_direction(value: float, goal: Literal["maximize", "minimize"]) -> None:
    (check,) = verdict_on({"m": value}, demands(goal, bound=0.0, tolerance=0.0), champion={"m": 0.0}).checks
    assert not check.passed
    assert str(check) == f"m is {value}, not a figure that can be judged"


def test_what_a_file_leaves_out_is_told_to_a_policy_that_names_it() -> None:
    metrics = Metrics({}, {"regression_metrics.rmse": '"NaN"'})
    policy = GatePolicy(metrics=[Threshold(name="rmse", goal="minimize", at_most=5.0)])
    (check,) = judge(metrics, {}, policy, None).checks
    assert str(check) == 'regression_metrics.rmse is "NaN", not a figure that can be judged'


def test_a_name_that_several_metrics_have_is_refused_with_their_paths() -> None:
    figures = {f"{group}.accuracy": 1.0 for group in ("train", "val")}
    (check,) = verdict_on(figures, ACCURACY).checks
    assert not check.passed
    assert str(check).startswith("accuracy is train.accuracy or val.accuracy, not one metric")


def test_a_check_carries_the_whole_path_of_the_metric_that_it_found() -> None:
    (check,) = verdict_on({"m.accuracy": 0.95}, ACCURACY).checks
    assert check == Check(
        "m.accuracy", 0.95, "at least 0.9", passed=True, kind="threshold", goal="maximize", limit=0.9
    )


# ── metadata ──────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        ({"git_commit": "4be1f0c"}, "git_commit is 4be1f0c, given in the manifest's metadata"),
        ({"git_commit": " "}, "git_commit is empty, not given in the manifest's metadata"),
        ({"author": "me"}, "git_commit is missing, not given in the manifest's metadata"),
    ],
)
def test_a_key_of_metadata_that_is_demanded_must_have_a_value(metadata: dict[str, str], says: str) -> None:
    verdict = judge(of_figures({}), metadata, GatePolicy(metadata=["git_commit"]), None)
    assert [str(check) for check in verdict.checks] == [says]
    assert verdict.passed == (", not" not in says)


# ── what a policy may say ─────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("tolerance", "says"),
    [
        ("2", "'2', no tolerance; write a number"),
        ("two percent", "no tolerance"),
        ("%", "no tolerance"),
        ("2%3", "no tolerance"),
        (True, "no tolerance"),
        (float("nan"), "no tolerance"),
        (float("inf"), "no tolerance"),
        (10**400, "no tolerance"),
        ([1], "no tolerance"),
        ("-2%", "a negative threshold; write 0 or more"),
        (-0.01, "a negative threshold; write 0 or more"),
    ],
)
def test_a_tolerance_is_a_number_or_percent(tolerance: Any, says: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Threshold(name="m", goal="maximize", champion_tolerance=tolerance)
    (error,) = refused.value.errors()
    assert (error["loc"], says in error["msg"]) == (("champion_tolerance",), True)


@pytest.mark.parametrize(
    ("policy", "says"),
    [
        ({"metadata": ["modelgate.stack"]}, "Modelgate's own; demand another key"),
        ({"metadata": ["50 €"]}, "does not take as a key"),
        ({"metadata": [""]}, "does not take as a key"),
        ({"metadata": ["a", "a"]}, "names a more than once"),
        ({"metrics": [ACCURACY, ACCURACY]}, "names accuracy more than once"),
        (
            {"metrics": [ACCURACY, ACCURACY.model_copy(update={"name": "accuracy.value"})]},
            "names accuracy more than once",
        ),
        ({"when_refused": "reject"}, "'announce' or 'register'"),
    ],
)
def test_a_demand_that_nobody_can_meet_is_refused(policy: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(says)):
        GatePolicy(**policy)


# ── in words, and as JSON ─────────────────────────────────────────────────────────────────────────
VERDICT = verdict_on({"accuracy": 0.61}, ACCURACY, LOSS, metadata=["git commit"])


def test_a_verdict_is_told_in_one_line() -> None:
    assert VERDICT.in_one_line() == (
        "accuracy is 0.61, not at least 0.9; log_loss is missing, not at most 0.5; "
        "git commit is missing, not given in the manifest's metadata"
    )
    assert VERDICT.in_one_line(60) == "accuracy is 0.61, not at least 0.9; and 2 more"
    assert verdict_on({"accuracy": 0.95}, ACCURACY).in_one_line() == "accuracy is 0.95, at least 0.9"
    one_met = verdict_on({"accuracy": 0.95, "log_loss": 0.6}, ACCURACY, LOSS)
    assert one_met.in_one_line() == "log_loss is 0.6, not at most 0.5"
    assert verdict_on({}).in_one_line() == "its policy demands nothing"


def test_a_verdict_is_told_in_the_letters_of_metadata() -> None:
    threshold = demands("maximize", tolerance="2%")
    verdict = verdict_on({"m": 0.93}, threshold, champion={"m": 0.95})
    assert verdict.in_plain_letters() == (
        "failed: m is 0.93 - not at least 0.931 - version 3 has 0.95 - tolerance 2 percent"
    )
    assert verdict_on({}).in_plain_letters() == "passed: its policy demands nothing"


checks = st.builds(
    Check,
    metric=st.text(max_size=20),
    found=st.none() | numbers | st.text(max_size=20),
    demand=st.text(max_size=20),
    passed=st.booleans(),
    kind=st.sampled_from(["threshold", "champion", "metadata", "presence"]),
    goal=st.none() | goals,
    limit=st.none() | numbers,
    champion=st.none() | numbers,
)
verdicts = st.lists(checks, max_size=5).map(lambda each: Verdict(tuple(each)))


@given(verdicts, st.integers(1, 300))
def test_no_line_is_longer_than_asked_for_or_has_what_sagemaker_does_not_take(
    verdict: Verdict, limit: int
) -> None:
    line, plain = verdict.in_one_line(limit), verdict.in_plain_letters(limit)
    assert max(len(line), len(plain)) <= limit
    assert not re.search(r"[\x00-\x1f\x7f]", line)
    assert not re.search(r"""[\x00-\x1f!"#$%&'()*,;<>?\[\]^`{|}~\\]""", plain)


@given(verdicts)
def test_a_verdict_comes_back_from_its_json(verdict: Verdict) -> None:
    assert Verdict.of_json(json.loads(json.dumps(verdict.as_json(), allow_nan=False))) == verdict


def test_a_check_of_an_earlier_report_and_of_a_later_one_is_read() -> None:
    earlier = {"metric": "m", "found": 0.5, "demand": "at least 0.9", "passed": False}
    assert check_from_json(earlier) == check_from_json({**earlier, "since": "tomorrow"})
    assert str(check_from_json(earlier)) == "m is 0.5, not at least 0.9"
