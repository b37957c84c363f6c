"""SageMaker's transform jobs in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from modelgate.errors import AlreadyExists, Invalid, NotFound
from modelgate.ports import LogLine
from modelgate.transform.ports import Job

if TYPE_CHECKING:
    from modelgate.transform.order import TransformOrder
    from tests.fakes.aws import Calls, Clock, FakeBucket
    from tests.fakes.sagemaker import FakeSageMaker

ARN = "arn:aws:sagemaker:eu-central-1:123456789012:transform-job/"


@dataclass
class FakeTransformJobs:
    """A `modelgate.transform.ports.TransformJobs`: jobs stand still until a test says how they end.

    Attributes:
        models: of which version each model is that is there.
    """

    calls: Calls
    clock: Clock
    bucket: FakeBucket
    registry: FakeSageMaker
    models: dict[str, int] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    orders: dict[str, TransformOrder] = field(default_factory=dict)
    logs: dict[str, list[list[LogLine]]] = field(default_factory=dict)

    def make_model(self, order: TransformOrder) -> None:
        self.calls.make("CreateModel", lambda: self._make_model(order))

    def start(self, order: TransformOrder) -> None:
        self.calls.make("CreateTransformJob", lambda: self._start(order))

    def describe(self, name: str) -> Job | None:
        return self.calls.make("DescribeTransformJob", lambda: self.jobs.get(name))

    def remove_model(self, name: str) -> None:
        self.calls.make("DeleteModel", lambda: self.models.pop(name, None))

    def log_group(self) -> str:
        return "/aws/sagemaker/TransformJobs"

    def last_lines(self, name: str, count: int) -> Sequence[Sequence[LogLine]]:
        return self.calls.make(
            "GetLogEvents", lambda: [stream[-count:] for stream in self.logs.get(name, [])]
        )

    # ── how jobs end ──────────────────────────────────────────────────────────────────────────
    def complete(self, name: str, answers: Mapping[str, bytes] | None = None) -> None:
        """It writes its answers, by their names below the output's prefix."""
        for file, body in (answers or {}).items():
            self.bucket.put(f"{self.orders[name].output.key}{file}", body)
        self._end(name, "Completed")

    def fail(self, name: str, reason: str, *streams: Sequence[str]) -> None:
        """One of its objects, or its container, is wrong; the streams are what its log says of it."""
        self.logs[name] = [[LogLine(self.clock(), text) for text in texts] for texts in streams]
        self._end(name, "Failed", failure_reason=reason)

    def stop(self, name: str) -> None:
        self._end(name, "Stopped")

    def _end(self, name: str, status: str, **facts: Any) -> None:
        self.jobs[name] = replace(self.jobs[name], status=status, seconds=61, **facts)

    def _make_model(self, order: TransformOrder) -> None:
        if order.name in self.models:
            raise AlreadyExists("CreateModel", "ValidationException", "Cannot create already existing model")
        if order.version not in self.registry.versions(order.group):
            raise NotFound("CreateModel", "ValidationException", "ModelPackage does not exist")
        if not self.registry.package(order.group, order.version).approved:
            raise Invalid("CreateModel", "ValidationException", f"version {order.version} is not approved")
        self.models[order.name] = order.version

    def _start(self, order: TransformOrder) -> None:
        if order.name in self.jobs:
            raise AlreadyExists("CreateTransformJob", "ResourceInUse", "Job name must be unique")
        if order.name not in self.models:
            raise NotFound("CreateTransformJob", "ValidationException", f"Could not find model {order.name}")
        self.orders[order.name] = order
        self.jobs[order.name] = Job(
            name=order.name,
            arn=ARN + order.name,
            status="InProgress",
            environment=dict(order.environment),
            input=order.input.url,
            output=order.output.url,
            created_at=self.clock(),
        )
