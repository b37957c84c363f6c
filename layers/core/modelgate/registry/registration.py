"""From an upload to a version in the registry, or to a refusal with its reasons.

An event only says that something was uploaded; what lies there now decides. A submission that is all
there is claimed in its item before it is judged, and the item is closed with what came of it, so that
two events, or two hundred, make one version.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING

from modelgate.announcements import Announcement, Kind, id_of
from modelgate.effects import Announce
from modelgate.errors import Invalid, NotYet, Problem, Refused
from modelgate.policy import DEFAULT, key_of
from modelgate.ports import NewObject
from modelgate.registry import package
from modelgate.registry.reading import Paused, Reader
from modelgate.registry.report import PAGE, REPORT, Report, ReportedContainer
from modelgate.registry.submissions import Status, Submission, Submissions
from modelgate.registry.upload import Incomplete, look
from modelgate.restarting import restarting
from modelgate.submission import ARTIFACT, MANIFEST, SubmissionId
from modelgate.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from modelgate.invocation import Invocation
    from modelgate.ports import Bucket, Bus, Registry
    from modelgate.registry.copies import Copy
    from modelgate.registry.judging import Judge, Judgement, Served
    from modelgate.registry.making import Maker
    from modelgate.registry.upload import CompleteUpload, Upload

_SHOWN_PROBLEMS = 20
# Clocks of this function and of SageMaker may differ; a version made in the same minutes is looked at.
_CLOCK_SKEW = timedelta(minutes=5)
_NO_COPIES: Mapping[str, Copy] = MappingProxyType({})


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
        stack: the stack's name, as it is written on every version.
        page_of: where people find an object of the bucket in the console, by its key.
        clock: the time, in UTC.
    """

    def __init__(
        self,
        *,
        bucket: Bucket,
        submissions: Submissions,
        judge: Judge,
        maker: Maker,
        registry: Registry,
        bus: Bus,
        stack: str,
        page_of: Callable[[str], str],
        clock: Callable[[], datetime],
    ) -> None:
        self._bucket = bucket
        self._submissions = submissions
        self._judge = judge
        self._maker = maker
        self._registry = registry
        self._bus = bus
        self._stack = stack
        self._page_of = page_of
        self._clock = clock

    def receive(self, key: str, invocation: Invocation) -> Summary:
        """Something was uploaded at ``key``, ``models/<group>/<submission>/<file>``.

        Raises:
            NotYet, AwsError: Lambda is to come back.
        """
        submission = SubmissionId.of_key(key)
        if "/" in submission.name and key.rpartition("/")[2] not in {ARTIFACT, MANIFEST}:
            # A file of a folder that is served as it is; the manifest, which comes last, tells what to do.
            return Summary(str(submission), "a file in a folder: the manifest counts")
        return self.go_on(submission, invocation)

    def go_on(self, submission: SubmissionId, invocation: Invocation) -> Summary:
        """Whatever is to be done about a submission now, such as to read on where an invocation paused.

        Raises:
            NotYet, AwsError: Lambda is to come back.
        """
        return restarting(lambda: self._receive(submission, invocation))

    def _receive(self, submission: SubmissionId, invocation: Invocation) -> Summary:
        # The item first, then what lies there: what is written rests on facts as new as the item.
        item = self._submissions.load(submission)
        upload = look(self._bucket, submission)
        if item and item.parts == upload.parts and item.status is not Status.CLAIMED:
            return self._settle(item)
        if item and item.status.has_version:
            return self._refuse_second(item, upload)
        if item and item.status is Status.CLAIMED and not self._may_take_over(item, upload, invocation):
            return Summary(str(submission), "another invocation is at it")
        claim = self._claim(item, upload, invocation)
        try:
            complete = upload.completed()
        except Incomplete as incomplete:
            return self._settle(self._wait(claim, incomplete.files))
        except Refused as refused:
            report = self._report(claim, Status.REFUSED, refused.problems)
            return self._settle(self._refuse(claim, report))
        # Only from here on is it worth keeping others away.
        recovering = item is not None and item.status is Status.CLAIMED and item.parts == upload.parts
        claim = self._submissions.save(claim)
        reader = Reader(self._bucket, self._clock, invocation.until, resumed=claim.pauses > 0)
        return self._settle(self._register(claim, complete, reader, recovering=recovering))

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
            pauses=item.pauses if item and goes_on else 0,
        )

    # ── the registry ──────────────────────────────────────────────────────────────────────────
    def _register(
        self, claim: Submission, upload: CompleteUpload, reader: Reader, *, recovering: bool
    ) -> Submission:
        try:
            judgement = self._judge.judge(upload, reader)
        except Paused as paused:
            return self._pause(claim, paused.message)
        except Refused as refused:
            return self._refuse(claim, self._report(claim, Status.REFUSED, refused.problems))
        if not judgement.verdict.passed and judgement.policy.policy.gate.when_refused == "announce":
            return self._refuse(claim, _told(self._report(claim, Status.REFUSED), judgement))
        copied = self._maker.copy(judgement)
        version = self._registered_before(claim, upload) if recovering else None
        try:
            version = version or self._maker.make(judgement, copied, claim.parts)
        except Invalid as invalid:
            found = f"SageMaker does not take it: {invalid.message}"
            problem = Problem(MANIFEST, found, "mend what it names")
            return self._refuse(claim, self._report(claim, Status.REFUSED, (problem,)))
        if not judgement.verdict.passed:
            self._maker.reject(judgement, version)
        return self._announce_registered(claim, judgement, copied, version)

    def _registered_before(self, claim: Submission, upload: CompleteUpload) -> int | None:
        """The version that an invocation made before it died; ClientToken's memory is not documented."""
        since = claim.claimed_at - _CLOCK_SKEW
        for made in self._registry.registered_since(claim.id.group, since):
            same_manifest = made.metadata.get(package.MANIFEST_VERSION) == upload.manifest_version
            if made.registered_by(self._stack) and made.submission == claim.id and same_manifest:
                return made.version
        return None

    # ── outcomes ──────────────────────────────────────────────────────────────────────────────
    def _announce_registered(
        self, claim: Submission, judgement: Judgement, copied: Mapping[str, Copy], version: int
    ) -> Submission:
        passed = judgement.verdict.passed
        report = self._report(claim, Status.REGISTERED if passed else Status.REJECTED)
        keys = self._write(replace(_told(report, judgement, copied), version=version))
        what = f"Version {version} of {claim.id.group} is registered from submission {claim.id.name}"
        then = "waits for an operator's approval" if passed else "is rejected by the gate"
        facts: dict[str, object] = {
            "version": version,
            "metrics": dict(judgement.upload.metrics.figures),
            "verdict": judgement.verdict.as_json(),
            **keys,
        }
        message = f"{what} and {then}: {judgement.verdict.in_one_line()}. {keys['page']}"
        kind = Kind.MODEL_REGISTERED if passed else Kind.SUBMISSION_REFUSED
        registered = replace(claim, status=Status(report.status), version=version)
        return self._close(registered, kind, message, facts)

    def _refuse(self, claim: Submission, report: Report) -> Submission:
        reasons, keys = report.reasons, self._write(report)
        more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
        message = f"Submission {claim.id} is refused: {reasons[0]}{more}. {keys['page']}"
        facts: dict[str, object] = {"reasons": list(reasons[:_SHOWN_PROBLEMS]), **keys}
        if report.verdict:
            facts["verdict"] = report.verdict.as_json()
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

    def _pause(self, claim: Submission, message: str) -> Submission:
        """Lets go of the claim. The announcement starts the function that goes on."""
        paused = replace(claim, owner="", owned_until=self._clock(), pauses=claim.pauses + 1)
        facts: dict[str, object] = {"pauses": paused.pauses}
        return self._close(paused, Kind.INSPECTION_PAUSED, f"{claim.id}: {message}.", facts)

    def _close(self, closed: Submission, kind: Kind, message: str, facts: dict[str, object]) -> Submission:
        """One write holds the outcome and the announcement that is owed for it."""
        identity = id_of(kind, closed.id, closed.parts, *([closed.pauses] if closed.pauses else []))
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

    def _report(self, claim: Submission, status: Status, problems: tuple[Problem, ...] = ()) -> Report:
        return Report(claim.id, status.value, self._clock(), problems)

    def _write(self, report: Report) -> dict[str, str]:
        """Writes both forms; tells where they lie, and the page's address in the console."""
        document, page = (report.submission.report_key(name) for name in (REPORT, PAGE))
        self._bucket.write(
            NewObject(document, report.to_json(), "application/json"),
            NewObject(page, report.to_html(), "text/html; charset=utf-8"),
        )
        return {"report": f"s3://{self._bucket.name}/{document}", "page": self._page_of(page)}


def _told(report: Report, judgement: Judgement, copied: Mapping[str, Copy] = _NO_COPIES) -> Report:
    policy = judgement.policy
    return replace(
        report,
        metrics=judgement.upload.metrics.figures,
        champion=judgement.champion,
        verdict=judgement.verdict,
        policy=key_of(policy.group if policy.own else DEFAULT),
        policy_version=policy.uploaded,
        manifest=judgement.upload.manifest,
        instance_types=judgement.instance_types,
        containers=tuple(_container(each, copied) for each in judgement.containers),
    )


def _container(served: Served, copied: Mapping[str, Copy]) -> ReportedContainer:
    uploaded, copy = served.uploaded, copied.get(served.uploaded.place)
    return ReportedContainer(
        place=uploaded.place,
        image=served.image,
        framework=uploaded.container.framework,
        version=uploaded.container.version,
        environment=served.environment,
        artifact=served.artifact,
        uploaded=uploaded.tarball,
        registered_url=copy.url if copy else None,
        seconds=served.seconds,
    )
