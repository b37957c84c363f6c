"""The containers of models and of model packages: what SageMaker refuses of them, and what is started.

"ContainerDefinition" and "ModelPackageContainerDefinition" in the Amazon SageMaker API Reference.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from localcloud.errors import ServiceError, invalid
from localcloud.model_data import ModelData, model_data

_MOST = 15
_MOST_VARIABLES_OF_A_PACKAGE = 16
_NOT_SIMULATED = ("AdditionalModelDataSources", "InferenceSpecificationName")

# As a request has it.
Definition = Mapping[str, Any]


@dataclass(frozen=True)
class Container:
    """A container that a model is served by.

    Attributes:
        hostname: its name in an inference pipeline; None if it is alone.
    """

    image: str
    data: ModelData | None
    environment: Mapping[str, str]
    hostname: str | None


def refuse_of_package(containers: Sequence[Definition]) -> None:
    """Refuse what SageMaker refuses of the containers of a package.

    Raises:
        ServiceError: it refuses them.
    """
    for container in containers:
        if len(container.get("Environment") or {}) > _MOST_VARIABLES_OF_A_PACKAGE:
            raise invalid(
                f"The Environment of a container of a ModelPackage may have at most "
                f"{_MOST_VARIABLES_OF_A_PACKAGE} entries."
            )
    _refuse(containers)


def defined_in(model: Mapping[str, Any]) -> list[Definition]:
    """The definitions that a model was created with, the primary one first."""
    primary = model.get("PrimaryContainer")
    return [primary] if primary is not None else list(model.get("Containers", []))


def resolved(model: Mapping[str, Any], of_package: Callable[[str], Sequence[Definition]]) -> list[Container]:
    """What a model is served by, in the order in which requests go through it.

    Args:
        of_package: the definitions of a package, by its name or ARN.

    Raises:
        ServiceError: SageMaker refuses it.
    """
    found: list[Definition] = []
    for definition in defined_in(model):
        name = definition.get("ModelPackageName")
        found += _from_package(definition, of_package(name)) if name else [definition]
    _refuse(found)
    alone = len(found) == 1
    return [
        Container(
            image=_image(definition),
            data=model_data(definition),
            environment=definition.get("Environment") or {},
            hostname=None if alone else str(definition.get("ContainerHostname") or f"container-{position}"),
        )
        for position, definition in enumerate(found, start=1)
    ]


def _from_package(definition: Definition, packaged: Sequence[Definition]) -> list[Definition]:
    """A package's definitions, with what the model says for itself."""
    environment = definition.get("Environment")
    if not environment:
        return list(packaged)
    if len(packaged) > 1:
        # Which of them it would be for is documented nowhere.
        raise invalid("Environment cannot be given for a ModelPackage that has more than one container.")
    return [{**packaged[0], "Environment": {**(packaged[0].get("Environment") or {}), **environment}}]


def _image(definition: Definition) -> str:
    if not definition.get("Image"):
        raise invalid("A container needs an Image or a ModelPackageName.")
    return str(definition["Image"])


def _refuse(containers: Sequence[Definition]) -> None:
    if len(containers) > _MOST:
        raise invalid(f"A model may have at most {_MOST} containers.")
    for container in containers:
        for member in _NOT_SIMULATED:
            if container.get(member):
                raise ServiceError("NotImplemented", f"{member} is not simulated in the local cloud.", 501)
        if container.get("Mode", "SingleModel") != "SingleModel":
            raise ServiceError("NotImplemented", "Mode MultiModel is not simulated in the local cloud.", 501)
        model_data(container)
    names = [container["ContainerHostname"] for container in containers if container.get("ContainerHostname")]
    if len(containers) > 1 and names:
        if len(names) < len(containers):
            raise invalid("ContainerHostname must be given for every container of a pipeline, or for none.")
        if len(set(names)) < len(names):
            raise invalid("The ContainerHostname of each container of a pipeline must be unique.")
