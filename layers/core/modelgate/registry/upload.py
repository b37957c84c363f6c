"""What lies under a submission's prefix now, and whether that is all of it."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

from modelgate.announcements import id_of
from modelgate.documents import MAX_DOCUMENT_BYTES
from modelgate.errors import Problem, Refused
from modelgate.manifest import read_manifest
from modelgate.metrics import MAX_BYTES, Metrics, of_figures, read
from modelgate.submission import ARTIFACT, MANIFEST, SubmissionId
from modelgate.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from modelgate.manifest import Container, Manifest
    from modelgate.ports import Bucket, ObjectVersion

# Each of them is copied by a call of its own. Weights in the hundreds of GB come in a few hundred files.
MOST_FILES = 1000


class Incomplete(Exception):
    """No error: a part of the submission is still to come."""

    def __init__(self, *files: str) -> None:
        super().__init__(", ".join(files))
        self.files = files


@dataclass(frozen=True)
class Uploaded:
    """A container of a submission, and the objects that are its artifact.

    Attributes:
        place: where the manifest speaks of it: ``container``, ``containers.1``.
        container: what it says there.
        tarball: the artifact as one object,
        folder: or as several, which lie under ``prefix``; neither where the container needs none.
    """

    place: str
    container: Container
    tarball: ObjectVersion | None = None
    folder: tuple[ObjectVersion, ...] = ()
    prefix: str = ""


@dataclass(frozen=True)
class CompleteUpload:
    """A submission of which everything is there and every document is right.

    Attributes:
        id: where it lies.
        manifest: what it says, ``manifest_text`` as it says it, and ``manifest_version`` where S3 has that.
        metrics: from the manifest, or from the file that it names.
        containers: in the order of a request.
    """

    id: SubmissionId
    manifest: Manifest
    manifest_text: bytes
    manifest_version: str
    metrics: Metrics
    containers: tuple[Uploaded, ...]


@dataclass(frozen=True)
class Upload:
    """What lies there; what does not is None, or not in ``objects``.

    Attributes:
        objects: by the names that the manifest has for them, the artifacts: one object for a tarball, those
            under it for a folder. Before there is a manifest, what its default names.
    """

    id: SubmissionId
    manifest: tuple[bytes, ObjectVersion] | None = None
    metrics: tuple[bytes, ObjectVersion] | None = None
    objects: Mapping[str, Sequence[ObjectVersion]] = field(default_factory=dict)

    @property
    def parts(self) -> str:
        """Names exactly these versions of the objects."""
        documents = [each[1].version if each else "" for each in (self.manifest, self.metrics)]
        artifacts = [f"{name} {one.key} {one.version}" for name, all_ in self.objects.items() for one in all_]
        return id_of(*documents, *sorted(artifacts))

    def completed(self) -> CompleteUpload:
        """Reads the documents; cheap, and without the artifacts.

        Raises:
            Incomplete: something is still to come.
            Refused: a name or a document is wrong, whatever is still to come.
        """
        self.id.check()
        if self.manifest is None:
            raise Incomplete(MANIFEST) if self.objects.get(ARTIFACT) else Incomplete(MANIFEST, ARTIFACT)
        manifest = read_manifest(self.manifest[0])
        artifacts = [name for each in manifest.served.values() if (name := each.tarball or each.folder)]
        missing = [name for name in artifacts if not self.objects.get(name)]
        judged_by = self._metrics(manifest, missing)
        if missing:
            raise Incomplete(*missing)
        containers = tuple(self._uploaded(*each) for each in manifest.served.items())
        return CompleteUpload(
            self.id, manifest, self.manifest[0], self.manifest[1].version, judged_by, containers
        )

    def _metrics(self, manifest: Manifest, missing: Sequence[str]) -> Metrics:
        if manifest.metrics is not None:
            return of_figures(manifest.metrics)
        file = str(manifest.metrics_file)
        if self.metrics is None:
            raise Incomplete(file, *missing)
        return read(self.metrics[0], file)

    def _uploaded(self, place: str, container: Container) -> Uploaded:
        if container.tarball:
            return Uploaded(place, container, tarball=self.objects[container.tarball][0])
        if container.folder:
            found = tuple(self.objects[container.folder])
            if len(found) > MOST_FILES:
                raise Refused(
                    Problem(
                        f"{MANIFEST}: {place}.artifact",
                        f"names a folder of more than {MOST_FILES:,} files",
                        "upload what serves the model only, or pack it into a tarball",
                    )
                )
            return Uploaded(place, container, folder=found, prefix=self.id.key(container.folder))
        return Uploaded(place, container)


def look(bucket: Bucket, submission: SubmissionId) -> Upload:
    """Looks what is there. Under a name that cannot be used, nothing counts."""
    try:
        submission.check()
    except Refused:
        return Upload(submission)
    text = bucket.read(submission.key(MANIFEST), MAX_DOCUMENT_BYTES)
    if text is None:
        return Upload(submission, objects=_tarball(bucket, submission, ARTIFACT))
    try:
        manifest = read_manifest(text[0])
    except Refused:
        return Upload(submission, text, objects=_tarball(bucket, submission, ARTIFACT))
    file = manifest.metrics_file
    figures = bucket.read(submission.key(file), MAX_BYTES) if file else None
    objects: dict[str, Sequence[ObjectVersion]] = {}
    for container in manifest.served.values():
        if container.tarball:
            objects |= _tarball(bucket, submission, container.tarball)
        elif container.folder:
            listed = bucket.list(submission.key(container.folder), MOST_FILES)
            # What ends with a slash is what the S3 console makes for a folder.
            objects[container.folder] = [each for each in listed if not each.key.endswith("/")]
    return Upload(submission, text, figures, objects)


def _tarball(bucket: Bucket, submission: SubmissionId, name: str) -> dict[str, Sequence[ObjectVersion]]:
    found = bucket.head(submission.key(name))
    return {name: (found,)} if found else {}
