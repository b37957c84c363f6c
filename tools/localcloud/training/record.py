"""A training job as the API and the events tell of it.

"DescribeTrainingJob" and "SecondaryStatusTransition" in the Amazon SageMaker API Reference; "SageMaker
Training Job State Change" in the Developer Guide. The messages are those that AWS gives, as far as they have
been seen.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import RLock
from typing import Any, Literal

from localcloud import calls
from localcloud.training.metrics import Metric

Status = Literal["InProgress", "Completed", "Failed", "Stopping", "Stopped"]
Secondary = Literal[
    "Starting",
    "Downloading",
    "Training",
    "Interrupted",
    "Uploading",
    "Stopping",
    "Stopped",
    "MaxRuntimeExceeded",
    "MaxWaitTimeExceeded",
    "Completed",
    "Failed",
]

_MESSAGES: Mapping[Secondary, str] = {
    "Starting": "Preparing the instances for training",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Interrupted": "Training job interrupted",
    "Uploading": "Uploading generated training model",
    "Stopping": "Stopping the training job",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
    "MaxWaitTimeExceeded": "Training job wait time exceeded MaxWaitTimeInSeconds provided",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
}
OVER = frozenset({"Completed", "Failed", "Stopped"})
# What CreateTrainingJob assumes where it is told nothing.
_DEFAULTS: Mapping[str, Any] = {
    "EnableNetworkIsolation": False,
    "EnableInterContainerTrafficEncryption": False,
    "EnableManagedSpotTraining": False,
}
DEFAULT_RUNTIME = 86_400
# What events have of a job; what it was told for its containers' environment is not in AWS's sample of one.
_NOT_IN_EVENTS = frozenset({"Environment"})


@dataclass
class _Transition:
    status: Secondary
    began: dt.datetime
    message: str
    ended: dt.datetime | None = None


@dataclass
class Record:
    """What is known of a job.

    Attributes:
        asked: what CreateTrainingJob was told, without the tags.
        started: when its instances were there.
        failure: the FailureReason; None unless it failed.
        artifacts: the URL of its model.
    """

    name: str
    arn: str
    asked: Mapping[str, Any]
    created: dt.datetime
    status: Status = "InProgress"
    started: dt.datetime | None = None
    ended: dt.datetime | None = None
    failure: str | None = None
    artifacts: str | None = None
    metrics: Sequence[Metric] = ()
    _transitions: list[_Transition] = field(default_factory=list)
    _lock: RLock = field(default_factory=RLock)

    @property
    def secondary(self) -> Secondary:
        """The status within the status."""
        return self._transitions[-1].status if self._transitions else "Starting"

    @property
    def modified(self) -> dt.datetime:
        """When its status changed last."""
        return self._transitions[-1].began if self._transitions else self.created

    def move(self, status: Status, secondary: Secondary) -> bool:
        """Go on to another status; False if it cannot, because the job is over, or is being stopped."""
        with self._lock:
            if self.status in OVER or (self.status == "Stopping" and status == "InProgress"):
                return False
            now = calls.now()
            if self._transitions:
                self._transitions[-1].ended = now
            self._transitions.append(_Transition(secondary, now, _MESSAGES[secondary]))
            self.status = status
            if status in OVER:
                self._transitions[-1].ended = self.ended = now
            return True

    def described(self) -> dict[str, Any]:
        """As DescribeTrainingJob tells it."""
        with self._lock:
            told: dict[str, Any] = {
                **_DEFAULTS,
                "StoppingCondition": {"MaxRuntimeInSeconds": DEFAULT_RUNTIME},
                **self.asked,
                "TrainingJobName": self.name,
                "TrainingJobArn": self.arn,
                "TrainingJobStatus": self.status,
                "SecondaryStatus": self.secondary,
                "CreationTime": self.created,
                "LastModifiedTime": self.modified,
                "SecondaryStatusTransitions": [_told(each) for each in self._transitions],
            }
            if self.artifacts is not None:
                told["ModelArtifacts"] = {"S3ModelArtifacts": self.artifacts}
            if self.failure is not None:
                told["FailureReason"] = self.failure
            if self.metrics:
                told["FinalMetricDataList"] = [
                    {"MetricName": each.name, "Value": each.value, "Timestamp": each.at}
                    for each in self.metrics
                ]
            return told | self._times()

    def _times(self) -> dict[str, Any]:
        if self.started is None:
            return {}
        if self.ended is None:
            return {"TrainingStartTime": self.started}
        seconds = math.ceil((self.ended - self.started).total_seconds())
        return {
            "TrainingStartTime": self.started,
            "TrainingEndTime": self.ended,
            "TrainingTimeInSeconds": seconds,
            # Spot costs less on AWS, by a market that there is none of here.
            "BillableTimeInSeconds": seconds,
        }

    def event(self, tags: Mapping[str, str]) -> dict[str, Any]:
        """The detail of an event: as described, with times in milliseconds."""
        told = {name: value for name, value in self.described().items() if name not in _NOT_IN_EVENTS}
        detail: dict[str, Any] = _in_milliseconds({**told, "Tags": dict(tags)})
        return detail

    def summary(self) -> dict[str, Any]:
        """As ListTrainingJobs tells it."""
        told = {
            "TrainingJobName": self.name,
            "TrainingJobArn": self.arn,
            "CreationTime": self.created,
            "LastModifiedTime": self.modified,
            "TrainingJobStatus": self.status,
            "SecondaryStatus": self.secondary,
        }
        return told if self.ended is None else {**told, "TrainingEndTime": self.ended}


def _told(transition: _Transition) -> dict[str, Any]:
    told = {
        "Status": transition.status,
        "StartTime": transition.began,
        "StatusMessage": transition.message,
    }
    return told if transition.ended is None else {**told, "EndTime": transition.ended}


def _in_milliseconds(value: Any) -> Any:
    match value:
        case dt.datetime():
            return int(value.timestamp() * 1000)
        case Mapping():
            return {name: _in_milliseconds(each) for name, each in value.items()}
        case list():
            return [_in_milliseconds(each) for each in value]
        case _:
            return value
