"""What the local cloud raises, and what it answers to clients.

LocalCloudError
├── TemplateError        the template holds something that the local cloud does not know
├── NotSettledError      something is still in flight after the time that settle() was given
└── AnotherIsRunningError  moto's state belongs to the process: one local cloud at a time
ServiceError             an AWS service says no; becomes an HTTP response
ConnectionLost           the answer never arrives (a fault that was asked for)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


class LocalCloudError(Exception):
    """The root of what goes wrong in the local cloud itself."""


class TemplateError(LocalCloudError):
    """The template holds something that the local cloud does not know. Names the place."""


class NotSettledError(LocalCloudError):
    """Something is still in flight. The message lists it."""


class AnotherIsRunningError(LocalCloudError):
    """One local cloud at a time: moto keeps its state in the process."""


@dataclass
class ServiceError(Exception):
    """An AWS service refuses a request.

    Attributes:
        code: AWS's error code, such as ``ValidationException``.
        status: the HTTP status.
        fields: further members of the error, such as ``OriginalStatusCode``.
    """

    code: str
    message: str
    status: int = 400
    fields: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class ConnectionLost(ConnectionError):
    """The request took effect, and its answer is lost."""


def invalid(message: str) -> ServiceError:
    """AWS rejects the request as it stands."""
    return ServiceError("ValidationException", message)
