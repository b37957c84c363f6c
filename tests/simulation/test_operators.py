"""What operators do besides approving: policies, rejections, instructions, and what needs a person."""

from __future__ import annotations

from tests.simulation.chain import NEVER_LOADS, Chain, policy
from tests.simulation.conftest import Watch

WATCHED = {"alarms": {"error_rate_percent": 5}, "rollout": {"wait_seconds": 60}}


# ── policies ──────────────────────────────────────────────────────────────────────────────────────
def test_a_new_policy_is_rolled_out_to_the_endpoint(chain: Chain) -> None:
    chain.deploy("first")
    chain.govern(policy(instances={"type": "ml.c5.xlarge", "count": 2}, tags={"cost-center": "flowers"}))
    variant = chain.variant()
    assert (variant["InstanceType"], chain.instances()) == ("ml.c5.xlarge", 2)
    assert chain.ask().startswith("first")
    assert chain.outcomes() == [(1, "live"), (1, "live")]
    assert chain.news()[-2:] == ["Policy Accepted", "Release Live"]
    client = chain.cloud.client("sagemaker")
    tags = client.list_tags(ResourceArn=chain.endpoint()["EndpointArn"])["Tags"]
    assert {"Key": "cost-center", "Value": "flowers"} in tags


def test_a_wrong_policy_is_refused_with_the_field_and_moves_nothing(chain: Chain) -> None:
    chain.deploy("first")
    serving = chain.endpoint()
    chain.govern("deployment: {instances: {type: ml.c5.xlarge, count: many}, rolout: {}}")
    (refused,) = [each for each in chain.announcements() if each["detail-type"] == "Policy Refused"]
    problems = " ".join(refused["detail"]["problems"])
    assert "deployment.instances.count" in problems
    assert "deployment.rolout" in problems
    assert chain.endpoint() == serving
    assert chain.outcomes() == [(1, "live")]


# ── rejections ────────────────────────────────────────────────────────────────────────────────────
def test_rejecting_the_live_version_goes_back(chain: Chain) -> None:
    chain.deploy("first")
    chain.deploy("second")
    chain.decide(2, "Rejected")
    chain.cloud.settle()
    assert chain.ask().startswith("first")
    assert chain.outcomes() == [(1, "live"), (2, "live"), (1, "live")]


def test_rejecting_the_only_version_keeps_it_serving_and_tells_unless_the_policy_deletes_it_then(
    chain: Chain,
) -> None:
    around = {**WATCHED, "autoscaling": {"min": 1, "max": 3, "invocations_per_instance": 100}}
    chain.govern(policy(**around))
    chain.deploy("first")
    chain.decide(1, "Rejected")
    chain.cloud.settle()
    assert chain.ask().startswith("first")
    assert chain.news()[-1] == "Nothing To Serve"
    assert set(chain.alarms()) == {"errors"}
    assert chain.scalable_target() == (1, 3)

    chain.govern(policy(**around, when_nothing_is_approved="delete"))
    chain.sweep()  # no event tells that a deletion is complete
    assert not chain.exists()
    assert chain.alarms() == {}
    assert chain.scalable_target() is None
    assert chain.news()[-1] == "Endpoint Deleted"


# ── instructions ──────────────────────────────────────────────────────────────────────────────────
def test_a_pinned_version_serves_whatever_is_approved_until_it_is_unpinned(chain: Chain) -> None:
    chain.deploy("first")
    chain.deploy("second")
    assert chain.instruct("pin", version=1)["refused"] == []
    assert chain.ask().startswith("first")
    assert "Instruction Taken" in chain.news()
    third = chain.deploy("third")
    assert chain.ask().startswith("first")
    chain.instruct("unpin")
    assert chain.ask().startswith("third")

    chain.decide(third, "Rejected")
    chain.cloud.settle()
    (refused,) = chain.instruct("pin", version=third)["refused"]
    assert "is Rejected, and only what is approved is ever served" in refused


def test_a_frozen_endpoint_takes_up_what_was_decided_when_it_is_unfrozen(chain: Chain) -> None:
    chain.deploy("first")
    chain.instruct("freeze")
    chain.deploy("second")
    assert chain.ask().startswith("first")
    chain.sweep()
    assert chain.ask().startswith("first")
    chain.instruct("unfreeze")
    assert chain.ask().startswith("second")
    assert chain.outcomes() == [(1, "live"), (2, "live")]


def test_a_retired_endpoint_is_deleted_with_all_it_was_made_of_and_comes_back_with_an_approval(
    chain: Chain,
) -> None:
    chain.govern(policy(**WATCHED))
    chain.deploy("first")
    chain.instruct("retire")
    chain.sweep()
    assert not chain.exists()
    assert chain.made() == (set(), set())
    assert chain.alarms() == {}
    assert chain.versions() == {1: "Approved"}
    assert chain.sweep()["repaired"].get(chain.group) is None
    chain.deploy("second")
    assert chain.ask().startswith("second")


def test_an_endpoint_that_somebody_else_made_is_left_alone_until_it_is_adopted(chain: Chain) -> None:
    chain.deploy("first")
    client = chain.cloud.client("sagemaker")
    other = f"{chain.group[:40]}-theirs"
    client.create_endpoint(EndpointName=other, EndpointConfigName=chain.endpoint()["EndpointConfigName"])
    chain.cloud.settle()
    theirs = Chain(chain.cloud, other)
    theirs.deploy("second")
    assert theirs.ask().startswith("first")
    assert theirs.news()[-1] == "Deployment Refused"
    theirs.instruct("adopt")
    assert theirs.ask().startswith("second")
    tags = client.list_tags(ResourceArn=theirs.endpoint()["EndpointArn"])["Tags"]
    assert tags == [{"Key": "modelgate:stack", "Value": "modelgate"}]


# ── what cannot be had for now, and what needs a person ───────────────────────────────────────────
def test_what_there_are_no_instances_for_is_blocked_told_once_and_tried_again_after_a_pause(
    chain: Chain, watch: Watch
) -> None:
    chain.govern(policy(instances={"type": "ml.c5.4xlarge"}))
    chain.cloud.faults.no_capacity("ml.c5.4xlarge", times=2)
    chain.deploy("first")
    (blocked,) = [each for each in chain.announcements() if each["detail-type"] == "Deployment Blocked"]
    assert "InsufficientInstanceCapacity" in blocked["detail"]["message"]
    assert chain.versions() == {1: "Approved"}
    chain.sweep()
    assert chain.outcomes() == [(1, "blocked")]  # the pause is not over
    for _ in range(2):
        watch.put_forward(3600)
        chain.sweep()
    assert chain.ask().startswith("first")
    assert chain.outcomes() == [(1, "blocked"), (1, "blocked"), (1, "live")]
    assert chain.news().count("Deployment Blocked") == 1


def test_a_rollback_that_fails_needs_a_person_and_nothing_is_touched_until_then(chain: Chain) -> None:
    chain.govern(policy(**WATCHED))
    chain.deploy("first")
    chain.cloud.faults.rollback_fails(chain.group)
    chain.deploy("second", NEVER_LOADS)
    stuck = chain.endpoint()
    assert stuck["EndpointStatus"] == "UpdateRollbackFailed"
    made = chain.made()
    chain.deploy("third")
    chain.sweep()
    assert chain.endpoint() == stuck
    assert chain.made() == made
    assert chain.news().count("Person Needed") == 1
    assert set(chain.versions().values()) == {"Approved"}

    chain.cloud.client("sagemaker").delete_endpoint(EndpointName=chain.group)
    chain.cloud.settle()
    chain.sweep()
    assert chain.ask().startswith("third")
