"""The machine's Docker Engine, where it has one.

Everything else of the local cloud works without it, so it is looked for when it is first needed.
"""

from __future__ import annotations

from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING

from localcloud.errors import LocalCloudError

if TYPE_CHECKING:
    from docker import DockerClient


class NoEngineError(LocalCloudError):
    """No Docker Engine answers. The message says so, and what would help."""


class Engine:
    """The Docker Engine that DOCKER_HOST names, or that of this machine."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._client: DockerClient | None = None

    @property
    def client(self) -> DockerClient:
        """One for everybody, made when it is first asked for; who finds no engine may ask again later.

        Raises:
            NoEngineError: there is none.
        """
        with self._lock:
            if self._client is None:
                self._client = _connected()
            return self._client

    def forget(self, registry: str) -> None:
        """Take away the names that images have in a registry that is going; their layers stay, as a cache."""
        with self._lock:
            client = self._client
        if client is None:
            return
        from docker.errors import DockerException

        with suppress(DockerException, OSError):  # the engine has gone, or somebody else took one away
            names = [name for image in client.images.list() for name in image.tags]
            for name in names:
                if name.startswith(f"{registry}/"):
                    client.images.remove(name, noprune=True)

    def close(self) -> None:
        """Close the connections to it."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()


def _connected() -> DockerClient:
    import docker  # takes a while, and most local clouds never run a container
    from docker.errors import DockerException

    try:
        # This asks for the engine's version, so that it has answered once.
        return docker.from_env()
    except DockerException as error:
        raise NoEngineError(
            f"no Docker Engine answers ({error}): install and start one, or set DOCKER_HOST; "
            "images are built and run by it, and all else works without"
        ) from error
