"""What the adapters make on AWS, as AWS shows it afterwards; and how they take what AWS says."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud import LocalCloud
from modelgate.aws import s3
from modelgate.aws.errors import lacks_capacity, translated
from modelgate.errors import AwsError, Forbidden, Invalid, LimitReached, NotFound, Refused, Throttled
from modelgate.manifest import SmokeTest
from modelgate.policy import (
    Alarms,
    Asynchronous,
    Autoscaling,
    DeploymentPolicy,
    Instances,
    Rollout,
    Serverless,
    Vpc,
)
from modelgate.ports import Change, NewObject
from tests.contract.worlds import ARN, BARE, STACK, World, approved, look, made, on, served

ROOT = Path(__file__).parents[2]
KEY = "arn:aws:kms:eu-central-1:123456789012:key/0f8fad5b-d9cb-469f-a165-70867728950e"
_groups = (f"adapted-{number}" for number in count(1))


@pytest.fixture(scope="module")
def cloud() -> Iterator[LocalCloud]:
    with LocalCloud(ROOT / "template.yaml") as cloud:
        yield cloud


@pytest.fixture
def world(cloud: LocalCloud) -> World:
    return on(cloud)


@pytest.fixture
def group() -> str:
    return next(_groups)


def config_under(cloud: LocalCloud, world: World, group: str, policy: DeploymentPolicy) -> dict[str, Any]:
    """The endpoint config that follows from a policy, without what only names it."""
    approved(world, group)
    made(world, group, group, policy)
    described = cloud.client("sagemaker").describe_endpoint_config(EndpointConfigName=group)
    naming = {"ResponseMetadata", "EndpointConfigArn", "CreationTime", "EndpointConfigName"}
    return {key: value for key, value in described.items() if key not in naming}


def model_under(cloud: LocalCloud, world: World, group: str, policy: DeploymentPolicy) -> dict[str, Any]:
    approved(world, group)
    world.hosting.make_model(group, group, 1, policy)
    model: dict[str, Any] = cloud.client("sagemaker").describe_model(ModelName=group)
    return model


def tags_of(cloud: LocalCloud, kind: str, name: str) -> dict[str, str]:
    listed = cloud.client("sagemaker").list_tags(ResourceArn=f"{ARN}:{kind}/{name}")["Tags"]
    return {tag["Key"]: tag["Value"] for tag in listed}


# ── the bucket ────────────────────────────────────────────────────────────────────────────────────
def test_what_is_too_large_for_one_call_is_copied_by_parts(
    world: World, group: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    least_part = 5 * 1024**2
    monkeypatch.setattr(s3, "_COPIED_AT_ONCE", least_part)
    body = bytes(least_part) + group.encode()
    world.upload(f"data/{group}/a", body)
    found = world.bucket.head(f"data/{group}/a")
    assert found is not None
    (copied,) = world.bucket.keep({f"data/{group}/b": found})
    assert world.bucket.read(f"data/{group}/b", len(body)) == (body, copied)
    assert copied.etag.strip('"').endswith("-2")


# ── models and endpoint configs ───────────────────────────────────────────────────────────────────
def test_a_bare_policy_asks_for_one_machine_and_nothing_else(
    cloud: LocalCloud, world: World, group: str
) -> None:
    assert config_under(cloud, world, group, BARE) == {
        "ProductionVariants": [
            {
                "VariantName": "AllTraffic",
                "ModelName": group,
                "InstanceType": "ml.m5.large",
                "InitialInstanceCount": 1,
                "InitialVariantWeight": 1.0,
                "ContainerStartupHealthCheckTimeoutInSeconds": 600,
            }
        ]
    }


def test_a_serverless_variant_has_no_machines_and_no_startup_timeout(
    cloud: LocalCloud, world: World, group: str
) -> None:
    policy = DeploymentPolicy(serverless=Serverless(memory_mb=4096, max_concurrency=20))
    assert config_under(cloud, world, group, policy)["ProductionVariants"] == [
        {
            "VariantName": "AllTraffic",
            "ModelName": group,
            "InitialVariantWeight": 1.0,
            "ServerlessConfig": {"MemorySizeInMB": 4096, "MaxConcurrency": 20},
        }
    ]


def test_answers_captures_and_the_key_are_as_the_policy_says(
    cloud: LocalCloud, world: World, group: str
) -> None:
    bucket = cloud.outputs["Bucket"]
    topics = [f"arn:aws:sns:eu-central-1:123456789012:{name}" for name in ("answers", "failures")]
    policy = DeploymentPolicy(
        instances=Instances(volume_gb=30),
        asynchronous=Asynchronous(
            max_concurrent_invocations=4, success_topic=topics[0], error_topic=topics[1]
        ),
        data_capture_percent=25,
        kms_key=KEY,
    )
    config = config_under(cloud, world, group, policy)
    assert config["KmsKeyId"] == KEY
    assert config["ProductionVariants"][0]["VolumeSizeInGB"] == 30
    assert config["AsyncInferenceConfig"] == {
        "ClientConfig": {"MaxConcurrentInvocationsPerInstance": 4},
        "OutputConfig": {
            "S3OutputPath": f"s3://{bucket}/predictions/{group}/",
            "S3FailurePath": f"s3://{bucket}/predictions/{group}/failures/",
            "KmsKeyId": KEY,
            "NotificationConfig": {"SuccessTopic": topics[0], "ErrorTopic": topics[1]},
        },
    }
    capture = config["DataCaptureConfig"]
    assert (capture["EnableCapture"], capture["InitialSamplingPercentage"]) == (True, 25)
    assert (capture["DestinationS3Uri"], capture["KmsKeyId"]) == (f"s3://{bucket}/captured/{group}/", KEY)
    assert {option["CaptureMode"] for option in capture["CaptureOptions"]} == {"Input", "Output"}


def test_nothing_is_captured_at_0_percent(cloud: LocalCloud, world: World, group: str) -> None:
    config = config_under(cloud, world, group, DeploymentPolicy(data_capture_percent=0))
    assert "DataCaptureConfig" not in config


def test_the_network_of_the_policy_is_the_models(cloud: LocalCloud, world: World, group: str) -> None:
    vpc = Vpc(security_groups=["sg-0a1b2c3d"], subnets=["subnet-0a1b2c3d", "subnet-4e5f6a7b"])
    model = model_under(cloud, world, group, DeploymentPolicy(vpc=vpc, network_isolation=True))
    assert model["EnableNetworkIsolation"]
    assert model["VpcConfig"] == {
        "SecurityGroupIds": ["sg-0a1b2c3d"],
        "Subnets": ["subnet-0a1b2c3d", "subnet-4e5f6a7b"],
    }


def test_a_bare_policy_leaves_the_network_alone(cloud: LocalCloud, world: World, group: str) -> None:
    model = model_under(cloud, world, group, BARE)
    assert not model["EnableNetworkIsolation"]
    assert "VpcConfig" not in model


# ── tags ──────────────────────────────────────────────────────────────────────────────────────────
def test_everything_that_is_made_carries_the_stacks_tag_and_the_policys(
    cloud: LocalCloud, world: World, group: str
) -> None:
    served(world, group, DeploymentPolicy(tags={"team": "ml"}))
    for kind in ("model", "endpoint-config", "endpoint"):
        assert tags_of(cloud, kind, group) == {"modelgate:stack": STACK, "team": "ml"}


def test_the_stacks_own_tag_is_never_changed(cloud: LocalCloud, world: World, group: str) -> None:
    served(world, group)
    world.hosting.retag(group, {"modelgate:stack": "another"}, ["modelgate:stack"])
    assert tags_of(cloud, "endpoint", group) == {"modelgate:stack": STACK}


def test_an_endpoint_of_another_stack_is_not_taken_over(cloud: LocalCloud, world: World, group: str) -> None:
    approved(world, group)
    made(world, group, group)
    cloud.client("sagemaker").create_endpoint(
        EndpointName=group,
        EndpointConfigName=group,
        Tags=[{"Key": "modelgate:stack", "Value": "staging"}],
    )
    cloud.settle()
    with pytest.raises(Refused, match="staging"):
        world.hosting.adopt(group)
    assert tags_of(cloud, "endpoint", group) == {"modelgate:stack": "staging"}


# ── how an update shifts the traffic ──────────────────────────────────────────────────────────────
def policy_after(cloud: LocalCloud, world: World, group: str, change: Change) -> Any:
    """The DeploymentConfig that an update of two instances went by; None if it had none."""
    two = DeploymentPolicy(instances=Instances(count=2))
    served(world, group, two)
    made(world, group, f"{group}-b", two)
    world.watch.put(group, Alarms(error_rate_percent=1, p99_latency_ms=200))
    world.hosting.update(group, f"{group}-b", change)
    cloud.settle()
    described = cloud.client("sagemaker").describe_endpoint(EndpointName=group)
    assert described["EndpointConfigName"] == f"{group}-b"
    return described.get("LastDeploymentConfig")


@pytest.mark.parametrize("change", [Change(), Change(Rollout()), Change(Rollout(), keeps_counts=True)])
def test_an_update_that_nothing_watches_has_no_deployment_config(
    cloud: LocalCloud, world: World, group: str, change: Change
) -> None:
    assert policy_after(cloud, world, group, change) is None


def test_a_canary_is_watched_and_then_the_whole(cloud: LocalCloud, world: World, group: str) -> None:
    canary = Rollout(strategy="canary", percent=25, wait_seconds=300, termination_wait_seconds=120)
    alarms = (f"{STACK}-{group}-errors", f"{STACK}-{group}-latency")
    assert policy_after(cloud, world, group, Change(canary, alarms)) == {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": {
                "Type": "CANARY",
                "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 25},
                "WaitIntervalInSeconds": 300,
            },
            "TerminationWaitInSeconds": 120,
            "MaximumExecutionTimeoutInSeconds": 2 * 300 + 120 + 14_400,
        },
        "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": name} for name in alarms]},
    }


def test_linear_steps_are_counted_in_instances(cloud: LocalCloud, world: World, group: str) -> None:
    linear = Rollout(strategy="linear", instances=1, wait_seconds=60, timeout_seconds=900)
    assert policy_after(cloud, world, group, Change(linear)) == {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": {
                "Type": "LINEAR",
                "LinearStepSize": {"Type": "INSTANCE_COUNT", "Value": 1},
                "WaitIntervalInSeconds": 60,
            },
            "TerminationWaitInSeconds": 0,
            "MaximumExecutionTimeoutInSeconds": 900,
        }
    }


def test_rolling_replaces_batches_and_ends_in_eight_hours_at_most(
    cloud: LocalCloud, world: World, group: str
) -> None:
    rolling = Rollout(strategy="rolling", instances=1, wait_seconds=3600)
    assert policy_after(cloud, world, group, Change(rolling)) == {
        "RollingUpdatePolicy": {
            "MaximumBatchSize": {"Type": "INSTANCE_COUNT", "Value": 1},
            "WaitIntervalInSeconds": 3600,
            "MaximumExecutionTimeoutInSeconds": 28_800,
        }
    }


def test_all_at_once_is_watched_while_the_old_instances_stand_by(
    cloud: LocalCloud, world: World, group: str
) -> None:
    rollout = Rollout(wait_seconds=300, termination_wait_seconds=60)
    alarms = (f"{STACK}-{group}-errors",)
    policy = policy_after(cloud, world, group, Change(rollout, alarms))["BlueGreenUpdatePolicy"]
    assert policy["TrafficRoutingConfiguration"] == {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}
    assert policy["TerminationWaitInSeconds"] == 360


def test_counts_are_kept_when_the_change_says_so(cloud: LocalCloud, world: World, group: str) -> None:
    served(world, group)
    made(world, group, f"{group}-b")
    made(world, group, f"{group}-c")
    sagemaker = cloud.client("sagemaker")

    def instances_after(config: str, change: Change) -> int:
        world.hosting.update(group, config, change)
        cloud.settle()
        (variant,) = sagemaker.describe_endpoint(EndpointName=group)["ProductionVariants"]
        return int(variant["CurrentInstanceCount"])

    sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=group,
        DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredInstanceCount": 3}],
    )
    cloud.settle()
    assert instances_after(f"{group}-b", Change(keeps_counts=True)) == 3
    assert instances_after(f"{group}-c", Change()) == 1


# ── autoscaling ───────────────────────────────────────────────────────────────────────────────────
def scaling_policies(cloud: LocalCloud, group: str) -> dict[str, Any]:
    """By type, the scaling policies of an endpoint."""
    listed = cloud.client("application-autoscaling").describe_scaling_policies(
        ServiceNamespace="sagemaker", ResourceId=f"endpoint/{group}/variant/AllTraffic"
    )["ScalingPolicies"]
    return {policy["PolicyType"]: policy for policy in listed}


def alarm(cloud: LocalCloud, name: str) -> Any:
    """The alarm of this name; None if there is none."""
    found = cloud.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
    return found[0] if found else None


def test_the_instances_of_a_real_time_endpoint_follow_its_invocations(
    cloud: LocalCloud, world: World, group: str
) -> None:
    served(world, group)
    scaling = Autoscaling(min=1, max=4, invocations_per_instance=70, scale_in_cooldown_seconds=600)
    world.scaling.register(group, scaling)
    (target,) = cloud.client("application-autoscaling").describe_scalable_targets(
        ServiceNamespace="sagemaker", ResourceIds=[f"endpoint/{group}/variant/AllTraffic"]
    )["ScalableTargets"]
    assert target["ScalableDimension"] == "sagemaker:variant:DesiredInstanceCount"
    assert (target["MinCapacity"], target["MaxCapacity"]) == (1, 4)
    (policy,) = scaling_policies(cloud, group).values()
    assert policy["TargetTrackingScalingPolicyConfiguration"] == {
        "TargetValue": 70.0,
        "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
        "ScaleInCooldown": 600,
        "ScaleOutCooldown": 60,
    }
    world.scaling.deregister(group)
    assert scaling_policies(cloud, group) == {}


def test_an_asynchronous_endpoint_without_instances_is_woken_by_one_request(
    cloud: LocalCloud, world: World, group: str
) -> None:
    served(world, group, DeploymentPolicy(asynchronous=Asynchronous()))
    world.scaling.register(group, Autoscaling(min=0, max=2, backlog_per_instance=5))
    policies = scaling_policies(cloud, group)
    tracking = policies["TargetTrackingScaling"]["TargetTrackingScalingPolicyConfiguration"]
    assert tracking["TargetValue"] == 5.0
    assert tracking["CustomizedMetricSpecification"] == {
        "MetricName": "ApproximateBacklogSizePerInstance",
        "Namespace": "AWS/SageMaker",
        "Dimensions": [{"Name": "EndpointName", "Value": group}],
        "Statistic": "Average",
    }
    waking = alarm(cloud, f"{STACK}-{group}-backlog")
    assert waking["MetricName"] == "HasBacklogWithoutCapacity"
    assert waking["AlarmActions"] == [policies["StepScaling"]["PolicyARN"]]
    world.scaling.deregister(group)
    assert alarm(cloud, f"{STACK}-{group}-backlog") is None


def test_an_endpoint_that_keeps_an_instance_needs_no_waking(
    cloud: LocalCloud, world: World, group: str
) -> None:
    served(world, group, DeploymentPolicy(asynchronous=Asynchronous()))
    world.scaling.register(group, Autoscaling(min=0, max=2, backlog_per_instance=5))
    world.scaling.register(group, Autoscaling(min=1, max=2, backlog_per_instance=5))
    assert set(scaling_policies(cloud, group)) == {"TargetTrackingScaling"}
    assert alarm(cloud, f"{STACK}-{group}-backlog") is None


# ── alarms ────────────────────────────────────────────────────────────────────────────────────────
def test_alarms_are_on_the_share_of_errors_and_on_the_slowest_answers(
    cloud: LocalCloud, world: World, group: str
) -> None:
    world.watch.put(group, Alarms(error_rate_percent=2.5, p99_latency_ms=150, period_seconds=300, periods=2))
    errors, latency = (alarm(cloud, f"{STACK}-{group}-{what}") for what in ("errors", "latency"))
    for each in (errors, latency):
        assert each["Namespace"] == "AWS/SageMaker"
        assert {item["Name"]: item["Value"] for item in each["Dimensions"]} == {
            "EndpointName": group,
            "VariantName": "AllTraffic",
        }
        assert (each["Period"], each["EvaluationPeriods"]) == (300, 2)
        assert each["ComparisonOperator"] == "GreaterThanThreshold"
        assert each["TreatMissingData"] == "notBreaching"
    assert (errors["MetricName"], errors["Statistic"]) == ("Invocation5XXErrors", "Average")
    assert errors["Threshold"] == pytest.approx(0.025)
    assert (latency["MetricName"], latency["ExtendedStatistic"]) == ("ModelLatency", "p99")
    assert latency["Threshold"] == 150_000  # microseconds
    tags = cloud.client("cloudwatch").list_tags_for_resource(ResourceARN=errors["AlarmArn"])["Tags"]
    assert tags == [{"Key": "modelgate:stack", "Value": STACK}]


def test_an_alarm_that_the_policy_no_longer_has_is_gone(cloud: LocalCloud, world: World, group: str) -> None:
    world.watch.put(group, Alarms(error_rate_percent=1, p99_latency_ms=200))
    world.watch.put(group, Alarms(p99_latency_ms=200))
    assert alarm(cloud, f"{STACK}-{group}-errors") is None
    assert alarm(cloud, f"{STACK}-{group}-latency") is not None
    world.watch.delete(group)
    assert alarm(cloud, f"{STACK}-{group}-latency") is None


# ── under the functions' own roles ────────────────────────────────────────────────────────────────
MOVERS = (
    "ApprovalChanged",
    "EndpointChanged",
    "SmokeTestAnswered",
    "PolicyUploaded",
    "SweepDue",
    "InstructionGiven",
)


@pytest.mark.parametrize("function", MOVERS)
def test_every_function_that_moves_endpoints_may_do_all_of_it(
    cloud: LocalCloud, world: World, group: str, function: str
) -> None:
    ours = on(cloud, function)
    policy = DeploymentPolicy(
        instances=Instances(count=2), asynchronous=Asynchronous(), data_capture_percent=50, tags={"a": "b"}
    )
    approved(world, group)
    for name in (group, f"{group}-b"):
        made(ours, group, name, policy)
    ours.hosting.create(group, group, policy)
    ours.settle(group)
    alarms = Alarms(error_rate_percent=1)
    ours.watch.put(group, alarms)
    canary = Rollout(strategy="canary", percent=50, wait_seconds=60)
    ours.hosting.update(group, f"{group}-b", Change(canary, ours.watch.quiet(group, alarms)))
    ours.settle(group)
    assert look(ours, group) == ("InService", f"{group}-b")
    ours.bucket.write(NewObject(f"smoke-tests/{group}/1", b"5.1", "text/csv"))
    question = SmokeTest(content_type="text/csv", body="5.1")
    answer, _ = ours.predictions.ask(group, question, f"smoke-tests/{group}/1", "smoke-tests/1")
    ours.settle(group)
    assert ours.bucket.read(answer, 1000) is not None
    for least in (0, 1):
        ours.scaling.register(group, Autoscaling(min=least, max=3, backlog_per_instance=3))
        ours.settle(group)
    ours.scaling.deregister(group)
    assert list(ours.container_logs.read(group, datetime.now(UTC) - timedelta(hours=1), of_new=True))
    ours.hosting.retag(group, {"a": "c"}, ["b"])
    ours.hosting.remove(group)
    ours.watch.delete(group)
    ours.hosting.delete(group)
    ours.settle(group)
    assert ours.hosting.describe(group) is None


def test_only_the_sweep_lists_what_is_approved(cloud: LocalCloud, world: World, group: str) -> None:
    approved(world, group)
    assert list(on(cloud, "SweepDue").registry.approved_versions(group)) == [1]
    with pytest.raises(Forbidden):
        on(cloud, "ApprovalChanged").registry.approved_versions(group)


def test_what_is_gone_is_told_from_what_is_somebody_elses(
    cloud: LocalCloud, world: World, group: str
) -> None:
    """The role is allowed by the tag, and what is gone carries none: IAM denies both."""
    approved(world, group)
    ours = on(cloud, "ApprovalChanged")
    cloud.client("sagemaker").create_model(
        ModelName=f"{group}-theirs",
        PrimaryContainer={"ModelPackageName": f"{ARN}:model-package/{group}/1"},
        ExecutionRoleArn=cloud.outputs["ExecutionRole"],
    )
    ours.hosting.remove(f"{group}-gone")
    ours.hosting.retag(group, {"team": "ml"}, ["cost-center"])
    with pytest.raises(Forbidden):
        ours.hosting.remove(f"{group}-theirs")


def test_the_stacks_own_alarms_are_out_of_the_functions_reach(cloud: LocalCloud) -> None:
    cloudwatch = cloud.client("cloudwatch")
    names = [each["AlarmName"] for each in cloudwatch.describe_alarms()["MetricAlarms"]]
    (stuck,) = (name for name in names if "EndpointsStuckAlarm" in name)
    theirs = cloud._started.client_of(
        f"arn:aws:iam::123456789012:role/{cloud.function('SweepDue').role}", "cloudwatch"
    )
    with pytest.raises(ClientError, match="not authorized"):
        theirs.delete_alarms(AlarmNames=[stuck])


# ── what AWS says ─────────────────────────────────────────────────────────────────────────────────
def _error(code: str, message: str = "") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "Call")


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("ObjectNotFoundException", NotFound),
        ("ResourceLimitExceeded", LimitReached),
        ("LimitExceededException", LimitReached),
        ("LimitExceeded", LimitReached),
        ("ConcurrentUpdateException", Throttled),
        ("ResourceInUse", Throttled),
        ("FailedResourceAccessException", Forbidden),
        ("ValidationException", Invalid),
        ("NeverHeardOf", AwsError),
    ],
)
def test_a_code_of_aws_becomes_an_error_of_ours(code: str, kind: type[AwsError]) -> None:
    with pytest.raises(AwsError) as raised, translated("Call"):
        raise _error(code)
    assert type(raised.value) is kind


_NO_CAPACITY = "Unable to provision requested ML compute capacity"


@pytest.mark.parametrize(
    ("reason", "capacity"),
    [
        (f"{_NO_CAPACITY} due to InsufficientInstanceCapacity error. Please retry after some time.", True),
        (f"CapacityError: {_NO_CAPACITY}. Please retry using a different ML instance type.", True),
        ("The account-level service limit 'ml.m5.large for endpoint usage' is 0 Instances", True),
        ("The primary container for production variant a did not pass the ping health check.", False),
        ("Request to service failed. If failure persists after retry, contact customer support.", False),
        ("", False),
    ],
)
def test_what_aws_lacks_is_told_from_what_fails(reason: str, capacity: bool) -> None:
    assert lacks_capacity(reason) is capacity
