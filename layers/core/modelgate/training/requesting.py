"""From the upload of a `job.yaml` to a training job, or to a refusal with its reasons.

An event only says that something was uploaded; what lies there now decides. The run's item is claimed before
anything is started, and the job's name is made of the document's version: one upload is trained once.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from modelgate.announcements import Announcement, Kind, id_of
from modelgate.documents import MAX_DOCUMENT_BYTES
from modelgate.errors import AlreadyExists, Invalid, NotFound, NotYet, Problem, Refused
from modelgate.restarting import restarting
from modelgate.run import JOB_FILE, TrainingId, job_name
from modelgate.run_items import Summary
from modelgate.training import lineage
from modelgate.training.examining import Examiner
from modelgate.training.job import read_job
from modelgate.training.order import order
from modelgate.training.runs import Status, TrainingRun

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from modelgate.images.choice import Chooser
    from modelgate.invocation import Invocation
    from modelgate.policies import Policies
    from modelgate.ports import Bucket, Bus
    from modelgate.training.examining import Examined
    from modelgate.training.order import TrainingOrder
    from modelgate.training.ports import TrainingJobs
    from modelgate.training.runs import TrainingRuns

_SHOWN_PROBLEMS = 20


class Trainer:
    """The use case of `training_requested`, and what the sweep does about runs that were never started.

    Args:
        page_of: where people find a job in the console.
        role: the ARN of the role that jobs run under.
        region: the stack's, and ``stack`` its name.
        clock: the time, in UTC.
    """

    def __init__(
        self,
        *,
        bucket: Bucket,
        runs: TrainingRuns,
        jobs: TrainingJobs,
        chooser: Chooser,
        policies: Policies,
        bus: Bus,
        page_of: Callable[[str], str],
        role: str,
        region: str,
        stack: str,
        clock: Callable[[], datetime],
    ) -> None:
        self._bucket = bucket
        self._runs = runs
        self._jobs = jobs
        self._examiner = Examiner(bucket, chooser, policies)
        self._bus = bus
        self._page_of = page_of
        self._role = role
        self._region = region
        self._stack = stack
        self._clock = clock

    def receive(self, key: str, invocation: Invocation) -> Summary:
        """A document was uploaded at ``key``, ``training/<group>/<run>/job.yaml``.

        Raises:
            NotYet, AwsError: Lambda is to come back.
        """
        where = TrainingId.of_key(key)
        found = self._bucket.read(key, MAX_DOCUMENT_BYTES)
        if found is None:
            return restarting(lambda: self._gone(where, invocation))
        text, uploaded = found
        try:
            where.check()
        except Refused as refused:
            # Such a name is no key of an item, either.
            message, facts = _refusal(where, refused)
            identity = id_of(Kind.TRAINING_REFUSED, key, uploaded.version)
            told = {"run": where.run, **facts}
            self._bus.announce(Announcement(Kind.TRAINING_REFUSED, identity, message, where.group, told))
            return Summary(str(where), Status.REFUSED, news=(message,))
        return restarting(lambda: self._receive(where, text, uploaded.version, invocation))

    def _gone(self, where: TrainingId, invocation: Invocation) -> Summary:
        """Somebody deleted the document; what was claimed for it is nobody's to carry out any more."""
        run = self._runs.load(where)
        if run is None or run.status is not Status.CLAIMED:
            return Summary(str(where), "gone")
        if not run.may_be_taken_over(invocation, self._clock()):
            raise NotYet(f"another invocation starts {run.id}")
        if self._jobs.describe(run.job) is not None:
            run = self._started(run)  # whoever started it died before it was noted down
            return self._runs.settle(run, self._bus)
        found, mend = "was deleted before its job was started", "upload it again"
        return self._refuse(run, Refused(Problem(where.key(JOB_FILE), found, mend)))

    def _receive(self, where: TrainingId, text: bytes, version: str, invocation: Invocation) -> Summary:
        # The item first, then what there is: what is written rests on facts as new as the item.
        run = self._runs.load(where)
        if run and run.status is Status.CLAIMED:
            if not run.may_be_taken_over(invocation, self._clock()):
                raise NotYet(f"another invocation starts {run.id}")
            if self._jobs.describe(run.job) is not None:
                run = self._started(run)  # whoever started it died before it was noted down
        if run and run.turned_away == version:
            return self._runs.settle(run, self._bus)
        if run and run.uploaded == version and run.status is not Status.CLAIMED:
            return self._runs.settle(run, self._bus)  # the same event, once more
        if run and run.status in {Status.TRAINING, Status.COMPLETED}:
            return self._turn_away(run, version)
        name = job_name(where, version)
        claim = TrainingRun(
            id=where,
            uploaded=version,
            status=Status.CLAIMED,
            job=name,
            owner=invocation.id,
            claimed_at=self._clock(),
            owned_until=invocation.until,
            revision=run.revision if run else 0,
            effects=run.effects if run else (),
        )
        try:
            job = read_job(text)
            examined = self._examiner.examine(where, job, name)
        except Refused as refused:
            return self._refuse(claim, refused)
        told = order(
            where,
            job,
            name=name,
            image=examined.image,
            source=examined.source.place if examined.source else None,
            bucket=self._bucket.name,
            role=self._role,
            region=self._region,
            stack=self._stack,
        )
        claim = replace(
            claim,
            image=examined.image,
            source=examined.source.name if examined.source else "",
            metadata=lineage.metadata(job, told, examined.source, examined.channels),
        )
        return self._start(self._runs.save(claim), told, examined)

    def _start(self, claim: TrainingRun, told: TrainingOrder, examined: Examined) -> Summary:
        source = examined.source
        if source is not None and source.uploaded is not None:
            # What was read is what is run, whatever is uploaded meanwhile.
            self._bucket.keep({source.place.key: source.uploaded})
        self._bucket.write(lineage.document(claim.id, told, claim.uploaded, source, examined.channels))
        try:
            self._jobs.start(told)
        except AlreadyExists:
            pass  # by an invocation that died before it could note it down
        except (Invalid, NotFound) as error:
            mend = f"mend what SageMaker names, and upload {JOB_FILE} again"
            found = f"SageMaker does not take the job: {error.message}"
            return self._refuse(claim, Refused(Problem(JOB_FILE, found, mend)))
        return self._runs.settle(self._started(claim), self._bus)

    def _started(self, claim: TrainingRun) -> TrainingRun:
        return self._runs.started(claim, self._page_of(claim.job))

    # ── what is wrong with it ─────────────────────────────────────────────────────────────────
    def _refuse(self, claim: TrainingRun, refused: Refused) -> Summary:
        message, facts = _refusal(claim.id, refused)
        closed = replace(
            claim,
            status=Status.REFUSED,
            job="",
            owner="",
            ended_at=self._clock(),
            reasons=tuple(map(str, refused.problems))[:_SHOWN_PROBLEMS],
        )
        return self._runs.settle(self._runs.close(closed, Kind.TRAINING_REFUSED, message, facts), self._bus)

    def _turn_away(self, run: TrainingRun, version: str) -> Summary:
        """Another document under the name of a run that trains or has trained: what is there stays."""
        is_at = "is completed" if run.status is Status.COMPLETED else f"is being trained, as {run.job}"
        problem = Problem(run.id.key(JOB_FILE), f"the run {is_at}", "upload it under another run")
        message, facts = _refusal(run.id, Refused(problem))
        turned = replace(run, turned_away=version)
        told = self._runs.close(turned, Kind.TRAINING_REFUSED, message, facts)
        return replace(self._runs.settle(told, self._bus), status=Status.REFUSED)


def _refusal(run: TrainingId, refused: Refused) -> tuple[str, dict[str, object]]:
    reasons = [str(problem) for problem in refused.problems]
    more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
    message = f"Training {run} is refused, and nothing is started: {reasons[0]}{more}."
    return message, {"reasons": reasons[:_SHOWN_PROBLEMS]}
