"""The hosts of a training job, whatever they run in.

"How Amazon SageMaker AI Runs Your Training Image" in the SageMaker Developer Guide: every host runs the image
with the one argument ``train``, finds its tree under ``/opt/ml``, and says by its exit code whether it
succeeded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

OPT_ML = "/opt/ml"


class HostError(Exception):
    """A host cannot be started. The message is what SageMaker gives as FailureReason."""


@dataclass(frozen=True)
class HostSpec:
    """What a host is started from.

    Attributes:
        name: in the job's network, such as ``algo-1``.
        hosts: the names of all hosts of the job, its own among them.
        image: by its digest, where the image's registry is the local cloud's own.
        environment: the variables of the job and of SageMaker. Paths in it start with ``/opt/ml``.
        checkpoints: where checkpoints lie in the container; None if the job has none.
        isolated: whether it reaches no network but the other hosts.
    """

    job: str
    name: str
    hosts: Sequence[str]
    image: str
    environment: Mapping[str, str]
    instance_type: str
    checkpoints: str | None = None
    isolated: bool = False


class TrainingHost(Protocol):
    """A host that was started."""

    @property
    def failure(self) -> str | None:
        """SageMaker's FailureReason, where it is not the algorithm that tells it; known when it has ended."""

    def wait(self) -> int:
        """Its exit code, when it has ended and its output was read to the end; 128 + N after signal N."""

    def terminate(self, grace: float) -> None:
        """SIGTERM, and SIGKILL ``grace`` seconds later. Returns when it has ended."""


class Cluster(Protocol):
    """The hosts of one attempt of a job, and what they share, such as a network in which their names resolve.

    Attributes:
        network_interface: its name in the hosts.
    """

    network_interface: str

    def place(self, root: Path) -> str:
        """What stands for ``/opt/ml`` in the files and variables that a host reads.

        Args:
            root: the folder that stands for the file system of the host; its tree is ``root / "opt/ml"``.
        """

    def start(self, spec: HostSpec, root: Path, write: Callable[[str], None]) -> TrainingHost:
        """Start a host.

        Args:
            write: called with each line that it writes.

        Raises:
            HostError: it cannot be started.
        """

    def close(self) -> None:
        """Nothing is left of what they shared. All hosts have ended."""
