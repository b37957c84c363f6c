"""Bucket policies: kept here, because moto would apply them without looking at their conditions."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock

from localcloud.calls import Call, Operation, Reply
from localcloud.errors import ServiceError
from localcloud.moto_state import MotoState
from localcloud.permissions import demands
from localcloud.policies import Principal, decide

# Requests count as sent over TLS, which they are on AWS: a local endpoint has none to offer.
_ASSUMED = {"aws:SecureTransport": "true"}


class BucketPolicies:
    """Put, get and delete them. What they deny to everybody is denied; what they allow changes nothing."""

    def __init__(self, moto: MotoState) -> None:
        self._moto = moto
        self._lock = Lock()
        self._documents: dict[str, str] = {}

    @property
    def operations(self) -> Mapping[str, Operation]:
        """What is answered."""
        return {
            "PutBucketPolicy": self._put,
            "GetBucketPolicy": self._get,
            "DeleteBucketPolicy": self._delete,
        }

    def check(self, call: Call) -> None:
        """Refuse what the bucket's policy denies.

        Raises:
            ServiceError: access is denied.
        """
        document = self._documents.get(str(call.params.get("Bucket")))
        if document is None or call.caller.is_aws:
            return
        for demand in demands(call, lambda _: {}):
            asked = type(demand)(demand.action, demand.resource, {**demand.context, **_ASSUMED})
            if decide([document], asked, Principal("")) == "explicit deny":
                message = (
                    f"User: {call.caller.arn} is not authorized to perform: {demand.action} "
                    f'on resource: "{demand.resource}" with an explicit deny in a resource-based policy'
                )
                raise ServiceError("AccessDenied", message, 403)

    def _put(self, call: Call) -> Reply:
        bucket = self._existing(call)
        policy = call.params["Policy"]
        with self._lock:
            self._documents[bucket] = policy.decode() if isinstance(policy, bytes) else str(policy)
        return Reply(status=204)

    def _get(self, call: Call) -> Reply:
        bucket = self._existing(call)
        with self._lock:
            document = self._documents.get(bucket)
        if document is None:
            raise ServiceError("NoSuchBucketPolicy", "The bucket policy does not exist", 404)
        return Reply({"Policy": document})

    def _delete(self, call: Call) -> Reply:
        bucket = self._existing(call)
        with self._lock:
            self._documents.pop(bucket, None)
        return Reply(status=204)

    def _existing(self, call: Call) -> str:
        bucket = str(call.params["Bucket"])
        if self._moto.bucket(bucket) is None:
            raise ServiceError("NoSuchBucket", "The specified bucket does not exist", 404)
        return bucket
