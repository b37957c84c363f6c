"""CreateTrainingJob: what is refused of a request, and what a job is told by it.

"CreateTrainingJob" in the Amazon SageMaker API Reference. Where AWS's words for a refusal have been seen,
they are here; the others are ours, and say so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from localcloud.errors import ServiceError, invalid
from localcloud.serving import family
from localcloud.training.channels import Channel, S3Objects, place
from localcloud.training.hosts import OPT_ML
from localcloud.training.job import TrainingDescription
from localcloud.training.metrics import MetricDefinition
from localcloud.training.record import DEFAULT_RUNTIME

# What would change what a job does, and does not here.
_NOT_SIMULATED: Mapping[str, tuple[str, ...]] = {
    "": (
        "RetryStrategy",
        "ServerlessJobConfig",
        "MlflowConfig",
        "ModelPackageConfig",
        "SessionChainingConfig",
    ),
    "AlgorithmSpecification": (
        "AlgorithmName",
        "ContainerEntrypoint",
        "ContainerArguments",
        "TrainingImageConfig",
    ),
    "ResourceConfig": ("InstanceGroups", "TrainingPlanArn", "InstancePlacementConfig", "InstancePreferences"),
}
_S3_DATA_TYPES = ("S3Prefix", "ManifestFile")
_CHECKPOINTS = f"{OPT_ML}/checkpoints"


def refuse(params: Mapping[str, Any]) -> None:
    """Refuse what makes no sense, or is not simulated.

    Raises:
        ServiceError: SageMaker refuses it, or it is not simulated.
    """
    for member, unknown in _NOT_SIMULATED.items():
        given = params.get(member, {}) if member else params
        for name in unknown:
            if given.get(name):
                raise _not_simulated(f"{name} of CreateTrainingJob")
    image = params.get("AlgorithmSpecification", {}).get("TrainingImage")
    if not image:
        raise invalid("AlgorithmSpecification must have either a TrainingImage or an AlgorithmName.")  # ours
    resources = params.get("ResourceConfig", {})
    # Machines with disks of their own need no VolumeSizeInGB.
    for name in ("InstanceType", "InstanceCount"):
        if not resources.get(name):
            raise invalid(f"ResourceConfig must have {name}.")  # ours
    _refuse_times(params)
    names = [channel["ChannelName"] for channel in params.get("InputDataConfig", [])]
    if len(set(names)) < len(names):
        raise invalid("The ChannelName of each channel of InputDataConfig must be unique.")  # ours
    for channel in params.get("InputDataConfig", []):
        _refuse_channel(params, channel)
    checkpoints = params.get("CheckpointConfig", {}).get("LocalPath", _CHECKPOINTS)
    if family(image) is not None and not checkpoints.startswith(f"{OPT_ML}/"):
        raise _not_simulated(f"LocalPath {checkpoints} of CheckpointConfig, which is not under {OPT_ML},")


def _refuse_times(params: Mapping[str, Any]) -> None:
    stopping = params.get("StoppingCondition", {})
    wait = stopping.get("MaxWaitTimeInSeconds")
    if not params.get("EnableManagedSpotTraining"):
        if wait is not None:
            raise invalid(
                "Invalid MaxWaitTimeInSeconds. It is only supported when EnableManagedSpotTraining is set "
                "to true"
            )
    elif wait is None or wait < stopping.get("MaxRuntimeInSeconds", DEFAULT_RUNTIME):
        raise invalid(
            "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to "
            "MaxRuntimeInSeconds"
        )


def _refuse_channel(params: Mapping[str, Any], channel: Mapping[str, Any]) -> None:
    """The words are ours."""
    name, mode = channel["ChannelName"], _mode(params, channel)
    data = channel["DataSource"].get("S3DataSource")
    if data is None:
        raise _not_simulated(f"A DataSource that is no S3DataSource (channel {name})")
    kind = data["S3DataType"]
    if kind not in _S3_DATA_TYPES or data.get("InstanceGroupNames") or data.get("HubAccessConfig"):
        raise _not_simulated(f"S3DataType {kind} (channel {name})")
    if mode == "FastFile" and kind != "S3Prefix":
        raise invalid(f"Channel {name}: FastFile mode needs S3DataType S3Prefix, not {kind}.")
    for member in ("CompressionType", "RecordWrapperType"):
        if mode != "Pipe" and channel.get(member, "None") != "None":
            raise invalid(f"Channel {name}: {member} {channel[member]} is for Pipe mode only, not {mode}.")


def refuse_data(params: Mapping[str, Any], s3: Any, region: str) -> None:
    """Refuse a job whose data are not there, in the eyes of its role.

    Args:
        s3: a client with the rights of the role.

    Raises:
        ServiceError: there is nothing that the role can see.
    """
    for channel in params.get("InputDataConfig", []):
        url = channel["DataSource"]["S3DataSource"]["S3Uri"]
        bucket, prefix = place(url)
        try:
            found = s3.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1).get("KeyCount", 0)
        except ClientError:
            found = 0
        if not found:
            raise invalid(
                f'No S3 objects found under S3 URL "{url}" given in input data source. Please ensure that '
                f"the bucket exists in the selected region ({region}), that objects exist under that S3 "
                f'prefix, and that the role "{params["RoleArn"]}" has "s3:ListBucket" permissions on '
                f'bucket "{bucket}".'
            )


def description(
    params: Mapping[str, Any],
    *,
    arn: str,
    image: str,
    region: str,
    s3: Any,
    environment: Mapping[str, str],
    stop_grace: float,
) -> TrainingDescription:
    """What a job is told by a request that is not refused.

    Args:
        image: by its digest, where that is known.
        s3: a client with the rights of the role.
        environment: what lets the job's containers call AWS.
    """
    resources, isolated = params["ResourceConfig"], bool(params.get("EnableNetworkIsolation"))
    checkpoints = params.get("CheckpointConfig")
    return TrainingDescription(
        name=params["TrainingJobName"],
        arn=arn,
        image=image,
        hyperparameters=params.get("HyperParameters", {}),
        channels=[_channel(params, channel, s3) for channel in params.get("InputDataConfig", [])],
        environment={**({} if isolated else environment), **params.get("Environment", {})},
        instance_type=resources["InstanceType"],
        instances=resources["InstanceCount"],
        max_runtime=params.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", DEFAULT_RUNTIME),
        checkpoints=checkpoints.get("LocalPath", _CHECKPOINTS) if checkpoints else None,
        isolated=isolated,
        region=region,
        stop_grace=stop_grace,
        metrics=[
            MetricDefinition(each["Name"], each["Regex"])
            for each in params["AlgorithmSpecification"].get("MetricDefinitions", [])
        ],
    )


def _channel(params: Mapping[str, Any], channel: Mapping[str, Any], s3: Any) -> Channel:
    data = channel["DataSource"]["S3DataSource"]
    return Channel(
        name=channel["ChannelName"],
        source=S3Objects(s3, data["S3Uri"], manifest=data["S3DataType"] == "ManifestFile"),
        mode=_mode(params, channel),
        content_type=channel.get("ContentType", ""),
        compression=channel.get("CompressionType", "None"),
        wrapping=channel.get("RecordWrapperType", "None"),
        sharded=data.get("S3DataDistributionType") == "ShardedByS3Key",
        shuffle_seed=channel.get("ShuffleConfig", {}).get("Seed"),
    )


def _mode(params: Mapping[str, Any], channel: Mapping[str, Any]) -> Any:
    return channel.get("InputMode") or params["AlgorithmSpecification"]["TrainingInputMode"]


def _not_simulated(what: str) -> ServiceError:
    return ServiceError("NotImplemented", f"{what} is not simulated in the local cloud.", 501)
