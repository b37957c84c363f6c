"""Hosts of training jobs as containers of the machine's Docker Engine: images of one's own.

"How Amazon SageMaker AI Runs Your Training Image" in the SageMaker Developer Guide: ``docker run IMAGE
train``. "How Amazon SageMaker AI Provides Training Information" there: hosts find each other by their names,
which may take a moment; what ``/etc/hostname`` says is not one of them.

Of ``/opt/ml``, the folders that SageMaker fills or keeps are mounted; what else an image has there, such as
its ``code``, stays. Channels in FastFile mode are read-only, as they are known to be on AWS; of the others
nothing is known, and they may be written to.

What is different:

- AWS gives credentials by an address of its own; here they are variables, and AWS_ENDPOINT_URL names a way to
  the local cloud;
- a host has no more than this machine, whatever its instance type, and no GPU.
"""

from __future__ import annotations

import json
import os
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

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
from localcloud.engine import Engine, NoEngineError
from localcloud.errors import LocalCloudError
from localcloud.sam.doorway import Doorway
from localcloud.training.hosts import OPT_ML, HostError, HostSpec

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container
    from docker.models.images import Image

    from modelgate.builds.options import BuildOptions

_ENDPOINT = "AWS_ENDPOINT_URL"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
# What runc ends with if it cannot start a command: it may not be executed, or is not there.
_NOT_STARTED = (126, 127)
_KILLED = 128 + 9
# Where programs and their libraries are on Linux.
_PROGRAMS = ("/bin", "/lib", "/lib64", "/usr")
_TREE = "/tree"
# Where images go that are built of a folder.
_BUILT, _UNNAMED = "modelgate-local", "image"
_SHOWN_LINES = 5


class DockerHost:
    """A `localcloud.training.hosts.TrainingHost`: a container.

    Args:
        container: it is made, and not started.
        write: called with each line that it writes.
        hand_over: called when it has ended; its files are this process's then.

    Raises:
        HostError: the engine cannot start it.
    """

    def __init__(
        self, container: Container, write: Callable[[str], None], hand_over: Callable[[], None]
    ) -> None:
        self._hand_over = hand_over
        self._lock = Lock()
        self._is_cleared = False
        self._code = _KILLED
        self._starved = False
        self._followed = FollowedContainer(container, write, self._note_end)
        try:
            self._followed.start()
        except trouble() as error:
            self._code = _code_of(container)
            if self._code not in _NOT_STARTED:
                self._followed.remove()
                raise HostError(
                    f"The Docker Engine could not start the container: {explanation(error)}"
                ) from error
            # All that SageMaker, too, says of an image without what "train" could start.
            write(explanation(error))

    def wait(self) -> int:
        """Its exit code, when it has ended and its output was read to the end; 128 + N after signal N."""
        self._followed.wait()
        self._clear_away()
        return self._code

    def terminate(self, grace: float) -> None:
        """SIGTERM, and SIGKILL ``grace`` seconds later. Returns when it has ended."""
        self._followed.terminate(grace)
        self._clear_away()

    @property
    def failure(self) -> str | None:
        """SageMaker's FailureReason, where it is not the algorithm that tells it."""
        if not self._starved:
            return None
        return (
            "ClientError: Please use an instance type with more memory, or reduce the size of job data "
            "processed on an instance."
        )

    def _note_end(self, end: Ended | None) -> None:
        if end is not None:
            self._code = end.code
            # Who lives on without a process that was killed has not failed for that.
            self._starved = end.starved_at is not None and end.code != 0

    def _clear_away(self) -> None:
        with self._lock:
            if self._is_cleared:
                return
            self._is_cleared = True
            self._hand_over()
            self._followed.remove()


class DockerCluster:
    """A `localcloud.training.hosts.Cluster` of containers in a network of their own.

    Args:
        shared: the engine of a local cloud. Without one, it is the machine's, and has the images.
        role: the ARN of the role with whose rights images are pulled from the local cloud's own ECR.
    """

    network_interface = "eth0"

    def __init__(self, shared: ContainerEngine | None = None, *, role: str = "") -> None:
        self._is_own = shared is None
        self._shared = shared or ContainerEngine(Engine())
        self._role = role
        self._network: str | None = None
        self._doorway: Doorway | None = None

    def place(self, root: Path) -> str:  # noqa: ARG002 - each has a file system of its own
        """What it is on SageMaker."""
        return OPT_ML

    def start(self, spec: HostSpec, root: Path, write: Callable[[str], None]) -> DockerHost:
        """Start a host; the first one's network and way to AWS are those of all.

        Raises:
            HostError: there is no such image, no engine, or it cannot be started.
        """
        with _explained(spec.image):
            client = self._shared.client(spec.image)
            image = self._shared.image(client, spec.image, self._role)
            container = self._made(client, image, spec, root)
            return DockerHost(container, write, lambda: _hand_over(client, image, root, write))

    def close(self) -> None:
        """Nothing is left of what they shared. All hosts have ended."""
        if self._doorway is not None:
            self._doorway.close()
        if self._network is not None:
            with ignored():
                self._shared.engine.client.networks.get(self._network).remove()
            self._network = None
        if self._is_own:
            self._shared.engine.close()

    def _made(self, client: DockerClient, image: Image, spec: HostSpec, root: Path) -> Container:
        network = self._joined(client, spec)
        named = client.api.create_endpoint_config(aliases=[spec.name])
        return client.containers.create(
            image,
            ["train"],
            name="-".join(["modelgate", spec.job, spec.name, uuid.uuid4().hex[:8]]),
            labels=self._shared.labels | {"modelgate.training-job": spec.job, "modelgate.host": spec.name},
            environment=self._environment(spec),
            mounts=_mounts(root, spec.checkpoints),
            network=network,
            networking_config={network: named},
            **self._shared.limits(spec.instance_type),
            security_opt=["no-new-privileges:true"],
            # Whatever STOPSIGNAL the image has, and whatever proxies this machine is behind.
            stop_signal="SIGTERM",
            use_config_proxy=False,
        )

    def _joined(self, client: DockerClient, spec: HostSpec) -> str:
        """The name of the hosts' network; if they are isolated, it has no way out."""
        if self._network is None:
            name = f"modelgate-{spec.job}-{uuid.uuid4().hex[:8]}"
            client.networks.create(name, "bridge", internal=spec.isolated, labels=self._shared.labels)
            self._network = name
        return self._network

    def _environment(self, spec: HostSpec) -> dict[str, str]:
        """What it was told, but that a server on this machine's loopback is found from the container."""
        given = dict(spec.environment)
        endpoint = urlsplit(given.get(_ENDPOINT, ""))
        if endpoint.hostname in _LOOPBACK and not spec.isolated:
            if self._doorway is None:
                self._doorway = Doorway(self._shared.engine, endpoint.port or 80)
            given[_ENDPOINT] = self._doorway.url
        return given


def _mounts(root: Path, checkpoints: str | None) -> list[Any]:
    from docker.types import Mount

    tree = root.resolve() / OPT_ML.lstrip("/")
    mounts = [
        Mount(f"{OPT_ML}/{folder.name}", str(folder), type="bind")
        for folder in sorted(tree.iterdir())
        if folder.is_dir()
    ]
    channels = json.loads((tree / "input/config/inputdataconfig.json").read_bytes())
    for name, channel in channels.items():
        if channel["TrainingInputMode"] == "FastFile":
            below = f"input/data/{name}"
            mounts.append(Mount(f"{OPT_ML}/{below}", str(tree / below), type="bind", read_only=True))
    if checkpoints is not None and not checkpoints.startswith(f"{OPT_ML}/"):
        mounts.append(Mount(checkpoints, str(root.resolve() / checkpoints.lstrip("/")), type="bind"))
    return mounts


def _code_of(container: Container) -> int:
    """The exit code of a container that did not start; 0 if the engine tells none."""
    try:
        container.reload()
    except trouble():
        return 0
    return int(container.attrs["State"]["ExitCode"])


def _hand_over(client: DockerClient, image: Image, root: Path, write: Callable[[str], None]) -> None:
    """Make what root has written in a host's folder this process's, which else could not read or remove it.

    The programs of this machine do it: an image need not have any.
    """
    if os.geteuid() == 0 or not _has_strangers(root):
        return
    from docker.types import Mount

    programs = [
        Mount(path, os.path.realpath(path), type="bind", read_only=True)
        for path in _PROGRAMS
        if Path(path).is_dir()
    ]
    try:
        client.containers.run(
            image,
            ["-R", f"{os.geteuid()}:{os.getegid()}", _TREE],
            entrypoint=["/bin/chown"],
            mounts=[*programs, Mount(_TREE, str(root.resolve()), type="bind")],
            user="0:0",
            network_mode="none",
            remove=True,
        )
    except trouble() as error:
        write(f"What root has written under {root} stays root's: {explanation(error)}")


def _has_strangers(folder: Path) -> bool:
    """Whether something in a folder is not this process's; also where that cannot look."""
    own = os.geteuid()
    try:
        with os.scandir(folder) as entries:
            return any(
                entry.stat(follow_symlinks=False).st_uid != own
                or (entry.is_dir(follow_symlinks=False) and _has_strangers(Path(entry)))
                for entry in entries
            )
    except PermissionError:
        return True


@contextmanager
def _explained(image: str) -> Iterator[None]:
    """The failures of a start, as a job tells them."""
    try:
        yield
    except NotPulledError as error:
        raise HostError(
            "ClientError: Cannot pull algorithm container. Either the image does not exist or its "
            f"permissions are incorrect. ({error})"
        ) from error
    except (NoImageError, LocalCloudError) as error:
        raise HostError(str(error)) from error
    except trouble() as error:
        raise HostError(f"The Docker Engine could not run the image {image}: {explanation(error)}") from error


# ── the image of a folder ─────────────────────────────────────────────────────────────────────────


def image_for(name: str, folder: Path, write: Callable[[str], None] | None = None) -> str:
    """The image that a job of a folder runs in: what the engine has, or what the folder's Dockerfile makes.

    A name with a registry, tag or digest says exactly which image is meant: it is built only if the engine
    does not have it. Any other is that of the folder as it is now; what has not changed is not built again.

    Args:
        name: as ``container.image`` of ``job.yaml`` has it.
        write: called with each line that a build writes.

    Raises:
        Refused: there is no engine, no image and no Dockerfile, or it cannot be built.
    """
    from modelgate.images.reference import reference

    meant = reference(name)
    is_exact = meant is None or any((meant.registry, meant.tag, meant.digest))
    engine = Engine()
    try:
        client = engine.client
        dockerfile = folder / _options(folder).dockerfile
        if (is_exact or not dockerfile.is_file()) and _is_there(client, name):
            return name
        if dockerfile.is_file():
            called = meant.repository if meant is not None else _UNNAMED
            return _built(client, name, f"{_BUILT}/{called}:latest", folder, write or (lambda _: None))
        return _pulled(client, name, dockerfile)
    except NoEngineError as error:
        raise _refused(f"is {name}, and {error}", "start one, or train it over AWS") from error
    except trouble() as error:
        found = f"is {name}, which the Docker Engine does not build: {explanation(error)}"
        raise _refused(found, "mend what it says, and train again") from error
    finally:
        engine.close()


def _options(folder: Path) -> BuildOptions:
    from modelgate.builds.options import BUILD_FILE, BuildOptions, read_options

    file = folder / BUILD_FILE
    return read_options(file.read_bytes()) if file.is_file() else BuildOptions()


def _is_there(client: DockerClient, name: str) -> bool:
    from docker.errors import ImageNotFound

    try:
        client.images.get(name)
    except ImageNotFound:
        return False
    return True


def _pulled(client: DockerClient, name: str, dockerfile: Path) -> str:
    """With whatever rights ``docker login`` has given."""
    try:
        client.images.pull(name)
    except trouble() as error:
        found = (
            f"is {name}, which the Docker Engine neither has nor can pull ({explanation(error)}); and there "
            f"is no {dockerfile}"
        )
        raise _refused(found, "build it (docker build), or put its Dockerfile beside job.yaml") from error
    return name


def _built(client: DockerClient, name: str, tag: str, folder: Path, write: Callable[[str], None]) -> str:
    """The image that a folder builds to, under a tag of its own: no image of the user's loses its name."""
    options = _options(folder)
    before = {str(image.id) for image in client.images.list(tag)}
    told = client.api.build(
        path=str(folder),
        dockerfile=options.dockerfile,
        target=options.target or "",
        buildargs=options.build_args,
        platform=options.platform,
        tag=tag,
        rm=True,
        forcerm=True,
        decode=True,
    )
    last: deque[str] = deque(maxlen=_SHOWN_LINES)
    for each in told:
        for line in str(each.get("stream", "")).splitlines():
            # The engine's own notes begin so.
            if line.strip() and not line.startswith(" --->"):
                last.append(line.rstrip())
                write(line.rstrip())
        if "error" in each:
            log = " / ".join(last)
            found = (
                f"is {name}, and {options.dockerfile} does not build: {each['error'].strip()} (after: {log})"
            )
            raise _refused(found, f"mend {folder / options.dockerfile}, and train again")
    for image in before - {str(client.images.get(tag).id)}:
        with ignored():  # it may run
            if not client.images.get(image).tags:
                # Its layers are the cache of the next build.
                client.images.remove(image, noprune=True)
    return tag


def _refused(found: str, mend: str) -> Exception:
    from modelgate.errors import Problem, Refused
    from modelgate.run import JOB_FILE

    return Refused(Problem(f"{JOB_FILE}: container.image", found, mend))
