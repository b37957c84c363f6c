"""What training needs from SageMaker. `modelgate.aws.training_jobs` has the real one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from modelgate.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelgate.ports import LogLine
    from modelgate.training.order import TrainingOrder


@dataclass(frozen=True)
class Job:
    """A training job as SageMaker has it.

    Attributes:
        status: SageMaker's word: InProgress, Completed, Failed, Stopping, Stopped.
        secondary_status: says more: MaxRuntimeExceeded, Interrupted.
        environment: what its containers were told.
        artifact: the URL of its model.tar.gz; empty before there is one.
        output: the URL that SageMaker was given for what comes of it.
        failure_reason: empty unless it failed.
        metrics: the last value of each figure that SageMaker read from the log.
        created_at: when it was asked for.
        seconds, billable_seconds: how long it trained; of several instances, of one of them.
    """

    name: str
    arn: str
    status: str
    secondary_status: str
    environment: Mapping[str, str]
    artifact: str
    output: str
    created_at: datetime
    failure_reason: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    seconds: int | None = None
    billable_seconds: int | None = None


class TrainingJobs(Protocol):
    """Amazon SageMaker's training jobs. Every job that is started gets the stack's tag."""

    def start(self, order: TrainingOrder) -> None:
        """
        Raises:
            AlreadyExists: there is a job of that name, and will be for ever.
            Invalid, NotFound: SageMaker does not take what the document says.
            LimitReached: a quota of the account.
        """

    def describe(self, name: str) -> Job | None:
        """The job; None where there is none."""

    def log_group(self) -> str:
        """Where the containers of all jobs write."""

    def last_lines(self, name: str, count: int) -> Mapping[str, Sequence[LogLine]]:
        """How the log of each host ends, by the host's name (``algo-1``); none where there is no log."""
