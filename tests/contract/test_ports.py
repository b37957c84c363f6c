"""The in-memory fakes and the real adapters keep the same contracts: each test runs against both."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

from localcloud import LocalCloud
from modelgate.announcements import Announcement, Kind
from modelgate.errors import AlreadyExists, Invalid, ModelFailed, NotFound, Refused, StaleRevision
from modelgate.manifest import SmokeTest
from modelgate.names import VARIANT
from modelgate.policy import (
    Alarms,
    Asynchronous,
    Autoscaling,
    DeploymentPolicy,
    Instances,
    Rollout,
    Serverless,
)
from modelgate.ports import Change, NewObject, Record
from tests.contract.worlds import (
    BARE,
    STACK,
    World,
    approved,
    in_memory,
    look,
    made,
    on,
    registration,
    served,
)
from tests.simulation.chain import FAILS_TO_PREDICT, NEVER_LOADS

ROOT = Path(__file__).parents[2]
TWO_INSTANCES = DeploymentPolicy(instances=Instances(count=2))
ASYNCHRONOUS = DeploymentPolicy(asynchronous=Asynchronous())
BOTH_ALARMS = Alarms(error_rate_percent=1, p99_latency_ms=200)
ONLY_ERRORS = Alarms(error_rate_percent=1)
QUESTION = SmokeTest(content_type="text/csv", body="5.1,3.5")
_groups = (f"group-{number}" for number in count(1))


@pytest.fixture(scope="module")
def cloud() -> Iterator[LocalCloud]:
    with LocalCloud(ROOT / "template.yaml") as cloud:
        yield cloud


@pytest.fixture(params=["in memory", "adapters"])
def world(request: pytest.FixtureRequest) -> World:
    if request.param == "in memory":
        return in_memory()
    return on(request.getfixturevalue("cloud"))


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


def test_an_empty_object_is_read_as_one(world: World, group: str) -> None:
    world.upload(f"data/{group}", b"")
    found = world.bucket.read(f"data/{group}", 4)
    assert found == (b"", world.bucket.head(f"data/{group}"))


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
    world.bucket.write(NewObject(key, b"x", "text/plain"))
    assert world.bucket.head(key) is not None


def test_a_listing_has_the_present_version_of_each_object_under_a_prefix(world: World, group: str) -> None:
    for body in (b"old", b"newer"):
        version = world.upload(f"data/{group}/model/b", body)
    world.upload(f"data/{group}/model/a", b"1")
    world.upload(f"data/{group}/models", b"not in it")
    listed = world.bucket.list(f"data/{group}/model/", 10)
    assert [(each.key.rpartition("/")[2], each.size) for each in listed] == [("a", 1), ("b", 5)]
    assert listed[1].version == version
    assert listed == [world.bucket.head(each.key) for each in listed]
    assert len(world.bucket.list(f"data/{group}/", 1)) == 2


def test_a_copy_is_of_the_version_that_was_named(world: World, group: str) -> None:
    world.upload(f"data/{group}/a", b"first")
    found = world.bucket.head(f"data/{group}/a")
    assert found is not None
    world.upload(f"data/{group}/a", b"second")
    (copied,) = world.bucket.keep({f"data/{group}/b": found})
    assert world.bucket.read(f"data/{group}/b", 10) == (b"first", copied)
    assert copied.etag == found.etag


def test_of_several_copies_those_that_are_there_stay_as_they_are(world: World, group: str) -> None:
    for number in range(12):
        world.upload(f"data/{group}/from/{number:02}", b"%d" % number)
    listed = world.bucket.list(f"data/{group}/from/", 20)
    world.upload(f"data/{group}/to/03", b"there")
    there = world.bucket.head(f"data/{group}/to/03")
    kept = world.bucket.keep({each.key.replace("/from/", "/to/"): each for each in listed})
    assert kept[3] == there
    assert [world.bucket.read(each.key, 9) for each in kept] == [
        (b"there" if number == 3 else b"%d" % number, each) for number, each in enumerate(kept)
    ]


def test_a_copy_of_what_is_gone_is_an_error(world: World, group: str) -> None:
    world.upload(f"data/{group}/a", b"first")
    found = world.bucket.head(f"data/{group}/a")
    assert found is not None
    gone = replace(found, key=f"data/{group}/gone")
    with pytest.raises(NotFound):
        world.bucket.keep(
            {f"data/{group}/{number}": each for number, each in enumerate((found, gone, found))}
        )


# ── the account's images ──────────────────────────────────────────────────────────────────────────
def test_a_tag_is_resolved_to_the_digest_that_it_names(world: World, group: str) -> None:
    digest = world.push(group, "v1")
    assert digest.startswith("sha256:")
    found = world.images.find(group, "v1")
    assert found is not None
    assert (found.repository, found.digest, found.tags) == (group, digest, ("v1",))
    assert world.images.find(group, digest) == found
    assert world.images.newest(group) == found
    assert world.images.newest(f"{group}-other") is None
    assert world.images.find(group, "v2") is None
    assert world.images.find(f"{group}-other", "v1") is None


def test_repositories_are_made_once_and_have_a_home(world: World, group: str) -> None:
    assert world.images.home(group) is None
    home = world.images.make_home(group)
    assert home.endswith(f"/{group}")
    assert world.images.home(group) == world.images.make_home(group) == home
    assert world.images.make_cache(group).endswith(f"/modelgate-cache/{group}")


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


def test_a_query_without_a_beginning_returns_all_of_a_key(world: World, group: str) -> None:
    world.table.put(Record(group, "a", "1", None), Record(group, "b", "2", None))
    world.table.put(Record(f"{group}-other", "a", "3", None))
    assert [record.document for record in world.table.query(group)] == ["1", "2"]


# ── the bus ───────────────────────────────────────────────────────────────────────────────────────
def test_more_announcements_than_one_call_takes_are_all_published(world: World, group: str) -> None:
    ids = [f"{group}-{number}" for number in range(23)]
    world.bus.announce(*(Announcement(Kind.RELEASE_LIVE, each, "it is live", group) for each in ids))
    world.settle("")
    assert set(ids) <= set(world.announced())


# ── the registry ──────────────────────────────────────────────────────────────────────────────────
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


def test_the_versions_that_are_approved_are_listed(world: World, group: str) -> None:
    assert list(world.registry.approved_versions(group)) == []
    for number in (1, 2, 3):
        world.registry.register(registration(group, f"{group}-{number}"))
    world.approve(group, 1)
    world.approve(group, 3)
    world.registry.reject(group, 1, "superseded")
    world.approve(group, 2)
    assert sorted(world.registry.approved_versions(group)) == [2, 3]


def test_a_package_tells_who_edited_it_last(world: World, group: str) -> None:
    world.registry.register(registration(group, group))
    world.approve(group, 1)
    package = world.registry.describe(group, 1)
    assert package is not None
    assert package.modified_by.startswith("arn:aws:")


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
def test_an_endpoint_that_is_not_there_is_none(world: World, group: str) -> None:
    assert world.hosting.describe(group) is None


def test_an_endpoint_is_created_updated_and_deleted(world: World, group: str) -> None:
    approved(world, group)
    for name in (f"{group}-a", f"{group}-b"):
        made(world, group, name)
    world.hosting.create(group, f"{group}-a", BARE)
    creating = look(world, group)
    world.settle(group)
    created = look(world, group)
    world.hosting.update(group, f"{group}-b", Change())
    updating = look(world, group)
    world.settle(group)
    assert [creating, created, updating, look(world, group)] == [
        ("Creating", f"{group}-a"),
        ("InService", f"{group}-a"),
        ("Updating", f"{group}-a"),
        ("InService", f"{group}-b"),
    ]
    assert world.hosting.carries_tag(group)
    world.hosting.delete(group)
    world.settle(group)
    assert world.hosting.describe(group) is None
    world.hosting.delete(group)


def test_what_is_there_already_is_not_made_again(world: World, group: str) -> None:
    approved(world, group)
    made(world, group, group)
    with pytest.raises(AlreadyExists):
        world.hosting.make_model(group, group, 1, BARE)
    with pytest.raises(AlreadyExists):
        world.hosting.make_config(group, group, BARE)
    world.hosting.create(group, group, BARE)
    with pytest.raises(AlreadyExists):
        world.hosting.create(group, group, BARE)


def test_a_version_that_is_not_approved_makes_no_model(world: World, group: str) -> None:
    world.registry.register(registration(group, group))
    with pytest.raises(Invalid):
        world.hosting.make_model(group, group, 1, BARE)


def test_an_endpoint_that_is_moving_is_not_updated(world: World, group: str) -> None:
    approved(world, group)
    made(world, group, group)
    world.hosting.create(group, group, BARE)
    with pytest.raises(Invalid):
        world.hosting.update(group, group, Change())
    world.settle(group)


def test_a_config_that_is_not_there_cannot_be_served(world: World, group: str) -> None:
    with pytest.raises(NotFound):
        world.hosting.create(group, "no-such-config", BARE)


@pytest.mark.parametrize(
    "rollout",
    [
        Rollout(strategy="canary", percent=50, wait_seconds=60, termination_wait_seconds=60),
        Rollout(strategy="linear", instances=1, wait_seconds=60),
        Rollout(strategy="rolling", instances=1, wait_seconds=60),
        Rollout(strategy="all_at_once", wait_seconds=60),
        Rollout(timeout_seconds=3600),
    ],
    ids=lambda rollout: rollout.strategy,
)
def test_a_guarded_update_ends_with_the_new_config(world: World, group: str, rollout: Rollout) -> None:
    served(world, group, TWO_INSTANCES)
    made(world, group, f"{group}-b", TWO_INSTANCES)
    world.watch.put(group, BOTH_ALARMS)
    alarms = world.watch.quiet(group, BOTH_ALARMS)
    world.hosting.update(group, f"{group}-b", Change(rollout, alarms))
    assert look(world, group) == ("Updating", group)
    world.settle(group)
    assert look(world, group) == ("InService", f"{group}-b")


def test_an_alarm_takes_an_update_back(world: World, group: str) -> None:
    served(world, group, TWO_INSTANCES)
    made(world, group, f"{group}-b", TWO_INSTANCES)
    world.watch.put(group, ONLY_ERRORS)
    (alarm,) = world.watch.quiet(group, ONLY_ERRORS)
    world.ring(alarm)
    canary = Rollout(strategy="canary", percent=50, wait_seconds=60)
    world.hosting.update(group, f"{group}-b", Change(canary, (alarm,)))
    world.settle(group)
    after = world.hosting.describe(group)
    assert after is not None
    assert (after.status, after.config, after.lacks_capacity) == ("InService", group, False)
    assert after.failure_reason


def test_an_update_under_an_alarm_that_is_not_there_is_refused(world: World, group: str) -> None:
    served(world, group)
    made(world, group, f"{group}-b")
    with pytest.raises(Invalid):
        world.hosting.update(group, f"{group}-b", Change(alarms=(f"{STACK}-{group}-errors",)))


def test_an_update_whose_container_fails_ends_with_the_old_config(world: World, group: str) -> None:
    served(world, group)
    version = approved(world, group, script=NEVER_LOADS)
    made(world, group, f"{group}-b", version=version)
    world.hosting.update(group, f"{group}-b", Change())
    world.settle(group)
    after = world.hosting.describe(group)
    assert after is not None
    assert (after.status, after.config, after.lacks_capacity) == ("InService", group, False)
    assert after.failure_reason


def test_a_creation_whose_container_fails_has_failed(world: World, group: str) -> None:
    approved(world, group, script=NEVER_LOADS)
    made(world, group, group)
    world.hosting.create(group, group, BARE)
    world.settle(group)
    after = world.hosting.describe(group)
    assert after is not None
    assert (after.status, after.lacks_capacity) == ("Failed", False)
    assert after.failure_reason


def test_that_aws_has_no_instances_is_told_from_a_container_that_fails(world: World, group: str) -> None:
    approved(world, group)
    made(world, group, group)
    world.run_out("ml.m5.large")
    world.hosting.create(group, group, BARE)
    world.settle(group)
    after = world.hosting.describe(group)
    assert after is not None
    assert (after.status, after.lacks_capacity) == ("Failed", True)


def test_counts_that_autoscaling_has_set_can_be_kept(world: World, group: str) -> None:
    served(world, group)
    made(world, group, f"{group}-b")
    world.hosting.update(group, f"{group}-b", Change(keeps_counts=True))
    world.settle(group)
    assert look(world, group) == ("InService", f"{group}-b")


def test_what_is_removed_can_be_made_again_and_removing_twice_is_the_same(world: World, group: str) -> None:
    approved(world, group)
    made(world, group, f"{group}-b")
    world.hosting.remove(f"{group}-b")
    world.hosting.remove(f"{group}-b")
    with pytest.raises(NotFound):
        world.hosting.create(group, f"{group}-b", BARE)
    made(world, group, f"{group}-b")


def test_a_model_without_a_config_is_removed_too(world: World, group: str) -> None:
    approved(world, group)
    world.hosting.make_model(group, group, 1, BARE)
    world.hosting.remove(group)
    world.hosting.make_model(group, group, 1, BARE)


def test_a_serverless_endpoint_comes_into_service(world: World, group: str) -> None:
    served(world, group, DeploymentPolicy(serverless=Serverless(memory_mb=2048, max_concurrency=5)))


def test_an_endpoint_of_instances_never_becomes_serverless(world: World, group: str) -> None:
    served(world, group)
    serverless = DeploymentPolicy(serverless=Serverless(memory_mb=2048, max_concurrency=5))
    made(world, group, f"{group}-b", serverless)
    with pytest.raises(Invalid):
        world.hosting.update(group, f"{group}-b", Change())


# ── tags, and endpoints that others made ──────────────────────────────────────────────────────────
def test_tags_are_put_on_changed_and_taken_away(world: World, group: str) -> None:
    served(world, group, DeploymentPolicy(tags={"team": "ml", "cost-center": "7"}))
    assert world.tags(group) == {"team": "ml", "cost-center": "7"}
    world.hosting.retag(group, {"team": "risk"}, ["cost-center"])
    world.hosting.retag(group, {}, ["never-there"])
    assert world.tags(group) == {"team": "risk"}
    assert world.hosting.carries_tag(group)


def test_nothing_is_put_on_an_endpoint_that_is_not_there(world: World, group: str) -> None:
    world.hosting.retag(group, {"team": "risk"}, ["cost-center"])
    assert world.hosting.describe(group) is None


def test_an_endpoint_that_somebody_else_made_is_taken_over(world: World, group: str) -> None:
    approved(world, group)
    made(world, group, f"{group}-b")
    world.add_endpoint(group, f"{group}-b", VARIANT)
    assert not world.hosting.carries_tag(group)
    world.hosting.adopt(group)
    world.hosting.adopt(group)
    assert world.hosting.carries_tag(group)


def test_an_endpoint_with_another_variant_is_not_taken_over(world: World, group: str) -> None:
    approved(world, group)
    made(world, group, f"{group}-b")
    world.add_endpoint(group, f"{group}-b", "blue")
    with pytest.raises(Refused, match="blue"):
        world.hosting.adopt(group)
    assert not world.hosting.carries_tag(group)


def test_an_endpoint_that_is_moving_or_missing_is_not_taken_over(world: World, group: str) -> None:
    with pytest.raises(NotFound):
        world.hosting.adopt(group)
    approved(world, group)
    made(world, group, group)
    world.hosting.create(group, group, BARE)
    with pytest.raises(Refused):
        world.hosting.adopt(group)
    world.settle(group)


# ── autoscaling ───────────────────────────────────────────────────────────────────────────────────
SCALED = Autoscaling(min=1, max=2, invocations_per_instance=100)


def test_the_instance_type_changes_only_while_nothing_is_scaled(world: World, group: str) -> None:
    served(world, group)
    made(world, group, f"{group}-b", DeploymentPolicy(instances=Instances(type="ml.m5.xlarge")))
    world.scaling.register(group, SCALED)
    world.settle(group)
    with pytest.raises(Invalid):
        world.hosting.update(group, f"{group}-b", Change())
    world.scaling.deregister(group)
    world.hosting.update(group, f"{group}-b", Change())
    world.settle(group)
    assert look(world, group) == ("InService", f"{group}-b")


def test_autoscaling_is_changed_by_registering_again_and_taken_away_once_or_twice(
    world: World, group: str
) -> None:
    served(world, group)
    world.scaling.register(group, SCALED)
    world.scaling.register(group, Autoscaling(min=1, max=5, invocations_per_instance=10.5))
    world.scaling.deregister(group)
    world.scaling.deregister(group)


def test_an_endpoint_that_is_not_there_is_not_scaled(world: World, group: str) -> None:
    with pytest.raises((Invalid, NotFound)):
        world.scaling.register(group, SCALED)
    world.scaling.deregister(group)


def test_an_asynchronous_endpoint_is_scaled_by_its_backlog(world: World, group: str) -> None:
    served(world, group, ASYNCHRONOUS)
    world.scaling.register(group, Autoscaling(min=0, max=2, backlog_per_instance=5))
    world.settle(group)
    world.scaling.register(group, Autoscaling(min=1, max=2, backlog_per_instance=5))
    world.settle(group)
    world.scaling.deregister(group)


# ── alarms ────────────────────────────────────────────────────────────────────────────────────────
def test_an_alarm_that_rings_is_not_quiet(world: World, group: str) -> None:
    world.watch.put(group, BOTH_ALARMS)
    both = world.watch.quiet(group, BOTH_ALARMS)
    assert len(both) == 2
    world.ring(both[0])
    assert world.watch.quiet(group, BOTH_ALARMS) == both[1:]


def test_an_alarm_that_the_policy_no_longer_has_is_deleted(world: World, group: str) -> None:
    world.watch.put(group, BOTH_ALARMS)
    (errors,) = world.watch.quiet(group, ONLY_ERRORS)
    world.ring(errors)
    world.watch.put(group, Alarms(p99_latency_ms=100))
    # One that is made anew knows nothing of what the one before it saw.
    world.watch.put(group, BOTH_ALARMS)
    assert errors in world.watch.quiet(group, BOTH_ALARMS)


def test_alarms_are_deleted_and_deleting_none_is_the_same(world: World, group: str) -> None:
    world.watch.delete(group)
    world.watch.put(group, ONLY_ERRORS)
    (alarm,) = world.watch.quiet(group, ONLY_ERRORS)
    world.ring(alarm)
    world.watch.delete(group)
    world.watch.delete(group)
    world.watch.put(group, ONLY_ERRORS)
    assert world.watch.quiet(group, ONLY_ERRORS) == (alarm,)


# ── the logs of containers ────────────────────────────────────────────────────────────────────────
def lines_of(world: World, group: str, since: datetime, *, of_new: bool) -> str:
    containers = world.container_logs.read(group, since, of_new=of_new)
    return "\n".join(line.text for container in containers for line in container)


def test_an_endpoint_whose_containers_wrote_nothing_has_no_log(world: World, group: str) -> None:
    assert world.container_logs.group_of(group).endswith(f"/{group}")
    assert list(world.container_logs.read(group, datetime.now(UTC), of_new=False)) == []


def test_what_a_container_wrote_that_never_came_up_is_told_from_what_those_before_it_wrote(
    world: World, group: str
) -> None:
    served(world, group)
    version = approved(world, group, script=NEVER_LOADS)
    package = world.registry.describe(group, version)
    assert package is not None
    made(world, group, f"{group}-b", version=version)
    assert lines_of(world, group, package.modified_at, of_new=True) == ""
    world.hosting.update(group, f"{group}-b", Change())
    world.settle(group)
    assert "weights are missing" in lines_of(world, group, package.modified_at, of_new=True)
    assert "weights are missing" in lines_of(world, group, package.modified_at, of_new=False)
    later = datetime.now(UTC) + timedelta(hours=1)
    assert lines_of(world, group, later, of_new=True) == lines_of(world, group, later, of_new=False) == ""


# ── predictions ───────────────────────────────────────────────────────────────────────────────────
def test_an_endpoint_answers_at_once(world: World, group: str) -> None:
    served(world, group)
    assert "setosa" in world.predictions.invoke(group, QUESTION)


def test_what_the_container_says_is_in_the_error(world: World, group: str) -> None:
    served(world, group, script=FAILS_TO_PREDICT)
    with pytest.raises(ModelFailed):
        world.predictions.invoke(group, QUESTION)


def test_an_asynchronous_endpoint_answers_in_the_bucket(world: World, group: str) -> None:
    served(world, group, ASYNCHRONOUS)
    world.bucket.write(NewObject(f"smoke-tests/{group}/1", QUESTION.body.encode(), QUESTION.content_type))
    answer, failure = world.predictions.ask(group, QUESTION, f"smoke-tests/{group}/1", "smoke-tests/1")
    assert answer.startswith(f"predictions/{group}/smoke-tests/1/")
    world.settle(group)
    found = world.bucket.read(answer, 1000)
    assert found is not None
    assert b"setosa" in found[0]
    assert world.bucket.read(failure, 1000) is None


def test_what_an_asynchronous_endpoint_fails_on_lies_among_its_failures(world: World, group: str) -> None:
    served(world, group, ASYNCHRONOUS, FAILS_TO_PREDICT)
    world.bucket.write(NewObject(f"smoke-tests/{group}/1", QUESTION.body.encode(), QUESTION.content_type))
    answer, failure = world.predictions.ask(group, QUESTION, f"smoke-tests/{group}/1", "smoke-tests/1")
    assert failure.startswith(f"predictions/{group}/failures/")
    world.settle(group)
    assert world.bucket.read(failure, 1000) is not None
    assert world.bucket.read(answer, 1000) is None
