"""A training job from its description to its result, with a folder for each host and no API around it.

    description = TrainingDescription(name="iris", image=SKLEARN, hyperparameters={...}, channels=[
        Channel("train", LocalFolder(Path("data/train")))])
    outcome = run_in_folder(description, Path("run"), lambda host, line: print(line))
    outcome.failure            # None, or the FailureReason that SageMaker would give
    outcome.model              # run/model.tar.gz

The tree of a host is ``run/<host>/opt/ml``.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Literal

from localcloud.training import opt_ml
from localcloud.training.channels import Channel, DataError, PipeFeeder
from localcloud.training.environment import variables
from localcloud.training.hosts import OPT_ML, Cluster, HostError, HostSpec, TrainingHost
from localcloud.training.metrics import Metric, MetricDefinition, MetricReader
from localcloud.training.results import pack

# Why hosts are told to end before they do it themselves.
Cut = Literal["stopped", "interrupted", "out of time"]
WriteLine = Callable[[str, str], None]

_REASON_CHARACTERS = 1024


@dataclass(frozen=True)
class TrainingDescription:
    """What a job is told.

    Attributes:
        image: its URI: a prebuilt container's, for which there is a stand-in, or one of one's own.
        hyperparameters: all of them texts, as CreateTrainingJob takes them.
        code: a folder that is laid into ``/opt/ml/code``; the toolkit then takes it from nowhere else.
        max_runtime: in seconds.
        checkpoints: where they lie in the container; None if there are none.
        restored: a folder of checkpoints that every host begins with.
        stop_grace: the seconds from SIGTERM to SIGKILL; AWS gives 120.
        metrics: what is read from the log.
    """

    name: str
    image: str
    hyperparameters: Mapping[str, str] = field(default_factory=dict)
    channels: Sequence[Channel] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    code: Path | None = None
    instance_type: str = "ml.m5.large"
    instances: int = 1
    max_runtime: float = 86_400.0
    checkpoints: str | None = None
    restored: Path | None = None
    isolated: bool = False
    region: str = "eu-central-1"
    arn: str = ""
    stop_grace: float = 10.0
    metrics: Sequence[MetricDefinition] = ()

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names of the hosts, sorted as SageMaker sorts them."""
        return tuple(sorted(f"algo-{number}" for number in range(1, self.instances + 1)))


@dataclass(frozen=True)
class Outcome:
    """What came of a job.

    Attributes:
        failure: as SageMaker's FailureReason tells it; None if every host ended with 0, or was told to end.
        exit_code: of the host that failed first; 0 if none did.
        cut: why the hosts were told to end, if they were.
        model, output: the archives of ``/opt/ml/model`` and ``/opt/ml/output/data``; None where it is empty.
        seconds: how long the hosts ran.
    """

    failure: str | None
    exit_code: int
    cut: Cut | None
    metrics: Sequence[Metric]
    model: Path | None
    output: Path | None
    seconds: float

    @property
    def succeeded(self) -> bool:
        """Whether the job would be Completed."""
        return self.failure is None and self.cut is None


@dataclass(frozen=True)
class Ended:
    """How the hosts of an attempt ended."""

    failure: str | None
    exit_code: int
    cut: Cut | None
    seconds: float


class Attempt:
    """One try of a job on new hosts.

    Args:
        folder: empty; holds a folder for each host.
        write: called with a host's name and each line that it writes.
    """

    def __init__(
        self,
        description: TrainingDescription,
        folder: Path,
        cluster: Cluster,
        write: WriteLine,
        reader: MetricReader | None = None,
    ) -> None:
        self._description = description
        self._folder = folder
        self._cluster = cluster
        self._write = write
        self._reader = reader or MetricReader(description.metrics)
        self._ends: SimpleQueue[tuple[str, int] | Cut | DataError] = SimpleQueue()
        self._lock = Lock()
        self._hosts: dict[str, TrainingHost] = {}

    @property
    def trees(self) -> list[Path]:
        """What is ``/opt/ml`` on each host."""
        return [self._root(host) / OPT_ML.lstrip("/") for host in self._description.hosts]

    def lay_out(self) -> None:
        """Make the trees, with the data of the channels that are files.

        Raises:
            DataError: data cannot be read.
        """
        description = self._description
        for position, host in enumerate(description.hosts):
            root = self._root(host)
            base = root / OPT_ML.lstrip("/")
            opt_ml.lay_out(
                base,
                hyperparameters=description.hyperparameters,
                channels=description.channels,
                host=host,
                hosts=description.hosts,
                instance_type=description.instance_type,
                network_interface=self._cluster.network_interface,
                place=self._cluster.place(root),
                checkpoints=description.checkpoints,
            )
            for channel in description.channels:
                if channel.mode != "Pipe":
                    channel.lay_down(base / "input/data" / channel.name, position, description.instances)
            if description.code is not None:
                shutil.copytree(description.code, base / "code", dirs_exist_ok=True)
            if description.checkpoints is not None and description.restored is not None:
                shutil.copytree(
                    description.restored, self.checkpoints(host), dirs_exist_ok=True, symlinks=True
                )

    def checkpoints(self, host: str) -> Path:
        """Where the checkpoints of a host lie on this machine."""
        path = self._description.checkpoints or f"{OPT_ML}/checkpoints"
        return self._root(host) / path.lstrip("/")

    def train(self, limit: float, ending: Callable[[Cut], None] | None = None) -> Ended:
        """Run the hosts until all have ended with 0, one has not, or they are told to end.

        Args:
            limit: the seconds after which they are told to.
            ending: called before they are told to, with the reason.
        """
        began = time.monotonic()
        description = self._description
        with ExitStack() as open_:
            open_.callback(self._cluster.close)
            for position, host in enumerate(description.hosts):
                for channel in description.channels:
                    if channel.mode == "Pipe":
                        folder = self._root(host) / OPT_ML.lstrip("/") / "input/data"
                        feeder = PipeFeeder(channel, folder, position, description.instances, self._ends.put)
                        open_.callback(feeder.stop)
            # Whatever becomes of this call, no host is left behind.
            open_.callback(self._end_all, 0)
            try:
                for host in description.hosts:
                    self._start(host)
            except HostError as error:
                return Ended(str(error), 1, None, time.monotonic() - began)
            return self._until_ended(began, limit, ending or (lambda _: None))

    def cut(self, why: Cut) -> None:
        """Tell the hosts to end; they have not to be started yet."""
        self._ends.put(why)

    def kill(self) -> None:
        """End the hosts at once."""
        self._ends.put("stopped")
        self._end_all(0)

    def _root(self, host: str) -> Path:
        return self._folder / host

    def _start(self, name: str) -> None:
        description = self._description
        spec = HostSpec(
            job=description.name,
            name=name,
            hosts=description.hosts,
            image=description.image,
            environment=variables(description),
            instance_type=description.instance_type,
            checkpoints=description.checkpoints,
            isolated=description.isolated,
        )

        def write(line: str) -> None:
            self._reader.read(line)
            self._write(name, line)

        host = self._cluster.start(spec, self._root(name), write)
        self._hosts[name] = host
        Thread(target=lambda: self._ends.put((name, host.wait())), daemon=True).start()

    def _until_ended(self, began: float, limit: float, ending: Callable[[Cut], None]) -> Ended:
        running = set(self._hosts)
        while running:
            try:
                end = self._ends.get(timeout=max(0.0, limit - (time.monotonic() - began)))
            except Empty:
                end = "out of time"
            if isinstance(end, str):
                ending(end)
                self._end_all(self._description.stop_grace)
                return Ended(None, 0, end, time.monotonic() - began)
            if isinstance(end, DataError):
                return Ended(f"ClientError: {end}", 1, None, time.monotonic() - began)
            name, code = end
            running.discard(name)
            if code != 0:
                self._end_all(self._description.stop_grace)
                return Ended(self._reason(name, code), code, None, time.monotonic() - began)
        return Ended(None, 0, None, time.monotonic() - began)

    def _end_all(self, grace: float) -> None:
        # All at once: each of them may take the whole grace.
        threads = [Thread(target=host.terminate, args=(grace,)) for host in self._hosts.values()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _reason(self, host: str, code: int) -> str:
        """ "How Amazon SageMaker AI Processes Training Output": the beginning of the failure file."""
        if (told_by_host := self._hosts[host].failure) is not None:
            return told_by_host
        file = self._root(host) / OPT_ML.lstrip("/") / "output/failure"
        try:
            told = file.read_text(errors="replace")[:_REASON_CHARACTERS]
        except OSError:
            told = ""
        return f"AlgorithmError: {told}, exit code: {code}"


def run_in_folder(
    description: TrainingDescription,
    folder: Path,
    write_line: WriteLine,
    cluster: Cluster | None = None,
) -> Outcome:
    """Run a job to its result.

    Args:
        folder: new or empty; holds a folder for each host, and the archives in the end.
        write_line: called with a host's name and each line that it writes.
        cluster: what the hosts run in; if it is not given, processes of this interpreter for the stand-ins of
            prebuilt containers.

    A keyboard interrupt ends the hosts, and is raised again.
    """
    from localcloud.training.toolkit import script_hosts, toolkit_python

    reader = MetricReader(description.metrics)
    hosts = cluster or script_hosts(toolkit_python(), sys.executable)
    attempt = Attempt(description, folder, hosts, write_line, reader)
    try:
        attempt.lay_out()
    except DataError as error:
        hosts.close()
        return Outcome(f"ClientError: {error}", 1, None, (), None, None, 0.0)
    ended = attempt.train(description.max_runtime)
    return Outcome(
        failure=ended.failure,
        exit_code=ended.exit_code,
        cut=ended.cut,
        metrics=reader.metrics,
        model=pack(attempt.trees, "model", folder / "model.tar.gz"),
        output=pack(attempt.trees, "output/data", folder / "output.tar.gz"),
        seconds=ended.seconds,
    )
