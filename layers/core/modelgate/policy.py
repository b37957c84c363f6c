"""What a group demands of a version (gate), and where and how it is served (deployment)."""

from __future__ import annotations

import hashlib
import json
import math
import re
import sys
from decimal import Decimal
from functools import cached_property
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from modelgate import documents
from modelgate.builds.findings import MaxSeverity
from modelgate.documents import Document
from modelgate.errors import Problem, Refused
from modelgate.identifiers import is_for_a_tag, kms_key, security_group, subnet
from modelgate.identifiers import tags as checked_tags
from modelgate.submission import MAX_METADATA, MAX_METRICS, RESERVED, SAGEMAKER_NAME
from modelgate.values import dataclass

T = TypeVar("T")

DEFAULT = "default"

STARTUP_TIMEOUT_SECONDS = 600
# The longest that SageMaker lets an update take.
MAX_UPDATE_SECONDS = 28_800
# SageMaker takes 50 on a resource; the rest are Modelgate's own.
MAX_TAGS = 48

_PERCENT = re.compile(r"-?([0-9]{1,6}(\.[0-9]{0,6})?|\.[0-9]{1,6}) ?%")
_TOPIC_ARN = re.compile(r"arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[a-zA-Z0-9_.-]+")
_IMAGE = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*")
_RESERVED_TAGS = ("aws:", "modelgate:")
# Families with disks of their own, beside those with a letter d (m5d, g4dn, p4d): SageMaker's own SDK gives
# these neither a volume nor a key.
_LOCAL_STORAGE = ("g5", "g6", "g7e", "p5", "p6-b200", "trn1", "trn2")
# The least and the most of the instances that one step may take, in percent, as AWS has it.
_SHARES = {"canary": (1, 50), "linear": (10, 50), "rolling": (5, 50)}
_NOT_SERVERLESS = (
    "is there for a serverless endpoint, which has no such thing; leave it out, or write instances instead "
    "of serverless"
)
# What makes another model or another endpoint config.
_SERVING = {
    "instances",
    "serverless",
    "asynchronous",
    "startup_timeout_seconds",
    "data_capture_percent",
    "kms_key",
    "vpc",
    "network_isolation",
}


def key_of(name: str) -> str:
    """Where the policy of a group, or the default one, lies in the bucket."""
    return f"policies/{name}.yaml"


def name_of(key: str) -> str:
    """Whose policy lies under this key: a group's, or the `DEFAULT` one."""
    return key.removeprefix("policies/").removesuffix(".yaml")


class Threshold(Document):
    """What is demanded of one metric.

    Attributes:
        name: the metric, as manifests call it; of a nested metrics file its path with dots between
            (``regression_metrics.rmse``), or the last part of that where only one metric has it (``rmse``).
        goal: whether more of it is better.
        at_least: the lowest value that passes, for a metric to maximize.
        at_most: the highest value that passes, for a metric to minimize.
        champion_tolerance: how much worse than the live version's value still passes: in the metric's unit
            (``0.01``), or in percent of that value (``2%``).
    """

    name: str = Field(min_length=1)
    goal: Literal["maximize", "minimize"]
    at_least: float | None = None
    at_most: float | None = None
    champion_tolerance: float | str | None = None

    @field_validator("champion_tolerance", mode="before")
    @classmethod
    def _number_or_percent(cls, value: object) -> object:
        if isinstance(value, int | float) and not isinstance(value, bool):
            finite = abs(value) <= sys.float_info.max
        else:
            finite = value is None
        if finite or (isinstance(value, str) and _PERCENT.fullmatch(value)):
            return value
        raise ValueError(
            f"is {value!r}, no tolerance; write a number in the metric's unit, such as 0.01, or percent of "
            "the live version's value, such as 2%"
        )

    @field_validator("at_least", "at_most", "champion_tolerance")
    @classmethod
    def _not_negative(cls, value: float | str | None) -> float | str | None:
        if value is not None and str(value).startswith("-") and value != 0:
            raise ValueError(
                f"is {value}, a negative threshold; write 0 or more (of a metric that is negative by "
                "convention, such as neg_log_loss, submit the positive form, with goal: minimize)"
            )
        return value

    @model_validator(mode="after")
    def _matches_its_goal(self) -> Threshold:
        right, wrong = ("at_least", "at_most") if self.goal == "maximize" else ("at_most", "at_least")
        if getattr(self, wrong) is not None:
            raise ValueError(f"has {wrong} for a metric to {self.goal}; write {right}")
        if getattr(self, right) is None and self.champion_tolerance is None:
            raise ValueError(f"demands nothing of {self.name}; add {right} or champion_tolerance")
        return self

    @property
    def bound(self) -> float | None:
        """What passes whoever the champion is: ``at_least`` or ``at_most``."""
        return self.at_least if self.goal == "maximize" else self.at_most

    def beside(self, best: Decimal) -> Decimal | None:
        """What still passes beside a champion's value; None: it is not compared with."""
        tolerance = self.champion_tolerance
        if tolerance is None:
            return None
        if isinstance(tolerance, str):
            # Of the value's size: of -0.5, 2% is 0.01, too.
            allowed = abs(best) * Decimal(tolerance.removesuffix("%")) / 100
        else:
            # By its text: 0.95 - 0.01 as floats lies below 0.94, and a gate must not turn on that.
            allowed = Decimal(str(tolerance))
        return best - allowed if self.goal == "maximize" else best + allowed


class GatePolicy(Document):
    """What a version must show before it is registered.

    Attributes:
        metrics: what is demanded of its metrics.
        metadata: the keys that its manifest's metadata must have, each with a value.
        when_refused: whether one that falls short is only announced, or registered as well, as Rejected and
            with the reasons.
    """

    metrics: list[Threshold] = Field(default=[], max_length=MAX_METRICS)
    metadata: list[str] = Field(default=[], max_length=MAX_METADATA)
    when_refused: Literal["announce", "register"] = "announce"

    @field_validator("metrics")
    @classmethod
    def _each_metric_once(cls, metrics: list[Threshold]) -> list[Threshold]:
        twice = _twice([threshold.name.removesuffix(".value") for threshold in metrics])
        if twice:
            raise ValueError(f"names {', '.join(twice)} more than once; keep one entry for each metric")
        return metrics

    @field_validator("metadata")
    @classmethod
    def _keys_that_can_be_given(cls, keys: list[str]) -> list[str]:
        for key in keys:
            if key.startswith(RESERVED):
                raise ValueError(
                    f"demands {key!r}, and what begins with {' or '.join(RESERVED)} is Modelgate's own; "
                    "demand another key"
                )
            if not (1 <= len(key) <= 128 and is_for_a_tag(key)):
                raise ValueError(
                    f"demands {key!r}, which SageMaker does not take as a key; use letters, digits, spaces "
                    "and _.:/=+-@, at most 128 of them"
                )
        twice = _twice(keys)
        if twice:
            raise ValueError(f"names {', '.join(twice)} more than once; keep one of each")
        return keys


def _twice(names: list[str]) -> list[str]:
    return sorted({name for name in names if names.count(name) > 1})


class Instances(Document):
    """The machines behind an endpoint.

    Attributes:
        type: SageMaker's instance type, such as ``ml.m5.large``.
        count: how many.
        volume_gb: the storage volume of each in GB; SageMaker's default where it is left out.
    """

    type: str = Field(default="ml.m5.large", pattern=r"^ml\.[a-z0-9-]+\.[a-z0-9]+$")
    count: int = Field(default=1, ge=1, le=1000)
    volume_gb: int | None = Field(default=None, ge=1, le=512)

    @property
    def family(self) -> str:
        """The type without ``ml.`` and the size, such as ``m5``."""
        return self.type.split(".")[1]

    @property
    def has_local_storage(self) -> bool:
        """Whether AWS puts the instance's own disks under the container, and makes no volume."""
        return "d" in self.family or self.family.startswith(_LOCAL_STORAGE)

    @model_validator(mode="after")
    def _has_room_for_a_volume(self) -> Instances:
        if self.volume_gb is not None and self.has_local_storage:
            raise ValueError(
                f"has volume_gb: {self.volume_gb} for {self.type}, which brings its own storage and takes no "
                "volume; leave volume_gb out, or write a type without local storage, such as ml.m5.large"
            )
        return self


class Serverless(Document):
    """An endpoint without machines of its own.

    Attributes:
        memory_mb: the memory of each worker in MB; its share of a CPU follows from it.
        max_concurrency: how many requests are served at once.
    """

    memory_mb: Literal[1024, 2048, 3072, 4096, 5120, 6144]
    max_concurrency: int = Field(ge=1, le=200)


class Asynchronous(Document):
    """An endpoint that takes its requests from S3 and puts the answers there.

    Attributes:
        max_concurrent_invocations: how many requests one instance works on at once; SageMaker's choice
            where it is left out.
        success_topic: the ARN of the SNS topic that hears of each answer.
        error_topic: the ARN of the SNS topic that hears of each request that failed.
    """

    max_concurrent_invocations: int | None = Field(default=None, ge=1, le=1000)
    success_topic: str | None = Field(default=None, max_length=2048)
    error_topic: str | None = Field(default=None, max_length=2048)

    @field_validator("success_topic", "error_topic")
    @classmethod
    def _arn_of_a_topic(cls, arn: str | None) -> str | None:
        if arn is not None and not _TOPIC_ARN.fullmatch(arn):
            example = "arn:aws:sns:eu-central-1:111122223333:answers"
            raise ValueError(f"is {arn!r}, no ARN of an SNS topic; write one such as {example}")
        return arn


class Rollout(Document):
    """How traffic moves from the old instances to the new ones.

    Attributes:
        strategy: canary (a share first, then the rest), linear (equal steps), rolling (instances are
            replaced in batches), or all at once.
        percent: canary's first share, linear's step or rolling's batch, in percent of the instances.
        instances: the same as a number of instances; one of the two is given.
        wait_seconds: how long each step is watched before the next, in seconds.
        termination_wait_seconds: how long the old instances stay after the last step, in seconds.
        timeout_seconds: when an update that has not ended is rolled back, in seconds.
    """

    strategy: Literal["canary", "linear", "rolling", "all_at_once"] = "all_at_once"
    percent: int | None = Field(default=None, ge=1, le=100)
    instances: int | None = Field(default=None, ge=1)
    wait_seconds: int = Field(default=0, ge=0, le=3600)
    termination_wait_seconds: int = Field(default=0, ge=0, le=3600)
    timeout_seconds: int | None = Field(default=None, ge=600, le=MAX_UPDATE_SECONDS)

    @model_validator(mode="after")
    def _has_the_size_of_its_steps(self) -> Rollout:
        given = [key for key in ("percent", "instances") if getattr(self, key) is not None]
        if self.strategy == "all_at_once":
            if given:
                raise ValueError(
                    f"has {' and '.join(given)} for strategy: all_at_once, which has no steps; leave "
                    f"{'it' if len(given) == 1 else 'them'} out, or write another strategy"
                )
            return self
        if len(given) != 1:
            have = "neither percent nor instances" if not given else "both percent and instances"
            raise ValueError(f"has {have} for strategy: {self.strategy}; write one of them")
        least, most = _SHARES[self.strategy]
        if self.percent is not None and not least <= self.percent <= most:
            raise ValueError(
                f"has percent: {self.percent} for strategy: {self.strategy}; write {least} to {most}"
            )
        # AWS's RollingUpdatePolicy has no such field: each batch's old instances go when it has baked.
        if self.strategy == "rolling" and self.termination_wait_seconds:
            raise ValueError(
                f"has termination_wait_seconds: {self.termination_wait_seconds} for strategy: rolling, which "
                "ends old instances batch by batch; leave it out, or write canary or linear"
            )
        return self

    def waits_seconds(self, count: int) -> int:
        """What the waits of an update of ``count`` instances add up to, in seconds."""
        return self._bakes(count) * self.wait_seconds + self.termination_wait_seconds

    def _bakes(self, count: int) -> int:
        if self.strategy == "all_at_once":
            return 1
        if self.strategy == "canary":
            # The canary is watched, and then, once all traffic has moved, the whole.
            return 2
        if self.instances is not None:
            return math.ceil(count / self.instances)
        # A step moves one instance at least.
        return min(count, math.ceil(100 / self.percent)) if self.percent is not None else 1


class Alarms(Document):
    """What rolls an update back. At least one threshold is given.

    Attributes:
        error_rate_percent: the share of requests that fail, in percent.
        p99_latency_ms: the latency that one request in a hundred exceeds, in milliseconds.
        period_seconds: the length of one period of measurement in seconds.
        periods: how many periods in a row must be above the threshold.
    """

    error_rate_percent: float | None = Field(default=None, gt=0, le=100)
    p99_latency_ms: float | None = Field(default=None, gt=0)
    period_seconds: int = 60
    periods: int = Field(default=1, ge=1, le=10)

    @field_validator("period_seconds")
    @classmethod
    def _period_of_cloudwatch(cls, seconds: int) -> int:
        # SageMaker publishes an endpoint's metrics once a minute.
        if seconds % 60 or not 60 <= seconds <= 3600:
            raise ValueError(f"is {seconds}; write a multiple of 60, at most 3600")
        return seconds

    @model_validator(mode="after")
    def _watches_something(self) -> Alarms:
        if self.error_rate_percent is None and self.p99_latency_ms is None:
            raise ValueError("has no threshold; write error_rate_percent, p99_latency_ms or both")
        return self


class Autoscaling(Document):
    """How the number of instances follows the load.

    Attributes:
        min: the fewest instances; 0 for asynchronous endpoints only.
        max: the most instances.
        invocations_per_instance: the requests per minute that one instance should get.
        backlog_per_instance: the waiting requests that one instance of an asynchronous endpoint should have.
        scale_in_cooldown_seconds: how long after a change no instance is taken away, in seconds.
        scale_out_cooldown_seconds: how long after a change no instance is added, in seconds.
    """

    min: int = Field(ge=0)
    max: int = Field(ge=1)
    invocations_per_instance: float | None = Field(default=None, gt=0)
    backlog_per_instance: float | None = Field(default=None, gt=0)
    scale_in_cooldown_seconds: int = Field(default=300, ge=0, le=3600)
    scale_out_cooldown_seconds: int = Field(default=60, ge=0, le=3600)

    @model_validator(mode="after")
    def _has_a_range_and_a_target(self) -> Autoscaling:
        if self.min > self.max:
            raise ValueError(f"has min: {self.min} above max: {self.max}; write a min that is at most max")
        if (self.invocations_per_instance is None) == (self.backlog_per_instance is None):
            have = "neither" if self.invocations_per_instance is None else "both"
            raise ValueError(
                f"has {have} of invocations_per_instance and backlog_per_instance; write the first for a "
                "real-time endpoint, the second for an asynchronous one"
            )
        return self


class Vpc(Document):
    """The network that the containers are attached to."""

    security_groups: list[Annotated[str, AfterValidator(security_group)]] = Field(min_length=1, max_length=5)
    subnets: list[Annotated[str, AfterValidator(subnet)]] = Field(min_length=1, max_length=16)


class DeploymentPolicy(Document):
    """Where and how a group's desired version is served.

    The order of the fields is the order in which they are held against each other: a field's validator
    sees those above it.

    Attributes:
        endpoint: the endpoint's name; the group's where it is left out.
        instances: the machines; one ``ml.m5.large`` where neither these nor ``serverless`` are given.
        serverless: serves without machines.
        asynchronous: takes requests from S3 instead of answering them at once.
        startup_timeout_seconds: how long a container may take until it answers, in seconds.
        alarms: what rolls an update back.
        rollout: how traffic moves to another version.
        autoscaling: how the number of instances follows the load.
        data_capture_percent: the share of requests and answers that are kept in S3, in percent.
        kms_key: the id, alias or ARN of the key for volumes, captures and asynchronous answers.
        vpc: the network that the containers are attached to.
        network_isolation: whether the containers can reach no network at all.
        tags: what is written on models, endpoint configs and endpoints.
        keep_releases: how many releases are kept as a way back.
        frozen: whether decisions are recorded only, and nothing is moved.
        when_nothing_is_approved: whether an endpoint stays when no version is approved any more.
    """

    endpoint: str | None = None
    instances: Instances | None = None
    serverless: Serverless | None = None
    asynchronous: Asynchronous | None = None
    startup_timeout_seconds: int = Field(default=STARTUP_TIMEOUT_SECONDS, ge=60, le=3600)
    alarms: Alarms | None = None
    rollout: Rollout = Field(default_factory=Rollout)
    autoscaling: Autoscaling | None = None
    data_capture_percent: int | None = Field(default=None, ge=0, le=100)
    kms_key: str | None = Field(default=None, max_length=2048)
    vpc: Vpc | None = None
    network_isolation: bool = False
    tags: dict[str, str] = Field(default={}, max_length=MAX_TAGS)
    keep_releases: int = Field(default=3, ge=1, le=20)
    frozen: bool = False
    when_nothing_is_approved: Literal["keep", "delete"] = "keep"

    @model_validator(mode="before")
    @classmethod
    def _something_serves(cls, content: Any) -> Any:
        if not isinstance(content, dict):
            return content
        if content.get("instances") is None and content.get("serverless") is None:
            return {**content, "instances": {}}
        return content

    @field_validator("endpoint")
    @classmethod
    def _name_for_sagemaker(cls, name: str | None) -> str | None:
        if name is not None and not SAGEMAKER_NAME.fullmatch(name):
            raise ValueError(
                f"is {name!r}, no name that SageMaker takes; use letters, digits and hyphens, at most 63"
            )
        return name

    @field_validator("serverless")
    @classmethod
    def _instances_or_serverless(
        cls, serverless: Serverless | None, info: ValidationInfo
    ) -> Serverless | None:
        if serverless is not None and info.data.get("instances") is not None:
            raise ValueError("stands beside instances; keep one of the two")
        return serverless

    # A serverless endpoint has no machines, and most of what is said of them has no place to go to in its
    # config: AWS lists these as features that serverless inference does not have.
    @field_validator(
        "asynchronous", "alarms", "autoscaling", "data_capture_percent", "kms_key", "vpc", "network_isolation"
    )
    @classmethod
    def _needs_instances(cls, value: T, info: ValidationInfo) -> T:
        # No isolation, or 0 percent captured, asks for nothing.
        if value not in (None, False, 0) and info.data.get("serverless") is not None:
            raise ValueError(_NOT_SERVERLESS)
        return value

    @field_validator("startup_timeout_seconds")
    @classmethod
    def _starts_instances(cls, seconds: int, info: ValidationInfo) -> int:
        # Serverless variants have no ContainerStartupHealthCheckTimeoutInSeconds.
        if seconds != STARTUP_TIMEOUT_SECONDS and info.data.get("serverless") is not None:
            raise ValueError(_NOT_SERVERLESS)
        return seconds

    @field_validator("alarms")
    @classmethod
    def _alarms_are_heard(cls, alarms: Alarms | None, info: ValidationInfo) -> Alarms | None:
        instances: Instances | None = info.data.get("instances")
        # Updates of Inf1 endpoints fall back to all at once without a bake, and say nothing of it.
        if alarms is not None and instances is not None and instances.family == "inf1":
            raise ValueError(
                f"are there for {instances.type}, whose updates SageMaker does not roll back for alarms; "
                "leave them out, or write another type, such as ml.inf2.xlarge"
            )
        return alarms

    @field_validator("rollout")
    @classmethod
    def _rolls_out(cls, rollout: Rollout, info: ValidationInfo) -> Rollout:
        if info.data.get("serverless") is not None:
            # Deployment guardrails are for real-time and asynchronous endpoints on instances.
            if rollout != Rollout():
                raise ValueError(
                    "asks for steps, waits or a timeout of a serverless endpoint, which is updated all at "
                    "once; leave it out, or write instances instead of serverless"
                )
            return rollout
        # The wait after an all-at-once shift is for alarms only; without any it would keep both fleets idly.
        if rollout.strategy == "all_at_once" and rollout.wait_seconds and _is_absent("alarms", info):
            raise ValueError(
                f"has wait_seconds: {rollout.wait_seconds} for strategy: all_at_once and no alarms to watch "
                "meanwhile; add alarms, or leave wait_seconds out (termination_wait_seconds keeps the old "
                "instances for a while)"
            )
        instances: Instances | None = info.data.get("instances")
        if instances is not None:
            _check_steps(rollout, instances)
            _check_waits(rollout, instances.count)
        return rollout

    @field_validator("autoscaling")
    @classmethod
    def _scales_what_is_there(cls, scaling: Autoscaling | None, info: ValidationInfo) -> Autoscaling | None:
        if scaling is None:
            return None
        instances: Instances | None = info.data.get("instances")
        if instances is not None and not scaling.min <= instances.count <= scaling.max:
            raise ValueError(
                f"has the range {scaling.min} to {scaling.max}, and instances.count is {instances.count}; "
                "write a count within the range, with which an endpoint starts"
            )
        if info.data.get("asynchronous") is not None:
            if scaling.backlog_per_instance is None:
                raise ValueError(
                    "has invocations_per_instance for an asynchronous endpoint, whose load is the backlog; "
                    "write backlog_per_instance"
                )
        elif _is_absent("asynchronous", info):
            if scaling.invocations_per_instance is None:
                raise ValueError(
                    "has backlog_per_instance for a real-time endpoint, which has no backlog; write "
                    "invocations_per_instance, or add asynchronous"
                )
            # Requests wait in a queue for the first instance only where there is a queue.
            if scaling.min == 0:
                raise ValueError("has min: 0 for a real-time endpoint; write 1 or more, or add asynchronous")
        return scaling

    @model_validator(mode="after")
    def _alarms_have_time_to_go_off(self) -> DeploymentPolicy:
        """An alarm that cannot go off before an update is over guards nothing, and would seem to."""
        if self.alarms is None or self.instances is None:
            return self
        needs = self.alarms.period_seconds * self.alarms.periods
        if self.rollout.wait_seconds < needs:
            raise ValueError(
                f"has alarms that need {needs} seconds to go off, and rollout.wait_seconds is "
                f"{self.rollout.wait_seconds}: they would never roll anything back; write wait_seconds: "
                f"{needs} or more, or fewer or shorter periods"
            )
        return self

    @model_validator(mode="after")
    def _scaled_instances_have_room_for_steps(self) -> DeploymentPolicy:
        """An update keeps the instances that autoscaling has left, and takes its steps of those."""
        scaling, rollout = self.autoscaling, self.rollout
        if scaling is None or self.instances is None or rollout.strategy == "all_at_once":
            return self
        try:
            _check_steps(rollout, self.instances.model_copy(update={"count": scaling.min}))
        except ValueError as problem:
            raise ValueError(
                f"leaves {scaling.min} instances to autoscaling, and rollout {problem}"
            ) from None
        return self

    @field_validator("kms_key")
    @classmethod
    def _key_that_encrypts(cls, key: str | None, info: ValidationInfo) -> str | None:
        if key is None:
            return None
        kms_key(key)
        instances: Instances | None = info.data.get("instances")
        # Such disks are encrypted by the machine's own hardware module, never with the config's KmsKeyId.
        if instances is not None and instances.has_local_storage:
            raise ValueError(
                f"is there for {instances.type}, whose local storage is not encrypted with it but with a key "
                "of its hardware; leave kms_key out, or write a type without local storage, such as "
                "ml.m5.large"
            )
        return key

    @field_validator("tags")
    @classmethod
    def _tags_for_sagemaker(cls, tags: dict[str, str]) -> dict[str, str]:
        return checked_tags(tags, _RESERVED_TAGS)

    @cached_property
    def digest(self) -> str:
        """Names what this policy says about serving: equal exactly when the same model and config follow."""
        serving = self.model_dump(mode="json", include=_SERVING, exclude_none=True)
        if not self.data_capture_percent:
            serving.pop("data_capture_percent", None)
        text = json.dumps(serving, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def instance_type(self) -> str:
        """The type that the prebuilt image is chosen for; serverless endpoints have CPUs only."""
        return self.instances.type if self.instances is not None else "ml.m5.large"


def _is_absent(field: str, info: ValidationInfo) -> bool:
    """Whether a field was left out; one that is wrong is not there either, but has its own error."""
    return field in info.data and info.data[field] is None


def _check_steps(rollout: Rollout, instances: Instances) -> None:
    """Raises ValueError when the instances cannot be taken in such steps."""
    strategy, count = rollout.strategy, instances.count
    if strategy == "all_at_once":
        return
    if instances.family == "inf1":
        raise ValueError(
            f"has strategy: {strategy} for {instances.type}, which SageMaker updates all at once whatever is "
            "asked; write strategy: all_at_once, or another type, such as ml.inf2.xlarge"
        )
    if count == 1:
        raise ValueError(
            f"has strategy: {strategy} for one instance, which has no part to begin with; write count: 2 or "
            "more, or strategy: all_at_once"
        )
    # A percent is held against its limits in Rollout. Where it comes to less than one instance AWS takes one,
    # which of two or more is half of them at most.
    if rollout.instances is None:
        return
    least, most = _SHARES[strategy]
    if not least * count <= rollout.instances * 100 <= most * count:
        low, high = max(1, math.ceil(least * count / 100)), most * count // 100
        raise ValueError(
            f"has instances: {rollout.instances} of {count} for strategy: {strategy}, which takes {least} to "
            f"{most} percent of them; write {low if low == high else f'{low} to {high}'}"
        )


def _check_waits(rollout: Rollout, count: int) -> None:
    """Raises ValueError when an update would time out while it only waits."""
    waits = rollout.waits_seconds(count)
    if rollout.timeout_seconds is not None and rollout.timeout_seconds <= waits:
        raise ValueError(
            f"has timeout_seconds: {rollout.timeout_seconds}, and its waits alone add up to {waits}; write "
            "more than that, or shorter waits"
        )
    if waits >= MAX_UPDATE_SECONDS:
        raise ValueError(
            f"has waits that add up to {waits} seconds, and SageMaker ends an update after "
            f"{MAX_UPDATE_SECONDS}; write shorter waits, or fewer steps"
        )


class ImagePolicy(Document):
    """What images of one's own must show.

    Attributes:
        max_severity: the worst finding of ECR's scan that is allowed, such as HIGH; NONE allows none. The
            default policy's decides whether an image is published, a group's whether it may serve there.
    """

    max_severity: MaxSeverity | None = None


class TrainingPolicy(Document):
    """What is trained anew by itself.

    Attributes:
        image: the name of an image of one's own. When a new build of it is published, the group's last
            completed training is started again with it.
    """

    image: str | None = Field(default=None, max_length=100)

    @field_validator("image")
    @classmethod
    def _name_of_an_image(cls, image: str | None) -> str | None:
        if image is not None and not _IMAGE.fullmatch(image):
            raise ValueError(
                f"is {image!r}, no name of an image; write the name alone, as modelgate build has it: "
                "decision-trees"
            )
        return image


class Policy(Document):
    """`policies/<group>.yaml`."""

    gate: GatePolicy = Field(default_factory=GatePolicy)
    deployment: DeploymentPolicy = Field(default_factory=DeploymentPolicy)
    image: ImagePolicy = Field(default_factory=ImagePolicy)
    training: TrainingPolicy = Field(default_factory=TrainingPolicy)


@dataclass(frozen=True)
class GroupPolicy:
    """The policy that holds for a group.

    Attributes:
        group: the group.
        policy: what it says.
        own: whether it is the group's own, and not the default one.
        uploaded: the S3 version of its document.
    """

    group: str
    policy: Policy
    own: bool
    uploaded: str = ""

    @property
    def name(self) -> str:
        """What its document is called after."""
        return self.group if self.own else DEFAULT

    @property
    def endpoint(self) -> str:
        """The endpoint's name, in the spelling that people chose."""
        return self.policy.deployment.endpoint or self.group


def read_policy(text: bytes, name: str) -> Policy:
    """Reads a policy; ``name`` is the group's, or `DEFAULT`.

    Raises:
        Refused: with every problem of the document.
    """
    document = key_of(name)
    policy = documents.read(text, Policy, document)
    if name == DEFAULT and policy.deployment.endpoint is not None:
        found = "names an endpoint, which all groups without a policy would share"
        raise Refused(Problem(f"{document}: deployment.endpoint", found, "name it in a group's own policy"))
    if name == DEFAULT and policy.training.image is not None:
        found = "names an image, with which all groups without a policy would be trained anew"
        raise Refused(Problem(f"{document}: training.image", found, "name it in a group's own policy"))
    return policy
