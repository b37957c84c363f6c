"""Reading an object over connections that break."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError, ResponseStreamingError

from modelgate.aws.s3_stream import S3Stream
from modelgate.errors import AwsError, NotFound, TimedOut
from modelgate.ports import ObjectVersion

CONTENT = bytes(range(256)) * 10
FOUND = ObjectVersion("models/iris/1/model.tar.gz", "v7", len(CONTENT))


class Body(io.BytesIO):
    """An answer whose connection breaks behind so many bytes."""

    def __init__(self, content: bytes, lasts: int, error: Exception) -> None:
        super().__init__(content)
        self._lasts = lasts
        self._error = error

    def read(self, amount: int | None = None, /) -> bytes:
        read = super().read(amount)
        if self.tell() > self._lasts:
            raise self._error
        return read


@dataclass
class S3:
    """Answers as S3 does, each time over a connection that lasts for so many bytes."""

    lasts: int = len(CONTENT) + 1
    error: Exception = field(default_factory=lambda: ResponseStreamingError(error="reset"))
    asked: list[dict[str, Any]] = field(default_factory=list)

    def get_object(self, **asked: Any) -> dict[str, Any]:
        self.asked.append(asked)
        if asked["VersionId"] != FOUND.version:
            answer: Any = {"Error": {"Code": "NoSuchVersion", "Message": "gone"}}
            raise ClientError(answer, "GetObject")
        start = int(asked.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        return {"Body": Body(CONTENT[start:], self.lasts, self.error)}


def stream(s3: S3, start: int = 0, found: ObjectVersion = FOUND) -> S3Stream:
    return S3Stream(s3, "intake", found, start)  # type: ignore[arg-type]  # only `get_object` is called


def all_of(stream: S3Stream, amount: int) -> bytes:
    return b"".join(iter(lambda: stream.read(amount), b""))


def test_an_object_is_read_by_one_request_for_the_version_that_was_named() -> None:
    s3 = S3()

    assert all_of(stream(s3), 100) == CONTENT
    assert s3.asked == [{"Bucket": "intake", "Key": FOUND.key, "VersionId": "v7"}]


def test_it_can_be_read_from_any_byte_on() -> None:
    assert all_of(stream(S3(), 1000), 100) == CONTENT[1000:]
    assert stream(S3(), len(CONTENT)).read() == b""


def test_a_connection_that_breaks_is_made_anew_where_it_broke() -> None:
    s3 = S3(lasts=750)

    assert all_of(stream(s3), 100) == CONTENT
    assert [asked.get("Range") for asked in s3.asked] == [None, "bytes=700-", "bytes=1400-", "bytes=2100-"]
    assert {asked["VersionId"] for asked in s3.asked} == {"v7"}


@pytest.mark.parametrize(
    ("error", "expected"),
    [(ResponseStreamingError(error="reset"), AwsError), (ReadTimeoutError(endpoint_url="s3"), TimedOut)],
)
def test_connections_that_bring_nothing_come_to_an_end(error: Exception, expected: type[AwsError]) -> None:
    s3 = S3(lasts=50, error=error)

    with pytest.raises(expected):
        all_of(stream(s3), 100)
    assert len(s3.asked) == 6


def test_a_version_that_is_gone_is_told_when_it_is_opened() -> None:
    with pytest.raises(NotFound):
        stream(S3(), found=ObjectVersion(FOUND.key, "v8", FOUND.size))
