"""Autoscaling around updates, and the endpoints that are neither real-time nor on instances of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.simulation.chain import ANSWERS_WRONGLY, FAILS_TO_PREDICT, Chain, answers_when_there_is, policy

SCALED: dict[str, Any] = {"autoscaling": {"min": 1, "max": 4, "invocations_per_instance": 600}}
ASYNCHRONOUS = policy(asynchronous={"max_concurrent_invocations": 2})


def on(instance_type: str, **more: Any) -> dict[str, Any]:
    return {"instances": {"type": instance_type}, **more}


# ── autoscaling ───────────────────────────────────────────────────────────────────────────────────
def test_an_endpoint_is_scaled_once_its_release_is_live_and_an_update_keeps_the_count(chain: Chain) -> None:
    chain.govern(policy(**SCALED))
    chain.register("first")
    held = chain.cloud.faults.hold(chain.on("EndpointChanged"))
    chain.approve(1)
    chain.cloud.settle()
    assert chain.endpoint()["EndpointStatus"] == "InService"
    assert chain.scalable_target() is None
    held.release()
    chain.cloud.settle()
    assert chain.scalable_target() == (1, 4)
    (follows,) = chain.scaling_policies()
    assert follows["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] == 600

    chain.scale_to(3)
    chain.deploy("second")
    assert chain.ask().startswith("second")
    assert chain.instances() == 3

    chain.govern(
        policy(autoscaling={"min": 2, "max": 6, "invocations_per_instance": 60}, instances={"count": 2})
    )
    assert chain.scalable_target() == (2, 6)
    (follows,) = chain.scaling_policies()
    assert follows["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] == 60
    assert chain.instances() == 2  # a count that is changed in the policy is meant
    chain.govern(policy(instances={"count": 2}))
    assert chain.scalable_target() is None
    assert chain.scaling_policies() == []


def test_another_instance_type_is_reached_without_autoscaling_which_is_back_after_it_and_after_a_rollback(
    chain: Chain,
) -> None:
    chain.govern(policy(**on("ml.m5.xlarge", **SCALED)))
    chain.deploy("first")
    chain.cloud.faults.no_capacity("ml.c5.xlarge")
    chain.govern(policy(**on("ml.c5.xlarge", **SCALED)))
    assert chain.news()[-1] == "Deployment Blocked"
    assert chain.variant()["InstanceType"] == "ml.m5.xlarge"
    assert chain.scalable_target() == (1, 4)
    assert len(chain.scaling_policies()) == 1

    chain.instruct("retry")
    assert chain.variant()["InstanceType"] == "ml.c5.xlarge"
    assert chain.scalable_target() == (1, 4)
    assert len(chain.scaling_policies()) == 1
    assert chain.outcomes() == [(1, "live"), (1, "blocked"), (1, "live")]


# ── without instances ─────────────────────────────────────────────────────────────────────────────
def test_a_serverless_endpoint_goes_live_and_is_updated(chain: Chain) -> None:
    chain.govern(policy(serverless={"memory_mb": 2048, "max_concurrency": 5}))
    chain.deploy("first")
    assert chain.ask().startswith("first")
    chain.deploy("second")
    assert chain.ask().startswith("second")
    assert chain.variant()["ServerlessConfig"] == {"MemorySizeInMB": 2048, "MaxConcurrency": 5}
    assert chain.outcomes() == [(1, "live"), (2, "live")]


# ── asynchronous ──────────────────────────────────────────────────────────────────────────────────
def ask_and_fetch(chain: Chain, question: str) -> str:
    """What an asynchronous endpoint answers into S3."""
    s3, bucket = chain.cloud.client("s3"), chain.cloud.outputs["Bucket"]
    asked = chain.cloud.client("sagemaker-runtime").invoke_endpoint_async(
        EndpointName=chain.group, Body=question.encode(), ContentType="text/csv"
    )
    chain.cloud.settle()
    key = asked["OutputLocation"].removeprefix(f"s3://{bucket}/")
    with s3.get_object(Bucket=bucket, Key=key)["Body"] as answer:
        return str(answer.read().decode())


def test_an_asynchronous_endpoint_is_live_when_its_smoke_test_has_been_answered(
    chain: Chain, tmp_path: Path
) -> None:
    chain.govern(ASYNCHRONOUS)
    answers = tmp_path / "it may answer"
    chain.register("first", answers_when_there_is(answers))
    chain.approve(1)
    chain.await_run("EndpointChanged", EndpointStatus="IN_SERVICE")
    endpoint = chain.endpoint()
    assert endpoint["EndpointStatus"] == "InService"
    assert endpoint["AsyncInferenceConfig"]["ClientConfig"] == {"MaxConcurrentInvocationsPerInstance": 2}
    assert chain.outcomes() == []
    answers.touch()
    chain.cloud.settle()
    assert chain.outcomes() == [(1, "live")]
    assert "first says setosa to 5.1,3.5" in chain.announcements()[-1]["detail"]["message"]
    assert ask_and_fetch(chain, "6.0,3.0") == "first says setosa to 6.0,3.0"


def test_an_asynchronous_version_that_answers_wrongly_or_not_at_all_is_rejected(chain: Chain) -> None:
    chain.govern(ASYNCHRONOUS)
    chain.deploy("first")
    chain.deploy("second", ANSWERS_WRONGLY)
    chain.deploy("third", FAILS_TO_PREDICT)
    assert chain.versions() == {1: "Approved", 2: "Rejected", 3: "Rejected"}
    assert "second says virginica" in chain.package(2)["ApprovalDescription"]
    assert "feature names do not match" in chain.package(3)["ApprovalDescription"]
    assert chain.outcomes() == [(1, "live"), (2, "failed"), (1, "live"), (3, "failed"), (1, "live")]
