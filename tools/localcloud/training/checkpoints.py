"""The checkpoints of a job: restored before it starts, and copied to S3 while it runs.

"Checkpoints in Amazon SageMaker AI" in the SageMaker Developer Guide. What a host deletes stays in S3. How
often AWS copies is not documented; what is written when the hosts end is copied in any case.
"""

from __future__ import annotations

from pathlib import Path
from threading import Event, Thread
from typing import Any

from boto3.exceptions import S3UploadFailedError
from botocore.exceptions import BotoCoreError, ClientError

from localcloud.training.channels import DataError, keys, place


def restore(s3: Any, url: str, folder: Path) -> None:
    """Bring the checkpoints of an earlier job, or an earlier try, into a folder.

    Args:
        s3: a client with the rights of the execution role.
        url: ``s3://bucket/prefix``.

    Raises:
        DataError: they cannot be read.
    """
    bucket, prefix = _folder(url)
    try:
        for key in keys(s3, bucket, prefix):
            file = folder / key.removeprefix(prefix)
            if key.endswith("/") or not file.resolve().is_relative_to(folder.resolve()):
                continue
            file.parent.mkdir(parents=True, exist_ok=True)
            s3.download_file(bucket, key, str(file))
    except (ClientError, BotoCoreError) as error:
        raise DataError(f"Failed to download the checkpoints at {url}: {error}") from error


class CheckpointCopies:
    """Copies what changes in a folder to S3, from time to time.

    Args:
        interval: in seconds.
    """

    def __init__(self, s3: Any, url: str, folder: Path, interval: float) -> None:
        self._s3 = s3
        self._bucket, self._prefix = _folder(url)
        self._url = url
        self._folder = folder
        self._interval = interval
        self._copied = self._seen()
        self._stopping = Event()
        self._thread = Thread(target=self._run, name="checkpoints", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Copy what is new, for the last time.

        Raises:
            DataError: the role may not write there.
        """
        self._stopping.set()
        self._thread.join()
        try:
            self._copy()
        except (ClientError, BotoCoreError, S3UploadFailedError) as error:
            raise DataError(f"Failed to upload the checkpoints to {self._url}: {error}") from error

    def _run(self) -> None:
        while not self._stopping.wait(self._interval):
            try:
                self._copy()
            except (ClientError, BotoCoreError, S3UploadFailedError):
                # Told when the hosts have ended: the job itself goes on.
                continue

    def _copy(self) -> None:
        for path, state in self._seen().items():
            if self._copied.get(path) != state:
                try:
                    self._s3.upload_file(str(path), self._bucket, self._prefix + self._name(path))
                except FileNotFoundError:
                    continue  # it was replaced or deleted meanwhile
                self._copied[path] = state

    def _name(self, path: Path) -> str:
        return path.relative_to(self._folder).as_posix()

    def _seen(self) -> dict[Path, tuple[int, int]]:
        """The files, each with what changes when it is written."""
        found = {}
        for path in sorted(self._folder.rglob("*")):
            try:
                if path.is_file():
                    told = path.stat()
                    found[path] = (told.st_mtime_ns, told.st_size)
            except FileNotFoundError:
                continue
        return found


def _folder(url: str) -> tuple[str, str]:
    bucket, prefix = place(url)
    return bucket, f"{prefix.rstrip('/')}/" if prefix else ""
