"""An in-memory AWS, as far as the ports go.

SageMaker's endpoints move when a test says so: `FakeSageMaker.advance` lets what is under way come to
its end. The events that AWS would send wait in ``events``, for the test to deliver, or not.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from modelgate.deployment.planner import Endpoint
from modelgate.errors import AlreadyExists, Invalid, ModelFailed, NotFound, StaleRevision
from modelgate.ports import ObjectVersion, Record
from modelgate.registry.package import APPROVED, PENDING, REJECTED, ModelPackage, Registration

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from modelgate.announcements import Announcement
    from modelgate.policy import DeploymentPolicy
    from modelgate.submission import SmokeTest

    T = TypeVar("T")

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass
class Clock:
    """Stands still until it is told to go on."""

    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: float) -> datetime:
        self.now += timedelta(seconds=seconds)
        return self.now


class Crash(BaseException):
    """The invocation dies here."""


@dataclass
class Calls:
    """Every call to AWS, in order. The n-th from now on, or the next of a name, can be made to go wrong."""

    made: list[str] = field(default_factory=list)
    _by_number: dict[int, tuple[BaseException, bool]] = field(default_factory=dict)
    _by_name: dict[str, tuple[BaseException, bool]] = field(default_factory=dict)

    def fail(self, which: int | str, error: BaseException, *, after: bool = False) -> None:
        """That call raises, before it takes effect or after it did."""
        if isinstance(which, int):
            self._by_number[len(self.made) + which] = (error, after)
        else:
            self._by_name[which] = (error, after)

    def heal(self) -> None:
        self._by_number.clear()
        self._by_name.clear()

    def make(self, name: str, call: Callable[[], T]) -> T:
        self.made.append(name)
        planned = self._by_number.pop(len(self.made), None) or self._by_name.pop(name, None)
        error, after = planned or (None, False)
        if error and not after:
            raise error
        result = call()
        if error:
            raise error
        return result


class FakeBucket:
    """A `modelgate.ports.Bucket`."""

    name = "intake"

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._objects: dict[str, list[bytes]] = {}

    def put(self, key: str, body: bytes) -> ObjectVersion:
        """What a user's upload does."""
        versions = self._objects.setdefault(key, [])
        versions.append(body)
        return ObjectVersion(key, f"v{len(versions)}", len(body))

    def delete(self, key: str) -> None:
        self._objects.pop(key, None)

    def keys(self) -> list[str]:
        return sorted(self._objects)

    def head(self, key: str) -> ObjectVersion | None:
        return self._calls.make("HeadObject", lambda: self._find(key))

    def read(self, key: str, limit: int, version: str | None = None) -> tuple[bytes, ObjectVersion] | None:
        found = self._calls.make("GetObject", lambda: self._find(key, version))
        return (self._body(found)[: limit + 1], found) if found else None

    def open(self, found: ObjectVersion) -> io.BytesIO:
        return self._calls.make("GetObject", lambda: io.BytesIO(self._body(found)))

    def write(self, key: str, body: bytes, content_type: str) -> None:
        self._calls.make("PutObject", lambda: self.put(key, body))

    def _find(self, key: str, version: str | None = None) -> ObjectVersion | None:
        versions = self._objects.get(key, [])
        number = int(version.removeprefix("v")) if version else len(versions)
        if not 0 < number <= len(versions):
            return None
        return ObjectVersion(key, f"v{number}", len(versions[number - 1]))

    def _body(self, found: ObjectVersion) -> bytes:
        return self._objects[found.key][int(found.version.removeprefix("v")) - 1]


class FakeTable:
    """A `modelgate.ports.Table`."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._items: dict[tuple[str, str], Record] = {}

    def get(self, pk: str, sk: str) -> Record | None:
        return self._calls.make("GetItem", lambda: self._items.get((pk, sk)))

    def put(self, *records: Record) -> None:
        self._calls.make("PutItem", lambda: self._put(records))

    def query(self, pk: str, sk_prefix: str) -> list[Record]:
        return self._calls.make(
            "Query",
            lambda: [
                item
                for (pk_, sk), item in sorted(self._items.items())
                if pk_ == pk and sk.startswith(sk_prefix)
            ],
        )

    def _put(self, records: tuple[Record, ...]) -> None:
        for record in records:
            before = self._items.get((record.pk, record.sk))
            revision = before.revision if before and before.revision else 0
            if record.revision is not None and record.revision != revision + 1:
                raise StaleRevision("PutItem", "ConditionalCheckFailedException", record.pk)
        for record in records:
            ordered = replace(record, facts=tuple(sorted(record.facts)))
            self._items[(record.pk, record.sk)] = ordered


class FakeBus:
    """A `modelgate.ports.Bus`."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self.announced: list[Announcement] = []

    def announce(self, *announcements: Announcement) -> None:
        self._calls.make("PutEvents", lambda: self.announced.extend(announcements))

    def kinds(self) -> list[str]:
        return [announcement.kind.value for announcement in self.announced]


@dataclass(frozen=True)
class PackageEvent:
    """What "SageMaker Model Package State Change" would say."""

    group: str
    version: int
    approval: str
    at: datetime


@dataclass(frozen=True)
class EndpointEvent:
    """What "SageMaker Endpoint State Change" would say."""

    name: str
    status: str


@dataclass
class _Serving:
    """An endpoint, and the config that it is moving to."""

    name: str
    status: str
    config: str
    coming: str = ""
    failure_reason: str = ""
    tagged: bool = True


class FakeSageMaker:
    """A `modelgate.ports.Registry`, `Hosting` and `Predictions` over one memory.

    Attributes:
        never_ping: versions whose container never answers /ping.
        answer_wrongly: versions whose container answers requests with an error.
        events: what AWS would have sent, oldest first.
        served: every version that ever answered requests, in order.
    """

    def __init__(self, calls: Calls, clock: Clock) -> None:
        self._calls = calls
        self._clock = clock
        self._packages: dict[tuple[str, int], ModelPackage] = {}
        self._tokens: dict[str, int] = {}
        self._models: dict[str, tuple[str, int]] = {}
        self._configs: dict[str, DeploymentPolicy] = {}
        self._endpoints: dict[str, _Serving] = {}
        self.registrations: list[Registration] = []
        self.never_ping: set[int] = set()
        self.answer_wrongly: set[int] = set()
        self.events: list[PackageEvent | EndpointEvent] = []
        self.served: list[int] = []

    # ── what people and time do ───────────────────────────────────────────────────────────────
    def add_package(self, group: str, **metadata: str) -> int:
        version = 1 + max((v for g, v in self._packages if g == group), default=0)
        arn = f"arn:aws:sagemaker:eu-central-1:123456789012:model-package/{group.lower()}/{version}"
        self._packages[group, version] = ModelPackage(
            group, version, arn, PENDING, self._clock.forward(0.001), metadata=metadata
        )
        return version

    def decide(self, group: str, version: int, approval: str, description: str = "") -> None:
        """What an operator does in the console."""
        self._edit(group, version, approval=approval, description=description)
        self.events.append(PackageEvent(group, version, approval, self._packages[group, version].modified_at))

    def edit(self, group: str, version: int) -> None:
        """An edit of something else than the approval."""
        self._edit(group, version)

    def delete_package(self, group: str, version: int) -> None:
        del self._packages[group, version]

    def package(self, group: str, version: int) -> ModelPackage:
        return self._packages[group, version]

    def add_endpoint(self, name: str, config: str = "by-hand", *, tagged: bool = False) -> None:
        """An endpoint that somebody else made."""
        self._endpoints[name.lower()] = _Serving(name, "InService", config, tagged=tagged)

    def remove_endpoint(self, name: str) -> None:
        del self._endpoints[name.lower()]

    def endpoint(self, name: str) -> _Serving | None:
        return self._endpoints.get(name.lower())

    def break_down(self, name: str, status: str) -> None:
        self._endpoints[name.lower()].status = status

    def serves(self, name: str) -> int | None:
        """The version that answers requests now."""
        endpoint = self._endpoints.get(name.lower())
        if endpoint is None or endpoint.status not in {"InService", "Updating"}:
            return None
        return self._models[endpoint.config][1] if endpoint.config in self._models else None

    def advance(self, name: str) -> bool:
        """Lets what is under way come to its end; False if nothing is."""
        endpoint = self._endpoints.get(name.lower())
        if endpoint is None or endpoint.status not in {"Creating", "Updating", "Deleting"}:
            return False
        if endpoint.status == "Deleting":
            del self._endpoints[name.lower()]
            return True
        answers = self._models[endpoint.coming][1] not in self.never_ping
        if answers:
            endpoint.config, endpoint.failure_reason = endpoint.coming, ""
        else:
            endpoint.failure_reason = "did not pass the ping health check"
        broken = endpoint.status == "Creating" and not answers
        endpoint.status = "Failed" if broken else "InService"
        endpoint.coming = ""
        if not broken:
            self.served.append(self._models[endpoint.config][1])
        self.events.append(EndpointEvent(endpoint.name, endpoint.status))
        return True

    # ── the registry ──────────────────────────────────────────────────────────────────────────
    def describe(self, group: str, version: int) -> ModelPackage | None:
        return self._calls.make("DescribeModelPackage", lambda: self._packages.get((group, version)))

    def register(self, registration: Registration) -> int:
        return self._calls.make("CreateModelPackage", lambda: self._register(registration))

    def registered_since(self, group: str, since: datetime) -> Sequence[ModelPackage]:
        def listed() -> list[ModelPackage]:
            return [p for (g, _), p in sorted(self._packages.items(), reverse=True) if g == group]

        return self._calls.make("ListModelPackages", listed)

    def reject(self, group: str, version: int, reason: str) -> None:
        self._calls.make("UpdateModelPackage", lambda: self.decide(group, version, REJECTED, reason))

    def _register(self, registration: Registration) -> int:
        if registration.token not in self._tokens:
            version = self.add_package(registration.group, **registration.metadata)
            self._tokens[registration.token] = version
            self.registrations.append(registration)
        return self._tokens[registration.token]

    def _edit(self, group: str, version: int, approval: str = "", description: str = "") -> None:
        package = self._packages[group, version]
        self._packages[group, version] = replace(
            package,
            modified_at=self._clock.forward(0.001),
            approval=approval or package.approval,
            description=description or package.description,
        )

    # ── hosting ───────────────────────────────────────────────────────────────────────────────
    def make_model(self, name: str, group: str, version: int) -> None:
        def make() -> None:
            if name in self._models:
                raise AlreadyExists("CreateModel", "ValidationException", name)
            if self._packages[group, version].approval != APPROVED:
                raise Invalid("CreateModel", "ValidationException", f"version {version} is not approved")
            self._models[name] = (group, version)

        self._calls.make("CreateModel", make)

    def make_config(self, name: str, policy: DeploymentPolicy) -> None:
        def make() -> None:
            if name in self._configs:
                raise AlreadyExists("CreateEndpointConfig", "ValidationException", name)
            self._configs[name] = policy

        self._calls.make("CreateEndpointConfig", make)

    def create(self, endpoint: str, config: str) -> None:
        def make() -> None:
            if endpoint.lower() in self._endpoints:
                raise AlreadyExists("CreateEndpoint", "ValidationException", endpoint)
            self._expect_config(config)
            self._endpoints[endpoint.lower()] = _Serving(endpoint, "Creating", config, coming=config)

        self._calls.make("CreateEndpoint", make)

    def update(self, endpoint: str, config: str) -> None:
        def change() -> None:
            self._expect_config(config)
            there = self._settled(endpoint)
            there.status, there.coming = "Updating", config

        self._calls.make("UpdateEndpoint", change)

    def delete(self, endpoint: str) -> None:
        def remove() -> None:
            self._settled(endpoint).status = "Deleting"

        self._calls.make("DeleteEndpoint", remove)

    def carries_tag(self, endpoint: str) -> bool:
        return self._calls.make("ListTags", lambda: self._endpoints[endpoint.lower()].tagged)

    def describe_endpoint(self, name: str) -> Endpoint | None:
        def look() -> Endpoint | None:
            there = self._endpoints.get(name.lower())
            return Endpoint(there.status, there.config, there.failure_reason) if there else None

        return self._calls.make("DescribeEndpoint", look)

    def _settled(self, endpoint: str) -> _Serving:
        there = self._endpoints.get(endpoint.lower())
        if there is None:
            raise NotFound("UpdateEndpoint", "ValidationException", endpoint)
        if there.status in {"Creating", "Updating", "Deleting"}:
            raise Invalid(
                "UpdateEndpoint", "ValidationException", f"Cannot update in-progress endpoint {endpoint}"
            )
        return there

    def _expect_config(self, config: str) -> None:
        if config not in self._configs:
            raise NotFound("UpdateEndpoint", "ValidationException", config)

    # ── the runtime ───────────────────────────────────────────────────────────────────────────
    def invoke(self, endpoint: str, test: SmokeTest) -> str:
        def answer() -> str:
            version = self.serves(endpoint)
            if version in self.answer_wrongly:
                raise ModelFailed("InvokeEndpoint", "ModelError", "could not load the model")
            return f"version {version} says setosa"

        return self._calls.make("InvokeEndpoint", answer)


class FakeHosting:
    """A `modelgate.ports.Hosting`: the registry and hosting both have a ``describe``."""

    def __init__(self, sagemaker: FakeSageMaker) -> None:
        self.describe = sagemaker.describe_endpoint
        self.carries_tag = sagemaker.carries_tag
        self.make_model = sagemaker.make_model
        self.make_config = sagemaker.make_config
        self.create = sagemaker.create
        self.update = sagemaker.update
        self.delete = sagemaker.delete
