"""What became of a submission, and why: `report.json` for programs and `report.html` for people, both under
`reports/<group>/<submission>/`."""

from __future__ import annotations

import json
import math
from dataclasses import field
from itertools import accumulate
from typing import TYPE_CHECKING

from modelgate.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from modelgate.artifacts.inspection import Artifact
    from modelgate.errors import Problem
    from modelgate.gate import Champion, Verdict
    from modelgate.manifest import Manifest
    from modelgate.ports import ObjectVersion
    from modelgate.submission import SubmissionId

REPORT = "report.json"
PAGE = "report.html"
METRICS = "metrics.json"

SCHEMA = 1
# A Python environment that was packed by mistake has 20,000 files; nobody reads about the small ones.
_MOST_MEMBERS = 1000
# A name may have 4 KB; those of all containers together have this much room, in characters.
_MOST_IN_NAMES = 300_000


@dataclass(frozen=True)
class ReportedContainer:
    """A container of a submission, and what was found in its artifact.

    Attributes:
        place: where the manifest speaks of it: ``container``, ``containers.1``.
        image: the image's URI.
        framework, version: of a prebuilt container.
        environment: of the container, completed by its contract.
        artifact: what was inspected; None where it needs none.
        uploaded: the object that was read; None where that was none, or a folder.
        registered_url: where the registered copy lies, ``s3://…``; None where there is none.
        seconds: how long reading the artifact took.
    """

    place: str
    image: str
    framework: str | None = None
    version: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    artifact: Artifact | None = None
    uploaded: ObjectVersion | None = None
    registered_url: str | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Report:
    """Everything that is known of a submission once it is judged; what was not reached is None, or empty.

    Attributes:
        submission: where it lies.
        status: ``registered``, ``refused``, or ``rejected`` for a version that did not pass the gate.
        at: when it was judged.
        problems: what is wrong with its documents and its artifacts.
        metrics: what it was judged by, each by its name.
        champion: the version that it was compared with.
        verdict: the gate's result.
        version: the version that it became.
        policy: the key of the policy that judged, and ``policy_version`` its version in S3.
        manifest: what it says of itself.
        instance_types: on which it may be served; the policy's comes first.
        containers: in the order of a request.
    """

    submission: SubmissionId
    status: str
    at: datetime | None = None
    problems: tuple[Problem, ...] = ()
    metrics: Mapping[str, float] | None = None
    champion: Champion | None = None
    verdict: Verdict | None = None
    version: int | None = None
    policy: str | None = None
    policy_version: str | None = None
    manifest: Manifest | None = None
    instance_types: tuple[str, ...] = ()
    containers: tuple[ReportedContainer, ...] = ()

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it was refused, each in one sentence."""
        failures = self.verdict.failures if self.verdict else ()
        return (*map(str, self.problems), *map(str, failures))

    def to_json(self) -> bytes:
        """The report as data. A number that JSON has no word for is a text, such as ``"nan"``."""
        document = json.dumps(_finite(self._content()), indent=2, ensure_ascii=False, allow_nan=False)
        # Half of a surrogate pair is no UTF-8; written as JSON writes it, it is ASCII.
        return document.encode(errors="backslashreplace")

    def to_html(self) -> bytes:
        """The report as a page: one file that needs nothing else, neither scripts nor a network."""
        from modelgate.registry.report_page import page_of

        return page_of(self)

    def _content(self) -> dict[str, object]:
        champion = self.champion
        room = _MOST_IN_NAMES // max(1, len(self.containers))
        return {
            "schema": SCHEMA,
            "submission": str(self.submission),
            "status": self.status,
            "at": self.at.isoformat() if self.at else None,
            "version": self.version,
            "problems": [{"where": p.where, "found": p.found, "mend": p.mend} for p in self.problems],
            "policy": {"key": self.policy, "version": self.policy_version} if self.policy else None,
            "metrics": dict(self.metrics) if self.metrics is not None else None,
            "champion": {"version": champion.version, "metrics": dict(champion.metrics)}
            if champion
            else None,
            "verdict": self.verdict.as_json() if self.verdict else None,
            "instance_types": list(self.instance_types),
            "containers": [_container_as_json(each, room) for each in self.containers],
            "manifest": self.manifest.model_dump(mode="json", exclude_none=True) if self.manifest else None,
        }


def _container_as_json(container: ReportedContainer, room: int) -> dict[str, object]:
    uploaded = container.uploaded
    return {
        "place": container.place,
        "image": container.image,
        "framework": container.framework,
        "version": container.version,
        "environment": dict(container.environment),
        "uploaded": {
            "key": uploaded.key,
            "version": uploaded.version,
            "etag": uploaded.etag.strip('"') or None,
            "bytes": uploaded.size,
        }
        if uploaded
        else None,
        "registered_url": container.registered_url,
        "artifact": _artifact_as_json(container.artifact, room) if container.artifact else None,
        "seconds": container.seconds,
    }


def _artifact_as_json(artifact: Artifact, room: int) -> dict[str, object]:
    largest = sorted(artifact.members, key=lambda member: -member.size)[:_MOST_MEMBERS]
    used = accumulate(len(member.name) for member in largest)
    largest = [member for member, so_far in zip(largest, used, strict=True) if so_far <= room]
    return {
        "kind": artifact.kind,
        "sha256": artifact.sha256,
        "digest": artifact.digest,
        "compressed_bytes": artifact.compressed_size,
        "uncompressed_bytes": artifact.uncompressed_size,
        "member_count": len(artifact.members),
        "members_shown": len(largest),
        "members": [{"name": each.name, "kind": each.kind, "bytes": each.size} for each in largest],
    }


def _finite(value: object) -> object:
    """The same without NaN and the infinities, which are no JSON."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return value
