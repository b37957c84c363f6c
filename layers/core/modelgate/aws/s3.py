"""The intake bucket in Amazon S3."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from modelgate.aws.errors import translated
from modelgate.aws.s3_stream import S3Stream
from modelgate.aws.side_by_side import side_by_side
from modelgate.errors import AwsError, NotFound
from modelgate.ports import NewObject, ObjectVersion, Stream

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CopySourceTypeDef

# S3 answers when a part is copied, so a part must be done well before the client's time-out of a minute; and
# an object has at most 10,000 of them.
_COPIED_AT_ONCE = 512 * 1024**2
_COPIES_AT_A_TIME = 10
# Tags and metadata are the uploader's; to read them would take more rights.
_OURS: Final[dict[str, Any]] = {"MetadataDirective": "REPLACE", "TaggingDirective": "REPLACE"}


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
        return _version(key, answer)

    def read(self, key: str, limit: int, version: str | None = None) -> tuple[bytes, ObjectVersion] | None:
        which: dict[str, Any] = {"VersionId": version} if version else {}
        # Not the whole of it, so that the connection can be used again.
        beginning = f"bytes=0-{limit}"
        try:
            with translated("GetObject"):
                answer = self._client.get_object(Bucket=self.name, Key=key, Range=beginning, **which)
                with answer["Body"] as stream:
                    body = stream.read()
        except NotFound:
            return None
        except AwsError as error:
            if error.code != "InvalidRange":
                raise
            return self._read_nothing(key, which)
        size = int(answer["ContentRange"].rpartition("/")[2])
        return body, ObjectVersion(key, answer.get("VersionId", "null"), size, answer["ETag"])

    def _read_nothing(self, key: str, which: dict[str, Any]) -> tuple[bytes, ObjectVersion] | None:
        """An empty object has no first byte."""
        try:
            with translated("HeadObject"):
                answer = self._client.head_object(Bucket=self.name, Key=key, **which)
        except NotFound:
            return None
        return b"", _version(key, answer)

    def open(self, found: ObjectVersion, start: int = 0) -> Stream:
        return S3Stream(self._client, self.name, found, start)

    def list(self, prefix: str, limit: int) -> Sequence[ObjectVersion]:
        found: list[ObjectVersion] = []
        with translated("ListObjectVersions"):
            pages = self._client.get_paginator("list_object_versions").paginate(
                Bucket=self.name, Prefix=prefix
            )
            for page in pages:
                found += [
                    ObjectVersion(each["Key"], each["VersionId"], each["Size"], each["ETag"])
                    for each in page.get("Versions", [])
                    if each["IsLatest"]
                ]
                if len(found) > limit:
                    break
        return found[: limit + 1]

    def keep(self, found: Mapping[str, ObjectVersion]) -> Sequence[ObjectVersion]:
        # The parts of a large object are copied side by side already.
        large = [key for key, each in found.items() if each.size > _COPIED_AT_ONCE]
        small = [key for key in found if key not in large]
        kept = dict(
            zip(small, side_by_side(partial(self._kept, found[key], key) for key in small), strict=True)
        )
        kept |= {key: self._kept(found[key], key) for key in large}
        return [kept[key] for key in found]

    def _kept(self, found: ObjectVersion, key: str) -> ObjectVersion:
        # A copy by parts appears when its last part is there, so what is there is whole.
        return self.head(key) or self._copy(found, key)

    def _copy(self, found: ObjectVersion, key: str) -> ObjectVersion:
        if found.size > _COPIED_AT_ONCE:
            return self._copy_by_parts(found, key)
        with translated("CopyObject"):
            answer = self._client.copy_object(
                Bucket=self.name, Key=key, CopySource=self._source(found), **_OURS
            )
        etag = answer["CopyObjectResult"]["ETag"]
        return ObjectVersion(key, answer.get("VersionId", "null"), found.size, etag)

    def _copy_by_parts(self, found: ObjectVersion, key: str) -> ObjectVersion:
        from s3transfer.manager import TransferConfig, TransferManager  # which nothing else here needs

        by_parts = TransferConfig(
            multipart_threshold=_COPIED_AT_ONCE,
            multipart_chunksize=_COPIED_AT_ONCE,
            max_request_concurrency=_COPIES_AT_A_TIME,
        )
        with translated("CopyObject"), TransferManager(self._client, by_parts) as transfers:
            transfers.copy(self._source(found), self.name, key, extra_args=_OURS).result()
        copied = self.head(key)
        if copied is None:
            raise NotFound("CopyObject", "NoSuchKey", f"{key} was copied and is gone")
        return copied

    def _source(self, found: ObjectVersion) -> CopySourceTypeDef:
        return {"Bucket": self.name, "Key": found.key, "VersionId": found.version}

    def write(self, *objects: NewObject) -> None:
        side_by_side(partial(self._write, each) for each in objects)

    def _write(self, new: NewObject) -> None:
        with translated("PutObject"):
            self._client.put_object(
                Bucket=self.name, Key=new.key, Body=new.body, ContentType=new.content_type
            )


def _version(key: str, answer: Mapping[str, Any]) -> ObjectVersion:
    version, size = answer.get("VersionId", "null"), answer["ContentLength"]
    return ObjectVersion(key, version, size, answer.get("ETag", ""))
