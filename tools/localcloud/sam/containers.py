"""Lambda's execution environments as the containers of `sam local start-lambda`."""

from __future__ import annotations

import http.client
import json
import re
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localcloud import calls
from localcloud.credentials import Credentials
from localcloud.engine import Engine
from localcloud.errors import LocalCloudError
from localcloud.function_logs import LogLines
from localcloud.functions import ExecutionEnvironment, FunctionSettings, Invocation
from localcloud.platform_log import PlatformLog, Status, log_stream_name
from localcloud.sam import cli
from localcloud.sam.derived import ContainerFunction, built_template, derive
from localcloud.sam.doorway import Doorway

if TYPE_CHECKING:
    from docker.models.containers import Container

# SAM CLI takes a second to start, and longer on a machine that has much to do.
_START_SECONDS = 60.0
# What a container's start takes, beside the function's own time: its image is built when the layer is new.
_CONTAINER_SECONDS = 120.0
# The engine hands on what a container writes within milliseconds.
_LOG_SECONDS = 5.0
_STOP_SECONDS = 30.0
_WARM = ("--warm-containers", "LAZY", "--no-watch")
_LABEL = "sam.cli.container.type=lambda"

# The lines of the emulator in the container. It tells neither END nor REPORT when the runtime has died.
_START = re.compile(r"START RequestId: (?P<id>[0-9a-f-]{36}) Version: ")
_REPORT = re.compile(r"REPORT RequestId: .*\tDuration: (?P<milliseconds>[0-9.]+) ms")
_END = re.compile(r"END RequestId: [0-9a-f-]{36}")
_DIED = "(rapid) Invoke DONE failed"


class SamContainers:
    """Runs handlers as they were built for Lambda, in its runtime, under `sam local start-lambda`.

    Args:
        template: the stack's template; what `sam build` made of it lies beside it.
        port: the local cloud's, on loopback.
        credentials: makes those of a function's role.
        write_log: takes a group, a stream and its new lines.
        on_line: called with each line that a function logs: its logical id, and the line.
    """

    limits: tuple[str, ...] = (
        "a function has one container, whatever its reserved concurrency; events wait for it",
        "no handler dies at a call in its container: faults.die is for functions of this process",
        "functions find the container's own request id in their context, another one for each attempt",
        "a function's answer counts as an error if it has the members errorType and errorMessage",
    )

    def __init__(
        self,
        template: Path,
        *,
        port: int,
        region: str,
        engine: Engine,
        credentials: Callable[[FunctionSettings], Credentials],
        write_log: Callable[[str, str, list[tuple[int, str]]], None],
        on_line: Callable[[str, str], None],
    ) -> None:
        self._template = template
        self._port = port
        self._region = region
        self._engine = engine
        self._credentials = credentials
        self.write_log = write_log
        self.on_line = on_line
        self._environments: dict[str, _Environment] = {}
        self._doorway: Doorway | None = None
        self._started: _StartLambda | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def start(self, functions: list[FunctionSettings]) -> None:
        """Start SAM CLI; each container starts with its function's first event.

        Raises:
            LocalCloudError: there is no engine, nothing was built, or SAM CLI does not start.
        """
        built = built_template(self._template)
        self._doorway = Doorway(self._engine, self._port)
        streams = {settings.logical_id: log_stream_name() for settings in functions}
        told = [
            ContainerFunction(
                logical_id=settings.logical_id,
                region=self._region,
                environment=settings.environment,
                timeout=settings.timeout,
                log_group=settings.log_group,
                log_stream=streams[settings.logical_id],
                json_logs=settings.json_logs,
                credentials=self._credentials(settings),
            )
            for settings in functions
        ]
        self._folder = tempfile.TemporaryDirectory(prefix="localcloud-sam-")
        folder = Path(self._folder.name)
        options = derive(built, told, folder, url=self._doorway.url)
        environment = cli.environment(f"http://127.0.0.1:{self._port}", self._region)
        self._started = started = _StartLambda(folder, options, environment)
        started.wait()
        self._environments = {
            settings.logical_id: _Environment(
                settings, self, started, _ContainerLog(self._engine, streams[settings.logical_id])
            )
            for settings in functions
        }

    def open(self, settings: FunctionSettings) -> ExecutionEnvironment:
        return self._environments[settings.logical_id]

    def stop(self) -> None:
        if self._started is not None:
            self._started.stop()
        for environment in self._environments.values():
            environment.log.close()
        if self._doorway is not None:
            self._doorway.close()
        if self._folder is not None:
            self._folder.cleanup()


class _Environment:
    """A function's one container."""

    def __init__(
        self, settings: FunctionSettings, world: SamContainers, server: _StartLambda, log: _ContainerLog
    ) -> None:
        self._settings = settings
        self._world = world
        self._server = server
        self.log = log
        self._lock = threading.Lock()

    def run(self, invocation: Invocation) -> Invocation:
        settings = self._settings
        lines = LogLines(lambda line: self._world.on_line(settings.logical_id, line))
        with self._lock:
            started, began = calls.now(), time.monotonic()
            with self.log.copied(_Copy(settings, lines)) as copy:
                payload = self._server.invoke(settings, invocation.event)
            seconds = time.monotonic() - began
        failed = cli.is_failure(payload)
        copy.report("error" if failed else "success")
        self._world.write_log(settings.log_group, self.log.stream, lines.lines)
        return replace(
            invocation,
            result=None if failed else payload,
            error={"stackTrace": [], **payload} if failed else None,
            logs=tuple(line for _, line in lines.lines),
            started=started,
            seconds=seconds,
        )

    def end(self) -> None:
        """The emulator in the container begins anew by itself, after a time-out and after a death."""


class _Copy:
    """What a container writes during one run of its handler, as Lambda would write it."""

    def __init__(self, settings: FunctionSettings, lines: LogLines) -> None:
        self._settings = settings
        self._lines = lines
        self._platform = PlatformLog(settings, lines, "")
        self._milliseconds = 0.0
        self.ended = threading.Event()

    def take(self, line: str) -> None:
        """Take a line of the container's."""
        if started := _START.match(line):
            self._platform = PlatformLog(self._settings, self._lines, started["id"])
            self._platform.start()
        elif reported := _REPORT.match(line):
            self._milliseconds = float(reported["milliseconds"])
            self.ended.set()
        elif not _END.match(line):
            self._lines.add(line)
            if _DIED in line:
                self.ended.set()

    def report(self, status: Status) -> None:
        """The run is over."""
        self._platform.report(self._milliseconds, status)


class _ContainerLog:
    """Follows what a function's container writes.

    Args:
        stream: the name of the log stream that the function was told, which no other container has.
    """

    def __init__(self, engine: Engine, stream: str) -> None:
        self.stream = stream
        self._engine = engine
        self._copy: _Copy | None = None
        self._thread: threading.Thread | None = None

    @contextmanager
    def copied(self, copy: _Copy) -> Iterator[_Copy]:
        """What the container writes within the block goes to ``copy``, all of it."""
        began = time.time()
        self._copy = copy
        try:
            yield copy
            # The first event makes the container, and a container that ended is another afterwards.
            if self._thread is None or not self._thread.is_alive():
                self._follow(began)
            if self._thread is not None:
                copy.ended.wait(_LOG_SECONDS)
        finally:
            self._copy = None

    def close(self) -> None:
        """The container has ended, and its log with it."""
        if self._thread is not None:
            self._thread.join(_LOG_SECONDS)

    def _follow(self, since: float) -> None:
        container = self._container()
        if container is None:
            return
        pieces = container.logs(stream=True, follow=True, since=since)
        self._thread = threading.Thread(
            target=self._read, args=(pieces,), name=f"log-{self.stream}", daemon=True
        )
        self._thread.start()

    def _read(self, pieces: Iterator[bytes]) -> None:
        rest = b""
        for piece in pieces:
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                copy = self._copy
                if copy is not None:
                    copy.take(line.decode(errors="replace"))

    def _container(self) -> Container | None:
        told = f"AWS_LAMBDA_LOG_STREAM_NAME={self.stream}"
        ours = self._engine.client.containers.list(filters={"label": _LABEL})
        return next((each for each in ours if told in each.attrs["Config"]["Env"]), None)


class _StartLambda:
    """SAM CLI's service. Its containers end with it.

    Args:
        folder: where it writes what it says.
        options: those that tell it the functions.
    """

    def __init__(self, folder: Path, options: Sequence[str], environment: Mapping[str, str]) -> None:
        self._said = folder / "sam.log"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        told = [*options, "--host", "127.0.0.1", "--port", str(self._port)]
        with self._said.open("wb") as said:
            self._process = subprocess.Popen(
                [cli.command(), "local", "start-lambda", *told, *_WARM, *cli.OPTIONS],
                env=environment,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                # It ends when it is told to, and not at the terminal's Ctrl-C already.
                start_new_session=True,
            )

    def wait(self) -> None:
        """Return when it takes events.

        Raises:
            LocalCloudError: it ends, or takes too long.
        """
        give_up = time.monotonic() + _START_SECONDS
        while not self._listens():
            if self._process.poll() is not None or time.monotonic() > give_up:
                raise LocalCloudError(f"sam local start-lambda does not start: {self._last_words()}")
            time.sleep(0.05)

    def invoke(self, settings: FunctionSettings, event: Any) -> Any:
        """What the function returned, or the error that Lambda would tell. Blocks."""
        limit = settings.timeout + _CONTAINER_SECONDS
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=limit)
        path = f"/2015-03-31/functions/{settings.logical_id}/invocations"
        try:
            connection.request("POST", path, json.dumps(event), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read().decode()
        except (OSError, http.client.HTTPException) as error:
            return _error("Sandbox.Failure", f"sam local start-lambda does not answer: {error!r}")
        finally:
            connection.close()
        if answer.status != HTTPStatus.OK:
            return _error("Sandbox.Failure", f"{text.strip()} {self._last_words()}")
        try:
            return json.loads(text)
        except ValueError:  # the emulator tells a time-out in Lambda's words, and not as JSON
            return _error("Sandbox.Timedout", f"Error: {text.strip()}")

    def stop(self) -> None:
        """End it, and every container that it has started."""
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _listens(self) -> bool:
        with socket.socket() as asked:
            return asked.connect_ex(("127.0.0.1", self._port)) == 0

    def _last_words(self) -> str:
        said = self._said.read_text(errors="replace").splitlines() if self._said.is_file() else []
        return " | ".join(line for line in said if line.strip())[-1000:]


def _error(kind: str, message: str) -> dict[str, Any]:
    return {"errorType": kind, "errorMessage": message, "stackTrace": []}
