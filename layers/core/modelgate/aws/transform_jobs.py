"""Amazon SageMaker's batch transform, and what its containers write.

Amazon SageMaker API Reference, "CreateTransformJob"; Amazon SageMaker AI Developer Guide, "Log groups and
streams that Amazon SageMaker AI sends to Amazon CloudWatch Logs".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelgate.aws.errors import translated
from modelgate.aws.jobs import GROUP_TAG, end_of_stream, starting
from modelgate.errors import NotFound
from modelgate.names import STACK_TAG
from modelgate.transform.ports import Job

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_sagemaker import SageMakerClient

    from modelgate.ports import LogLine
    from modelgate.transform.job import Filters
    from modelgate.transform.order import TransformOrder

_LOG_GROUP = "/aws/sagemaker/TransformJobs"
# What SageMaker writes about requests that went wrong, beside what the container writes.
_OF_DATA = "/data-log"
_STREAMS_READ = 4
_STRATEGIES = {"single_record": "SingleRecord", "multi_record": "MultiRecord"}
_SPLITS = {"none": "None", "line": "Line", "recordio": "RecordIO", "tfrecord": "TFRecord"}


class SageMakerTransforms:
    """A `modelgate.transform.ports.TransformJobs`.

    Args:
        client: the SageMaker client.
        logs: the CloudWatch Logs client, made when it is asked: most jobs succeed.
        arn: what ARNs of this account and region begin with, ``arn:aws:sagemaker:<region>:<account>``.
        stack: the value of the stack's tag on what is made.
        role: the ARN of the role that the containers run under.
    """

    def __init__(
        self,
        client: SageMakerClient,
        logs: Callable[[], CloudWatchLogsClient],
        arn: str,
        stack: str,
        role: str,
    ) -> None:
        self._client = client
        self._logs = logs
        self._arn = arn
        self._stack = stack
        self._role = role

    def make_model(self, order: TransformOrder) -> None:
        # The package, not its parts: SageMaker itself then refuses a version that is not approved.
        package = f"{self._arn}:model-package/{order.group.lower()}/{order.version}"
        with translated("CreateModel"):
            self._client.create_model(
                ModelName=order.name,
                PrimaryContainer={"ModelPackageName": package},
                ExecutionRoleArn=self._role,
                Tags=[{"Key": STACK_TAG, "Value": self._stack}, {"Key": GROUP_TAG, "Value": order.group}],
            )

    def start(self, order: TransformOrder) -> None:
        with starting("CreateTransformJob"):
            self._client.create_transform_job(**request(order, self._stack))

    def describe(self, name: str) -> Job | None:
        try:
            with translated("DescribeTransformJob"):
                found = self._client.describe_transform_job(TransformJobName=name)
        except NotFound:
            return None
        began, ended = found.get("TransformStartTime"), found.get("TransformEndTime")
        return Job(
            name=found["TransformJobName"],
            arn=found["TransformJobArn"],
            status=found["TransformJobStatus"],
            environment=found.get("Environment", {}),
            input=found["TransformInput"]["DataSource"].get("S3DataSource", {}).get("S3Uri", ""),
            output=found.get("TransformOutput", {}).get("S3OutputPath", ""),
            created_at=found["CreationTime"],
            failure_reason=found.get("FailureReason", ""),
            seconds=round((ended - began).total_seconds()) if began and ended else None,
        )

    def remove_model(self, name: str) -> None:
        try:
            with translated("DescribeModel"):
                self._client.describe_model(ModelName=name)
            with translated("DeleteModel"):
                self._client.delete_model(ModelName=name)
        except NotFound:
            return

    def log_group(self) -> str:
        return _LOG_GROUP

    def last_lines(self, name: str, count: int) -> Sequence[Sequence[LogLine]]:
        try:
            return [end_of_stream(self._logs(), _LOG_GROUP, stream, count) for stream in self._streams(name)]
        except NotFound:
            return []

    def _streams(self, name: str) -> list[str]:
        with translated("DescribeLogStreams"):
            streams = self._logs().describe_log_streams(
                logGroupName=_LOG_GROUP, logStreamNamePrefix=f"{name}/"
            )["logStreams"]
        names = [stream.get("logStreamName", "") for stream in streams]
        return sorted(names, key=lambda each: not each.endswith(_OF_DATA))[:_STREAMS_READ]


def request(order: TransformOrder, stack: str) -> dict[str, Any]:
    """What CreateTransformJob is called with."""
    job = order.job
    machines: dict[str, Any] = {"InstanceType": job.instances.type, "InstanceCount": job.instances.count}
    output: dict[str, Any] = {
        "S3OutputPath": order.output.url,
        "AssembleWith": "Line" if job.assemble == "line" else "None",
    }
    if job.output.accept is not None:
        output["Accept"] = job.output.accept
    if job.kms_key is not None:
        output["KmsKeyId"] = job.kms_key
        # Disks of the machine's own are encrypted by its hardware, with no other key.
        if not job.instances.has_local_storage:
            machines["VolumeKmsKeyId"] = job.kms_key
    told: dict[str, Any] = {
        "TransformJobName": order.name,
        "ModelName": order.name,
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": order.input.url}},
            "ContentType": job.input.content_type,
            "SplitType": _SPLITS[job.input.split],
            "CompressionType": "Gzip" if job.input.compression == "gzip" else "None",
        },
        "TransformOutput": output,
        "TransformResources": machines,
        "Environment": dict(order.environment),
        "Tags": [{"Key": STACK_TAG, "Value": stack}, {"Key": GROUP_TAG, "Value": order.group}],
    }
    if job.strategy is not None:
        told["BatchStrategy"] = _STRATEGIES[job.strategy]
    if job.max_concurrent is not None:
        told["MaxConcurrentTransforms"] = job.max_concurrent
    if job.max_payload_mb is not None:
        told["MaxPayloadInMB"] = job.max_payload_mb
    if job.invocation is not None:
        told["ModelClientConfig"] = {
            "InvocationsTimeoutInSeconds": job.invocation.timeout_seconds,
            "InvocationsMaxRetries": job.invocation.retries,
        }
    if processing := _processing(job.filters, join=job.join):
        told["DataProcessing"] = processing
    return told


def _processing(filters: Filters, *, join: bool) -> dict[str, str]:
    told = {
        "InputFilter": filters.input,
        "OutputFilter": filters.output,
        "JoinSource": "Input" if join else None,
    }
    return {name: value for name, value in told.items() if value is not None}
