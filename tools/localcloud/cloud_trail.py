"""CloudTrail: while a trail logs, each call that changes something is an event on the default bus.

"AWS service events delivered via AWS CloudTrail" in the EventBridge User Guide, and "CloudTrail record
contents" in the CloudTrail User Guide. moto keeps the trails. No log file is written.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape
from moto.core.utils import get_service_model

from localcloud import calls
from localcloud.calls import ACCOUNT, Call, Caller, Operation, Reply
from localcloud.errors import ServiceError
from localcloud.eventbridge import EventBridge
from localcloud.moto_requests import MotoRequests
from localcloud.moto_state import MotoState

_TARGET = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101"
# Calls whose names begin so change nothing; rules get such events only if they ask for them.
_READS = ("Describe", "List", "Get", "BatchDescribe", "BatchGet", "Search", "Query")
# What would let whoever reads the record do something. Ours: no list of such members was found.
_HIDDEN = frozenset({"AuthorizedUrl"})
_HIDDEN_TEXT = "HIDDEN_DUE_TO_SECURITY_REASONS"


class CloudTrail:
    """Tells of the calls of services, if a trail logs."""

    def __init__(self, *, region: str, moto: MotoState, events: EventBridge) -> None:
        self._region = region
        self._events = events
        self._trails = MotoRequests(moto, region, "cloudtrail", "cloudtrail")

    def recording(self, operations: Mapping[str, Operation]) -> dict[str, Operation]:
        """The operations, each of which is told of when it was called; those that only read are not."""
        return {
            name: operation if name.startswith(_READS) else self._recorded(operation)
            for name, operation in operations.items()
        }

    def _recorded(self, operation: Operation) -> Operation:
        def recorded(call: Call) -> Reply:
            try:
                reply = operation(call)
            except ServiceError as error:
                self._tell(call, None, error)
                raise
            self._tell(call, reply, None)
            return reply

        return recorded

    def _tell(self, call: Call, reply: Reply | None, error: ServiceError | None) -> None:
        if self._logs():
            detail = record(call, reply, error, calls.now())
            self._events.announce(f"aws.{call.service}", "AWS API Call via CloudTrail", detail, [])

    def _logs(self) -> bool:
        """Whether any trail does."""
        trails = self._ask("DescribeTrails", {})["trailList"]
        return any(self._ask("GetTrailStatus", {"Name": trail["TrailARN"]})["IsLogging"] for trail in trails)

    def _ask(self, operation: str, params: Mapping[str, Any]) -> dict[str, Any]:
        return self._trails.send("POST", "/", params, target=f"{_TARGET}.{operation}")


def record(call: Call, reply: Reply | None, error: ServiceError | None, now: dt.datetime) -> dict[str, Any]:
    """The record of a call.

    Args:
        reply: None if the call was refused.
        error: why it was.
    """
    model = get_service_model(call.service).operation_model(call.operation)
    refused = {"errorCode": error.code, "errorMessage": error.message} if error is not None else {}
    return {
        "eventVersion": "1.09",
        "userIdentity": _identity(call.caller, now),
        "eventTime": _written(now),
        "eventSource": f"{call.service}.amazonaws.com",
        "eventName": call.operation,
        "awsRegion": call.region,
        "sourceIPAddress": call.source_ip,
        # The local cloud does not keep the one of the request.
        "userAgent": "unknown",
        **refused,
        "requestParameters": _members(model.input_shape, call.params) or None,
        "responseElements": _members(model.output_shape, reply.members) or None if reply else None,
        "requestID": call.request_id,
        "eventID": str(uuid.uuid4()),
        "readOnly": False,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": ACCOUNT,
        "eventCategory": "Management",
    }


def _identity(caller: Caller, now: dt.datetime) -> dict[str, Any]:
    account = caller.arn.split(":")[4]
    if ":assumed-role/" not in caller.arn:
        return {"type": "Root", "principalId": account, "arn": caller.arn, "accountId": account}
    role, _, session = caller.arn.partition(":assumed-role/")[2].partition("/")
    issuer = {
        "type": "Role",
        "principalId": f"AROA{role.upper()}",
        "arn": f"arn:aws:iam::{account}:role/{role}",
        "accountId": account,
        "userName": role,
    }
    return {
        "type": "AssumedRole",
        "principalId": f"{issuer['principalId']}:{session}",
        "arn": caller.arn,
        "accountId": account,
        "sessionContext": {
            "sessionIssuer": issuer,
            "attributes": {"creationDate": _written(now), "mfaAuthenticated": "false"},
        },
    }


def _members(shape: Shape | None, value: Any) -> Any:
    """A value as records write it: names of members begin in lower case, keys of maps are as they are."""
    if isinstance(value, Mapping):
        if isinstance(shape, MapShape):
            return {key: _members(shape.value, item) for key, item in value.items()}
        members = shape.members if isinstance(shape, StructureShape) else {}
        return {
            name[:1].lower() + name[1:]: _HIDDEN_TEXT
            if name in _HIDDEN
            else _members(members.get(name), item)
            for name, item in value.items()
        }
    if isinstance(value, list | tuple):
        member = shape.member if isinstance(shape, ListShape) else None
        return [_members(member, item) for item in value]
    if isinstance(value, dt.datetime):
        return f"{value:%b} {value.day}, {value:%Y} {value.hour % 12 or 12}:{value:%M:%S %p}"
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _written(moment: dt.datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
