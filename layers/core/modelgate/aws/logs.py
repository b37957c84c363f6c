"""Amazon CloudWatch Logs: what the containers of endpoints write.

Amazon SageMaker AI Developer Guide, "Log groups and streams that Amazon SageMaker AI sends to Amazon
CloudWatch Logs".
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from botocore.config import Config

from modelgate.aws.errors import translated
from modelgate.errors import NotFound
from modelgate.ports import LogLine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mypy_boto3_logs import CloudWatchLogsClient

# For the client: a log only says more about what is known already, and is not worth an invocation's time.
NOT_WORTH_A_WAIT = Config(connect_timeout=2, read_timeout=5, retries={"total_max_attempts": 2})
_GROUPS = "/aws/sagemaker/Endpoints"
# Of an asynchronous endpoint: what SageMaker writes about the requests, beside what the container writes.
_NOT_THE_CONTAINERS = "/data-log"
# One page of streams is all that DescribeLogStreams gives at once.
_STREAMS_LOOKED_AT = 50
# An instance has one stream, in an inference pipeline one for each container.
_STREAMS_READ = 3
_LINES_READ = 200


class EndpointLogs:
    """A `modelgate.ports.ContainerLogs`."""

    def __init__(self, client: CloudWatchLogsClient) -> None:
        self._client = client

    def group_of(self, endpoint: str) -> str:
        return f"{_GROUPS}/{endpoint}"

    def read(self, endpoint: str, since: datetime, *, of_new: bool) -> Sequence[Sequence[LogLine]]:
        group = self.group_of(endpoint)
        try:
            streams = self._began_last(group, since if of_new else None)
            return [self._end_of(group, stream, since) for stream in streams]
        except NotFound:
            return []  # its containers have written nothing yet, or somebody has deleted it

    def _began_last(self, group: str, since: datetime | None) -> list[str]:
        """The streams that began last, the newest first."""
        with translated("DescribeLogStreams"):
            # They cannot be had by when they began. The time of its last event lags behind in CloudWatch
            # Logs by up to an hour, so it only chooses the page.
            page = self._client.describe_log_streams(
                logGroupName=group, orderBy="LastEventTime", descending=True, limit=_STREAMS_LOOKED_AT
            )["logStreams"]
        least = _milliseconds(since) if since else 0
        began = [
            (stream.get("creationTime", 0), stream["logStreamName"])
            for stream in page
            if "logStreamName" in stream and not stream["logStreamName"].endswith(_NOT_THE_CONTAINERS)
        ]
        return [name for at, name in sorted(began, reverse=True) if at >= least][:_STREAMS_READ]

    def _end_of(self, group: str, stream: str, since: datetime) -> list[LogLine]:
        with translated("GetLogEvents"):
            events = self._client.get_log_events(
                logGroupName=group,
                logStreamName=stream,
                startTime=_milliseconds(since),
                startFromHead=False,
                limit=_LINES_READ,
            )["events"]
        return [
            LogLine(datetime.fromtimestamp(event.get("timestamp", 0) / 1000, UTC), event.get("message", ""))
            for event in events
        ]


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
