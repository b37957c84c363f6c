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
    "NoSuchBucket": NotFound,
    "ResourceNotFound": NotFound,
    "ResourceNotFoundException": NotFound,
    "ObjectNotFoundException": NotFound,
    "RepositoryNotFoundException": NotFound,
    "ImageNotFoundException": NotFound,
    "RepositoryAlreadyExistsException": AlreadyExists,
    "ConditionalCheckFailedException": StaleRevision,
    "AccessDenied": Forbidden,
    "AccessDeniedException": Forbidden,
    "403": Forbidden,
    # Application Auto Scaling's: it may not look at the alarms of a scaling policy.
    "FailedResourceAccessException": Forbidden,
    "ResourceLimitExceeded": LimitReached,
    "LimitExceeded": LimitReached,
    "LimitExceededException": LimitReached,
    "AccountLimitExceededException": LimitReached,
    "ModelError": ModelFailed,
    "Throttling": Throttled,
    "ThrottlingException": Throttled,
    "TooManyRequestsException": Throttled,
    "RequestLimitExceeded": Throttled,
    "ProvisionedThroughputExceededException": Throttled,
    "TransactionConflictException": Throttled,
    # Somebody else is changing the same thing at this moment.
    "ConcurrentUpdateException": Throttled,
    "ConcurrentModificationException": Throttled,
    "ConflictException": Throttled,
    "ResourceInUse": Throttled,
    "SlowDown": Throttled,
    "ServiceUnavailable": Throttled,
    "ServiceUnavailableException": Throttled,
    "ModelNotReadyException": Throttled,
    "InternalFailure": Throttled,
    "InternalServerError": Throttled,
    "InternalServiceError": Throttled,
    "InternalServiceException": Throttled,
    "InternalDependencyException": Throttled,
    "ValidationException": Invalid,
    "ValidationError": Invalid,
    "InvalidInputException": Invalid,
}
# SageMaker answers a wrong request, a missing thing and one that is there already with the same code.
_BY_WORDS: tuple[tuple[str, type[AwsError]], ...] = (
    ("could not find", NotFound),
    ("does not exist", NotFound),
    # Of a job that it does not know.
    ("requested resource not found", NotFound),
    ("cannot create already existing", AlreadyExists),
    ("already exists", AlreadyExists),
    # Of an app that is told of for another day.
    ("has already been deleted", NotFound),
    ("was automatically deleted", NotFound),
    # Of a domain whose network is changed.
    ("with inservice app", Throttled),
)
# Studio says so of a name that is taken, and has the same code for what has to wait.
_TAKEN = ("already exists", "specified is already in use")
# What a FailureReason says when AWS has no such machines, or a quota is reached: no field of the API tells.
# As AWS wrote them: "Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity
# error. Please retry using a different ML instance type or after some time." (others begin "CapacityError:"),
# and "The account-level service limit 'ml.m5.large for endpoint usage' is 0 Instances, with current …".
_LACKS_CAPACITY = (
    "insufficientinstancecapacity",
    "unable to provision requested ml compute capacity",
    "resourcelimitexceeded",
    "account-level service limit",
)


def lacks_capacity(failure_reason: str) -> bool:
    """Whether SageMaker failed for want of machines or quota, which says nothing about what was deployed."""
    said = failure_reason.lower()
    return any(words in said for words in _LACKS_CAPACITY)


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
    elif code == "ResourceInUse" and any(words in message.lower() for words in _TAKEN):
        kind = AlreadyExists
    return kind(operation, code, message)
