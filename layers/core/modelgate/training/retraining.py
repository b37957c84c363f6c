"""A new build of an image starts the last training of a group again, where the group's policy names it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from modelgate.announcements import Announcement, Kind, id_of
from modelgate.documents import MAX_DOCUMENT_BYTES
from modelgate.errors import Problem, Refused
from modelgate.images.reference import reference
from modelgate.locations import Location, resolved
from modelgate.ports import NewObject
from modelgate.run import JOB_FILE, TrainingId
from modelgate.run_items import Status
from modelgate.training.runs import TrainingRun
from modelgate.training.writing import written
from modelgate.values import dataclass

if TYPE_CHECKING:
    from modelgate.directory import Directory
    from modelgate.policies import Policies
    from modelgate.ports import Bucket, Bus
    from modelgate.training.job import TrainingJob
    from modelgate.training.runs import TrainingRuns

_SOURCE = "code.tar.gz"
_DIGITS = 12
_MOST_OF_NAME = 100
_AGAIN = re.compile(r"(?P<run>.+)-(?P<digits>[0-9a-f]{12})")


@dataclass(frozen=True)
class Summary:
    """What came of a new image.

    Attributes:
        started: the runs that are asked for.
        refused: the groups whose last training cannot be started again with it, and why.
    """

    image: str
    started: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


class Retrainer:
    """The use case of `image_published`. Done twice, it is the same run."""

    def __init__(
        self, *, bucket: Bucket, runs: TrainingRuns, policies: Policies, directory: Directory, bus: Bus
    ) -> None:
        self._bucket = bucket
        self._runs = runs
        self._policies = policies
        self._directory = directory
        self._bus = bus

    def image_published(self, image: str, digest: str, uri: str) -> Summary:
        """A build of an image is published; ``uri`` is its name with the digest.

        Raises:
            AwsError: Lambda is to come back.
        """
        started, refused = [], []
        for group in self._directory.groups():
            if not self._names(group, image):
                continue
            last = self._last(group)
            if last is None:
                continue
            try:
                again = self._start_again(last, image, digest, uri)
            except Refused as problem:
                refused.append(self._refuse(last, digest, problem))
            else:
                started += [str(again)] if again else []
        return Summary(image, tuple(started), tuple(refused))

    def _names(self, group: str, image: str) -> bool:
        try:
            return self._policies.of(group).policy.training.image == image
        except Refused:
            return False  # it was told when it was uploaded, and what it means is anybody's guess

    def _last(self, group: str) -> TrainingRun | None:
        completed = [
            (run.ended_at, run.id.run, run)
            for run in self._runs.of_group(group)
            if run.status is Status.COMPLETED and run.ended_at is not None
        ]
        return max(completed)[2] if completed else None

    def _start_again(self, last: TrainingRun, image: str, digest: str, uri: str) -> TrainingId | None:
        # Most images train nobody again.
        from modelgate.training.job import read_job
        from modelgate.training.order import SOURCE_FILE

        digits = digest.removeprefix("sha256:")[:_DIGITS]
        again = TrainingId(last.id.group, f"{_first_name(last)[: _MOST_OF_NAME - 1 - _DIGITS]}-{digits}")
        if self._bucket.head(again.key(JOB_FILE)) is not None:
            return None  # the same news, once more
        found = self._bucket.read(last.id.key(JOB_FILE), MAX_DOCUMENT_BYTES, last.uploaded)
        if found is None:
            what = f"version {last.uploaded} of it, with which the group was last trained, is deleted"
            raise Refused(Problem(last.id.key(JOB_FILE), what, "train once more by hand"))
        job = read_job(found[0])
        named = reference(job.container.image or "")
        if named is None or named.repository != image:
            trained_by = job.container.image or f"{job.container.framework} {job.container.version}"
            what = f"names {image}, and the group was last trained by {trained_by}"
            mend = f"train once with container: {{image: {image}}}, or name another image"
            raise Refused(Problem(f"policies/{again.group}.yaml: training.image", what, mend))
        content = _again(job, last.id, self._bucket.name, uri, digits)
        if job.script is not None and not last.source.startswith("s3://"):
            kept = last.id.trained_key(f"{last.job}/source/{SOURCE_FILE}")
            source = self._bucket.head(kept)
            if source is None:
                what = f"the source of {last.id} is gone: {kept}"
                raise Refused(Problem(f"{JOB_FILE}: script.source", what, "train once more by hand"))
            self._bucket.keep({again.key(_SOURCE): source})
            content["script"]["source"] = _SOURCE
        self._bucket.write(NewObject(again.key(JOB_FILE), written(content), "application/yaml"))
        return again

    def _refuse(self, last: TrainingRun, digest: str, refused: Refused) -> str:
        reasons = [str(problem) for problem in refused.problems]
        message = f"Group {last.id.group} is not trained anew with a new image: {reasons[0]}."
        facts: dict[str, object] = {"run": last.id.run, "reasons": reasons, "digest": digest}
        identity = id_of(Kind.TRAINING_REFUSED, last.id, last.uploaded, digest)
        self._bus.announce(Announcement(Kind.TRAINING_REFUSED, identity, message, last.id.group, facts))
        return f"{last.id.group}: {reasons[0]}"


def _first_name(run: TrainingRun) -> str:
    """What the run was called before images started it again."""
    found = _AGAIN.fullmatch(run.id.run)
    pinned = run.image.rpartition("@sha256:")[2]
    return found["run"] if found and pinned.startswith(found["digits"]) else run.id.run


def _again(job: TrainingJob, run: TrainingId, bucket: str, uri: str, digits: str) -> dict[str, Any]:
    """The document for another run: what lay beside it is named by its place, and the image by its digest."""
    content: dict[str, Any] = job.model_dump(mode="json", exclude_unset=True)
    folder = Location(bucket, run.folder)
    content["container"]["image"] = uri
    for name, data in job.data.items():
        content["data"][name]["location"] = resolved(data.location, folder).url
    if job.script is not None:
        content["script"]["source"] = resolved(job.script.source, folder).url
    if job.checkpoints is not None:
        # What was trained to its end has nothing left to do: the new one begins at the beginning.
        place = job.checkpoints
        content["checkpoints"] = f"{place.rstrip('/')}/{digits}/" if "://" in place else f"{place}-{digits}"
    return content
