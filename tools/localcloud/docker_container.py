"""Containers of one's own images, run by the machine's Docker Engine as SageMaker runs them.

"Custom inference code with hosting services" in the SageMaker Developer Guide: ``docker run IMAGE serve``.
"Run Real-time Predictions with an Inference Pipeline" there: containers of a pipeline listen where
SAGEMAKER_BIND_TO_PORT says, and their images promise that with a label.

Not documented there: which variables SageMaker adds, here those that tell the region; and that the model's
data are read-only, which the sources of AWS's own containers say. Of ``/dev/shm`` no more is known than that
training jobs have half of the memory for it, as tmpfs has by default.
"""

from __future__ import annotations

import codecs
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any

from localcloud.engine import Engine, NoEngineError
from localcloud.errors import ServiceError
from localcloud.instance_types import instance
from localcloud.own_images import OwnImages
from localcloud.serving import PREBUILT, ContainerError, ContainerSpec

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container
    from docker.models.images import Image

_PORT = 8080
# Any but 8080: in a pipeline, who does not listen where it is told to is not heard.
_PORT_IN_PIPELINES = 8081
_SAFE_PORTS = "9000-9999"
_LISTENS_AS_TOLD = "com.amazonaws.sagemaker.capabilities.accept-bind-to-port"
_OF_CLOUD = "modelgate.localcloud"
# It ends at once, unless the engine itself is in trouble.
_KILLED_SECONDS = 30.0
# Nothing listens there.
_NOWHERE = ("127.0.0.1", 0)


class DockerContainer:
    """A `localcloud.serving.Running`: a container of the engine's.

    Args:
        container: it is made, and not started.
        port: the one in the container.
        network: the network without a way out that it is attached to; None if its port is published.
        write: called with each line that it writes, and with how it ended if nobody told it to.
    """

    def __init__(
        self, container: Container, port: int, network: str | None, write: Callable[[str], None]
    ) -> None:
        self._container = container
        self._write = write
        self._told_to_end = False
        self._address = _NOWHERE
        self._reader = Thread(target=self._read_output, daemon=True)
        try:
            container.start()
            container.reload()
        except _trouble() as error:
            # Of an image without what "serve" could start, SageMaker too says so in the container's log.
            write(_explanation(error))
            return
        self._reader.start()
        self._address = _address(container.attrs["NetworkSettings"], port, network)

    @property
    def address(self) -> tuple[str, int]:
        """The host and the port that it is asked at."""
        return self._address

    def is_up(self) -> bool:
        """Whether it has not ended yet."""
        return self._reader.is_alive()

    def stop(self, grace: float) -> None:
        """SIGTERM, and SIGKILL ``grace`` seconds later; nothing is left of it."""
        if self.is_up():
            self._told_to_end = True
            self._try(lambda: self._container.kill("SIGTERM"))
            self._reader.join(grace)
        if self.is_up():
            self._try(lambda: self._container.kill("SIGKILL"))
            self._reader.join(_KILLED_SECONDS)
        self._try(lambda: self._container.remove(force=True, v=True))

    @staticmethod
    def _try(action: Callable[[], object]) -> None:
        """What has gone already, or went with its engine, need not be ended again."""
        try:
            action()
        except _trouble():
            return

    def _read_output(self) -> None:
        try:
            # Both outputs in one, until the container ends.
            for line in lines(self._container.logs(stream=True, follow=True)):
                self._write(line)
            if end := self._unasked_end():
                self._write(end)
        except _trouble() as error:
            self._write(f"The Docker Engine tells no more of this container: {_explanation(error)}")

    def _unasked_end(self) -> str | None:
        """How it ended; None if it did as it was told."""
        code = self._container.wait()["StatusCode"]
        self._container.reload()
        memory = self._container.attrs["HostConfig"]["Memory"] >> 20
        if memory and self._container.attrs["State"]["OOMKilled"]:
            # Also where it is told to end a moment later, as who finds it dead will do.
            return f"The container exited with {code}: it needs more than its {memory} MiB of memory."
        return None if self._told_to_end else f"The container exited with {code}."


class DockerContainers:
    """Makes containers with the machine's Docker Engine.

    Args:
        cloud: what tells this local cloud's containers from another one's: its port.
        region: what containers are told that they run in.
    """

    def __init__(self, engine: Engine, own_images: OwnImages, *, cloud: str, region: str) -> None:
        self._engine = engine
        self._own_images = own_images
        self._label = {_OF_CLOUD: cloud}
        self._cloud = cloud
        self._region = region
        self._lock = Lock()
        self._machine: Mapping[str, Any] = {}
        self._network: str | None = None
        self._pulled: set[str] = set()

    def run(
        self, spec: ContainerSpec, root: Path, write: Callable[[str], None], *, role: str
    ) -> DockerContainer:
        """A `localcloud.serving.Run` that pulls with the rights of a role, by its ARN.

        Raises:
            ContainerError: there is no such image, no engine, or the engine makes no container of it.
        """
        client = self._client(spec.image)
        with _explained(f"The Docker Engine could not run the image {spec.image}"):
            image = self._image(client, spec, role)
            if spec.hostname is not None and image.labels.get(_LISTENS_AS_TOLD) != "true":
                raise ContainerError(
                    f"Your Ecr Image {spec.image} does not contain required {_LISTENS_AS_TOLD}=true "
                    "Docker label(s)."
                )
            network = self._isolating(client) if spec.isolated else None
            port = _PORT if spec.hostname is None else _PORT_IN_PIPELINES
            container = client.containers.create(
                image,
                ["serve"],
                name="-".join(["modelgate", spec.endpoint, spec.variant, spec.name, uuid.uuid4().hex[:8]]),
                labels=self._label | {"modelgate.endpoint": spec.endpoint, "modelgate.variant": spec.variant},
                hostname=spec.hostname,
                environment=self._environment(spec, port),
                mounts=[_mount(root / "opt/ml/model")],
                # The engine draws the port; a network without a way out has no published ports.
                **({"network": network} if network else {"ports": {f"{port}/tcp": ("127.0.0.1", None)}}),
                **self._limits(spec),
                security_opt=["no-new-privileges:true"],
                # Whatever STOPSIGNAL the image has, and whatever proxies this machine is behind.
                stop_signal="SIGTERM",
                use_config_proxy=False,
            )
            return DockerContainer(container, port, network, write)

    def close(self) -> None:
        """Remove what was left for other containers to share; all of them are stopped."""
        if not self._machine:
            return
        client = self._engine.client
        with _ignored():
            if self._network is not None:
                client.networks.get(self._network).remove()
        for image in self._pulled:
            with _ignored():
                # What it was built from may be the cache of the next build.
                client.images.remove(image, noprune=True)

    def _client(self, image: str) -> DockerClient:
        try:
            client = self._engine.client
        except NoEngineError as error:
            if self._own_images.include(image):
                raise ContainerError(f"The image {image} cannot be run: {error}.") from error
            raise ContainerError(f"{_nothing_for(image)}: {error}.") from error
        with self._lock:
            if not self._machine:
                with _explained("The Docker Engine does not answer"):
                    self._remove_leftovers(client)
                    self._machine = client.info()
        return client

    def _remove_leftovers(self, client: DockerClient) -> None:
        """What a local cloud on this port has left that was not stopped but killed."""
        ours: Any = {"label": f"{_OF_CLOUD}={self._cloud}"}
        for container in client.containers.list(all=True, filters=ours, ignore_removed=True):
            container.remove(force=True, v=True)
        for network in client.networks.list(filters=ours):
            network.remove()

    def _image(self, client: DockerClient, spec: ContainerSpec, role: str) -> Image:
        from docker.errors import APIError, ImageNotFound

        try:
            there = client.images.get(spec.image)
        except ImageNotFound:
            there = None
        if not self._own_images.include(spec.image):
            if there is None:
                raise ContainerError(f"{_nothing_for(spec.image)}, which has none of this name.")
            return there
        try:
            # The engine does not ask the registry again for what it has pulled before.
            self._own_images.resolved(spec.image, role)
            client.images.pull(spec.image, auth_config=self._own_images.auth_config(role))
        except (ServiceError, APIError) as error:
            why = error.message if isinstance(error, ServiceError) else _explanation(error)
            raise ContainerError(
                "Please make sure all images included in the model for the production variant "
                f"{spec.variant} exist, and that the execution role used to create the model has permissions "
                f"to access them. ({why})"
            ) from error
        if there is None:
            self._pulled.add(spec.image)
        return client.images.get(spec.image)

    def _isolating(self, client: DockerClient) -> str:
        """A network in which a container reaches nobody, not even its like; only its host reaches it."""
        with self._lock:
            if self._network is None:
                name = f"modelgate-{self._cloud}-isolated-{uuid.uuid4().hex[:8]}"
                apart = {"com.docker.network.bridge.enable_icc": "false"}
                client.networks.create(name, "bridge", options=apart, internal=True, labels=self._label)
                self._network = name
            return self._network

    def _environment(self, spec: ContainerSpec, port: int) -> dict[str, str]:
        ours = {"AWS_REGION": self._region, "AWS_DEFAULT_REGION": self._region}
        where = {"SAGEMAKER_BIND_TO_PORT": str(port), "SAGEMAKER_SAFE_PORT_RANGE": _SAFE_PORTS}
        return {**ours, **spec.environment, **(where if spec.hostname is not None else {})}

    def _limits(self, spec: ContainerSpec) -> dict[str, Any]:
        """What its instance has, or this machine, if that is less.

        How many vCPUs a serverless endpoint has is told nowhere, but that they grow with its memory.
        """
        has = instance(spec.instance_type) if spec.instance_type is not None else None
        memory = has.memory if has is not None else (spec.memory_mb or 0) << 20
        limits: dict[str, Any] = {}
        if memory:
            memory = min(memory, self._machine["MemTotal"])
            # Instances do not swap.
            limits |= {"mem_limit": memory, "memswap_limit": memory, "shm_size": memory // 2}
        if has is not None:
            limits["nano_cpus"] = min(has.vcpus, self._machine["NCPU"]) * 10**9
        return limits


def _nothing_for(image: str) -> str:
    return (
        f"The local cloud has no stand-in for the image {image}; it has some for {', '.join(PREBUILT)}. "
        "Other images are run from its own ECR, or from the image store of the machine's Docker Engine"
    )


def _mount(folder: Path) -> Any:
    from docker.types import Mount

    return Mount("/opt/ml/model", str(folder), type="bind", read_only=True)


def _address(settings: Mapping[str, Any], port: int, network: str | None) -> tuple[str, int]:
    """Where a container is asked that has been started; nowhere, if it has ended already."""
    if network is not None:
        address = settings["Networks"][network]["IPAddress"]
        return (address, port) if address else _NOWHERE
    published = (settings["Ports"] or {}).get(f"{port}/tcp")
    return ("127.0.0.1", int(published[0]["HostPort"])) if published else _NOWHERE


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


def _trouble() -> tuple[type[Exception], ...]:
    """What docker-py raises: the engine's refusals, and that it does not answer."""
    from docker.errors import DockerException
    from requests import RequestException

    return DockerException, RequestException


def _explanation(error: BaseException) -> str:
    """The engine's own words, where there are some."""
    return str(getattr(error, "explanation", None) or error).strip()


@contextmanager
def _explained(what: str) -> Iterator[None]:
    try:
        yield
    except _trouble() as error:
        raise ContainerError(f"{what}: {_explanation(error)}") from error


@contextmanager
def _ignored() -> Iterator[None]:
    try:
        yield
    except _trouble():
        return
