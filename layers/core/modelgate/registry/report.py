"""`reports/<group>/<submission>/report.json`: what became of a submission, and why."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelgate.artifacts.inspection import Artifact
    from modelgate.errors import Problem
    from modelgate.gate import Champion, Verdict
    from modelgate.submission import SubmissionId

REPORT = "report.json"
METRICS = "metrics.json"


@dataclass(frozen=True)
class Report:
    """Everything that is known of a submission once it is judged; what was not reached is None."""

    submission: SubmissionId
    status: str
    problems: tuple[Problem, ...] = ()
    metrics: Mapping[str, float] | None = None
    champion: Champion | None = None
    verdict: Verdict | None = None
    artifact: Artifact | None = None
    image: str | None = None
    version: int | None = None

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it was refused, each in one sentence."""
        failures = self.verdict.failures if self.verdict else ()
        return (*map(str, self.problems), *map(str, failures))

    def to_json(self) -> bytes:
        return json.dumps(self._content(), indent=2, ensure_ascii=False).encode()

    def _content(self) -> dict[str, object]:
        return {
            "submission": str(self.submission),
            "status": self.status,
            "version": self.version,
            "problems": [{"where": p.where, "found": p.found, "mend": p.mend} for p in self.problems],
            "metrics": dict(self.metrics) if self.metrics is not None else None,
            "champion": {"version": self.champion.version, "metrics": dict(self.champion.metrics)}
            if self.champion
            else None,
            "verdict": verdict_as_json(self.verdict) if self.verdict else None,
            "artifact": {
                "sha256": self.artifact.sha256,
                "compressed_bytes": self.artifact.compressed_size,
                "uncompressed_bytes": self.artifact.uncompressed_size,
                "members": [member.name for member in self.artifact.members],
            }
            if self.artifact
            else None,
            "image": self.image,
        }


def verdict_as_json(verdict: Verdict) -> dict[str, object]:
    return {
        "passed": verdict.passed,
        "checks": [
            {"metric": check.metric, "found": check.found, "demand": check.demand, "passed": check.passed}
            for check in verdict.checks
        ],
    }


def metrics_as_json(metrics: Mapping[str, float]) -> bytes:
    """The file that the package's ModelMetrics point to."""
    content = {"metrics": {name: {"value": value} for name, value in metrics.items()}}
    return json.dumps(content, indent=2).encode()
