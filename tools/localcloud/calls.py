"""One call of an AWS API, as the local cloud sees it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

ACCOUNT = "123456789012"

# The names of the services in IAM's actions, where they are not boto3's.
_ACTION_PREFIXES = {
    "sagemaker-runtime": "sagemaker",
    "application-autoscaling": "application-autoscaling",
    "cloudwatch": "cloudwatch",
}


@dataclass(frozen=True)
class Caller:
    """Who calls.

    Attributes:
        arn: as ``sts:GetCallerIdentity`` tells it.
        role: the name of the role whose policies limit the caller; None may do everything.
        function: the logical id of the function that calls, if one does.
        is_aws: the local cloud itself; no fault meets its calls.
    """

    arn: str
    role: str | None = None
    function: str | None = None
    is_aws: bool = False


ROOT = Caller(arn=f"arn:aws:iam::{ACCOUNT}:root")
AWS_ITSELF = Caller(arn=f"arn:aws:iam::{ACCOUNT}:root", is_aws=True)


@dataclass(frozen=True)
class Call:
    """A request that has been understood.

    Attributes:
        service: boto3's name of the service, such as ``sagemaker-runtime``.
        operation: the API's name, such as ``InvokeEndpoint``.
        params: the request, parsed by botocore's model of it.
    """

    service: str
    operation: str
    params: Mapping[str, Any]
    caller: Caller
    region: str
    request_id: str
    source_ip: str = "127.0.0.1"

    @property
    def name(self) -> str:
        """As IAM writes it: ``sagemaker:InvokeEndpoint``."""
        return f"{_ACTION_PREFIXES.get(self.service, self.service)}:{self.operation}"


@dataclass(frozen=True)
class Reply:
    """What one of the local cloud's own operations answers.

    Attributes:
        members: the output, by botocore's model of it.
        status: the HTTP status, where it is not the model's.
    """

    members: Mapping[str, Any] = field(default_factory=dict)
    status: int | None = None


Operation = Callable[[Call], Reply]


def now() -> dt.datetime:
    """The time, in UTC, with the milliseconds that AWS tells."""
    moment = dt.datetime.now(dt.UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
