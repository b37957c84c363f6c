"""From a file of questions to the answers of a version: a batch transform, followed to its end."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rich.text import Text

from modelgate.aws.transform_jobs import SageMakerTransforms
from modelgate.run import JOB_FILE, TransformId, job_name
from modelgate.run_items import Status
from modelgate.training.writing import written
from modelgate.transform.job import TransformJob, read_job
from modelgate.transform.runs import TransformRuns
from modelgate_cli.complaints import NO, TROUBLE, USAGE, Complaint
from modelgate_cli.job_following import Course, Follower
from modelgate_cli.job_log import JobLog, job_screen
from modelgate_cli.job_uploads import digest_of, in_words, progress_of_bytes, upload_document, upload_files
from modelgate_cli.screen import duration
from modelgate_cli.training_folder import files_below

if TYPE_CHECKING:
    from rich.console import RenderableType

    from modelgate.ports import ObjectVersion
    from modelgate.transform.ports import Job
    from modelgate.transform.runs import TransformRun
    from modelgate_cli.job_following import Ended
    from modelgate_cli.screen import Screen
    from modelgate_cli.stack import Stack

Split = Literal["none", "line", "recordio", "tfrecord"]

_S3 = "s3://"
_INPUT = "input/"
_UPLOADED = "uploaded"
_UNTIL_TAKEN_UP = 30.0
_CHUNK = 1024 * 1024
_MOST_ANSWERS = 100_000
_CONTENT_TYPES: Mapping[str, str] = {
    ".csv": "text/csv",
    ".json": "application/json",
    ".jsonl": "application/jsonlines",
    ".npy": "application/x-npy",
    ".recordio": "application/x-recordio-protobuf",
    ".libsvm": "text/libsvm",
}
# A file of these has a record in each line.
_IN_LINES = frozenset(("text/csv", "application/jsonlines", "text/libsvm"))


@dataclass(frozen=True)
class Wanted:
    """What was asked for.

    Attributes:
        files: of this machine, by their names below the input; empty where the input lies in S3.
        document: `job.yaml`, as it is uploaded.
        digest: SHA-256 over both.
    """

    job: TransformJob
    document: bytes
    files: Mapping[str, Path]
    digest: str


@dataclass(frozen=True)
class Transformed:
    """What became of it.

    Attributes:
        status: ``completed``, ``failed``, ``stopped``, ``refused``; how far it was when nobody waited.
        job: what SageMaker calls the job; empty where none was started.
        version: which predicted; None before that is known.
        output: the URL that the answers' begin with.
        input_objects, input_bytes: what was uploaded; None where the input lay in S3.
        output_objects, output_bytes: the answers; None where there are none.
        files: the answers on this machine, where they were wished for.
    """

    run: str
    status: str
    output: str
    job: str = ""
    version: int | None = None
    input_objects: int | None = None
    input_bytes: int | None = None
    output_objects: int | None = None
    output_bytes: int | None = None
    seconds: int | None = None
    files: tuple[Path, ...] = ()
    reasons: tuple[str, ...] = ()
    log_lines: tuple[str, ...] = ()


# ── from the words of a command line ──────────────────────────────────────────────────────────────
def wanted(
    questions: str,
    *,
    version: int | None,
    content_type: str | None,
    split: Split | None,
    accept: str | None,
    join: bool,
    instance_type: str | None,
    count: int,
) -> Wanted:
    """What a command line means.

    Args:
        questions: a file, a folder, or ``s3://bucket/prefix/``.
        content_type: what its files are; what their names end in tells it, without.
        split: what a record is; a line where the content type has lines, without.

    Raises:
        Complaint: there is nothing to ask, or nobody knows what it is.
        Refused: with everything that SageMaker would not take.
    """
    files = {} if questions.startswith(_S3) else _files(Path(questions))
    kind = content_type or _content_type(questions, files)
    records = split or ("line" if kind.partition(";")[0].strip() in _IN_LINES else "none")
    machines = {"count": count, **({"type": instance_type} if instance_type else {})}
    content: dict[str, Any] = {
        **({"version": version} if version is not None else {}),
        "input": {
            "location": questions if questions.startswith(_S3) else _INPUT,
            "content_type": kind,
            "split": records,
        },
        **({"output": {"accept": accept}} if accept is not None else {}),
        "join": join,
        "instances": machines,
    }
    document = written(content)
    return Wanted(read_job(document), document, files, _digest(document, files))


def run_of(group: str, run: str | None, digest: str, now: datetime) -> TransformId:
    """Where it is uploaded. Without a name, each is a new one: another version may be live by now.

    Raises:
        Refused: the names are none that can be used.
    """
    where = TransformId(group, run or f"{now:%Y-%m-%d-%H%M%S}-{digest[:8]}")
    where.check()
    return where


def _files(path: Path) -> dict[str, Path]:
    if path.is_file():
        return {path.name: path}
    found = files_below(path)
    if not found:
        what = "holds no file" if path.is_dir() else "is not there"
        raise Complaint(f"{path} {what}", "name a file, a folder with files, or s3://BUCKET/PREFIX/", USAGE)
    return found


def _content_type(questions: str, files: Mapping[str, Path]) -> str:
    ends = {Path(name).suffix for name in files or [questions]}
    kinds = {_CONTENT_TYPES.get(end) for end in ends}
    kind = kinds.pop() if len(kinds) == 1 else None
    if kind is None:
        named = ", ".join(sorted(end or "nothing" for end in ends))
        found = f"what {questions} is cannot be told from how its names end ({named})"
        raise Complaint(found, "give --content-type, such as text/csv", USAGE)
    return kind


def _digest(document: bytes, files: Mapping[str, Path]) -> str:
    whole = hashlib.sha256(hashlib.sha256(document).digest())
    for name, path in files.items():
        whole.update(hashlib.sha256(name.encode(errors="surrogatepass")).digest())
        with path.open("rb") as stream:
            whole.update(hashlib.file_digest(stream, "sha256").digest())
    return whole.hexdigest()


# ── the way there and back ────────────────────────────────────────────────────────────────────────
def transform(
    told: Wanted,
    where: TransformId,
    stack: Stack,
    screen: Screen,
    *,
    out: Path | None,
    logs: bool,
    wait: bool,
    timeout: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Transformed:
    """Uploads the questions, has them answered, and brings the answers here where that is wished for.

    Args:
        out: the folder for the answers.
        logs: whether the job's log is shown.
        timeout: how long to wait at most, in seconds.

    Raises:
        Complaint: it does not come to an end here.
    """
    stack.output("TrainingRole")  # a stack that is older than its jobs is told of before an upload
    before = _that_counts(where, told.digest, stack)
    if before is None:
        files = {where.key(f"{_INPUT}{name}"): path for name, path in told.files.items()}
        upload_files(files, stack, screen)
        version = upload_document(where.key(JOB_FILE), told.document, told.digest, stack, screen)
    else:
        version = before.uploaded
        screen.say(f"transform {where} is {before.status} already, so nothing is uploaded")
    output = f"{_S3}{stack.names.bucket}/{where.output}"
    if not wait:
        status = str(before.status) if before else _UPLOADED
        return Transformed(str(where), status, output, job_name(where, version))
    with job_screen(screen) as shown:
        follower = Follower(
            _course(where, version, stack),
            shown,
            patience=_UNTIL_TAKEN_UP,
            logs=logs,
            clock=clock,
            sleep=sleep,
        )
        ended = follower.follow(timeout)
    if ended.run.status is not Status.COMPLETED:
        for line in () if ended.shown else ended.log_lines:
            screen.say(line)
        return _of(where, told, ended, output)
    answers = stack.bucket.list(where.output, _MOST_ANSWERS)[:_MOST_ANSWERS]
    brought = _download(answers, where.output, out, stack, screen) if out is not None else ()
    return _of(where, told, ended, output, answers, brought)


def _that_counts(where: TransformId, digest: str, stack: Stack) -> TransformRun | None:
    """The run as it is, if it was made of this very content and is under way or completed.

    Raises:
        Complaint: it was made of something else.
    """
    run = TransformRuns(stack.table).load(where)
    if run is None or run.status in {Status.FAILED, Status.STOPPED, Status.REFUSED}:
        return None
    if digest_of(where.key(JOB_FILE), run.uploaded, stack) != digest:
        found = f"transform {where} is {run.status}, and was made of something else than this"
        mend = "choose another name for what is new: --run NAME, or leave it out"
        raise Complaint(found, mend, NO, facts={"run": str(where), "status": str(run.status), "job": run.job})
    return run


def _course(where: TransformId, version: str, stack: Stack) -> Course[TransformRun, Job]:
    runs = TransformRuns(stack.table)
    # To look at jobs with. None is started here, so there is no role to hand to containers.
    jobs = SageMakerTransforms(stack.sagemaker, lambda: stack.logs, "", stack.names.stack, "")
    name = job_name(where, version)
    return Course(
        name=f"transform {where}",
        version=version,
        job=name,
        load=lambda: runs.load(where),
        version_of=lambda run: run.uploaded,
        describe=jobs.describe,
        describes="sagemaker:DescribeTransformJob",
        words_of=lambda job: "answers are made" if job.status == "InProgress" else job.status,
        log=JobLog(stack.logs, jobs.log_group(), name),
        function="transform_requested",
        again=f"the same command with --run {where.run}",
        stop="aws sagemaker stop-transform-job --transform-job-name",
        facts={"run": str(where)},
    )


def _download(
    answers: Sequence[ObjectVersion], prefix: str, out: Path, stack: Stack, screen: Screen
) -> tuple[Path, ...]:
    """
    Raises:
        Complaint: an answer's name leads out of the folder.
    """
    brought = []
    total = sum(each.size for each in answers)
    with progress_of_bytes(screen) as progress:
        task = progress.add_task("downloading", total=total)
        for found in answers:
            file = out / found.key.removeprefix(prefix)
            if not file.resolve().is_relative_to(out.resolve()):
                mend = f"bring it here yourself: aws s3 cp s3://{stack.names.bucket}/{found.key} ."
                raise Complaint(f"{found.key} would lie outside of {out}", mend, TROUBLE)
            file.parent.mkdir(parents=True, exist_ok=True)
            stream = stack.bucket.open(found)
            try:
                with file.open("wb") as written_file:
                    while chunk := stream.read(_CHUNK):
                        written_file.write(chunk)
                        progress.update(task, advance=len(chunk))
            finally:
                stream.close()
            brought.append(file)
    screen.say(f"downloaded {in_words(len(brought), total)}")
    return tuple(brought)


def _of(
    where: TransformId,
    told: Wanted,
    ended: Ended[TransformRun, Job],
    output: str,
    answers: Sequence[ObjectVersion] | None = None,
    brought: tuple[Path, ...] = (),
) -> Transformed:
    run, job = ended.run, ended.job
    sizes = [path.stat().st_size for path in told.files.values()]
    return Transformed(
        str(where),
        str(run.status),
        output,
        run.job if job or run.status is not Status.REFUSED else "",
        run.version or None,
        input_objects=len(sizes) or None,
        input_bytes=sum(sizes) if sizes else None,
        output_objects=len(answers) if answers is not None else None,
        output_bytes=sum(each.size for each in answers) if answers is not None else None,
        seconds=job.seconds if job else None,
        files=brought,
        reasons=run.reasons,
        log_lines=ended.log_lines,
    )


# ── how it ends ───────────────────────────────────────────────────────────────────────────────────
def show(transformed: Transformed, screen: Screen) -> None:
    """
    Raises:
        Complaint: it failed, or was refused.
    """
    if transformed.status in {Status.FAILED, Status.STOPPED, Status.REFUSED}:
        raise _complaint(transformed)
    screen.result(asdict(transformed), *shown(transformed))


def shown(transformed: Transformed) -> list[RenderableType]:
    """What was answered, and where the answers are."""
    run = transformed.run
    if transformed.status != Status.COMPLETED:
        words = f"Transform {run} is {transformed.status}; the same command with --run "
        return [Text(f"{words}{run.partition('/')[2]} follows it.")]
    took = "" if transformed.seconds is None else f", in {duration(timedelta(seconds=transformed.seconds))}"
    asked = answered = ""
    if transformed.input_objects is not None:
        asked = f" of {in_words(transformed.input_objects, transformed.input_bytes or 0)},"
    if transformed.output_objects is not None:
        answered = f" {in_words(transformed.output_objects, transformed.output_bytes or 0)} of answers"
    by = f" with version {transformed.version}" if transformed.version else ""
    lines: list[RenderableType] = [
        Text(f"Transform {run}{asked}{by} is completed{took}:{answered} at {transformed.output}")
    ]
    return [*lines, *(Text(str(path)) for path in transformed.files)]


def _complaint(transformed: Transformed) -> Complaint:
    why = " ".join("; ".join(transformed.reasons).split())
    mends = {
        Status.FAILED.value: "mend what the log names: the input, or the model, and ask again",
        Status.STOPPED.value: "ask again",
        Status.REFUSED.value: "mend what it names, and ask again",
    }
    verb = "failed" if transformed.status == Status.FAILED else f"is {transformed.status}"
    found = f"transform {transformed.run} {verb}: {why}"
    return Complaint(found, mends[transformed.status], facts=asdict(transformed))
