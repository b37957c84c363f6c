"""A transform job as the API and the events tell of it.

"DescribeTransformJob" in the Amazon SageMaker API Reference; "SageMaker Transform Job State Change" in the
Developer Guide.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import RLock
from typing import Any, Literal

Status = Literal["InProgress", "Completed", "Failed", "Stopping", "Stopped"]
OVER = frozenset({"Completed", "Failed", "Stopped"})


@dataclass
class Record:
    """What is known of a job.

    Attributes:
        asked: what CreateTransformJob was told, without the tags.
        modified: when its status changed last.
        started: when its instances were there.
        failure: the FailureReason; None unless it failed.
    """

    name: str
    arn: str
    asked: Mapping[str, Any]
    created: dt.datetime
    modified: dt.datetime
    status: Status = "InProgress"
    started: dt.datetime | None = None
    ended: dt.datetime | None = None
    failure: str | None = None
    _lock: RLock = field(default_factory=RLock)

    def move(self, status: Status, now: dt.datetime, failure: str | None = None) -> bool:
        """Go on to another status; False if it cannot, because the job is over, or is being stopped."""
        with self._lock:
            if self.status in OVER or (self.status == "Stopping" and status not in {"Stopped", "Failed"}):
                return False
            self.status, self.modified, self.failure = status, now, failure
            if status in OVER:
                self.ended = now
            return True

    def described(self) -> dict[str, Any]:
        """As DescribeTransformJob tells it."""
        with self._lock:
            told: dict[str, Any] = {
                **self.asked,
                "TransformJobArn": self.arn,
                "TransformJobStatus": self.status,
                "CreationTime": self.created,
            }
            if self.started is not None:
                told["TransformStartTime"] = self.started
            if self.ended is not None:
                told["TransformEndTime"] = self.ended
            if self.failure is not None:
                told["FailureReason"] = self.failure
            return told

    def event(self, tags: Mapping[str, str]) -> dict[str, Any]:
        """The detail of an event: as described, with times as texts."""
        told = {name: _as_text(value) for name, value in self.described().items()}
        return {**told, "Tags": dict(tags)}

    def summary(self) -> dict[str, Any]:
        """As ListTransformJobs tells it."""
        told: dict[str, Any] = {
            "TransformJobName": self.name,
            "TransformJobArn": self.arn,
            "CreationTime": self.created,
            "LastModifiedTime": self.modified,
            "TransformJobStatus": self.status,
        }
        if self.ended is not None:
            told["TransformEndTime"] = self.ended
        if self.failure is not None:
            told["FailureReason"] = self.failure
        return told


def _as_text(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return value
