"""Modelgate's own: what it announces to itself, and what operators tell it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from modelgate.events import Envelope, Event
from modelgate.submission import SAGEMAKER_NAME, SubmissionId


class _InspectionPausedDetail(Event):
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


class _ImagePublishedDetail(Event):
    image: str
    digest: str
    uri: str


class ImagePublished(Envelope):
    """An announcement of Modelgate's own: a build is over, and its image can be used."""

    source: Literal["modelgate"]
    detail_type: Literal["Image Published"] = Field(alias="detail-type")
    detail: _ImagePublishedDetail

    @property
    def image(self) -> str:
        return self.detail.image

    @property
    def digest(self) -> str:
        return self.detail.digest

    @property
    def uri(self) -> str:
        """The image's URI with its digest."""
        return self.detail.uri


class Instruction(Event):
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
