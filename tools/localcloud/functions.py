"""Lambda: the stack's functions, the events that wait for them, and what comes of each.

Where a handler runs is not known here: in this process (`in_process`), or in containers (`sam`).
"""

from __future__ import annotations

import datetime as dt
import threading
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from localcloud import calls
from localcloud.calls import ACCOUNT
from localcloud.errors import ServiceError
from localcloud.pace import Pace
from localcloud.schedule import InFlight, Scheduler

# Without a reservation a function has the account's: here what a small machine can do at a time.
_UNRESERVED = 10
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


class ExecutionEnvironment(Protocol):
    """Where a handler runs, one event at a time."""

    def run(self, invocation: Invocation) -> Invocation:
        """Run the handler; an error of its own becomes part of what is returned. Blocks."""

    def end(self) -> None:
        """The environment is not used any more."""


class ExecutionEnvironments(Protocol):
    """Makes the execution environments of a stack's functions.

    Attributes:
        limits: what they do less than those on AWS, for people.
    """

    limits: tuple[str, ...]

    def start(self, functions: list[FunctionSettings]) -> None:
        """Get ready for events of these functions.

        Raises:
            LocalCloudError: something that is needed for it is not here.
        """

    def open(self, settings: FunctionSettings) -> ExecutionEnvironment:
        """One more for a function; it may start when its first event comes."""

    def stop(self) -> None:
        """End what all of them share. None of them is in use any more."""


class Function:
    """A function, its execution environments, and the events that wait for one."""

    def __init__(self, settings: FunctionSettings, environments: ExecutionEnvironments) -> None:
        self.settings = settings
        self._environments = environments
        self._lock = threading.Lock()
        self._idle: list[ExecutionEnvironment] = []
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
            environment = self._environments.open(self.settings)
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


class Invoker:
    """Calls the functions.

    Args:
        environments: where their handlers run.
        destination: called with the ARN of an on-failure destination and the record for it.
        done: called with each invocation that has run.
    """

    def __init__(
        self,
        functions: list[FunctionSettings],
        environments: ExecutionEnvironments,
        *,
        pace: Pace,
        scheduler: Scheduler,
        in_flight: InFlight,
        destination: Callable[[str, Mapping[str, Any]], None],
        done: Callable[[Invocation], None],
    ) -> None:
        self._environments = environments
        self._functions = [Function(settings, environments) for settings in functions]
        self._pace = pace
        self._scheduler = scheduler
        self._in_flight = in_flight
        self._destination = destination
        self._done = done

    @property
    def all(self) -> list[FunctionSettings]:
        """Every function of the stack."""
        return [function.settings for function in self._functions]

    @property
    def limits(self) -> tuple[str, ...]:
        """What the functions do less than on AWS, for people."""
        return self._environments.limits

    def settings(self, name_or_arn: str) -> FunctionSettings:
        """The function of this name, ARN or logical id.

        Raises:
            ServiceError: there is none.
        """
        return self._named(name_or_arn).settings

    def invoke(self, name_or_arn: str, event: Any) -> Invocation:
        """Call, and wait for the answer.

        Raises:
            ServiceError: no such function, or no place is free.
        """
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
        """Take an event; its request id. Retries and the destination of failures are the function's own."""
        function = self._named(name_or_arn)
        invocation = Invocation(function.settings.logical_id, str(uuid.uuid4()), event)
        self._queue(function, invocation, 0.0)
        return invocation.request_id

    def stop(self) -> None:
        """End every execution environment."""
        for function in self._functions:
            function.stop()
        self._environments.stop()

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
