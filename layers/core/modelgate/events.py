"""What comes in: the events of AWS that Modelgate reacts to. The contract's only definition.

The models take what AWS was seen to send, not only what it documents: times in four notations, tags
as a list or as a map, fields that come and go. What Modelgate does not read is not modelled.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from modelgate.submission import SAGEMAKER_NAME, SubmissionId


def _moment(value: object) -> object:
    """AWS writes times as ISO 8601, as epoch milliseconds, and as those in a string."""
    if isinstance(value, str) and re.fullmatch(r"\d+(\.\d+)?", value):
        value = float(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return datetime.fromtimestamp(value / 1000, UTC)
    if isinstance(value, str):
        moment = datetime.fromisoformat(value)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return value


Moment = Annotated[datetime, BeforeValidator(_moment)]


class _Event(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True)


class Envelope(_Event):
    """What EventBridge puts around every event."""

    id: str
    source: str
    detail_type: str = Field(alias="detail-type")
    account: str
    region: str
    time: Moment
    resources: list[str] = []


class _Bucket(_Event):
    name: str


class _Object(_Event):
    key: str
    size: int = 0
    etag: str = ""
    version_id: str | None = Field(default=None, alias="version-id")
    sequencer: str | None = None


class _ObjectCreatedDetail(_Event):
    bucket: _Bucket
    object: _Object


class ObjectCreated(Envelope):
    """Amazon S3: "Object Created". The key is raw, not URL-encoded as in S3's own notifications."""

    source: Literal["aws.s3"]
    detail_type: Literal["Object Created"] = Field(alias="detail-type")
    detail: _ObjectCreatedDetail

    @property
    def key(self) -> str:
        return self.detail.object.key


class _ModelPackageDetail(_Event):
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


class _EndpointDetail(_Event):
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


class _BuildDetail(_Event):
    status: str = Field(alias="build-status")
    project: str = Field(alias="project-name")
    # The ARN of the build, though the field is called an id.
    arn: str = Field(alias="build-id")


class BuildStateChange(Envelope):
    """AWS CodeBuild: "CodeBuild Build State Change"."""

    source: Literal["aws.codebuild"]
    detail_type: Literal["CodeBuild Build State Change"] = Field(alias="detail-type")
    detail: _BuildDetail

    @property
    def build_id(self) -> str:
        """As BatchGetBuilds takes it: ``project:uuid``."""
        return self.detail.arn.partition(":build/")[2] or self.detail.arn


class _ImageScanDetail(_Event):
    repository: str = Field(alias="repository-name")
    digest: str = Field(alias="image-digest")


class ImageScanned(Envelope):
    """Amazon ECR: "ECR Image Scan". What was found is read from ECR itself."""

    source: Literal["aws.ecr"]
    detail_type: Literal["ECR Image Scan"] = Field(alias="detail-type")
    detail: _ImageScanDetail


class SweepDue(Envelope):
    """Amazon EventBridge: "Scheduled Event"."""

    source: Literal["aws.events"]
    detail_type: Literal["Scheduled Event"] = Field(alias="detail-type")


class _InspectionPausedDetail(_Event):
    group: str
    submission: str


class InspectionPaused(Envelope):
    """An announcement of Modelgate's own: an artifact was not read to its end in one invocation."""

    source: Literal["modelgate"]
    detail_type: Literal["Inspection Paused"] = Field(alias="detail-type")
    detail: _InspectionPausedDetail

    @property
    def submission(self) -> SubmissionId:
        return SubmissionId(self.detail.group, self.detail.submission)


class Instruction(_Event):
    """What the `modelgate` command invokes a function with. It is Modelgate's own, no event of AWS.

    Attributes:
        group: whose endpoint it is about.
        endpoint: the endpoint, where it is not the one that the group's policy names.
        version: the version to pin.
        by: who says so, for people.
    """

    instruction: Literal["pin", "unpin", "freeze", "unfreeze", "retry", "adopt", "retire"]
    group: str = Field(pattern=f"^{SAGEMAKER_NAME.pattern}$")
    endpoint: str | None = Field(default=None, pattern=f"^{SAGEMAKER_NAME.pattern}$")
    version: int | None = Field(default=None, ge=1)
    by: str = ""

    @model_validator(mode="after")
    def _pins_a_version(self) -> Instruction:
        if (self.version is None) == (self.instruction == "pin"):
            raise ValueError("pin, and nothing else, names a version")
        return self

    @property
    def in_words(self) -> str:
        return f"{self.instruction} version {self.version}" if self.version else self.instruction
