"""The gate: metrics × policy × champion → verdict."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from modelgate.gate import Champion, judge
from modelgate.policy import GatePolicy, Threshold

ACCURACY = Threshold(name="accuracy", goal="maximize", at_least=0.9, champion_tolerance=0.01)
LOSS = Threshold(name="log_loss", goal="minimize", at_most=0.5, champion_tolerance=0.1)
POLICY = GatePolicy(metrics=[ACCURACY, LOSS])
numbers = st.floats(min_value=0, max_value=10, allow_nan=False)


def test_what_meets_every_threshold_passes() -> None:
    assert judge({"accuracy": 0.9, "log_loss": 0.5}, POLICY, None).passed


def test_each_failure_is_named_with_what_was_found_and_demanded() -> None:
    verdict = judge({"accuracy": 0.61}, POLICY, None)
    assert not verdict.passed
    assert [str(check) for check in verdict.failures] == [
        "accuracy is 0.61, not at least 0.9",
        "log_loss is missing, not at most 0.5",
    ]


def test_a_version_may_be_worse_than_the_champion_by_the_tolerance_and_no_more() -> None:
    champion = Champion(3, {"accuracy": 0.95, "log_loss": 0.2})
    assert judge({"accuracy": 0.94, "log_loss": 0.3}, POLICY, champion).passed
    verdict = judge({"accuracy": 0.9399, "log_loss": 0.3001}, POLICY, champion)
    assert len(verdict.failures) == 2
    assert "version 3 has 0.95, tolerance 0.01" in verdict.failures[0].demand


def test_a_champion_without_the_metric_demands_nothing_of_it() -> None:
    assert judge({"accuracy": 0.9, "log_loss": 0.5}, POLICY, Champion(1, {})).passed


def test_a_metric_that_only_the_champion_is_compared_by_must_be_given_from_the_start() -> None:
    policy = GatePolicy(metrics=[Threshold(name="f1", goal="maximize", champion_tolerance=0.0)])
    assert judge({"f1": 0.1}, policy, None).passed
    assert not judge({}, policy, None).passed


def test_metrics_that_nobody_demands_are_let_through() -> None:
    assert judge({"anything": 0.0}, GatePolicy(), Champion(1, {"anything": 1.0})).passed


@given(numbers, numbers)
def test_a_better_value_never_fails_where_a_worse_one_passes(one: float, other: float) -> None:
    low, high = sorted((one, other))
    policy = GatePolicy(metrics=[ACCURACY])
    champion = Champion(1, {"accuracy": 0.93})
    if judge({"accuracy": low}, policy, champion).passed:
        assert judge({"accuracy": high}, policy, champion).passed


@given(numbers)
def test_the_champion_itself_always_passes_its_own_comparison(value: float) -> None:
    policy = GatePolicy(metrics=[Threshold(name="m", goal="minimize", champion_tolerance=0.0)])
    assert judge({"m": value}, policy, Champion(1, {"m": value})).passed
