"""The smoke test: the request of the manifest, really sent to the endpoint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelgate.documents import MAX_DOCUMENT_BYTES
from modelgate.errors import ModelFailed, Problem, Refused
from modelgate.registry.package import MANIFEST_VERSION
from modelgate.submission import MANIFEST, read_manifest

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelgate.ports import Bucket, Predictions
    from modelgate.registry.package import ModelPackage
    from modelgate.submission import SmokeTest, SubmissionId

_SHOWN = 200


@dataclass(frozen=True)
class SmokeResult:
    """Whether the endpoint answered as it should, and what it answered, in words."""

    passed: bool
    reason: str


class SmokeTester:
    """Finds the smoke test of a version and carries it out.

    Args:
        bucket: where the manifests are.
        predictions: makes the client when a test is due; most invocations never get there.
    """

    def __init__(self, bucket: Bucket, predictions: Callable[[], Predictions]) -> None:
        self._bucket = bucket
        self._predictions = predictions

    def test(self, endpoint: str, package: ModelPackage) -> SmokeResult:
        """Invokes the endpoint as the manifest of the version says.

        Raises:
            Throttled, TimedOut: the test could not be carried out; that says nothing about the version.
        """
        if package.submission is None:
            return SmokeResult(
                passed=True, reason="in service; it was registered elsewhere, without a smoke test"
            )
        try:
            test = self._smoke_test_of(package, package.submission)
        except Refused as refused:
            return SmokeResult(passed=False, reason=f"the smoke test cannot be read any more: {refused}")
        try:
            answer = self._predictions().invoke(endpoint, test)
        except ModelFailed as failed:
            return SmokeResult(passed=False, reason=f"the smoke test failed: {failed.message}")
        shown = answer.strip() if len(answer) <= _SHOWN else f"{answer[:_SHOWN].strip()}…"
        if test.expect is not None and test.expect not in answer:
            reason = f"the smoke test was answered with {shown!r}, which does not contain {test.expect!r}"
            return SmokeResult(passed=False, reason=reason)
        return SmokeResult(passed=True, reason=f"the smoke test was answered with {shown!r}")

    def _smoke_test_of(self, package: ModelPackage, submission: SubmissionId) -> SmokeTest:
        key = submission.key(MANIFEST)
        found = self._bucket.read(key, MAX_DOCUMENT_BYTES, package.metadata.get(MANIFEST_VERSION))
        if found is None:
            raise Refused(Problem(key, "is gone", "upload the submission anew, under another name"))
        return read_manifest(found[0]).smoke_test
