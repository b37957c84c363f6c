"""Amazon S3, through EventBridge."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from modelgate.events import Envelope, Event


class _Bucket(Event):
    name: str


class _Object(Event):
    key: str
    size: int = 0
    etag: str = ""
    version_id: str | None = Field(default=None, alias="version-id")
    sequencer: str | None = None


class _ObjectCreatedDetail(Event):
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
