"""What a group demands of a version (gate), and where and how it is served (deployment)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from pydantic import Field, field_validator, model_validator

from modelgate import documents
from modelgate.documents import Document
from modelgate.errors import Problem, Refused
from modelgate.submission import SAGEMAKER_NAME

DEFAULT = "default"


def key_of(name: str) -> str:
    """Where the policy of a group, or the default one, lies in the bucket."""
    return f"policies/{name}.yaml"


class Threshold(Document):
    """What is demanded of one metric.

    Attributes:
        name: the metric, as manifests call it.
        goal: whether more of it is better.
        at_least: the lowest value that passes, for a metric to maximize.
        at_most: the highest value that passes, for a metric to minimize.
        champion_tolerance: how much worse than the live version's value still passes, in the metric's unit.
    """

    name: str = Field(min_length=1)
    goal: Literal["maximize", "minimize"]
    at_least: float | None = None
    at_most: float | None = None
    champion_tolerance: float | None = None

    @field_validator("at_least", "at_most", "champion_tolerance")
    @classmethod
    def _not_negative(cls, value: float | None) -> float | None:
        if value is not None and value < 0:
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


class GatePolicy(Document):
    """What a version must show before it is registered."""

    metrics: list[Threshold] = Field(default=[], max_length=25)

    @field_validator("metrics")
    @classmethod
    def _each_metric_once(cls, metrics: list[Threshold]) -> list[Threshold]:
        names = [threshold.name for threshold in metrics]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"names {', '.join(twice)} more than once; keep one entry for each metric")
        return metrics


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


class DeploymentPolicy(Document):
    """Where and how a group's desired version is served."""

    endpoint: str | None = None
    instances: Instances = Instances()
    startup_timeout_seconds: int = Field(default=600, ge=60, le=3600)

    @field_validator("endpoint")
    @classmethod
    def _name_for_sagemaker(cls, name: str | None) -> str | None:
        if name is not None and not SAGEMAKER_NAME.fullmatch(name):
            raise ValueError(
                f"is {name!r}, no name that SageMaker takes; use letters, digits and hyphens, at most 63"
            )
        return name

    @cached_property
    def digest(self) -> str:
        """Names what this policy says about serving: equal exactly when the same endpoint config follows."""
        serving = self.model_dump_json(exclude={"endpoint"})
        return hashlib.sha256(serving.encode()).hexdigest()[:12]


class Policy(Document):
    """`policies/<group>.yaml`."""

    gate: GatePolicy = GatePolicy()
    deployment: DeploymentPolicy = DeploymentPolicy()


@dataclass(frozen=True)
class GroupPolicy:
    """The policy that holds for a group.

    Attributes:
        group: the group.
        policy: what it says.
        own: whether it is the group's own, and not the default one.
    """

    group: str
    policy: Policy
    own: bool

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
    return policy
