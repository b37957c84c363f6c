"""Containers of one's own images, run by the machine's Docker Engine as SageMaker runs them.

"Custom inference code with hosting services" in the SageMaker Developer Guide: ``docker run IMAGE serve``.
"Run Real-time Predictions with an Inference Pipeline" there: containers of a pipeline listen where
SAGEMAKER_BIND_TO_PORT says, and their images promise that with a label.

Not documented there: which variables SageMaker adds, here those that tell the region; and that the model's
data are read-only, which the sources of AWS's own containers say. Of ``/dev/shm`` no more is known than that
training jobs have half of the memory for it, as tmpfs has by default.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from localcloud.container_engine import (
    ContainerEngine,
    Ended,
    FollowedContainer,
    NoImageError,
    NotPulledError,
    explanation,
    ignored,
    trouble,
)
from localcloud.engine import Engine
from localcloud.own_images import OwnImages
from localcloud.serving import ContainerError, ContainerSpec

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container
    from docker.models.images import Image

_PORT = 8080
# Any but 8080: in a pipeline, who does not listen where it is told to is not heard.
_PORT_IN_PIPELINES = 8081
_SAFE_PORTS = "9000-9999"
_LISTENS_AS_TOLD = "com.amazonaws.sagemaker.capabilities.accept-bind-to-port"
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
        self._write = write
        self._address = _NOWHERE
        self._followed = FollowedContainer(container, write, self._tell_end)
        try:
            self._followed.start()
        except trouble() as error:
            # Of an image without what "serve" could start, SageMaker too says so in the container's log.
            write(explanation(error))
            return
        self._address = _address(container.attrs["NetworkSettings"], port, network)

    @property
    def address(self) -> tuple[str, int]:
        """The host and the port that it is asked at."""
        return self._address

    def is_up(self) -> bool:
        """Whether it has not ended yet."""
        return self._followed.is_up()

    def stop(self, grace: float) -> None:
        """SIGTERM, and SIGKILL ``grace`` seconds later; nothing is left of it."""
        self._followed.terminate(grace)
        self._followed.remove()

    def _tell_end(self, end: Ended | None) -> None:
        if end is None:
            return
        if end.starved_at is not None:
            # Also where it is told to end a moment later, as who finds it dead will do.
            memory = end.starved_at
            self._write(
                f"The container exited with {end.code}: it needs more than its {memory} MiB of memory."
            )
        elif not end.told_to:
            self._write(f"The container exited with {end.code}.")


class DockerContainers:
    """Makes containers with the machine's Docker Engine.

    Args:
        cloud: what tells this local cloud's containers from another one's: its port.
        region: what containers are told that they run in.

    Attributes:
        shared: what they share with other containers of this local cloud.
    """

    def __init__(self, engine: Engine, own_images: OwnImages, *, cloud: str, region: str) -> None:
        self.shared = ContainerEngine(engine, own_images, owner=cloud)
        self._cloud = cloud
        self._region = region
        self._lock = Lock()
        self._network: str | None = None

    def run(
        self, spec: ContainerSpec, root: Path, write: Callable[[str], None], *, role: str
    ) -> DockerContainer:
        """A `localcloud.serving.Run` that pulls with the rights of a role, by its ARN.

        Raises:
            ContainerError: there is no such image, no engine, or the engine makes no container of it.
        """
        with _explained(f"The Docker Engine could not run the image {spec.image}"):
            client = self._client(spec.image)
            image = self._image(client, spec, role)
            if spec.hostname is not None and image.labels.get(_LISTENS_AS_TOLD) != "true":
                raise ContainerError(
                    f"Your Ecr Image {spec.image} does not contain required {_LISTENS_AS_TOLD}=true "
                    "Docker label(s)."
                )
            network = self._isolating(client) if spec.isolated else None
            port = _PORT if spec.hostname is None else _PORT_IN_PIPELINES
            labels = {"modelgate.endpoint": spec.endpoint, "modelgate.variant": spec.variant}
            container = client.containers.create(
                image,
                ["serve"],
                name="-".join(["modelgate", spec.endpoint, spec.variant, spec.name, uuid.uuid4().hex[:8]]),
                labels=self.shared.labels | labels,
                hostname=spec.hostname,
                environment=self._environment(spec, port),
                mounts=[_mount(root / "opt/ml/model")],
                # The engine draws the port; a network without a way out has no published ports.
                **({"network": network} if network else {"ports": {f"{port}/tcp": ("127.0.0.1", None)}}),
                **self.shared.limits(spec.instance_type, spec.memory_mb),
                security_opt=["no-new-privileges:true"],
                # Whatever STOPSIGNAL the image has, and whatever proxies this machine is behind.
                stop_signal="SIGTERM",
                use_config_proxy=False,
            )
            return DockerContainer(container, port, network, write)

    def close(self) -> None:
        """Remove what was left for other containers to share; all of them are stopped."""
        if self._network is not None:
            with ignored():
                self.shared.engine.client.networks.get(self._network).remove()
        self.shared.close()

    def _client(self, image: str) -> DockerClient:
        try:
            return self.shared.client(image)
        except NoImageError as error:
            raise ContainerError(str(error)) from error

    def _image(self, client: DockerClient, spec: ContainerSpec, role: str) -> Image:
        try:
            return self.shared.image(client, spec.image, role)
        except NoImageError as error:
            raise ContainerError(str(error)) from error
        except NotPulledError as error:
            raise ContainerError(
                "Please make sure all images included in the model for the production variant "
                f"{spec.variant} exist, and that the execution role used to create the model has permissions "
                f"to access them. ({error})"
            ) from error

    def _isolating(self, client: DockerClient) -> str:
        """A network in which a container reaches nobody, not even its like; only its host reaches it."""
        with self._lock:
            if self._network is None:
                name = f"modelgate-{self._cloud}-isolated-{uuid.uuid4().hex[:8]}"
                apart = {"com.docker.network.bridge.enable_icc": "false"}
                labels = self.shared.labels
                client.networks.create(name, "bridge", options=apart, internal=True, labels=labels)
                self._network = name
            return self._network

    def _environment(self, spec: ContainerSpec, port: int) -> dict[str, str]:
        ours = {"AWS_REGION": self._region, "AWS_DEFAULT_REGION": self._region}
        where = {"SAGEMAKER_BIND_TO_PORT": str(port), "SAGEMAKER_SAFE_PORT_RANGE": _SAFE_PORTS}
        return {**ours, **spec.environment, **(where if spec.hostname is not None else {})}


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


@contextmanager
def _explained(what: str) -> Iterator[None]:
    try:
        yield
    except trouble() as error:
        raise ContainerError(f"{what}: {explanation(error)}") from error
