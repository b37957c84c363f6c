"""The composition root over the in-memory AWS: everything else in it is the real thing."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from modelgate.deployment.executor import Surroundings
from modelgate.deployment.smoke import SmokeTester
from modelgate.observability import Journal
from modelgate.runtime import Runtime
from tests.fakes.aws import Calls, Clock, FakeBucket, FakeBus, FakeTable
from tests.fakes.builds import FakeBuilds, FakeImages
from tests.fakes.sagemaker import FakeContainerLogs, FakeHosting, FakeSageMaker, FakeScaling, FakeWatch
from tests.fakes.studio import FakeStudio
from tests.fakes.training import FakeTrainingJobs
from tests.fakes.transform import FakeTransformJobs

if TYPE_CHECKING:
    from modelgate.aws.session import Session
    from modelgate.ports import Bucket, Builds, Bus, Images, Registry, Table
    from modelgate.studio.ports import Studio
    from modelgate.training.ports import TrainingJobs
    from modelgate.transform.ports import TransformJobs

STACK = "modelgate"
_ENVIRON = {
    "MODELGATE_STACK": STACK,
    "MODELGATE_BUCKET": "intake",
    "MODELGATE_TABLE": "state",
    "MODELGATE_BUS": "announcements",
    "MODELGATE_SAGEMAKER_ARN": "arn:aws:sagemaker:eu-central-1:123456789012",
    "MODELGATE_STUDIO_ROLE_ARN": "arn:aws:iam::123456789012:role/studio",
}


class Memory:
    """One AWS in memory."""

    def __init__(self, calls: Calls | None = None) -> None:
        self.clock = Clock()
        self.calls = calls or Calls()
        self.bucket = FakeBucket(self.calls)
        self.images = FakeImages(self.calls, self.clock)
        self.builds = FakeBuilds(self.calls, self.clock, self.images)
        self.table = FakeTable(self.calls)
        self.bus = FakeBus(self.calls)
        self.sagemaker = FakeSageMaker(self.calls, self.clock)
        self.hosting = FakeHosting(self.sagemaker)
        self.scaling = FakeScaling(self.calls, self.sagemaker)
        self.watch = FakeWatch(self.calls, self.sagemaker)
        self.container_logs = FakeContainerLogs(self.calls, self.sagemaker)
        self.training_jobs = FakeTrainingJobs(self.calls, self.clock, self.bucket)
        self.transform_jobs = FakeTransformJobs(self.calls, self.clock, self.bucket, self.sagemaker)
        self.studio = FakeStudio(self.calls)


class _Silent(Journal):
    """Writes nothing."""

    def __init__(self) -> None:
        """Needs no logger."""

    def _say(self, *_: object, **__: object) -> None:
        """Nothing."""

    def begin(self, *_: object) -> None:
        """Nothing."""

    finished = _say
    failed = _say


class MemoryRuntime(Runtime):
    """One execution environment on an AWS in memory."""

    def __init__(self, memory: Memory) -> None:
        super().__init__(_ENVIRON, cast("Session", None), memory.clock)
        self._memory = memory

    @cached_property
    def journal(self) -> Journal:
        return _Silent()

    @cached_property
    def _bucket(self) -> Bucket:
        return self._memory.bucket

    @cached_property
    def _images(self) -> Images:
        return self._memory.images

    @cached_property
    def _builds(self) -> Builds:
        return self._memory.builds

    @cached_property
    def _training_jobs(self) -> TrainingJobs:
        return self._memory.training_jobs

    @cached_property
    def _transform_jobs(self) -> TransformJobs:
        return self._memory.transform_jobs

    @cached_property
    def _studio(self) -> Studio:
        return self._memory.studio

    @cached_property
    def _table(self) -> Table:
        return self._memory.table

    @cached_property
    def _bus(self) -> Bus:
        return self._memory.bus

    @cached_property
    def _registry(self) -> Registry:
        return self._memory.sagemaker

    @cached_property
    def _surroundings(self) -> Surroundings:
        memory = self._memory
        return Surroundings(
            states=self._states,
            registry=memory.sagemaker,
            hosting=memory.hosting,
            scaling=lambda: memory.scaling,
            watch=lambda: memory.watch,
            smoke_tester=SmokeTester(memory.bucket, lambda: memory.sagemaker, memory.clock),
            container_logs=lambda: memory.container_logs,
            bus=memory.bus,
            clock=memory.clock,
        )


def context_of(request_id: str, milliseconds: float) -> Any:
    """What Lambda hands to a handler besides the event, as far as handlers look."""

    class Context:
        aws_request_id = request_id

        @staticmethod
        def get_remaining_time_in_millis() -> float:
            return milliseconds

    return Context()
