"""The events that S3 sends to EventBridge, in AWS's own shape.

Documented as "Using EventBridge" in the Amazon S3 User Guide. Keys are raw, an etag has no quotes, a bucket
without versions has no ``version-id``.
"""

from __future__ import annotations

import itertools
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from threading import Lock
from typing import Any

from localcloud.calls import ACCOUNT, Call
from localcloud.eventbridge import EventBridge
from localcloud.moto_state import MotoState
from localcloud.wire import Response

_CREATED = {
    "PutObject": "PutObject",
    "CopyObject": "CopyObject",
    "CompleteMultipartUpload": "CompleteMultipartUpload",
    "PostObject": "POST Object",
}


class S3Events:
    """Announces what changed in a bucket that has EventBridge on."""

    def __init__(self, moto: MotoState, events: EventBridge) -> None:
        self._moto = moto
        self._events = events
        self._sequence = itertools.count(time.time_ns() // 1000 * 4096)
        self._lock = Lock()
        self._completed: set[str] = set()

    def after(self, call: Call, response: Response) -> None:
        """Announce what a call of S3 that has been answered did."""
        if response.status >= 300 or "Bucket" not in call.params:
            return
        bucket = str(call.params["Bucket"])
        if self._is_repeated(call):
            return
        if call.operation in _CREATED and self._is_on(bucket):
            self._created(call, bucket, response.header("x-amz-version-id"))
        elif call.operation == "DeleteObject" and self._is_on(bucket):
            self._deleted(call, bucket, str(call.params["Key"]), "DeleteObject", _deletion(response))
        elif call.operation == "DeleteObjects" and self._is_on(bucket):
            for key, deletion in _deletions(response):
                self._deleted(call, bucket, key, "DeleteObjects", deletion)

    def _is_repeated(self, call: Call) -> bool:
        """Completing an upload once more is answered as the first time, and creates nothing."""
        if call.operation != "CompleteMultipartUpload":
            return False
        upload = str(call.params["UploadId"])
        with self._lock:
            repeated = upload in self._completed
            self._completed.add(upload)
        return repeated

    def _is_on(self, bucket: str) -> bool:
        found = self._moto.bucket(bucket)
        configuration = found.notification_configuration if found is not None else None
        return configuration is not None and configuration.event_bridge is not None

    def _created(self, call: Call, bucket: str, version: str | None) -> None:
        key = str(call.params["Key"])
        found = self._moto.object(bucket, key, version)
        if found is None:
            return
        thing = {"key": key, "size": found.size, "etag": found.etag.strip('"')}
        if version:
            thing["version-id"] = version
        detail = self._detail(call, bucket, thing, _CREATED[call.operation])
        self._events.announce("aws.s3", "Object Created", detail, [f"arn:aws:s3:::{bucket}"])

    def _deleted(self, call: Call, bucket: str, key: str, reason: str, deletion: Mapping[str, str]) -> None:
        thing: dict[str, Any] = {"key": key}
        if "version" in deletion:
            thing["version-id"] = deletion["version"]
        detail = self._detail(call, bucket, thing, reason) | {"deletion-type": deletion["type"]}
        self._events.announce("aws.s3", "Object Deleted", detail, [f"arn:aws:s3:::{bucket}"])

    def _detail(self, call: Call, bucket: str, thing: dict[str, Any], reason: str) -> dict[str, Any]:
        return {
            "version": "0",
            "bucket": {"name": bucket},
            "object": {**thing, "sequencer": f"{next(self._sequence):018X}"},
            "request-id": call.request_id.replace("-", "").upper()[:16],
            "requester": ACCOUNT,
            "source-ip-address": call.source_ip,
            "reason": reason,
        }


def _deletion(response: Response) -> dict[str, str]:
    marker = response.header("x-amz-delete-marker") == "true"
    version = response.header("x-amz-version-id")
    kind = "Delete Marker Created" if marker else "Permanently Deleted"
    return {"type": kind} | ({"version": version} if version else {})


def _deletions(response: Response) -> Iterator[tuple[str, dict[str, str]]]:
    root = ET.fromstring(response.body)  # noqa: S314  moto's own answer, nobody else's
    for node in root:
        if not node.tag.endswith("Deleted"):
            continue
        members = {child.tag.rsplit("}", 1)[-1]: child.text or "" for child in node}
        marker = members.get("DeleteMarker") == "true"
        version = members.get("DeleteMarkerVersionId") if marker else members.get("VersionId")
        kind = "Delete Marker Created" if marker else "Permanently Deleted"
        yield members["Key"], {"type": kind} | ({"version": version} if version else {})
