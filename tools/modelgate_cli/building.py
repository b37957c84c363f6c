"""From a folder with a Dockerfile to an image that is known by its digest."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from rich.filesize import decimal
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from modelgate.aws.errors import translated
from modelgate.builds.publishing import SCAN_PATIENCE
from modelgate.builds.records import Status
from modelgate.builds.source import SourceId, examine
from modelgate.errors import Forbidden, Problem, Refused
from modelgate_cli.build_following import Follower, Item
from modelgate_cli.build_log import build_screen
from modelgate_cli.complaints import TROUBLE, Complaint

if TYPE_CHECKING:
    from modelgate.builds.records import Build
    from modelgate.builds.source import Source
    from modelgate.ports import Image
    from modelgate_cli.build_following import Ended
    from modelgate_cli.build_options import Wanted
    from modelgate_cli.screen import Screen
    from modelgate_cli.stack import Stack

# Until the stack has taken a source up: an event, the start of a function, and reading it to its end.
_UNTIL_TAKEN_UP, _BYTES_A_SECOND = 30.0, 10_000_000
# The sweep looks after what events were lost of, and comes so often.
_SWEEPS = timedelta(minutes=15)
_LEFT_ALONE = "uploaded"


@dataclass(frozen=True)
class Zipped:
    """A source on its way.

    Attributes:
        file: the zip, and ``size`` its bytes.
    """

    image: str
    source: Source
    file: Path
    size: int


@dataclass(frozen=True)
class Built:
    """What became of a folder.

    Attributes:
        tag: the one that is made of its content.
        uri: the image's name with its digest; empty where there is none yet.
        status: ``published``, ``refused``, ``failed``; how far it was when nobody waited.
        build: CodeBuild's id.
        seconds: that the build took.
        already_built: the image was there, and nothing was built.
        reasons: why it was refused, or failed.
        log_lines: how the log of the build ends.
        page: where people find the build in the console.
    """

    image: str
    tag: str
    status: str
    digest: str = ""
    uri: str = ""
    build: str = ""
    seconds: int | None = None
    already_built: bool = False
    reasons: tuple[str, ...] = ()
    log_lines: tuple[str, ...] = ()
    page: str = ""

    @property
    def name(self) -> str:
        return f"{self.image}:{self.tag}"


def build(
    folder: Path,
    wanted: Wanted,
    stack: Stack,
    screen: Screen,
    *,
    logs: bool,
    wait: bool,
    timeout: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Built:
    """Packs the folder, has it built unless that was done before, and follows the build to its end.

    Args:
        logs: whether the build's log is shown.
        wait: whether to follow it.
        timeout: how long at most, in seconds.

    Raises:
        Complaint: it does not come to an end here.
        Refused: with everything that is wrong with the source; nothing was uploaded then.
    """
    with _zipped(folder, wanted, screen) as zipped:
        stack.output("Builder")  # a stack that is older than its builds is told of before an upload
        before = stack.build_records.load(zipped.image, zipped.source.tag)
        if before is not None and _is_there(before, stack):
            return _of(before, already_built=True)
        under_way = before if before is not None and _is_under_way(before, stack) else None
        if under_way is None:
            _expect_free(zipped, stack)
            _upload(zipped, stack, screen)
        else:
            screen.say(f"{under_way.name} is {under_way.status} already, so nothing is uploaded")
    if not wait:
        return _of(under_way) if under_way else Built(zipped.image, zipped.source.tag, _LEFT_ALONE)
    patience = _UNTIL_TAKEN_UP + zipped.size / _BYTES_A_SECOND
    with build_screen(screen) as shown:
        follower = Follower(
            stack,
            Item(zipped.image, zipped.source.tag, before),
            shown,
            patience=patience,
            logs=logs,
            clock=clock,
            sleep=sleep,
        )
        ended = follower.follow(timeout)
    if ended.build.status is Status.FAILED and not ended.shown:
        for line in ended.log_lines:
            screen.say(line)
    return _of(ended.build, ended, already_built=not ended.build.build_id)


# ── packing ───────────────────────────────────────────────────────────────────────────────────────
@contextmanager
def _zipped(folder: Path, wanted: Wanted, screen: Screen) -> Iterator[Zipped]:
    """
    Raises:
        Refused: what the stack would refuse.
    """
    from modelgate_cli.source_archive import pack_source

    dockerfile = wanted.options.dockerfile
    if not (folder / dockerfile).is_file():
        # Before a folder is zipped that was never meant to be one.
        mend = "name the folder that has it, or the file: --file PATH"
        raise Refused(Problem(str(folder), f"has no {dockerfile}", mend))
    with TemporaryDirectory(prefix="modelgate-") as place:
        file = Path(place) / "source.zip"
        columns = (TextColumn("{task.description}", markup=False), DownloadColumn(), TransferSpeedColumn())
        with _progress(screen, *columns) as progress, file.open("w+b") as stream:
            task = progress.add_task(f"packing {folder}", total=None)
            packed = pack_source(
                folder,
                stream,
                options=wanted.document,
                dockerfile=dockerfile,
                progress=lambda read: progress.update(task, advance=read),
            )
            stream.seek(0)
            source = examine(stream, str(folder))
        files = "1 file" if source.files == 1 else f"{source.files:,} files"
        screen.say(f"packed {files}, {decimal(source.size)}, into {decimal(packed.written)}: {source.tag}")
        yield Zipped(wanted.image, source, file, packed.written)


# ── what there is already ─────────────────────────────────────────────────────────────────────────
def _is_there(build: Build, stack: Stack) -> bool:
    """Whether this very source was built, and its image is still there as far as one may look."""
    if build.status is not Status.PUBLISHED:
        return False
    try:
        return stack.images.find(build.image, build.digest) is not None
    except Forbidden:
        return True


def _is_under_way(build: Build, stack: Stack) -> bool:
    """Whether what comes of it will be noticed without an upload, which has the stack look after it again."""
    if build.status.is_over:
        return False
    if build.status is Status.CLAIMED:
        return stack.now() <= build.owned_until
    due = _SWEEPS if build.status is Status.BUILDING else SCAN_PATIENCE + _SWEEPS
    if not build.build_id:
        return stack.now() - build.claimed_at < due
    try:
        run = stack.builds.describe(build.build_id)
    except Forbidden:
        return True
    return run is not None and (run.ended_at is None or stack.now() - run.ended_at < due)


def _expect_free(zipped: Zipped, stack: Stack) -> None:
    """
    Raises:
        Refused: a tag that was asked for names another image.
    """
    taken = [
        Problem(
            f"tag {tag}",
            f"names another image of {zipped.image}, {found.digest}, and a tag names one for good",
            "choose another, or none: every image has the tag of its source, and its digest",
        )
        for tag in zipped.source.options.tags
        if (found := _found(zipped.image, tag, stack)) and zipped.source.tag not in found.tags
    ]
    if taken:
        raise Refused(*taken)


def _found(image: str, tag: str, stack: Stack) -> Image | None:
    try:
        return stack.images.find(image, tag)
    except Forbidden:
        return None  # the build will say, if it must be said


# ── the upload ────────────────────────────────────────────────────────────────────────────────────
def _upload(zipped: Zipped, stack: Stack, screen: Screen) -> None:
    from boto3.exceptions import S3UploadFailedError

    key = SourceId(zipped.image, zipped.source.tag).key
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
    )
    with _progress(screen, *columns) as progress:
        task = progress.add_task("uploading", total=zipped.size)
        try:
            with translated("PutObject"):
                stack.s3.upload_file(
                    str(zipped.file),
                    stack.names.bucket,
                    key,
                    Callback=lambda sent: progress.update(task, advance=sent),
                )
        except S3UploadFailedError as error:
            found = f"the source could not be uploaded: {error}"
            raise Complaint(found, "mend what it names, and try again", TROUBLE) from error
    screen.say(f"uploaded s3://{stack.names.bucket}/{key}")


def _progress(screen: Screen, *columns: Any) -> Progress:
    return Progress(*columns, console=screen.err, transient=True, disable=not screen.err.is_terminal)


# ── how it ends ───────────────────────────────────────────────────────────────────────────────────
def _of(build: Build, ended: Ended | None = None, *, already_built: bool = False) -> Built:
    run = ended.run if ended else None
    took = (run.ended_at - run.started_at).total_seconds() if run and run.ended_at else None
    return Built(
        build.image,
        build.tag,
        build.status,
        digest=build.digest,
        uri=build.uri,
        build=build.build_id,
        seconds=round(took) if took is not None else None,
        already_built=already_built and build.status is Status.PUBLISHED,
        reasons=build.reasons,
        log_lines=ended.log_lines if ended else (),
        page=run.page if run else "",
    )


def show(built: Built, screen: Screen) -> None:
    """The image's URI with its digest, and nothing else, on stdout.

    Raises:
        Complaint: there is no image, or none that may be used.
    """
    if built.status in {Status.FAILED, Status.REFUSED}:
        raise _complaint(built)
    if built.status != Status.PUBLISHED:
        screen.say(f"{built.name} is {built.status}; the same command, without --no-wait, follows it")
    elif built.already_built:
        screen.say(f"{built.name} was built before")
    elif built.seconds is not None:
        screen.say(f"{built.name} was built in {built.seconds} s")
    screen.answer(asdict(built), f"{built.uri}\n".encode() if built.uri else b"")


def _complaint(built: Built) -> Complaint:
    why = "; ".join(built.reasons)
    facts = asdict(built)
    if built.status == Status.REFUSED:
        mend = "mend the source, or the image that it builds on, or policies/default.yaml: image.max_severity"
        return Complaint(f"image {built.name} is refused: {why}", mend, facts=facts)
    # Both of docker's builders end with the step that failed.
    last = f": {built.log_lines[-1].strip()}" if built.log_lines else ""
    mend = "mend what the log ends with, and build again"
    page = f"; all of the log: {built.page}" if built.page else ""
    return Complaint(f"the build of image {built.name} {why}{last}", f"{mend}{page}", facts=facts)
