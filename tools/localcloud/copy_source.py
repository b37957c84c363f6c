"""What CopyObject and UploadPartCopy copy from."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote

from localcloud.calls import Call

_VERSION = "?versionId="


@dataclass(frozen=True)
class CopySource:
    """An object, or one version of it."""

    bucket: str
    key: str
    version: str | None


def copy_source(call: Call) -> CopySource | None:
    """What a call copies from; None if it copies nothing.

    "CopyObject" in the Amazon S3 API Reference: bucket and key are URL-encoded, the version stands behind
    them in a query.
    """
    given = call.params.get("CopySource")
    if not given:
        return None
    path, _, version = str(given).partition(_VERSION)
    bucket, _, key = unquote(path).removeprefix("/").partition("/")
    return CopySource(bucket, key, version or None)
