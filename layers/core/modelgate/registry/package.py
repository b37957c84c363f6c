"""A version as the registry has it, and what registration writes on it."""

from __future__ import annotations

from dataclasses import field
from datetime import datetime
from typing import TYPE_CHECKING, Final

from modelgate.submission import SubmissionId
from modelgate.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelgate.manifest import Lineage

APPROVED: Final = "Approved"
REJECTED: Final = "Rejected"
PENDING: Final = "PendingManualApproval"

# The keys of CustomerMetadataProperties that are Modelgate's own.
STACK = "modelgate.stack"
SUBMISSION = "modelgate.submission"
MANIFEST = "modelgate.manifest"
MANIFEST_VERSION = "modelgate.manifest_version"
METRICS = "modelgate.metrics"
ARTIFACT_SHA256 = "modelgate.artifact_sha256"
ARTIFACT_VERSION = "modelgate.artifact_version"
ARTIFACT_ETAG = "modelgate.artifact_etag"
VERDICT = "modelgate.verdict"
REPORT = "modelgate.report"
# One after the other, as many as it takes.
SMOKE_TEST = tuple(f"modelgate.smoke_test.{number}" for number in range(1, 5))
METRIC = "metric."
# "CreateModelPackage": so many entries, and so many characters in each.
MAX_ENTRIES = 50
MAX_VALUE = 256


@dataclass(frozen=True)
class ModelPackage:
    """A model package version.

    Attributes:
        group, version: its name in the registry.
        arn: its ARN.
        approval: ModelApprovalStatus.
        modified_at: LastModifiedTime; it moves with every edit.
        description: ApprovalDescription.
        metadata: CustomerMetadataProperties.
        modified_by: who edited it last; empty where SageMaker does not tell.
        in_a_folder: whether one of its containers is served from a folder of files, and not from a tarball.
    """

    group: str
    version: int
    arn: str
    approval: str
    modified_at: datetime
    description: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    modified_by: str = ""
    in_a_folder: bool = False

    @property
    def approved(self) -> bool:
        return self.approval == APPROVED

    @property
    def metrics(self) -> dict[str, float]:
        """The metrics that registration wrote on the package."""
        return {
            key.removeprefix(METRIC): float(value)
            for key, value in self.metadata.items()
            if key.startswith(METRIC)
        }

    @property
    def manifest(self) -> str | None:
        """The key of the registered copy of its manifest; None if something else registered it."""
        return self.metadata.get(MANIFEST)

    @property
    def smoke_test(self) -> str:
        """The smoke test of its manifest, as `SmokeTest.in_plain_letters`; empty where that is too long."""
        return "".join(self.metadata.get(part, "") for part in SMOKE_TEST)

    @property
    def metrics_file(self) -> str | None:
        """The key of all of its metrics, of which the package itself holds a few."""
        return self.metadata.get(METRICS)

    @property
    def submission(self) -> SubmissionId | None:
        """The submission that it was registered from; None if something else registered it."""
        name = self.metadata.get(SUBMISSION)
        return SubmissionId(self.group, name) if name else None

    def registered_by(self, stack: str) -> bool:
        return self.metadata.get(STACK) == stack


@dataclass(frozen=True)
class RegisteredContainer:
    """One container of a version.

    Attributes:
        image: the image's URI.
        artifact_url: where the artifact lies, ``s3://…``; one that ends with a slash is a folder of files
            that are served as they are. None: the container needs none.
        artifact_etag: the ETag of what lies there, for a tarball.
        environment: at most 16 entries.
        framework: SageMaker's word for it, in upper case; None where nobody said.
    """

    image: str
    artifact_url: str | None
    environment: Mapping[str, str]
    framework: str | None = None
    artifact_etag: str | None = None


@dataclass(frozen=True)
class Registration:
    """What CreateModelPackage is told.

    Attributes:
        group: the model package group; made when it is not there.
        token: ClientToken, at most 36 characters: the same submission makes one version only.
        description: ModelPackageDescription.
        containers: in the order of a request; more than one is an inference pipeline.
        content_types, response_types: what the first container takes, and the last one gives.
        instance_types: on which the version may be served.
        metrics_url: a JSON file with the metrics, ``s3://…``.
        constraints_url: one with what the gate demands of them; None where such a file cannot say it.
        metadata: CustomerMetadataProperties.
        lineage: where the version comes from.
        source_uri: SourceUri.
        approval: PENDING, or REJECTED for one that did not pass the gate.
    """

    group: str
    token: str
    description: str
    containers: tuple[RegisteredContainer, ...]
    content_types: tuple[str, ...]
    response_types: tuple[str, ...]
    instance_types: tuple[str, ...]
    metrics_url: str
    metadata: Mapping[str, str]
    lineage: Lineage
    source_uri: str
    constraints_url: str | None = None
    approval: str = PENDING
