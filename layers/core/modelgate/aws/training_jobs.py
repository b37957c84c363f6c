"""Amazon SageMaker's training jobs, and what their containers write.

Amazon SageMaker API Reference, "CreateTrainingJob"; Amazon SageMaker AI Developer Guide, "Log groups and
streams that Amazon SageMaker AI sends to Amazon CloudWatch Logs".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from modelgate.aws.errors import translated
from modelgate.aws.jobs import GROUP_TAG, end_of_stream, starting
from modelgate.errors import NotFound
from modelgate.names import STACK_TAG
from modelgate.training.ports import Job

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_sagemaker import SageMakerClient

    from modelgate.ports import LogLine
    from modelgate.training.order import Channel, TrainingOrder

_LOG_GROUP = "/aws/sagemaker/TrainingJobs"
# ``<job>/algo-1-1700000000``; of a job whose spot instances were taken back, one for each start.
_STREAM = re.compile(r".*/(?P<host>algo-(?P<number>\d+))-(?P<began>\d+)(/.*)?")
# Hundreds of hosts would all say the same.
_STREAMS_READ = 16


class SageMakerTraining:
    """A `modelgate.training.ports.TrainingJobs`.

    Args:
        client: the SageMaker client.
        logs: the CloudWatch Logs client, made when it is asked: most jobs succeed.
        stack: the value of the stack's tag on what is made.
    """

    def __init__(self, client: SageMakerClient, logs: Callable[[], CloudWatchLogsClient], stack: str) -> None:
        self._client = client
        self._logs = logs
        self._stack = stack

    def start(self, order: TrainingOrder) -> None:
        with starting("CreateTrainingJob"):
            self._client.create_training_job(**request(order, self._stack))

    def describe(self, name: str) -> Job | None:
        try:
            with translated("DescribeTrainingJob"):
                found = self._client.describe_training_job(TrainingJobName=name)
        except NotFound:
            return None
        return Job(
            name=found["TrainingJobName"],
            arn=found["TrainingJobArn"],
            status=found["TrainingJobStatus"],
            secondary_status=found.get("SecondaryStatus", ""),
            environment=found.get("Environment", {}),
            artifact=found.get("ModelArtifacts", {}).get("S3ModelArtifacts", ""),
            output=found.get("OutputDataConfig", {}).get("S3OutputPath", ""),
            created_at=found["CreationTime"],
            failure_reason=found.get("FailureReason", ""),
            metrics={
                each["MetricName"]: each["Value"]
                for each in found.get("FinalMetricDataList", [])
                if "MetricName" in each and "Value" in each
            },
            seconds=found.get("TrainingTimeInSeconds"),
            billable_seconds=found.get("BillableTimeInSeconds"),
        )

    def log_group(self) -> str:
        return _LOG_GROUP

    def last_lines(self, name: str, count: int) -> Mapping[str, Sequence[LogLine]]:
        try:
            return {
                host: end_of_stream(self._logs(), _LOG_GROUP, stream, count)
                for host, stream in self._streams(name).items()
            }
        except NotFound:
            return {}

    def _streams(self, name: str) -> dict[str, str]:
        """The stream in which each host wrote last, in the order of the hosts."""
        with translated("DescribeLogStreams"):
            streams = self._logs().describe_log_streams(
                logGroupName=_LOG_GROUP, logStreamNamePrefix=f"{name}/"
            )["logStreams"]
        found: dict[tuple[int, str], tuple[int, str]] = {}
        for stream in streams:
            parts = _STREAM.fullmatch(stream.get("logStreamName", ""))
            if parts is not None:
                host, began = (int(parts["number"]), parts["host"]), int(parts["began"])
                found[host] = max(found.get(host, (0, "")), (began, parts[0]))
        return {host: found[number, host][1] for number, host in sorted(found)[:_STREAMS_READ]}


def request(order: TrainingOrder, stack: str) -> dict[str, Any]:
    """What CreateTrainingJob is called with."""
    job = order.job
    algorithm: dict[str, Any] = {"TrainingImage": order.image, "TrainingInputMode": "File"}
    if job.metrics:
        algorithm["MetricDefinitions"] = [{"Name": each.name, "Regex": each.regex} for each in job.metrics]
    machines: dict[str, Any] = {"InstanceType": job.instances.type, "InstanceCount": job.instances.count}
    if job.volume_gb is not None:
        machines["VolumeSizeInGB"] = job.volume_gb
    output = {"S3OutputPath": order.output.url}
    if job.kms_key is not None:
        output["KmsKeyId"] = job.kms_key
        # Disks of the machine's own are encrypted by its hardware, with no other key.
        if not job.instances.has_local_storage:
            machines["VolumeKmsKeyId"] = job.kms_key
    stopping = {"MaxRuntimeInSeconds": job.time_limit_seconds}
    if job.spot is not None:
        stopping["MaxWaitTimeInSeconds"] = job.spot.wait_seconds
    told: dict[str, Any] = {
        "TrainingJobName": order.name,
        "RoleArn": order.role,
        "AlgorithmSpecification": algorithm,
        "HyperParameters": dict(order.hyperparameters),
        "OutputDataConfig": output,
        "ResourceConfig": machines,
        "StoppingCondition": stopping,
        "Environment": dict(order.environment),
        "EnableNetworkIsolation": job.network_isolation,
        "EnableInterContainerTrafficEncryption": job.encrypt_traffic,
        "EnableManagedSpotTraining": job.spot is not None,
        "Tags": [{"Key": STACK_TAG, "Value": stack}, {"Key": GROUP_TAG, "Value": order.group}],
    }
    if order.channels:
        told["InputDataConfig"] = [_channel(channel) for channel in order.channels]
    if order.checkpoints is not None:
        told["CheckpointConfig"] = {"S3Uri": order.checkpoints.url}
    if job.vpc is not None:
        told["VpcConfig"] = {"SecurityGroupIds": job.vpc.security_groups, "Subnets": job.vpc.subnets}
    return told


def _channel(channel: Channel) -> dict[str, Any]:
    data = channel.data
    sharing = "ShardedByS3Key" if data.distribution == "sharded" else "FullyReplicated"
    place = {"S3DataType": "S3Prefix", "S3Uri": channel.location.url, "S3DataDistributionType": sharing}
    told: dict[str, Any] = {
        "ChannelName": channel.name,
        "DataSource": {"S3DataSource": place},
        "InputMode": data.mode,
    }
    if data.content_type is not None:
        told["ContentType"] = data.content_type
    if data.compression == "gzip":
        told["CompressionType"] = "Gzip"
    if data.record_wrapping == "recordio":
        told["RecordWrapperType"] = "RecordIO"
    if data.shuffle_seed is not None:
        told["ShuffleConfig"] = {"Seed": data.shuffle_seed}
    return told
