"""Containers that are tried: each is started as SageMaker would, looked at, and gone afterwards.

Nothing of this machine's is mounted: what a container finds is copied in, and what it writes is copied out.
So no file of root's is left behind.
"""

from __future__ import annotations

import io
import tarfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from container_check import kernel
from localcloud.instance_types import instance

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

MODEL = "/opt/ml/model"
# How SageMaker calls the only host of a training job.
HOST = "algo-1"
# What SageMaker brings; everything else under /opt/ml is the image's.
_MOUNTED_TO_TRAIN = ("/opt/ml/input", "/opt/ml/output")
_LABEL = "modelgate.container-check"
_LAST_LINES = 5
_LINE_CHARACTERS = 300
_PAUSE = 0.03
_MOST_OF_FILE = 1 << 20

T = TypeVar("T")


class NotStarted(Exception):
    """The engine could not start a container. The message is the engine's."""


@dataclass(frozen=True)
class Ended:
    """How a container ended.

    Attributes:
        seconds: from its start.
    """

    code: int
    seconds: float
    out_of_memory: bool = False

    def __str__(self) -> str:
        memory = ", for want of memory" if self.out_of_memory else ""
        return f"exit code {self.code} after {self.seconds:.1f} s{memory}"


class Tried:
    """A container that was started."""

    def __init__(self, container: Container) -> None:
        self._container = container
        self._ended: Ended | None = None
        self._began = time.monotonic()
        self._pid = 0

    def start(self) -> None:
        """
        Raises:
            NotStarted: there is no such executable, or it cannot be run.
        """
        from docker.errors import APIError

        self._began = time.monotonic()
        try:
            self._container.start()
        except APIError as error:
            raise NotStarted(_explanation(error)) from error
        self._container.reload()
        self._pid = int(self._container.attrs["State"]["Pid"])

    def ended(self) -> Ended | None:
        """How it ended; None while it runs."""
        if self._ended is None:
            self._container.reload()
            state = self._container.attrs["State"]
            if state["Status"] in {"exited", "dead"}:
                seconds = time.monotonic() - self._began
                self._ended = Ended(int(state["ExitCode"]), seconds, bool(state["OOMKilled"]))
        return self._ended

    @property
    def seconds(self) -> float:
        """How long ago it was started."""
        return time.monotonic() - self._began

    def wait(self, seconds: float) -> Ended | None:
        """How it ended; None if it still runs after that time."""
        return until(self.ended, seconds)

    def send_sigterm(self) -> None:
        """To its first process; nothing, if it has just ended."""
        with _unless_over():
            self._container.kill("SIGTERM")

    def kill(self) -> None:
        with _unless_over():
            self._container.kill("SIGKILL")

    def address(self, port: int) -> tuple[str, int] | None:
        """Where a port of it is published."""
        published = (self._container.attrs["NetworkSettings"]["Ports"] or {}).get(f"{port}/tcp")
        return ("127.0.0.1", int(published[0]["HostPort"])) if published else None

    def address_in(self, network: str, port: int) -> tuple[str, int] | None:
        """Where it is in a network."""
        address = self._container.attrs["NetworkSettings"]["Networks"][network]["IPAddress"]
        return (address, port) if address else None

    def log(self) -> str:
        return self._container.logs().decode(errors="replace")

    def last_words(self) -> str:
        """The end of its log, in one line."""
        lines = [line.strip()[:_LINE_CHARACTERS] for line in self.log().splitlines() if line.strip()]
        return " / ".join(lines[-_LAST_LINES:]) or "(it wrote nothing)"

    def hears_sigterm(self) -> bool | None:
        """Whether its first process does anything about SIGTERM by now; None if nobody can see."""
        status, syscall = self._look("status"), self._look("syscall")
        return None if status is None or syscall is None else kernel.hears_sigterm(status, syscall)

    def listening(self) -> tuple[kernel.Listener, ...] | None:
        """What it listens on by now; None if nobody can see."""
        tables = [self._look("net/tcp"), self._look("net/tcp6")]
        if tables[0] is None:
            return None
        return tuple(each for table in tables if table is not None for each in kernel.listeners(table))

    def _look(self, file: str) -> str | None:
        """What the kernel tells of its first process."""
        # Where the engine is on this machine, its processes are seen here; else it is asked from within.
        with suppress(OSError):
            if str(self._container.id) in Path(f"/proc/{self._pid}/cgroup").read_text():
                return Path(f"/proc/{self._pid}/{file}").read_text()
        with _unless_over():
            code, output = self._container.exec_run(["cat", f"/proc/1/{file}"], stderr=False)
            return output.decode(errors="replace") if code == 0 and isinstance(output, bytes) else None
        return None

    def changes(self) -> tuple[str, ...]:
        """The paths that it has made, changed or deleted, outside of what was mounted."""
        return tuple(str(change["Path"]) for change in self._container.diff() or [])

    def read(self, path: str) -> str | None:
        """The beginning of a file, while it runs or afterwards; None if there is none."""
        for member, content in self._archive(path):
            if member.isfile() and content is not None:
                return bytes(content.read(_MOST_OF_FILE)).decode(errors="replace")
        return None

    def files(self, folder: str) -> tuple[str, ...]:
        """The files below a folder, by their paths in it."""
        names = [member.name.partition("/")[2] for member, _ in self._archive(folder) if not member.isdir()]
        return tuple(sorted(names))

    def _archive(self, path: str) -> Iterator[tuple[tarfile.TarInfo, Any]]:
        from docker.errors import NotFound

        try:
            pieces, _ = self._container.get_archive(path)
        except NotFound:
            return
        with tarfile.open(fileobj=_Pieces(pieces), mode="r|") as tar:
            for member in tar:
                yield member, tar.extractfile(member) if member.isfile() else None

    def remove(self) -> None:
        with _unless_over():
            self._container.remove(force=True, v=True)


class Runner:
    """Makes the containers of one image, and leaves nothing behind; a context manager.

    Args:
        image: its id or name in the engine.
    """

    def __init__(self, client: DockerClient, image: str, instance_type: str) -> None:
        self._client = client
        self._image = image
        self._instance_type = instance_type
        self._label = {_LABEL: uuid.uuid4().hex[:12]}
        self._containers: list[Tried] = []
        self._volumes: list[Any] = []
        self._isolated: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for tried in self._containers:
            tried.remove()
        for volume in self._volumes:
            with _unless_over():
                volume.remove()
        if self._isolated is not None:
            with _unless_over():
                self._client.networks.get(self._isolated).remove()

    def volume(self) -> str:
        """An empty one, by its name."""
        made = self._client.volumes.create(labels=self._label)
        self._volumes.append(made)
        return str(made.name)

    def fill(self, volume: str, source: Path) -> None:
        """Copy a folder or a tarball into a volume, as SageMaker does with a model."""
        filled = self._create(["true"], {MODEL: (volume, False)}, {})
        if source.is_dir():
            filled.put_archive(MODEL, packed(source))
        else:
            with source.open("rb") as tarball:
                filled.put_archive(MODEL, tarball)

    def train(
        self, *, files: bytes, model: str, environment: Mapping[str, str], code: Path | None = None
    ) -> Tried:
        """``docker run IMAGE train``.

        Args:
            files: a tar archive, for ``/opt/ml``.
            model: the volume to be ``/opt/ml/model``.
            code: a folder for ``/opt/ml/code``.

        Raises:
            NotStarted: it cannot be started.
        """
        volumes: dict[str, tuple[str | None, bool]] = dict.fromkeys(_MOUNTED_TO_TRAIN, (None, False))
        mounted = {**volumes, MODEL: (model, False)}
        # The training toolkit waits until the names of all hosts can be resolved.
        container = self._create(["train"], mounted, environment, hostname=HOST)
        container.put_archive("/opt/ml", files)
        if code is not None:
            container.put_archive("/opt/ml", packed(code, "code"))
        return self._started()

    def serve(
        self,
        *,
        model: str,
        environment: Mapping[str, str],
        port: int = 8080,
        may_write: bool = False,
        isolated: bool = False,
    ) -> Tried:
        """``docker run IMAGE serve``.

        Args:
            model: the volume to be ``/opt/ml/model``.
            port: which is published, unless it is isolated.
            may_write: whether the model may be written to.
            isolated: in `isolated_network`, where it reaches nobody, and only this machine reaches it.

        Raises:
            NotStarted: it cannot be started.
        """
        reached: dict[str, Any] = {"ports": {f"{port}/tcp": ("127.0.0.1", None)}}
        if isolated:
            reached = {"network": self.isolated_network()}
        self._create(["serve"], {MODEL: (model, not may_write)}, environment, **reached)
        return self._started()

    def isolated_network(self) -> str:
        """Its name."""
        if self._isolated is None:
            name = f"modelgate-check-{self._label[_LABEL]}"
            self._client.networks.create(name, "bridge", internal=True, labels=self._label)
            self._isolated = name
        return self._isolated

    def _started(self) -> Tried:
        """Starts what was created last."""
        tried = self._containers[-1]
        tried.start()
        return tried

    def _create(
        self,
        command: Sequence[str],
        volumes: Mapping[str, tuple[str | None, bool]],
        environment: Mapping[str, str],
        **more: Any,
    ) -> Container:
        from docker.types import Mount

        mounts = [
            # What the image has in these places is hidden, as SageMaker's mounts hide it.
            Mount(path, name, type="volume", read_only=read_only, no_copy=True)
            for path, (name, read_only) in volumes.items()
        ]
        container = self._client.containers.create(
            self._image,
            list(command),
            labels=self._label,
            environment=dict(environment),
            mounts=mounts,
            security_opt=["no-new-privileges:true"],
            # Whatever STOPSIGNAL the image has, and whatever proxies this machine is behind.
            stop_signal="SIGTERM",
            use_config_proxy=False,
            **self._limits(),
            **more,
        )
        self._containers.append(Tried(container))
        return container

    def _limits(self) -> dict[str, Any]:
        """What its instance has, or this machine, if that is less."""
        has = instance(self._instance_type)
        if has is None:
            return {}
        machine = self._client.info()
        memory = min(has.memory, machine["MemTotal"])
        return {
            "mem_limit": memory,
            "memswap_limit": memory,
            "shm_size": memory // 2,
            "nano_cpus": min(has.vcpus, machine["NCPU"]) * 10**9,
        }


class _Pieces(io.RawIOBase):
    """What comes in pieces, as a file that is read."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        parts, missing = [], size
        while missing:
            if not self._rest:
                self._rest = next(self._pieces, b"")
                if not self._rest:
                    break
            part, self._rest = self._rest[:missing], self._rest[missing:]
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)


def packed(folder: Path, name: str = "") -> bytes:
    """A folder as a tar archive, in which everything belongs to root and anybody may write.

    Args:
        name: what the folder is called in it; its content lies at the root without.
    """
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in [folder, *sorted(folder.rglob("*"))]:
            told = "/".join(
                part for part in (name, path.relative_to(folder).as_posix()) if part not in {"", "."}
            )
            if told:
                tar.add(path, told, recursive=False, filter=_of_root)
    return out.getvalue()


def _of_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o777 if member.isdir() or member.mode & 0o100 else 0o666
    return member


def until(look: Callable[[], T | None], seconds: float) -> T | None:
    """What ``look`` finds as soon as it is not None; None if the time is over."""
    end = time.monotonic() + seconds
    while (found := look()) is None and time.monotonic() < end:
        time.sleep(_PAUSE)
    return found


@contextmanager
def _unless_over() -> Iterator[None]:
    """What ended just now need not be ended, asked or removed."""
    from docker.errors import APIError

    with suppress(APIError):
        yield


def _explanation(error: Exception) -> str:
    """The engine's own words."""
    return " ".join(str(getattr(error, "explanation", None) or error).split())
