"""Lambda: the stack's functions, run in this process.

Each execution environment has a module of its own, loaded from the function's code, and a thread of its own;
it handles one event at a time. There are as many as the function's reserved concurrency allows.
"""

from __future__ import annotations

import datetime as dt
import importlib.util
import itertools
import json
import sys
import threading
import time
import traceback
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import boto3

from localcloud import calls
from localcloud.calls import ACCOUNT
from localcloud.errors import ServiceError, TemplateError
from localcloud.function_logs import LogLines, logged_to, route_output
from localcloud.pace import Pace
from localcloud.schedule import InFlight, Scheduler

# Without a reservation a function has the account's: here what a small machine can do at a time.
_UNRESERVED = 10
_ENVIRONMENTS = itertools.count(1)
_ENDS_THE_ENVIRONMENT = frozenset({"Runtime.ExitError", "Sandbox.Timedout"})


@dataclass(frozen=True)
class FunctionSettings:
    """A function as the template has it.

    Attributes:
        code: the folder of its code.
        environment: the variables of the template, resolved.
        retries: how often Lambda tries again after a function error.
        on_failure: the ARN of the destination of events that failed to the end.
        allowed: (principal, source ARN or None) pairs that may invoke it.
    """

    logical_id: str
    name: str
    arn: str
    code: Path
    handler: str
    environment: Mapping[str, str]
    role: str
    timeout: float
    memory: int
    concurrency: int | None
    log_group: str
    json_logs: bool
    retries: int = 2
    most_age: float = 21600.0
    on_failure: str | None = None
    allowed: tuple[tuple[str, str | None], ...] = ()
    properties: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Invocation:
    """One run of a handler, or what is to become one.

    Attributes:
        function: the function's logical id.
        attempt: 1 for the first.
        error: what the handler raised; None if it returned, or has not run yet.
        result: what it returned.
        logs: its log lines.
    """

    function: str
    request_id: str
    event: Any
    attempt: int = 1
    result: Any = None
    error: Mapping[str, Any] | None = None
    logs: tuple[str, ...] = ()
    started: dt.datetime | None = None
    seconds: float = 0.0

    def __str__(self) -> str:
        kind = self.event.get("detail-type", "an event") if isinstance(self.event, Mapping) else "an event"
        return f"invocation of {self.function} with {kind!r}, attempt {self.attempt}"


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


@dataclass(frozen=True)
class _Hooks:
    """What an execution environment needs of the world around it."""

    session: Callable[[FunctionSettings, threading.Event], boto3.Session]
    running_in: RunningIn
    write_log: Callable[[str, str, list[tuple[int, str]]], None]
    on_line: Callable[[str, str], None]
    region: str


class _ExecutionEnvironment:
    """One module, one session, one thread."""

    def __init__(self, settings: FunctionSettings, hooks: _Hooks) -> None:
        self.settings = settings
        self._hooks = hooks
        today = dt.datetime.now(dt.UTC).strftime("%Y/%m/%d")
        self.log_stream = f"{today}/[$LATEST]{uuid.uuid4().hex}"
        self._number = next(_ENVIRONMENTS)
        self.executor = ThreadPoolExecutor(1, thread_name_prefix=f"{settings.logical_id}-{self._number}")
        self.dead = threading.Event()
        self._surroundings: Callable[[], AbstractContextManager[object]] = nullcontext
        self._module: ModuleType | None = None

    def run(self, invocation: Invocation) -> Invocation:
        """Run the handler; an error of its own becomes part of what is returned. Blocks."""
        lines = LogLines(lambda line: self._hooks.on_line(self.settings.logical_id, line))
        started, began = calls.now(), time.monotonic()
        future: Future[Any] = self.executor.submit(self._in_thread, invocation, lines)
        wait((future,), self.settings.timeout)
        if future.done():
            raised = future.exception()
            error = None if raised is None else _told(raised, invocation.request_id)
        else:
            # A thread cannot be ended from outside: it ends at its next call of AWS.
            self.dead.set()
            raised = TimeoutError()
            error = _timed_out(self.settings.timeout, invocation.request_id)
        seconds = time.monotonic() - began
        self._hooks.write_log(self.settings.log_group, self.log_stream, lines.lines)
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
        self.executor.shutdown(wait=not self.dead.is_set())

    def _in_thread(self, invocation: Invocation, lines: LogLines) -> Any:
        route_output()
        settings = self.settings
        context = Context(settings, invocation.request_id, self.log_stream)
        began = time.monotonic()
        status = "error"
        with logged_to(lines):
            self._platform(lines, "start", invocation.request_id, {"version": "$LATEST"})
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
                self._report(lines, invocation.request_id, (time.monotonic() - began) * 1000, status)

    def _report(self, lines: LogLines, request_id: str, milliseconds: float, status: str) -> None:
        if self.settings.json_logs:
            metrics = {
                "durationMs": round(milliseconds, 3),
                "billedDurationMs": int(milliseconds) + 1,
                "memorySizeMB": self.settings.memory,
            }
            self._platform(lines, "report", request_id, {"status": status, "metrics": metrics})
            return
        lines.add(f"END RequestId: {request_id}")
        lines.add(
            f"REPORT RequestId: {request_id}\tDuration: {milliseconds:.2f} ms\t"
            f"Billed Duration: {int(milliseconds) + 1} ms\tMemory Size: {self.settings.memory} MB"
        )

    def _platform(self, lines: LogLines, kind: str, request_id: str, record: Mapping[str, Any]) -> None:
        if self.settings.json_logs:
            when = calls.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
            content = {
                "time": when,
                "type": f"platform.{kind}",
                "record": {"requestId": request_id, **record},
            }
            lines.add(json.dumps(content))
        elif kind == "start":
            lines.add(f"START RequestId: {request_id} Version: $LATEST")

    def _loaded(self) -> ModuleType:
        """The handler's module: by its place, under a name of its own, for every function's is ``app``."""
        if self._module is not None:
            return self._module
        settings = self.settings
        file = settings.code / (settings.handler.rpartition(".")[0].replace(".", "/") + ".py")
        name = f"_localcloud_{settings.logical_id}_{self._number}"
        spec = importlib.util.spec_from_file_location(name, file)
        if spec is None or spec.loader is None or not file.is_file():
            raise ImportError(f"Unable to import module '{settings.handler}': no file {file}")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        session = self._hooks.session(settings, self.dead)
        environ = _environ(settings, self._hooks.region, self.log_stream)
        self._surroundings = self._hooks.running_in(environ, session, module)
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


class Function:
    """A function, its execution environments, and the events that wait for one."""

    def __init__(self, settings: FunctionSettings, hooks: _Hooks) -> None:
        self.settings = settings
        self._hooks = hooks
        self._lock = threading.Lock()
        self._idle: list[_ExecutionEnvironment] = []
        self._busy = 0
        self._waiting: deque[Callable[[], None]] = deque()

    @property
    def _limit(self) -> int:
        reserved = self.settings.concurrency
        return _UNRESERVED if reserved is None else reserved

    def enter(self) -> bool:
        """Take one of the function's places, if one is free."""
        with self._lock:
            if self._busy >= self._limit:
                return False
            self._busy += 1
            return True

    def enter_or_wait(self, start: Callable[[], None]) -> bool:
        """Take a place, or have ``start`` called with one as soon as there is."""
        with self._lock:
            if self._busy >= self._limit:
                self._waiting.append(start)
                return False
            self._busy += 1
            return True

    def leave(self) -> None:
        """Give the place to whoever waits first, or back."""
        with self._lock:
            start = self._waiting.popleft() if self._waiting else None
            if start is None:
                self._busy -= 1
        if start is not None:
            start()

    def run(self, invocation: Invocation) -> Invocation:
        """Run the handler in an environment. The caller has a place."""
        with self._lock:
            environment = self._idle.pop() if self._idle else None
        if environment is None:
            environment = _ExecutionEnvironment(self.settings, self._hooks)
        outcome = environment.run(invocation)
        if outcome.error is not None and outcome.error["errorType"] in _ENDS_THE_ENVIRONMENT:
            environment.end()
        else:
            with self._lock:
                self._idle.append(environment)
        return outcome

    def stop(self) -> None:
        """End every environment."""
        with self._lock:
            self._waiting.clear()
            environments, self._idle = self._idle, []
        for environment in environments:
            environment.end()


class Invoker(Protocol):
    """What calls functions: in this process, or one day in containers."""

    def settings(self, name_or_arn: str) -> FunctionSettings:
        """The function of this name, ARN or logical id.

        Raises:
            ServiceError: there is none.
        """

    def invoke(self, name_or_arn: str, event: Any) -> Invocation:
        """Call, and wait for the answer.

        Raises:
            ServiceError: no such function, or no place is free.
        """

    def invoke_later(self, name_or_arn: str, event: Any) -> str:
        """Take an event; its request id. Retries and the destination of failures are the function's own."""


class InProcessInvoker:
    """Calls the functions in this process.

    Args:
        session: makes the session of an execution environment; the event is set when the environment is dead,
            and no call of its session may go out any more.
        destination: called with the ARN of an on-failure destination and the record for it.
        done: called with each invocation that has run.
    """

    def __init__(
        self,
        functions: list[FunctionSettings],
        *,
        region: str,
        pace: Pace,
        scheduler: Scheduler,
        in_flight: InFlight,
        session: Callable[[FunctionSettings, threading.Event], boto3.Session],
        running_in: RunningIn,
        write_log: Callable[[str, str, list[tuple[int, str]]], None],
        on_line: Callable[[str, str], None],
        destination: Callable[[str, Mapping[str, Any]], None],
        done: Callable[[Invocation], None],
    ) -> None:
        hooks = _Hooks(session, running_in, write_log, on_line, region)
        self._functions = [Function(settings, hooks) for settings in functions]
        self._pace = pace
        self._scheduler = scheduler
        self._in_flight = in_flight
        self._destination = destination
        self._done = done

    @property
    def all(self) -> list[FunctionSettings]:
        """Every function of the stack."""
        return [function.settings for function in self._functions]

    def settings(self, name_or_arn: str) -> FunctionSettings:
        return self._named(name_or_arn).settings

    def invoke(self, name_or_arn: str, event: Any) -> Invocation:
        function = self._named(name_or_arn)
        if not function.enter():
            raise ServiceError("TooManyRequestsException", "Rate Exceeded.", 429)
        try:
            with self._in_flight.ticket(f"invocation of {function.settings.logical_id}"):
                outcome = function.run(Invocation(function.settings.logical_id, str(uuid.uuid4()), event))
                self._done(outcome)
                return outcome
        finally:
            function.leave()

    def invoke_later(self, name_or_arn: str, event: Any) -> str:
        function = self._named(name_or_arn)
        invocation = Invocation(function.settings.logical_id, str(uuid.uuid4()), event)
        self._queue(function, invocation, 0.0)
        return invocation.request_id

    def stop(self) -> None:
        """End every execution environment."""
        for function in self._functions:
            function.stop()

    def _queue(self, function: Function, invocation: Invocation, delay: float) -> None:
        self._scheduler.after(delay, str(invocation), lambda: self._try(function, invocation))

    def _try(self, function: Function, invocation: Invocation) -> None:
        ticket = self._in_flight.take(f"{invocation} (waits for a free place)")

        def start() -> None:
            self._scheduler.after(0, str(invocation), lambda: self._run(function, invocation))
            self._in_flight.give_back(ticket)

        if function.enter_or_wait(start):
            self._in_flight.give_back(ticket)
            self._run(function, invocation)

    def _run(self, function: Function, invocation: Invocation) -> None:
        try:
            outcome = function.run(invocation)
            self._done(outcome)
            if outcome.error is not None:
                self._failed(function, invocation, outcome.error)
        finally:
            function.leave()

    def _failed(self, function: Function, invocation: Invocation, error: Mapping[str, Any]) -> None:
        settings = function.settings
        if invocation.attempt <= settings.retries:
            pauses = self._pace.function_retries
            pause = pauses[min(invocation.attempt, len(pauses)) - 1]
            self._queue(function, replace(invocation, attempt=invocation.attempt + 1), pause)
        elif settings.on_failure:
            self._destination(settings.on_failure, _failure_record(settings, invocation, error))

    def _named(self, name_or_arn: str) -> Function:
        name = name_or_arn.split(":function:", 1)[-1].split(":", 1)[0]
        for function in self._functions:
            if name in {function.settings.name, function.settings.logical_id}:
                return function
        arn = f"arn:aws:lambda:*:{ACCOUNT}:function:{name}"
        raise ServiceError("ResourceNotFoundException", f"Function not found: {arn}", 404)


def _failure_record(
    settings: FunctionSettings, invocation: Invocation, error: Mapping[str, Any]
) -> dict[str, Any]:
    """What an on-failure destination gets ("Capturing records of Lambda asynchronous invocations")."""
    return {
        "version": "1.0",
        "timestamp": calls.now().isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "requestContext": {
            "requestId": invocation.request_id,
            "functionArn": f"{settings.arn}:$LATEST",
            "condition": "RetriesExhausted",
            "approximateInvokeCount": invocation.attempt,
        },
        "requestPayload": invocation.event,
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        "responsePayload": {
            "errorMessage": error["errorMessage"],
            "errorType": error["errorType"],
            "stackTrace": error["stackTrace"],
        },
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
