"""From a job that is over to a submission, or to the reasons why there is none.

An event only says which job to look at. What SageMaker has now decides, and the item of the run is closed
with it once, however many events tell of it, and whichever was lost.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from modelgate.announcements import Kind
from modelgate.deployment.container_log import LogExcerpt, excerpt
from modelgate.documents import MAX_DOCUMENT_BYTES
from modelgate.errors import AwsError, NotYet, Problem, Refused
from modelgate.restarting import restarting
from modelgate.run import JOB_FILE, OWN_VARIABLES, TrainingId
from modelgate.run_items import Status, Summary
from modelgate.training.runs import TrainingRun
from modelgate.turns import in_turn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from modelgate.invocation import Invocation
    from modelgate.ports import Bucket, Bus, LogLine
    from modelgate.training.job import TrainingJob
    from modelgate.training.ports import Job, TrainingJobs
    from modelgate.training.requesting import Trainer
    from modelgate.training.runs import TrainingRuns

_LOG_LINES = 20
_SHOWN_LINES = 5
_SHOWN_PROBLEMS = 20
_COMPLETED, _FAILED, _STOPPED = "Completed", "Failed", "Stopped"
# What a line has that says why a program failed: of Python's errors, of shells, of the kernel.
_SAYS_AN_ERROR = re.compile(r"(?i)\b\w*(error|exception|traceback|fatal|killed|panic)\b")
# Why SageMaker stopped it by itself; without such a word, somebody did.
_BY_SAGEMAKER = {
    "MaxRuntimeExceeded": "it ran longer than time_limit_seconds",
    "MaxWaitTimeExceeded": "it took longer than spot.wait_seconds",
    "Interrupted": "its spot instances were taken back",
}


class TrainingFollower:
    """The use case of `training_finished`, and what the sweep does about training.

    Args:
        trainer: starts what was claimed and never started. Asked for when there is such a run.
        page_of: where people find a job in the console.
        stack: the stack's name; jobs of others are none of its business.
        clock: the time, in UTC.
    """

    def __init__(
        self,
        *,
        bucket: Bucket,
        runs: TrainingRuns,
        jobs: TrainingJobs,
        trainer: Callable[[], Trainer],
        bus: Bus,
        page_of: Callable[[str], str],
        stack: str,
        clock: Callable[[], datetime],
    ) -> None:
        self._bucket = bucket
        self._runs = runs
        self._jobs = jobs
        self._trainer = trainer
        self._bus = bus
        self._page_of = page_of
        self._stack = stack
        self._clock = clock

    # ── what starts it ────────────────────────────────────────────────────────────────────────
    def job_changed(self, name: str, invocation: Invocation) -> Summary:
        """A training job of the account may be over.

        Raises:
            NotYet, AwsError: Lambda is to come back.
        """
        job = self._jobs.describe(name)
        if job is None:
            return Summary(name, "SageMaker knows it no more", name)
        stack, group, run = (job.environment.get(variable, "") for variable in OWN_VARIABLES)
        if stack != self._stack:
            return Summary(name, "no job of this stack", name)
        return restarting(lambda: self._of_job(TrainingId(group, run), job, invocation))

    def sweep(self, groups: Sequence[str], invocation: Invocation) -> list[Summary]:
        """Looks after every run of the groups that is open; what came of those that events were lost of.

        The trouble of one keeps no other waiting.

        Raises:
            AwsError, NotYet: of the first run that could not be looked after, when all others are.
        """
        runs = (run for group in groups for run in self._runs.of_group(group))
        looks = in_turn(runs, lambda run: self._look_after(run, invocation))
        return [look for look in looks if look is not None]

    def _look_after(self, run: TrainingRun, invocation: Invocation) -> Summary | None:
        if run.status is Status.CLAIMED:
            if not run.may_be_taken_over(invocation, self._clock()):
                return None
            came = self._trainer().receive(run.id.key(JOB_FILE), invocation)
        elif run.status is Status.TRAINING:
            came = self.job_changed(run.job, invocation)
        elif run.effects:
            came = restarting(partial(self._settle, run.id))
        else:
            return None
        return came if came.news else None

    # ── what there is now ─────────────────────────────────────────────────────────────────────
    def _settle(self, where: TrainingId) -> Summary:
        run = self._runs.load(where)
        return self._runs.settle(run, self._bus) if run else Summary(str(where), "gone")

    def _of_job(self, where: TrainingId, job: Job, invocation: Invocation) -> Summary:
        run = self._runs.load(where)
        if run is None or run.job != job.name:
            return Summary(str(where), "no run that counts", job.name)
        if run.status.is_over or job.status not in {_COMPLETED, _FAILED, _STOPPED}:
            return self._runs.settle(run, self._bus)
        if run.status is Status.CLAIMED:
            run = self._runs.started(
                run, self._page_of(job.name)
            )  # who started it died before it was noted down
        if job.status == _FAILED:
            return self._fail(run, job)
        if job.status == _STOPPED:
            return self._stop(run, job)
        return self._complete(run, job, invocation)

    def _complete(self, run: TrainingRun, job: Job, invocation: Invocation) -> Summary:
        try:
            document = self._document(run)
            if document.serve is None:
                metrics = {name: value for name, value in job.metrics.items() if value == value}
                return self._completed(run, job, "", metrics)
            run = self._taken(run, invocation)
            from modelgate.training.submitting import submit  # failed jobs need none of it

            submitted = submit(self._bucket, run, document, job)
        except Refused as refused:
            return self._refuse(run, job, refused)
        return self._completed(run, job, submitted.id.key(""), submitted.figures)

    def _document(self, run: TrainingRun) -> TrainingJob:
        found = self._bucket.read(run.id.key(JOB_FILE), MAX_DOCUMENT_BYTES, run.uploaded)
        if found is None:
            what = f"version {run.uploaded} of it, with which the job was started, is deleted"
            raise Refused(Problem(run.id.key(JOB_FILE), what, "submit what the job made by hand"))
        from modelgate.training.job import read_job  # most jobs that end are not this stack's

        return read_job(found[0])

    def _taken(self, run: TrainingRun, invocation: Invocation) -> TrainingRun:
        """Two submissions of one run at the same time would be two uploads of it.

        Raises:
            NotYet: another invocation is at it.
        """
        if not run.may_be_taken_over(invocation, self._clock()):
            raise NotYet(f"another invocation makes the submission of {run.id}")
        return self._runs.save(replace(run, owner=invocation.id, owned_until=invocation.until))

    # ── outcomes ──────────────────────────────────────────────────────────────────────────────
    def _completed(
        self, run: TrainingRun, job: Job, submission: str, metrics: Mapping[str, float]
    ) -> Summary:
        figures = ", ".join(f"{name} {value:.4g}" for name, value in sorted(metrics.items())[:5])
        what = f"and is submitted as {submission}" if submission else f"and lies at {job.artifact}"
        message = (
            f"Training {run.id} is completed{_took(job)}{f', with {figures},' if figures else ''} {what}"
        )
        facts: dict[str, object] = {
            **self._facts(job),
            "image": run.image,
            "artifact": job.artifact,
            "metrics": dict(metrics),
        }
        facts |= {"submission": run.id.run} if submission else {}
        return self._close(run, Status.COMPLETED, Kind.TRAINING_FINISHED, message, facts)

    def _refuse(self, run: TrainingRun, job: Job, refused: Refused) -> Summary:
        reasons = tuple(map(str, refused.problems))[:_SHOWN_PROBLEMS]
        more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
        message = f"Training {run.id} is completed, and not submitted: {reasons[0]}{more}."
        facts = {**self._facts(job), "artifact": job.artifact, "reasons": list(reasons)}
        return self._close(run, Status.REFUSED, Kind.TRAINING_REFUSED, message, facts, reasons)

    def _fail(self, run: TrainingRun, job: Job) -> Summary:
        reason = job.failure_reason or "SageMaker gives no reason"
        host, log = self._log(job.name)
        shown = f" Last lines of {host}: {' | '.join(log.lines[-_SHOWN_LINES:])}" if log.lines else ""
        page = self._page_of(job.name)
        message = f"Training {run.id} failed{_took(job)}: {reason.rstrip('.')}.{shown} {page}"
        facts = {**self._facts(job), "reasons": [reason], **log.facts()}
        facts |= {"host": host} if host else {}
        return self._close(run, Status.FAILED, Kind.TRAINING_FAILED, message, facts, (reason,))

    def _stop(self, run: TrainingRun, job: Job) -> Summary:
        why = _BY_SAGEMAKER.get(job.secondary_status, "somebody stopped it")
        message = (
            f"Training {run.id} is stopped{_took(job)}, and not submitted: {why}. {self._page_of(job.name)}"
        )
        facts = {**self._facts(job), "artifact": job.artifact, "reasons": [why]}
        return self._close(run, Status.STOPPED, Kind.TRAINING_STOPPED, message, facts, (why,))

    def _close(
        self,
        run: TrainingRun,
        status: Status,
        kind: Kind,
        message: str,
        facts: dict[str, object],
        reasons: tuple[str, ...] = (),
    ) -> Summary:
        closed = replace(run, status=status, owner="", ended_at=self._clock(), reasons=reasons)
        return self._runs.settle(self._runs.close(closed, kind, message, facts), self._bus)

    def _facts(self, job: Job) -> dict[str, object]:
        facts: dict[str, object] = {"page": self._page_of(job.name), "job_arn": job.arn}
        if job.seconds is not None:
            facts["seconds"] = job.seconds
        if job.billable_seconds is not None:
            facts["billable_seconds"] = job.billable_seconds
        return facts

    def _log(self, name: str) -> tuple[str, LogExcerpt]:
        """Of the first host whose last lines say an error; else of the first one."""
        group = self._jobs.log_group()
        try:
            hosts = self._jobs.last_lines(name, _LOG_LINES)
        except AwsError as error:
            return "", LogExcerpt(group, trouble=str(error))
        host = next((each for each, lines in hosts.items() if _says_an_error(lines)), next(iter(hosts), ""))
        return host, excerpt(group, [hosts[host]] if host else [])


def _says_an_error(lines: Sequence[LogLine]) -> bool:
    return any(_SAYS_AN_ERROR.search(line.text) for line in lines)


def _took(job: Job) -> str:
    return f" after {job.seconds} seconds" if job.seconds is not None else ""
