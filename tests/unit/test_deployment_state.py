"""The state of an endpoint: its transitions, its names, and its way through the table."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from modelgate.announcements import Kind
from modelgate.deployment.facts import Attempt, Decision, Outcome, Target
from modelgate.deployment.naming import name_of
from modelgate.deployment.outcomes import OTHERS_REMEMBERED, RELEASES_REMEMBERED
from modelgate.deployment.state import EndpointState
from modelgate.deployment.states import EndpointStates
from modelgate.policy import DeploymentPolicy
from modelgate.submission import SAGEMAKER_NAME
from tests.fakes.aws import START, Calls, FakeTable

POLICY = DeploymentPolicy()
group_names = st.from_regex(re.compile(rf"\A{SAGEMAKER_NAME.pattern}\Z", re.ASCII))


def after_attempts(outcomes: list[Outcome]) -> EndpointState:
    state = EndpointState("iris", "iris")
    for number, outcome in enumerate(outcomes, start=1):
        at = START + timedelta(minutes=number)
        attempt = Attempt(number, Target(number, at, POLICY), f"iris-v{number}-{number}", "me", at, at)
        state = state.opened(attempt).closed_as(outcome, "because", at)
    return state


@given(group_names, st.integers(1, 99_999), st.integers(1, 999_999))
def test_names_are_what_sagemaker_takes(group: str, version: int, attempt: int) -> None:
    name = name_of(group, version, attempt)
    assert SAGEMAKER_NAME.fullmatch(name)
    assert name.endswith(f"-v{version}-{attempt}")


def test_long_groups_that_begin_alike_get_names_of_their_own() -> None:
    assert name_of("x" * 62 + "a", 1, 1) != name_of("x" * 62 + "b", 1, 1)


def test_a_late_event_of_an_earlier_approval_does_not_change_the_decision() -> None:
    state = EndpointState("iris", "iris").approved(2, START).approved(1, START - timedelta(seconds=1))
    assert state.decision == Decision(2, START)


def test_two_approvals_of_the_same_moment_go_to_the_higher_version() -> None:
    for order in ((1, 2), (2, 1)):
        state = EndpointState("iris", "iris")
        for version in order:
            state = state.approved(version, START)
        assert state.decision == Decision(2, START)


def test_an_approval_event_older_than_a_rejection_does_not_date_the_approval() -> None:
    later = START + timedelta(hours=1)
    state = EndpointState("iris", "iris").sighted(1, approved=True, at=START)
    state = state.sighted(1, approved=False, at=START + timedelta(minutes=1)).approved(1, later)
    assert state.decision == Decision(1, later)


def test_an_edit_after_the_approval_does_not_make_the_approval_newer() -> None:
    state = EndpointState("iris", "iris").sighted(1, approved=True, at=START)
    assert state.approved(1, START + timedelta(hours=1)).decision == Decision(1, START)


def test_an_arrival_credits_the_versions_newest_decision() -> None:
    state = after_attempts([Outcome.LIVE])
    state = state.decided_again(1, START + timedelta(hours=2)).credited()
    assert state.release is not None
    assert state.release.target is not None
    assert state.release.target.decided_at == START + timedelta(hours=2)


def test_the_item_stays_small_however_many_attempts_there_were() -> None:
    state = after_attempts([Outcome.LIVE, Outcome.FAILED] * 300)
    assert len(state.closed) == RELEASES_REMEMBERED + OTHERS_REMEMBERED
    assert state.live == 599
    table = FakeTable(Calls())
    EndpointStates(table).save(state.pruned(state.made))
    item = table.get("ENDPOINT#iris", "STATE")
    assert item is not None
    assert len(item.document) < 200_000


def test_what_was_told_once_is_not_told_again_until_something_happens() -> None:
    state = after_attempts([Outcome.LIVE])
    owed = len(state.effects)
    state = state.telling(Kind.NOTHING_TO_SERVE, "keeps serving", "that").telling(
        Kind.NOTHING_TO_SERVE, "keeps serving", "that"
    )
    assert len(state.effects) == owed + 1


@given(st.lists(st.sampled_from([Outcome.LIVE, Outcome.FAILED, Outcome.SUPERSEDED]), max_size=30))
def test_a_state_comes_back_from_the_table_as_it_was(outcomes: list[Outcome]) -> None:
    states = EndpointStates(FakeTable(Calls()))
    state = after_attempts(outcomes).sighted(7, approved=True, at=START).approved(7, START)
    saved = states.save(state, state.closed)
    assert saved == replace(state, revision=1)
    assert states.load("IRIS") == saved
    assert tuple(states.history("iris")) == state.closed
