"""Runs one event many times in a warm process, with recorded answers in the network's place.

``python -m bench.replay RECORDING ROUNDS`` needs the layer and the function's folder on its path, and nothing
of the local cloud: moto puts its own hooks into every client. The figures go to standard error, for standard
output is what the function logs to.
"""

from __future__ import annotations

import base64
import copy
import importlib
import io
import json
import statistics
import sys
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError
from botocore.response import StreamingBody

from modelgate.aws.session import of_this_process
from modelgate.runtime import Runtime, running_in

# Until every cache is filled: botocore's of endpoints and of parsers, and the layer's own.
WARM_UP = 20


class Context:
    """What Lambda tells a handler besides the event."""

    aws_request_id = "bench"

    @staticmethod
    def get_remaining_time_in_millis() -> int:
        return 60_000


@dataclass(frozen=True)
class Answer:
    """What AWS answered.

    Attributes:
        call: service and operation, as botocore's events name them: ``dynamodb.GetItem``.
    """

    call: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Self:
        return cls(told["call"], told["status"], told["headers"], base64.b64decode(told["body"]))

    def as_json(self) -> dict[str, Any]:
        body = base64.b64encode(self.body).decode()
        return {"call": self.call, "status": self.status, "headers": dict(self.headers), "body": body}

    def from_network(self, url: str) -> AWSResponse:
        """The same, as a client gets it."""
        headers: Any = self.headers  # typed as those of http.client, and taken from any mapping
        return AWSResponse(url, self.status, headers, _Body(self.body))


class _Body(io.BytesIO):
    """Bytes that are read as urllib3's answers are."""

    def stream(self, **_: object) -> Iterator[bytes]:
        yield self.read()


@dataclass(frozen=True)
class Call:
    """One call that the handler made."""

    method: Callable[..., dict[str, Any]]
    operation: str
    parameters: dict[str, Any]

    def again(self) -> None:
        """Makes the call, and reads what it answers to the end."""
        try:
            answer = self.method(**self.parameters)
        except ClientError:
            return  # an answer like others: that there is no such thing
        for value in answer.values():
            if isinstance(value, StreamingBody):
                value.read()


class Replaying:
    """A session whose clients do all but send: they sign, and get the next answer to such a call."""

    def __init__(self, session: Any, answers: Sequence[Answer]) -> None:
        self._session = session
        self._recorded = answers
        self._left: dict[str, deque[Answer]] = {}
        self._noted: list[Call] | None = None

    def client(self, service: str, **more: Any) -> Any:
        client = self._session.client(service, **more)
        methods = {operation: method for method, operation in client.meta.method_to_api_mapping.items()}

        def note(params: dict[str, Any], model: Any, **_: object) -> None:
            if self._noted is not None:
                method = getattr(client, methods[model.name])
                self._noted.append(Call(method, model.name, copy.deepcopy(params)))

        client.meta.events.register("provide-client-params", note)
        client.meta.events.register("before-send", self._answer)
        return client

    def rewind(self) -> None:
        """From here on the answers come from the first one again."""
        self._left = defaultdict(deque)
        for answer in self._recorded:
            self._left[answer.call].append(answer)

    def calls_of(self, work: Callable[[], object]) -> list[Call]:
        """The calls that are made meanwhile."""
        self._noted = []
        try:
            work()
            return self._noted
        finally:
            self._noted = None

    def _answer(self, event_name: str, request: Any, **_: object) -> AWSResponse:
        left = self._left[event_name.removeprefix("before-send.")]
        if not left:
            raise LookupError(f"the recording has no further answer to {event_name}")
        return left.popleft().from_network(request.url)


def measure(recording: Mapping[str, Any], rounds: int) -> dict[str, Any]:
    """The medians of the handler and of its calls alone, in milliseconds of processor time."""
    handler = importlib.import_module("app").handler
    session: Any = Replaying(of_this_process(), [Answer.of(each) for each in recording["answers"]])
    moment = datetime.fromisoformat(recording["moment"])
    runtime = Runtime(recording["environment"], session, lambda: moment)

    def handle() -> None:
        handler(dict(recording["event"]), Context())

    with running_in(runtime):
        for _ in range(WARM_UP):
            session.rewind()
            handle()
        session.rewind()
        made = session.calls_of(handle)

        def call() -> None:
            for each in made:
                each.again()

        taken: dict[str, list[float]] = {"handler": [], "calls": []}
        for number in range(WARM_UP + rounds):
            for name, work in (("handler", handle), ("calls", call)):
                session.rewind()
                began = time.process_time()
                work()
                took = time.process_time() - began
                if number >= WARM_UP:
                    taken[name].append(took)
    median = {name: statistics.median(times) * 1000 for name, times in taken.items()}
    return {
        "ratio": round(median["handler"] / median["calls"], 3),
        "handler_ms": round(median["handler"], 3),
        "calls_ms": round(median["calls"], 3),
        "calls": [each.operation for each in made],
    }


if __name__ == "__main__":
    sys.stderr.write(json.dumps(measure(json.loads(Path(sys.argv[1]).read_text()), int(sys.argv[2]))))
