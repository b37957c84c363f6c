"""What the environment tells a function, validated at first use."""

from __future__ import annotations

import re
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, TypeVar

from modelgate.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

_PREFIX = "MODELGATE_"
_ARNS = {
    "sagemaker_arn": re.compile(r"arn:[^:]+:sagemaker:[^:]+:[0-9]{12}"),
    "execution_role_arn": re.compile(r"arn:[^:]+:iam::[0-9]{12}:role/.+"),
    "training_role_arn": re.compile(r"arn:[^:]+:iam::[0-9]{12}:role/.+"),
    "studio_role_arn": re.compile(r"arn:[^:]+:iam::[0-9]{12}:role/.+"),
}


@dataclass(frozen=True)
class FunctionSettings:
    """What every function is told.

    Attributes:
        stack: the stack's name; the tag ``modelgate:stack`` on what Modelgate makes has it as its value.
        bucket: the intake bucket.
        table: the table that holds the state.
        bus: the bus for announcements.
        sagemaker_arn: what the ARNs of this account and region in SageMaker begin with.
        kms_key_arn: what encrypts the repositories that a function makes; empty for ECR's own key.
    """

    stack: str
    bucket: str
    table: str
    bus: str
    sagemaker_arn: str
    kms_key_arn: str = ""

    @property
    def partition(self) -> str:
        return self.sagemaker_arn.split(":")[1]

    @property
    def region(self) -> str:
        return self.sagemaker_arn.split(":")[3]

    @property
    def account(self) -> str:
        return self.sagemaker_arn.split(":")[4]


@dataclass(frozen=True)
class DeploymentSettings:
    """What the functions that move endpoints are told besides: the role of SageMaker's containers."""

    execution_role_arn: str


@dataclass(frozen=True)
class TrainingSettings:
    """What the functions that start training jobs are told besides: the role of those jobs."""

    training_role_arn: str


@dataclass(frozen=True)
class StudioSettings:
    """What the functions that keep Studio are told besides.

    Attributes:
        studio_role_arn: the role of documents that name none.
        own_roles: the names of the roles under which Modelgate calls Studio itself, with commas between them.
    """

    studio_role_arn: str
    own_roles: str = ""


@dataclass(frozen=True)
class BuildSettings:
    """What the functions that build images are told besides.

    Attributes:
        builder: the name of the stack's project in CodeBuild.
    """

    builder: str


S = TypeVar("S", FunctionSettings, DeploymentSettings, TrainingSettings, StudioSettings, BuildSettings)


def read(model: type[S], environ: Mapping[str, str]) -> S:
    """Reads ``MODELGATE_*``.

    Raises:
        RuntimeError: a variable is missing or wrong; it names each, because a stack that was deployed
            with a wrong template is mended by whoever deploys it.
    """
    given, wrong = {}, []
    for field in fields(model):
        variable = f"{_PREFIX}{field.name.upper()}"
        value = environ.get(variable, "")
        arn = _ARNS.get(field.name)
        if value:
            given[field.name] = value
            if arn and not arn.fullmatch(value):
                wrong.append(f"{variable} is {value!r}, which is not like {arn.pattern}")
        elif field.default is MISSING:
            wrong.append(f"{variable} is missing, or empty")
    if wrong:
        raise RuntimeError(f"the function's environment is wrong: {'; '.join(wrong)}")
    return model(**given)
