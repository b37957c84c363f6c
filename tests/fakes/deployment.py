"""A deployment on the in-memory AWS: the real use cases, and a way to deliver events to them."""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta
from functools import cache
from itertools import count
from typing import TYPE_CHECKING, Any

from modelgate.deployment.states import EndpointStates
from modelgate.errors import AwsError, NotYet
from modelgate.events.own import Instruction
from modelgate.events.sagemaker import EndpointStateChange, ModelPackageStateChange
from modelgate.invocation import Invocation
from modelgate.manifest import read_manifest
from modelgate.registry import package as on_package
from tests.fakes.aws import Crash
from tests.fakes.runtime import STACK, Memory, MemoryRuntime
from tests.fakes.sagemaker import EndpointEvent, Event, PackageEvent

if TYPE_CHECKING:
    from modelgate.deployment.reconcile import Report
    from modelgate.deployment.state import EndpointState
    from modelgate.deployment.sweep import SweepReport

TIME_LIMIT = 60
MANIFEST = b"""
container: {framework: sklearn, version: 1.2-1}
metrics: {accuracy: 0.95}
content_types: [text/csv]
response_types: [text/csv]
smoke_test: {content_type: text/csv, body: "5.1,3.5,1.4,0.2", expect: setosa}
"""
_ENVELOPE = {"account": "123456789012", "region": "eu-central-1", "source": "aws.sagemaker"}


@cache
def smoke_test_of(manifest: bytes) -> str:
    """As packages carry it."""
    return read_manifest(manifest).smoke_test.in_plain_letters()


class Deployment:
    """The group ``iris`` on its endpoint, with everything around it in memory."""

    group = "iris"
    endpoint = "iris"

    def __init__(self, policy: bytes = b"deployment: {}") -> None:
        self.memory = Memory()
        self.clock = self.memory.clock
        self.calls = self.memory.calls
        self.bucket = self.memory.bucket
        self.table = self.memory.table
        self.bus = self.memory.bus
        self.sagemaker = self.memory.sagemaker
        self.states = EndpointStates(self.table)
        self.runtime = MemoryRuntime(self.memory)
        self.bucket.put("policies/iris.yaml", policy)
        self._ids = count(1)

    # ── people ────────────────────────────────────────────────────────────────────────────────
    def register(self, group: str = "iris", text: bytes = MANIFEST, *, carries_test: bool = True) -> int:
        """A version as registration makes it of a manifest; a package does not carry a long smoke test."""
        manifest = self.bucket.put(f"registered/{group}/run/manifest.yaml", text)
        metadata = {
            on_package.STACK: STACK,
            on_package.SUBMISSION: "run",
            on_package.MANIFEST: manifest.key,
            on_package.SMOKE_TEST[0]: smoke_test_of(text) if carries_test else "",
        }
        return self.sagemaker.add_package(group, **metadata)

    def approve(self, version: int, group: str = "iris") -> None:
        self.sagemaker.decide(group, version, on_package.APPROVED)

    def reject(self, version: int, group: str = "iris") -> None:
        self.sagemaker.decide(group, version, on_package.REJECTED)

    def upload_policy(self, text: bytes, group: str = "iris") -> Report:
        """A new policy, and the delivery of its event."""
        key = f"policies/{group}.yaml"
        self.bucket.put(key, text)
        return self.runtime.policy_uploads.received(key, self.invocation())

    def instruct(
        self, instruction: str, version: int | None = None, *, endpoint: str | None = None
    ) -> Report:
        told = Instruction.model_validate(
            {"instruction": instruction, "group": self.group, "endpoint": endpoint, "version": version}
        )
        return self.runtime.instructions.carry_out(told, self.invocation())

    # ── delivery ──────────────────────────────────────────────────────────────────────────────
    def invocation(self, name: str | None = None) -> Invocation:
        """The next run of a function, or one of that name, that has a minute."""
        until = self.clock.now + timedelta(seconds=TIME_LIMIT)
        return Invocation(name or f"invocation-{next(self._ids)}", until)

    def handle(self, event: Event, name: str | None = None) -> Report:
        """One delivery of an event, to the handler's own use case."""
        if isinstance(event, PackageEvent):
            return self.runtime.decisions.changed(package_event(event), self.invocation(name))
        return self.runtime.reconciler.endpoint_changed(endpoint_event(event), self.invocation(name))

    def sweep(self) -> SweepReport:
        return self.runtime.sweep.run(self.invocation())

    def settle(self) -> None:
        """Delivers every event as Lambda does, and lets SageMaker finish, until all is quiet."""
        waiting = deque[tuple[Event, str, int]]()
        while True:
            while self.sagemaker.events:
                event = self.sagemaker.events.pop(0)
                waiting.append((event, f"invocation-{next(self._ids)}", 0))
            if waiting:
                event, invocation, retries = waiting.popleft()
                try:
                    self.handle(event, invocation)
                except (NotYet, AwsError, Crash):
                    if retries < 2:
                        self.clock.forward(60)
                        self.sagemaker.advance(self.endpoint)
                        waiting.append((event, invocation, retries + 1))
            elif not self.sagemaker.advance(self.endpoint):
                return

    # ── what one looks at ─────────────────────────────────────────────────────────────────────
    @property
    def state(self) -> EndpointState:
        state = self.states.load(self.endpoint)
        assert state is not None
        return state

    @property
    def live(self) -> int | None:
        release = self.state.release
        return release.target.version if release and release.target else None

    @property
    def served(self) -> int | None:
        return self.sagemaker.serves(self.endpoint)

    @property
    def config(self) -> str:
        """The endpoint config that serves."""
        there = self.sagemaker.endpoint(self.endpoint)
        assert there is not None
        return there.config

    @property
    def instances(self) -> tuple[str, int] | None:
        """The type and the number of instances that serve."""
        instances = self.sagemaker.configs[self.config].instances
        return (instances.type, instances.count) if instances else None

    def outcomes(self) -> list[tuple[int, str]]:
        """Every closed attempt to move the endpoint: the version, and how it ended."""
        return [
            (each.target.version, each.outcome.value)
            for each in self.states.history(self.endpoint)
            if each.target
        ]

    def approval(self, version: int, group: str = "iris") -> str:
        return self.sagemaker.package(group, version).approval


def package_event(event: PackageEvent) -> ModelPackageStateChange:
    return ModelPackageStateChange.model_validate(
        _envelope("SageMaker Model Package State Change", event.at)
        | {
            "detail": {
                "ModelPackageGroupName": event.group,
                "ModelPackageVersion": event.version,
                "ModelPackageArn": f"arn:aws:sagemaker:::model-package/{event.group}/{event.version}",
                "ModelApprovalStatus": event.approval,
                "UpdatedModelPackageFields": list(event.updated_fields),
                "LastModifiedTime": event.at.isoformat(),
            }
        }
    )


def endpoint_event(event: EndpointEvent) -> EndpointStateChange:
    return EndpointStateChange.model_validate(
        _envelope("SageMaker Endpoint State Change", datetime(2026, 3, 1).astimezone())
        | {"detail": {"EndpointName": event.name, "EndpointArn": "arn", "EndpointStatus": event.status}}
    )


def _envelope(detail_type: str, time: datetime) -> dict[str, Any]:
    return {**_ENVELOPE, "id": "id", "detail-type": detail_type, "time": time.isoformat(), "resources": []}
