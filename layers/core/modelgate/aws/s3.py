"""The intake bucket in Amazon S3."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelgate.aws.errors import translated
from modelgate.errors import NotFound
from modelgate.ports import ObjectVersion, Stream

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class S3Bucket:
    """A `modelgate.ports.Bucket`."""

    def __init__(self, client: S3Client, name: str) -> None:
        self._client = client
        self.name = name

    def head(self, key: str) -> ObjectVersion | None:
        try:
            with translated("HeadObject"):
                answer = self._client.head_object(Bucket=self.name, Key=key)
        except NotFound:
            return None
        return ObjectVersion(key, answer.get("VersionId", "null"), answer["ContentLength"])

    def read(self, key: str, limit: int, version: str | None = None) -> tuple[bytes, ObjectVersion] | None:
        which: dict[str, Any] = {"VersionId": version} if version else {}
        try:
            with translated("GetObject"):
                answer = self._client.get_object(Bucket=self.name, Key=key, **which)
                with answer["Body"] as stream:
                    body = stream.read(limit + 1)
        except NotFound:
            return None
        return body, ObjectVersion(key, answer.get("VersionId", "null"), answer["ContentLength"])

    def open(self, found: ObjectVersion) -> Stream:
        with translated("GetObject"):
            answer = self._client.get_object(Bucket=self.name, Key=found.key, VersionId=found.version)
        return answer["Body"]

    def write(self, key: str, body: bytes, content_type: str) -> None:
        with translated("PutObject"):
            self._client.put_object(Bucket=self.name, Key=key, Body=body, ContentType=content_type)
