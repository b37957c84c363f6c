"""The containers of endpoints: what SageMaker asks of each of them, whatever it runs in.

"Custom inference code with hosting services" in the SageMaker Developer Guide: the model's data lie in
``/opt/ml/model``, ``GET /ping`` answers within two seconds, ``POST /invocations`` within sixty, SIGTERM comes
before SIGKILL.
"""

from __future__ import annotations

import http.client
import json
import re
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from localcloud.model_data import ModelData, ModelDataError
from localcloud.pace import Pace

_PING_SECONDS = 2.0
_FAMILIES = {"sagemaker-scikit-learn": "sklearn", "sagemaker-xgboost": "xgboost"}
_REPOSITORY = re.compile(r"^[^/]+/(?P<repository>[^:@]+)")

PREBUILT = tuple(sorted(_FAMILIES))


class ContainerError(Exception):
    """A container did not come to serve. The message is what SageMaker gives as FailureReason."""


@dataclass(frozen=True)
class ContainerSpec:
    """What a container is started from.

    Attributes:
        image: by its digest, where the image's registry is the local cloud's own.
        data: what lies in ``/opt/ml/model``; nothing does if it is None.
        hostname: its name in an inference pipeline; None if it is alone.
        start_limit: the seconds that its endpoint config gives it to answer ``/ping``.
        instance_type: what it runs on, such as ``ml.m5.large``; None if it is serverless.
        memory_mb: what a serverless one has; None on an instance.
        isolated: whether it reaches no network.
        log_group: where its lines are kept; its endpoint's group if it is None.
        answer_limit: how many seconds it may take to answer at most; as the pace says if it is None.
    """

    image: str
    data: ModelData | None
    environment: Mapping[str, str]
    hostname: str | None
    endpoint: str
    variant: str
    start_limit: float
    instance_type: str | None = None
    memory_mb: int | None = None
    isolated: bool = False
    log_group: str | None = None
    answer_limit: float | None = None

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


class Running(Protocol):
    """What was started for a container."""

    @property
    def address(self) -> tuple[str, int]:
        """The host and the port that it is asked at."""

    def is_up(self) -> bool:
        """Whether it has not ended yet."""

    def stop(self, grace: float) -> None:
        """SIGTERM, and SIGKILL ``grace`` seconds later. Returns when its output has been read to the end."""


# Starts a container: with its folder, in which its data lie under ``opt/ml/model``, and with what is to be
# called with each line that it writes. Raises ContainerError.
Run = Callable[[ContainerSpec, Path, Callable[[str], None]], Running]


def family(image: str) -> str | None:
    """The stand-in for an image, by the name of its repository; None if there is none."""
    match = _REPOSITORY.match(image)
    return _FAMILIES.get(match["repository"]) if match else None


class ServingContainer:
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
        run: Run,
        pace: Pace,
        lay_down: Callable[[ModelData, Path], None],
        write_log: Callable[[str, str], None],
        instance: str,
    ) -> None:
        self.spec = spec
        self._run = run
        self._pace = pace
        self._lay_down = lay_down
        self._write_log = write_log
        self.log_stream = "/".join(part for part in (spec.variant, instance, spec.hostname) if part)
        self._root = Path(tempfile.mkdtemp(prefix="localcloud-endpoint-"))
        self._running: Running | None = None
        self._stopping = threading.Event()
        self._lock = threading.Lock()

    def start(self) -> None:
        """Start. It serves when ``/ping`` is answered.

        Raises:
            ContainerError: its model cannot be laid down, or its image cannot be run.
        """
        folder = self._root / "opt/ml/model"
        folder.mkdir(parents=True)
        if self.spec.data is not None:
            try:
                self._lay_down(self.spec.data, folder)
            except ModelDataError as error:
                raise ContainerError(str(error)) from error
        if not self._stopping.is_set():
            running = self._run(self.spec, self._root, lambda line: self._write_log(self.log_stream, line))
            with self._lock:
                self._running = running
        if self._stopping.is_set():
            # It may have been told to while nothing ran that could be stopped.
            self.stop()
            raise ContainerError("The local cloud stopped before the container had started.")

    def comes_to_serve(self) -> bool:
        """Wait until ``/ping`` is answered; False if it ends before, or its time is over."""
        deadline = time.monotonic() + min(self.spec.start_limit, self._pace.container_start_limit)
        running = self._running
        while running is not None and time.monotonic() < deadline and running.is_up():
            if self._answers_ping(running):
                return True
            if self._stopping.wait(self._pace.ping_interval):
                break
        return False

    def invoke(self, body: bytes, headers: Mapping[str, str], limit: float | None = None) -> Answer:
        """POST /invocations.

        Args:
            limit: the seconds that it may take, where they are fewer than it has anyway.

        Raises:
            TimeoutError: there is no answer within the limit.
            OSError: the container does not listen any more.
        """
        running = self._running
        if running is None:
            raise ConnectionRefusedError("the container was never started")
        longest = self.spec.answer_limit or self._pace.invocation_limit
        timeout = longest if limit is None else min(limit, longest)
        connection = http.client.HTTPConnection(*running.address, timeout=timeout)
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

    def execution_parameters(self) -> Mapping[str, Any]:
        """What it says at ``/execution-parameters`` of how it wants to be asked; nothing, if it does not."""
        if self._running is None:
            return {}
        connection = http.client.HTTPConnection(*self._running.address, timeout=_PING_SECONDS)
        try:
            connection.request("GET", "/execution-parameters")
            response = connection.getresponse()
            said = json.loads(response.read()) if response.status == http.HTTPStatus.OK else {}
        except (OSError, http.client.HTTPException, ValueError):
            return {}
        finally:
            connection.close()
        return said if isinstance(said, dict) else {}

    def stop(self) -> None:
        """SIGTERM, and SIGKILL if that does not help; what it had on disk goes."""
        with self._lock:
            self._stopping.set()
            running = self._running
        if running is not None:
            running.stop(self._pace.container_stop_grace)
        shutil.rmtree(self._root, ignore_errors=True)

    @staticmethod
    def _answers_ping(running: Running) -> bool:
        connection = http.client.HTTPConnection(*running.address, timeout=_PING_SECONDS)
        try:
            connection.request("GET", "/ping")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def default_python() -> str:
    """The interpreter that stand-ins run in, unless another one is asked for."""
    return sys.executable
