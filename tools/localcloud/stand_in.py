"""Stand-ins for prebuilt containers: processes of this machine that keep the same contract.

What is different from a container: ``/opt/ml`` is a folder of its own for each process, and every value of
the environment that starts with ``/opt/ml`` is changed to point there.
"""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

from localcloud.serving import ContainerError, ContainerSpec, family

_OPT_ML = "/opt/ml"


class StandIn:
    """A `localcloud.serving.Running`: the process in place of a prebuilt container.

    Args:
        root: the folder that stands for the container's file system.
        write: called with each line that it writes.
        python: the interpreter; it needs the framework.

    Raises:
        ContainerError: there is no stand-in for the image.
    """

    def __init__(self, spec: ContainerSpec, root: Path, write: Callable[[str], None], *, python: str) -> None:
        stand_in = family(spec.image)
        if stand_in is None:
            raise ContainerError(f"The local cloud has no stand-in for the image {spec.image}.")
        # Handed on as it is: until the model is loaded, a port that is only remembered may become another's.
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            self._port = bound.getsockname()[1]
            self._process = subprocess.Popen(
                [python, "-m", f"localcloud.containers.{stand_in}", "serve"],
                env=_environment(spec, root, self._port, bound.fileno()),
                cwd=root,
                pass_fds=[bound.fileno()],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                # Its end tells the process that this one is gone, however it went.
                stdin=subprocess.PIPE,
                text=True,
                errors="replace",
            )
        self._reader = threading.Thread(target=self._read_output, args=(write,), daemon=True)
        self._reader.start()

    @property
    def address(self) -> tuple[str, int]:
        """The host and the port that it is asked at."""
        return "127.0.0.1", self._port

    def is_up(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def stop(self, grace: float) -> None:
        """SIGTERM, and SIGKILL ``grace`` seconds later."""
        process = self._process
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(grace)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        # Whoever it has started may hold the other end of the pipe for longer.
        self._reader.join(timeout=2)
        for pipe in (process.stdout, process.stdin):
            if pipe is not None:
                pipe.close()

    def _read_output(self, write: Callable[[str], None]) -> None:
        for line in self._process.stdout or ():
            write(line.rstrip("\n"))


def _environment(spec: ContainerSpec, root: Path, port: int, bound: int) -> dict[str, str]:
    base = f"{root}{_OPT_ML}"
    given = {
        name: base + value.removeprefix(_OPT_ML) if value.startswith(_OPT_ML) else value
        for name, value in spec.environment.items()
    }
    ours = {
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(root),
        "PYTHONPATH": str(Path(__file__).resolve().parent.parent),
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
        "LOCALCLOUD_ENDS_WITH_STDIN": "1",
        "LOCALCLOUD_BOUND_SOCKET": str(bound),
        "SM_MODEL_DIR": f"{base}/model",
        "SAGEMAKER_BASE_DIR": base,
    }
    return {**ours, **given, "SAGEMAKER_BIND_TO_PORT": str(port)}
