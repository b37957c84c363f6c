"""How SageMaker refuses what cannot be done in Studio.

The sentence of what "is associated with" something was reported of user profiles and their apps; the same
is said of the others. Whatever else stands here is in our words.
"""

from __future__ import annotations

from localcloud.errors import ServiceError, invalid
from localcloud.sagemaker.studio.entities import Entity
from localcloud.sagemaker.studio.states import IN_PROGRESS


def in_use(message: str) -> ServiceError:
    """Something stands in the way that may go away."""
    return ServiceError("ResourceInUse", message)


def not_found(kind: str, arn: str) -> ServiceError:
    """There is no such thing."""
    return ServiceError("ResourceNotFound", f"{kind} [{arn}] does not exist.")


def exists_already(kind: str, arn: str) -> ServiceError:
    """The name is taken."""
    return in_use(f"{kind} [{arn}] already exists.")


def associated(entity: Entity, kinds: str) -> ServiceError:
    """What is to be deleted is still needed by others, such as ``App(s)``."""
    return in_use(f"Unable to delete {entity.kind} [{entity.arn}] because {kinds} are associated with it.")


def in_status(doing: str, entity: Entity) -> ServiceError:
    """Nothing of the kind is done in the state that something is in."""
    message = f"Unable to {doing} {entity.kind} [{entity.arn}] in status {entity.status}."
    return in_use(message) if entity.status in IN_PROGRESS else invalid(message)


def needs_in_service(what: str, entity: Entity) -> ServiceError:
    """Something else can only be made when this is InService."""
    message = f"Unable to create {what}: {entity.kind} [{entity.arn}] is {entity.status}, not InService."
    return in_use(message) if entity.status in IN_PROGRESS else invalid(message)
