"""Amazon ECR."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from modelgate.events import Envelope, Event


class _ImageScanDetail(Event):
    repository: str = Field(alias="repository-name")
    digest: str = Field(alias="image-digest")


class ImageScanned(Envelope):
    """Amazon ECR: "ECR Image Scan". What was found is read from ECR itself."""

    source: Literal["aws.ecr"]
    detail_type: Literal["ECR Image Scan"] = Field(alias="detail-type")
    detail: _ImageScanDetail
