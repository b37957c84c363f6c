"""Amazon SageMaker."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from modelgate.events import Envelope, Event, Moment


class _ModelPackageDetail(Event):
    group: str = Field(alias="ModelPackageGroupName")
    version: int = Field(alias="ModelPackageVersion")
    arn: str = Field(alias="ModelPackageArn")
    approval_status: Literal["Approved", "Rejected", "PendingManualApproval"] = Field(
        alias="ModelApprovalStatus"
    )
    updated_fields: list[str] | None = Field(default=None, alias="UpdatedModelPackageFields")
    last_modified_at: Moment | None = Field(default=None, alias="LastModifiedTime")


class ModelPackageStateChange(Envelope):
    """Amazon SageMaker: "SageMaker Model Package State Change"."""

    source: Literal["aws.sagemaker"]
    detail_type: Literal["SageMaker Model Package State Change"] = Field(alias="detail-type")
    detail: _ModelPackageDetail

    @property
    def is_decision(self) -> bool:
        """Whether the approval may have changed. Any edit of an approved package says Approved again."""
        fields = self.detail.updated_fields
        return not fields or "ModelApprovalStatus" in fields

    @property
    def decided_at(self) -> datetime:
        return self.detail.last_modified_at or self.time


_STATUSES = {
    "OUT_OF_SERVICE": "OutOfService",
    "CREATING": "Creating",
    "UPDATING": "Updating",
    "SYSTEM_UPDATING": "SystemUpdating",
    "ROLLING_BACK": "RollingBack",
    "IN_SERVICE": "InService",
    "DELETING": "Deleting",
    "FAILED": "Failed",
    "UPDATE_ROLLBACK_FAILED": "UpdateRollbackFailed",
}


def _tags(value: Any) -> object:
    if isinstance(value, list):
        return {tag["Key"]: tag["Value"] for tag in value}
    return value or {}


class _EndpointDetail(Event):
    name: str = Field(alias="EndpointName")
    arn: str = Field(alias="EndpointArn")
    # Events write IN_SERVICE where the API writes InService; from here on it is the API's word.
    status: Annotated[str, BeforeValidator(lambda word: _STATUSES.get(word, word))] = Field(
        alias="EndpointStatus"
    )
    config: str | None = Field(default=None, alias="EndpointConfigName")
    tags: Annotated[dict[str, str], BeforeValidator(_tags)] = Field(default={}, alias="Tags")


class EndpointStateChange(Envelope):
    """Amazon SageMaker: "SageMaker Endpoint State Change"."""

    source: Literal["aws.sagemaker"]
    detail_type: Literal["SageMaker Endpoint State Change"] = Field(alias="detail-type")
    detail: _EndpointDetail


class _TrainingJobDetail(Event):
    job: str = Field(alias="TrainingJobName")
    status: str = Field(alias="TrainingJobStatus")


class TrainingJobStateChange(Envelope):
    """Amazon SageMaker: "SageMaker Training Job State Change"."""

    source: Literal["aws.sagemaker"]
    detail_type: Literal["SageMaker Training Job State Change"] = Field(alias="detail-type")
    detail: _TrainingJobDetail

    @property
    def job(self) -> str:
        return self.detail.job


class _TransformJobDetail(Event):
    job: str = Field(alias="TransformJobName")
    status: str = Field(alias="TransformJobStatus")


class TransformJobStateChange(Envelope):
    """Amazon SageMaker: "SageMaker Transform Job State Change"."""

    source: Literal["aws.sagemaker"]
    detail_type: Literal["SageMaker Transform Job State Change"] = Field(alias="detail-type")
    detail: _TransformJobDetail

    @property
    def job(self) -> str:
        return self.detail.job
