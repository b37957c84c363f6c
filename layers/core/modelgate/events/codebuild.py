"""AWS CodeBuild."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from modelgate.events import Envelope, Event


class _BuildDetail(Event):
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
