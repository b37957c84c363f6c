"""What S3 does with objects and moto does not do, or does with the whole object each time.

Ranges are read without the rest of the object. The conditions of CopyObject and UploadPartCopy are looked
at: "Conditional requests" in the Amazon S3 User Guide. A multipart upload that is not there, or not any
more, is told as such.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from localcloud.access import AccessControl
from localcloud.calls import Call, Operation, Reply
from localcloud.copy_source import CopySource, copy_source
from localcloud.errors import ServiceError
from localcloud.moto_state import FakeKey, MotoState
from localcloud.policies import Demand
from localcloud.wire import Response

_PARTIAL = 206
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/\d+")
_COPY_RANGE = re.compile(r"bytes=(\d+)-(\d+)")
# "UploadPartCopy" in the Amazon S3 API Reference: of an object that is not larger, no range can be copied.
_SMALLEST_IN_RANGES = 5 * 1024 * 1024
_OF_AN_UPLOAD = frozenset({"UploadPart", "CompleteMultipartUpload", "ListParts"})
_BY_TIME = ("CopySourceIfModifiedSince", "CopySourceIfUnmodifiedSince")
_NO_UPLOAD = (
    "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted "
    "or completed."
)


class S3Objects:
    """Answers calls of S3: by moto, but for what moto does not know."""

    def __init__(self, moto: MotoState, access: AccessControl) -> None:
        self._moto = moto
        self._access = access

    @property
    def operations(self) -> Mapping[str, Operation]:
        """What is answered here alone."""
        return {"UploadPartCopy": self._copy_part}

    def answer(self, call: Call, environ: dict[str, Any]) -> Response:
        """The answer to a request.

        Raises:
            ServiceError: S3 refuses it.
        """
        # What is looked at stays as it is until moto has answered.
        with self._moto.holding("s3"):
            if call.operation in _OF_AN_UPLOAD and not self._completed_before(call):
                self._upload(call)
            source = copy_source(call)
            if source is not None:
                self._require_tagging(call, source, self._refuse_source(call, source))
                self._refuse_target(call)
            return self._part_of_object(call, environ) or self._moto.answer("s3", environ)

    # ── ranges ────────────────────────────────────────────────────────────────────────────────────

    def _part_of_object(self, call: Call, environ: dict[str, Any]) -> Response | None:
        """A part of an object, as moto tells it to a HEAD, and with its content; None for all else."""
        asked = call.params
        if call.operation != "GetObject" or "Range" not in asked or "PartNumber" in asked:
            return None
        if any(member.startswith("Response") for member in asked):
            return None  # headers of the caller's own, which only a GET can ask for
        bucket, key, version = str(asked["Bucket"]), str(asked["Key"]), asked.get("VersionId")
        if self._moto.bucket(bucket) is None or self._moto.object(bucket, key, version) is None:
            return None
        head = self._moto.answer("s3", {**environ, "REQUEST_METHOD": "HEAD"})
        place = _CONTENT_RANGE.fullmatch(head.header("content-range") or "")
        if head.status != _PARTIAL or place is None:
            return None
        first, last = int(place[1]), int(place[2])
        content = self._moto.content(bucket, key, version, first, last)
        return Response(head.status, head.headers, content)

    # ── copies ────────────────────────────────────────────────────────────────────────────────────

    def _copy_part(self, call: Call) -> Reply:
        with self._moto.holding("s3"):
            self._upload(call)
            source = copy_source(call)
            if source is None:
                raise ServiceError("InvalidArgument", "Copy Source must mention the source bucket and key")
            found = self._refuse_source(call, source)
            content = self._moto.content(source.bucket, source.key, source.version, *_copied(call, found))
            upload, number = str(call.params["UploadId"]), int(call.params["PartNumber"])
            part = self._moto.put_part(str(call.params["Bucket"]), upload, number, content)
        told: dict[str, Any] = {"CopyPartResult": {"ETag": part.etag, "LastModified": part.last_modified}}
        if found.version_id != "null":
            told["CopySourceVersionId"] = found.version_id
        return Reply(told)

    def _refuse_source(self, call: Call, source: CopySource) -> FakeKey:
        """What is copied, if it is there and its conditions hold."""
        if self._moto.bucket(source.bucket) is None:
            raise ServiceError("NoSuchBucket", "The specified bucket does not exist", 404)
        found = self._moto.object(source.bucket, source.key, source.version)
        if found is None:
            self._access.hide_missing_object(call, source.bucket)
            if source.version is None:
                raise ServiceError("NoSuchKey", "The specified key does not exist.", 404)
            raise ServiceError("NoSuchVersion", "The specified version does not exist.", 404)
        asked = call.params
        for member in _BY_TIME:
            if member in asked:
                raise ServiceError("NotImplemented", f"{member} is not simulated in the local cloud.", 501)
        if "CopySourceIfMatch" in asked and not _is(asked["CopySourceIfMatch"], found):
            raise _unmet("x-amz-copy-source-If-Match")
        if "CopySourceIfNoneMatch" in asked and _is(asked["CopySourceIfNoneMatch"], found):
            raise _unmet("x-amz-copy-source-If-None-Match")
        return found

    def _require_tagging(self, call: Call, source: CopySource, found: FakeKey) -> None:
        """The tags of what is copied come along, unless others are given; that needs permissions too."""
        if call.params.get("TaggingDirective") == "REPLACE" or not self._moto.object_tags(found):
            return
        reading = "s3:GetObjectVersionTagging" if source.version else "s3:GetObjectTagging"
        self._access.require(call, Demand(reading, f"arn:aws:s3:::{source.bucket}/{source.key}"))
        target = f"arn:aws:s3:::{call.params['Bucket']}/{call.params['Key']}"
        self._access.require(call, Demand("s3:PutObjectTagging", target))

    def _refuse_target(self, call: Call) -> None:
        """Whether a copy may take the place of what is there."""
        asked, bucket = call.params, str(call.params["Bucket"])
        if not {"IfMatch", "IfNoneMatch"} & set(asked) or self._moto.bucket(bucket) is None:
            return
        found = self._moto.object(bucket, str(asked["Key"]), None)
        if "IfMatch" in asked and found is None:
            raise ServiceError("NoSuchKey", "The specified key does not exist.", 404)
        if "IfMatch" in asked and not _is(asked["IfMatch"], found):
            raise _unmet("If-Match")
        if "IfNoneMatch" in asked and found is not None:
            raise _unmet("If-None-Match")

    # ── multipart uploads ─────────────────────────────────────────────────────────────────────────

    def _upload(self, call: Call) -> None:
        """Refuse an upload that is not there."""
        bucket = str(call.params["Bucket"])
        if self._moto.bucket(bucket) is None:
            raise ServiceError("NoSuchBucket", "The specified bucket does not exist", 404)
        if self._moto.upload_of(bucket, str(call.params["UploadId"])) != call.params["Key"]:
            raise ServiceError("NoSuchUpload", _NO_UPLOAD, 404)

    def _completed_before(self, call: Call) -> bool:
        """Whether what is to be completed is the object already: that is answered as before."""
        bucket, key = str(call.params["Bucket"]), str(call.params["Key"])
        if call.operation != "CompleteMultipartUpload" or self._moto.bucket(bucket) is None:
            return False
        found = self._moto.object(bucket, key, None)
        upload = found.multipart if found is not None else None
        return upload is not None and upload.id == call.params["UploadId"]


def _copied(call: Call, source: FakeKey) -> tuple[int, int]:
    """The first and the last byte that a part is made of."""
    asked = call.params.get("CopySourceRange")
    if asked is None:
        return 0, source.size - 1
    form = _COPY_RANGE.fullmatch(str(asked))
    if form is None or int(form[1]) > int(form[2]):
        raise ServiceError(
            "InvalidArgument",
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are "
            "the zero-based offsets of the first and last bytes to copy",
        )
    if source.size <= _SMALLEST_IN_RANGES:
        message = "The specified copy source is not supported as a byte-range copy source"
        raise ServiceError("InvalidRequest", message)
    first, last = int(form[1]), int(form[2])
    if last >= source.size:
        message = f"Range specified is not valid for source object of size: {source.size}"
        raise ServiceError("InvalidArgument", message)
    return first, last


def _is(etag: str, found: FakeKey | None) -> bool:
    return found is not None and etag.strip('"') == found.etag.strip('"')


def _unmet(header: str) -> ServiceError:
    message = "At least one of the pre-conditions you specified did not hold"
    return ServiceError("PreconditionFailed", message, 412, {"Condition": header})
