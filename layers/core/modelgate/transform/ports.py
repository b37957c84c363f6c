"""What batch transform needs from SageMaker. `modelgate.aws.transform_jobs` has the real one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from modelgate.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelgate.ports import LogLine
    from modelgate.transform.order import TransformOrder


@dataclass(frozen=True)
class Job:
    """A transform job as SageMaker has it.

    Attributes:
        status: SageMaker's word: InProgress, Completed, Failed, Stopping, Stopped.
        environment: what its containers were told.
        input, output: the URLs that the objects' begin with.
        failure_reason: empty unless it failed.
        seconds: how long it predicted; None before it is over.
    """

    name: str
    arn: str
    status: str
    environment: Mapping[str, str]
    input: str
    output: str
    created_at: datetime
    failure_reason: str = ""
    seconds: int | None = None


class TransformJobs(Protocol):
    """Amazon SageMaker's transform jobs. Every job and model that is made gets the stack's tag."""

    def make_model(self, order: TransformOrder) -> None:
        """The model of a job, from the version in the registry.

        Raises:
            AlreadyExists: there is a model of that name.
            Invalid, NotFound: SageMaker does not take that version.
        """

    def start(self, order: TransformOrder) -> None:
        """
        Raises:
            AlreadyExists: there is a job of that name, and will be for ever.
            Invalid, NotFound: SageMaker does not take what the document says.
            LimitReached: a quota of the account.
        """

    def describe(self, name: str) -> Job | None:
        """The job; None where there is none."""

    def remove_model(self, name: str) -> None:
        """Deletes the model of a job; does nothing when it is gone."""

    def log_group(self) -> str:
        """Where the containers of all jobs write."""

    def last_lines(self, name: str, count: int) -> Sequence[Sequence[LogLine]]:
        """How the logs of a job end: what SageMaker writes about its data, then what its containers write."""
