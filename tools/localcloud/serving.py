"""The containers of endpoints, as processes of this machine that keep the same contract.

"Custom inference code with hosting services" in the SageMaker Developer Guide: the model's data lie in
``/opt/ml/model``, ``GET /ping`` answers within two seconds, ``POST /invocations`` within sixty, SIGTERM comes
before SIGKILL. What is different here: ``/opt/ml`` is a folder of its own for each process, and every value
of the environment that starts with ``/opt/ml`` is changed to point there.
"""

from __future__ import annotations

import http.client
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from localcloud.model_data import ModelData, ModelDataError
from localcloud.pace import Pace

_OPT_ML = "/opt/ml"
_PING_SECONDS = 2.0
_FAMILIES = {"sagemaker-scikit-learn": "sklearn", "sagemaker-xgboost": "xgboost"}
_REPOSITORY = re.compile(r"^[^/]+/(?P<repository>[^:@]+)")


class ContainerError(Exception):
    """A container did not come to serve. The message is what SageMaker gives as FailureReason."""


@dataclass(frozen=True)
class ContainerSpec:
    """What a container is started from.

    Attributes:
        data: what lies in ``/opt/ml/model``; nothing does if it is None.
        hostname: its name in an inference pipeline; None if it is alone.
        start_limit: the seconds that its endpoint config gives it to answer ``/ping``.
    """

    image: str
    data: ModelData | None
    environment: Mapping[str, str]
    hostname: str | None
    endpoint: str
    variant: str
    start_limit: float

    @property
    def name(self) -> str:
        """What errors call it."""
        return self.hostname or "primary"


@dataclass(frozen=True)
class Answer:
    """What a container answered to an invocation."""

    status: int
    content_type: str
    body: bytes
    custom_attributes: str | None


def family(image: str) -> str | None:
    """The stand-in for an image, by the name of its repository; None if there is none."""
    match = _REPOSITORY.match(image)
    return _FAMILIES.get(match["repository"]) if match else None


class ServingProcess:
    """A container that serves, or is to.

    Args:
        lay_down: puts the model's data into a folder; raises ModelDataError.
        write_log: called with a log stream's name and a line.
        instance: the id of the instance that it runs on.
    """

    def __init__(
        self,
        spec: ContainerSpec,
        *,
        python: str,
        pace: Pace,
        lay_down: Callable[[ModelData, Path], None],
        write_log: Callable[[str, str], None],
        instance: str,
    ) -> None:
        self.spec = spec
        self._python = python
        self._pace = pace
        self._lay_down = lay_down
        self._write_log = write_log
        self.log_stream = "/".join(part for part in (spec.variant, instance, spec.hostname) if part)
        self._root = Path(tempfile.mkdtemp(prefix="localcloud-endpoint-"))
        self._port = 0
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._stopping = threading.Event()
        self._lock = threading.Lock()

    def start(self) -> None:
        """Start. It serves when ``/ping`` is answered.

        Raises:
            ContainerError: its model cannot be laid down, or there is no stand-in for the image.
        """
        stand_in = family(self.spec.image)
        if stand_in is None:
            raise ContainerError(
                f"The local cloud has no stand-in for the image {self.spec.image}; it has some for "
                f"{', '.join(sorted(_FAMILIES))}."
            )
        self._model_dir.mkdir(parents=True)
        if self.spec.data is not None:
            try:
                self._lay_down(self.spec.data, self._model_dir)
            except ModelDataError as error:
                raise ContainerError(str(error)) from error
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        with self._lock:
            if self._stopping.is_set():
                raise ContainerError("The local cloud stopped before the container had started.")
            process = self._process = subprocess.Popen(
                [self._python, "-m", f"localcloud.containers.{stand_in}", "serve"],
                env=self._environment(),
                cwd=self._root,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                # Its end tells the container that this process is gone, however it went.
                stdin=subprocess.PIPE,
                text=True,
                errors="replace",
            )
        self._reader = threading.Thread(target=self._read_output, args=(process,), daemon=True)
        self._reader.start()

    def comes_to_serve(self) -> bool:
        """Wait until ``/ping`` is answered; False if it ends before, or its time is over."""
        deadline = time.monotonic() + min(self.spec.start_limit, self._pace.container_start_limit)
        process = self._process
        while process is not None and time.monotonic() < deadline and process.poll() is None:
            if self._answers_ping():
                return True
            if self._stopping.wait(self._pace.ping_interval):
                break
        return False

    def invoke(self, body: bytes, headers: Mapping[str, str], limit: float | None = None) -> Answer:
        """POST /invocations.

        Args:
            limit: the seconds that it may take, where they are fewer than the pace gives.

        Raises:
            TimeoutError: there is no answer within the limit.
            OSError: the container does not listen any more.
        """
        longest = self._pace.invocation_limit
        timeout = longest if limit is None else min(limit, longest)
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=timeout)
        try:
            connection.request("POST", "/invocations", body, dict(headers))
            response = connection.getresponse()
            return Answer(
                response.status,
                response.getheader("Content-Type", ""),
                response.read(),
                response.getheader("X-Amzn-SageMaker-Custom-Attributes"),
            )
        finally:
            connection.close()

    def stop(self) -> None:
        """SIGTERM, and SIGKILL if that does not help; what it had on disk goes."""
        with self._lock:
            self._stopping.set()
            process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                process.wait(self._pace.container_stop_grace)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._reader is not None:
            self._reader.join(timeout=2)
        for pipe in (process.stdout, process.stdin) if process is not None else ():
            if pipe is not None:
                pipe.close()
        shutil.rmtree(self._root, ignore_errors=True)

    @property
    def _model_dir(self) -> Path:
        return self._root / "opt/ml/model"

    def _environment(self) -> dict[str, str]:
        root = f"{self._root}{_OPT_ML}"
        given = {
            name: root + value.removeprefix(_OPT_ML) if value.startswith(_OPT_ML) else value
            for name, value in self.spec.environment.items()
        }
        ours = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(self._root),
            "PYTHONPATH": str(Path(__file__).resolve().parent.parent),
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "OMP_NUM_THREADS": "1",
            "LOCALCLOUD_ENDS_WITH_STDIN": "1",
            "SM_MODEL_DIR": str(self._model_dir),
            "SAGEMAKER_BASE_DIR": root,
            "SAGEMAKER_BIND_TO_PORT": str(self._port),
        }
        return {**ours, **given, "SAGEMAKER_BIND_TO_PORT": str(self._port)}

    def _answers_ping(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_PING_SECONDS)
        try:
            connection.request("GET", "/ping")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _read_output(self, process: subprocess.Popen[str]) -> None:
        if process.stdout is None:
            return
        for line in process.stdout:
            self._write_log(self.log_stream, line.rstrip("\n"))


def default_python() -> str:
    """The interpreter that stand-ins run in, unless another one is asked for."""
    return sys.executable
