"""The event that ends an attempt takes its word: the version is approved, and this is its smoke test."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelgate.deployment.facts import Attempt, Closed, Decision, Failure, Outcome, Sighting, Target
from modelgate.deployment.planner import Undetermined, Wish, desire
from modelgate.deployment.state import EndpointState
from modelgate.policy import DeploymentPolicy, Instances
from modelgate.registry.package import APPROVED, REJECTED, ModelPackage
from tests.fakes.aws import START
from tests.fakes.deployment import Deployment

POLICIES = (DeploymentPolicy(), DeploymentPolicy(instances=Instances(count=2)))
VERSIONS = (1, 2, 3)
times = st.integers(0, 5).map(lambda minutes: START + timedelta(minutes=minutes))
sightings = st.builds(
    Sighting, approved_at=st.none() | times, rejected_at=st.none() | times, looked_at=st.none() | times
)
targets = st.builds(Target, st.sampled_from(VERSIONS), times, st.sampled_from(POLICIES))
decisions = st.builds(Decision, st.sampled_from(VERSIONS), times)


def attempt_at(target: Target, number: int = 9) -> Attempt:
    """An attempt that was called and carries its smoke test."""
    config = f"iris-v{target.version}-{number}"
    return Attempt(number, target, config, "me", START, START, called=True, smoke_test="short")


def release(target: Target, number: int) -> Closed:
    return Closed(number, target, f"iris-v{target.version}-{number}", Outcome.LIVE, "", START, START)


def failure_of(target: Target) -> Failure:
    return Failure(target.version, target.decided_at, target.policy.digest)


@st.composite
def states(draw: st.DrawFn) -> EndpointState:
    """An endpoint with an open attempt, and any past."""
    closed = tuple(
        release(target, number) for number, target in enumerate(draw(st.lists(targets, max_size=3)))
    )
    return EndpointState(
        "iris",
        "iris",
        decision=draw(st.none() | decisions),
        pin=draw(st.none() | decisions),
        attempt=attempt_at(draw(targets)),
        closed=closed,
        failures=tuple(map(failure_of, draw(st.lists(targets, max_size=2)))),
        sightings=dict(zip(VERSIONS, draw(st.tuples(sightings, sightings, sightings)), strict=True)),
        policy=draw(st.sampled_from(POLICIES)),
    )


def package(version: int, approval: str) -> ModelPackage:
    return ModelPackage("iris", version, f"arn/{version}", approval, START)


def looked_up(
    state: EndpointState, registry: dict[int, ModelPackage], vouched: Target | None
) -> tuple[Wish, set[int]]:
    """The wish, and the versions that had to be looked up for it."""
    packages: dict[int, ModelPackage | None] = {}
    serving = state.attempt.config if state.attempt else ""
    while isinstance(wish := desire(state, packages, serving, vouched), Undetermined):
        packages[wish.version] = registry[wish.version]
    return wish, set(packages)


approvals = st.lists(st.sampled_from([APPROVED, REJECTED]), min_size=3, max_size=3)


@settings(max_examples=100)
@given(states().filter(lambda state: state.vouched is not None), approvals)
def test_an_attempt_that_tells_the_truth_changes_no_wish(state: EndpointState, approval: list[str]) -> None:
    vouched = state.vouched
    assert vouched is not None
    registry = {version: package(version, each) for version, each in zip(VERSIONS, approval, strict=True)}
    registry[vouched.version] = package(vouched.version, APPROVED)
    assert looked_up(state, registry, vouched)[0] == looked_up(state, registry, None)[0]


@settings(max_examples=100)
@given(states(), approvals)
def test_nothing_but_what_the_attempt_brings_is_desired_without_a_look(
    state: EndpointState, approval: list[str]
) -> None:
    registry = {version: package(version, each) for version, each in zip(VERSIONS, approval, strict=True)}
    wish, seen = looked_up(state, registry, state.vouched)
    if isinstance(wish, Target) and wish.version not in seen:
        assert state.attempt is not None
        assert state.attempt.target is not None
        assert wish.asks_like(state.attempt.target)


@given(targets, sightings)
def test_an_attempt_vouches_exactly_when_the_newest_that_was_heard_is_an_approval(
    target: Target, heard: Sighting
) -> None:
    state = EndpointState("iris", "iris", attempt=attempt_at(target), sightings={target.version: heard})
    never = datetime.min.replace(tzinfo=START.tzinfo)
    for_it = max(heard.approved_at or never, heard.looked_at or never)
    assert state.vouched == (target if for_it > (heard.rejected_at or never) else None)


@pytest.mark.parametrize("without", [{"called": False}, {"smoke_test": ""}, {"target": None}])
def test_an_attempt_that_was_not_called_or_knows_no_test_vouches_for_nothing(
    without: dict[str, Any],
) -> None:
    whole = attempt_at(Target(1, START, POLICIES[0]))
    state = EndpointState("iris", "iris", attempt=whole, sightings={1: Sighting(approved_at=START)})
    assert state.vouched is not None
    assert replace(state, attempt=replace(whole, **without)).vouched is None


# ── what comes of it ──────────────────────────────────────────────────────────────────────────────
@pytest.fixture
def iris() -> Deployment:
    """Version 1 is live, and version 2 on its way."""
    deployment = Deployment()
    deployment.approve(deployment.register())
    deployment.settle()
    deployment.approve(deployment.register())
    deployment.handle(deployment.sagemaker.events.pop())
    return deployment


def arrive(iris: Deployment) -> list[str]:
    """What is called for the event that says that the endpoint is in service."""
    iris.sagemaker.advance(iris.endpoint)
    before = len(iris.calls.made)
    iris.handle(iris.sagemaker.events.pop())
    return iris.calls.made[before:]


def test_the_event_that_ends_an_attempt_asks_the_endpoint_and_looks_nothing_else_up(iris: Deployment) -> None:
    made = ["GetItem", "DescribeEndpoint", "InvokeEndpoint", "PutItem", "PutEvents", "PutItem"]
    assert arrive(iris) == made
    assert iris.live == 2


def test_where_the_package_does_not_carry_the_test_it_is_described_and_the_manifest_read() -> None:
    iris = Deployment()
    iris.approve(iris.register(carries_test=False))
    iris.handle(iris.sagemaker.events.pop())
    made = arrive(iris)
    assert {"DescribeModelPackage", "GetObject", "InvokeEndpoint"} <= set(made)
    assert iris.live == 1


def test_a_version_whose_rejection_was_heard_on_its_way_does_not_go_live(iris: Deployment) -> None:
    iris.reject(2)
    iris.handle(iris.sagemaker.events.pop())
    assert "InvokeEndpoint" not in arrive(iris)
    iris.settle()
    assert (iris.served, iris.outcomes()[1]) == (1, (2, "superseded"))


def test_a_version_whose_rejection_was_not_heard_yet_is_taken_back_by_that_event(iris: Deployment) -> None:
    iris.reject(2)
    rejection = iris.sagemaker.events.pop()
    arrive(iris)
    assert iris.live == 2
    iris.handle(rejection)
    iris.settle()
    assert (iris.served, iris.live) == (1, 1)


def test_a_version_whose_rejection_is_never_heard_is_taken_back_by_the_sweep(iris: Deployment) -> None:
    iris.reject(2)
    iris.sagemaker.events.clear()
    arrive(iris)
    assert iris.live == 2
    iris.sweep()
    iris.settle()
    assert (iris.served, iris.live) == (1, 1)


def test_the_sweep_looks_before_it_ends_an_attempt(iris: Deployment) -> None:
    iris.reject(2)
    iris.sagemaker.advance("iris")
    iris.sagemaker.events.clear()
    iris.sweep()
    iris.settle()
    assert (iris.served, iris.outcomes()[1]) == (1, (2, "superseded"))


def test_under_a_new_policy_the_version_is_looked_up_before_it_is_tried_again(iris: Deployment) -> None:
    iris.reject(2)
    iris.sagemaker.events.clear()
    iris.upload_policy(b"deployment: {instances: {count: 2}}")
    arrive(iris)
    iris.settle()
    assert iris.served == 1
    assert all(version != 2 for version, outcome in iris.outcomes() if outcome != "superseded")


def test_a_closed_attempt_no_longer_carries_the_test(iris: Deployment) -> None:
    key = "ENDPOINT#iris"
    document = iris.table.get(key, "STATE")
    assert document is not None
    assert iris.state.attempt is not None
    assert iris.state.attempt.smoke_test in document.document
    carried = iris.state.attempt.smoke_test
    arrive(iris)
    document = iris.table.get(key, "STATE")
    assert document is not None
    assert carried not in document.document
