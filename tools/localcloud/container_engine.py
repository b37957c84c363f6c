"""The machine's Docker Engine as one local cloud uses it, for whatever it runs there.

What it makes is labelled, has what an instance has and no more, and is gone in the end: also what one has
left that was killed.
"""

from __future__ import annotations

import codecs
import os
import socket
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any

from localcloud.engine import Engine, NoEngineError
from localcloud.errors import ServiceError
from localcloud.instance_types import instance
from localcloud.own_images import OwnImages
from localcloud.serving import PREBUILT

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container
    from docker.models.images import Image

_OWNER = "modelgate.localcloud"
# It ends at once, unless the engine itself is in trouble.
_KILLED_SECONDS = 30.0


class NoImageError(Exception):
    """There is nothing to run. The message says why, and where it was looked for."""


class NotPulledError(Exception):
    """An image of the local cloud's own ECR is not there, or the role may not have it, as it says."""


class ContainerEngine:
    """What the containers of a local cloud, or of a process without one, share.

    Args:
        owner: whose they are: a local cloud is known by its port. Without one, they are this process's, which
            may have several of these.
        own_images: those of the local cloud's own ECR, if there is one.

    Attributes:
        labels: of everything that is made here.
    """

    def __init__(self, engine: Engine, own_images: OwnImages | None = None, *, owner: str = "") -> None:
        self.engine = engine
        self._own_images = own_images
        self._owner = owner or _this_process()
        self.labels = {_OWNER: self._owner}
        self._lock = Lock()
        self._machine: Mapping[str, Any] = {}
        self._pulled: set[str] = set()

    def client(self, image: str) -> DockerClient:
        """The engine's, to run an image; whatever was left there is gone.

        Raises:
            NoImageError: there is no engine.
            DockerException, RequestException: it does not answer.
        """
        try:
            client = self.engine.client
        except NoEngineError as error:
            if self._is_own(image):
                raise NoImageError(f"The image {image} cannot be run: {error}.") from error
            raise NoImageError(f"{_nothing_for(image)}: {error}.") from error
        with self._lock:
            if not self._machine:
                self._remove_leftovers(client)
                self._machine = client.info()
        return client

    def image(self, client: DockerClient, name: str, role: str) -> Image:
        """The image, pulled with the rights of a role if it is the local cloud's own.

        Raises:
            NoImageError, NotPulledError: there is none for the role.
        """
        from docker.errors import APIError, ImageNotFound

        try:
            there = client.images.get(name)
        except ImageNotFound:
            there = None
        own = self._own_images
        if own is None or not own.include(name):
            if there is None:
                raise NoImageError(f"{_nothing_for(name)}, which has none of this name.")
            return there
        try:
            # The engine does not ask the registry again for what it has pulled before.
            own.resolved(name, role)
            client.images.pull(name, auth_config=own.auth_config(role))
        except (ServiceError, APIError) as error:
            why = error.message if isinstance(error, ServiceError) else explanation(error)
            raise NotPulledError(why) from error
        if there is None:
            self._pulled.add(name)
        return client.images.get(name)

    def limits(self, instance_type: str | None, memory_mb: int | None = None) -> dict[str, Any]:
        """What an instance has, or this machine, if that is less; as docker-py takes it.

        Args:
            memory_mb: where there is no instance. How many vCPUs a serverless endpoint has is told nowhere,
                but that they grow with its memory.
        """
        has = instance(instance_type) if instance_type is not None else None
        memory = has.memory if has is not None else (memory_mb or 0) << 20
        limits: dict[str, Any] = {}
        if memory:
            memory = min(memory, self._machine["MemTotal"])
            # Instances do not swap.
            limits |= {"mem_limit": memory, "memswap_limit": memory, "shm_size": memory // 2}
        if has is not None:
            limits["nano_cpus"] = min(has.vcpus, self._machine["NCPU"]) * 10**9
        return limits

    def close(self) -> None:
        """Remove the images that were pulled. All containers are gone."""
        if not self._machine:
            return
        for image in self._pulled:
            with ignored():
                # What it was built from may be the cache of the next build.
                self.engine.client.images.remove(image, noprune=True)

    def _is_own(self, image: str) -> bool:
        return self._own_images is not None and self._own_images.include(image)

    def _remove_leftovers(self, client: DockerClient) -> None:
        """What somebody of this name has left who was not stopped but killed, or a process that is gone."""
        ours: Any = {"label": _OWNER}
        for container in client.containers.list(all=True, filters=ours, ignore_removed=True):
            if self._is_left(container.labels):
                with ignored():  # another process does the same
                    container.remove(force=True, v=True)
        for network in client.networks.list(filters=ours):
            if self._is_left(network.attrs["Labels"]):
                with ignored():
                    network.remove()

    def _is_left(self, labels: Mapping[str, str]) -> bool:
        owner = labels[_OWNER]
        return owner == self._owner or _is_gone(owner)


def _this_process() -> str:
    return f"{socket.gethostname()}/{os.getpid()}/{uuid.uuid4().hex[:8]}"


def _is_gone(owner: str) -> bool:
    """Whether it is a process of this machine that has ended."""
    machine, *of_process = owner.split("/")
    if machine != socket.gethostname() or not of_process:
        return False
    try:
        os.kill(int(of_process[0]), 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # somebody else's
        return False
    return False


def _nothing_for(image: str) -> str:
    return (
        f"The local cloud has no stand-in for the image {image}; it has some for {', '.join(PREBUILT)}. "
        "Other images are run from its own ECR, or from the image store of the machine's Docker Engine"
    )


@dataclass(frozen=True)
class Ended:
    """How a container ended.

    Attributes:
        code: 128 + N after signal N.
        starved_at: the MiB that it has, if it or a process in it was killed because it needs more.
        told_to: whether it was.
    """

    code: int
    starved_at: int | None
    told_to: bool


class FollowedContainer:
    """A container that is followed from its start to its end.

    Args:
        container: it is made, and not started.
        write: called with each line that it writes.
        ended: called before `is_up` tells that it is not any more; with None if the engine does not tell how
            it ended.
    """

    def __init__(
        self, container: Container, write: Callable[[str], None], ended: Callable[[Ended | None], None]
    ) -> None:
        self.container = container
        self._write = write
        self._ended = ended
        self._told_to_end = False
        self._reader = Thread(target=self._follow, daemon=True)

    def start(self) -> None:
        """
        Raises:
            DockerException, RequestException: the engine cannot start it.
        """
        self.container.start()
        self.container.reload()
        self._reader.start()

    def is_up(self) -> bool:
        """Whether it has not ended yet, or not all was read that it wrote."""
        return self._reader.is_alive()

    def wait(self) -> None:
        """Return when it has ended, if it was started."""
        if self._reader.ident is not None:
            self._reader.join()

    def terminate(self, grace: float) -> None:
        """SIGTERM, and SIGKILL ``grace`` seconds later. Returns when it has ended."""
        if self.is_up():
            self._told_to_end = True
            with ignored():
                self.container.kill("SIGTERM")
            self._reader.join(grace)
        if self.is_up():
            with ignored():
                self.container.kill("SIGKILL")
            self._reader.join(_KILLED_SECONDS)

    def remove(self) -> None:
        """Nothing is left of it."""
        with ignored():
            self.container.remove(force=True, v=True)

    def _follow(self) -> None:
        end = None
        try:
            # Both outputs in one, until the container ends.
            for line in lines(self.container.logs(stream=True, follow=True)):
                self._write(line)
            code = self.container.wait()["StatusCode"]
            self.container.reload()
            memory = self.container.attrs["HostConfig"]["Memory"] >> 20
            starved = memory and self.container.attrs["State"]["OOMKilled"]
            end = Ended(code, memory if starved else None, self._told_to_end)
        except trouble() as error:
            self._write(f"The Docker Engine tells no more of this container: {explanation(error)}")
        self._ended(end)


def lines(pieces: Iterable[bytes]) -> Iterator[str]:
    """The lines of what comes in pieces, each as soon as it ends."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    rest = ""
    for piece in pieces:
        *whole, rest = (rest + decoder.decode(piece)).split("\n")
        yield from whole
    rest += decoder.decode(b"", final=True)
    if rest:
        yield rest


def trouble() -> tuple[type[Exception], ...]:
    """What docker-py raises: the engine's refusals, and that it does not answer."""
    from docker.errors import DockerException
    from requests import RequestException

    return DockerException, RequestException


def explanation(error: BaseException) -> str:
    """The engine's own words, where there are some."""
    return str(getattr(error, "explanation", None) or error).strip()


@contextmanager
def ignored() -> Iterator[None]:
    """What has gone already, or went with its engine, need not be ended again."""
    with suppress(*trouble()):
        yield
