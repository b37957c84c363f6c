"""From the upload of a `job.yaml` to a training job, or to a refusal with its reasons.

An event only says that something was uploaded; what lies there now decides. The run's item is claimed before
anything is started, and the job's name is made of the document's version: one upload is trained once.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from modelgate.announcements import Kind
from modelgate.errors import AlreadyExists, Invalid, NotFound, Problem, Refused
from modelgate.run import JOB_FILE, TrainingId, job_name
from modelgate.run_items import Status, Summary
from modelgate.run_requests import RunRequests
from modelgate.training import lineage
from modelgate.training.examining import Examiner
from modelgate.training.job import read_job
from modelgate.training.order import order
from modelgate.training.runs import TrainingRun

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


class Trainer(RunRequests[TrainingRun]):
    """The use case of `training_requested`, and what the sweep does about runs that were never started.

    Args:
        page_of: where people find a job in the console.
        role: the ARN of the role that jobs run under.
        region: the stack's, and ``stack`` its name.
        clock: the time, in UTC.
    """

    ids = TrainingId
    noun = "Training"
    refused = Kind.TRAINING_REFUSED
    is_at = "is being trained"

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
        super().__init__(bucket=bucket, items=runs, known=jobs, bus=bus, clock=clock)
        self._runs = runs
        self._jobs = jobs
        self._examiner = Examiner(bucket, chooser, policies)
        self._page_of = page_of
        self._role = role
        self._region = region
        self._stack = stack

    def _receive(self, where: TrainingId, text: bytes, version: str, invocation: Invocation) -> Summary:
        # The item first, then what there is: what is written rests on facts as new as the item.
        run = self._runs.load(where)
        run = self._taken_over(run, invocation) if run else None
        if run and run.turned_away == version:
            return self._settle(run)
        if run and run.uploaded == version and run.status is not Status.CLAIMED:
            return self._settle(run)  # the same event, once more
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
        return self._settle(self.started(claim))

    def started(self, claim: TrainingRun) -> TrainingRun:
        return self._runs.started(claim, self._page_of(claim.job))

    def _settle(self, run: TrainingRun) -> Summary:
        return self._runs.settle(run, self._bus)

    def _refuse(self, claim: TrainingRun, refused: Refused, **changes: object) -> Summary:
        return super()._refuse(claim, refused, job="", **changes)
