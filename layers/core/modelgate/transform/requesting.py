"""From the upload of a `job.yaml` to a batch transform, or to a refusal with its reasons.

An event only says that something was uploaded; what lies there now decides. The run's item is claimed before
anything is made, and the names of job and model are made of the document's version: one upload is carried out
once, with the version that was live when it was taken up.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from modelgate.announcements import Kind
from modelgate.errors import AlreadyExists, Invalid, NotFound, Problem, Refused
from modelgate.run import JOB_FILE, TransformId, job_name
from modelgate.run_items import Status, Summary
from modelgate.run_requests import RunRequests
from modelgate.transform.job import TransformJob, read_job
from modelgate.transform.order import input_of, order
from modelgate.transform.runs import TransformRun

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from modelgate.deployment.governing import Governor
    from modelgate.invocation import Invocation
    from modelgate.ports import Bucket, Bus, Registry
    from modelgate.transform.order import TransformOrder
    from modelgate.transform.ports import TransformJobs
    from modelgate.transform.runs import TransformRuns


class Transformer(RunRequests[TransformRun]):
    """The use case of `transform_requested`, and what the sweep does about runs that were never started.

    Args:
        governor: knows the endpoint of a group, and so which version is live.
        page_of: where people find a job in the console.
        stack: the stack's name.
        clock: the time, in UTC.
    """

    ids = TransformId
    noun = "Transform"
    refused = Kind.TRANSFORM_REFUSED
    is_at = "is under way"

    def __init__(
        self,
        *,
        bucket: Bucket,
        runs: TransformRuns,
        jobs: TransformJobs,
        registry: Registry,
        governor: Governor,
        bus: Bus,
        page_of: Callable[[str], str],
        stack: str,
        clock: Callable[[], datetime],
    ) -> None:
        super().__init__(bucket=bucket, items=runs, known=jobs, bus=bus, clock=clock)
        self._runs = runs
        self._jobs = jobs
        self._registry = registry
        self._governor = governor
        self._page_of = page_of
        self._stack = stack

    def _receive(self, where: TransformId, text: bytes, uploaded: str, invocation: Invocation) -> Summary:
        # The item first, then what there is: what is written rests on facts as new as the item.
        run = self._runs.load(where)
        run = self._taken_over(run, invocation) if run else None
        if run and (run.turned_away == uploaded or (run.uploaded == uploaded and _is_begun(run))):
            return self._settle(run)  # the same event, once more
        if run and run.status in {Status.TRANSFORMING, Status.COMPLETED}:
            return self._turn_away(run, uploaded)
        if run and run.owes_something:
            self._settle(run)
            return self._receive(where, text, uploaded, invocation)
        claim = TransformRun(
            id=where,
            uploaded=uploaded,
            status=Status.CLAIMED,
            job=job_name(where, uploaded),
            owner=invocation.id,
            claimed_at=self._clock(),
            owned_until=invocation.until,
            revision=run.revision if run else 0,
        )
        left = run.model if run else ""  # by a claim whose job could not be started
        try:
            job = read_job(text)
            claim = replace(claim, version=self._version(where, job), model=claim.job)
            self._expect_input(where, job)
        except Refused as refused:
            return self._refuse(replace(claim, model=left), refused)
        if left not in {"", claim.model}:
            self._jobs.remove_model(left)
        told = order(
            where,
            job,
            name=claim.job,
            version=claim.version,
            bucket=self._bucket.name,
            stack=self._stack,
        )
        return self._start(self._runs.save(claim), told)

    def _start(self, claim: TransformRun, told: TransformOrder) -> Summary:
        try:
            # What is there already was made by an invocation that died before it could note it down.
            with suppress(AlreadyExists):
                self._jobs.make_model(told)
            with suppress(AlreadyExists):
                self._jobs.start(told)
        except (Invalid, NotFound) as error:
            mend = f"mend what SageMaker names, and upload {JOB_FILE} again"
            found = f"SageMaker does not take the job: {error.message}"
            return self._refuse(claim, Refused(Problem(JOB_FILE, found, mend)))
        return self._settle(self.started(claim))

    def started(self, claim: TransformRun) -> TransformRun:
        page = self._page_of(claim.job)
        message = f"Transform {claim.id} with version {claim.version} is started as {claim.job}: {page}"
        transforming = replace(claim, status=Status.TRANSFORMING, owner="")
        return self._runs.close(transforming, Kind.TRANSFORM_STARTED, message, {"page": page})

    def _settle(self, run: TransformRun) -> Summary:
        return self._runs.settle(run, self._bus, self._jobs)

    # ── what predicts, and what is asked ──────────────────────────────────────────────────────
    def _version(self, where: TransformId, job: TransformJob) -> int:
        version = job.version or self._live(where)
        package = self._registry.describe(where.group, version)
        place = f"{JOB_FILE}: version"
        if package is None:
            found = f"there is no version {version} of {where.group}"
            raise Refused(Problem(place, found, "name one that the registry has: modelgate status"))
        if not package.approved:
            found = f"version {version} of {where.group} is {package.approval}"
            raise Refused(Problem(place, found, "approve it first, or name one that is approved"))
        if package.in_a_folder:
            found = (
                f"version {version} of {where.group} is served from a folder of files, which SageMaker's "
                "batch transform does not take"
            )
            raise Refused(Problem(place, found, "submit it as a tarball: artifact: model.tar.gz"))
        return version

    def _live(self, where: TransformId) -> int:
        governed = self._governor.remembered(where.group) or self._governor.last_known(where.group)
        live = governed.state.release.target if governed and governed.state.release else None
        if live is None:
            found = f"is left out, and no version of {where.group} is live"
            raise Refused(Problem(f"{JOB_FILE}: version", found, "name one that is approved: version: 3"))
        return live.version

    def _expect_input(self, where: TransformId, job: TransformJob) -> None:
        place = input_of(where, job, self._bucket.name)
        if place.bucket != self._bucket.name:
            return  # whether it is there, only the role of the containers can tell
        found = [each for each in self._bucket.list(place.key, 1) if each.key != where.key(JOB_FILE)]
        if not found:
            problem = Problem(
                f"{JOB_FILE}: input.location",
                f"there is nothing at {place.url}",
                f"upload it before {JOB_FILE}, or name where it lies",
            )
            raise Refused(problem)


def _is_begun(run: TransformRun) -> bool:
    return run.status is not Status.CLAIMED
