"""Registration on the in-memory AWS: the real use case, and a way to deliver uploads to it."""

from __future__ import annotations

from itertools import count

from modelgate.deployment.states import EndpointStates
from modelgate.errors import AwsError, NotYet
from modelgate.policies import Policies
from modelgate.registry.judging import Judge
from modelgate.registry.registration import Registrar, Summary
from modelgate.registry.submissions import Submissions
from modelgate.submission import SubmissionId
from tests.fakes.aws import Calls, Clock, Crash, FakeBucket, FakeBus, FakeSageMaker, FakeTable

TIME_LIMIT = 900


class Registration:
    """The group ``iris`` with a policy that demands nothing."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.calls = Calls()
        self.bucket = FakeBucket(self.calls)
        self.bus = FakeBus(self.calls)
        self.sagemaker = FakeSageMaker(self.calls, self.clock)
        self.bucket.put("policies/iris.yaml", b"{}")
        table = FakeTable(self.calls)
        self.submissions = Submissions(table)
        self._ids = count(1)
        self.registrar = Registrar(
            bucket=self.bucket,
            submissions=self.submissions,
            judge=Judge(
                bucket=self.bucket,
                policies=Policies(self.bucket),
                states=EndpointStates(table),
                registry=self.sagemaker,
                region="eu-central-1",
            ),
            registry=self.sagemaker,
            bus=self.bus,
            stack="modelgate",
            time_limit_seconds=TIME_LIMIT,
            clock=self.clock,
        )

    def upload(self, file: str, body: bytes, submission: str = "run") -> str:
        """Puts a file of a submission, and returns its key for `receive`."""
        key = f"models/iris/{submission}/{file}"
        self.bucket.put(key, body)
        return key

    def receive(self, key: str, invocation: str | None = None) -> Summary:
        """One delivery of an upload's event."""
        return self.registrar.receive(key, invocation or f"invocation-{next(self._ids)}")

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

    def reports(self) -> list[str]:
        return [key for key in self.bucket.keys() if key.startswith("reports/")]  # noqa: SIM118 - no mapping
