"""Documents of training jobs, and the functions that train, on an AWS in memory."""

from __future__ import annotations

import json
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

from modelgate.directory import Directory
from modelgate.errors import AwsError, NotYet
from modelgate.images.choice import Chooser
from modelgate.invocation import Invocation
from modelgate.policies import Policies
from modelgate.run import TrainingId
from modelgate.training.finishing import TrainingFollower
from modelgate.training.requesting import Trainer
from modelgate.training.retraining import Retrainer
from modelgate.training.runs import TrainingRuns
from modelgate.training.writing import written
from tests.fakes.aws import Crash
from tests.fakes.runtime import STACK, Memory
from tests.fakes.tarballs import tarball
from tests.fakes.training import FakeTrainingJobs

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelgate.run_items import Summary
    from modelgate.training.order import TrainingOrder
    from modelgate.training.runs import TrainingRun

TIME_LIMIT = 300
FOLDER = "training/iris/first/"
RUN = TrainingId("iris", "first")
ROLE = "arn:aws:iam::123456789012:role/training"
REGION = "eu-central-1"
SERVE = {
    "content_types": ["text/csv"],
    "response_types": ["application/json"],
    "smoke_test": {"content_type": "text/csv", "body": "5.1,3.5,1.4,0.2"},
}
# A key without a value is left out.
SKLEARN: dict[str, Any] = {
    "container": {"framework": "sklearn", "version": "1.9-0"},
    "script": {"source": "code.tar.gz", "program": "train.py"},
    "hyperparameters": {"max-depth": 4, "solver": "lbfgs"},
    "data": {"train": "data/train/"},
    "serve": SERVE,
}


def content(**changes: Any) -> dict[str, Any]:
    """A job that is right, but for the changes; None leaves a key out."""
    return {key: value for key, value in {**SKLEARN, **changes}.items() if value is not None}


def document(**changes: Any) -> bytes:
    """The same as a text."""
    return written(content(**changes))


class Studio:
    """The functions that train, on an AWS in memory."""

    def __init__(self) -> None:
        self.memory = Memory()
        memory = self.memory
        self.clock, self.calls, self.bucket, self.bus = memory.clock, memory.calls, memory.bucket, memory.bus
        self.images = memory.images
        self.jobs = FakeTrainingJobs(memory.calls, memory.clock, memory.bucket)
        self.runs = TrainingRuns(memory.table)
        policies, directory = Policies(memory.bucket), Directory(memory.table)
        self.trainer = Trainer(
            bucket=memory.bucket,
            runs=self.runs,
            jobs=self.jobs,
            chooser=Chooser("123456789012", REGION, lambda: memory.images),
            policies=policies,
            bus=memory.bus,
            page_of=lambda job: f"https://console.example/{job}",
            role=ROLE,
            region=REGION,
            stack=STACK,
            clock=memory.clock,
        )
        self.follower = TrainingFollower(
            bucket=memory.bucket,
            runs=self.runs,
            jobs=self.jobs,
            trainer=lambda: self.trainer,
            bus=memory.bus,
            page_of=lambda job: f"https://console.example/{job}",
            stack=STACK,
            clock=memory.clock,
        )
        self.retrainer = Retrainer(
            bucket=memory.bucket, runs=self.runs, policies=policies, directory=directory, bus=memory.bus
        )
        self._ids = count(1)
        self.bucket.put("policies/default.yaml", b"{}")

    # ── what people do ────────────────────────────────────────────────────────────────────────
    def upload(self, text: bytes | None = None, folder: str = FOLDER) -> str:
        """A folder for training: the data, the script, and its document last."""
        self.bucket.put(f"{folder}data/train/flowers.csv", b"5.1,3.5,1.4,0.2,setosa")
        self.bucket.put(f"{folder}code.tar.gz", tarball({"train.py": b"print('accuracy=0.95')"}))
        return self.upload_document(text, folder)

    def upload_document(self, text: bytes | None = None, folder: str = FOLDER) -> str:
        key = f"{folder}job.yaml"
        self.bucket.put(key, document() if text is None else text)
        return key

    # ── what events do ────────────────────────────────────────────────────────────────────────
    def invocation(self, name: str | None = None) -> Invocation:
        until = self.clock.now + timedelta(seconds=TIME_LIMIT)
        return Invocation(name or f"invocation-{next(self._ids)}", until)

    def receive(self, key: str = f"{FOLDER}job.yaml", invocation: str | None = None) -> Summary:
        return self.trainer.receive(key, self.invocation(invocation))

    def finished(self, job: str | None = None, invocation: str | None = None) -> Summary:
        return self.follower.job_changed(job or self.started[-1], self.invocation(invocation))

    def as_lambda_does(self, call: Callable[[str], object]) -> None:
        """With two retries, which keep the invocation's id."""
        name = f"invocation-{next(self._ids)}"
        for _ in range(3):
            try:
                call(name)
            except (AwsError, NotYet, Crash):
                self.clock.forward(90)
            else:
                return

    def sweep(self) -> list[Summary]:
        groups = Directory(self.memory.table).groups()
        return self.follower.sweep(groups, self.invocation())

    # ── what there is ─────────────────────────────────────────────────────────────────────────
    @property
    def started(self) -> list[str]:
        """The jobs that were started."""
        return list(self.jobs.orders)

    @property
    def order(self) -> TrainingOrder:
        return self.jobs.orders[self.started[-1]]

    @property
    def item(self) -> TrainingRun:
        (found,) = self.runs.of_group("iris")
        return found

    @property
    def message(self) -> str:
        return self.bus.announced[-1].message

    @property
    def keys(self) -> list[str]:
        """Of all that lies in the bucket."""
        return self.bucket.keys()

    def read(self, key: str) -> Any:
        """A JSON document in the bucket."""
        found = self.bucket.read(key, 10**6)
        assert found is not None, key
        return json.loads(found[0])
