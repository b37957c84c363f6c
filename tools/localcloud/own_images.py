"""Images of the local cloud's own ECR, as execution roles see them.

A model serves the images that its tags meant when it was made.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from botocore.exceptions import ClientError

from localcloud.calls import Caller
from localcloud.errors import invalid


class Registry(Protocol):
    """The local cloud's own ECR."""

    def holds(self, uri: str) -> bool:
        """Whether an image's URI is one of this registry's."""

    def auth_config(self, caller: Caller) -> dict[str, str]:
        """What docker-py takes to pull with the rights of ``caller``."""


class OwnImages:
    """Finds images. Roles are told by their ARNs.

    Args:
        caller_of: who calls with a role.
        client_of: a boto3 client with the rights of a role.
    """

    def __init__(
        self,
        registry: Registry,
        caller_of: Callable[[str], Caller],
        client_of: Callable[[str, str], Any],
    ) -> None:
        self._registry = registry
        self._caller_of = caller_of
        self._client_of = client_of

    def include(self, image: str) -> bool:
        """Whether an image is one of these, there or not."""
        return self._registry.holds(image)

    def auth_config(self, role: str) -> dict[str, str]:
        """What docker-py takes to pull with the rights of a role."""
        return self._registry.auth_config(self._caller_of(role))

    def resolved(self, image: str, role: str) -> str:
        """The image by its digest; as it was given, if it is of another registry.

        Raises:
            ServiceError: it is not there, or the role may not have it.
        """
        if not self.include(image):
            return image
        name, _, digest = image.partition("@")
        registry, _, path = name.partition("/")
        repository, _, tag = path.partition(":")
        wanted = {"imageDigest": digest} if digest else {"imageTag": tag or "latest"}
        try:
            answer = self._client_of(role, "ecr").batch_get_image(
                repositoryName=repository, imageIds=[wanted]
            )
        except ClientError as error:
            if error.response["Error"]["Code"] == "AccessDeniedException":
                message = (
                    f"The role '{role}' does not have BatchGetImage permission for the image: '{image}'."
                )
                raise invalid(message) from error
            raise invalid(f"Requested image {image} not found.") from error
        if not answer["images"]:
            raise invalid(f"Requested image {image} not found.")
        return f"{registry}/{repository}@{answer['images'][0]['imageId']['imageDigest']}"
