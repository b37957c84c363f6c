"""An in-memory SageMaker, with the alarms and the autoscaling around its endpoints.

Endpoints move when a test says so: `FakeSageMaker.advance` lets what is under way come a step further.
The events that AWS would send wait in ``events``, for the test to deliver, or not.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from modelgate.deployment.planner import Endpoint
from modelgate.errors import (
    AlreadyExists,
    Invalid,
    LimitReached,
    ModelFailed,
    NotFound,
    Problem,
    Refused,
)
from modelgate.ports import Change, LogLine
from modelgate.registry.package import APPROVED, PENDING, REJECTED, ModelPackage, Registration

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from modelgate.manifest import SmokeTest
    from modelgate.policy import Alarms, Autoscaling, DeploymentPolicy
    from tests.fakes.aws import Calls, Clock, FakeBucket

OPERATOR = "arn:aws:iam::123456789012:user/operator"
MODELGATE = "arn:aws:iam::123456789012:role/modelgate"
NO_CAPACITY = "Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity error."


@dataclass(frozen=True)
class PackageEvent:
    """What "SageMaker Model Package State Change" would say."""

    group: str
    version: int
    approval: str
    at: datetime
    updated_fields: tuple[str, ...] = ("ModelApprovalStatus",)


@dataclass(frozen=True)
class EndpointEvent:
    """What "SageMaker Endpoint State Change" would say."""

    name: str
    status: str


Event = PackageEvent | EndpointEvent


@dataclass(frozen=True)
class Model:
    """What CreateModel was told."""

    group: str
    version: int


@dataclass
class Serving:
    """An endpoint, and the config that it is moving to."""

    name: str
    status: str
    config: str
    coming: str = ""
    change: Change = field(default_factory=Change)
    baking: bool = False
    tripped: bool = False
    failure_reason: str = ""
    lacks_capacity: bool = False
    tags: dict[str, str] = field(default_factory=dict)
    tagged: bool = True
    instances: int | None = None
    variants: tuple[str, ...] = ("AllTraffic",)


@dataclass
class Container:
    """What one container wrote, and when it began."""

    began: datetime
    lines: list[LogLine] = field(default_factory=list)


class FakeSageMaker:
    """A `modelgate.ports.Registry`, `Hosting` and `Predictions` over one memory.

    Attributes:
        never_ping: versions whose container never answers /ping.
        answer_wrongly: versions whose container answers requests with an error.
        too_small: instance types on which no container ever comes up.
        out_of_stock: instance types that AWS has none of for the moment.
        refused_types: instance types that CreateEndpointConfig does not take.
        quota_reached: whether CreateEndpoint and UpdateEndpoint run into a quota.
        events: what AWS would have sent, oldest first.
        served: every version that ever answered requests, in order.
        scalable: by endpoint, in lower case, what is registered with Application Auto Scaling.
        alarms: by name, the state of each alarm.
        questions: what asynchronous endpoints were asked and have not answered yet.
        containers: by endpoint, in lower case, every container that ever began there, the oldest first.
    """

    def __init__(self, calls: Calls, clock: Clock) -> None:
        self._calls = calls
        self._clock = clock
        self._packages: dict[tuple[str, int], ModelPackage] = {}
        self._tokens: dict[str, int] = {}
        self.models: dict[str, Model] = {}
        self.configs: dict[str, DeploymentPolicy] = {}
        self._endpoints: dict[str, Serving] = {}
        self.registrations: list[Registration] = []
        self.never_ping: set[int] = set()
        self.answer_wrongly: set[int] = set()
        self.too_small: set[str] = set()
        self.out_of_stock: set[str] = set()
        self.refused_types: set[str] = set()
        self.quota_reached = False
        self.events: list[Event] = []
        self.served: list[int] = []
        self.scalable: dict[str, Autoscaling] = {}
        self.alarms: dict[str, str] = {}
        self.questions: list[tuple[str, str, str]] = []
        self.containers: dict[str, list[Container]] = {}

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
        self._decide(group, version, approval, description, OPERATOR)

    def edit(self, group: str, version: int) -> None:
        """An edit of something else than the approval."""
        package = self._edit(group, version, by=OPERATOR)
        fields = ("CustomerMetadataProperties",)
        self.events.append(PackageEvent(group, version, package.approval, package.modified_at, fields))

    def delete_package(self, group: str, version: int) -> None:
        del self._packages[group, version]

    def package(self, group: str, version: int) -> ModelPackage:
        return self._packages[group, version]

    def versions(self, group: str) -> list[int]:
        return sorted(version for of, version in self._packages if of == group)

    def add_endpoint(self, name: str, config: str = "by-hand", *, tagged: bool = False) -> None:
        """An endpoint that somebody else made."""
        self._endpoints[name.lower()] = Serving(name, "InService", config, tagged=tagged)

    def remove_endpoint(self, name: str) -> None:
        del self._endpoints[name.lower()]

    def endpoint(self, name: str) -> Serving | None:
        return self._endpoints.get(name.lower())

    def break_down(self, name: str, status: str) -> None:
        self._endpoints[name.lower()].status = status

    def serves(self, name: str) -> int | None:
        """The version that answers requests now."""
        endpoint = self._endpoints.get(name.lower())
        if endpoint is None or endpoint.status not in {"InService", "Updating"}:
            return None
        return self.models[endpoint.config].version if endpoint.config in self.models else None

    def set_alarms(self, name: str, state: str) -> None:
        """All alarms of an endpoint go to this state."""
        for alarm in [each for each in self.alarms if each.startswith(f"{name.lower()}:")]:
            self.alarms[alarm] = state
        endpoint = self._endpoints.get(name.lower())
        if endpoint and endpoint.status == "Updating" and state == "ALARM" and endpoint.change.alarms:
            endpoint.tripped = True

    def advance(self, name: str) -> bool:
        """Lets what is under way come a step further; False if nothing is."""
        endpoint = self._endpoints.get(name.lower())
        if endpoint is None or endpoint.status not in {"Creating", "Updating", "Deleting"}:
            return False
        if endpoint.status == "Deleting":
            del self._endpoints[name.lower()]
            return True
        model, policy = self.models.get(endpoint.coming), self.configs.get(endpoint.coming)
        trouble = "the model is gone"
        if model and policy:
            trouble = self._trouble(endpoint, model, policy)
            if trouble != NO_CAPACITY and not endpoint.baking:
                self._begin(endpoint, model)
        if not trouble and _takes_time(endpoint.change) and not endpoint.baking:
            endpoint.baking = True
            return True
        self._arrive(endpoint, trouble)
        return True

    def _trouble(self, endpoint: Serving, model: Model, policy: DeploymentPolicy) -> str:
        kind = policy.instances.type if policy.instances else ""
        standing = any(self.alarms.get(alarm) == "ALARM" for alarm in endpoint.change.alarms)
        if kind in self.out_of_stock:
            return NO_CAPACITY
        if model.version in self.never_ping or kind in self.too_small:
            return "did not pass the ping health check"
        return "an alarm went off" if endpoint.tripped or standing else ""

    def _begin(self, endpoint: Serving, model: Model) -> None:
        self.containers.setdefault(endpoint.name.lower(), []).append(Container(self._clock.now))
        self.write_log(endpoint.name, f"loading version {model.version}")
        if model.version in self.never_ping:
            self.write_log(endpoint.name, f"RuntimeError: the weights are missing in version {model.version}")

    def write_log(self, endpoint: str, text: str) -> None:
        """The container that began last writes a line."""
        containers = self.containers.setdefault(endpoint.lower(), [Container(self._clock.now)])
        containers[-1].lines.append(LogLine(self._clock.now, text))

    def _arrive(self, endpoint: Serving, trouble: str) -> None:
        endpoint.failure_reason, endpoint.lacks_capacity = trouble, trouble == NO_CAPACITY
        if not trouble:
            endpoint.config = endpoint.coming
            self._count(endpoint)
        broken = endpoint.status == "Creating" and trouble
        endpoint.status = "Failed" if broken else "InService"
        endpoint.coming, endpoint.baking, endpoint.tripped = "", False, False
        endpoint.change = Change()
        if not broken and endpoint.config in self.models:
            self.served.append(self.models[endpoint.config].version)
        self.events.append(EndpointEvent(endpoint.name, endpoint.status))

    def _count(self, endpoint: Serving) -> None:
        policy = self.configs[endpoint.config]
        if not endpoint.change.keeps_counts or endpoint.instances is None:
            endpoint.instances = policy.instances.count if policy.instances else None

    # ── the registry ──────────────────────────────────────────────────────────────────────────
    def describe(self, group: str, version: int) -> ModelPackage | None:
        return self._calls.make("DescribeModelPackage", lambda: self._packages.get((group, version)))

    def register(self, registration: Registration) -> int:
        return self._calls.make("CreateModelPackage", lambda: self._register(registration))

    def registered_since(self, group: str, since: datetime) -> Sequence[ModelPackage]:
        def listed() -> list[ModelPackage]:
            return [p for (g, _), p in sorted(self._packages.items(), reverse=True) if g == group]

        return self._calls.make("ListModelPackages", listed)

    def approved_versions(self, group: str) -> Sequence[int]:
        def listed() -> list[int]:
            return [v for v in self.versions(group) if self._packages[group, v].approved]

        return self._calls.make("ListModelPackages", listed)

    def reject(self, group: str, version: int, reason: str) -> None:
        self._calls.make("UpdateModelPackage", lambda: self._rejected(group, version, reason))

    def _rejected(self, group: str, version: int, reason: str) -> None:
        self._decide(group, version, REJECTED, reason, MODELGATE)

    def _register(self, registration: Registration) -> int:
        if registration.token not in self._tokens:
            version = self.add_package(registration.group, **registration.metadata)
            made = self._packages[registration.group, version]
            self._packages[registration.group, version] = replace(made, approval=registration.approval)
            self._tokens[registration.token] = version
            self.registrations.append(registration)
        return self._tokens[registration.token]

    def _decide(self, group: str, version: int, approval: str, description: str, by: str) -> None:
        package = self._edit(group, version, approval=approval, description=description, by=by)
        self.events.append(PackageEvent(group, version, approval, package.modified_at))

    def _edit(
        self, group: str, version: int, *, by: str, approval: str = "", description: str = ""
    ) -> ModelPackage:
        package = self._packages[group, version]
        edited = self._packages[group, version] = replace(
            package,
            modified_at=self._clock.forward(0.001),
            approval=approval or package.approval,
            description=description or package.description,
            modified_by=by,
        )
        return edited

    # ── hosting ───────────────────────────────────────────────────────────────────────────────
    def make_model(self, name: str, group: str, version: int, _policy: DeploymentPolicy) -> None:
        def make() -> None:
            if name in self.models:
                raise AlreadyExists("CreateModel", "ValidationException", name)
            if self._packages[group, version].approval != APPROVED:
                raise Invalid("CreateModel", "ValidationException", f"version {version} is not approved")
            self.models[name] = Model(group, version)

        self._calls.make("CreateModel", make)

    def make_config(self, name: str, _endpoint: str, policy: DeploymentPolicy) -> None:
        def make() -> None:
            if name in self.configs:
                raise AlreadyExists("CreateEndpointConfig", "ValidationException", name)
            if policy.instances and policy.instances.type in self.refused_types:
                raise Invalid("CreateEndpointConfig", "ValidationException", policy.instances.type)
            self.configs[name] = policy

        self._calls.make("CreateEndpointConfig", make)

    def create(self, endpoint: str, config: str, policy: DeploymentPolicy) -> None:
        def make() -> None:
            if endpoint.lower() in self._endpoints:
                raise AlreadyExists("CreateEndpoint", "ValidationException", endpoint)
            self._expect_config("CreateEndpoint", config)
            self._expect_quota("CreateEndpoint")
            self._endpoints[endpoint.lower()] = Serving(
                endpoint, "Creating", config, coming=config, tags=dict(policy.tags)
            )

        self._calls.make("CreateEndpoint", make)

    def update(self, endpoint: str, config: str, change: Change) -> None:
        def begin() -> None:
            self._expect_config("UpdateEndpoint", config)
            there = self._settled("UpdateEndpoint", endpoint)
            self._expect_quota("UpdateEndpoint")
            self._refuse_what_sagemaker_refuses(there, config, change)
            there.status, there.coming, there.change = "Updating", config, change
            there.baking = there.tripped = there.lacks_capacity = False
            there.failure_reason = ""

        self._calls.make("UpdateEndpoint", begin)

    def delete(self, endpoint: str) -> None:
        def remove() -> None:
            if endpoint.lower() in self._endpoints:
                self._settled("DeleteEndpoint", endpoint).status = "Deleting"

        self._calls.make("DeleteEndpoint", remove)

    def remove(self, name: str) -> None:
        self._calls.make("DeleteEndpointConfig", lambda: self.configs.pop(name, None))
        self._calls.make("DeleteModel", lambda: self.models.pop(name, None))

    def retag(self, endpoint: str, tags: Mapping[str, str], gone: Sequence[str]) -> None:
        def put() -> None:
            there = self._endpoints.get(endpoint.lower())
            if there:
                kept = {key: value for key, value in there.tags.items() if key not in gone}
                there.tags = {**kept, **tags}

        if tags or gone:
            self._calls.make("AddTags", put)

    def adopt(self, endpoint: str) -> None:
        def tag() -> None:
            there = self._endpoints.get(endpoint.lower())
            if there is None:
                raise NotFound("DescribeEndpoint", "ValidationException", endpoint)
            if there.variants != ("AllTraffic",) or there.status != "InService":
                mend = "make one of its own under another name"
                raise Refused(Problem(f"endpoint {endpoint}", f"has variants {there.variants}", mend))
            there.tagged = True

        self._calls.make("AddTags", tag)

    def carries_tag(self, endpoint: str) -> bool:
        def look() -> bool:
            there = self._endpoints.get(endpoint.lower())
            if there is None:
                raise NotFound("ListTags", "ValidationException", endpoint)
            return there.tagged

        return self._calls.make("ListTags", look)

    def describe_endpoint(self, name: str) -> Endpoint | None:
        def look() -> Endpoint | None:
            there = self._endpoints.get(name.lower())
            if there is None:
                return None
            return Endpoint(there.status, there.config, there.failure_reason, there.lacks_capacity)

        return self._calls.make("DescribeEndpoint", look)

    def _refuse_what_sagemaker_refuses(self, there: Serving, config: str, change: Change) -> None:
        before, after = self.configs.get(there.config), self.configs[config]
        scaled = there.name.lower() in self.scalable
        if scaled and before and before.instance_type != after.instance_type:
            raise _invalid("the variant is a scalable target: deregister it first")
        if before and before.instances and after.serverless:
            raise _invalid("an endpoint of instances is never made serverless")
        missing = [alarm for alarm in change.alarms if alarm not in self.alarms]
        if missing:
            raise _invalid(f"no such alarm: {', '.join(missing)}")

    def _settled(self, operation: str, endpoint: str) -> Serving:
        there = self._endpoints.get(endpoint.lower())
        if there is None:
            raise NotFound(operation, "ValidationException", endpoint)
        if there.status in {"Creating", "Updating", "Deleting"}:
            raise Invalid(operation, "ValidationException", f"Cannot update in-progress endpoint {endpoint}")
        return there

    def _expect_config(self, operation: str, config: str) -> None:
        if config not in self.configs:
            raise NotFound(operation, "ValidationException", config)

    def _expect_quota(self, operation: str) -> None:
        if self.quota_reached:
            raise LimitReached(operation, "ResourceLimitExceeded", "the account's limit is reached")

    # ── the runtime ───────────────────────────────────────────────────────────────────────────
    def invoke(self, endpoint: str, test: SmokeTest) -> str:
        def answer() -> str:
            version = self.serves(endpoint)
            if version in self.answer_wrongly:
                self.write_log(endpoint, f"ValueError: version {version} cannot predict")
                raise ModelFailed("InvokeEndpoint", "ModelError", "could not load the model")
            return f"version {version} says setosa to {test.body}"

        return self._calls.make("InvokeEndpoint", answer)

    def ask(self, endpoint: str, _test: SmokeTest, question: str, extension: str) -> tuple[str, str]:
        answer = f"predictions/{endpoint}/{extension}/answer.out"
        failure = f"predictions/{endpoint}/failures/{extension}/answer-error.out"

        def asked() -> tuple[str, str]:
            self.questions.append((endpoint, answer, failure))
            return answer, failure

        assert question
        return self._calls.make("InvokeEndpointAsync", asked)

    def answer(self, bucket: FakeBucket) -> str | None:
        """The oldest question is answered in the bucket; the key of the answer."""
        if not self.questions:
            return None
        endpoint, answer, failure = self.questions.pop(0)
        version = self.serves(endpoint)
        if version in self.answer_wrongly:
            self.write_log(endpoint, f"ValueError: version {version} cannot predict")
            bucket.put(failure, b"could not load the model")
            return failure
        bucket.put(answer, f"version {version} says setosa".encode())
        return answer


def _takes_time(change: Change) -> bool:
    return bool(change.alarms) or (change.rollout is not None and change.rollout.strategy != "all_at_once")


def _invalid(message: str) -> Invalid:
    return Invalid("UpdateEndpoint", "ValidationException", message)


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
        self.remove = sagemaker.remove
        self.retag = sagemaker.retag
        self.adopt = sagemaker.adopt


class FakeScaling:
    """A `modelgate.ports.Scaling`."""

    def __init__(self, calls: Calls, sagemaker: FakeSageMaker) -> None:
        self._calls = calls
        self._sagemaker = sagemaker

    def register(self, endpoint: str, autoscaling: Autoscaling) -> None:
        def put() -> None:
            if self._sagemaker.endpoint(endpoint) is None:
                raise Invalid("RegisterScalableTarget", "ValidationException", f"no endpoint {endpoint}")
            self._sagemaker.scalable[endpoint.lower()] = autoscaling

        self._calls.make("RegisterScalableTarget", put)

    def deregister(self, endpoint: str) -> None:
        self._calls.make(
            "DeregisterScalableTarget", lambda: self._sagemaker.scalable.pop(endpoint.lower(), None)
        )


class FakeWatch:
    """A `modelgate.ports.Watch`."""

    def __init__(self, calls: Calls, sagemaker: FakeSageMaker) -> None:
        self._calls = calls
        self._alarms = sagemaker.alarms

    def put(self, endpoint: str, alarms: Alarms) -> None:
        def change() -> None:
            names = _alarm_names(endpoint, alarms)
            for name in [each for each in self._alarms if each.startswith(f"{endpoint.lower()}:")]:
                if name not in names:
                    del self._alarms[name]
            for name in names:
                self._alarms.setdefault(name, "OK")

        self._calls.make("PutMetricAlarm", change)

    def delete(self, endpoint: str) -> None:
        def remove() -> None:
            for name in [each for each in self._alarms if each.startswith(f"{endpoint.lower()}:")]:
                del self._alarms[name]

        self._calls.make("DeleteAlarms", remove)

    def quiet(self, endpoint: str, alarms: Alarms) -> tuple[str, ...]:
        def look() -> tuple[str, ...]:
            names = _alarm_names(endpoint, alarms)
            return tuple(name for name in names if self._alarms.get(name) != "ALARM")

        return self._calls.make("DescribeAlarms", look)


class FakeContainerLogs:
    """A `modelgate.ports.ContainerLogs`."""

    def __init__(self, calls: Calls, sagemaker: FakeSageMaker) -> None:
        self._calls = calls
        self._containers = sagemaker.containers

    def group_of(self, endpoint: str) -> str:
        return f"/aws/sagemaker/Endpoints/{endpoint}"

    def read(self, endpoint: str, since: datetime, *, of_new: bool) -> Sequence[Sequence[LogLine]]:
        def began_last() -> list[Container]:
            began = self._containers.get(endpoint.lower(), [])
            return [each for each in reversed(began) if each.began >= since or not of_new][:3]

        def written(container: Container) -> list[LogLine]:
            return self._calls.make(
                "GetLogEvents", lambda: [line for line in container.lines if line.at >= since]
            )

        return [written(each) for each in self._calls.make("DescribeLogStreams", began_last)]


def _alarm_names(endpoint: str, alarms: Alarms) -> list[str]:
    kinds = {"errors": alarms.error_rate_percent, "latency": alarms.p99_latency_ms}
    return [f"{endpoint.lower()}:{kind}" for kind, threshold in kinds.items() if threshold is not None]
