"""An endpoint and the deployment that is under way on it, and how APIs and events tell them."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal

from localcloud.sagemaker import states
from localcloud.sagemaker.definitions import Kept
from localcloud.sagemaker.fleets import Fleet, LiveVariant, Turns
from localcloud.sagemaker.guardrails import Rollout
from localcloud.sagemaker.states import Status

# The images that a model of this name tells, each with the one that it serves.
ImagesOf = Callable[[str], Sequence[tuple[str, str]]]
StageName = Literal["Creating", "ActivatingTraffic", "Baking"]
_NONE = Fraction(0)


@dataclass(frozen=True)
class Stage:
    """What the new fleet is doing just now, as VariantStatus tells it."""

    name: StageName
    message: str
    since: dt.datetime


@dataclass
class Deployment:
    """An update that is under way.

    Attributes:
        policy: the DeploymentConfig that was asked for.
        turns: which of the requests the new fleet answers.
    """

    fleet: Fleet
    policy: Mapping[str, Any] | None
    rollout: Rollout
    since: dt.datetime
    stage: Stage
    turns: Turns = field(default_factory=lambda: Turns(_NONE))

    @property
    def config(self) -> Kept:
        """Where it leads."""
        return self.fleet.config


@dataclass
class Endpoint:
    """An endpoint: its state, what serves, and what it is being moved to.

    Attributes:
        fleet: what serves; None until its first containers answer.
        last_policy: the DeploymentConfig of the last update that succeeded.
        bounds: the instance counts, least and most, that variants are to be brought into when it is in
            service again.
    """

    name: str
    arn: str
    status: Status
    config: Kept
    created: dt.datetime
    modified: dt.datetime
    fleet: Fleet | None = None
    deployment: Deployment | None = None
    last_policy: Mapping[str, Any] | None = None
    failure: str | None = None
    bounds: dict[str, tuple[int, int]] = field(default_factory=dict)


def described(endpoint: Endpoint, images_of: ImagesOf) -> dict[str, Any]:
    """As DescribeEndpoint tells it."""
    told: dict[str, Any] = {
        "EndpointName": endpoint.name,
        "EndpointArn": endpoint.arn,
        "EndpointConfigName": endpoint.config.name,
        "EndpointStatus": endpoint.status,
        "CreationTime": endpoint.created,
        "LastModifiedTime": endpoint.modified,
        "FailureReason": endpoint.failure,
        "LastDeploymentConfig": endpoint.last_policy,
        "AsyncInferenceConfig": endpoint.config.content.get("AsyncInferenceConfig"),
    }
    if endpoint.fleet is not None:
        told["ProductionVariants"] = [
            _variant(variant, _left(endpoint, variant)) | _deployed(variant, images_of)
            for variant in endpoint.fleet.variants.values()
        ]
    capture = endpoint.config.content.get("DataCaptureConfig")
    if capture is not None:
        on = capture.get("EnableCapture", True)
        told["DataCaptureConfig"] = {
            "EnableCapture": on,
            "CaptureStatus": "Started" if on else "Stopped",
            "CurrentSamplingPercentage": capture["InitialSamplingPercentage"],
            "DestinationS3Uri": capture["DestinationS3Uri"],
            "KmsKeyId": capture.get("KmsKeyId", ""),
        }
    if endpoint.deployment is not None:
        told["PendingDeploymentSummary"] = _pending(endpoint.deployment, images_of)
    return told


def state_change(endpoint: Endpoint, tags: Mapping[str, str]) -> dict[str, Any]:
    """The detail of a "SageMaker Endpoint State Change"."""
    fleet = endpoint.fleet or Fleet.of(endpoint.config)
    detail: dict[str, Any] = {
        "EndpointName": endpoint.name,
        "EndpointArn": endpoint.arn,
        "EndpointConfigName": endpoint.config.name,
        "ProductionVariants": [
            _variant(variant, _left(endpoint, variant)) for variant in fleet.variants.values()
        ],
        "EndpointStatus": states.in_event(endpoint.status),
        "CreationTime": _milliseconds(endpoint.created),
        "LastModifiedTime": _milliseconds(endpoint.modified),
        "Tags": dict(tags),
    }
    if endpoint.failure is not None:
        detail["FailureReason"] = endpoint.failure
    return detail


def deployment_state_change(
    endpoint: Endpoint, deployment: Deployment, tags: Mapping[str, str]
) -> dict[str, Any]:
    """The detail of a "SageMaker Endpoint Deployment State Change"."""
    summary = _pending(deployment, lambda _: ())
    summary["StartTime"] = _milliseconds(summary["StartTime"])
    for variant in summary["ProductionVariants"]:
        for status in variant["VariantStatus"]:
            status["StartTime"] = _milliseconds(status["StartTime"])
    return {**state_change(endpoint, tags), "PendingDeploymentSummary": summary}


def active(deployment: Deployment, variant: LiveVariant) -> int | None:
    """How many instances of a variant of the new fleet have traffic; None if it is serverless."""
    instances = variant.desired.instances
    return None if instances is None else math.ceil(deployment.turns.share * instances)


def _pending(deployment: Deployment, images_of: ImagesOf) -> dict[str, Any]:
    stage = deployment.stage
    status = {"Status": stage.name, "StatusMessage": stage.message, "StartTime": stage.since}
    return {
        "EndpointConfigName": deployment.config.name,
        "StartTime": deployment.since,
        "ProductionVariants": [
            _variant(variant, active(deployment, variant))
            | _deployed(variant, images_of)
            | {"VariantStatus": [dict(status)]}
            for variant in deployment.fleet.variants.values()
        ],
    }


def _left(endpoint: Endpoint, variant: LiveVariant) -> int | None:
    """How many instances of a variant that serves there still are: a rolling update takes them away."""
    instances, deployment = variant.current.instances, endpoint.deployment
    if instances is None or deployment is None or not deployment.rollout.replaces:
        return instances
    return math.floor(instances * (1 - deployment.turns.share))


def _variant(variant: LiveVariant, instances: int | None) -> dict[str, Any]:
    told = {
        "VariantName": variant.name,
        "CurrentWeight": variant.current.weight,
        "DesiredWeight": variant.desired.weight,
    }
    if instances is None:
        return {**told, "CurrentServerlessConfig": variant.content["ServerlessConfig"]}
    return {
        **told,
        "CurrentInstanceCount": instances,
        "DesiredInstanceCount": variant.desired.instances,
    }


def _deployed(variant: LiveVariant, images_of: ImagesOf) -> dict[str, Any]:
    images = images_of(str(variant.content.get("ModelName")))
    told = [{"SpecifiedImage": named, "ResolvedImage": served} for named, served in images]
    return {"DeployedImages": told} if told else {}


def _milliseconds(moment: dt.datetime) -> float:
    return float(round(moment.timestamp() * 1000))
