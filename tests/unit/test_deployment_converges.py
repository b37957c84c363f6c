"""Whatever happens between two calls, in whatever order: once things are quiet, all is as it should be."""

from __future__ import annotations

from collections import Counter
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelgate.deployment.facts import Outcome
from modelgate.errors import AwsError, NotYet, Throttled, TimedOut
from tests.fakes.aws import Crash
from tests.fakes.deployment import Deployment
from tests.fakes.sagemaker import EndpointEvent

THROTTLED = Throttled("any", "ThrottlingException", "slow down")
TIMED_OUT = TimedOut("any", "ReadTimeoutError", "no answer")


def _story(iris: Deployment) -> None:
    """A creation, an update, a rollback, and a rejection of the live version."""
    for _ in range(3):
        iris.register()
    iris.sagemaker.never_ping.add(3)
    iris.approve(1)
    iris.settle()
    iris.approve(2)
    iris.settle()
    iris.approve(3)
    iris.settle()
    iris.reject(2)
    iris.settle()


def _look_again(iris: Deployment) -> None:
    """What the next event, or the sweep, does: hours later, when nobody is at it any more."""
    for _ in range(2):
        iris.clock.forward(3600)
        iris.handle(EndpointEvent("iris", "InService"))
        iris.settle()


@pytest.mark.parametrize("fault", [Crash(), THROTTLED, TIMED_OUT], ids=["crash", "throttle", "time-out"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_fault_at_any_call_changes_nothing_in_the_end(fault: BaseException, after: bool) -> None:
    smooth = Deployment()
    _story(smooth)
    for nth in range(1, len(smooth.calls.made) + 1):
        iris = Deployment()
        iris.calls.fail(nth, fault, after=after)
        _story(iris)
        _look_again(iris)
        where = f"call {nth}, {smooth.calls.made[nth - 1]}"
        assert (iris.served, iris.live) == (1, 1), where
        assert [iris.approval(version) for version in (1, 2, 3)] == ["Approved", "Rejected", "Rejected"], (
            where
        )
        assert iris.state.effects == (), where
        assert iris.state.attempt is None, where
        assert "did not pass the ping" in iris.sagemaker.package("iris", 3).description, where


Move = tuple[str, int]
MOVES = st.lists(
    st.tuples(
        st.sampled_from(["approve", "reject", "deliver", "deliver twice", "advance", "crash", "wait"]),
        st.integers(min_value=0, max_value=9),
    ),
    max_size=40,
)


@settings(max_examples=200)
@given(
    moves=MOVES,
    never_ping=st.sets(st.integers(min_value=1, max_value=4)),
    answer_wrongly=st.sets(st.integers(min_value=1, max_value=4)),
)
def test_any_schedule_ends_where_the_last_decision_points(
    moves: list[Move], never_ping: set[int], answer_wrongly: set[int]
) -> None:
    iris = Deployment()
    for _ in range(4):
        iris.register()
    iris.sagemaker.never_ping |= never_ping
    iris.sagemaker.answer_wrongly |= answer_wrongly
    ever_approved = _play(iris, moves)
    iris.calls.heal()
    iris.settle()
    state = iris.states.load("iris")
    if state is None:
        assert not ever_approved or iris.sagemaker.endpoint("iris") is None
        return
    _look_again(iris)
    _check(iris, never_ping | answer_wrongly)
    assert set(iris.sagemaker.served) <= ever_approved
    quiet = len(iris.sagemaker.served)
    _look_again(iris)
    assert len(iris.sagemaker.served) == quiet, "a quiet system keeps updating"


def _play(iris: Deployment, moves: list[Move]) -> set[int]:
    ids = (f"move-{number}" for number in count(1))
    ever_approved: set[int] = set()
    for move, number in moves:
        iris.clock.forward(1)
        if move == "approve":
            iris.approve(1 + number % 4)
            ever_approved.add(1 + number % 4)
        elif move == "reject":
            iris.reject(1 + number % 4)
        elif move == "advance":
            iris.sagemaker.advance("iris")
        elif move == "crash":
            iris.calls.fail(1 + number, Crash(), after=number % 2 == 0)
        elif move == "wait":
            iris.clock.forward(100)
        elif iris.sagemaker.events:
            event = iris.sagemaker.events.pop(number % len(iris.sagemaker.events))
            for _ in range(2 if move == "deliver twice" else 1):
                try:
                    iris.handle(event, next(ids))
                except (AwsError, NotYet, Crash):
                    # Lambda comes back; here that is any later delivery.
                    iris.sagemaker.events.append(event)
    return ever_approved


def _check(iris: Deployment, bad: set[int]) -> None:
    state = iris.state
    assert state.attempt is None
    assert state.effects == ()
    approved = {version for version in range(1, 5) if iris.approval(version) == "Approved"}
    decision = state.decision
    if decision and decision.version in approved - bad:
        assert iris.served == decision.version
    if iris.served in bad:
        # It arrived, its smoke test failed, and nothing is left to go back to: the operator knows.
        assert not approved & set(state.ever_live)
        assert "Nothing To Serve" in iris.bus.kinds()
    for closed in iris.states.history("iris"):
        version = closed.target.version if closed.target else 0
        if version in bad:
            assert closed.outcome is not Outcome.LIVE
        if version in approved and closed.outcome is Outcome.FAILED:
            # Then somebody approved it anew since, and another decision came before that was tried.
            assert iris.sagemaker.package("iris", version).modified_at > closed.started_at
            assert decision is not None
            assert decision.version != version
    outcomes = Counter(closed.number for closed in iris.states.history("iris"))
    assert not outcomes or max(outcomes.values()) == 1
