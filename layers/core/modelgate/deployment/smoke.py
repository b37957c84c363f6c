"""The smoke test: the request of the manifest, really sent to the endpoint."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from modelgate.deployment.facts import Asked
from modelgate.documents import MAX_DOCUMENT_BYTES
from modelgate.errors import ModelFailed, Problem, Refused
from modelgate.submission import read_manifest

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from modelgate.ports import Bucket, Predictions
    from modelgate.registry.package import ModelPackage
    from modelgate.submission import SmokeTest

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

    def test(self, endpoint: str, package: ModelPackage) -> SmokeResult:
        """Invokes the endpoint as the manifest of the version says.

        Raises:
            Throttled, TimedOut: the test could not be carried out; that says nothing about the version.
        """
        test = self._test_of(package)
        if isinstance(test, SmokeResult):
            return test
        asked_at = self._clock()
        try:
            answer = self._predictions().invoke(endpoint, test)
        except ModelFailed as failed:
            reason = f"the smoke test failed: {failed.message}"
            return SmokeResult(passed=False, reason=reason, logged_since=asked_at)
        return _judged(test, answer)

    def ask(self, endpoint: str, attempt: int, package: ModelPackage) -> Asked | SmokeResult:
        """Asks an asynchronous endpoint; `read` finds the answer later.

        Raises:
            Throttled, TimedOut: the test could not be carried out; that says nothing about the version.
        """
        test = self._test_of(package)
        if isinstance(test, SmokeResult):
            return test
        question = f"{QUESTIONS}/{endpoint}/{attempt}"
        self._bucket.write(question, test.body.encode(), test.content_type)
        answer, failure = self._predictions().ask(endpoint, test, question, f"{EXTENSION}/{attempt}")
        return Asked(self._clock(), answer, failure)

    def read(self, asked: Asked, package: ModelPackage) -> SmokeResult | None:
        """What an asynchronous endpoint answered; None as long as it has not."""
        test = self._test_of(package)
        if isinstance(test, SmokeResult):
            return test
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

    def _test_of(self, package: ModelPackage) -> SmokeTest | SmokeResult:
        """The version's smoke test; or what follows from there being none."""
        if package.manifest is None:
            reason = "in service; it was registered elsewhere, without a smoke test"
            return SmokeResult(passed=True, reason=reason)
        try:
            return self._read_manifest(package.manifest)
        except Refused as refused:
            return SmokeResult(passed=False, reason=f"the smoke test cannot be read any more: {refused}")

    def _read_manifest(self, key: str) -> SmokeTest:
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
