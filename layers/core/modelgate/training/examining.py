"""What a job names is looked at before anything is paid for: image, script, data, and what becomes of it."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

from modelgate.errors import Gathering, Problem, Refused
from modelgate.locations import Location
from modelgate.run import JOB_FILE
from modelgate.training.lineage import MOST_LISTED, Contents, Source, contents
from modelgate.training.order import SOURCE_FILE, channels_of, checkpoints_of, source_of
from modelgate.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelgate.builds.findings import MaxSeverity
    from modelgate.images.choice import Chooser
    from modelgate.manifest import Container
    from modelgate.policies import Policies
    from modelgate.policy import GroupPolicy
    from modelgate.ports import Bucket, ObjectVersion
    from modelgate.run import TrainingId
    from modelgate.training.job import TrainingJob

MAX_SOURCE_BYTES = 1024**3
MAX_UNPACKED_BYTES = 10 * 1024**3
# What people upload for training; no script comes from anywhere else in the intake bucket.
_UPLOADED = "training/"
PACK_SOURCE = "tar -C code -czf code.tar.gz ."


@dataclass(frozen=True)
class Examined:
    """A job that can be started.

    Attributes:
        image: by its digest, where it is one's own.
        source: the tarball of the script, where there is one.
        channels: what lies in those whose data is in the intake bucket.
    """

    image: str
    source: Source | None = None
    channels: Mapping[str, Contents] = field(default_factory=dict)


class Examiner:
    """Looks at what a job names, as far as it can be looked at from here.

    Args:
        policies: say what a scan may find, and where a version will serve.
    """

    def __init__(self, bucket: Bucket, chooser: Chooser, policies: Policies) -> None:
        self._bucket = bucket
        self._chooser = chooser
        self._policies = policies

    def examine(self, run: TrainingId, job: TrainingJob, name: str) -> Examined:
        """
        Args:
            name: the job's; what was looked at is kept under it.

        Raises:
            Refused: with everything that is wrong.
            NotYet: an image is still being scanned.
        """
        wrong = Gathering()
        policy: GroupPolicy | None = None
        with wrong.collected():
            policy = self._policy(run, job)
        worst = policy.policy.image.max_severity if policy else None
        image, source = "", None
        with wrong.collected():
            image = self._chooser.choose(
                job.container, [job.instances.type], f"{JOB_FILE}: container", worst, scope="training"
            )
        with wrong.collected():
            source = self._source(run, job, name)
        channels: dict[str, Contents] = {}
        for channel in channels_of(run, job, self._bucket.name):
            with wrong.collected():
                if channel.location.bucket == self._bucket.name:
                    channels[channel.name] = self._contents(job, channel.name, channel.location)
        with wrong.collected():
            self._check_checkpoints(run, job)
        if job.serve is not None:
            with wrong.collected():
                self._check_name_is_free(run)
            with wrong.collected():
                self._check_can_serve(job.serve.container or job.container, job, policy, worst)
        wrong.refuse()
        return Examined(image, source, channels)

    def _policy(self, run: TrainingId, job: TrainingJob) -> GroupPolicy | None:
        try:
            return self._policies.of(run.group)
        except Refused:
            if job.serve is not None:
                raise  # its version could not be judged
            return None

    # ── the script ────────────────────────────────────────────────────────────────────────────
    def _source(self, run: TrainingId, job: TrainingJob, name: str) -> Source | None:
        place = source_of(run, job, self._bucket.name)
        if place is None or job.script is None:
            return None
        where = f"{JOB_FILE}: script.source"
        if place.bucket != self._bucket.name:
            if job.isolates_script and not place.key.endswith(f"/{SOURCE_FILE}"):
                found = f"is {place.url}, and under network_isolation SageMaker brings it as a channel"
                mend = f"call the object {SOURCE_FILE}, alone in its folder, or upload it beside {JOB_FILE}"
                raise Refused(Problem(where, found, mend))
            return Source(place)
        if not place.key.startswith(_UPLOADED):
            found = f"is {place.url}, where nothing lies that is uploaded for training"
            raise Refused(Problem(where, found, f"upload it beside {JOB_FILE}, or into another bucket"))
        found_object = self._bucket.head(place.key)
        if found_object is None:
            found = f"there is nothing at {place.url}"
            raise Refused(Problem(where, found, f"upload it before {JOB_FILE}: {PACK_SOURCE}"))
        sha256 = self._read(found_object, job.script.program, where)
        kept = Location(self._bucket.name, run.trained_key(f"{name}/source/{SOURCE_FILE}"))
        return Source(kept, found_object, sha256)

    def _read(self, found: ObjectVersion, program: str, where: str) -> str:
        """Reads the tarball to its end; its SHA-256."""
        from modelgate.artifacts.gzip_stream import PACK, Limits
        from modelgate.artifacts.inspection import inspect

        if found.size > MAX_SOURCE_BYTES:
            size = f"has {found.size / 1024**3:.1f} GB, and {MAX_SOURCE_BYTES // 1024**3} GB is allowed"
            raise Refused(Problem(where, size, "leave data out of the source, and give it a channel"))
        stream = self._bucket.open(found)
        try:
            limits = Limits(unpacked_bytes=MAX_UNPACKED_BYTES)
            source = inspect(stream, keep=lambda _: False, where=where, limits=limits)
        except Refused as refused:
            # The inspection's own mends speak of a model.
            mended = [
                Problem(each.where, each.found, each.mend.replace(PACK, PACK_SOURCE).replace("model", "code"))
                for each in refused.problems
            ]
            raise Refused(*mended) from refused
        finally:
            stream.close()
        files = {member.name for member in source.members if member.kind != "directory"}
        if program not in files:
            mend = f"name one of its files: {', '.join(sorted(files)[:5]) or 'it has none'}"
            if source.wrapper and f"{source.wrapper}/{program}" in files:
                mend = f"pack what is in the folder {source.wrapper}, not the folder: {PACK_SOURCE}"
            what = f"is {program!r}, which is not in the source"
            raise Refused(Problem(f"{JOB_FILE}: script.program", what, mend))
        return source.sha256

    # ── the data ──────────────────────────────────────────────────────────────────────────────
    def _contents(self, job: TrainingJob, name: str, place: Location) -> Contents:
        where = f"{JOB_FILE}: data.{name}"
        found = contents(self._bucket.list(place.key, MOST_LISTED))
        if not found.objects:
            mend = f"upload the data before {JOB_FILE}, or mend the location"
            raise Refused(Problem(f"{where}.location", f"there is nothing at {place.url}", mend))
        count, sharded = job.instances.count, job.data[name].distribution == "sharded"
        if sharded and len(found.objects) < count:
            objects = "1 object" if len(found.objects) == 1 else f"{len(found.objects)} objects"
            what = f"is sharded, and has {objects} for {count} instances: some would get nothing"
            mend = f"write {count} objects or more, or fewer instances, or distribution: replicated"
            raise Refused(Problem(f"{where}.distribution", what, mend))
        return found

    def _check_checkpoints(self, run: TrainingId, job: TrainingJob) -> None:
        place = checkpoints_of(run, job, self._bucket.name)
        own = f"checkpoints/{run.group}/"
        if place and place.bucket == self._bucket.name and not place.key.startswith(own):
            what = f"is {place.url}, where the job would write among what others have"
            mend = f"write a name only, which lies under {own}, or a place in another bucket"
            raise Refused(Problem(f"{JOB_FILE}: checkpoints", what, mend))

    # ── what becomes of it ────────────────────────────────────────────────────────────────────
    def _check_name_is_free(self, run: TrainingId) -> None:
        folder = f"models/{run.group}/{run.run}/"
        if self._bucket.list(folder, 0):
            what = f"would become the submission {run}, and something lies under {folder} already"
            raise Refused(Problem(f"{JOB_FILE}: serve", what, "upload the job under another run"))

    def _check_can_serve(
        self, container: Container, job: TrainingJob, policy: GroupPolicy | None, worst: MaxSeverity | None
    ) -> None:
        """A version that no endpoint could serve is found out now, not when hours of training are paid."""
        if policy is None or job.serve is None:
            return  # told already
        if container.image is not None and container.image == job.container.image:
            return  # it was looked at as what trains
        kinds = [policy.policy.deployment.instance_type, *job.serve.instance_types]
        self._chooser.choose(container, kinds, f"{JOB_FILE}: serve.container", worst)
