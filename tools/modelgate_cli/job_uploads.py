"""Uploading what a job needs: its files, and last the document that starts it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from rich.filesize import decimal
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from modelgate.aws.errors import translated
from modelgate.errors import Forbidden, NotFound
from modelgate_cli.complaints import TROUBLE, Complaint

if TYPE_CHECKING:
    from modelgate_cli.screen import Screen
    from modelgate_cli.stack import Stack

# With the document, so that the same content is known again; S3 keeps it as metadata.
_DIGEST = "content-sha256"


def upload_files(files: Mapping[str, Path], stack: Stack, screen: Screen) -> None:
    """Uploads files by their keys, large ones in parts.

    Raises:
        Complaint: S3 does not take one.
    """
    from boto3.exceptions import S3UploadFailedError

    if not files:
        return
    total = sum(path.stat().st_size for path in files.values())
    with progress_of_bytes(screen) as progress:
        task = progress.add_task("uploading", total=total)
        for key, path in files.items():
            try:
                with translated("PutObject"):
                    stack.s3.upload_file(
                        str(path),
                        stack.names.bucket,
                        key,
                        Callback=lambda sent: progress.update(task, advance=sent),
                    )
            except S3UploadFailedError as error:
                found = f"{path} could not be uploaded: {error}"
                raise Complaint(found, "mend what it names, and try again", TROUBLE) from error
    screen.say(f"uploaded {in_words(len(files), total)}")


def upload_document(key: str, text: bytes, digest: str, stack: Stack, screen: Screen) -> str:
    """Uploads what starts a job. Returns its S3 version.

    Args:
        digest: of everything that the job is made of.
    """
    with translated("PutObject"):
        answer = stack.s3.put_object(
            Bucket=stack.names.bucket, Key=key, Body=text, Metadata={_DIGEST: digest}
        )
    screen.say(f"uploaded s3://{stack.names.bucket}/{key}")
    return answer.get("VersionId", "null")


def digest_of(key: str, version: str, stack: Stack) -> str | None:
    """What a document was uploaded with; None where somebody uploaded it otherwise, or it is gone."""
    try:
        with translated("HeadObject"):
            answer = stack.s3.head_object(Bucket=stack.names.bucket, Key=key, VersionId=version)
    except (NotFound, Forbidden):
        return None
    return answer["Metadata"].get(_DIGEST)


def progress_of_bytes(screen: Screen) -> Progress:
    """On a terminal, how much of something is there."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
    )
    return Progress(*columns, console=screen.err, transient=True, disable=not screen.err.is_terminal)


def in_words(files: int, size: int) -> str:
    return f"{'1 file' if files == 1 else f'{files:,} files'}, {decimal(size)}"
