"""From files on disk to a verdict: look at them as the gate will, upload them, follow them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.text import Text

from modelgate.artifacts import contracts, inspection
from modelgate.aws.errors import translated
from modelgate.documents import MAX_DOCUMENT_BYTES
from modelgate.errors import Forbidden, Problem, Refused
from modelgate.gate import Check
from modelgate.images import catalog
from modelgate.policy import DeploymentPolicy
from modelgate.registry.report import REPORT
from modelgate.registry.submissions import Status, parts_of
from modelgate.submission import ARTIFACT, MANIFEST, Manifest, SubmissionId, read_manifest, read_metrics
from modelgate_cli.complaints import TROUBLE, USAGE, Complaint
from modelgate_cli.screen import table
from modelgate_cli.waiting import wait_for

if TYPE_CHECKING:
    from rich.console import RenderableType

    from modelgate.registry.submissions import Submission
    from modelgate_cli.screen import ProgressLine, Screen
    from modelgate_cli.stack import Stack

_MAX_REPORT_BYTES = 1024 * 1024
_CHUNK = 1024 * 1024


@dataclass(frozen=True)
class Files:
    """What is to be uploaded. A part may be missing: the submission then waits for it."""

    artifact: Path | None = None
    manifest: Path | None = None
    metrics: Path | None = None

    @property
    def in_order(self) -> list[Path]:
        """The artifact takes longest, and the manifest completes the submission."""
        return [file for file in (self.artifact, self.metrics, self.manifest) if file]


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


# ── before the upload ─────────────────────────────────────────────────────────────────────────────
def gather(paths: Sequence[Path]) -> Files:
    """The files of a submission: of a folder, or named one by one.

    Raises:
        Complaint: a file is none of a submission's.
    """
    if len(paths) == 1 and paths[0].is_dir():
        folder = paths[0]
        artifact, manifest = folder / ARTIFACT, folder / MANIFEST
        missing = [file.name for file in (artifact, manifest) if not file.is_file()]
        if missing:
            found = f"{folder} has no {' and no '.join(missing)}"
            raise Complaint(found, "pack one there: modelgate pack MODEL --out DIR", USAGE)
        return Files(artifact, manifest, _metrics_beside(manifest))
    named: dict[str, Path] = {}
    for path in paths:
        part = {ARTIFACT: "artifact", MANIFEST: "manifest"}.get(path.name)
        part = part or ("metrics" if path.suffix == ".json" else None)
        if part is None or part in named or path.is_dir():
            mend = f"name a folder, or {ARTIFACT}, {MANIFEST} and the manifest's metrics_file"
            raise Complaint(f"{path} is no further part of a submission", mend, USAGE)
        named[part] = path
    return Files(**named)


def examine(files: Files, group: str, stack: Stack) -> None:
    """Looks at the files with the code of the gate, so that what it would refuse is not uploaded.

    Raises:
        Refused: with everything that is wrong.
    """
    problems: list[Problem] = []
    manifest: Manifest | None = None

    def collecting(look: Callable[[], object]) -> None:
        try:
            look()
        except Refused as refused:
            problems.extend(refused.problems)

    if files.manifest:
        text = _beginning_of(files.manifest)
        collecting(lambda: read_manifest(text))
        manifest = read_manifest(text) if not problems else None
    if manifest:
        container = manifest.container
        instance = _instance_type(group, stack)
        collecting(
            lambda: catalog.resolve(
                container.framework,
                container.version,
                region=stack.region,
                instance_type=instance,
                where=f"{MANIFEST}: container",
            )
        )
        collecting(lambda: _examine_metrics(manifest, files.metrics))
    if files.artifact:
        artifact = files.artifact
        collecting(lambda: _examine_artifact(artifact, manifest))
    if problems:
        raise Refused(*problems)


def default_name(files: Files, today: datetime) -> str:
    """``<date>-<short sha256>``: the same content on the same day is the same submission."""
    whole = hashlib.sha256()
    for file in files.in_order:
        with file.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                whole.update(chunk)
    return f"{today:%Y-%m-%d}-{whole.hexdigest()[:8]}"


def _metrics_beside(manifest: Path) -> Path | None:
    try:
        file = read_manifest(_beginning_of(manifest)).metrics_file
    except Refused:
        return None  # which is told when it is examined
    return manifest.with_name(file) if file and manifest.with_name(file).is_file() else None


def _examine_metrics(manifest: Manifest, file: Path | None) -> None:
    if manifest.metrics_file is None:
        return
    if file is None or file.name != manifest.metrics_file:
        mend = f"put {manifest.metrics_file} beside it, or write the metrics into the manifest"
        raise Refused(
            Problem(f"{MANIFEST}: metrics_file", f"names {manifest.metrics_file}, which is not here", mend)
        )
    read_metrics(_beginning_of(file), file.name)


def _examine_artifact(file: Path, manifest: Manifest | None) -> None:
    environment = manifest.container.environment if manifest else {}
    with file.open("rb") as stream:
        artifact = inspection.inspect(stream, keep=contracts.reads(environment))
    if manifest:
        contracts.check(manifest.container.framework, artifact, environment)


def _instance_type(group: str, stack: Stack) -> str:
    try:
        return stack.policies.of(group).policy.deployment.instance_type
    except Forbidden:
        return DeploymentPolicy().instance_type  # who may upload need not be allowed to read policies


def _beginning_of(file: Path) -> bytes:
    with file.open("rb") as stream:
        return stream.read(MAX_DOCUMENT_BYTES + 1)


# ── the upload ────────────────────────────────────────────────────────────────────────────────────
def upload(files: Files, submission: SubmissionId, stack: Stack, screen: Screen) -> None:
    """Uploads the files, large ones in parts.

    Raises:
        Complaint: this submission is registered already.
    """
    item = stack.submissions.load(submission)
    if item and item.status is Status.REGISTERED:
        raise Complaint(
            f"submission {submission} is registered already, as version {item.version}",
            "choose another name for what is to be a new version: --name NAME",
            facts={"submission": str(submission), "version": item.version},
        )
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(
        *columns, console=screen.err, transient=True, disable=not screen.err.is_terminal
    ) as progress:
        for file in files.in_order:
            _upload_file(file, submission, stack, progress)
            screen.say(f"uploaded {file.name} to s3://{stack.names.bucket}/{submission.key(file.name)}")


def _upload_file(file: Path, submission: SubmissionId, stack: Stack, progress: Progress) -> None:
    from boto3.exceptions import S3UploadFailedError

    task = progress.add_task(file.name, total=file.stat().st_size)
    try:
        with translated("PutObject"):
            stack.s3.upload_file(
                str(file),
                stack.names.bucket,
                submission.key(file.name),
                Callback=lambda sent: progress.update(task, advance=sent),
            )
    except S3UploadFailedError as error:
        raise Complaint(
            f"{file.name} could not be uploaded: {error}", "mend what it names, and try again", TROUBLE
        ) from error


# ── what becomes of it ────────────────────────────────────────────────────────────────────────────
def follow(submission: SubmissionId, stack: Stack, progress: ProgressLine, *, timeout: float) -> Submitted:
    """Waits until it is known what becomes of what lies there now.

    Raises:
        Complaint: that did not come in time.
    """
    parts = _parts(submission, stack)

    def look() -> Submission | None:
        item = stack.submissions.load(submission)
        if item is None or item.parts != parts:
            progress.show(f"submission {submission} is uploaded")
            # A submission that is registered stays as it is, whatever is uploaded after it.
            return item if item and item.status is Status.REGISTERED else None
        progress.show(
            f"submission {submission} is {'being judged' if item.status is Status.CLAIMED else item.status}"
        )
        return None if item.status is Status.CLAIMED else item

    item = wait_for(
        look,
        seconds=timeout,
        what=f"the verdict on {submission}",
        mend="see the log of the function model_uploaded, and the dead-letter queues of the stack",
    )
    if item.status is Status.WAITING:
        return Submitted(str(submission), Status.WAITING, missing=_missing(submission, stack))
    return _with_its_report(item, stack)


def _parts(submission: SubmissionId, stack: Stack) -> str:
    """Names what lies there now, as the gate names it."""
    found = stack.bucket.read(submission.key(MANIFEST), MAX_DOCUMENT_BYTES)
    artifact = stack.bucket.head(submission.key(ARTIFACT))
    metrics = None
    if found:
        file = read_manifest(found[0]).metrics_file
        metrics = stack.bucket.head(submission.key(file)) if file else None
    return parts_of(
        artifact.version if artifact else "",
        found[1].version if found else "",
        metrics.version if metrics else "",
    )


def _missing(submission: SubmissionId, stack: Stack) -> tuple[str, ...]:
    found = stack.bucket.read(submission.key(MANIFEST), MAX_DOCUMENT_BYTES)
    named = read_manifest(found[0]).metrics_file if found else None
    files = [ARTIFACT, MANIFEST, *([named] if named else [])]
    return tuple(file for file in files if stack.bucket.head(submission.key(file)) is None)


def _with_its_report(item: Submission, stack: Stack) -> Submitted:
    key = item.id.report_key(REPORT)
    found = stack.bucket.read(key, _MAX_REPORT_BYTES)
    report: dict[str, Any] = json.loads(found[0]) if found else {}
    verdict = report.get("verdict") or {}
    return Submitted(
        str(item.id),
        item.status,
        version=item.version or None,
        checks=tuple(Check(**check) for check in verdict.get("checks", ())),
        problems=tuple(Problem(**problem) for problem in report.get("problems", ())),
        report=f"s3://{stack.names.bucket}/{key}" if found else None,
    )


def refusal_of(submitted: Submitted) -> Complaint:
    """A refused submission as what the command ends with."""
    problems = submitted.problems or tuple(
        Problem(check.metric, f"is {_found(check)}", f"the policy demands {check.demand}")
        for check in submitted.checks
        if not check.passed
    )
    return Complaint(
        f"submission {submitted.submission} is refused: {'; '.join(submitted.reasons)}",
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
        Status.WAITING.value: f"Submission {name} waits for {' and '.join(submitted.missing)}.",
    }
    lines: list[RenderableType] = [Text(words.get(submitted.status, f"Submission {name} is uploaded."))]
    if submitted.checks:
        verdict = table("metric", "found", "demanded", "verdict")
        for check in submitted.checks:
            passed = Text("passed", "green") if check.passed else Text("not met", "bold red")
            verdict.add_row(check.metric, _found(check), check.demand, passed)
        lines.append(verdict)
    return lines


def _found(check: Check) -> str:
    return "missing" if check.found is None else f"{check.found:.6g}"


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
    if submitted.status != Status.REFUSED:
        screen.result(submitted.document(), *shown(submitted))
        return
    if not screen.as_json:
        screen.result(submitted.document(), *shown(submitted))
    raise refusal_of(submitted)
