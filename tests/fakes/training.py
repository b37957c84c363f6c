"""SageMaker's training jobs in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from modelgate.errors import AlreadyExists
from modelgate.ports import LogLine
from modelgate.training.ports import Job
from tests.fakes.tarballs import tarball

if TYPE_CHECKING:
    from modelgate.training.order import TrainingOrder
    from tests.fakes.aws import Calls, Clock, FakeBucket

ARN = "arn:aws:sagemaker:eu-central-1:123456789012:training-job/"


@dataclass
class FakeTrainingJobs:
    """A `modelgate.training.ports.TrainingJobs`: jobs stand still until a test says how they end."""

    calls: Calls
    clock: Clock
    bucket: FakeBucket
    jobs: dict[str, Job] = field(default_factory=dict)
    orders: dict[str, TrainingOrder] = field(default_factory=dict)
    logs: dict[str, dict[str, list[LogLine]]] = field(default_factory=dict)

    def start(self, order: TrainingOrder) -> None:
        self.calls.make("CreateTrainingJob", lambda: self._start(order))

    def describe(self, name: str) -> Job | None:
        return self.calls.make("DescribeTrainingJob", lambda: self.jobs.get(name))

    def log_group(self) -> str:
        return "/aws/sagemaker/TrainingJobs"

    def last_lines(self, name: str, count: int) -> Mapping[str, Sequence[LogLine]]:
        def lines() -> dict[str, list[LogLine]]:
            return {host: each[-count:] for host, each in self.logs.get(name, {}).items()}

        return self.calls.make("GetLogEvents", lines)

    # ── how jobs end ──────────────────────────────────────────────────────────────────────────
    def complete(
        self,
        name: str,
        *,
        model: bytes | None = b"a model",
        output: Mapping[str, bytes] | None = None,
        metrics: Mapping[str, float] | None = None,
    ) -> None:
        """It writes an artifact, and what else the program left in its output, as one tarball."""
        folder = f"{self.orders[name].output.key}{name}/output/"
        if model is not None:
            self.bucket.put(f"{folder}model.tar.gz", model)
        if output is not None:
            self.bucket.put(f"{folder}output.tar.gz", tarball(output))
        artifact = f"s3://{self.bucket.name}/{folder}model.tar.gz"
        self._end(name, "Completed", artifact=artifact, metrics=metrics or {})

    def fail(self, name: str, reason: str, lines: Mapping[str, Sequence[str]] | None = None) -> None:
        """One of its hosts ends with an error; ``lines`` are what each of them wrote."""
        self.logs[name] = {
            host: [LogLine(self.clock(), text) for text in texts] for host, texts in (lines or {}).items()
        }
        self._end(name, "Failed", failure_reason=reason)

    def stop(self, name: str, why: str = "Stopped") -> None:
        self._end(name, "Stopped", secondary_status=why)

    def _end(self, name: str, status: str, **facts: Any) -> None:
        ended = {"secondary_status": status, "seconds": 61, "billable_seconds": 61, **facts}
        self.jobs[name] = replace(self.jobs[name], status=status, **ended)

    def _start(self, order: TrainingOrder) -> None:
        if order.name in self.jobs:
            taken = "Training job names must be unique within an AWS account and region"
            raise AlreadyExists("CreateTrainingJob", "ResourceInUse", taken)
        self.orders[order.name] = order
        self.jobs[order.name] = Job(
            name=order.name,
            arn=ARN + order.name,
            status="InProgress",
            secondary_status="Starting",
            environment=dict(order.environment),
            artifact="",
            output=order.output.url,
            created_at=self.clock(),
        )
