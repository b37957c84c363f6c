"""Registration on the in-memory AWS: the real use case, and a way to deliver uploads to it."""

from __future__ import annotations

import json
from datetime import timedelta
from itertools import count
from typing import Any

from modelgate.errors import AwsError, NotYet
from modelgate.invocation import Invocation
from modelgate.registry.registration import Summary
from modelgate.registry.submissions import Submissions
from modelgate.submission import SubmissionId
from tests.fakes.aws import Crash
from tests.fakes.runtime import Memory, MemoryRuntime

TIME_LIMIT = 900


class Registration:
    """The group ``iris`` with a policy that demands nothing."""

    def __init__(self) -> None:
        self.memory = Memory()
        self.clock = self.memory.clock
        self.calls = self.memory.calls
        self.bucket = self.memory.bucket
        self.bus = self.memory.bus
        self.sagemaker = self.memory.sagemaker
        self.bucket.put("policies/iris.yaml", b"{}")
        self.submissions = Submissions(self.memory.table)
        self.registrar = MemoryRuntime(self.memory).registrar
        self._ids = count(1)

    def upload(self, file: str, body: bytes, submission: str = "run") -> str:
        """Puts a file of a submission, and returns its key for `receive`."""
        key = f"models/iris/{submission}/{file}"
        self.bucket.put(key, body)
        return key

    def receive(self, key: str, invocation: str | None = None, seconds: float = TIME_LIMIT) -> Summary:
        """One delivery of an upload's event, to a function that has so many seconds."""
        return self.registrar.receive(key, self._invocation(invocation, seconds))

    def go_on(self, invocation: str | None = None, seconds: float = TIME_LIMIT) -> Summary:
        """What follows when an inspection paused."""
        return self.registrar.go_on(SubmissionId("iris", "run"), self._invocation(invocation, seconds))

    def _invocation(self, name: str | None, seconds: float) -> Invocation:
        until = self.clock.now + timedelta(seconds=seconds)
        return Invocation(name or f"invocation-{next(self._ids)}", until)

    def receive_as_lambda_does(self, key: str) -> None:
        """With two retries, which keep the invocation's id."""
        invocation = f"invocation-{next(self._ids)}"
        for _ in range(3):
            try:
                self.receive(key, invocation)
            except (AwsError, NotYet, Crash):
                self.clock.forward(60)
            else:
                return

    @property
    def versions(self) -> int:
        return len(self.sagemaker.registrations)

    def status(self, submission: str = "run") -> str | None:
        item = self.submissions.load(SubmissionId("iris", submission))
        return item.status.value if item else None

    def at(self, url: str) -> bytes:
        """What lies there."""
        found = self.bucket.read(url.removeprefix("s3://intake/"), 100_000_000)
        assert found is not None, url
        return found[0]

    def report(self, submission: str = "run") -> Any:
        return json.loads(self.at(f"s3://intake/reports/iris/{submission}/report.json"))

    def reports(self) -> list[str]:
        return [key for key in self.bucket.keys() if key.startswith("reports/")]  # noqa: SIM118 - no mapping
