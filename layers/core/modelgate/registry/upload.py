"""What lies under a submission's prefix now, and whether that is all of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelgate.documents import MAX_DOCUMENT_BYTES
from modelgate.errors import Refused
from modelgate.registry.submissions import parts_of
from modelgate.submission import ARTIFACT, MANIFEST, Manifest, SubmissionId, read_manifest, read_metrics

if TYPE_CHECKING:
    from modelgate.ports import Bucket, ObjectVersion


class Incomplete(Exception):
    """No error: a part of the submission is still to come."""

    def __init__(self, *files: str) -> None:
        super().__init__(", ".join(files))
        self.files = files


@dataclass(frozen=True)
class CompleteUpload:
    """A submission of which everything is there and every document is right.

    Attributes:
        id: where it lies.
        artifact: the version of the artifact that is meant.
        manifest: what it says, and ``manifest_version`` which S3 version said so.
        metrics: from the manifest, or from the file that it names.
    """

    id: SubmissionId
    artifact: ObjectVersion
    manifest: Manifest
    manifest_version: str
    metrics: dict[str, float]


@dataclass(frozen=True)
class Upload:
    """What lies there; each of the three None while it does not."""

    id: SubmissionId
    artifact: ObjectVersion | None = None
    manifest: tuple[bytes, ObjectVersion] | None = None
    metrics: tuple[bytes, ObjectVersion] | None = None

    @property
    def parts(self) -> str:
        """Names exactly these versions of the objects."""
        found = (self.artifact, self.manifest and self.manifest[1], self.metrics and self.metrics[1])
        artifact, manifest, metrics = (each.version if each else "" for each in found)
        return parts_of(artifact, manifest, metrics)

    def completed(self) -> CompleteUpload:
        """Reads the documents; cheap, and without the artifact.

        Raises:
            Incomplete: something is still to come.
            Refused: a name or a document is wrong, whatever is still to come.
        """
        self.id.check()
        if self.manifest is None:
            raise Incomplete(MANIFEST) if self.artifact else Incomplete(MANIFEST, ARTIFACT)
        manifest = read_manifest(self.manifest[0])
        metrics = self._metrics(manifest)
        if self.artifact is None:
            raise Incomplete(ARTIFACT)
        return CompleteUpload(self.id, self.artifact, manifest, self.manifest[1].version, metrics)

    def _metrics(self, manifest: Manifest) -> dict[str, float]:
        if manifest.metrics is not None:
            return manifest.metrics
        file = str(manifest.metrics_file)
        if self.metrics is None:
            raise Incomplete(file) if self.artifact else Incomplete(file, ARTIFACT)
        return read_metrics(self.metrics[0], file)


def look(bucket: Bucket, submission: SubmissionId) -> Upload:
    """Looks what is there. Under a name that cannot be used, nothing counts."""
    try:
        submission.check()
    except Refused:
        return Upload(submission)
    manifest = bucket.read(submission.key(MANIFEST), MAX_DOCUMENT_BYTES)
    artifact = bucket.head(submission.key(ARTIFACT))
    if manifest is None:
        return Upload(submission, artifact)
    try:
        file = read_manifest(manifest[0]).metrics_file
    except Refused:
        return Upload(submission, artifact, manifest)
    metrics = bucket.read(submission.key(file), MAX_DOCUMENT_BYTES) if file else None
    return Upload(submission, artifact, manifest, metrics)
