"""Hosts of training jobs as processes of this machine: stand-ins for prebuilt containers.

What is different from containers:

- ``/opt/ml`` is a folder of its own for each host; variables, hyperparameters and configuration that name a
  path under it name the one there, and SAGEMAKER_BASE_DIR tells where it is;
- the hosts are 127.0.x.1, 127.0.x.2 and so on, whose names Python programs know (``names/sitecustomize.py``);
  x is drawn for each job;
- network isolation is not kept;
- they have this machine's processors and memory, whatever their instance type.
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from localcloud.serving import PREBUILT, family
from localcloud.training import opt_ml
from localcloud.training.environment import OF_IMAGES
from localcloud.training.hosts import OPT_ML, HostError, HostSpec, TrainingHost

_NAMES = Path(__file__).resolve().parent / "names"
_PACKAGES = Path(__file__).resolve().parents[2]
_NETWORKS = range(1, 255)
# Whoever listens here has drawn this network. Hosts have other addresses.
_DRAWN = ("254", 47_113)


class ProcessCluster:
    """A `localcloud.training.hosts.Cluster` of processes.

    Args:
        python: the interpreter; it needs the framework.
        command: what runs ``train`` in place of the stand-ins: a module and its arguments.
    """

    network_interface = "lo"

    def __init__(self, *, python: str, command: Sequence[str] | None = None) -> None:
        self._python = python
        self._command = command
        self._network, self._drawn = _draw_network()

    def place(self, root: Path) -> str:
        """Where the tree of the host lies on this machine."""
        return f"{root}{OPT_ML}"

    def start(self, spec: HostSpec, root: Path, write: Callable[[str], None]) -> TrainingHost:
        """Start the stand-in for the image of a host.

        Raises:
            HostError: there is none.
        """
        stand_in = family(spec.image)
        if stand_in is None:
            raise HostError(
                f"The local cloud has no stand-in for the image {spec.image}; it has some for "
                f"{', '.join(PREBUILT)}."
            )
        command = self._command or [f"localcloud.containers.{stand_in}", "train"]
        return ProcessHost(
            [self._python, "-m", *command], self._environment(spec, root, stand_in), root, write
        )

    def close(self) -> None:
        """Another job may draw the network."""
        self._drawn.close()

    def _environment(self, spec: HostSpec, root: Path, stand_in: str) -> dict[str, str]:
        base = self.place(root)
        given = {**OF_IMAGES[stand_in], **spec.environment}
        hosts = {name: f"127.0.{self._network}.{number}" for number, name in enumerate(spec.hosts, start=1)}
        return {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(root),
            "TMPDIR": _made(root / "tmp"),
            "PYTHONPATH": os.pathsep.join((str(_PACKAGES), str(_NAMES))),
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "OMP_NUM_THREADS": "1",
            "LOCALCLOUD_ENDS_WITH_STDIN": "1",
            "LOCALCLOUD_HOSTS": json.dumps(hosts),
            "LOCALCLOUD_HOST": spec.name,
            "SAGEMAKER_BASE_DIR": base,
            **{name: opt_ml.in_place(value, base) for name, value in given.items()},
        }


class ProcessHost:
    """A `localcloud.training.hosts.TrainingHost`: a process, and whatever it starts."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], root: Path, write: Callable[[str], None]
    ) -> None:
        self._write = write
        self._lock = threading.Lock()
        self._is_cleared = False
        self._process = subprocess.Popen(
            command,
            env=environment,
            cwd=root,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # Its end tells the process that this one is gone, however it went.
            stdin=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            # All that it starts ends with it, as with a container.
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read_output, daemon=True)
        self._reader.start()

    @property
    def failure(self) -> None:
        """A process tells by itself why it failed."""

    def wait(self) -> int:
        """Its exit code, when all it started has ended too."""
        code = self._process.wait()
        self._clear_away()
        return code if code >= 0 else 128 - code

    def terminate(self, grace: float) -> None:
        """SIGTERM for the process itself, as a container's first process gets it; SIGKILL for all of them."""
        if self._process.poll() is None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(grace)
        if self._process.poll() is None:
            self._kill()
        self._process.wait()
        self._clear_away()

    def _clear_away(self) -> None:
        with self._lock:
            if self._is_cleared:
                return
            self._is_cleared = True
            self._kill()
            self._reader.join()
            for pipe in (self._process.stdout, self._process.stdin):
                if pipe is not None:
                    pipe.close()

    def _kill(self) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _read_output(self) -> None:
        for line in self._process.stdout or ():
            self._write(line.rstrip("\n"))


def _draw_network() -> tuple[int, socket.socket]:
    """A network that no other job of this machine has."""
    for network in random.sample(_NETWORKS, len(_NETWORKS)):
        drawn = socket.socket()
        try:
            drawn.bind((f"127.0.{network}.{_DRAWN[0]}", _DRAWN[1]))
        except OSError:
            drawn.close()
            continue
        return network, drawn
    raise HostError(f"All {len(_NETWORKS)} networks for hosts of training jobs are in use on this machine.")


def _made(folder: Path) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    return str(folder)
