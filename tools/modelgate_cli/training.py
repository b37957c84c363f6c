"""From a folder with a `job.yaml` to a version in the registry, or to the reasons why there is none."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from rich.text import Text

from modelgate.aws.training_jobs import SageMakerTraining
from modelgate.images.choice import prebuilt
from modelgate.registry.submissions import Status as Registered
from modelgate.run import JOB_FILE, job_name
from modelgate.run_items import Status
from modelgate.submission import SubmissionId
from modelgate.training.runs import TrainingRuns
from modelgate_cli import submitting
from modelgate_cli.archive import write_tarball
from modelgate_cli.complaints import INTERRUPTED, NO, Complaint
from modelgate_cli.job_following import Course, Ended, Follower
from modelgate_cli.job_log import JobLog, job_screen
from modelgate_cli.job_uploads import digest_of, upload_document, upload_files
from modelgate_cli.screen import duration, metrics_in_words

if TYPE_CHECKING:
    from rich.console import RenderableType

    from modelgate.run import TrainingId
    from modelgate.training.ports import Job
    from modelgate.training.runs import TrainingRun
    from modelgate_cli.screen import Screen
    from modelgate_cli.stack import Stack
    from modelgate_cli.submitting import Submitted
    from modelgate_cli.training_folder import TrainingFolder

# Until the stack has taken an upload up: an event, the start of a function, and reading the source.
_UNTIL_TAKEN_UP, _BYTES_A_SECOND = 30.0, 10_000_000
_UPLOADED = "uploaded"
_STATE = {"Starting": "instances are made ready", "Pending": "waits for instances"}


@dataclass(frozen=True)
class Trained:
    """What became of a folder.

    Attributes:
        status: ``completed``, ``failed``, ``stopped``, ``refused``; how far it was when nobody waited.
        job: what SageMaker calls the job; empty where none was started.
        artifact: the URL of its model.tar.gz.
        metrics: what SageMaker read from the log.
        seconds, billable_seconds: of the job, for each of its instances.
        already_trained: this very content was trained before, under this name, and nothing was uploaded.
        submission: what became of the model; None where it is only trained, or nobody waited.
        reasons: why it was refused, or failed.
        log_lines: how the log ends.
    """

    run: str
    status: str
    job: str = ""
    artifact: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    seconds: int | None = None
    billable_seconds: int | None = None
    already_trained: bool = False
    submission: Submitted | None = None
    reasons: tuple[str, ...] = ()
    log_lines: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        submission = self.submission.document() if self.submission else None
        return {
            **asdict(self),
            "submission": submission,
            "version": self.submission and self.submission.version,
        }


def train(
    folder: TrainingFolder,
    where: TrainingId,
    digest: str,
    stack: Stack,
    screen: Screen,
    *,
    logs: bool,
    wait: bool,
    timeout: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Trained:
    """Uploads the folder unless that was done before, and follows what becomes of it to the gate's verdict.

    Args:
        digest: of the folder's content.
        logs: whether the job's log is shown.
        timeout: how long to wait at most, in seconds.

    Raises:
        Refused: it cannot be trained; nothing was uploaded then.
        Complaint: it does not come to an end here.
    """
    stack.output("TrainingRole")  # a stack that is older than its training is told of before an upload
    _examine(folder, stack)
    began = clock()
    before = _that_counts(where, digest, stack)
    size = 0
    if before is None:
        version, size = _upload(folder, where, digest, stack, screen)
    else:
        version = before.uploaded
        screen.say(f"training {where} is {before.status} already, so nothing is uploaded")
    if not wait:
        status = str(before.status) if before else _UPLOADED
        return Trained(str(where), status, job_name(where, version), already_trained=_is_completed(before))
    with job_screen(screen) as shown:
        follower = Follower(
            _course(where, version, stack),
            shown,
            patience=_UNTIL_TAKEN_UP + size / _BYTES_A_SECOND,
            logs=logs and not _is_completed(before),
            clock=clock,
            sleep=sleep,
        )
        ended = follower.follow(timeout)
    submitted = None
    if ended.run.status is Status.COMPLETED and folder.job.serve is not None:
        submitted = _follow_submission(where, stack, screen, timeout=began + timeout - clock())
    elif ended.run.status is not Status.COMPLETED and not ended.shown:
        for line in ended.log_lines:
            screen.say(line)
    return _of(where, ended, submitted, already_trained=_is_completed(before))


def _is_completed(run: TrainingRun | None) -> bool:
    return run is not None and run.status is Status.COMPLETED


# ── before the upload ─────────────────────────────────────────────────────────────────────────────
def _examine(folder: TrainingFolder, stack: Stack) -> None:
    """Looks for a prebuilt image, which needs nobody's permission.

    Raises:
        Refused: there is none.
    """
    job = folder.job
    if job.container.image is None:
        prebuilt(job.container, [job.instances.type], stack.region, f"{JOB_FILE}: container", "training")


def _that_counts(where: TrainingId, digest: str, stack: Stack) -> TrainingRun | None:
    """The run as it is, if it was made of this very content and is under way or completed.

    Raises:
        Complaint: it was made of something else.
    """
    run = TrainingRuns(stack.table).load(where)
    if run is None or run.status in {Status.FAILED, Status.STOPPED, Status.REFUSED}:
        return None
    if digest_of(where.key(JOB_FILE), run.uploaded, stack) != digest:
        is_at = "is completed" if run.status is Status.COMPLETED else "is being trained"
        found = f"training {where} {is_at}, and was made of something else than this folder"
        mend = "choose another name for what is new: --run NAME; without one, it is named by its content"
        raise Complaint(found, mend, NO, facts={"run": str(where), "status": str(run.status), "job": run.job})
    return run


# ── the upload ────────────────────────────────────────────────────────────────────────────────────
def _upload(
    folder: TrainingFolder, where: TrainingId, digest: str, stack: Stack, screen: Screen
) -> tuple[str, int]:
    """The S3 version of the document, which comes last; and the bytes of the source."""
    with _packed(folder) as code:
        files = {**folder.uploads, **code}
        upload_files({where.key(name): path for name, path in files.items()}, stack, screen)
        source = folder.job.script.source if folder.job.script else ""
        size = files[source].stat().st_size if source in files else 0
    return upload_document(where.key(JOB_FILE), folder.document, digest, stack, screen), size


@contextmanager
def _packed(folder: TrainingFolder) -> Iterator[dict[str, Path]]:
    """The source as a tarball that is the same bytes for the same files, for as long as the block runs."""
    if folder.job.script is None or not folder.code:
        yield {}
        return
    with TemporaryDirectory(prefix="modelgate-") as temporary:
        file = Path(temporary, "code.tar.gz")
        with file.open("wb") as stream:
            write_tarball(stream, folder.code, lambda _: None)
        yield {folder.job.script.source: file}


# ── what becomes of it ────────────────────────────────────────────────────────────────────────────
def _course(where: TrainingId, version: str, stack: Stack) -> Course[TrainingRun, Job]:
    runs = TrainingRuns(stack.table)
    jobs = SageMakerTraining(stack.sagemaker, lambda: stack.logs, stack.names.stack)
    name = job_name(where, version)
    return Course(
        name=f"training {where}",
        version=version,
        job=name,
        load=lambda: runs.load(where),
        version_of=lambda run: run.uploaded,
        describe=jobs.describe,
        describes="sagemaker:DescribeTrainingJob",
        words_of=lambda job: _STATE.get(job.secondary_status, job.secondary_status or job.status),
        log=JobLog(stack.logs, jobs.log_group(), name),
        function="training_requested",
        again="the same command",
        stop="aws sagemaker stop-training-job --training-job-name",
        facts={"run": str(where)},
    )


def _follow_submission(where: TrainingId, stack: Stack, screen: Screen, *, timeout: float) -> Submitted:
    submission = SubmissionId(where.group, where.run)
    try:
        with screen.progress() as progress:
            return submitting.follow(submission, stack, progress, timeout=max(timeout, 0))
    except KeyboardInterrupt:
        found = f"training {where} is completed, and its submission is followed no more"
        mend = f"the gate judges it all the same: modelgate report {where.group} {where.run}"
        raise Complaint(found, mend, INTERRUPTED, facts={"run": str(where), "status": "completed"}) from None


def _of(
    where: TrainingId, ended: Ended[TrainingRun, Job], submitted: Submitted | None, *, already_trained: bool
) -> Trained:
    run, job = ended.run, ended.job
    facts: dict[str, Any] = {}
    if job is not None:
        facts = {
            "artifact": job.artifact,
            "metrics": dict(job.metrics),
            "seconds": job.seconds,
            "billable_seconds": job.billable_seconds,
        }
    return Trained(
        str(where),
        str(run.status),
        run.job,
        **facts,
        already_trained=already_trained,
        submission=submitted,
        reasons=run.reasons,
        log_lines=ended.log_lines,
    )


# ── how it ends ───────────────────────────────────────────────────────────────────────────────────
def show(trained: Trained, screen: Screen) -> None:
    """
    Raises:
        Complaint: it failed, or it is refused, by the stack or by the gate.
    """
    if trained.status in {Status.FAILED, Status.STOPPED, Status.REFUSED}:
        raise _complaint(trained)
    submitted = trained.submission
    refused = submitted is not None and submitted.status in {Registered.REFUSED, Registered.REJECTED}
    if not refused or not screen.as_json:
        screen.result(trained.document(), *shown(trained))
    if submitted is not None and refused:
        told = submitting.refusal_of(submitted)
        told.mend = "mend what it names, and train again"
        told.facts = {**trained.document(), "problems": told.facts["problems"]}
        raise told


def shown(trained: Trained) -> list[RenderableType]:
    """The outcome in one line, and what became of the model."""
    name = f"Training {trained.run} is {trained.status}"
    if trained.status != Status.COMPLETED:
        return [Text(f"{name}; the same command, without --no-wait, follows it.")]
    name += " already" if trained.already_trained else ""
    if trained.seconds is not None:
        name += f", in {duration(timedelta(seconds=trained.seconds))}"
    if trained.billable_seconds is not None:
        name += f", of which {trained.billable_seconds} s are billed"
    figures = f": {metrics_in_words(trained.metrics)}" if trained.metrics else ""
    lines: list[RenderableType] = [Text(f"{name}{figures}.")]
    if trained.submission is not None:
        return [*lines, *submitting.shown(trained.submission)]
    return [*lines, *([Text(f"model: {trained.artifact}")] if trained.artifact else [])]


def _complaint(trained: Trained) -> Complaint:
    why = " ".join("; ".join(trained.reasons).split())
    mends = {
        Status.FAILED.value: "mend what the log ends with, and train again; --local is quicker to try it",
        Status.STOPPED.value: "train again: checkpoints, where job.yaml has them, are restored",
        Status.REFUSED.value: "mend what it names, and train again",
    }
    verb = "failed" if trained.status == Status.FAILED else f"is {trained.status}"
    found = f"training {trained.run} {verb}: {why}"
    return Complaint(found, mends[trained.status], facts=trained.document())
