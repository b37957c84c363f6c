"""What a handler adds to the calls that it makes, in a process that is warm already.

A deployment is run once on the local cloud, and what AWS answered is kept. Then a process that has nothing of
the local cloud in it gets the same events again, with those answers in the network's place: clients validate,
serialise, sign and parse as ever, and send nothing. Beside each event stand the calls that its handler made,
made again by the same clients with the same parameters. Both take turns, and the medians count.

The functions run on what `make build` makes, with the Python of the runtime where it is here. The time is
that of the processor, over all threads of the process.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from botocore.awsrequest import AWSResponse
from botocore.httpsession import URLLib3Session

from bench import ROOT
from bench.deployment import Handled, deployment
from bench.interpreters import environment
from bench.replay import Answer
from build import layer_for, runtimes_or_own

ROUNDS = 400


class Recording:
    """A session whose clients keep what they are answered."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._http = URLLib3Session()
        self.answers: list[Answer] = []

    def client(self, service: str, **more: Any) -> Any:
        client = self._session.client(service, **more)
        client.meta.events.register("before-send", self._send)
        return client

    def _send(self, event_name: str, request: Any, **_: object) -> AWSResponse:
        told = self._http.send(request)
        call = event_name.removeprefix("before-send.")
        answer = Answer(call, told.status_code, dict(told.headers), told.content)
        self.answers.append(answer)
        return answer.from_network(request.url)


def measure() -> dict[str, Any]:
    """By event, the handler beside its calls; the headline is the worst of the ratios."""
    python, told = runtimes_or_own()
    with tempfile.TemporaryDirectory() as temporary:
        layer = Path(temporary, "python")
        layer_for(python, layer)
        cases = {event: replayed(handled, python, layer) for event, handled in deployment(Recording).items()}
    return {"ratio": max(case["ratio"] for case in cases.values()), **cases, "rounds": ROUNDS, "python": told}


def replayed(handled: Handled[Recording], python: Path, layer: Path) -> dict[str, Any]:
    """The figures of one event.

    Args:
        python: the interpreter that runs the handler.
        layer: the folder with the packages that Lambda would find in the layer.

    Raises:
        RuntimeError: it could not run; the message says why.
    """
    recording = {
        "event": handled.event,
        "environment": handled.environment,
        "moment": handled.moment.isoformat(),
        "answers": [answer.as_json() for answer in handled.session.answers],
    }
    variables = environment(layer, ROOT / "functions" / handled.function, ROOT / "tools")
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(recording, file)
        file.flush()
        done = subprocess.run(
            [python, "-m", "bench.replay", file.name, str(ROUNDS)],
            env={**variables, **handled.environment, "PYTHONDONTWRITEBYTECODE": "1"},
            check=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
    if done.returncode != 0:
        raise RuntimeError(f"{handled.function} could not be run again:\n{done.stderr}")
    figures: dict[str, Any] = json.loads(done.stderr)
    return figures
