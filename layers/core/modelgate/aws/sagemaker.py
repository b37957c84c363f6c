"""Amazon SageMaker: the model registry, and what serves models.

Every operation stands under its name in the Amazon SageMaker API Reference; how an update shifts the traffic
is told in "Deployment guardrails for updating models in production" of the Developer Guide.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from modelgate.aws.errors import lacks_capacity, translated
from modelgate.deployment.container_log import MAX_REASON
from modelgate.deployment.planner import Endpoint
from modelgate.errors import AlreadyExists, Forbidden, NotFound, Problem, Refused
from modelgate.names import STACK_TAG, VARIANT
from modelgate.policy import MAX_UPDATE_SECONDS, Rollout
from modelgate.registry.package import APPROVED, REJECTED, ModelPackage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sagemaker.type_defs import (
        AsyncInferenceOutputConfigTypeDef,
        CapacitySizeTypeDef,
        DeploymentConfigUnionTypeDef,
        DescribeEndpointOutputTypeDef,
        DescribeModelPackageOutputTypeDef,
        InferenceSpecificationTypeDef,
        MetadataPropertiesTypeDef,
        ModelPackageContainerDefinitionTypeDef,
        ModelQualityTypeDef,
        ProductionVariantTypeDef,
        TagTypeDef,
        TrafficRoutingConfigTypeDef,
    )

    from modelgate.policy import Asynchronous, DeploymentPolicy
    from modelgate.ports import Change
    from modelgate.registry.package import RegisteredContainer, Registration

# Where asynchronous endpoints answer, and what is kept of requests and answers, in the intake bucket.
PREDICTIONS = "predictions"
CAPTURED = "captured"
_LONGEST_WAIT_SECONDS = 3600
# What an update may take besides its waits: a batch begins when its machines and containers have come up.
_ROOM_SECONDS = 14_400
_MOST_INSTANCES = 1000


class SageMakerRegistry:
    """A `modelgate.ports.Registry`.

    Args:
        client: the SageMaker client.
        arn: what ARNs of this account and region begin with, ``arn:aws:sagemaker:<region>:<account>``.
    """

    def __init__(self, client: SageMakerClient, arn: str) -> None:
        self._client = client
        self._arn = arn

    def describe(self, group: str, version: int) -> ModelPackage | None:
        return self._describe(self._arn_of(group, version))

    def register(self, registration: Registration) -> int:
        try:
            return self._create(registration)
        except NotFound:
            self._make_group(registration.group)
            return self._create(registration)

    def registered_since(self, group: str, since: datetime) -> Sequence[ModelPackage]:
        found = []
        try:
            with translated("ListModelPackages"):
                pages = self._client.get_paginator("list_model_packages").paginate(
                    ModelPackageGroupName=group,
                    CreationTimeAfter=since,
                    SortBy="CreationTime",
                    SortOrder="Descending",
                )
                for page in pages:
                    found += [summary["ModelPackageArn"] for summary in page["ModelPackageSummaryList"]]
        except NotFound:
            return []
        return [package for arn in found if (package := self._describe(arn))]

    def approved_versions(self, group: str) -> Sequence[int]:
        try:
            with translated("ListModelPackages"):
                pages = self._client.get_paginator("list_model_packages").paginate(
                    ModelPackageGroupName=group, ModelApprovalStatus=APPROVED
                )
                return [
                    summary["ModelPackageVersion"]
                    for page in pages
                    for summary in page["ModelPackageSummaryList"]
                ]
        except NotFound:
            return []

    def reject(self, group: str, version: int, reason: str) -> None:
        with translated("UpdateModelPackage"):
            self._client.update_model_package(
                ModelPackageArn=self._arn_of(group, version),
                ModelApprovalStatus=REJECTED,
                ApprovalDescription=_one_line(reason),
            )

    def _describe(self, arn: str) -> ModelPackage | None:
        try:
            with translated("DescribeModelPackage"):
                answer = self._client.describe_model_package(ModelPackageName=arn)
        except NotFound:
            return None
        return _package(answer)

    def _create(self, registration: Registration) -> int:
        with translated("CreateModelPackage"):
            answer = self._client.create_model_package(
                ModelPackageGroupName=registration.group,
                ModelPackageDescription=registration.description,
                ModelApprovalStatus=registration.approval,  # type: ignore[arg-type]  # one of package.py's
                InferenceSpecification=self._served_by(registration),
                ModelMetrics={"ModelQuality": _quality(registration)},
                CustomerMetadataProperties=dict(registration.metadata),
                SourceUri=registration.source_uri,
                ClientToken=registration.token,
                MetadataProperties=_lineage(registration),
            )
        return int(answer["ModelPackageArn"].rpartition("/")[2])

    def _served_by(self, registration: Registration) -> InferenceSpecificationTypeDef:
        types: Any = list(registration.instance_types)
        specification: InferenceSpecificationTypeDef = {
            "Containers": [_container(each) for each in registration.containers],
            "SupportedContentTypes": registration.content_types,
            "SupportedResponseMIMETypes": registration.response_types,
            "SupportedRealtimeInferenceInstanceTypes": types,
        }
        # Batch transform knows fewer of them, and takes no folders.
        shape: Any = self._client.meta.service_model.shape_for("TransformInstanceType")
        packed = not any((each.artifact_url or "").endswith("/") for each in registration.containers)
        for_transform: Any = [each for each in types if packed and each in shape.enum]
        if for_transform:
            specification["SupportedTransformInstanceTypes"] = for_transform
        return specification

    def _make_group(self, group: str) -> None:
        try:
            with translated("CreateModelPackageGroup"):
                self._client.create_model_package_group(ModelPackageGroupName=group)
        except AlreadyExists:
            return  # made by somebody else since

    def _arn_of(self, group: str, version: int) -> str:
        # SageMaker writes names in ARNs in lower case.
        return f"{self._arn}:model-package/{group.lower()}/{version}"


def _container(container: RegisteredContainer) -> ModelPackageContainerDefinitionTypeDef:
    told: ModelPackageContainerDefinitionTypeDef = {
        "Image": container.image,
        "Environment": dict(container.environment),
    }
    if container.framework is not None:
        told["Framework"] = container.framework
    url = container.artifact_url
    if url is not None and url.endswith("/"):
        told["ModelDataSource"] = {
            "S3DataSource": {"S3Uri": url, "S3DataType": "S3Prefix", "CompressionType": "None"}
        }
    elif url is not None:
        told["ModelDataUrl"] = url
        if container.artifact_etag is not None:
            told["ModelDataETag"] = container.artifact_etag
    return told


def _quality(registration: Registration) -> ModelQualityTypeDef:
    quality: ModelQualityTypeDef = {
        "Statistics": {"ContentType": "application/json", "S3Uri": registration.metrics_url}
    }
    if registration.constraints_url is not None:
        quality["Constraints"] = {"ContentType": "application/json", "S3Uri": registration.constraints_url}
    return quality


def _lineage(registration: Registration) -> MetadataPropertiesTypeDef:
    lineage = registration.lineage
    told: Any = {
        "CommitId": lineage.commit,
        "Repository": lineage.repository,
        "GeneratedBy": lineage.generated_by,
        "ProjectId": lineage.project,
    }
    return {name: value for name, value in told.items() if value is not None}  # type: ignore[return-value]


def _one_line(text: str) -> str:
    """ApprovalDescription takes no line breaks, which tracebacks and scikit-learn's messages have."""
    printable = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(printable.split())[:MAX_REASON]


def _package(answer: DescribeModelPackageOutputTypeDef) -> ModelPackage:
    return ModelPackage(
        group=answer["ModelPackageGroupName"],
        version=answer["ModelPackageVersion"],
        arn=answer["ModelPackageArn"],
        approval=answer["ModelApprovalStatus"],
        # A package that was never edited has no LastModifiedTime.
        modified_at=answer.get("LastModifiedTime", answer["CreationTime"]),
        description=answer.get("ApprovalDescription", ""),
        metadata=answer.get("CustomerMetadataProperties", {}),
        modified_by=_editor(answer),
        in_a_folder=any(
            "ModelDataSource" in container
            for container in answer.get("InferenceSpecification", {}).get("Containers", [])
        ),
    )


def _editor(answer: DescribeModelPackageOutputTypeDef) -> str:
    """Who edited a package last. The console's users are known by their role, Studio's by their profile."""
    user = answer.get("LastModifiedBy") or answer.get("CreatedBy") or {}
    return user.get("IamIdentity", {}).get("Arn") or user.get("UserProfileName", "")


class SageMakerHosting:
    """A `modelgate.ports.Hosting`.

    Args:
        client: the SageMaker client.
        arn: what ARNs of this account and region begin with.
        stack: the value of the stack's tag.
        execution_role_arn: the role that containers run under.
        bucket: the intake bucket's name.
    """

    def __init__(
        self, client: SageMakerClient, arn: str, stack: str, execution_role_arn: str, bucket: str
    ) -> None:
        self._client = client
        self._arn = arn
        self._stack = stack
        self._execution_role_arn = execution_role_arn
        self._bucket = bucket

    def describe(self, endpoint: str) -> Endpoint | None:
        try:
            answer = self._describe(endpoint)
        except NotFound:
            return None
        reason = answer.get("FailureReason", "")
        # A failed creation leaves no EndpointConfigName.
        config = answer.get("EndpointConfigName", "")
        return Endpoint(answer["EndpointStatus"], config, reason, lacks_capacity(reason))

    def carries_tag(self, endpoint: str) -> bool:
        return self._owner(endpoint) == self._stack

    def make_model(self, name: str, group: str, version: int, policy: DeploymentPolicy) -> None:
        # The package, not its parts: SageMaker itself then refuses a version that is not approved.
        package = f"{self._arn}:model-package/{group.lower()}/{version}"
        more: dict[str, Any] = {}
        if policy.vpc is not None:
            more["VpcConfig"] = {
                "SecurityGroupIds": policy.vpc.security_groups,
                "Subnets": policy.vpc.subnets,
            }
        if policy.network_isolation:
            more["EnableNetworkIsolation"] = True
        with translated("CreateModel"):
            self._client.create_model(
                ModelName=name,
                PrimaryContainer={"ModelPackageName": package},
                ExecutionRoleArn=self._execution_role_arn,
                Tags=self._tags(policy.tags),
                **more,
            )

    def make_config(self, name: str, endpoint: str, policy: DeploymentPolicy) -> None:
        more: dict[str, Any] = {}
        if policy.asynchronous is not None:
            more["AsyncInferenceConfig"] = self._asynchronous(endpoint, policy.asynchronous, policy.kms_key)
        if policy.data_capture_percent:
            more["DataCaptureConfig"] = self._capture(endpoint, policy)
        if policy.kms_key is not None:
            more["KmsKeyId"] = policy.kms_key
        with translated("CreateEndpointConfig"):
            self._client.create_endpoint_config(
                EndpointConfigName=name,
                ProductionVariants=[_variant(name, policy)],
                Tags=self._tags(policy.tags),
                **more,
            )

    def create(self, endpoint: str, config: str, policy: DeploymentPolicy) -> None:
        with translated("CreateEndpoint"):
            self._client.create_endpoint(
                EndpointName=endpoint, EndpointConfigName=config, Tags=self._tags(policy.tags)
            )

    def update(self, endpoint: str, config: str, change: Change) -> None:
        more: dict[str, Any] = {}
        deployment = _deployment(change)
        if deployment:
            more["DeploymentConfig"] = deployment
        if change.keeps_counts:
            more["RetainAllVariantProperties"] = True
            more["ExcludeRetainedVariantProperties"] = [{"VariantPropertyType": "DataCaptureConfig"}]
        with translated("UpdateEndpoint"):
            self._client.update_endpoint(EndpointName=endpoint, EndpointConfigName=config, **more)

    def delete(self, endpoint: str) -> None:
        try:
            with translated("DeleteEndpoint"):
                self._client.delete_endpoint(EndpointName=endpoint)
        except NotFound:
            return  # which is what was wanted

    def remove(self, name: str) -> None:
        client = self._client
        # The config first: it names the model.
        with (
            _unless_gone(lambda: client.describe_endpoint_config(EndpointConfigName=name)),
            translated("DeleteEndpointConfig"),
        ):
            client.delete_endpoint_config(EndpointConfigName=name)
        with _unless_gone(lambda: client.describe_model(ModelName=name)), translated("DeleteModel"):
            client.delete_model(ModelName=name)

    def retag(self, endpoint: str, tags: Mapping[str, str], gone: Sequence[str]) -> None:
        arn = self._arn_of(endpoint)
        added = _listed({key: value for key, value in tags.items() if key != STACK_TAG})
        removed = sorted(set(gone) - {STACK_TAG})
        with _unless_gone(lambda: self._describe(endpoint)):
            if added:
                with translated("AddTags"):
                    self._client.add_tags(ResourceArn=arn, Tags=added)
            if removed:
                with translated("DeleteTags"):
                    self._client.delete_tags(ResourceArn=arn, TagKeys=removed)

    def adopt(self, endpoint: str) -> None:
        problem = _strange(endpoint, self._describe(endpoint)) or self._owned_by_another(endpoint)
        if problem:
            raise Refused(problem)
        with translated("AddTags"):
            self._client.add_tags(ResourceArn=self._arn_of(endpoint), Tags=self._tags({}))

    # ── inside ────────────────────────────────────────────────────────────────────────────────
    def _describe(self, endpoint: str) -> DescribeEndpointOutputTypeDef:
        with translated("DescribeEndpoint"):
            return self._client.describe_endpoint(EndpointName=endpoint)

    def _arn_of(self, endpoint: str) -> str:
        return f"{self._arn}:endpoint/{endpoint.lower()}"

    def _owner(self, endpoint: str) -> str | None:
        """The stack that the endpoint's tag names."""
        with translated("ListTags"):
            pages = self._client.get_paginator("list_tags").paginate(ResourceArn=self._arn_of(endpoint))
            tags = [tag for page in pages for tag in page["Tags"]]
        return next((tag["Value"] for tag in tags if tag["Key"] == STACK_TAG), None)

    def _owned_by_another(self, endpoint: str) -> Problem | None:
        owner = self._owner(endpoint)
        if owner in {None, self._stack}:
            return None
        found = f"belongs to the stack {owner}, by its tag {STACK_TAG}"
        return Problem(f"endpoint {endpoint}", found, "have that stack let go of it: take the tag away")

    def _tags(self, more: Mapping[str, str]) -> list[TagTypeDef]:
        return _listed({STACK_TAG: self._stack, **more})

    def _asynchronous(self, endpoint: str, asynchronous: Asynchronous, key: str | None) -> dict[str, Any]:
        folder = f"s3://{self._bucket}/{PREDICTIONS}/{endpoint}/"
        output: AsyncInferenceOutputConfigTypeDef = {
            "S3OutputPath": folder,
            "S3FailurePath": f"{folder}failures/",
        }
        if key is not None:
            output["KmsKeyId"] = key
        topics = {"SuccessTopic": asynchronous.success_topic, "ErrorTopic": asynchronous.error_topic}
        named: Any = {name: topic for name, topic in topics.items() if topic is not None}
        if named:
            output["NotificationConfig"] = named
        most = asynchronous.max_concurrent_invocations
        limit = {} if most is None else {"ClientConfig": {"MaxConcurrentInvocationsPerInstance": most}}
        return {"OutputConfig": output, **limit}

    def _capture(self, endpoint: str, policy: DeploymentPolicy) -> dict[str, Any]:
        key = {} if policy.kms_key is None else {"KmsKeyId": policy.kms_key}
        return {
            "EnableCapture": True,
            "InitialSamplingPercentage": policy.data_capture_percent,
            "DestinationS3Uri": f"s3://{self._bucket}/{CAPTURED}/{endpoint}/",
            "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
            # Whatever is not named here is written in base64.
            "CaptureContentTypeHeader": {
                "CsvContentTypes": ["text/csv"],
                "JsonContentTypes": ["application/json"],
            },
            **key,
        }


@contextmanager
def _unless_gone(look: Callable[[], object]) -> Iterator[None]:
    """Around a call about what need not be there any more.

    The functions' role is allowed such calls by the resource's tag. What is gone has none, so that IAM
    denies the call instead of letting SageMaker say that there is nothing: then ``look`` tells.
    """
    try:
        yield
    except NotFound:
        return
    except Forbidden:
        try:
            with translated("Describe"):
                look()
        except NotFound:
            return
        raise


def _listed(tags: Mapping[str, str]) -> list[TagTypeDef]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _variant(model: str, policy: DeploymentPolicy) -> ProductionVariantTypeDef:
    variant: ProductionVariantTypeDef = {
        "VariantName": VARIANT,
        "ModelName": model,
        "InitialVariantWeight": 1.0,
    }
    if policy.serverless is not None:
        variant["ServerlessConfig"] = {
            "MemorySizeInMB": policy.serverless.memory_mb,
            "MaxConcurrency": policy.serverless.max_concurrency,
        }
    if policy.instances is not None:
        variant["InstanceType"] = policy.instances.type  # type: ignore[typeddict-item]  # checked by SageMaker
        variant["InitialInstanceCount"] = policy.instances.count
        variant["ContainerStartupHealthCheckTimeoutInSeconds"] = policy.startup_timeout_seconds
        if policy.instances.volume_gb is not None:
            variant["VolumeSizeInGB"] = policy.instances.volume_gb
    return variant


def _strange(endpoint: str, answer: DescribeEndpointOutputTypeDef) -> Problem | None:
    """Why UpdateEndpoint could not bring this endpoint to a config of Modelgate's."""
    where = f"endpoint {endpoint}"
    if answer["EndpointStatus"] != "InService":
        found = f"is {answer['EndpointStatus']}, and only one that is InService is taken over"
        return Problem(where, found, "wait until it is, or delete it")
    variants = [variant["VariantName"] for variant in answer.get("ProductionVariants", [])]
    if variants != [VARIANT]:
        found = f"has the variants {', '.join(variants)}, and SageMaker never changes their names"
        mend = f"make one whose only variant is called {VARIANT}, or name another endpoint in the policy"
        return Problem(where, found, mend)
    if answer.get("ShadowProductionVariants"):
        found = "has shadow variants, which the next update would take away"
        return Problem(where, found, "end the shadow test, then have it taken over")
    return None


# ── how an update shifts the traffic ──────────────────────────────────────────────────────────────
def _deployment(change: Change) -> DeploymentConfigUnionTypeDef | None:
    """The DeploymentConfig; None for an update all at once that nothing watches."""
    rollout = change.rollout or Rollout()
    if rollout == Rollout() and not change.alarms:
        return None
    deployment: DeploymentConfigUnionTypeDef = {}
    if rollout.strategy == "rolling":
        deployment["RollingUpdatePolicy"] = {
            "MaximumBatchSize": _size(rollout),
            "WaitIntervalInSeconds": rollout.wait_seconds,
            "MaximumExecutionTimeoutInSeconds": _timeout(rollout),
        }
    else:
        deployment["BlueGreenUpdatePolicy"] = {
            "TrafficRoutingConfiguration": _routing(rollout),
            "TerminationWaitInSeconds": _last_wait(rollout),
            "MaximumExecutionTimeoutInSeconds": _timeout(rollout),
        }
    if change.alarms:
        deployment["AutoRollbackConfiguration"] = {"Alarms": [{"AlarmName": name} for name in change.alarms]}
    return deployment


def _routing(rollout: Rollout) -> TrafficRoutingConfigTypeDef:
    if rollout.strategy == "canary":
        return {
            "Type": "CANARY",
            "CanarySize": _size(rollout),
            "WaitIntervalInSeconds": rollout.wait_seconds,
        }
    if rollout.strategy == "linear":
        return {
            "Type": "LINEAR",
            "LinearStepSize": _size(rollout),
            "WaitIntervalInSeconds": rollout.wait_seconds,
        }
    return {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}


def _last_wait(rollout: Rollout) -> int:
    """How long the old instances stand by, in seconds.

    WaitIntervalInSeconds lies between two steps. Where there is one step only, the alarms are watched while
    the old instances stand by ("Baking for 600 seconds (TerminationWaitInSeconds)", as the events say it).
    """
    if rollout.strategy != "all_at_once":
        return rollout.termination_wait_seconds
    return min(rollout.wait_seconds + rollout.termination_wait_seconds, _LONGEST_WAIT_SECONDS)


def _size(rollout: Rollout) -> CapacitySizeTypeDef:
    if rollout.instances is not None:
        return {"Type": "INSTANCE_COUNT", "Value": rollout.instances}
    return {"Type": "CAPACITY_PERCENT", "Value": rollout.percent or 0}


def _timeout(rollout: Rollout) -> int:
    """When SageMaker gives up an update and rolls it back, in seconds."""
    if rollout.timeout_seconds is not None:
        return rollout.timeout_seconds
    # How many instances there are is not known here; more of them only make more waits.
    enough = rollout.waits_seconds(_MOST_INSTANCES) + _ROOM_SECONDS
    return min(enough, MAX_UPDATE_SECONDS)
