"""What a scan found in an image, and whether that is allowed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

from modelgate.values import dataclass

# Amazon ECR, FindingSeverity; the worst first.
Severity = Literal["CRITICAL", "HIGH", "MEDIUM", "LOW", "INFORMATIONAL", "UNDEFINED"]
# The worst that is allowed; NONE allows nothing at all.
MaxSeverity = Literal["CRITICAL", "HIGH", "MEDIUM", "LOW", "INFORMATIONAL", "UNDEFINED", "NONE"]

SEVERITIES: tuple[str, ...] = get_args(Severity)


@dataclass(frozen=True)
class Scan:
    """The state of an image's scan.

    Attributes:
        status: whether its findings are there.
        findings: how many there are, by severity.
        reason: why there are none to be had.
    """

    status: Literal["pending", "complete", "failed"]
    findings: Mapping[str, int]
    reason: str = ""

    @property
    def in_words(self) -> str:
        """``2 CRITICAL and 5 HIGH findings``."""
        counts = [f"{self.findings[each]} {each}" for each in SEVERITIES if self.findings.get(each)]
        if self.status != "complete":
            return "not scanned yet" if self.status == "pending" else f"not scanned: {self.reason}"
        return f"{' and '.join(counts)} findings" if counts else "no findings"


def too_severe(scan: Scan, worst: MaxSeverity) -> str | None:
    """What is wrong with a scan that is over, where ``worst`` is the worst finding that is allowed."""
    if scan.status == "failed":
        return f"it could not be scanned, and findings worse than {worst} are not allowed: {scan.reason}"
    above = SEVERITIES if worst == "NONE" else SEVERITIES[: SEVERITIES.index(worst)]
    if not any(scan.findings.get(each, 0) for each in above):
        return None
    allowed = "none is allowed" if worst == "NONE" else f"none worse than {worst} is allowed"
    return f"it has {scan.in_words}, and {allowed}"
