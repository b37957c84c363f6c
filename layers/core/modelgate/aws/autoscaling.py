"""Application Auto Scaling, for the instances of an endpoint.

"Automatic scaling of Amazon SageMaker AI models" and "Autoscale an asynchronous endpoint" in the Amazon
SageMaker AI Developer Guide.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelgate.aws.cloudwatch import alarm_name, delete_alarms, put_alarm
from modelgate.aws.errors import translated
from modelgate.errors import NotFound
from modelgate.names import VARIANT

if TYPE_CHECKING:
    from mypy_boto3_application_autoscaling import ApplicationAutoScalingClient
    from mypy_boto3_application_autoscaling.literals import ScalableDimensionType, ServiceNamespaceType
    from mypy_boto3_application_autoscaling.type_defs import (
        TargetTrackingScalingPolicyConfigurationUnionTypeDef,
    )
    from mypy_boto3_cloudwatch import CloudWatchClient

    from modelgate.policy import Autoscaling

_NAMESPACE: ServiceNamespaceType = "sagemaker"
_DIMENSION: ScalableDimensionType = "sagemaker:variant:DesiredInstanceCount"
# A policy is changed under the name that it was made with.
_FOLLOWS_LOAD = "modelgate-follows-the-load"
_WAKES_UP = "modelgate-wakes-up"
_BACKLOG = "backlog"


class InstanceScaling:
    """A `modelgate.ports.Scaling`.

    Args:
        client: the client of Application Auto Scaling.
        cloudwatch: the CloudWatch client.
        stack: what the alarms' names begin with, and the value of the stack's tag.
    """

    def __init__(
        self, client: ApplicationAutoScalingClient, cloudwatch: CloudWatchClient, stack: str
    ) -> None:
        self._client = client
        self._cloudwatch = cloudwatch
        self._stack = stack

    def register(self, endpoint: str, autoscaling: Autoscaling) -> None:
        with translated("RegisterScalableTarget"):
            self._client.register_scalable_target(
                ServiceNamespace=_NAMESPACE,
                ResourceId=_resource(endpoint),
                ScalableDimension=_DIMENSION,
                MinCapacity=autoscaling.min,
                MaxCapacity=autoscaling.max,
            )
        with translated("PutScalingPolicy"):
            self._client.put_scaling_policy(
                PolicyName=_FOLLOWS_LOAD,
                ServiceNamespace=_NAMESPACE,
                ResourceId=_resource(endpoint),
                ScalableDimension=_DIMENSION,
                PolicyType="TargetTrackingScaling",
                TargetTrackingScalingPolicyConfiguration=_tracking(endpoint, autoscaling),
            )
        if autoscaling.min == 0:
            self._wake_up(endpoint, autoscaling)
        else:
            self._never_wake_up(endpoint)

    def deregister(self, endpoint: str) -> None:
        try:
            with translated("DeregisterScalableTarget"):
                self._client.deregister_scalable_target(
                    ServiceNamespace=_NAMESPACE,
                    ResourceId=_resource(endpoint),
                    ScalableDimension=_DIMENSION,
                )
        except NotFound:
            pass  # which is what was wanted
        # The scaling policies went with the target; their alarm did not.
        delete_alarms(self._cloudwatch, self._alarm(endpoint))

    def _wake_up(self, endpoint: str, autoscaling: Autoscaling) -> None:
        """One waiting request brings the first instance.

        Without this an endpoint without instances waits until the backlog is above the target: a few
        requests, such as a smoke test's, would never be answered.
        """
        with translated("PutScalingPolicy"):
            policy = self._client.put_scaling_policy(
                PolicyName=_WAKES_UP,
                ServiceNamespace=_NAMESPACE,
                ResourceId=_resource(endpoint),
                ScalableDimension=_DIMENSION,
                PolicyType="StepScaling",
                StepScalingPolicyConfiguration={
                    "AdjustmentType": "ChangeInCapacity",
                    "MetricAggregationType": "Average",
                    "Cooldown": autoscaling.scale_out_cooldown_seconds,
                    "StepAdjustments": [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}],
                },
            )
        put_alarm(
            self._cloudwatch,
            self._stack,
            self._alarm(endpoint),
            {
                "AlarmDescription": f"Requests wait for the first instance of endpoint {endpoint}.",
                "Namespace": "AWS/SageMaker",
                "MetricName": "HasBacklogWithoutCapacity",
                "Dimensions": [{"Name": "EndpointName", "Value": endpoint}],
                "Statistic": "Average",
                "Period": 60,
                "EvaluationPeriods": 2,
                "Threshold": 1,
                "ComparisonOperator": "GreaterThanOrEqualToThreshold",
                "TreatMissingData": "missing",
                "AlarmActions": [policy["PolicyARN"]],
            },
        )

    def _never_wake_up(self, endpoint: str) -> None:
        try:
            with translated("DeleteScalingPolicy"):
                self._client.delete_scaling_policy(
                    PolicyName=_WAKES_UP,
                    ServiceNamespace=_NAMESPACE,
                    ResourceId=_resource(endpoint),
                    ScalableDimension=_DIMENSION,
                )
        except NotFound:
            return  # it never had one
        delete_alarms(self._cloudwatch, self._alarm(endpoint))

    def _alarm(self, endpoint: str) -> str:
        return alarm_name(self._stack, endpoint, _BACKLOG)


def _resource(endpoint: str) -> str:
    return f"endpoint/{endpoint}/variant/{VARIANT}"


def _tracking(
    endpoint: str, autoscaling: Autoscaling
) -> TargetTrackingScalingPolicyConfigurationUnionTypeDef:
    if autoscaling.backlog_per_instance is None:
        return {
            "TargetValue": autoscaling.invocations_per_instance or 0.0,
            "PredefinedMetricSpecification": {
                "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
            },
            "ScaleInCooldown": autoscaling.scale_in_cooldown_seconds,
            "ScaleOutCooldown": autoscaling.scale_out_cooldown_seconds,
        }
    return {
        "TargetValue": autoscaling.backlog_per_instance,
        "CustomizedMetricSpecification": {
            "MetricName": "ApproximateBacklogSizePerInstance",
            "Namespace": "AWS/SageMaker",
            "Dimensions": [{"Name": "EndpointName", "Value": endpoint}],
            "Statistic": "Average",
        },
        "ScaleInCooldown": autoscaling.scale_in_cooldown_seconds,
        "ScaleOutCooldown": autoscaling.scale_out_cooldown_seconds,
    }
