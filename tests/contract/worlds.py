"""The two implementations of the ports, and what tests of them have in common."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from localcloud import LocalCloud
from modelgate.aws.autoscaling import InstanceScaling
from modelgate.aws.cloudwatch import EndpointAlarms
from modelgate.aws.dynamodb import DynamoTable
from modelgate.aws.ecr import EcrImages
from modelgate.aws.eventbridge import EventBridgeBus
from modelgate.aws.logs import EndpointLogs
from modelgate.aws.s3 import S3Bucket
from modelgate.aws.sagemaker import SageMakerHosting, SageMakerRegistry
from modelgate.aws.sagemaker_runtime import SageMakerPredictions
from modelgate.manifest import Lineage
from modelgate.names import STACK_TAG
from modelgate.policy import DeploymentPolicy
from modelgate.ports import (
    Bucket,
    Bus,
    ContainerLogs,
    Hosting,
    Images,
    Predictions,
    Registry,
    Scaling,
    Table,
    Watch,
)
from modelgate.registry.package import RegisteredContainer, Registration
from tests.fakes.aws import Calls, Clock, FakeBucket, FakeBus, FakeTable
from tests.fakes.builds import FakeImages
from tests.fakes.sagemaker import FakeContainerLogs, FakeHosting, FakeSageMaker, FakeScaling, FakeWatch
from tests.simulation.chain import FAILS_TO_PREDICT, NEVER_LOADS, SCRIPT, artifact

ARN = "arn:aws:sagemaker:eu-central-1:123456789012"
STACK = "modelgate"
BARE = DeploymentPolicy()


@dataclass
class World:
    """One implementation of the ports, and what a test needs besides.

    Attributes:
        upload: puts an object as a user does, and returns its version.
        keep: puts an object where versions point at, as registration does, and returns its URL.
        push: makes an image of the account's own, and returns its digest.
        approve: approves a version as an operator does.
        settle: waits until an endpoint has come to rest, and has answered what it was asked.
        announced: the ids on the bus.
        never_loads, fails_to_predict: the containers of a version do, where its artifact alone does not
            bring that about.
        ring: an alarm goes off.
        run_out: for the next who asks AWS has no such instances.
        add_endpoint: somebody else makes an endpoint, with a model that is there and a variant.
        tags: an endpoint's tags, without the stack's own.
    """

    bucket: Bucket
    images: Images
    table: Table
    bus: Bus
    registry: Registry
    hosting: Hosting
    scaling: Scaling
    watch: Watch
    predictions: Predictions
    container_logs: ContainerLogs
    upload: Callable[[str, bytes], str]
    keep: Callable[[str, bytes], str]
    push: Callable[[str, str], str]
    approve: Callable[[str, int], None]
    settle: Callable[[str], object]
    announced: Callable[[], list[object]]
    never_loads: Callable[[int], None]
    fails_to_predict: Callable[[int], None]
    ring: Callable[[str], None]
    run_out: Callable[[str], None]
    add_endpoint: Callable[[str, str, str], None]
    tags: Callable[[str], dict[str, str]]


def in_memory() -> World:
    calls = Calls()
    bucket, sagemaker, bus = FakeBucket(calls), FakeSageMaker(calls, Clock(datetime.now(UTC))), FakeBus(calls)

    def settle(endpoint: str) -> None:
        while sagemaker.advance(endpoint) or sagemaker.answer(bucket):
            pass

    def ring(alarm: str) -> None:
        sagemaker.alarms[alarm] = "ALARM"

    def add_endpoint(name: str, model: str, variant: str) -> None:
        sagemaker.add_endpoint(name, model)
        endpoint = sagemaker.endpoint(name)
        assert endpoint is not None
        endpoint.variants = (variant,)

    def tags(endpoint: str) -> dict[str, str]:
        found = sagemaker.endpoint(endpoint)
        return found.tags if found else {}

    images = FakeImages(calls, Clock(datetime.now(UTC)))
    return World(
        bucket,
        images,
        FakeTable(calls),
        bus,
        sagemaker,
        FakeHosting(sagemaker),
        FakeScaling(calls, sagemaker),
        FakeWatch(calls, sagemaker),
        sagemaker,
        FakeContainerLogs(calls, sagemaker),
        upload=lambda key, body: bucket.put(key, body).version,
        keep=lambda key, body: f"s3://{bucket.name}/{bucket.put(key, body).key}",
        push=images.push,
        approve=lambda group, version: sagemaker.decide(group, version, "Approved"),
        settle=settle,
        announced=lambda: [each.id for each in bus.announced],
        never_loads=sagemaker.never_ping.add,
        fails_to_predict=sagemaker.answer_wrongly.add,
        ring=ring,
        run_out=sagemaker.out_of_stock.add,
        add_endpoint=add_endpoint,
        tags=tags,
    )


def on(cloud: LocalCloud, function: str | None = None) -> World:
    """The adapters over a local cloud; with the rights of a function's role, if one is named."""
    s3, sagemaker, cloudwatch = cloud.client("s3"), cloud.client("sagemaker"), cloud.client("cloudwatch")
    name = cloud.outputs["Bucket"]

    def client(service: str) -> Any:
        if function is None:
            return cloud.client(service)
        role = f"arn:aws:iam::123456789012:role/{cloud.function(function).role}"
        return cloud._started.client_of(role, service)

    def add_endpoint(endpoint: str, model: str, variant: str) -> None:
        served = {
            "VariantName": variant,
            "ModelName": model,
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": 1,
        }
        sagemaker.create_endpoint_config(
            EndpointConfigName=f"{endpoint}-by-hand", ProductionVariants=[served]
        )
        sagemaker.create_endpoint(EndpointName=endpoint, EndpointConfigName=f"{endpoint}-by-hand")
        cloud.settle()

    def tags(endpoint: str) -> dict[str, str]:
        listed = sagemaker.list_tags(ResourceArn=f"{ARN}:endpoint/{endpoint}")["Tags"]
        return {tag["Key"]: tag["Value"] for tag in listed if tag["Key"] != STACK_TAG}

    def keep(key: str, body: bytes) -> str:
        role = f"arn:aws:iam::123456789012:role/{cloud.function('ModelUploaded').role}"
        cloud._started.client_of(role, "s3").put_object(Bucket=name, Key=key, Body=body)
        return f"s3://{name}/{key}"

    def push(repository: str, tag: str) -> str:
        ecr = cloud.client("ecr")
        with suppress(ecr.exceptions.RepositoryAlreadyExistsException):
            ecr.create_repository(repositoryName=repository)
        kind = "application/vnd.oci.image.manifest.v1+json"
        manifest = json.dumps({"schemaVersion": 2, "mediaType": kind, "annotations": {"tag": tag}})
        pushed = ecr.put_image(repositoryName=repository, imageManifest=manifest, imageTag=tag)
        return str(pushed["image"]["imageId"]["imageDigest"])

    return World(
        S3Bucket(client("s3"), name),
        EcrImages(client("ecr"), STACK),
        DynamoTable(client("dynamodb"), cloud.outputs["Table"]),
        EventBridgeBus(client("events"), cloud.outputs["Bus"]),
        SageMakerRegistry(client("sagemaker"), ARN),
        SageMakerHosting(client("sagemaker"), ARN, STACK, cloud.outputs["ExecutionRole"], name),
        InstanceScaling(client("application-autoscaling"), client("cloudwatch"), STACK),
        EndpointAlarms(client("cloudwatch"), STACK),
        SageMakerPredictions(client("sagemaker-runtime"), name),
        EndpointLogs(client("logs")),
        upload=lambda key, body: str(s3.put_object(Bucket=name, Key=key, Body=body)["VersionId"]),
        keep=keep,
        push=push,
        approve=lambda group, version: sagemaker.update_model_package(
            ModelPackageArn=f"{ARN}:model-package/{group}/{version}", ModelApprovalStatus="Approved"
        ),
        settle=lambda _: cloud.settle(),
        announced=lambda: [
            event["detail"]["id"] for event in cloud.events_seen if event["source"] == "modelgate"
        ],
        never_loads=lambda _: None,
        fails_to_predict=lambda _: None,
        ring=lambda alarm: cloudwatch.set_alarm_state(
            AlarmName=alarm, StateValue="ALARM", StateReason="the test says so"
        ),
        run_out=cloud.faults.no_capacity,
        add_endpoint=add_endpoint,
        tags=tags,
    )


def registration(group: str, token: str) -> Registration:
    return Registration(
        group=group,
        token=token,
        description="a model",
        containers=(
            RegisteredContainer(
                image="492215442770.dkr.ecr.eu-central-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3",
                artifact_url="s3://intake/registered/x/y/model.tar.gz",
                environment={
                    "SAGEMAKER_PROGRAM": "inference.py",
                    "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
                },
                framework="SKLEARN",
                artifact_etag="0123",
            ),
        ),
        content_types=("text/csv",),
        response_types=("text/csv",),
        instance_types=("ml.m5.large",),
        metrics_url="s3://intake/registered/x/y/metrics.json",
        metadata={"metric.accuracy": "0.95", "modelgate.submission": "run"},
        lineage=Lineage(commit="4be1f0c"),
        source_uri="s3://intake/models/x/y/",
    )


def approved(world: World, group: str, *, script: str = SCRIPT) -> int:
    """The group's next version, approved; its artifact can be served by the local cloud."""
    run = f"run-{len(list(world.registry.approved_versions(group))) + 1}"
    url = world.keep(f"registered/{group}/{run}/model.tar.gz", artifact(group, script))
    asked = registration(group, f"{group}-{run}"[:36])
    container = replace(asked.containers[0], artifact_url=url)
    version = world.registry.register(replace(asked, containers=(container,)))
    world.approve(group, version)
    if script == NEVER_LOADS:
        world.never_loads(version)
    if script == FAILS_TO_PREDICT:
        world.fails_to_predict(version)
    return version


def made(world: World, group: str, name: str, policy: DeploymentPolicy = BARE, version: int = 1) -> None:
    """A model and an endpoint config of this name, for the endpoint that is called like the group."""
    world.hosting.make_model(name, group, version, policy)
    world.hosting.make_config(name, group, policy)


def served(world: World, group: str, policy: DeploymentPolicy = BARE, script: str = SCRIPT) -> None:
    """An endpoint, called like the group, that serves its version 1 by a config of the same name."""
    approved(world, group, script=script)
    made(world, group, group, policy)
    world.hosting.create(group, group, policy)
    world.settle(group)
    assert look(world, group) == ("InService", group)


def look(world: World, endpoint: str) -> tuple[str, str] | None:
    """The endpoint's status and config."""
    found = world.hosting.describe(endpoint)
    return (found.status, found.config) if found else None
