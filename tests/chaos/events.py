"""The events of the in-memory AWS as the functions get them: JSON in EventBridge's envelope."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.fakes.sagemaker import EndpointEvent, Event, PackageEvent

if TYPE_CHECKING:
    from datetime import datetime

_STATUSES = {"InService": "IN_SERVICE", "Failed": "FAILED"}


def function_and_event(event: Event, now: datetime) -> tuple[str, dict[str, Any]]:
    """The function whose rule matches, and what it gets."""
    if isinstance(event, PackageEvent):
        return "approval_changed", _of_package(event)
    return "endpoint_changed", _of_endpoint(event, now)


def uploaded(key: str, now: datetime) -> dict[str, Any]:
    """Amazon S3: "Object Created"."""
    detail = {"bucket": {"name": "intake"}, "object": {"key": key}}
    return _envelope("aws.s3", "Object Created", now, detail)


def sweep_due(now: datetime) -> dict[str, Any]:
    """Amazon EventBridge: "Scheduled Event"."""
    return _envelope("aws.events", "Scheduled Event", now, {})


def _of_package(event: PackageEvent) -> dict[str, Any]:
    detail = {
        "ModelPackageGroupName": event.group,
        "ModelPackageVersion": event.version,
        "ModelPackageArn": f"arn:aws:sagemaker:::model-package/{event.group}/{event.version}",
        "ModelApprovalStatus": event.approval,
        "UpdatedModelPackageFields": list(event.updated_fields),
        "LastModifiedTime": event.at.isoformat(),
    }
    return _envelope("aws.sagemaker", "SageMaker Model Package State Change", event.at, detail)


def _of_endpoint(event: EndpointEvent, now: datetime) -> dict[str, Any]:
    detail = {
        "EndpointName": event.name,
        "EndpointArn": f"arn:aws:sagemaker:::endpoint/{event.name}",
        "EndpointStatus": _STATUSES[event.status],
    }
    return _envelope("aws.sagemaker", "SageMaker Endpoint State Change", now, detail)


def _envelope(source: str, detail_type: str, time: datetime, detail: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": "event",
        "source": source,
        "detail-type": detail_type,
        "account": "123456789012",
        "region": "eu-central-1",
        "time": time.isoformat(),
        "resources": [],
        "detail": detail,
    }
