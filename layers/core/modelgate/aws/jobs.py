"""What SageMaker's training jobs and transform jobs have in common."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from modelgate.aws.errors import translated
from modelgate.errors import AlreadyExists, Throttled
from modelgate.ports import LogLine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_logs import CloudWatchLogsClient

GROUP_TAG = "modelgate:group"
_IN_USE = "ResourceInUse"


@contextmanager
def starting(operation: str) -> Iterator[None]:
    """Turns what botocore raises into Modelgate's own errors, where a job is started.

    Raises:
        AlreadyExists: there is a job of that name, and will be for ever.
    """
    try:
        with translated(operation):
            yield
    except Throttled as error:
        # Elsewhere it means that somebody is changing the same thing; here, that the name is taken.
        if error.code == _IN_USE:
            raise AlreadyExists(error.operation, error.code, error.message) from error
        raise


def end_of_stream(client: CloudWatchLogsClient, group: str, stream: str, count: int) -> list[LogLine]:
    """The last lines of a stream in CloudWatch Logs, oldest first."""
    with translated("GetLogEvents"):
        events = client.get_log_events(
            logGroupName=group, logStreamName=stream, startFromHead=False, limit=count
        )["events"]
    return [
        LogLine(datetime.fromtimestamp(event.get("timestamp", 0) / 1000, UTC), event.get("message", ""))
        for event in events
    ]
