"""Lambda's execution environments as threads of this process.

Each has a module of its own, loaded from the function's code, and a thread of its own.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from types import ModuleType
from typing import Any, Protocol

import boto3

from localcloud import calls
from localcloud.errors import TemplateError
from localcloud.function_logs import LogLines, logged_to, route_output
from localcloud.functions import ExecutionEnvironment, FunctionSettings, Invocation
from localcloud.platform_log import PlatformLog, Status, log_stream_name

_NUMBERS = itertools.count(1)


class RunningIn(Protocol):
    """Makes a handler's surroundings: enters what the function reads its environment and session from."""

    def __call__(
        self, environ: Mapping[str, str], session: boto3.Session, module: ModuleType, /
    ) -> Callable[[], AbstractContextManager[object]]:
        """Called once for each execution environment; what it returns, once for each invocation."""


class Context:
    """What Lambda hands to a handler beside the event ("Lambda context object in Python")."""

    function_version = "$LATEST"
    identity = None
    client_context = None

    def __init__(self, settings: FunctionSettings, request_id: str, log_stream: str) -> None:
        self.function_name = settings.name
        self.invoked_function_arn = settings.arn
        self.memory_limit_in_mb = str(settings.memory)
        self.aws_request_id = request_id
        self.log_group_name = settings.log_group
        self.log_stream_name = log_stream
        self._deadline = time.monotonic() + settings.timeout

    def get_remaining_time_in_millis(self) -> int:
        """How long the handler may still run."""
        return max(0, int((self._deadline - time.monotonic()) * 1000))


class InProcess:
    """Runs handlers in this process.

    Args:
        session: makes the session of an execution environment; the event is set when the environment is dead,
            and no call of its session may go out any more.
        running_in: makes the surroundings of handlers.
        write_log: takes a group, a stream and its new lines.
        on_line: called with each line that a function logs: its logical id, and the line.
    """

    limits: tuple[str, ...] = (
        "functions run in this process, on its Python; memory and layers are not theirs alone",
        "a function that runs into its time limit has failed, and ends at its next call of AWS",
    )

    def __init__(
        self,
        *,
        session: Callable[[FunctionSettings, threading.Event], boto3.Session],
        running_in: RunningIn,
        write_log: Callable[[str, str, list[tuple[int, str]]], None],
        on_line: Callable[[str, str], None],
        region: str,
    ) -> None:
        self.session = session
        self.running_in = running_in
        self.write_log = write_log
        self.on_line = on_line
        self.region = region

    def start(self, functions: list[FunctionSettings]) -> None:
        """Nothing has to be ready: modules are loaded with their functions' first events."""

    def open(self, settings: FunctionSettings) -> ExecutionEnvironment:
        return _Environment(settings, self)

    def stop(self) -> None:
        """Nothing is shared."""


class _Environment:
    """One module, one session, one thread."""

    def __init__(self, settings: FunctionSettings, world: InProcess) -> None:
        self._settings = settings
        self._world = world
        self._log_stream = log_stream_name()
        self._number = next(_NUMBERS)
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=f"{settings.logical_id}-{self._number}")
        self._dead = threading.Event()
        self._surroundings: Callable[[], AbstractContextManager[object]] = nullcontext
        self._module: ModuleType | None = None

    def run(self, invocation: Invocation) -> Invocation:
        """Run the handler; an error of its own becomes part of what is returned. Blocks."""
        lines = LogLines(lambda line: self._world.on_line(self._settings.logical_id, line))
        started, began = calls.now(), time.monotonic()
        future: Future[Any] = self._executor.submit(self._in_thread, invocation, lines)
        wait((future,), self._settings.timeout)
        if future.done():
            raised = future.exception()
            error = None if raised is None else _told(raised, invocation.request_id)
        else:
            # A thread cannot be ended from outside: it ends at its next call of AWS.
            self._dead.set()
            raised = TimeoutError()
            error = _timed_out(self._settings.timeout, invocation.request_id)
        seconds = time.monotonic() - began
        self._world.write_log(self._settings.log_group, self._log_stream, lines.lines)
        return replace(
            invocation,
            result=None if raised is not None else future.result(),
            error=error,
            logs=tuple(line for _, line in lines.lines),
            started=started,
            seconds=seconds,
        )

    def end(self) -> None:
        """The environment is not used any more."""
        self._executor.shutdown(wait=not self._dead.is_set())

    def _in_thread(self, invocation: Invocation, lines: LogLines) -> Any:
        route_output()
        settings = self._settings
        context = Context(settings, invocation.request_id, self._log_stream)
        began = time.monotonic()
        status: Status = "error"
        log = PlatformLog(settings, lines, invocation.request_id)
        with logged_to(lines):
            log.start()
            try:
                module = self._loaded()
                with self._surroundings():
                    event = json.loads(json.dumps(invocation.event))
                    result = getattr(module, settings.handler.rpartition(".")[2])(event, context)
                answer = json.loads(json.dumps(result))  # Lambda refuses what is no JSON
                status = "success"
                return answer
            finally:
                raised = sys.exc_info()[1]
                if raised is not None:
                    lines.add("[ERROR] " + "".join(traceback.format_exception(raised)).rstrip())
                log.report((time.monotonic() - began) * 1000, status)

    def _loaded(self) -> ModuleType:
        """The handler's module: by its place, under a name of its own, for every function's is ``app``."""
        if self._module is not None:
            return self._module
        settings = self._settings
        file = settings.code / (settings.handler.rpartition(".")[0].replace(".", "/") + ".py")
        name = f"_localcloud_{settings.logical_id}_{self._number}"
        spec = importlib.util.spec_from_file_location(name, file)
        if spec is None or spec.loader is None or not file.is_file():
            raise ImportError(f"Unable to import module '{settings.handler}': no file {file}")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        session = self._world.session(settings, self._dead)
        environ = _environ(settings, self._world.region, self._log_stream)
        self._surroundings = self._world.running_in(environ, session, module)
        self._module = module
        return module


def _environ(settings: FunctionSettings, region: str, log_stream: str) -> dict[str, str]:
    """The variables of the template, and those that Lambda sets ("Defined runtime environment variables")."""
    return {
        **settings.environment,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_LAMBDA_FUNCTION_NAME": settings.name,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(settings.memory),
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_LOG_GROUP_NAME": settings.log_group,
        "AWS_LAMBDA_LOG_STREAM_NAME": log_stream,
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "LAMBDA_TASK_ROOT": str(settings.code),
        "_HANDLER": settings.handler,
    }


def _told(error: BaseException, request_id: str) -> dict[str, Any]:
    """An error as Lambda tells it."""
    if not isinstance(error, Exception):
        return {
            "errorMessage": f"RequestId: {request_id} Error: Runtime exited: {error}",
            "errorType": "Runtime.ExitError",
            "stackTrace": [],
        }
    return {
        "errorMessage": str(error),
        "errorType": type(error).__name__,
        "requestId": request_id,
        "stackTrace": traceback.format_tb(error.__traceback__),
    }


def _timed_out(limit: float, request_id: str) -> dict[str, Any]:
    """A handler that ran into its function's Timeout, as Lambda tells it."""
    return {
        "errorMessage": f"RequestId: {request_id} Error: Task timed out after {limit:.2f} seconds",
        "errorType": "Sandbox.Timedout",
        "stackTrace": [],
    }


def modelgate_surroundings(
    environ: Mapping[str, str], session: boto3.Session, _module: ModuleType
) -> Callable[[], AbstractContextManager[object]]:
    """The surroundings of Modelgate's own functions: its layer's runtime.

    Raises:
        TemplateError: the layer is not installed here.
    """
    try:
        runtime = importlib.import_module("modelgate.runtime")
    except ModuleNotFoundError as error:
        raise TemplateError("the layer's package modelgate.runtime cannot be imported") from error
    made = runtime.Runtime(environ, session)
    return lambda: runtime.running_in(made)
