"""A deployment on the in-memory AWS: the real reconciler, and a way to deliver events to it."""

from __future__ import annotations

from collections import deque
from datetime import datetime
from itertools import count
from typing import TYPE_CHECKING, Any

from modelgate.deployment.reconcile import Reconciler
from modelgate.deployment.smoke import SmokeTester
from modelgate.deployment.states import EndpointStates
from modelgate.errors import AwsError, NotYet
from modelgate.events import EndpointStateChange, ModelPackageStateChange
from modelgate.policies import Policies
from modelgate.registry import package as on_package
from tests.fakes.aws import (
    Calls,
    Clock,
    Crash,
    EndpointEvent,
    FakeBucket,
    FakeBus,
    FakeHosting,
    FakeSageMaker,
    FakeTable,
    PackageEvent,
)

if TYPE_CHECKING:
    from modelgate.deployment.reconcile import Report
    from modelgate.deployment.state import EndpointState

STACK = "modelgate"
TIME_LIMIT = 60
MANIFEST = b"""
container: {framework: sklearn, version: 1.2-1}
metrics: {accuracy: 0.95}
content_types: [text/csv]
response_types: [text/csv]
smoke_test: {content_type: text/csv, body: "5.1,3.5,1.4,0.2", expect: setosa}
"""
_ENVELOPE = {"account": "123456789012", "region": "eu-central-1", "source": "aws.sagemaker"}


class Deployment:
    """The group ``iris`` on its endpoint, with everything around it in memory."""

    group = "iris"
    endpoint = "iris"

    def __init__(self, policy: bytes = b"deployment: {}") -> None:
        self.clock = Clock()
        self.calls = Calls()
        self.bucket = FakeBucket(self.calls)
        self.table = FakeTable(self.calls)
        self.bus = FakeBus(self.calls)
        self.sagemaker = FakeSageMaker(self.calls, self.clock)
        self.states = EndpointStates(self.table)
        self.bucket.put("policies/iris.yaml", policy)
        self._ids = count(1)
        self.reconciler = Reconciler(
            states=self.states,
            policies=Policies(self.bucket),
            registry=self.sagemaker,
            hosting=FakeHosting(self.sagemaker),
            smoke_tester=SmokeTester(self.bucket, lambda: self.sagemaker),
            bus=self.bus,
            stack=STACK,
            time_limit_seconds=TIME_LIMIT,
            clock=self.clock,
        )

    # ── people ────────────────────────────────────────────────────────────────────────────────
    def register(self, group: str = "iris") -> int:
        """A version as registration makes it."""
        manifest = self.bucket.put(f"models/{group}/run/manifest.yaml", MANIFEST)
        metadata = {
            on_package.STACK: STACK,
            on_package.SUBMISSION: "run",
            on_package.MANIFEST_VERSION: manifest.version,
        }
        return self.sagemaker.add_package(group, **metadata)

    def approve(self, version: int, group: str = "iris") -> None:
        self.sagemaker.decide(group, version, on_package.APPROVED)

    def reject(self, version: int, group: str = "iris") -> None:
        self.sagemaker.decide(group, version, on_package.REJECTED)

    # ── delivery ──────────────────────────────────────────────────────────────────────────────
    def handle(self, event: PackageEvent | EndpointEvent, invocation: str | None = None) -> Report:
        """One delivery of an event, to the handler's own use case."""
        invocation = invocation or f"invocation-{next(self._ids)}"
        if isinstance(event, PackageEvent):
            return self.reconciler.decision_changed(package_event(event), invocation)
        return self.reconciler.endpoint_changed(endpoint_event(event), invocation)

    def settle(self) -> None:
        """Delivers every event as Lambda does, and lets SageMaker finish, until all is quiet."""
        waiting = deque[tuple[PackageEvent | EndpointEvent, str, int]]()
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
                "UpdatedModelPackageFields": ["ModelApprovalStatus"],
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
