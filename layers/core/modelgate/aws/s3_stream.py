"""The content of an object in Amazon S3, of any size, over as many connections as it takes."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from botocore.exceptions import IncompleteReadError, ReadTimeoutError, ResponseStreamingError

from modelgate.aws.errors import translated

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from modelgate.ports import ObjectVersion

_BROKEN = (IncompleteReadError, ReadTimeoutError, ResponseStreamingError)
_MOST_BROKEN = 5  # connections in a row that brought nothing


class S3Stream:
    """A `modelgate.ports.Stream` of one version of an object. A connection that breaks is made anew there.

    botocore tries a request again, but nothing once its answer has begun; and on a busy day no connection
    lasts for the minutes that a large object takes.

    Args:
        start: the offset of the first byte that is wanted.
    """

    def __init__(self, client: S3Client, bucket: str, found: ObjectVersion, start: int = 0) -> None:
        self._client = client
        self._bucket = bucket
        self._found = found
        self._at = start
        self._broken = 0
        self._body = self._open()

    def read(self, amount: int | None = None, /) -> bytes:
        """
        Raises:
            AwsError: S3 refuses, or no connection lasts.
        """
        while True:
            with translated("GetObject"):
                try:
                    part: bytes = self._body.read(amount)
                except _BROKEN:
                    self._broken += 1
                    if self._broken > _MOST_BROKEN:
                        raise
                    self._body.close()
                    self._body = self._open()
                    continue
            self._at += len(part)
            self._broken = 0 if part else self._broken
            return part

    def close(self) -> None:
        self._body.close()

    def _open(self) -> Any:
        if self._at >= self._found.size:
            return io.BytesIO()  # S3 refuses a range behind the end
        rest: dict[str, Any] = {"Range": f"bytes={self._at}-"} if self._at else {}
        with translated("GetObject"):
            answer = self._client.get_object(
                Bucket=self._bucket, Key=self._found.key, VersionId=self._found.version, **rest
            )
        return answer["Body"]
