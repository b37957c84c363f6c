"""Bucket policies: kept here, because moto would apply them without looking at their conditions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from threading import Lock

from localcloud.calls import ACCOUNT, ROOT, Call, Caller, Operation, Reply
from localcloud.errors import ServiceError, TemplateError
from localcloud.moto_state import MotoState
from localcloud.permissions import demands
from localcloud.policies import Principal, decide, refuse_unknown

# Requests count as sent over TLS, which they are on AWS: a local endpoint has none to offer.
_ASSUMED = {"aws:SecureTransport": "true", "aws:PrincipalAccount": ACCOUNT}
# "PutBucketPolicy" in the Amazon S3 API Reference: nobody can lock the account's root out of these.
_ALWAYS_ROOTS = frozenset({"PutBucketPolicy", "GetBucketPolicy", "DeleteBucketPolicy"})


class BucketPolicies:
    """Put, get and delete them. What they deny is denied; what they allow changes nothing."""

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
        if not self._documents or call.caller.is_aws:
            return
        if call.caller == ROOT and call.operation in _ALWAYS_ROOTS:
            return
        arn = self._principal_arn(call.caller)
        principal = Principal(arns=frozenset({arn, call.caller.arn, ACCOUNT, ROOT.arn}))
        for demand in demands(call, lambda _: {}):
            # A copy reads from one bucket and writes into another: each has a policy of its own.
            document = self._documents.get(_bucket_of(demand.resource))
            asked = replace(demand, context={**demand.context, **_ASSUMED, "aws:PrincipalArn": arn})
            if document is not None and decide([document], asked, principal) == "explicit deny":
                message = (
                    f"User: {call.caller.arn} is not authorized to perform: {demand.action} "
                    f'on resource: "{demand.resource}" with an explicit deny in a resource-based policy'
                )
                raise ServiceError("AccessDenied", message, 403)

    def _principal_arn(self, caller: Caller) -> str:
        """What aws:PrincipalArn is: of a role's session, the ARN of the role."""
        if ":assumed-role/" not in caller.arn:
            return caller.arn
        name = caller.arn.split("/")[1]
        return self._moto.role_arn(name) or f"arn:aws:iam::{ACCOUNT}:role/{name}"

    def _put(self, call: Call) -> Reply:
        bucket = self._existing(call)
        policy = call.params["Policy"]
        document = policy.decode() if isinstance(policy, bytes) else str(policy)
        try:
            refuse_unknown(document)
        except TemplateError as error:
            raise ServiceError("MalformedPolicy", str(error)) from error
        with self._lock:
            self._documents[bucket] = document
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


def _bucket_of(arn: str) -> str:
    """The bucket that an object is in, or that is the resource itself."""
    return arn.removeprefix("arn:aws:s3:::").partition("/")[0]
