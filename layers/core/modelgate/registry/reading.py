"""Reads an artifact from S3 to its end: in one invocation if that is enough, else in several."""

from __future__ import annotations

from contextlib import ExitStack, closing
from datetime import timedelta
from typing import TYPE_CHECKING

from modelgate.announcements import id_of
from modelgate.artifacts import inspection, long_inspection
from modelgate.errors import Problem, Refused
from modelgate.ports import NewObject
from modelgate.submission import MANIFEST

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from modelgate.artifacts.inspection import Artifact
    from modelgate.ports import Bucket, ObjectVersion, Stream
    from modelgate.registry.upload import Uploaded
    from modelgate.submission import SubmissionId

INSPECTIONS = "inspections"

_GB = 1_000_000_000
# Registering takes a minute at most. Before it S3 copies the artifact, in ten parts at a time.
_TO_REGISTER = timedelta(minutes=1)
_COPIED_PER_SECOND = 400_000_000
# What S3 copies within the time of one invocation, with room to read a part of it before.
MOST_BYTES = 200 * _GB
# Of a pipeline only the largest artifact is read on where it was left; the others are read anew each time.
MOST_BYTES_BESIDE = 30 * _GB
# The list of 20,000 members with long names, and the texts that are kept.
_MOST_STATE = 32 * 1024**2


def check_sizes(containers: Sequence[Uploaded]) -> None:
    """
    Raises:
        Refused: the artifacts of a pipeline are too large together, so that its largest would never be read.
    """
    sizes = sorted(each.tarball.size for each in containers if each.tarball is not None)
    beside = sum(sizes[:-1])
    if beside > MOST_BYTES_BESIDE:
        most = MOST_BYTES_BESIDE // _GB
        found = f"name artifacts of {beside / _GB:.1f} GB beside the largest, and {most} GB can be registered"
        mend = "upload the files of large ones as they are, in a folder: artifact: model/"
        raise Refused(Problem(f"{MANIFEST}: containers", found, mend))


class Paused(Exception):
    """No error: the time of this invocation is over before the artifact is. ``message`` has the figures."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Reader:
    """Reads artifacts within the time of one invocation.

    Args:
        bucket: where they are, and where the state lies of what is read in parts.
        clock: the time, in UTC.
        until: when this invocation ends.
        resumed: whether another invocation has paused before.
    """

    def __init__(
        self, bucket: Bucket, clock: Callable[[], datetime], until: datetime, *, resumed: bool
    ) -> None:
        self._bucket = bucket
        self._clock = clock
        self._until = until
        self._resumed = resumed

    def read(
        self, submission: SubmissionId, tarball: ObjectVersion, keep: Callable[[str], bool], where: str
    ) -> Artifact:
        """
        Raises:
            Refused: it is no sound artifact, or larger than what can be registered.
            Paused: the next invocation goes on.
        """
        if tarball.size > MOST_BYTES:
            found = f"has {tarball.size / _GB:.1f} GB, and {MOST_BYTES // _GB} GB can be registered"
            mend = "upload the files as they are, in a folder that the manifest names: artifact: model/"
            raise Refused(Problem(where, found, mend))
        end = self._until - _TO_REGISTER - timedelta(seconds=tarball.size / _COPIED_PER_SECOND)
        seconds = (end - self._clock()).total_seconds()
        if self._resumed or not long_inspection.fits(tarball.size, seconds):
            return self._read_a_part(submission, tarball, keep, where, end)
        deadline = inspection.Deadline(lambda: self._clock().timestamp(), end.timestamp())
        stream = self._bucket.open(tarball)
        try:
            return inspection.inspect(stream, keep=keep, where=where, deadline=deadline)
        except inspection.OutOfTime as over:
            raise Paused(f"{over}; it is read anew, in parts") from over
        finally:
            stream.close()

    def _read_a_part(
        self,
        submission: SubmissionId,
        tarball: ObjectVersion,
        keep: Callable[[str], bool],
        where: str,
        end: datetime,
    ) -> Artifact:
        key = f"{INSPECTIONS}/{submission}/{id_of(tarball.key, tarball.version)}"
        saved = self._bucket.read(key, _MOST_STATE) if self._resumed else None
        began = self._clock()
        with ExitStack() as opened:

            def open_at(start: int) -> Stream:
                return opened.enter_context(closing(self._bucket.open(tarball, start)))

            came = long_inspection.inspect_part(
                open_at,
                lambda: self._clock() >= end,
                state=saved[0] if saved else b"",
                keep=keep,
                where=where,
            )
        if isinstance(came, inspection.Artifact):
            return came
        self._bucket.write(NewObject(key, came.state, "application/octet-stream"))
        minutes = (self._clock() - began).total_seconds() / 60
        raise Paused(
            f"{where} has {tarball.size / _GB:.1f} GB, of which {came.read_bytes / _GB:.1f} GB are read; "
            f"after {minutes:.1f} minutes the time of this invocation is over, and the next one goes on there"
        )
