"""The course of a job that the API was asked for: its statuses, tries, checkpoints, and what is uploaded.

"Managed Spot Training Lifecycle" and "How Amazon SageMaker AI Processes Training Output" in the SageMaker
Developer Guide. A job that fails uploads what it has, too; one that is stopped has its 120 seconds, here the
pace's, and uploads then.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Condition
from typing import Any

from boto3.exceptions import S3UploadFailedError
from botocore.exceptions import BotoCoreError, ClientError

from localcloud import calls
from localcloud.faults import Faults
from localcloud.pace import Pace
from localcloud.training.channels import DataError, place
from localcloud.training.checkpoints import CheckpointCopies, restore
from localcloud.training.hosts import Cluster, HostError
from localcloud.training.job import Attempt, Cut, Ended, TrainingDescription
from localcloud.training.metrics import MetricReader
from localcloud.training.record import Record, Secondary, Status
from localcloud.training.results import contents, pack

_NO_CAPACITY = (
    "CapacityError: Unable to provision requested ML compute capacity. "
    "Please retry using a different ML instance type."
)


@dataclass(frozen=True)
class Surroundings:
    """What the courses of all jobs share.

    Attributes:
        announce: tells of a job whose status changed.
        write_log: takes a log stream's name and a line.
    """

    pace: Pace
    faults: Faults
    announce: Callable[[Record], None]
    write_log: Callable[[str, str], None]


class Course:
    """Carries out a job.

    Args:
        s3: a client with the rights of the execution role.
        cluster: makes what the hosts of a try run in; raises HostError.
    """

    def __init__(
        self,
        record: Record,
        description: TrainingDescription,
        *,
        s3: Any,
        cluster: Callable[[], Cluster],
        around: Surroundings,
    ) -> None:
        self.record = record
        self._description = description
        self._s3 = s3
        self._cluster = cluster
        self._around = around
        self._reader = MetricReader(description.metrics)
        self._changed = Condition()
        self._told: Cut | None = None
        self._halted = False
        self._attempt: Attempt | None = None
        self._trained = 0.0
        asked = record.asked
        self._is_spot = bool(asked.get("EnableManagedSpotTraining"))
        wait = asked.get("StoppingCondition", {}).get("MaxWaitTimeInSeconds")
        self._deadline = time.monotonic() + wait if wait is not None else None

    # ── from other threads ────────────────────────────────────────────────────────────────────────

    def stop(self) -> None:
        """Stop the job; its status says so already."""
        self._cut("stopped")

    def halt(self) -> None:
        """The local cloud ends: leave nothing running, and upload nothing."""
        self._halted = True
        self._cut("stopped")
        attempt = self._attempt
        if attempt is not None:
            attempt.kill()

    def look_for_interruption(self, line: str | None = None) -> None:
        """Lose the spot instances, if a fault says so."""
        if self._is_spot and self._attempt and self._around.faults.takes_spot(self.record.name, line):
            self._cut("interrupted")

    def _cut(self, why: Cut) -> None:
        with self._changed:
            if self._told is None or why == "stopped":
                self._told = why
            if self._attempt is not None:
                self._attempt.cut(why)
            self._changed.notify_all()

    # ── the course ────────────────────────────────────────────────────────────────────────────────

    def run(self) -> None:
        """From Starting to the end."""
        with tempfile.TemporaryDirectory(prefix="localcloud-training-", ignore_cleanup_errors=True) as name:
            tries = 0
            while True:
                tries += 1
                folder = Path(name) / str(tries)
                folder.mkdir()
                if not self._starts():
                    return
                try:
                    again = self._tried(folder)
                except HostError as error:
                    self._fail(str(error))
                except DataError as error:
                    self._fail(f"ClientError: {error}")
                else:
                    if again:
                        continue
                return

    def _starts(self) -> bool:
        """Whether there are instances; the job is over if there are none."""
        self._move("InProgress", "Starting")
        pace, instance_type = self._around.pace, self._description.instance_type
        while True:
            if not self._waited(pace.starting_training):
                self._stop_before_training()
                return False
            if not self._around.faults.is_short_of(instance_type):
                return True
            if not self._is_spot:
                self._fail(_NO_CAPACITY)
                return False

    def _waited(self, seconds: float) -> bool:
        """Whether the job still is to run after a while."""
        over = time.monotonic() + seconds
        until = over if self._deadline is None else min(over, self._deadline)
        with self._changed:
            self._changed.wait_for(lambda: self._told == "stopped", max(0.0, until - time.monotonic()))
            return self._told != "stopped" and not self._is_too_late()

    def _is_too_late(self) -> bool:
        return self._deadline is not None and time.monotonic() >= self._deadline

    def _stop_before_training(self) -> None:
        if self._told == "stopped":
            self._move("Stopped", "Stopped")
        else:
            self._move("Stopping", "Stopping")
            self._move("Stopped", "MaxWaitTimeExceeded")

    def _tried(self, folder: Path) -> bool:
        """Whether the job is to be tried again.

        Raises:
            DataError, HostError: it fails.
        """
        cluster = self._cluster()
        with ExitStack() as until_trained:
            until_trained.callback(cluster.close)
            if self.record.started is None:
                self.record.started = calls.now()
            self._move("InProgress", "Downloading")
            attempt = self._laid_out(folder, cluster)
            if self._told == "stopped":
                self._stop_before_training()
                return False
            until_trained.pop_all()
            ended = self._trained_by(attempt)
        if ended.cut == "interrupted":
            self._move("InProgress", "Interrupted")
            if self._waited(self._around.pace.spot_return):
                return True
            self._stop_before_training()
            return False
        if not self._halted:
            self._finish(ended, attempt, folder)
        return False

    def _laid_out(self, folder: Path, cluster: Cluster) -> Attempt:
        description, url = self._description, self._checkpoint_url
        if url is not None:
            restored = folder / "restored"
            restored.mkdir()
            restore(self._s3, url, restored)
            description = replace(description, restored=restored)
        began = int(time.time())

        def write(host: str, line: str) -> None:
            self._around.write_log(f"{description.name}/{host}-{began}", line)
            self.look_for_interruption(line)

        attempt = Attempt(description, folder, cluster, write, self._reader)
        attempt.lay_out()
        return attempt

    def _trained_by(self, attempt: Attempt) -> Ended:
        description, url = self._description, self._checkpoint_url
        with self._changed:
            self._attempt = attempt
            # A spot interruption while there was nothing to interrupt is none.
            self._told = "stopped" if self._told == "stopped" else None
            if self._told is not None:
                attempt.cut(self._told)
        self._move("InProgress", "Training")
        copies = [
            CheckpointCopies(self._s3, url, attempt.checkpoints(host), self._around.pace.checkpoint_interval)
            for host in (description.hosts if url is not None else ())
            if url is not None
        ]
        limit = description.max_runtime - self._trained
        if self._deadline is not None:
            limit = min(limit, self._deadline - time.monotonic())
        self.look_for_interruption()
        try:
            ended = attempt.train(limit, self._ending)
        finally:
            self._attempt = None
            for each in copies:
                each.finish()
        self._trained += ended.seconds
        return ended

    @property
    def _checkpoint_url(self) -> str | None:
        url: str | None = self.record.asked.get("CheckpointConfig", {}).get("S3Uri")
        return url

    def _ending(self, why: Cut) -> None:
        if why == "out of time":
            self._move("Stopping", "Stopping")

    def _finish(self, ended: Ended, attempt: Attempt, folder: Path) -> None:
        self._move("InProgress", "Uploading")
        try:
            self._upload(attempt, folder)
        except (ClientError, BotoCoreError, S3UploadFailedError) as error:
            if ended.failure is None:
                self._fail(f"ClientError: Artifact upload failed:{error}")
                return
        self.record.metrics = self._reader.metrics
        if ended.failure is not None:
            self._fail(ended.failure)
        elif ended.cut == "out of time":
            self._move("Stopped", "MaxWaitTimeExceeded" if self._is_too_late() else "MaxRuntimeExceeded")
        elif not self._completed():
            self._move("Stopped", "Stopped")

    def _completed(self) -> bool:
        """Whether nobody stopped it, not even while it uploaded."""
        with self._changed:
            return self._told != "stopped" and self._move("Completed", "Completed")

    def _fail(self, reason: str) -> None:
        self.record.failure = reason
        self._move("Failed", "Failed")

    def _move(self, status: Status, secondary: Secondary) -> bool:
        moved = self.record.move(status, secondary)
        if moved:
            self._around.announce(self.record)
        return moved

    # ── what is uploaded ──────────────────────────────────────────────────────────────────────────

    def _upload(self, attempt: Attempt, folder: Path) -> None:
        asked = self.record.asked["OutputDataConfig"]
        output = f"{asked['S3OutputPath'].rstrip('/')}/{self.record.name}/output"
        if asked.get("CompressionType") == "NONE":
            self.record.artifacts = f"{output}/model/"
            for name, path in contents(attempt.trees, "model"):
                if path.is_file():
                    self._put(path, f"{output}/model/{name}")
        else:
            self.record.artifacts = f"{output}/model.tar.gz"
            self._put(pack(attempt.trees, "model", folder / "model.tar.gz"), self.record.artifacts)
        archive = pack(attempt.trees, "output/data", folder / "output.tar.gz")
        self._put(archive, f"{output}/output.tar.gz")

    def _put(self, path: Path | None, url: str) -> None:
        if path is None:
            return
        bucket, key = place(url)
        kms = self.record.asked["OutputDataConfig"].get("KmsKeyId")
        encrypted = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms} if kms else None
        self._s3.upload_file(str(path), bucket, key, ExtraArgs=encrypted)
