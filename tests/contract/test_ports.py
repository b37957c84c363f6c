"""The in-memory fakes and the real adapters keep the same contracts: each test runs against both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

from localcloud import LocalCloud
from modelgate.announcements import Announcement, Kind
from modelgate.aws.dynamodb import DynamoTable
from modelgate.aws.eventbridge import EventBridgeBus
from modelgate.aws.s3 import S3Bucket
from modelgate.aws.sagemaker import SageMakerHosting, SageMakerRegistry
from modelgate.errors import AlreadyExists, Invalid, NotFound, StaleRevision
from modelgate.policy import DeploymentPolicy
from modelgate.ports import Bucket, Bus, Hosting, Record, Registry, Table
from modelgate.registry.package import Registration
from tests.fakes.aws import Calls, Clock, FakeBucket, FakeBus, FakeHosting, FakeSageMaker, FakeTable
from tests.simulation.chain import artifact

ROOT = Path(__file__).parents[2]
ARN = "arn:aws:sagemaker:eu-central-1:123456789012"
_groups = (f"group-{number}" for number in count(1))


@dataclass
class World:
    """One implementation of the ports, and what a test needs besides.

    Attributes:
        upload: puts an object as a user does, and returns its version.
        approve: approves a version as an operator does.
        settle: waits until endpoints have come to rest.
        announced: the ids on the bus.
    """

    bucket: Bucket
    table: Table
    bus: Bus
    registry: Registry
    hosting: Hosting
    upload: Callable[[str, bytes], str]
    approve: Callable[[str, int], None]
    settle: Callable[[str], object]
    announced: Callable[[], list[object]]


def _in_memory() -> World:
    calls = Calls()
    bucket, sagemaker, bus = FakeBucket(calls), FakeSageMaker(calls, Clock(datetime.now(UTC))), FakeBus(calls)
    return World(
        bucket,
        FakeTable(calls),
        bus,
        sagemaker,
        FakeHosting(sagemaker),
        upload=lambda key, body: bucket.put(key, body).version,
        approve=lambda group, version: sagemaker.decide(group, version, "Approved"),
        settle=sagemaker.advance,
        announced=lambda: [each.id for each in bus.announced],
    )


def _on(cloud: LocalCloud) -> World:
    s3, sagemaker = cloud.client("s3"), cloud.client("sagemaker")
    name = cloud.outputs["Bucket"]
    return World(
        S3Bucket(s3, name),
        DynamoTable(cloud.client("dynamodb"), cloud.outputs["Table"]),
        EventBridgeBus(cloud.client("events"), cloud.outputs["Bus"]),
        SageMakerRegistry(sagemaker, ARN),
        SageMakerHosting(sagemaker, ARN, "modelgate", cloud.outputs["ExecutionRole"]),
        upload=lambda key, body: str(s3.put_object(Bucket=name, Key=key, Body=body)["VersionId"]),
        approve=lambda group, version: sagemaker.update_model_package(
            ModelPackageArn=f"{ARN}:model-package/{group}/{version}", ModelApprovalStatus="Approved"
        ),
        settle=lambda _: cloud.settle(),
        announced=lambda: [
            event["detail"]["id"] for event in cloud.events_seen if event["source"] == "modelgate"
        ],
    )


@pytest.fixture(scope="module")
def cloud() -> Iterator[LocalCloud]:
    with LocalCloud(ROOT / "template.yaml") as cloud:
        yield cloud


@pytest.fixture(params=["in memory", "adapters"])
def world(request: pytest.FixtureRequest) -> World:
    if request.param == "in memory":
        return _in_memory()
    return _on(request.getfixturevalue("cloud"))


@pytest.fixture
def group() -> str:
    return next(_groups)


# ── the bucket ────────────────────────────────────────────────────────────────────────────────────
def test_an_object_that_is_not_there_is_none(world: World) -> None:
    assert world.bucket.head("models/no/such/thing") is None
    assert world.bucket.read("models/no/such/thing", 10) is None


def test_a_read_is_limited_and_says_which_version_it_read(world: World, group: str) -> None:
    version = world.upload(f"data/{group}", b"0123456789")
    found = world.bucket.read(f"data/{group}", 4)
    assert found is not None
    assert found[0] == b"01234"
    assert (found[1].version, found[1].size) == (version, 10)


def test_an_earlier_version_can_be_read_after_it_was_overwritten(world: World, group: str) -> None:
    version = world.upload(f"data/{group}", b"first")
    world.upload(f"data/{group}", b"second")
    found = world.bucket.read(f"data/{group}", 100, version)
    assert found is not None
    assert found[0] == b"first"
    stream = world.bucket.open(found[1])
    assert stream.read() == b"first"
    stream.close()


def test_keys_are_taken_as_they_are(world: World, group: str) -> None:
    key = f"data/{group}/a b+c%20d/größe.txt"
    world.bucket.write(key, b"x", "text/plain")
    assert world.bucket.head(key) is not None


# ── the table ─────────────────────────────────────────────────────────────────────────────────────
def test_what_was_written_is_read_back(world: World, group: str) -> None:
    record = Record(group, "STATE", '{"a": 1}', 1, (("count", 3), ("name", "größe")))
    world.table.put(record)
    assert world.table.get(group, "STATE") == record
    assert world.table.get(group, "OTHER") is None


def test_a_write_on_another_revision_than_the_last_is_stale(world: World, group: str) -> None:
    first = Record(group, "STATE", "1", 1)
    world.table.put(first)
    with pytest.raises(StaleRevision):
        world.table.put(first)
    world.table.put(replace(first, document="2", revision=2))
    for revision in (2, 4):
        with pytest.raises(StaleRevision):
            world.table.put(replace(first, document="3", revision=revision))
    record = world.table.get(group, "STATE")
    assert record is not None
    assert record.document == "2"


def test_records_are_written_together_or_not_at_all(world: World, group: str) -> None:
    world.table.put(Record(group, "STATE", "1", 1))
    with pytest.raises(StaleRevision):
        world.table.put(Record(group, "STATE", "1", 1), Record(group, "ATTEMPT#1", "x", None))
    assert world.table.query(group, "ATTEMPT#") == []
    world.table.put(Record(group, "STATE", "2", 2), Record(group, "ATTEMPT#1", "x", None))
    assert [record.document for record in world.table.query(group, "ATTEMPT#")] == ["x"]


def test_a_query_returns_the_items_of_one_key_in_order(world: World, group: str) -> None:
    for number in (3, 1, 2):
        world.table.put(Record(group, f"ATTEMPT#{number}", str(number), None))
    world.table.put(Record(f"{group}-other", "ATTEMPT#9", "9", None))
    assert [record.document for record in world.table.query(group, "ATTEMPT#")] == ["1", "2", "3"]


# ── the bus ───────────────────────────────────────────────────────────────────────────────────────
def test_more_announcements_than_one_call_takes_are_all_published(world: World, group: str) -> None:
    ids = [f"{group}-{number}" for number in range(23)]
    world.bus.announce(*(Announcement(Kind.RELEASE_LIVE, each, "it is live", group) for each in ids))
    world.settle("")
    assert set(ids) <= set(world.announced())


# ── the registry ──────────────────────────────────────────────────────────────────────────────────
def registration(group: str, token: str) -> Registration:
    return Registration(
        group=group,
        token=token,
        description="a model",
        image="492215442770.dkr.ecr.eu-central-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3",
        artifact_url="s3://intake/models/x/y/model.tar.gz",
        environment={"SAGEMAKER_PROGRAM": "inference.py"},
        framework="SKLEARN",
        content_types=("text/csv",),
        response_types=("text/csv",),
        metrics_url="s3://intake/reports/x/y/metrics.json",
        metadata={"metric.accuracy": "0.95", "modelgate.submission": "run"},
    )


def test_a_group_is_made_with_its_first_version_and_versions_count_up(world: World, group: str) -> None:
    assert [world.registry.register(registration(group, f"{group}-{n}")) for n in (1, 2)] == [1, 2]
    package = world.registry.describe(group, 2)
    assert package is not None
    assert (package.group, package.version, package.approval) == (group, 2, "PendingManualApproval")
    assert package.metrics == {"accuracy": 0.95}


def test_the_same_token_makes_no_second_version(world: World, group: str) -> None:
    assert world.registry.register(registration(group, f"{group}-a")) == 1
    assert world.registry.register(registration(group, f"{group}-a")) == 1
    assert world.registry.describe(group, 2) is None


def test_a_version_or_group_that_is_not_there_is_none(world: World, group: str) -> None:
    assert world.registry.describe(group, 1) is None
    assert list(world.registry.registered_since(group, datetime.now(UTC) - timedelta(hours=1))) == []


def test_the_versions_of_a_group_are_listed_newest_first(world: World, group: str) -> None:
    for number in (1, 2, 3):
        world.registry.register(registration(group, f"{group}-{number}"))
    listed = world.registry.registered_since(group, datetime.now(UTC) - timedelta(hours=1))
    assert [package.version for package in listed] == [3, 2, 1]


def test_a_rejection_carries_its_reason_and_moves_the_time(world: World, group: str) -> None:
    world.registry.register(registration(group, group))
    world.approve(group, 1)
    before = world.registry.describe(group, 1)
    world.registry.reject(group, 1, "did not pass the ping health check")
    after = world.registry.describe(group, 1)
    assert before is not None
    assert after is not None
    assert after.description == "did not pass the ping health check"
    assert after.modified_at > before.modified_at
    assert (before.approved, after.approved) == (True, False)
    assert after.metadata == before.metadata


@pytest.mark.parametrize("reason", ["Expected 2D array, got 1D array instead:\narray=[5.1]\t.", "x" * 5000])
def test_a_reason_of_any_shape_can_be_written_on_the_package(world: World, group: str, reason: str) -> None:
    world.registry.register(registration(group, group))
    world.registry.reject(group, 1, reason)
    package = world.registry.describe(group, 1)
    assert package is not None
    assert package.approval == "Rejected"


# ── hosting ───────────────────────────────────────────────────────────────────────────────────────
def approved(world: World, group: str) -> None:
    """Version 1 of the group, approved; its artifact can be served by the local cloud."""
    world.upload(f"models/{group}/run/model.tar.gz", artifact(group))
    served = registration(group, group)
    environment = {**served.environment, "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code"}
    url = f"s3://{world.bucket.name}/models/{group}/run/model.tar.gz"
    world.registry.register(replace(served, artifact_url=url, environment=environment))
    world.approve(group, 1)


def test_an_endpoint_that_is_not_there_is_none(world: World, group: str) -> None:
    assert world.hosting.describe(group) is None


def test_an_endpoint_is_created_updated_and_deleted(world: World, group: str) -> None:
    approved(world, group)
    for name in (f"{group}-a", f"{group}-b"):
        world.hosting.make_model(name, group, 1)
        world.hosting.make_config(name, DeploymentPolicy())
    world.hosting.create(group, f"{group}-a")
    creating = world.hosting.describe(group)
    world.settle(group)
    created = world.hosting.describe(group)
    world.hosting.update(group, f"{group}-b")
    updating = world.hosting.describe(group)
    world.settle(group)
    updated = world.hosting.describe(group)
    looks = [look and (look.status, look.config) for look in (creating, created, updating, updated)]
    assert looks == [
        ("Creating", f"{group}-a"),
        ("InService", f"{group}-a"),
        ("Updating", f"{group}-a"),
        ("InService", f"{group}-b"),
    ]
    assert world.hosting.carries_tag(group)
    world.hosting.delete(group)
    world.settle(group)
    assert world.hosting.describe(group) is None


def test_what_is_there_already_is_not_made_again(world: World, group: str) -> None:
    approved(world, group)
    world.hosting.make_model(group, group, 1)
    with pytest.raises(AlreadyExists):
        world.hosting.make_model(group, group, 1)
    world.hosting.make_config(group, DeploymentPolicy())
    with pytest.raises(AlreadyExists):
        world.hosting.make_config(group, DeploymentPolicy())
    world.hosting.create(group, group)
    with pytest.raises(AlreadyExists):
        world.hosting.create(group, group)


def test_a_version_that_is_not_approved_makes_no_model(world: World, group: str) -> None:
    world.registry.register(registration(group, group))
    with pytest.raises(Invalid):
        world.hosting.make_model(group, group, 1)


def test_an_endpoint_that_is_moving_is_not_updated(world: World, group: str) -> None:
    approved(world, group)
    world.hosting.make_model(group, group, 1)
    world.hosting.make_config(group, DeploymentPolicy())
    world.hosting.create(group, group)
    with pytest.raises(Invalid):
        world.hosting.update(group, group)
    world.settle(group)


def test_a_config_that_is_not_there_cannot_be_served(world: World, group: str) -> None:
    with pytest.raises(NotFound):
        world.hosting.create(group, "no-such-config")
