"""Many submissions, and many approvals: what `make bench` measures of them, with fewer, and untimed."""

from __future__ import annotations

import pytest

from bench.approvals import approve
from bench.bare_calls import BareCalls
from bench.chain import Outcome, Round, governed_cloud, running_chain, versions_of

GROUPS = 3
SUBMISSIONS = 12


@pytest.fixture(scope="module")
def flow() -> tuple[Round, Outcome]:
    with running_chain(GROUPS, at_a_time=2) as chain:
        return chain.put("run", SUBMISSIONS), chain.outcome()


def test_of_many_submissions_none_is_lost_and_none_is_registered_twice(flow: tuple[Round, Outcome]) -> None:
    flowed, outcome = flow
    assert outcome.lost(flowed.submitted) == 0
    assert outcome.twice == 0
    assert len({each.id for each in flowed.submitted}) == SUBMISSIONS
    versions = sorted((name.partition("/")[0], *found) for name, found in outcome.versions.items())
    assert versions == [
        (f"group-{group:02}", version)
        for group in range(GROUPS)
        for version in range(1, SUBMISSIONS // GROUPS + 1)
    ]


def test_the_same_calls_made_again_register_the_same_without_a_function(flow: tuple[Round, Outcome]) -> None:
    flowed, _ = flow
    with governed_cloud() as cloud:
        before = len(cloud.invocations)
        BareCalls(cloud, at_a_time=2).make(flowed.calls[:GROUPS])
        assert set(versions_of(cloud)) == {each.id for each in flowed.submitted[:GROUPS]}
        assert len(cloud.invocations) == before


def test_thirty_approvals_while_two_updates_go_by_take_these_two_and_one_to_the_last_version() -> None:
    outcome = approve(30, versions=3, updates=2)
    assert outcome.converged
    assert outcome.updates == 2 + 1
