"""What the environment tells a function, validated at first use."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

if TYPE_CHECKING:
    from collections.abc import Mapping

_PREFIX = "MODELGATE_"


class FunctionSettings(BaseModel):
    """What every function is told.

    Attributes:
        stack: the stack's name; the tag ``modelgate:stack`` on what Modelgate makes has it as its value.
        bucket: the intake bucket.
        table: the table that holds the state.
        bus: the bus for announcements.
        sagemaker_arn: what the ARNs of this account and region in SageMaker begin with.
        kms_key_arn: what encrypts the repositories that a function makes; empty for ECR's own key.
    """

    model_config = ConfigDict(frozen=True)

    stack: str = Field(min_length=1)
    bucket: str = Field(min_length=1)
    table: str = Field(min_length=1)
    bus: str = Field(min_length=1)
    sagemaker_arn: str = Field(pattern=r"^arn:[^:]+:sagemaker:[^:]+:\d{12}$")
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


class DeploymentSettings(FunctionSettings):
    """What the functions that move endpoints are told besides: the role of SageMaker's containers."""

    execution_role_arn: str = Field(pattern=r"^arn:[^:]+:iam::\d{12}:role/.+$")


class BuildSettings(FunctionSettings):
    """What the functions that build images are told besides.

    Attributes:
        builder: the name of the stack's project in CodeBuild.
    """

    builder: str = Field(min_length=1)


S = TypeVar("S", bound=FunctionSettings)


def read(model: type[S], environ: Mapping[str, str]) -> S:
    """Reads ``MODELGATE_*``.

    Raises:
        RuntimeError: a variable is missing or wrong; it names each, because a stack that was deployed
            with a wrong template is mended by whoever deploys it.
    """
    given = {
        name: environ[_PREFIX + name.upper()]
        for name in model.model_fields
        if _PREFIX + name.upper() in environ
    }
    try:
        return model.model_validate(given)
    except ValidationError as error:
        wrong = ", ".join(f"{_PREFIX}{str(each['loc'][0]).upper()}: {each['msg']}" for each in error.errors())
        raise RuntimeError(f"the function's environment is wrong: {wrong}") from error
