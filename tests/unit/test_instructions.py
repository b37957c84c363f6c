"""What operators tell an endpoint besides approving, and what the sweep finds, on an in-memory AWS."""

from __future__ import annotations

import pytest

from modelgate.deployment.governing import Governed
from modelgate.deployment.preview import preview
from tests.fakes.deployment import Deployment
from tests.fakes.sagemaker import EndpointEvent


@pytest.fixture
def iris() -> Deployment:
    """Two versions went live, one after the other."""
    deployment = Deployment()
    for _ in range(2):
        deployment.approve(deployment.register())
        deployment.settle()
    return deployment


def told(iris: Deployment, instruction: str, version: int | None = None) -> None:
    report = iris.instruct(instruction, version)
    assert report.refused == ()
    iris.settle()


def test_a_pinned_version_stays_whatever_is_approved_until_it_is_unpinned(iris: Deployment) -> None:
    told(iris, "pin", 1)
    assert iris.live == 1
    iris.approve(iris.register())
    iris.settle()
    assert iris.live == 1
    told(iris, "unpin")
    assert iris.live == 3


def test_only_what_is_approved_can_be_pinned(iris: Deployment) -> None:
    iris.register()
    assert "approve it, then pin it" in iris.instruct("pin", 3).refused[0]
    assert "not in the registry" in iris.instruct("pin", 9).refused[0]
    assert iris.live == 2


def test_a_pinned_version_that_is_rejected_is_not_served(iris: Deployment) -> None:
    told(iris, "pin", 1)
    iris.reject(1)
    iris.settle()
    assert iris.live == 2


@pytest.mark.parametrize("by_policy", [True, False])
def test_a_frozen_endpoint_remembers_decisions_and_deploys_nothing(iris: Deployment, by_policy: bool) -> None:
    if by_policy:
        iris.upload_policy(b"deployment: {frozen: true}")
    else:
        told(iris, "freeze")
    iris.approve(iris.register())
    iris.reject(2)
    iris.settle()
    iris.sweep()
    assert (iris.served, iris.live) == (2, 2)
    if by_policy:
        iris.upload_policy(b"{}")
    else:
        told(iris, "unfreeze")
    iris.settle()
    assert iris.live == 3


def test_what_sagemaker_is_at_comes_to_its_end_while_frozen(iris: Deployment) -> None:
    iris.approve(iris.register())
    iris.handle(iris.sagemaker.events.pop())
    told(iris, "freeze")
    assert iris.live == 3


def test_retry_tries_at_once_what_is_blocked(iris: Deployment) -> None:
    iris.sagemaker.quota_reached = True
    iris.approve(iris.register())
    iris.settle()
    iris.sagemaker.quota_reached = False
    told(iris, "retry")
    assert iris.live == 3


def test_retry_tries_again_what_had_been_live_and_failed(iris: Deployment) -> None:
    iris.sagemaker.never_ping.add(1)
    iris.approve(1)
    iris.settle()
    assert iris.live == 2
    iris.sagemaker.never_ping.clear()
    told(iris, "retry")
    assert iris.live == 1


def test_a_retired_endpoint_is_gone_with_everything_and_comes_back_with_the_next_approval() -> None:
    iris = Deployment(
        b"deployment: {instances: {count: 2}, alarms: {error_rate_percent: 1},"
        b" rollout: {strategy: canary, percent: 50, wait_seconds: 60},"
        b" autoscaling: {min: 2, max: 4, invocations_per_instance: 100}}"
    )
    iris.approve(iris.register())
    iris.settle()
    told(iris, "retire")
    iris.sweep()
    sagemaker = iris.sagemaker
    assert sagemaker.endpoint("iris") is None
    assert (sagemaker.models, sagemaker.configs, sagemaker.alarms, sagemaker.scalable) == ({}, {}, {}, {})
    iris.sweep()
    iris.settle()
    assert sagemaker.endpoint("iris") is None
    iris.clock.forward(60)
    iris.approve(1)
    iris.settle()
    assert iris.live == 1


def test_an_endpoint_that_somebody_else_made_is_taken_over_once_it_is_adopted() -> None:
    iris = Deployment()
    iris.sagemaker.add_endpoint("iris")
    iris.approve(iris.register())
    iris.settle()
    assert iris.bus.kinds() == ["Deployment Refused"]
    assert "modelgate adopt iris" in iris.bus.announced[0].message
    told(iris, "adopt")
    assert iris.live == 1


def test_an_endpoint_with_other_variants_is_not_adopted() -> None:
    iris = Deployment()
    iris.sagemaker.add_endpoint("iris")
    there = iris.sagemaker.endpoint("iris")
    assert there is not None
    there.variants = ("A", "B")
    assert "under another name" in iris.instruct("adopt").refused[0]
    assert not there.tagged


def test_an_adopted_endpoint_is_not_deleted_because_nothing_is_approved() -> None:
    iris = Deployment()
    iris.sagemaker.add_endpoint("iris")
    told(iris, "adopt")
    iris.sweep()
    assert iris.sagemaker.endpoint("iris") is not None
    assert "DeleteEndpoint" not in iris.calls.made


def test_an_endpoint_that_does_not_exist_cannot_be_adopted() -> None:
    assert "does not exist" in Deployment().instruct("adopt").refused[0]


def test_an_endpoint_that_the_policy_no_longer_names_can_be_retired() -> None:
    iris = Deployment()
    iris.approve(iris.register())
    iris.settle()
    iris.upload_policy(b"deployment: {endpoint: flowers}")
    assert iris.instruct("retire", endpoint="wine").refused[0].startswith("endpoint wine: is not known")
    assert iris.instruct("retire", endpoint="iris").refused == ()
    iris.settle()
    assert iris.sagemaker.endpoint("iris") is None
    assert iris.sagemaker.endpoint("flowers") is not None


def test_a_group_that_nobody_knows_is_told_and_makes_no_endpoint() -> None:
    iris = Deployment()
    assert "no endpoint that Modelgate knows" in iris.instruct("freeze").refused[0]
    assert iris.states.load("iris") is None


def test_an_instruction_is_announced_with_who_gave_it(iris: Deployment) -> None:
    told(iris, "freeze")
    assert iris.bus.kinds()[-1] == "Instruction Taken"


def test_a_wrong_policy_keeps_nobody_from_freezing(iris: Deployment) -> None:
    iris.bucket.put("policies/iris.yaml", b"gate: 3")
    told(iris, "freeze")
    assert iris.state.frozen


# ── the sweep ─────────────────────────────────────────────────────────────────────────────────────
def test_the_sweep_finds_an_arrival_of_which_no_event_told(iris: Deployment) -> None:
    iris.approve(iris.register())
    iris.handle(iris.sagemaker.events.pop())
    iris.sagemaker.advance("iris")
    iris.sagemaker.events.clear()
    report = iris.sweep()
    assert iris.live == 3
    assert "SmokeTest" in report.repaired["iris"]


def test_the_sweep_finds_an_approval_of_which_no_event_told(iris: Deployment) -> None:
    iris.approve(iris.register())
    iris.sagemaker.events.clear()
    iris.sweep()
    assert iris.live == 2, "the event may still be on its way"
    iris.clock.forward(1200)
    iris.sweep()
    iris.settle()
    assert iris.live == 3


def test_the_sweep_finds_a_rejection_of_which_no_event_told(iris: Deployment) -> None:
    iris.reject(2)
    iris.sagemaker.events.clear()
    iris.sweep()
    iris.settle()
    assert iris.live == 1


def test_where_all_is_well_the_sweep_only_reads(iris: Deployment) -> None:
    iris.sweep()
    before = len(iris.calls.made)
    report = iris.sweep()
    registry = {"DescribeModelPackage", "ListModelPackages"}
    others = {"Query", "GetItem", "GetObject", "DescribeEndpoint", "ListBuildsForProject"}
    assert set(iris.calls.made[before:]) <= registry | others
    assert (report.visited, report.repaired, report.counts["Stuck"]) == (("iris",), {}, 0)


def test_an_endpoint_that_only_a_person_can_mend_counts_as_stuck(iris: Deployment) -> None:
    iris.sagemaker.break_down("iris", "UpdateRollbackFailed")
    assert iris.sweep().counts["Stuck"] == 1
    assert iris.bus.kinds()[-1] == "Person Needed"


def test_the_trouble_of_one_group_keeps_no_other_waiting(iris: Deployment) -> None:
    iris.bucket.put("policies/wine.yaml", b"{}")
    wine = iris.register("wine")
    iris.sagemaker.decide("wine", wine, "Approved")
    while iris.sagemaker.events:
        iris.handle(iris.sagemaker.events.pop())
    iris.bucket.put("policies/iris.yaml", b"gate: 3")
    iris.sagemaker.advance("wine")
    iris.sagemaker.events.clear()
    report = iris.sweep()
    assert set(report.visited) == {"iris", "wine"}
    assert iris.sagemaker.serves("wine") == wine
    assert "Policy Refused" in iris.bus.kinds()


# ── what would be done ────────────────────────────────────────────────────────────────────────────
def test_a_preview_says_what_would_be_done_and_why_and_does_nothing(iris: Deployment) -> None:
    iris.reject(2)
    before, calls = iris.state, len(iris.calls.made)
    governed = Governed(before, before)
    seen = preview(iris.runtime.reconciler, governed, iris.invocation(), iris.clock.now)
    assert seen.desired is not None
    assert seen.desired.version == 1
    assert [(each.version, each.desired) for each in seen.candidates] == [(2, False), (1, True)]
    assert [type(step).__name__ for step in seen.steps] == [
        "Open",
        "MakeModel",
        "MakeConfig",
        "UpdateEndpoint",
    ]
    assert iris.state == before
    assert set(iris.calls.made[calls:]) <= {"GetItem", "DescribeEndpoint", "DescribeModelPackage"}


def test_a_lost_event_of_the_endpoint_and_a_duplicate_of_the_decision_make_one_release(
    iris: Deployment,
) -> None:
    iris.approve(iris.register())
    event = iris.sagemaker.events.pop()
    iris.handle(event)
    iris.sagemaker.advance("iris")
    iris.sagemaker.events.clear()
    iris.handle(event)
    iris.handle(EndpointEvent("iris", "InService"))
    assert iris.outcomes().count((3, "live")) == 1
