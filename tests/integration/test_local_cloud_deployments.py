"""Guarded updates of endpoints: canaries, steps, batches, alarms, capacity, and what AWS refuses."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Condition
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud import LocalCloud, Pace
from tests.integration.test_local_cloud_sagemaker import PLAIN, Hosting, plain_artifact
from tests.integration.test_local_cloud_small_stack import TEMPLATE, small_stack

DEPLOYMENT = "SageMaker Endpoint Deployment State Change"
STATE = "SageMaker Endpoint State Change"
# As the small stack, but that the execution role sees alarms.
SEES_ALARMS = TEMPLATE.replace(
    'Statement: [{Effect: Allow, Action: s3:GetObject, Resource: !Sub "${Inbox.Arn}/*"}]',
    """Statement:
              - {Effect: Allow, Action: s3:GetObject, Resource: !Sub "${Inbox.Arn}/*"}
              - {Effect: Allow, Action: "cloudwatch:DescribeAlarms", Resource: "*"}""",
)
OLD, NEW = "0", "1"
NO_CAPACITY = "Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity error."


class Deployments(Hosting):
    """Endpoints whose old config answers 0 and whose new one answers 1, and what events tell of them."""

    def __init__(self, cloud: LocalCloud) -> None:
        super().__init__(cloud)
        self.cloudwatch = cloud.client("cloudwatch")
        self._changed = Condition()
        cloud.on_event(self._saw)
        self.model("old", plain_artifact())
        self.model("new", plain_artifact(PLAIN.replace("return ", "return 1 - ")))
        self.model("broken", plain_artifact("raise SystemExit(1)"))

    def serve(self, endpoint: str, instances: int = 2, **more: Any) -> None:
        """Make an endpoint with the config ``<endpoint>-old``; ``<endpoint>-new`` waits."""
        for model in ("old", "new", "broken"):
            self.config(f"{endpoint}-{model}", model, InitialInstanceCount=instances, **more)
        self.endpoint(endpoint, f"{endpoint}-old")

    def update(self, endpoint: str, model: str = "new", **more: Any) -> None:
        """Begin to move an endpoint to another config."""
        self.client.update_endpoint(EndpointName=endpoint, EndpointConfigName=f"{endpoint}-{model}", **more)

    def told(self, endpoint: str) -> dict[str, Any]:
        """What DescribeEndpoint tells."""
        answer: dict[str, Any] = self.client.describe_endpoint(EndpointName=endpoint)
        return answer

    def state(self, endpoint: str) -> tuple[str, str, str | None]:
        """Status, config and reason of failure."""
        told = self.told(endpoint)
        return told["EndpointStatus"], told["EndpointConfigName"], told.get("FailureReason")

    def answers(self, endpoint: str, times: int) -> list[str]:
        """Which fleet answered each of some requests: 0 is the old one."""
        return [self.invoke(endpoint, "0.1,0.5\n0.1,0.5")[:1] for _ in range(times)]

    def alarm(self, name: str, state: str = "OK") -> dict[str, Any]:
        """Make an alarm in a state; the AutoRollbackConfiguration with it."""
        self.cloudwatch.put_metric_alarm(
            AlarmName=name,
            Namespace="AWS/SageMaker",
            MetricName="Invocation5XXErrors",
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=0,
            ComparisonOperator="GreaterThanThreshold",
        )
        self.ring(name, state)
        return {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": name}]}}

    def ring(self, name: str, state: str = "ALARM") -> None:
        """Set an alarm's state."""
        self.cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason="a test")

    def events(self, endpoint: str, kind: str) -> list[dict[str, Any]]:
        """The details of an endpoint's events of a kind so far."""
        return [
            dict(event["detail"])
            for event in self.cloud.events_seen
            if event["detail-type"] == kind and event["detail"]["EndpointName"] == endpoint
        ]

    def statuses_of(self, endpoint: str) -> list[tuple[str, str]]:
        """The states and configs that events have told since the endpoint was in service first."""
        events = self.events(endpoint, STATE)[2:]
        return [(event["EndpointStatus"], event["EndpointConfigName"]) for event in events]

    def stages(self, endpoint: str) -> list[tuple[str, int]]:
        """The stages that events have told, each with the instances of the new fleet that have traffic."""
        variants = [
            event["PendingDeploymentSummary"]["ProductionVariants"][0]
            for event in self.events(endpoint, DEPLOYMENT)
        ]
        return [
            (variant["VariantStatus"][0]["Status"], variant["CurrentInstanceCount"]) for variant in variants
        ]

    def await_stage(self, endpoint: str, name: str, instances: int) -> None:
        """Return when a stage has been told."""
        with self._changed:
            assert self._changed.wait_for(lambda: (name, instances) in self.stages(endpoint), 20)

    def _saw(self, _event: dict[str, Any], _bus: str) -> None:
        with self._changed:
            self._changed.notify_all()


def blue_green(kind: str, wait: int = 60, last: int = 0, **sizes: Any) -> dict[str, Any]:
    """A DeploymentConfig with a BlueGreenUpdatePolicy."""
    routing = {"Type": kind, "WaitIntervalInSeconds": wait, **sizes}
    return {
        "BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing, "TerminationWaitInSeconds": last}
    }


def percent(value: int) -> dict[str, Any]:
    """A size in percent."""
    return {"Type": "CAPACITY_PERCENT", "Value": value}


ONE = {"Type": "INSTANCE_COUNT", "Value": 1}


@pytest.fixture(scope="module")
def deployments(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployments]:
    """One cloud for all tests here. Its endpoint ``firm`` is for those that move nothing."""
    folder, pace = tmp_path_factory.mktemp("cloud"), Pace(bake_factor=0.003)
    with small_stack(folder, template=SEES_ALARMS, pace=pace) as cloud:
        deployments = Deployments(cloud)
        deployments.serve("firm", 1)
        yield deployments


# ── traffic ───────────────────────────────────────────────────────────────────────────────────────


def test_a_canary_answers_its_share_and_goes_back_when_an_alarm_rings(deployments: Deployments) -> None:
    deployments.serve("canary")
    rollback = deployments.alarm("canary-errors")
    policy = blue_green("CANARY", 3600, CanarySize=percent(20)) | rollback
    deployments.update("canary", DeploymentConfig=policy)
    deployments.await_stage("canary", "Baking", 1)

    told = deployments.told("canary")
    assert (told["EndpointStatus"], told["EndpointConfigName"]) == ("Updating", "canary-old")
    summary = told["PendingDeploymentSummary"]
    assert summary["EndpointConfigName"] == "canary-new"
    assert summary["ProductionVariants"][0]["VariantStatus"][0]["Status"] == "Baking"
    assert deployments.answers("canary", 10) == [*"0000100001"]

    deployments.ring("canary-errors")
    deployments.cloud.settle(60)
    status, config, reason = deployments.state("canary")
    assert (status, config) == ("InService", "canary-old")
    assert reason is not None
    assert "canary-errors" in reason
    assert deployments.answers("canary", 5) == [OLD] * 5
    assert deployments.statuses_of("canary") == [
        ("UPDATING", "canary-old"),
        ("ROLLING_BACK", "canary-old"),
        ("IN_SERVICE", "canary-old"),
    ]
    assert "PendingDeploymentSummary" not in deployments.told("canary")


def test_a_canary_that_nothing_rings_for_becomes_the_endpoint(deployments: Deployments) -> None:
    deployments.serve("calm")
    rollback = deployments.alarm("calm-errors")
    policy = blue_green("CANARY", 20, 10, CanarySize=ONE) | rollback
    deployments.update("calm", DeploymentConfig=policy)
    deployments.cloud.settle(60)

    assert deployments.state("calm") == ("InService", "calm-new", None)
    assert deployments.told("calm")["LastDeploymentConfig"] == policy
    assert deployments.answers("calm", 3) == [NEW] * 3
    assert deployments.stages("calm") == [
        ("Creating", 0),
        ("ActivatingTraffic", 1),
        ("Baking", 1),
        ("ActivatingTraffic", 2),
        ("Baking", 2),
    ]
    assert deployments.statuses_of("calm") == [("UPDATING", "calm-old"), ("IN_SERVICE", "calm-new")]

    check_event_of_a_bake(deployments.events("calm", DEPLOYMENT)[2], "calm")

    deployments.update("calm", "old", RetainDeploymentConfig=True)
    deployments.cloud.settle(60)
    assert len(deployments.stages("calm")) == 10
    assert deployments.told("calm")["LastDeploymentConfig"] == policy
    assert deployments.answers("calm", 1) == [OLD]


def check_event_of_a_bake(detail: dict[str, Any], endpoint: str) -> None:
    """A deployment event tells what serves and what is pending, in the shape of AWS."""
    figures = {"VariantName": "AllTraffic", "CurrentWeight": 1, "DesiredWeight": 1}
    assert detail["EndpointStatus"] == "UPDATING"
    assert detail["EndpointConfigName"] == f"{endpoint}-old"
    assert detail["ProductionVariants"] == [{**figures, "CurrentInstanceCount": 2, "DesiredInstanceCount": 2}]
    pending = detail["PendingDeploymentSummary"]
    assert pending["EndpointConfigName"] == f"{endpoint}-new"
    assert pending["StartTime"] > detail["CreationTime"]
    (variant,) = pending["ProductionVariants"]
    (status,) = variant["VariantStatus"]
    told = {name: value for name, value in variant.items() if name != "VariantStatus"}
    assert told == {**figures, "CurrentInstanceCount": 1, "DesiredInstanceCount": 2}
    assert status["Status"] == "Baking"
    assert status["StatusMessage"] == (
        "Baking for 20 seconds (WaitIntervalInSeconds) with traffic enabled on canary capacity of "
        "1 instance(s)."
    )
    assert status["StartTime"] >= pending["StartTime"]


def test_linear_and_rolling_updates_go_step_by_step(deployments: Deployments) -> None:
    deployments.serve("steps", 4)
    deployments.update("steps", DeploymentConfig=blue_green("LINEAR", 0, LinearStepSize=percent(50)))
    deployments.cloud.settle(60)
    assert deployments.state("steps") == ("InService", "steps-new", None)
    assert deployments.stages("steps") == [
        ("Creating", 0),
        ("ActivatingTraffic", 2),
        ("ActivatingTraffic", 4),
    ]

    batches = {"RollingUpdatePolicy": {"MaximumBatchSize": percent(50), "WaitIntervalInSeconds": 5}}
    deployments.update("steps", "old", DeploymentConfig=batches)
    deployments.cloud.settle(60)
    assert deployments.state("steps") == ("InService", "steps-old", None)
    rolled = deployments.events("steps", DEPLOYMENT)[3:]
    left = [event["ProductionVariants"][0]["CurrentInstanceCount"] for event in rolled]
    assert left == [4, 2, 2, 0, 0]


# ── alarms ────────────────────────────────────────────────────────────────────────────────────────


def test_an_alarm_that_rings_already_rolls_every_update_back(deployments: Deployments) -> None:
    rollback = deployments.alarm("noisy-errors", "ALARM")
    deployments.update("firm", DeploymentConfig=rollback)
    deployments.cloud.settle(60)
    status, config, reason = deployments.state("firm")
    assert (status, config) == ("InService", "firm-old")
    assert "noisy-errors" in str(reason)
    assert deployments.stages("firm") == []


def test_an_alarm_rolls_back_as_long_as_the_old_fleet_stands_by(deployments: Deployments) -> None:
    deployments.serve("late", 1)
    rollback = deployments.alarm("late-errors")
    deployments.update("late", DeploymentConfig=blue_green("ALL_AT_ONCE", 0, 3600) | rollback)
    deployments.await_stage("late", "Baking", 1)
    assert deployments.answers("late", 3) == [NEW] * 3
    deployments.ring("late-errors")
    deployments.cloud.settle(60)
    assert deployments.state("late")[:2] == ("InService", "late-old")
    assert deployments.answers("late", 3) == [OLD] * 3


def test_an_alarm_that_is_changed_stays_in_its_state(deployments: Deployments) -> None:
    def put(threshold: float) -> tuple[float, str, str]:
        deployments.cloudwatch.put_metric_alarm(
            AlarmName="steady-errors",
            Namespace="AWS/SageMaker",
            MetricName="Invocation5XXErrors",
            Statistic="Average",
            Period=60,
            EvaluationPeriods=1,
            Threshold=threshold,
            ComparisonOperator="GreaterThanThreshold",
        )
        (alarm,) = deployments.cloudwatch.describe_alarms(AlarmNames=["steady-errors"])["MetricAlarms"]
        return alarm["Threshold"], alarm["StateValue"], alarm["StateReason"]

    assert put(0.1)[:2] == (0.1, "OK")
    deployments.ring("steady-errors")
    assert put(0.5) == (0.5, "ALARM", "a test")
    deployments.cloudwatch.delete_alarms(AlarmNames=["steady-errors"])
    assert put(0.1)[:2] == (0.1, "OK")


def test_an_alarm_must_be_there_and_the_execution_role_must_see_it(deployments: Deployments) -> None:
    nothing = {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "nobody"}]}}
    with pytest.raises(ClientError, match=r"nobody.* do not exist"):
        deployments.update("firm", DeploymentConfig=nothing)

    rollback = deployments.alarm("blind-errors")
    role = deployments.cloud.outputs["ServingRole"].rpartition("/")[2]
    denial = (
        '{"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "cloudwatch:DescribeAlarms", '
        '"Resource": "arn:aws:cloudwatch:eu-central-1:123456789012:alarm:blind-errors"}]}'
    )
    iam = deployments.cloud.client("iam")
    iam.put_role_policy(RoleName=role, PolicyName="blind", PolicyDocument=denial)
    with pytest.raises(ClientError, match="needs cloudwatch:DescribeAlarms"):
        deployments.update("firm", DeploymentConfig=rollback)
    assert deployments.state("firm")[:2] == ("InService", "firm-old")


# ── what fails ────────────────────────────────────────────────────────────────────────────────────


def test_an_endpoint_for_which_there_are_no_instances_says_so(deployments: Deployments) -> None:
    faults, rare = deployments.cloud.faults, "ml.c5.large"
    faults.no_capacity(rare)
    deployments.serve("rare", 1, InstanceType=rare)
    assert deployments.state("rare")[0] == "Failed"
    assert str(deployments.state("rare")[2]).startswith(NO_CAPACITY)
    deployments.client.delete_endpoint(EndpointName="rare")
    deployments.cloud.settle(60)
    deployments.endpoint("rare", "rare-old")
    assert deployments.state("rare") == ("InService", "rare-old", None)

    faults.no_capacity(rare, times=2)
    deployments.update("rare")
    deployments.cloud.settle(60)
    assert deployments.state("rare")[:2] == ("InService", "rare-old")
    assert str(deployments.state("rare")[2]).startswith(NO_CAPACITY)
    deployments.client.update_endpoint_weights_and_capacities(
        EndpointName="rare",
        DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredInstanceCount": 5}],
    )
    deployments.cloud.settle(60)
    assert deployments.state("rare")[0] == "InService"
    assert str(deployments.state("rare")[2]).startswith(NO_CAPACITY)
    assert deployments.told("rare")["ProductionVariants"][0]["DesiredInstanceCount"] == 1


def test_a_rollback_that_fails_leaves_the_endpoint_between_two_configs(deployments: Deployments) -> None:
    deployments.serve("stuck", 1)
    deployments.cloud.faults.rollback_fails("stuck")
    deployments.update("stuck", "broken", DeploymentConfig=blue_green("ALL_AT_ONCE"))
    deployments.cloud.settle(60)
    status, config, reason = deployments.state("stuck")
    assert (status, config) == ("UpdateRollbackFailed", "stuck-old")
    assert "did not pass the ping health check" in str(reason)
    assert deployments.statuses_of("stuck")[-1] == ("UPDATE_ROLLBACK_FAILED", "stuck-old")
    deployments.client.delete_endpoint(EndpointName="stuck")
    deployments.cloud.settle(60)
    with pytest.raises(ClientError, match="Could not find endpoint"):
        deployments.state("stuck")


def test_an_update_that_aws_refuses_changes_nothing(deployments: Deployments) -> None:
    deployments.config("firm-renamed", "new", VariantName="Other")
    deployments.client.create_endpoint_config(
        EndpointConfigName="firm-serverless",
        ProductionVariants=[
            {
                "VariantName": "AllTraffic",
                "ModelName": "new",
                "ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 1},
            }
        ],
    )
    canary = blue_green("CANARY", CanarySize=percent(10))
    for model, more, reason in [
        ("new", {"DeploymentConfig": canary}, "CanarySize must be less than or equal to 50%"),
        ("renamed", {}, "same variant names"),
        ("serverless", {}, "You cannot convert your instance-based, real-time endpoint"),
    ]:
        with pytest.raises(ClientError, match=reason) as refused:
            deployments.update("firm", model, **more)
        assert refused.value.response["Error"]["Code"] == "ValidationException"
    assert deployments.state("firm")[:2] == ("InService", "firm-old")
