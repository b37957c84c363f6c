"""Ten thousand approvals of one endpoint's versions, and how many updates of it they come to.

On AWS an update takes minutes, and approvals arrive meanwhile. How many there are in that time must not
matter: however many are made while ten updates go by, these ten and the one that ends at the last approval
are all there is to do. So time is told in updates here: a container comes up only when it is let, and it is
let when a tenth of the approvals has been dealt with. The same is done with a hundred approvals.

The versions are approved in random order by one operator, who makes the next approval when the function has
dealt with the one before: people and pipelines are slower than that. The functions, their roles, the events
and the containers are those of the local cloud.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Condition
from types import ModuleType
from typing import Any

import boto3

from bench import ROOT
from bench.bare_calls import Recording
from bench.chain import artifact, dead_letters, versions_of
from localcloud import Invocation, LocalCloud, Pace
from modelgate.runtime import Runtime, running_in

APPROVALS = 10_000
FEW = 100
VERSIONS = 20
UPDATES = 10
_GROUP = "iris"
_SEED = 6
_PATIENCE_SECONDS = 600.0

_MANIFEST = b"""
container: {framework: sklearn, version: 1.4-2}
metrics: {accuracy: 0.95}
content_types: [text/csv]
response_types: [text/csv]
smoke_test: {content_type: text/csv, body: "5.1,3.5,1.4,0.2", expect: run}
"""
# It is loaded when all may, or when it is the one that may.
_SCRIPT = """
import pathlib, time

def model_fn(model_dir):
    while not pathlib.Path({gate!r}, "all").exists():
        try:
            pathlib.Path({gate!r}, "one").unlink()
            break
        except FileNotFoundError:
            time.sleep(0.01)
    return {name!r}

def input_fn(body, content_type):
    return body

def predict_fn(data, model):
    return model

def output_fn(prediction, accept):
    return prediction
"""


@dataclass(frozen=True)
class Outcome:
    """What the approvals came to.

    Attributes:
        updates: calls of CreateEndpoint and UpdateEndpoint.
        calls: that the functions made for the approvals, and for the endpoint's events.
        last: the submission whose version was approved last, and ``serves`` what the endpoint answers.
        dead_letters: events and invocations that were given up.
        seconds: from the first approval until all was quiet.
    """

    updates: int
    calls: int
    last: str
    serves: str
    dead_letters: int
    seconds: float

    @property
    def converged(self) -> bool:
        """Whether the version that was approved last serves, and nothing was given up on the way."""
        return self.serves == self.last and self.dead_letters == 0


def measure() -> dict[str, Any]:
    """The figures of many approvals, and the updates that a few come to."""
    few, many = (approve(number, VERSIONS, UPDATES) for number in (FEW, APPROVALS))
    return {
        "approvals": APPROVALS,
        "versions": VERSIONS,
        "updates": many.updates,
        "updates_at_100": few.updates,
        "converged": few.converged and many.converged,
        "calls_each": round(many.calls / APPROVALS, 2),
        "seconds": round(many.seconds, 1),
    }


def approve(approvals: int, versions: int, updates: int) -> Outcome:
    """Approves versions in random order while so many updates go by, and returns when all is quiet."""
    made: Counter[str] = Counter()

    def surroundings(
        environ: Mapping[str, str], session: boto3.Session, _module: ModuleType
    ) -> Callable[[], AbstractContextManager[object]]:
        recording: Any = Recording(session, "", lambda call: made.update([call.operation]))
        return partial(running_in, Runtime(environ, recording))

    # A container that is not let yet is no container that fails.
    pace = Pace(container_start_limit=_PATIENCE_SECONDS, ping_interval=0.02)
    with (
        tempfile.TemporaryDirectory() as gate,
        LocalCloud(ROOT / "template.yaml", pace=pace, running_in=surroundings) as cloud,
    ):
        operator = _Operator(cloud, Path(gate))
        names = operator.register(versions)
        made.clear()
        began = time.monotonic()
        order = _order(approvals, sorted(names), updates)
        for part in order:
            operator.approve(part)
            operator.let_one_update_end()
        operator.let_all_updates_end()
        seconds = time.monotonic() - began
        return Outcome(
            updates=made["CreateEndpoint"] + made["UpdateEndpoint"],
            calls=made.total(),
            last=names[order[-1][-1]],
            serves=operator.ask(),
            dead_letters=dead_letters(cloud),
            seconds=seconds,
        )


def _order(approvals: int, versions: Sequence[int], updates: int) -> list[list[int]]:
    """The versions in the order of their approvals, in as many parts as there are updates.

    No part ends with the version that the part before ends with, or begins with: each update has a next one.
    """
    chosen = random.Random(_SEED)  # noqa: S311  the same approvals each time
    parts: list[list[int]] = []
    before = 0
    for _ in range(updates):
        part = chosen.choices(versions, k=approvals // updates)
        part[-1] = chosen.choice([each for each in versions if each not in {before, part[0]}])
        before = part[-1]
        parts.append(part)
    return parts


class _Operator:
    """Approves, waits, and lets containers come up.

    Args:
        gate: the folder in which containers look whether they may.
    """

    def __init__(self, cloud: LocalCloud, gate: Path) -> None:
        self._cloud = cloud
        self._gate = gate
        self._sagemaker = cloud.client("sagemaker")
        self._arns: dict[int, str] = {}
        self._changed = Condition()
        self._approvals = 0
        self._ran: Counter[str] = Counter()
        cloud.on_invocation(self._saw)

    def register(self, versions: int) -> dict[int, str]:
        """Registers so many; what each answers, by its version."""
        s3, bucket = self._cloud.client("s3"), self._cloud.outputs["Bucket"]
        s3.put_object(Bucket=bucket, Key=f"policies/{_GROUP}.yaml", Body=b"{}")
        self._cloud.settle(_PATIENCE_SECONDS)
        for number in range(versions):
            name = f"run-{number}"
            script = _SCRIPT.format(gate=str(self._gate), name=name)
            for file, body in (("model.tar.gz", artifact(script, name)), ("manifest.yaml", _MANIFEST)):
                s3.put_object(Bucket=bucket, Key=f"models/{_GROUP}/{name}/{file}", Body=body)
        self._cloud.settle(_PATIENCE_SECONDS)
        found = self._sagemaker.list_model_packages(ModelPackageGroupName=_GROUP, MaxResults=100)
        self._arns = {
            each["ModelPackageVersion"]: each["ModelPackageArn"] for each in found["ModelPackageSummaryList"]
        }
        self._ran.clear()
        return {
            version: submission.partition("/")[2]
            for submission, versions_ in versions_of(self._cloud).items()
            for version in versions_
        }

    def approve(self, versions: Sequence[int]) -> None:
        """Approves one after the other, each when the one before it has been dealt with."""
        for version in versions:
            self._sagemaker.update_model_package(
                ModelPackageArn=self._arns[version], ModelApprovalStatus="Approved"
            )
            self._approvals += 1
            self._await(lambda: self._ran["ApprovalChanged"] == self._approvals)

    def let_one_update_end(self) -> None:
        """Lets the container of this update come up, and returns when what follows was dealt with."""
        ended = self._ran["EndpointChanged"]
        (self._gate / "one").touch()
        self._await(lambda: self._ran["EndpointChanged"] > ended)

    def let_all_updates_end(self) -> None:
        """Returns when all is quiet."""
        (self._gate / "all").touch()
        self._cloud.settle(_PATIENCE_SECONDS)

    def ask(self) -> str:
        """What the endpoint answers."""
        answer = self._cloud.client("sagemaker-runtime").invoke_endpoint(
            EndpointName=_GROUP, ContentType="text/csv", Body=b"5.1,3.5,1.4,0.2"
        )
        return str(answer["Body"].read().decode())

    def _saw(self, invocation: Invocation) -> None:
        retries = self._cloud.function(invocation.function).retries
        with self._changed:
            # What failed and is tried again is not dealt with yet.
            self._ran[invocation.function] += invocation.error is None or invocation.attempt > retries
            self._changed.notify_all()

    def _await(self, happened: Callable[[], bool]) -> None:
        with self._changed:
            if not self._changed.wait_for(happened, _PATIENCE_SECONDS):
                waiting = ", ".join(self._cloud.in_flight[:5])
                raise TimeoutError(f"not dealt with in {_PATIENCE_SECONDS:g} s: {waiting}")
