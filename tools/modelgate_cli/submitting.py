"""From files on disk to a verdict: upload them, and follow what becomes of them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.text import Text

from modelgate.aws.errors import translated
from modelgate.errors import Problem
from modelgate.gate import Check, Verdict
from modelgate.registry.report import REPORT
from modelgate.registry.submissions import Status
from modelgate.registry.upload import Incomplete, look
from modelgate.submission import SubmissionId
from modelgate_cli.complaints import TROUBLE, Complaint
from modelgate_cli.screen import table
from modelgate_cli.submission_files import Files, default_name
from modelgate_cli.waiting import wait_for

if TYPE_CHECKING:
    from rich.console import RenderableType

    from modelgate.registry.submissions import Submission
    from modelgate_cli.screen import ProgressLine, Screen
    from modelgate_cli.stack import Stack

_MAX_REPORT_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Submitted:
    """What became of a submission.

    Attributes:
        status: ``registered``, ``refused``, ``waiting``, or ``uploaded`` when nobody waited.
        version: the version that it became.
        checks: what the gate demanded, one by one.
        problems: what is wrong with its documents or its artifact.
        missing: the files that it waits for.
        report: where the whole report lies.
    """

    submission: str
    status: str
    version: int | None = None
    checks: tuple[Check, ...] = ()
    problems: tuple[Problem, ...] = ()
    missing: tuple[str, ...] = ()
    report: str | None = None

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it was refused."""
        return (*map(str, self.problems), *(str(check) for check in self.checks if not check.passed))

    def document(self) -> dict[str, Any]:
        return {**asdict(self), "reasons": self.reasons}


# ── the upload ────────────────────────────────────────────────────────────────────────────────────
def upload(files: Files, submission: SubmissionId, stack: Stack, screen: Screen) -> None:
    """Uploads the files, large ones in parts.

    Raises:
        Complaint: this submission is registered already.
    """
    item = stack.submissions.load(submission)
    if item and item.status.has_version:
        raise Complaint(
            f"submission {submission} is registered already, as version {item.version}",
            "choose another name for what is to be a new version: --name NAME",
            facts={"submission": str(submission), "version": item.version},
        )
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(
        *columns, console=screen.err, transient=True, disable=not screen.err.is_terminal
    ) as progress:
        for name, file in files.in_order:
            _upload_file(name, file, submission, stack, progress)
            screen.say(f"uploaded {name} to s3://{stack.names.bucket}/{submission.key(name)}")


def _upload_file(name: str, file: Path, submission: SubmissionId, stack: Stack, progress: Progress) -> None:
    from boto3.exceptions import S3UploadFailedError

    task = progress.add_task(name, total=file.stat().st_size)
    try:
        with translated("PutObject"):
            stack.s3.upload_file(
                str(file),
                stack.names.bucket,
                submission.key(name),
                Callback=lambda sent: progress.update(task, advance=sent),
            )
    except S3UploadFailedError as error:
        raise Complaint(
            f"{name} could not be uploaded: {error}", "mend what it names, and try again", TROUBLE
        ) from error


# ── what becomes of it ────────────────────────────────────────────────────────────────────────────
def follow(submission: SubmissionId, stack: Stack, progress: ProgressLine, *, timeout: float) -> Submitted:
    """Waits until it is known what becomes of what lies there now.

    Raises:
        Complaint: that did not come in time.
    """
    parts = look(stack.bucket, submission).parts

    def judged() -> Submission | None:
        item = stack.submissions.load(submission)
        if item is None or item.parts != parts:
            progress.show(f"submission {submission} is uploaded")
            # A submission that is registered stays as it is, whatever is uploaded after it.
            return item if item and item.status.has_version else None
        progress.show(
            f"submission {submission} is {'being judged' if item.status is Status.CLAIMED else item.status}"
        )
        return None if item.status is Status.CLAIMED else item

    item = wait_for(
        judged,
        seconds=timeout,
        what=f"the verdict on {submission}",
        mend="see the log of the function model_uploaded, and the dead-letter queues of the stack",
    )
    if item.status is Status.WAITING:
        return Submitted(str(submission), Status.WAITING, missing=_missing(submission, stack))
    return _with_its_report(item, stack)


def _missing(submission: SubmissionId, stack: Stack) -> tuple[str, ...]:
    try:
        look(stack.bucket, submission).completed()
    except Incomplete as incomplete:
        return incomplete.files
    return ()


def _with_its_report(item: Submission, stack: Stack) -> Submitted:
    key = item.id.report_key(REPORT)
    found = stack.bucket.read(key, _MAX_REPORT_BYTES)
    report: dict[str, Any] = json.loads(found[0]) if found else {}
    verdict = report.get("verdict")
    return Submitted(
        str(item.id),
        item.status,
        version=item.version or None,
        checks=Verdict.of_json(verdict).checks if verdict else (),
        problems=tuple(Problem(**problem) for problem in report.get("problems", ())),
        report=f"s3://{stack.names.bucket}/{key}" if found else None,
    )


def refusal_of(submitted: Submitted) -> Complaint:
    """A refused submission as what the command ends with."""
    problems = submitted.problems or tuple(
        Problem(check.metric, f"is {check.found_in_words}", f"the policy demands {check.demand}")
        for check in submitted.checks
        if not check.passed
    )
    return Complaint(
        f"submission {submitted.submission} is {submitted.status}: {'; '.join(submitted.reasons)}",
        "mend what it names, and submit again",
        facts=submitted.document() | {"problems": [asdict(each) for each in problems]},
        problems=problems,
    )


def shown(submitted: Submitted) -> list[RenderableType]:
    """The outcome in one line, and the verdict as a table."""
    name = submitted.submission
    group = name.partition("/")[0]
    words = {
        Status.REGISTERED.value: f"Submission {name} is registered as version {submitted.version}. "
        f"It waits for an approval: modelgate approve {group} {submitted.version}",
        Status.REFUSED.value: f"Submission {name} is refused.",
        Status.REJECTED.value: f"Submission {name} is version {submitted.version}, and rejected.",
        Status.WAITING.value: f"Submission {name} waits for {' and '.join(submitted.missing)}.",
    }
    lines: list[RenderableType] = [Text(words.get(submitted.status, f"Submission {name} is uploaded."))]
    if submitted.checks:
        verdict = table("metric", "found", "demanded", "verdict")
        for check in submitted.checks:
            passed = Text("passed", "green") if check.passed else Text("not met", "bold red")
            verdict.add_row(check.metric, check.found_in_words, check.demand, passed)
        lines.append(verdict)
    return lines


def submission_of(group: str, name: str | None, files: Files) -> SubmissionId:
    """
    Raises:
        Refused: the names are none that can be used.
    """
    submission = SubmissionId(group, name or default_name(files, datetime.now(UTC)))
    submission.check()
    return submission


def show(submitted: Submitted, screen: Screen) -> None:
    """
    Raises:
        Complaint: it is refused.
    """
    if submitted.status not in {Status.REFUSED, Status.REJECTED}:
        screen.result(submitted.document(), *shown(submitted))
        return
    if not screen.as_json:
        screen.result(submitted.document(), *shown(submitted))
    raise refusal_of(submitted)
