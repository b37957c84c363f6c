"""Amazon CloudWatch: the alarms that roll an update back.

"Auto-Rollback Configuration and Monitoring" and "SageMaker AI endpoint invocation metrics" in the Amazon
SageMaker AI Developer Guide.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelgate.aws.errors import translated
from modelgate.errors import NotFound
from modelgate.names import STACK_TAG, VARIANT

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient

    from modelgate.policy import Alarms

_ERRORS = "errors"
_LATENCY = "latency"
_MICROSECONDS_A_MILLISECOND = 1000


class EndpointAlarms:
    """A `modelgate.ports.Watch`.

    Args:
        client: the CloudWatch client.
        stack: what the alarms' names begin with, and the value of the stack's tag.
    """

    def __init__(self, client: CloudWatchClient, stack: str) -> None:
        self._client = client
        self._stack = stack

    def put(self, endpoint: str, alarms: Alarms) -> None:
        wanted = self._alarms(endpoint, alarms)
        for name, alarm in wanted.items():
            put_alarm(self._client, self._stack, name, alarm)
        unwanted = [name for name in self._names(endpoint) if name not in wanted]
        if unwanted:
            delete_alarms(self._client, *unwanted)

    def delete(self, endpoint: str) -> None:
        delete_alarms(self._client, *self._names(endpoint))

    def quiet(self, endpoint: str, alarms: Alarms) -> tuple[str, ...]:
        names = tuple(self._alarms(endpoint, alarms))
        with translated("DescribeAlarms"):
            answer = self._client.describe_alarms(AlarmNames=names)
        ringing = {alarm["AlarmName"] for alarm in answer["MetricAlarms"] if alarm["StateValue"] == "ALARM"}
        return tuple(name for name in names if name not in ringing)

    def _names(self, endpoint: str) -> tuple[str, ...]:
        return tuple(alarm_name(self._stack, endpoint, what) for what in (_ERRORS, _LATENCY))

    def _alarms(self, endpoint: str, alarms: Alarms) -> dict[str, dict[str, Any]]:
        """By name, what PutMetricAlarm is told of each alarm that the policy has."""
        common = {
            "Namespace": "AWS/SageMaker",
            "Dimensions": [
                {"Name": "EndpointName", "Value": endpoint},
                {"Name": "VariantName", "Value": VARIANT},
            ],
            "Period": alarms.period_seconds,
            "EvaluationPeriods": alarms.periods,
            "ComparisonOperator": "GreaterThanThreshold",
            # An endpoint that nobody asks has no errors.
            "TreatMissingData": "notBreaching",
        }
        found: dict[str, dict[str, Any]] = {}
        if alarms.error_rate_percent is not None:
            found[alarm_name(self._stack, endpoint, _ERRORS)] = {
                **common,
                "AlarmDescription": f"Requests to endpoint {endpoint} fail; updates are rolled back.",
                # 1 for each request that fails and 0 for each other: the average is the share that fails.
                "MetricName": "Invocation5XXErrors",
                "Statistic": "Average",
                "Threshold": alarms.error_rate_percent / 100,
            }
        if alarms.p99_latency_ms is not None:
            found[alarm_name(self._stack, endpoint, _LATENCY)] = {
                **common,
                "AlarmDescription": f"Endpoint {endpoint} answers slowly; updates are rolled back.",
                "MetricName": "ModelLatency",  # in microseconds
                "ExtendedStatistic": "p99",
                "Threshold": alarms.p99_latency_ms * _MICROSECONDS_A_MILLISECOND,
            }
        return found


def alarm_name(stack: str, endpoint: str, what: str) -> str:
    """What an alarm on an endpoint is called; the functions' role names these endings too."""
    return f"{stack}-{endpoint}-{what}"


def put_alarm(client: CloudWatchClient, stack: str, name: str, alarm: dict[str, Any]) -> None:
    """Makes an alarm with the stack's tag, or changes it."""
    with translated("PutMetricAlarm"):
        client.put_metric_alarm(AlarmName=name, Tags=[{"Key": STACK_TAG, "Value": stack}], **alarm)


def delete_alarms(client: CloudWatchClient, *names: str) -> None:
    """Deletes those that are there: a name that is wrong keeps no other alarm."""
    try:
        with translated("DeleteAlarms"):
            client.delete_alarms(AlarmNames=names)
    except NotFound:
        return
