"""Instance counts of endpoints: asked for, kept, reset, and brought into the bounds of scalable targets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud import LocalCloud
from tests.integration.test_local_cloud_permissions import CALLS_ANYTHING, call
from tests.integration.test_local_cloud_sagemaker import Hosting, plain_artifact, refusal
from tests.integration.test_local_cloud_small_stack import small_stack

DIMENSION = "sagemaker:variant:DesiredInstanceCount"
FOLLOWS_INVOCATIONS: dict[str, Any] = {
    "PolicyType": "TargetTrackingScaling",
    "TargetTrackingScalingPolicyConfiguration": {
        "TargetValue": 100.0,
        "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
    },
}
MAY_DELETE = """{"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": "sagemaker:DeleteEndpoint", "Resource": "*"}
]}"""
MAY_DEREGISTER = """{"Version": "2012-10-17", "Statement": [{
    "Effect": "Allow",
    "Action": "application-autoscaling:DeregisterScalableTarget",
    "Resource": "arn:aws:application-autoscaling:eu-central-1:123456789012:scalable-target/*",
    "Condition": {"StringEquals": {
        "application-autoscaling:service-namespace": "sagemaker",
        "application-autoscaling:scalable-dimension": "sagemaker:variant:DesiredInstanceCount"
    }}
}]}"""


class Scaled(Hosting):
    """Endpoints that all serve the same model, and their figures."""

    def __init__(self, cloud: LocalCloud) -> None:
        super().__init__(cloud)
        self.scaling = cloud.client("application-autoscaling")
        self.model("m", plain_artifact())

    def serve(self, endpoint: str, **more: Any) -> None:
        """An endpoint with two instances; another config with three waits."""
        self.config(f"{endpoint}-3", "m", InitialInstanceCount=3, InitialVariantWeight=3.0)
        self.endpoint(endpoint, self.config(f"{endpoint}-2", "m", InitialInstanceCount=2, **more))

    def rescale(self, endpoint: str, **desired: Any) -> None:
        """Ask for another count or weight, and wait."""
        wanted = [{"VariantName": "AllTraffic", **desired}]
        self.client.update_endpoint_weights_and_capacities(
            EndpointName=endpoint, DesiredWeightsAndCapacities=wanted
        )
        self.cloud.settle(60)

    def update(self, endpoint: str, config: str, **more: Any) -> None:
        """Move an endpoint to another config, and wait."""
        self.client.update_endpoint(EndpointName=endpoint, EndpointConfigName=config, **more)
        self.cloud.settle(60)

    def figures(self, endpoint: str) -> tuple[int, int, float]:
        """Current and desired count, and the weight."""
        (variant,) = self.client.describe_endpoint(EndpointName=endpoint)["ProductionVariants"]
        return variant["CurrentInstanceCount"], variant["DesiredInstanceCount"], variant["CurrentWeight"]

    def register(self, endpoint: str, variant: str = "AllTraffic", **bounds: int) -> None:
        """Register a variant as a scalable target, and wait."""
        self.scaling.register_scalable_target(**target(endpoint, variant), **bounds)
        self.cloud.settle(60)

    def targets(self, endpoint: str) -> list[tuple[int, int]]:
        """The bounds of an endpoint's scalable targets."""
        found = self.scaling.describe_scalable_targets(
            ServiceNamespace="sagemaker", ResourceIds=[target(endpoint)["ResourceId"]]
        )["ScalableTargets"]
        return [(item["MinCapacity"], item["MaxCapacity"]) for item in found]

    def policies(self, endpoint: str) -> list[str]:
        """The names of an endpoint's scaling policies."""
        told = self.scaling.describe_scaling_policies(
            ServiceNamespace="sagemaker", ResourceId=target(endpoint)["ResourceId"]
        )
        return [item["PolicyName"] for item in told["ScalingPolicies"]]


def target(endpoint: str, variant: str = "AllTraffic") -> dict[str, str]:
    """What names a scalable target."""
    return {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{endpoint}/variant/{variant}",
        "ScalableDimension": DIMENSION,
    }


@pytest.fixture(scope="module")
def scaled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scaled]:
    """One cloud for all tests here. Its endpoint ``still`` is for those that change no count."""
    with small_stack(tmp_path_factory.mktemp("cloud"), CALLS_ANYTHING) as cloud:
        scaled = Scaled(cloud)
        scaled.serve("still")
        yield scaled


def test_an_update_resets_counts_and_weights_unless_they_are_retained(scaled: Scaled) -> None:
    scaled.serve("counts")
    scaled.client.update_endpoint_weights_and_capacities(
        EndpointName="counts",
        DesiredWeightsAndCapacities=[
            {"VariantName": "AllTraffic", "DesiredInstanceCount": 7, "DesiredWeight": 0.5}
        ],
    )
    told = scaled.client.describe_endpoint(EndpointName="counts")
    assert told["EndpointStatus"] == "Updating"
    assert scaled.figures("counts") == (2, 7, 1.0)
    scaled.cloud.settle(60)
    assert scaled.figures("counts") == (7, 7, 0.5)

    scaled.update("counts", "counts-3", RetainAllVariantProperties=True)
    assert scaled.figures("counts") == (7, 7, 0.5)
    scaled.update(
        "counts",
        "counts-2",
        RetainAllVariantProperties=True,
        ExcludeRetainedVariantProperties=[{"VariantPropertyType": "DesiredInstanceCount"}],
    )
    assert scaled.figures("counts") == (2, 2, 0.5)
    scaled.update("counts", "counts-3")
    assert scaled.figures("counts") == (3, 3, 3.0)


def test_a_count_that_makes_no_sense_is_refused(scaled: Scaled) -> None:
    with pytest.raises(ClientError, match="Could not find variant"):
        scaled.client.update_endpoint_weights_and_capacities(
            EndpointName="still", DesiredWeightsAndCapacities=[{"VariantName": "Nobody", "DesiredWeight": 1}]
        )
    with pytest.raises(ClientError, match="at least one instance"):
        scaled.rescale("still", DesiredInstanceCount=0)
    assert scaled.figures("still") == (2, 2, 1.0)


def test_a_scalable_target_brings_its_variant_into_its_bounds(scaled: Scaled) -> None:
    scaled.serve("bounds")
    scaled.register("bounds", MinCapacity=4, MaxCapacity=6)
    assert scaled.figures("bounds")[:2] == (4, 4)
    scaled.register("bounds", MinCapacity=1, MaxCapacity=3)
    assert scaled.figures("bounds")[:2] == (3, 3)
    scaled.register("bounds", MaxCapacity=5)
    assert scaled.figures("bounds")[:2] == (3, 3)
    assert scaled.targets("bounds") == [(1, 5)]

    # While the endpoint is updating, the registration waits for it.
    scaled.client.update_endpoint(EndpointName="bounds", EndpointConfigName="bounds-3")
    scaled.register("bounds", MinCapacity=5)
    assert scaled.figures("bounds")[:2] == (5, 5)


def test_a_variant_that_is_scaled_keeps_its_instance_type(scaled: Scaled) -> None:
    scaled.serve("typed")
    other = scaled.config("typed-c5", "m", InstanceType="ml.c5.large")
    scaled.register("typed", MinCapacity=1, MaxCapacity=2)
    with pytest.raises(ClientError, match="must be deregistered as autoscaling target"):
        scaled.update("typed", other)
    scaled.scaling.deregister_scalable_target(**target("typed"))
    scaled.update("typed", other)
    assert scaled.client.describe_endpoint(EndpointName="typed")["EndpointConfigName"] == other


def test_who_deletes_an_endpoint_deregisters_its_variants_and_must_be_allowed_to(scaled: Scaled) -> None:
    scaled.serve("gone")
    scaled.register("gone", MinCapacity=1, MaxCapacity=3)
    scaled.scaling.put_scaling_policy(PolicyName="invocations", **target("gone"), **FOLLOWS_INVOCATIONS)
    cloud = scaled.cloud
    iam, role = cloud.client("iam"), cloud.function("Worker").role
    iam.put_role_policy(RoleName=role, PolicyName="delete", PolicyDocument=MAY_DELETE)
    denied = call(cloud, "sagemaker", "delete_endpoint", EndpointName="gone")
    assert "to perform: application-autoscaling:DeregisterScalableTarget" in denied["message"]
    assert scaled.figures("gone")[:2] == (2, 2)
    assert scaled.targets("gone") == [(1, 3)]

    iam.put_role_policy(RoleName=role, PolicyName="deregister", PolicyDocument=MAY_DEREGISTER)
    assert call(cloud, "sagemaker", "delete_endpoint", EndpointName="gone")["code"] == "ok"
    cloud.settle(60)
    assert scaled.targets("gone") == []
    assert scaled.policies("gone") == []
    with pytest.raises(ClientError, match="Could not find endpoint"):
        scaled.figures("gone")


def test_policies_come_and_go_with_their_target(scaled: Scaled) -> None:
    policy = {"PolicyName": "invocations", **target("still"), **FOLLOWS_INVOCATIONS}
    with pytest.raises(ClientError) as early:
        scaled.scaling.put_scaling_policy(**policy)
    assert refusal(early)[0] == "ObjectNotFoundException"
    scaled.register("still", MinCapacity=1, MaxCapacity=3)
    scaled.scaling.put_scaling_policy(**policy)
    assert scaled.policies("still") == ["invocations"]
    scaled.scaling.delete_scaling_policy(PolicyName="invocations", **target("still"))
    assert scaled.policies("still") == []
    with pytest.raises(ClientError) as twice:
        scaled.scaling.delete_scaling_policy(PolicyName="invocations", **target("still"))
    assert refusal(twice)[0] == "ObjectNotFoundException"

    scaled.scaling.put_scaling_policy(**policy)
    scaled.scaling.deregister_scalable_target(**target("still"))
    assert scaled.policies("still") == []
    with pytest.raises(ClientError) as late:
        scaled.scaling.deregister_scalable_target(**target("still"))
    assert refusal(late)[0] == "ObjectNotFoundException"


@pytest.mark.parametrize(
    ("resource", "bounds", "reason"),
    [
        ("endpoint/nobody/variant/AllTraffic", {"MinCapacity": 1, "MaxCapacity": 2}, "doesn't exist"),
        ("endpoint/still/variant/Nobody", {"MinCapacity": 1, "MaxCapacity": 2}, "doesn't exist"),
        ("still", {"MinCapacity": 1, "MaxCapacity": 2}, "Unsupported"),
        ("endpoint/still/variant/AllTraffic", {"MinCapacity": 1}, "required"),
        ("endpoint/still/variant/AllTraffic", {"MinCapacity": 3, "MaxCapacity": 2}, "greater"),
    ],
)
def test_a_registration_that_makes_no_sense_is_refused(
    scaled: Scaled, resource: str, bounds: dict[str, int], reason: str
) -> None:
    with pytest.raises(ClientError, match=reason) as refused:
        scaled.scaling.register_scalable_target(**target("x") | {"ResourceId": resource}, **bounds)
    assert refusal(refused)[0] == "ValidationException"
