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


class _ObjectDetail(Event):
    bucket: _Bucket
    object: _Object


class ObjectCreated(Envelope):
    """Amazon S3: "Object Created". The key is raw, not URL-encoded as in S3's own notifications."""

    source: Literal["aws.s3"]
    detail_type: Literal["Object Created"] = Field(alias="detail-type")
    detail: _ObjectDetail

    @property
    def key(self) -> str:
        return self.detail.object.key


class ObjectChanged(Envelope):
    """Amazon S3: "Object Created" or "Object Deleted". What lies there now is looked up, not told."""

    source: Literal["aws.s3"]
    detail_type: Literal["Object Created", "Object Deleted"] = Field(alias="detail-type")
    detail: _ObjectDetail

    @property
    def key(self) -> str:
        return self.detail.object.key
