"""A thousand submissions through the chain on the local cloud, beside the calls that it makes.

A submission is a model.tar.gz and a manifest.yaml, put by a client of the user's. S3's event of each starts
`model_uploaded`; what the second one comes to is a version in the registry and its announcement on the bus,
and SageMaker's event of the version starts `approval_changed`, which has nothing to do. There the chain ends:
what an approval starts is a container. A few submissions are under way at a time, and when one is announced
the next is put. So no queue grows, and latency means something: it is from the call that puts the second file
to the announcement.

Beside it stand the bare calls: all that was called meanwhile, by the user and by the functions, is called
again on a local cloud whose rules reach no function. Each call has the same parameters, and a client of the
same kind with the rights of the same role makes it; only versions of objects are called what S3 calls them
there. The calls of one submission come one after the other, and as many submissions at a time as before.

Each side is a process with its own local cloud, and shares its interpreter's lock with it. So the ratios mean
something, and how many there are in a second says little of AWS. The sides take turns, one submission of each
group at a time, and the median of the ratios counts. A few go first that do not count, so that what functions
and clients need at their start is made.
"""

from __future__ import annotations

import io
import statistics
import sys
import tarfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import Pipe, get_context
from multiprocessing.connection import Connection
from queue import SimpleQueue
from threading import Event
from types import ModuleType
from typing import Any

import boto3

from bench import ROOT
from bench.bare_calls import Again, BareCalls, Made, Recording
from localcloud import LocalCloud
from modelgate.announcements import Kind
from modelgate.registry.package import SUBMISSION
from modelgate.runtime import Runtime, running_in
from modelgate.submission import SubmissionId

SUBMISSIONS = 1000
GROUPS = 50
AT_A_TIME = 4
REHEARSAL = 40
_HUNDRED = 100
_PATIENCE_SECONDS = 60.0

_POLICY = b"gate: {metrics: [{name: accuracy, goal: maximize, at_least: 0.9}]}\n"
_MANIFEST = """
description: Submission {name}
container: {{framework: sklearn, version: 1.4-2}}
metrics: {{accuracy: 0.95, f1: 0.93}}
content_types: [text/csv]
response_types: [text/csv]
smoke_test: {{content_type: text/csv, body: "5.1,3.5,1.4,0.2", expect: setosa}}
"""
_SCRIPT = "def model_fn(model_dir):\n    return model_dir\n"


@dataclass(frozen=True)
class Submitted:
    """One submission.

    Attributes:
        seconds: from its second file to its announcement; None where none came.
    """

    id: str
    seconds: float | None


@dataclass(frozen=True)
class Outcome:
    """What the cloud has of submissions, which are called ``group/name``.

    Attributes:
        versions: of each that the registry knows, its versions.
        announced: of each that was announced as registered, how often.
        dead_letters: events and invocations that were given up.
    """

    versions: Mapping[str, Sequence[int]]
    announced: Mapping[str, int]
    dead_letters: int

    def lost(self, submitted: Sequence[Submitted]) -> int:
        """How many have no version or no announcement, and how much was given up on the way."""
        done = [each.id in self.versions and each.id in self.announced for each in submitted]
        return done.count(False) + self.dead_letters

    @property
    def twice(self) -> int:
        """Versions and announcements beyond one for each submission."""
        more = [len(versions) - 1 for versions in self.versions.values()]
        return sum(more) + sum(count - 1 for count in self.announced.values())


def measure() -> dict[str, Any]:
    """The figures of the chain, and of the bare calls."""
    here, there = Pipe()
    spawning = get_context("spawn")
    process = spawning.Process(target=_make_bare_calls, args=(there, AT_A_TIME), daemon=True)
    process.start()
    submitted: list[Submitted] = []
    seconds: list[tuple[float, float]] = []
    calls = otherwise = 0
    with running_chain(GROUPS, AT_A_TIME) as chain:
        here.send(chain.put("rehearsal", REHEARSAL).calls)
        here.recv()
        for number in range(SUBMISSIONS // GROUPS):
            round_ = chain.put(f"round-{number}", GROUPS)
            here.send(round_.calls)
            bare: Again = here.recv()
            submitted += round_.submitted
            seconds.append((round_.seconds, bare.seconds))
            calls += sum(map(len, round_.calls))
            otherwise += bare.answered_otherwise
            sys.stderr.write(f"chain: {len(submitted)} of {SUBMISSIONS} submissions\n")
        outcome = chain.outcome()
    here.send(None)
    process.join()
    latencies = [each.seconds for each in submitted if each.seconds is not None]
    first, last = (statistics.median(part) for part in (latencies[:_HUNDRED], latencies[-_HUNDRED:]))
    return {
        "submissions": len(submitted),
        "groups": GROUPS,
        "at_a_time": AT_A_TIME,
        "calls_each": round(calls / len(submitted), 1),
        "seconds": round(sum(ours for ours, _ in seconds), 1),
        "bare_seconds": round(sum(bare for _, bare in seconds), 1),
        "per_second": round(len(submitted) / sum(ours for ours, _ in seconds), 1),
        "latency_ms": round(statistics.median(latencies) * 1000),
        "efficiency": round(statistics.median(bare / ours for ours, bare in seconds), 3),
        "last_over_first": round(last / first, 3),
        "lost": outcome.lost(submitted),
        "twice": outcome.twice,
        "answered_otherwise": otherwise,
    }


def _make_bare_calls(orders: Connection, at_a_time: int) -> None:
    """What the other process does: makes the calls that it is sent, and sends what came of them."""
    with governed_cloud() as cloud:
        bare = BareCalls(cloud, at_a_time)
        while (sequences := orders.recv()) is not None:
            orders.send(bare.make(sequences))


@contextmanager
def governed_cloud(**more: Any) -> Iterator[LocalCloud]:
    """A local cloud of the stack with a default policy that has a gate."""
    with LocalCloud(ROOT / "template.yaml", **more) as cloud:
        bucket = cloud.outputs["Bucket"]
        cloud.client("s3").put_object(Bucket=bucket, Key="policies/default.yaml", Body=_POLICY)
        cloud.settle()
        yield cloud


@contextmanager
def running_chain(groups: int, at_a_time: int) -> Iterator[Chain]:
    """A chain whose functions run in this process, and whose calls are kept.

    Args:
        at_a_time: how many submissions are under way.
    """
    by_invocation: defaultdict[str, list[Made]] = defaultdict(list)

    def surroundings(
        environ: Mapping[str, str], session: boto3.Session, _module: ModuleType
    ) -> Callable[[], AbstractContextManager[object]]:
        def take(made: Made) -> None:
            by_invocation[runtime.invocation.id].append(made)

        recording: Any = Recording(session, environ["AWS_LAMBDA_FUNCTION_NAME"], take)
        runtime = Runtime(environ, recording)
        return partial(running_in, runtime)

    with governed_cloud(running_in=surroundings) as cloud:
        yield Chain(cloud, groups, at_a_time, by_invocation)


@dataclass(frozen=True)
class Round:
    """What came of some submissions.

    Attributes:
        submitted: in the order in which they began.
        seconds: until all was quiet.
        calls: of each, in the order in which they were made.
    """

    submitted: Sequence[Submitted]
    seconds: float
    calls: Sequence[Sequence[Made]] = field(repr=False)


class Chain:
    """Puts submissions, and looks what became of them.

    Args:
        by_invocation: takes the calls of functions, by the ids of their invocations.
    """

    def __init__(
        self, cloud: LocalCloud, groups: int, at_a_time: int, by_invocation: Mapping[str, list[Made]]
    ) -> None:
        self._cloud = cloud
        self._groups = groups
        self._people = _People(cloud, at_a_time)
        self._by_invocation = by_invocation
        self._versions: dict[str, str] = {}
        self._invocations = len(cloud.invocations)

    def put(self, name: str, submissions: int) -> Round:
        """Puts so many, of one group after the other, and returns when all is quiet."""
        ids = [
            SubmissionId(f"group-{number % self._groups:02}", f"{name}-{number}")
            for number in range(submissions)
        ]
        began = time.monotonic()
        submitted = self._people.submit(ids)
        self._cloud.settle(_PATIENCE_SECONDS)
        seconds = time.monotonic() - began
        calls = self._calls()
        return Round(submitted, seconds, [calls[each.id] for each in submitted])

    def outcome(self) -> Outcome:
        """What the cloud has of all of them."""
        announced = (_registered(event) for event in self._cloud.events_seen)
        return Outcome(versions_of(self._cloud), Counter(filter(None, announced)), dead_letters(self._cloud))

    def _calls(self) -> Mapping[str, Sequence[Made]]:
        """By submission what was called since this was asked last, by people and by functions."""
        found = self._people.take_calls()
        invocations = self._cloud.invocations[self._invocations :]
        self._invocations += len(invocations)
        # What makes a version comes before what is told of it.
        for invocation in sorted(invocations, key=lambda each: each.function != "ModelUploaded"):
            detail, made = invocation.event["detail"], self._by_invocation[invocation.request_id]
            if invocation.function == "ModelUploaded":
                name = _submission_of(detail["object"]["key"])
                self._versions |= {each.arn: name for each in made if each.operation == "CreateModelPackage"}
            else:
                name = self._versions[detail["ModelPackageArn"]]
            found[name] += made
        for calls in found.values():
            calls.sort(key=lambda each: each.at)
        return found


class _People:
    """Those who submit, each with a client."""

    def __init__(self, cloud: LocalCloud, number: int) -> None:
        self._calls: defaultdict[str, list[Made]] = defaultdict(list)
        self._bucket = cloud.outputs["Bucket"]
        self._number = number
        self._clients: SimpleQueue[Any] = SimpleQueue()
        self._heard: dict[str, Event] = {}
        self._when: dict[str, float] = {}
        for _ in range(number):
            self._clients.put(Recording(cloud.session(), "", self._take).client("s3"))
        cloud.on_event(self._told)

    def submit(self, submissions: Sequence[SubmissionId]) -> list[Submitted]:
        """Each puts one, and the next one when it is announced."""
        with ThreadPoolExecutor(self._number) as pool:
            return list(pool.map(self._submit, submissions))

    def take_calls(self) -> dict[str, list[Made]]:
        """What they called since this was asked last, by submission."""
        taken, self._calls = self._calls, defaultdict(list)
        return taken

    def _submit(self, submission: SubmissionId) -> Submitted:
        name = str(submission)
        heard = self._heard[name] = Event()
        client = self._clients.get()
        try:
            client.put_object(
                Bucket=self._bucket, Key=submission.key("model.tar.gz"), Body=artifact(_SCRIPT, name)
            )
            began = time.monotonic()
            client.put_object(Bucket=self._bucket, Key=submission.key("manifest.yaml"), Body=_manifest(name))
            if not heard.wait(_PATIENCE_SECONDS):
                return Submitted(name, None)
            return Submitted(name, self._when[name] - began)
        finally:
            self._clients.put(client)

    def _take(self, made: Made) -> None:
        self._calls[_submission_of(made.parameters["Key"])].append(made)

    def _told(self, event: Mapping[str, Any], _bus: str) -> None:
        name = _registered(event)
        if name in self._heard:
            self._when.setdefault(name, time.monotonic())
            self._heard[name].set()


def _manifest(name: str) -> bytes:
    """A manifest.yaml that no other submission has."""
    return _MANIFEST.format(name=name).encode()


def artifact(script: str, name: str) -> bytes:
    """A model.tar.gz for the sklearn container; no other submission has the same."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for member, content in (("code/inference.py", script), ("model.joblib", name)):
            info = tarfile.TarInfo(member)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content.encode()))
    return packed.getvalue()


def _submission_of(key: str) -> str:
    return str(SubmissionId.of_key(key))


def _registered(event: Mapping[str, Any]) -> str:
    """The submission that an event announces as registered; empty for other events."""
    detail = event["detail"]
    return (
        f"{detail['group']}/{detail['submission']}" if event["detail-type"] == Kind.MODEL_REGISTERED else ""
    )


def versions_of(cloud: LocalCloud) -> dict[str, list[int]]:
    """The versions in the registry, by the submission that each says it is of."""
    sagemaker = cloud.client("sagemaker")
    found: defaultdict[str, list[int]] = defaultdict(list)
    pages = sagemaker.get_paginator("list_model_packages").paginate(ModelPackageType="Versioned")
    for summary in (each for page in pages for each in page["ModelPackageSummaryList"]):
        package = sagemaker.describe_model_package(ModelPackageName=summary["ModelPackageArn"])
        group, name = package["ModelPackageGroupName"], package["CustomerMetadataProperties"][SUBMISSION]
        found[f"{group}/{name}"].append(package["ModelPackageVersion"])
    return dict(found)


def dead_letters(cloud: LocalCloud) -> int:
    """How many events and invocations were given up."""
    sqs, count = cloud.client("sqs"), "ApproximateNumberOfMessages"
    queues = (cloud.outputs[name] for name in ("UndeliveredEventsQueue", "FailedInvocationsQueue"))
    return sum(
        int(sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=[count])["Attributes"][count])
        for queue in queues
    )
