"""Amazon SageMaker: the model registry, and what serves models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelgate.aws.errors import translated
from modelgate.deployment.planner import Endpoint
from modelgate.errors import AlreadyExists, NotFound
from modelgate.registry.package import PENDING, REJECTED, ModelPackage, Registration

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sagemaker.type_defs import (
        DescribeModelPackageOutputTypeDef,
        ProductionVariantTypeDef,
        TagTypeDef,
    )

    from modelgate.policy import DeploymentPolicy

STACK_TAG = "modelgate:stack"
VARIANT = "AllTraffic"
_MAX_DESCRIPTION = 1024


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
                ModelApprovalStatus=PENDING,
                InferenceSpecification={
                    "Containers": [
                        {
                            "Image": registration.image,
                            "ModelDataUrl": registration.artifact_url,
                            "Environment": dict(registration.environment),
                            "Framework": registration.framework,
                        }
                    ],
                    "SupportedContentTypes": registration.content_types,
                    "SupportedResponseMIMETypes": registration.response_types,
                },
                ModelMetrics={
                    "ModelQuality": {
                        "Statistics": {"ContentType": "application/json", "S3Uri": registration.metrics_url}
                    }
                },
                CustomerMetadataProperties=dict(registration.metadata),
                ClientToken=registration.token,
            )
        return int(answer["ModelPackageArn"].rpartition("/")[2])

    def _make_group(self, group: str) -> None:
        try:
            with translated("CreateModelPackageGroup"):
                self._client.create_model_package_group(ModelPackageGroupName=group)
        except AlreadyExists:
            return  # made by somebody else since

    def _arn_of(self, group: str, version: int) -> str:
        # SageMaker writes names in ARNs in lower case.
        return f"{self._arn}:model-package/{group.lower()}/{version}"


def _one_line(text: str) -> str:
    """ApprovalDescription takes no line breaks, which tracebacks and scikit-learn's messages have."""
    printable = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(printable.split())[:_MAX_DESCRIPTION]


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
    )


class SageMakerHosting:
    """A `modelgate.ports.Hosting`.

    Args:
        client: the SageMaker client.
        arn: what ARNs of this account and region begin with.
        stack: the value of the stack's tag.
        execution_role_arn: the role that containers run under.
    """

    def __init__(self, client: SageMakerClient, arn: str, stack: str, execution_role_arn: str) -> None:
        self._client = client
        self._arn = arn
        self._stack = stack
        self._execution_role_arn = execution_role_arn

    def describe(self, endpoint: str) -> Endpoint | None:
        try:
            with translated("DescribeEndpoint"):
                answer = self._client.describe_endpoint(EndpointName=endpoint)
        except NotFound:
            return None
        # A failed creation leaves no EndpointConfigName.
        config = answer.get("EndpointConfigName", "")
        return Endpoint(answer["EndpointStatus"], config, answer.get("FailureReason", ""))

    def carries_tag(self, endpoint: str) -> bool:
        with translated("ListTags"):
            arn = f"{self._arn}:endpoint/{endpoint.lower()}"
            pages = self._client.get_paginator("list_tags").paginate(ResourceArn=arn)
            return any(tag == self._tags[0] for page in pages for tag in page["Tags"])

    def make_model(self, name: str, group: str, version: int) -> None:
        # The package, not its parts: SageMaker itself then refuses a version that is not approved.
        package = f"{self._arn}:model-package/{group.lower()}/{version}"
        with translated("CreateModel"):
            self._client.create_model(
                ModelName=name,
                PrimaryContainer={"ModelPackageName": package},
                ExecutionRoleArn=self._execution_role_arn,
                Tags=self._tags,
            )

    def make_config(self, name: str, policy: DeploymentPolicy) -> None:
        variant: ProductionVariantTypeDef = {
            "VariantName": VARIANT,
            "ModelName": name,
            "InstanceType": policy.instances.type,  # type: ignore[typeddict-item]  # checked by SageMaker
            "InitialInstanceCount": policy.instances.count,
            "InitialVariantWeight": 1.0,
            "ContainerStartupHealthCheckTimeoutInSeconds": policy.startup_timeout_seconds,
        }
        if policy.instances.volume_gb is not None:
            variant["VolumeSizeInGB"] = policy.instances.volume_gb
        with translated("CreateEndpointConfig"):
            self._client.create_endpoint_config(
                EndpointConfigName=name, ProductionVariants=[variant], Tags=self._tags
            )

    def create(self, endpoint: str, config: str) -> None:
        with translated("CreateEndpoint"):
            self._client.create_endpoint(EndpointName=endpoint, EndpointConfigName=config, Tags=self._tags)

    def update(self, endpoint: str, config: str) -> None:
        with translated("UpdateEndpoint"):
            self._client.update_endpoint(EndpointName=endpoint, EndpointConfigName=config)

    def delete(self, endpoint: str) -> None:
        try:
            with translated("DeleteEndpoint"):
                self._client.delete_endpoint(EndpointName=endpoint)
        except NotFound:
            return  # which is what was wanted

    @property
    def _tags(self) -> list[TagTypeDef]:
        return [{"Key": STACK_TAG, "Value": self._stack}]
