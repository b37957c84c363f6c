"""The calls that were made, kept, and made again on a local cloud where nobody listens."""

from __future__ import annotations

import copy
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

import boto3
from botocore.exceptions import ClientError
from botocore.response import StreamingBody

from localcloud import LocalCloud


@dataclass
class Made:
    """A call that was made.

    Attributes:
        function: who made it, by the function's name; empty for the user.
        at: when it began, by a clock that only goes forward.
        version: of an object, as S3 told it.
        arn: of a model package, as SageMaker told it.
        error: what it was refused with; empty where it was not.
    """

    function: str
    service: str
    operation: str
    parameters: dict[str, Any]
    at: float
    version: str = ""
    arn: str = ""
    error: str = ""


class Recording:
    """A session whose clients tell of every call.

    Args:
        function: whose session it is; empty for the user's.
        take: called with each call when it begins. What was answered is added when the answer has come.
    """

    def __init__(self, session: boto3.Session, function: str, take: Callable[[Made], None]) -> None:
        self._session: Any = session
        self._function = function
        self._take = take

    def client(self, service: str, **more: Any) -> Any:
        client = self._session.client(service, **more)

        def begun(params: dict[str, Any], model: Any, context: dict[str, Any], **_: object) -> None:
            # The client itself changes the parameters on their way.
            made = Made(self._function, service, model.name, copy.deepcopy(params), time.monotonic())
            context["made"] = made
            self._take(made)

        def answered(parsed: Mapping[str, Any], context: dict[str, Any], **_: object) -> None:
            made = context["made"]
            made.version = parsed.get("VersionId", "")
            made.arn = parsed.get("ModelPackageArn", "")
            made.error = _error(parsed)

        client.meta.events.register("provide-client-params", begun)
        client.meta.events.register("after-call", answered)
        return client


@dataclass(frozen=True)
class Again:
    """What came of calls that were made again.

    Attributes:
        seconds: until all was quiet.
        answered_otherwise: how many were refused and had not been, or had been and were not.
    """

    seconds: float
    answered_otherwise: int


class BareCalls:
    """Makes calls again on a cloud of which no rule reaches a function from now on.

    Args:
        at_a_time: how many sequences of calls; each has clients of its own.
    """

    def __init__(self, cloud: LocalCloud, at_a_time: int) -> None:
        cloud.faults.drop(lambda delivery: delivery.function is not None, times=sys.maxsize)
        self._cloud = cloud
        self._at_a_time = at_a_time
        self._idle: SimpleQueue[_Caller] = SimpleQueue()
        versions: dict[str, str] = {}
        for _ in range(at_a_time):
            self._idle.put(_Caller(cloud, versions))

    def make(self, sequences: Sequence[Sequence[Made]]) -> Again:
        """Makes each sequence of calls, one call after the other."""
        began = time.monotonic()
        with ThreadPoolExecutor(self._at_a_time) as pool:
            otherwise = sum(pool.map(self._make, sequences))
        self._cloud.settle()
        return Again(time.monotonic() - began, otherwise)

    def _make(self, sequence: Sequence[Made]) -> int:
        caller = self._idle.get()
        try:
            return sum(caller.make(made) != made.error for made in sequence)
        finally:
            self._idle.put(caller)


class _Caller:
    """Clients of the user's, and of each function's role.

    Args:
        versions: what S3 calls the versions of objects now, by what it called them then.
    """

    def __init__(self, cloud: LocalCloud, versions: dict[str, str]) -> None:
        self._cloud = cloud
        self._versions = versions
        self._sessions: dict[str, Any] = {}
        self._methods: dict[tuple[str, str, str], Callable[..., dict[str, Any]]] = {}

    def make(self, made: Made) -> str:
        """Makes a call, and reads what it answers to the end; the error that it was refused with."""
        try:
            answer = self._method(made)(**self._named_anew(made.parameters))
        except ClientError as error:
            return _error(error.response)
        for value in answer.values():
            if isinstance(value, StreamingBody):
                value.read()
        if made.version:
            self._versions[made.version] = answer["VersionId"]
        return ""

    def _method(self, made: Made) -> Callable[..., dict[str, Any]]:
        key = made.function, made.service, made.operation
        if key not in self._methods:
            session: Any = self._session(made.function)
            client = session.client(made.service)
            for method, operation in client.meta.method_to_api_mapping.items():
                self._methods[made.function, made.service, operation] = getattr(client, method)
        return self._methods[key]

    def _session(self, function: str) -> Any:
        if function not in self._sessions:
            self._sessions[function] = self._cloud.session(function)
        return self._sessions[function]

    def _named_anew(self, value: Any) -> Any:
        """The parameters, with the versions of objects that are there now."""
        if isinstance(value, str):
            return self._versions.get(value, value)
        if isinstance(value, dict):
            return {name: self._named_anew(each) for name, each in value.items()}
        if isinstance(value, list):
            return [self._named_anew(each) for each in value]
        return value


def _error(answer: Mapping[str, Any]) -> str:
    return str(answer.get("Error", {}).get("Code", ""))
