"""Turns what botocore raises into Modelgate's own errors. The only place that reads AWS's codes and words."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
)

from modelgate.errors import (
    AlreadyExists,
    AwsError,
    Forbidden,
    Invalid,
    LimitReached,
    ModelFailed,
    NotFound,
    StaleRevision,
    Throttled,
    TimedOut,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_BY_CODE: dict[str, type[AwsError]] = {
    "404": NotFound,
    "NoSuchKey": NotFound,
    "NoSuchVersion": NotFound,
    "ResourceNotFound": NotFound,
    "ResourceNotFoundException": NotFound,
    "ConditionalCheckFailedException": StaleRevision,
    "AccessDenied": Forbidden,
    "AccessDeniedException": Forbidden,
    "403": Forbidden,
    "ResourceLimitExceeded": LimitReached,
    "ModelError": ModelFailed,
    "Throttling": Throttled,
    "ThrottlingException": Throttled,
    "TooManyRequestsException": Throttled,
    "RequestLimitExceeded": Throttled,
    "ProvisionedThroughputExceededException": Throttled,
    "TransactionConflictException": Throttled,
    "SlowDown": Throttled,
    "ServiceUnavailable": Throttled,
    "ServiceUnavailableException": Throttled,
    "ModelNotReadyException": Throttled,
    "InternalFailure": Throttled,
    "InternalServerError": Throttled,
    "InternalDependencyException": Throttled,
    "ValidationException": Invalid,
    "ValidationError": Invalid,
}
# SageMaker answers a wrong request, a missing thing and one that is there already with the same code.
_BY_WORDS: tuple[tuple[str, type[AwsError]], ...] = (
    ("could not find", NotFound),
    ("does not exist", NotFound),
    ("cannot create already existing", AlreadyExists),
    ("already exists", AlreadyExists),
)


@contextmanager
def translated(operation: str) -> Iterator[None]:
    """Around each call to AWS: what it raises leaves as an `AwsError`."""
    try:
        yield
    except ClientError as error:
        raise _of_client(operation, error) from error
    except (ReadTimeoutError, ConnectTimeoutError, ConnectionClosedError) as error:
        raise TimedOut(operation, type(error).__name__, str(error)) from error
    except EndpointConnectionError as error:
        raise Throttled(operation, type(error).__name__, str(error)) from error
    except BotoCoreError as error:
        raise AwsError(operation, type(error).__name__, str(error)) from error


def _of_client(operation: str, error: ClientError) -> AwsError:
    code = error.response["Error"].get("Code", "")
    message = error.response["Error"].get("Message", "")
    kind = _BY_CODE.get(code, AwsError)
    if code == "TransactionCanceledException":
        reasons = {reason.get("Code") for reason in error.response.get("CancellationReasons", [])}
        kind = StaleRevision if "ConditionalCheckFailed" in reasons else Throttled
    elif code == "ModelError":
        # The container's own words stand in a field of their own.
        original = error.response.get("OriginalMessage")
        message = str(original) if original else message
    elif kind is Invalid:
        kind = next((each for words, each in _BY_WORDS if words in message.lower()), Invalid)
    return kind(operation, code, message)
