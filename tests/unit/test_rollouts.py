"""Rollouts, alarms, autoscaling and what a policy costs or does not cost, on an in-memory AWS."""

from __future__ import annotations

import itertools

import pytest

from modelgate.errors import Forbidden
from tests.fakes.deployment import Deployment
from tests.fakes.sagemaker import EndpointEvent

CANARY = b"""
deployment:
  instances: {type: ml.m5.large, count: 2}
  rollout: {strategy: canary, percent: 50, wait_seconds: 300}
  alarms: {error_rate_percent: 1, p99_latency_ms: 500}
"""
SCALED = """
deployment:
  instances: {{type: {type}, count: {count}}}
  autoscaling: {{min: 2, max: 8, invocations_per_instance: 600}}
"""


def scaled(type: str = "ml.m5.large", count: int = 2) -> bytes:  # noqa: A002 - the policy's word
    return SCALED.format(type=type, count=count).encode()


def going_live(deployment: Deployment, versions: int = 1) -> Deployment:
    for _ in range(versions):
        deployment.approve(deployment.register())
        deployment.settle()
    return deployment


def under_way(deployment: Deployment) -> None:
    """The next version is approved, and SageMaker is at it."""
    deployment.approve(deployment.register())
    deployment.handle(deployment.sagemaker.events.pop())


def test_an_update_is_rolled_out_as_the_policy_says_and_watched_by_its_alarms() -> None:
    iris = going_live(Deployment(CANARY))
    under_way(iris)
    there = iris.sagemaker.endpoint("iris")
    assert there is not None
    assert there.change.rollout is not None
    assert there.change.rollout.strategy == "canary"
    assert there.change.alarms == ("iris:errors", "iris:latency")
    iris.sagemaker.advance("iris")
    assert iris.served == 1, "the old version serves while the new one bakes"
    iris.settle()
    assert iris.served == 2


def test_an_alarm_during_the_bake_rolls_back_and_the_version_is_rejected() -> None:
    iris = going_live(Deployment(CANARY))
    under_way(iris)
    iris.sagemaker.set_alarms("iris", "ALARM")
    iris.settle()
    assert (iris.served, iris.live, iris.approval(2)) == (1, 1, "Rejected")
    assert "an alarm went off" in iris.sagemaker.package("iris", 2).description


def test_going_back_is_all_at_once_and_no_alarm_stops_it() -> None:
    iris = going_live(Deployment(CANARY), 2)
    iris.reject(2)
    iris.handle(iris.sagemaker.events.pop())
    there = iris.sagemaker.endpoint("iris")
    assert there is not None
    assert (there.change.rollout, there.change.alarms) == (None, ())
    iris.sagemaker.set_alarms("iris", "ALARM")
    iris.settle()
    assert (iris.served, iris.live) == (1, 1)


def test_an_alarm_that_stands_already_does_not_keep_a_better_version_away() -> None:
    iris = going_live(Deployment(CANARY))
    iris.sagemaker.set_alarms("iris", "ALARM")
    under_way(iris)
    iris.settle()
    assert (iris.served, iris.live) == (2, 2)


def test_alarms_come_and_go_with_the_policy_without_an_update() -> None:
    iris = going_live(Deployment(CANARY))
    assert set(iris.sagemaker.alarms) == {"iris:errors", "iris:latency"}
    updates = iris.calls.made.count("UpdateEndpoint")
    iris.upload_policy(CANARY.replace(b", p99_latency_ms: 500", b""))
    assert set(iris.sagemaker.alarms) == {"iris:errors"}
    iris.upload_policy(CANARY.replace(b"  alarms: {error_rate_percent: 1, p99_latency_ms: 500}\n", b""))
    assert iris.sagemaker.alarms == {}
    assert iris.calls.made.count("UpdateEndpoint") == updates


def test_autoscaling_is_registered_once_the_release_is_live_and_an_update_keeps_its_count() -> None:
    iris = Deployment(scaled())
    under_way(iris)
    assert iris.sagemaker.scalable == {}
    iris.settle()
    assert iris.sagemaker.scalable["iris"].max == 8
    there = iris.sagemaker.endpoint("iris")
    assert there is not None
    there.instances = 5
    under_way(iris)
    assert there.change.keeps_counts
    iris.settle()
    assert there.instances == 5


def test_a_count_that_the_policy_changes_is_not_kept_from_autoscaling() -> None:
    iris = going_live(Deployment(scaled()))
    iris.upload_policy(scaled(count=4))
    there = iris.sagemaker.endpoint("iris")
    assert there is not None
    assert not there.change.keeps_counts
    iris.settle()
    assert there.instances == 4


@pytest.mark.parametrize("comes_up", [True, False])
def test_another_instance_type_suspends_autoscaling_and_brings_it_back_whatever_happens(
    comes_up: bool,
) -> None:
    iris = going_live(Deployment(scaled()))
    if not comes_up:
        iris.sagemaker.too_small.add("ml.t2.medium")
    iris.upload_policy(scaled("ml.t2.medium"))
    assert iris.sagemaker.scalable == {}
    iris.settle()
    assert iris.sagemaker.scalable["iris"].max == 8
    assert iris.instances == ("ml.t2.medium" if comes_up else "ml.m5.large", 2)
    assert iris.state.tending is None


def test_a_policy_under_which_nothing_comes_up_costs_no_version_its_approval() -> None:
    iris = going_live(Deployment())
    iris.sagemaker.too_small.add("ml.t2.medium")
    iris.upload_policy(b"deployment: {instances: {type: ml.t2.medium}}")
    iris.settle()
    iris.approve(iris.register())
    iris.settle()
    assert [iris.approval(version) for version in (1, 2)] == ["Approved", "Approved"]
    assert (iris.served, iris.instances) == (1, ("ml.m5.large", 1))
    assert "Policy Failed" in iris.bus.kinds()
    iris.upload_policy(b"{}")
    iris.settle()
    assert iris.live == 2


def test_a_version_that_fails_under_a_new_policy_is_rejected_once_that_policy_has_shown_to_work() -> None:
    iris = going_live(Deployment())
    iris.bucket.put("policies/iris.yaml", b"deployment: {instances: {type: ml.m5.xlarge}}")
    iris.register()
    iris.sagemaker.never_ping.add(2)
    iris.sweep()  # takes the policy up; its own event is not needed
    iris.sagemaker.events.clear()
    iris.approve(2)
    iris.settle()
    assert iris.approval(2) == "Rejected"
    assert (iris.live, iris.instances) == (1, ("ml.m5.xlarge", 1))


def test_a_policy_that_sagemaker_refuses_blames_no_version() -> None:
    iris = going_live(Deployment())
    iris.sagemaker.refused_types.add("ml.r5.large")
    iris.upload_policy(b"deployment: {instances: {type: ml.r5.large}}")
    iris.approve(iris.register())
    iris.settle()
    assert iris.approval(2) == "Approved"
    assert iris.live == 1
    assert any("refuses the policy's endpoint config" in each.message for each in iris.bus.announced)


@pytest.mark.parametrize("lack", ["capacity", "quota", "permission"])
def test_what_aws_lacks_blocks_and_never_rejects(lack: str) -> None:
    iris = going_live(Deployment())
    iris.register()
    if lack == "capacity":
        iris.sagemaker.out_of_stock.add("ml.m5.large")
    elif lack == "quota":
        iris.sagemaker.quota_reached = True
    else:
        iris.calls.fail("UpdateEndpoint", Forbidden("UpdateEndpoint", "AccessDeniedException", "no"))
    iris.approve(2)
    iris.settle()
    assert (iris.live, iris.approval(2)) == (1, "Approved")
    assert iris.bus.kinds().count("Deployment Blocked") == 1
    iris.sweep()
    assert iris.outcomes()[-1] == (2, "blocked")
    tried = len(iris.outcomes())
    iris.sagemaker.out_of_stock.clear()
    iris.sagemaker.quota_reached = False
    iris.sweep()
    assert len(iris.outcomes()) == tried, "it waits for its time"
    iris.clock.forward(16 * 60)
    iris.sweep()
    iris.settle()
    assert iris.live == 2


def test_a_block_is_told_once_and_its_pauses_grow() -> None:
    iris = going_live(Deployment())
    iris.sagemaker.quota_reached = True
    iris.approve(iris.register())
    iris.settle()
    pauses = []
    for _ in range(5):
        block = iris.state.block
        assert block is not None
        pauses.append((block.until - iris.clock.now).total_seconds())
        iris.clock.forward(pauses[-1] + 1)
        iris.sweep()
        iris.settle()
    assert [round(after / before) for before, after in itertools.pairwise(pauses)] == [2, 2, 2, 2]
    assert iris.bus.kinds().count("Deployment Blocked") == 1


def test_a_capacity_that_lacks_for_the_first_creation_leaves_nothing_behind_and_comes_later() -> None:
    iris = Deployment()
    iris.sagemaker.out_of_stock.add("ml.m5.large")
    iris.approve(iris.register())
    iris.settle()
    assert iris.approval(1) == "Approved"
    iris.sagemaker.out_of_stock.clear()
    iris.clock.forward(16 * 60)
    iris.sweep()
    iris.settle()
    assert iris.live == 1


def test_only_the_last_releases_are_kept() -> None:
    iris = going_live(Deployment(b"deployment: {keep_releases: 2}"), 5)
    assert set(iris.sagemaker.configs) == {"iris-v4-4", "iris-v5-5"} == set(iris.sagemaker.models)
    assert iris.state.made == ("iris-v4-4", "iris-v5-5")


def test_what_a_failed_attempt_made_is_gone_at_once() -> None:
    iris = going_live(Deployment())
    iris.sagemaker.never_ping.add(iris.register())
    iris.approve(2)
    iris.settle()
    assert set(iris.sagemaker.configs) == {"iris-v1-1"}


@pytest.mark.parametrize("says", ["keep", "delete"])
def test_the_policy_says_what_becomes_of_an_endpoint_when_nothing_is_approved(says: str) -> None:
    iris = Deployment(CANARY + f"  when_nothing_is_approved: {says}\n".encode())
    going_live(iris)
    iris.reject(1)
    iris.settle()
    iris.sweep()
    assert (iris.sagemaker.endpoint("iris") is not None) == (says == "keep")
    assert bool(iris.sagemaker.alarms) == (says == "keep")
    assert iris.bus.kinds()[-1] == ("Nothing To Serve" if says == "keep" else "Endpoint Deleted")


def test_tags_follow_the_policy() -> None:
    iris = going_live(Deployment(b"deployment: {tags: {team: ml, stage: prod}}"))
    there = iris.sagemaker.endpoint("iris")
    assert there is not None
    assert there.tags == {"team": "ml", "stage": "prod"}
    iris.upload_policy(b"deployment: {tags: {team: search}}")
    assert there.tags == {"team": "search"}


def test_an_asynchronous_endpoint_goes_live_when_its_answer_lies_in_the_bucket() -> None:
    iris = Deployment(b"deployment: {asynchronous: {}}")
    iris.approve(iris.register())
    iris.settle()
    assert iris.live is None
    key = iris.sagemaker.answer(iris.bucket)
    assert key is not None
    iris.runtime.reconciler.answered(key, iris.invocation())
    assert iris.live == 1


def test_an_asynchronous_endpoint_that_fails_to_answer_has_its_version_rejected() -> None:
    iris = Deployment(b"deployment: {asynchronous: {}}")
    iris.sagemaker.answer_wrongly.add(iris.register())
    iris.approve(1)
    iris.settle()
    key = iris.sagemaker.answer(iris.bucket)
    assert key is not None
    iris.runtime.reconciler.answered(key, iris.invocation())
    assert iris.approval(1) == "Rejected"


def test_an_answer_that_never_comes_is_a_failure_that_the_sweep_notices() -> None:
    iris = Deployment(b"deployment: {asynchronous: {}}")
    iris.approve(iris.register())
    iris.settle()
    iris.clock.forward(7 * 3600)
    iris.sweep()
    assert iris.approval(1) == "Rejected"
    assert "was not answered" in iris.sagemaker.package("iris", 1).description


def test_an_endpoint_of_instances_is_never_made_serverless() -> None:
    iris = going_live(Deployment())
    report = iris.upload_policy(b"deployment: {serverless: {memory_mb: 2048, max_concurrency: 5}}")
    assert "modelgate retire iris --endpoint iris" in report.refused[0]
    iris.handle(EndpointEvent("iris", "InService"))
    assert iris.live == 1


def test_another_endpoint_in_the_policy_takes_over_what_was_decided() -> None:
    iris = going_live(Deployment())
    iris.upload_policy(b"deployment: {endpoint: flowers}")
    iris.sagemaker.advance("flowers")
    iris.handle(EndpointEvent("flowers", "InService"))
    assert (iris.sagemaker.serves("flowers"), iris.sagemaker.serves("iris")) == (1, 1)
    iris.approve(iris.register())
    iris.settle()
    iris.sagemaker.advance("flowers")
    iris.handle(EndpointEvent("flowers", "InService"))
    assert (iris.sagemaker.serves("flowers"), iris.sagemaker.serves("iris")) == (2, 1)


def test_a_rejection_that_still_waits_is_over_when_the_version_goes_live_after_all() -> None:
    iris = going_live(Deployment())
    iris.sagemaker.never_ping.add(iris.register())
    iris.approve(2)
    iris.handle(iris.sagemaker.events.pop())
    iris.sagemaker.advance("iris")
    iris.clock.forward(60)
    iris.approve(2)  # again, while it fails; the news of that is on its way
    again = iris.sagemaker.events.pop()
    iris.handle(iris.sagemaker.events.pop())
    assert [effect.kind for effect in iris.state.effects] == ["reject"], (
        "it waits for what explains the change"
    )
    iris.sagemaker.never_ping.clear()
    iris.handle(again)
    iris.settle()
    iris.clock.forward(3600)
    iris.sweep()
    assert (iris.live, iris.approval(2), iris.state.effects) == (2, "Approved", ())
