"""From a transform that is over to where its answers lie, or to the reasons why there are none.

An event only says which job to look at. What SageMaker has now decides, and the item of the run is closed
with it once, however many events tell of it, and whichever was lost.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from modelgate.announcements import Kind
from modelgate.deployment.container_log import LogExcerpt, excerpt
from modelgate.errors import AwsError
from modelgate.locations import of_url
from modelgate.restarting import restarting
from modelgate.run import JOB_FILE, OWN_VARIABLES, TransformId
from modelgate.run_items import Status, Summary
from modelgate.transform.runs import TransformRun
from modelgate.turns import in_turn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from modelgate.invocation import Invocation
    from modelgate.ports import Bucket, Bus
    from modelgate.transform.ports import Job, TransformJobs
    from modelgate.transform.requesting import Transformer
    from modelgate.transform.runs import TransformRuns

_LOG_LINES = 20
_SHOWN_LINES = 5
_COMPLETED, _FAILED, _STOPPED = "Completed", "Failed", "Stopped"
# So many objects are counted, a thousand with each call.
_MOST_COUNTED = 10_000


class TransformFollower:
    """The use case of `transform_finished`, and what the sweep does about transforms.

    Args:
        transformer: starts what was claimed and never started. Asked for when there is such a run.
        page_of: where people find a job in the console.
        stack: the stack's name; jobs of others are none of its business.
        clock: the time, in UTC.
    """

    def __init__(
        self,
        *,
        bucket: Bucket,
        runs: TransformRuns,
        jobs: TransformJobs,
        transformer: Callable[[], Transformer],
        bus: Bus,
        page_of: Callable[[str], str],
        stack: str,
        clock: Callable[[], datetime],
    ) -> None:
        self._bucket = bucket
        self._runs = runs
        self._jobs = jobs
        self._transformer = transformer
        self._bus = bus
        self._page_of = page_of
        self._stack = stack
        self._clock = clock

    # ── what starts it ────────────────────────────────────────────────────────────────────────
    def job_changed(self, name: str) -> Summary:
        """A transform job of the account may be over.

        Raises:
            NotYet, AwsError: Lambda is to come back.
        """
        job = self._jobs.describe(name)
        if job is None:
            return Summary(name, "SageMaker knows it no more", name)
        stack, group, run = (job.environment.get(variable, "") for variable in OWN_VARIABLES)
        if stack != self._stack:
            return Summary(name, "no job of this stack", name)
        return restarting(lambda: self._of_job(TransformId(group, run), job))

    def sweep(self, groups: Sequence[str], invocation: Invocation) -> list[Summary]:
        """Looks after every run of the groups that is open; what came of those that events were lost of.

        The trouble of one keeps no other waiting.

        Raises:
            AwsError, NotYet: of the first run that could not be looked after, when all others are.
        """
        runs = (run for group in groups for run in self._runs.of_group(group))
        looks = in_turn(runs, lambda run: self._look_after(run, invocation))
        return [look for look in looks if look is not None]

    def _look_after(self, run: TransformRun, invocation: Invocation) -> Summary | None:
        if run.status is Status.CLAIMED:
            if not run.may_be_taken_over(invocation, self._clock()):
                return None
            came = self._transformer().receive(run.id.key(JOB_FILE), invocation)
        elif run.status is Status.TRANSFORMING:
            came = self.job_changed(run.job)
        elif run.owes_something:
            came = restarting(partial(self._settle_anew, run.id))
        else:
            return None
        return came if came.news else None

    # ── what there is now ─────────────────────────────────────────────────────────────────────
    def _settle_anew(self, where: TransformId) -> Summary:
        run = self._runs.load(where)
        return self._settle(run) if run else Summary(str(where), "gone")

    def _settle(self, run: TransformRun) -> Summary:
        return self._runs.settle(run, self._bus, self._jobs)

    def _of_job(self, where: TransformId, job: Job) -> Summary:
        run = self._runs.load(where)
        if run is None or run.job != job.name:
            return Summary(str(where), "no run that counts", job.name)
        if run.status.is_over or job.status not in {_COMPLETED, _FAILED, _STOPPED}:
            return self._settle(run)
        if run.status is Status.CLAIMED:
            run = self._transformer().started(run)  # who started it died before it was noted down
        if job.status == _FAILED:
            return self._fail(run, job)
        if job.status == _STOPPED:
            return self._stop(run, job)
        return self._complete(run, job)

    # ── outcomes ──────────────────────────────────────────────────────────────────────────────
    def _complete(self, run: TransformRun, job: Job) -> Summary:
        answered = self._counted("output", job.output)
        counts = {**self._counted("input", job.input), **answered}
        told = (
            f": {_objects(answered['output_objects'])} of {answered['output_bytes']} bytes lie"
            if answered
            else ": its answers lie"
        )
        message = (
            f"Transform {run.id} with version {run.version} is completed{_took(job)}{told} at {job.output}"
        )
        return self._close(run, job, Status.COMPLETED, Kind.TRANSFORM_FINISHED, message, counts)

    def _counted(self, what: str, url: str) -> dict[str, object]:
        """How much lies there; nothing where that is another bucket. Nobody counts the records."""
        place = of_url(url)
        if place is None or place.bucket != self._bucket.name:
            return {}
        found = [each for each in self._bucket.list(place.key, _MOST_COUNTED) if not _is_document(each.key)]
        counted = found[:_MOST_COUNTED]
        facts: dict[str, object] = {
            f"{what}_objects": len(counted),
            f"{what}_bytes": sum(each.size for each in counted),
        }
        return facts | ({f"{what}_has_more": True} if len(found) > _MOST_COUNTED else {})

    def _fail(self, run: TransformRun, job: Job) -> Summary:
        reason = job.failure_reason or "SageMaker gives no reason"
        log = self._log(job.name)
        shown = f" Last lines: {' | '.join(log.lines[-_SHOWN_LINES:])}" if log.lines else ""
        message = (
            f"Transform {run.id} with version {run.version} failed{_took(job)}: {reason.rstrip('.')}.{shown} "
            f"{self._page_of(job.name)}"
        )
        return self._close(
            run, job, Status.FAILED, Kind.TRANSFORM_FAILED, message, log.facts(), reasons=(reason,)
        )

    def _stop(self, run: TransformRun, job: Job) -> Summary:
        message = (
            f"Transform {run.id} with version {run.version} is stopped{_took(job)}. {self._page_of(job.name)}"
        )
        reasons = ("somebody stopped it",)
        return self._close(run, job, Status.STOPPED, Kind.TRANSFORM_STOPPED, message, {}, reasons=reasons)

    def _close(
        self,
        run: TransformRun,
        job: Job,
        status: Status,
        kind: Kind,
        message: str,
        more: dict[str, object],
        *,
        reasons: tuple[str, ...] = (),
    ) -> Summary:
        facts: dict[str, object] = {
            "page": self._page_of(job.name),
            "job_arn": job.arn,
            "output": job.output,
            **more,
        }
        facts |= {"seconds": job.seconds} if job.seconds is not None else {}
        facts |= {"reasons": list(reasons)} if reasons else {}
        closed = replace(run, status=status, owner="", ended_at=self._clock(), reasons=reasons)
        return self._settle(self._runs.close(closed, kind, message, facts))

    def _log(self, name: str) -> LogExcerpt:
        group = self._jobs.log_group()
        try:
            return excerpt(group, self._jobs.last_lines(name, _LOG_LINES))
        except AwsError as error:
            return LogExcerpt(group, trouble=str(error))


def _is_document(key: str) -> bool:
    """The run's own document lies among its input where that is the whole folder."""
    return key.startswith("transforms/") and key.endswith(f"/{JOB_FILE}")


def _objects(count: object) -> str:
    return "1 object" if count == 1 else f"{count} objects"


def _took(job: Job) -> str:
    return f" after {job.seconds} seconds" if job.seconds is not None else ""
