"""The smoke test: the request of the manifest, really sent to the endpoint."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from modelgate.deployment.facts import Asked
from modelgate.documents import MAX_DOCUMENT_BYTES
from modelgate.errors import ModelFailed, Problem, Refused
from modelgate.ports import NewObject
from modelgate.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from modelgate.deployment.facts import Attempt
    from modelgate.manifest import SmokeTest
    from modelgate.ports import Bucket, Predictions
    from modelgate.registry.package import ModelPackage

# Where the requests of asynchronous smoke tests lie in the bucket, and what their answers' keys carry.
QUESTIONS = "smoke-tests"
EXTENSION = "smoke-tests"
_SHOWN = 200
_MAX_ANSWER_BYTES = 1024 * 1024
# An asynchronous endpoint keeps a request in its queue for six hours at most.
ANSWER_WITHIN = timedelta(hours=6)


@dataclass(frozen=True)
class SmokeResult:
    """Whether the endpoint answered as it should, and what it answered, in words.

    Attributes:
        logged_since: where its container failed to answer, from when on its log may say more.
    """

    passed: bool
    reason: str
    logged_since: datetime | None = None


class SmokeTester:
    """Finds the smoke test of a version and carries it out.

    Args:
        bucket: where the manifests are, and where asynchronous endpoints answer.
        predictions: makes the client when a test is due; most invocations never get there.
        clock: the time, in UTC.
    """

    def __init__(
        self, bucket: Bucket, predictions: Callable[[], Predictions], clock: Callable[[], datetime]
    ) -> None:
        self._bucket = bucket
        self._predictions = predictions
        self._clock = clock

    def find(self, attempt: Attempt, package: Callable[[], ModelPackage]) -> SmokeTest | SmokeResult:
        """The smoke test of an attempt's version; or what follows from there being none.

        Args:
            attempt: it carries a short test itself.
            package: looks the version up, where the attempt does not.
        """
        from modelgate.manifest import SmokeTest  # most events test nothing

        carried = SmokeTest.of_plain_letters(attempt.smoke_test) if attempt.smoke_test else None
        if carried:
            return carried
        manifest = package().manifest
        if manifest is None:
            reason = "in service; it was registered elsewhere, without a smoke test"
            return SmokeResult(passed=True, reason=reason)
        try:
            return self._read_manifest(manifest)
        except Refused as refused:
            return SmokeResult(passed=False, reason=f"the smoke test cannot be read any more: {refused}")

    def test(self, endpoint: str, test: SmokeTest) -> SmokeResult:
        """Invokes the endpoint.

        Raises:
            Throttled, TimedOut: the test could not be carried out; that says nothing about the version.
        """
        asked_at = self._clock()
        try:
            answer = self._predictions().invoke(endpoint, test)
        except ModelFailed as failed:
            reason = f"the smoke test failed: {failed.message}"
            return SmokeResult(passed=False, reason=reason, logged_since=asked_at)
        return _judged(test, answer)

    def ask(self, endpoint: str, attempt: int, test: SmokeTest) -> Asked:
        """Asks an asynchronous endpoint; `read` finds the answer later.

        Raises:
            Throttled, TimedOut: the test could not be carried out; that says nothing about the version.
        """
        question = f"{QUESTIONS}/{endpoint}/{attempt}"
        self._bucket.write(NewObject(question, test.body.encode(), test.content_type))
        answer, failure = self._predictions().ask(endpoint, test, question, f"{EXTENSION}/{attempt}")
        return Asked(self._clock(), answer, failure)

    def read(self, asked: Asked, test: SmokeTest) -> SmokeResult | None:
        """What an asynchronous endpoint answered; None as long as it has not."""
        answer = self._bucket.read(asked.answer, _MAX_ANSWER_BYTES)
        if answer:
            return _judged(test, answer[0].decode(errors="replace"))
        failure = self._bucket.read(asked.failure, _MAX_ANSWER_BYTES) if asked.failure else None
        if failure:
            said = _shown(failure[0].decode(errors="replace"))
            reason = f"the smoke test failed: {said}"
            return SmokeResult(passed=False, reason=reason, logged_since=asked.at)
        if self._clock() - asked.at > ANSWER_WITHIN:
            reason = f"the smoke test was not answered within {ANSWER_WITHIN}"
            return SmokeResult(passed=False, reason=reason)
        return None

    def _read_manifest(self, key: str) -> SmokeTest:
        from modelgate.manifest import read_manifest  # most events test nothing

        found = self._bucket.read(key, MAX_DOCUMENT_BYTES)
        if found is None:
            raise Refused(Problem(key, "is gone", "upload the submission anew, under another name"))
        return read_manifest(found[0]).smoke_test


def endpoint_of(key: str) -> str:
    """The endpoint whose answer lies under this key, ``predictions/<endpoint>/…``."""
    return key.split("/")[1]


def _judged(test: SmokeTest, answer: str) -> SmokeResult:
    shown = _shown(answer)
    if test.expect is not None and test.expect not in answer:
        reason = f"the smoke test was answered with {shown!r}, which does not contain {test.expect!r}"
        return SmokeResult(passed=False, reason=reason)
    return SmokeResult(passed=True, reason=f"the smoke test was answered with {shown!r}")


def _shown(answer: str) -> str:
    return answer.strip() if len(answer) <= _SHOWN else f"{answer[:_SHOWN].strip()}…"
