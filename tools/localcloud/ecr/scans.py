"""Scans of images. There is no scanner here: a scan finds what the local cloud was told that it finds."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from localcloud.calls import now
from localcloud.errors import LocalCloudError, ServiceError
from localcloud.eventbridge import EventBridge
from localcloud.moto_state import MotoState
from localcloud.pace import Pace
from localcloud.schedule import Scheduler

if TYPE_CHECKING:
    from moto.ecr.models import Repository

    from localcloud.ecr.stored_image import StoredImage

ScanStatus = Literal["COMPLETE", "FAILED"]

_SEVERITIES = frozenset({"CRITICAL", "HIGH", "MEDIUM", "LOW", "INFORMATIONAL", "UNDEFINED"})
_DESCRIPTIONS: Mapping[ScanStatus, str] = {
    "COMPLETE": "The scan was completed successfully.",
    "FAILED": "UnsupportedImageError: The operating system and/or package manager are not supported.",
}
_PAUSE = dt.timedelta(hours=24)


@dataclass(frozen=True)
class _Outcome:
    status: ScanStatus = "COMPLETE"
    counts: Mapping[str, int] = field(default_factory=dict)


class Scans:
    """Basic scanning, from "Scan images for OS vulnerabilities" in the Amazon ECR User Guide."""

    def __init__(self, moto: MotoState, events: EventBridge, scheduler: Scheduler, pace: Pace) -> None:
        self._moto = moto
        self._events = events
        self._scheduler = scheduler
        self._pace = pace
        self._told: dict[str, _Outcome] = {}

    def find(self, repository: str, counts: Mapping[str, int], status: ScanStatus = "COMPLETE") -> None:
        """What the scans of a repository's images find that end from now on.

        Args:
            counts: how many findings there are of each severity.

        Raises:
            LocalCloudError: ECR knows no such severity.
        """
        unknown = sorted(set(counts) - _SEVERITIES)
        if unknown:
            known = ", ".join(sorted(_SEVERITIES))
            raise LocalCloudError(f"ECR has no severity {', '.join(unknown)}: it has {known}")
        self._told[repository] = _Outcome(status, dict(counts))

    def begin(self, image: StoredImage) -> None:
        """From now on the image says that its scan is in progress; ``end_later`` ends it.

        Raises:
            ServiceError: it was scanned within the last 24 hours, at its push or afterwards.
        """
        if image.last_scan is not None and now() - image.last_scan < _PAUSE:
            message = "The scan quota per image has been exceeded. Wait and try again."
            raise ServiceError("LimitExceededException", message)
        image.last_scan = now()
        image.image_scan_status = {"status": "IN_PROGRESS"}

    def end_later(self, repository: Repository, image: StoredImage) -> None:
        """Let a scan that has begun take its time."""
        label = f"scan of {repository.name}@{image.image_digest}"
        self._scheduler.after(self._pace.scanning, label, lambda: self._end(repository, image))

    def _end(self, repository: Repository, image: StoredImage) -> None:
        with self._moto.holding("ecr"):
            is_there = self._moto.repository(repository.name) is repository
            if not is_there or image not in repository.images:
                return
            outcome = self._told.get(repository.name, _Outcome())
            status = outcome.status
            image.image_scan_status = {"status": status, "description": _DESCRIPTIONS[status]}
            detail: dict[str, Any] = {
                "scan-status": status,
                "repository-name": repository.name,
                "image-digest": image.image_digest,
                "image-tags": list(image.image_tags),
            }
            if status == "COMPLETE":
                at = image.last_scan
                image.image_scan_findings_summary = {
                    "imageScanCompletedAt": at,
                    "vulnerabilitySourceUpdatedAt": at,
                    "findingSeverityCounts": dict(outcome.counts),
                }
                detail["finding-severity-counts"] = dict(outcome.counts)
        self._events.announce("aws.ecr", "ECR Image Scan", detail, [repository.arn])
