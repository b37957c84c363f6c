"""From an upload to a version in the registry, or to a refusal with its reasons.

An event only says that something was uploaded; what lies there now decides. A submission that is all
there is claimed in its item before it is judged, and the item is closed with what came of it, so that
two events, or two hundred, make one version.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from modelgate.announcements import Announcement, Kind, id_of
from modelgate.effects import Announce
from modelgate.errors import NotYet, Refused, StaleRevision
from modelgate.registry import package
from modelgate.registry.report import METRICS, REPORT, Report, metrics_as_json, verdict_as_json
from modelgate.registry.submissions import Status, Submission, Submissions
from modelgate.registry.upload import Incomplete, look
from modelgate.submission import ARTIFACT, SubmissionId

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from modelgate.gate import Verdict
    from modelgate.invocation import Invocation
    from modelgate.ports import Bucket, Bus, Registry
    from modelgate.registry.judging import Judge, Judgement
    from modelgate.registry.upload import CompleteUpload, Upload

_RESTARTS = 4
_SHOWN_PROBLEMS = 20
# Clocks of this function and of SageMaker may differ; a version made in the same minutes is looked at.
_CLOCK_SKEW = timedelta(minutes=5)


@dataclass(frozen=True)
class Summary:
    """What came of an upload, for the log and for whoever invoked the function by hand."""

    submission: str
    status: str
    version: int = 0
    news: tuple[str, ...] = ()


class Registrar:
    """The use case of `model_uploaded`.

    Args:
        stack: the stack's name, written on every version.
        clock: the time, in UTC.
    """

    def __init__(
        self,
        *,
        bucket: Bucket,
        submissions: Submissions,
        judge: Judge,
        registry: Registry,
        bus: Bus,
        stack: str,
        clock: Callable[[], datetime],
    ) -> None:
        self._bucket = bucket
        self._submissions = submissions
        self._judge = judge
        self._registry = registry
        self._bus = bus
        self._stack = stack
        self._clock = clock

    def receive(self, key: str, invocation: Invocation) -> Summary:
        """Something was uploaded at ``key``, ``models/<group>/<submission>/<file>``.

        Raises:
            NotYet, AwsError: Lambda is to come back.
        """
        submission = SubmissionId.of_key(key)
        for _ in range(_RESTARTS):
            try:
                return self._receive(submission, invocation)
            except StaleRevision:
                continue  # somebody else wrote the item; look again
        return self._receive(submission, invocation)

    def _receive(self, submission: SubmissionId, invocation: Invocation) -> Summary:
        # The item first, then what lies there: what is written rests on facts as new as the item.
        item = self._submissions.load(submission)
        upload = look(self._bucket, submission)
        if item and item.parts == upload.parts and item.status is not Status.CLAIMED:
            return self._settle(item)
        if item and item.status is Status.REGISTERED:
            return self._refuse_second(item, upload)
        if item and item.status is Status.CLAIMED and not self._may_take_over(item, upload, invocation):
            return Summary(str(submission), "another invocation is at it")
        claim = self._claim(item, upload, invocation)
        try:
            complete = upload.completed()
        except Incomplete as incomplete:
            return self._settle(self._wait(claim, incomplete.files))
        except Refused as refused:
            return self._settle(self._refuse(claim, Report(claim.id, Status.REFUSED, refused.problems)))
        # Only from here on is it worth keeping others away.
        recovering = item is not None and item.status is Status.CLAIMED and item.parts == upload.parts
        return self._settle(self._register(self._submissions.save(claim), complete, recovering=recovering))

    # ── who is at it ──────────────────────────────────────────────────────────────────────────
    def _may_take_over(self, item: Submission, upload: Upload, invocation: Invocation) -> bool:
        """Lambda's retry has the invocation's own id, and a claim that outlived its owner is free."""
        if item.owner == invocation.id or self._clock() >= item.owned_until:
            return True
        if item.parts != upload.parts:
            raise NotYet(f"{item.id} was uploaded anew while another invocation judges what was there before")
        return False

    def _claim(self, item: Submission | None, upload: Upload, invocation: Invocation) -> Submission:
        goes_on = item is not None and item.status is Status.CLAIMED and item.parts == upload.parts
        return Submission(
            id=upload.id,
            parts=upload.parts,
            status=Status.CLAIMED,
            owner=invocation.id,
            owned_until=invocation.until,
            claimed_at=item.claimed_at if item and goes_on else self._clock(),
            revision=item.revision if item else 0,
            effects=item.effects if item else (),
        )

    # ── the registry ──────────────────────────────────────────────────────────────────────────
    def _register(self, claim: Submission, upload: CompleteUpload, *, recovering: bool) -> Submission:
        try:
            judgement = self._judge.judge(upload)
        except Refused as refused:
            return self._refuse(claim, Report(claim.id, Status.REFUSED, refused.problems, upload.metrics))
        if not judgement.verdict.passed:
            return self._refuse(claim, _report_of(judgement, Status.REFUSED))
        version = self._registered_before(claim, upload) if recovering else None
        if version is None:
            version = self._make_version(claim, judgement)
        return self._announce_registered(claim, judgement, version)

    def _make_version(self, claim: Submission, judgement: Judgement) -> int:
        submission, manifest = claim.id, judgement.upload.manifest
        metrics = metrics_as_json(judgement.upload.metrics)
        self._bucket.write(submission.report_key(METRICS), metrics, "application/json")
        return self._registry.register(
            package.Registration(
                group=submission.group,
                token=id_of(self._stack, submission, claim.parts),
                description=manifest.description or f"Submission {submission}",
                image=judgement.image,
                artifact_url=self._url(submission.key(ARTIFACT)),
                environment=judgement.environment,
                framework=manifest.container.framework.upper(),
                content_types=tuple(manifest.content_types),
                response_types=tuple(manifest.response_types),
                metrics_url=self._url(submission.report_key(METRICS)),
                metadata=self._metadata(judgement),
            )
        )

    def _metadata(self, judgement: Judgement) -> dict[str, str]:
        upload = judgement.upload
        return {
            **upload.manifest.metadata,
            **{f"{package.METRIC}{name}": repr(value) for name, value in upload.metrics.items()},
            package.STACK: self._stack,
            package.SUBMISSION: upload.id.name,
            package.MANIFEST_VERSION: upload.manifest_version,
            package.ARTIFACT_VERSION: upload.artifact.version,
            package.ARTIFACT_SHA256: judgement.artifact.sha256,
        }

    def _registered_before(self, claim: Submission, upload: CompleteUpload) -> int | None:
        """The version that an invocation made before it died; ClientToken's memory is not documented."""
        since = claim.claimed_at - _CLOCK_SKEW
        for made in self._registry.registered_since(claim.id.group, since):
            same_manifest = made.metadata.get(package.MANIFEST_VERSION) == upload.manifest_version
            if made.registered_by(self._stack) and made.submission == claim.id and same_manifest:
                return made.version
        return None

    # ── outcomes ──────────────────────────────────────────────────────────────────────────────
    def _announce_registered(self, claim: Submission, judgement: Judgement, version: int) -> Submission:
        report = replace(_report_of(judgement, Status.REGISTERED), version=version)
        message = (
            f"Version {version} of {claim.id.group} is registered from submission {claim.id.name} "
            f"and waits for an operator's approval: {_in_words(judgement.verdict)}."
        )
        facts: dict[str, object] = {
            "version": version,
            "metrics": judgement.upload.metrics,
            "verdict": verdict_as_json(judgement.verdict),
            "report": self._write(report),
        }
        registered = replace(claim, status=Status.REGISTERED, version=version)
        return self._close(registered, Kind.MODEL_REGISTERED, message, facts)

    def _refuse(self, claim: Submission, report: Report) -> Submission:
        reasons = report.reasons
        more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
        message = f"Submission {claim.id} is refused: {reasons[0]}{more}"
        facts: dict[str, object] = {
            "reasons": list(reasons[:_SHOWN_PROBLEMS]),
            "report": self._write(report),
        }
        if report.verdict:
            facts["verdict"] = verdict_as_json(report.verdict)
        return self._close(replace(claim, status=Status.REFUSED), Kind.SUBMISSION_REFUSED, message, facts)

    def _refuse_second(self, item: Submission, upload: Upload) -> Summary:
        """What is registered stays what it was; its report, too."""
        message = (
            f"Submission {item.id} is registered as version {item.version} already, and was uploaded again: "
            "upload it under another name to register it as a new version."
        )
        facts: dict[str, object] = {
            "submission": item.id.name,
            "version": item.version,
            "reasons": [message],
        }
        identity = id_of(Kind.SUBMISSION_REFUSED, item.id, upload.parts)
        self._bus.announce(Announcement(Kind.SUBMISSION_REFUSED, identity, message, item.id.group, facts))
        return Summary(str(item.id), Status.REFUSED, item.version, (message,))

    def _wait(self, claim: Submission, files: tuple[str, ...]) -> Submission:
        missing = " and ".join(claim.id.key(file) for file in files)
        message = f"Submission {claim.id} waits for {missing}; it goes on when that is uploaded."
        waiting = replace(claim, status=Status.WAITING)
        return self._close(waiting, Kind.SUBMISSION_WAITING, message, {"missing": list(files)})

    def _close(self, closed: Submission, kind: Kind, message: str, facts: dict[str, object]) -> Submission:
        """One write holds the outcome and the announcement that is owed for it."""
        identity = id_of(kind, closed.id, closed.parts)
        told = {"submission": closed.id.name, **facts}
        news = Announce(Announcement(kind, identity, message, closed.id.group, told))
        return self._submissions.save(replace(closed, effects=(*closed.effects, news)))

    def _settle(self, item: Submission) -> Summary:
        """Carries out the effects that are owed, and ticks them off."""
        news = tuple(effect.announcement for effect in item.effects)
        if news:
            self._bus.announce(*news)
            self._submissions.save(replace(item, effects=()))
        return Summary(str(item.id), item.status, item.version, tuple(each.message for each in news))

    def _write(self, report: Report) -> str:
        key = report.submission.report_key(REPORT)
        self._bucket.write(key, report.to_json(), "application/json")
        return self._url(key)

    def _url(self, key: str) -> str:
        return f"s3://{self._bucket.name}/{key}"


def _report_of(judgement: Judgement, status: Status) -> Report:
    return Report(
        judgement.upload.id,
        status,
        metrics=judgement.upload.metrics,
        champion=judgement.champion,
        verdict=judgement.verdict,
        artifact=judgement.artifact,
        image=judgement.image,
    )


def _in_words(verdict: Verdict) -> str:
    if not verdict.checks:
        return "its policy demands no metric"
    return "; ".join(map(str, verdict.checks))
