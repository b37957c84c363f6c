"""What becomes of uploads: the real use case on an in-memory AWS."""

from __future__ import annotations

import itertools
import json

import pytest

from modelgate.errors import NotYet, Throttled, TimedOut
from tests.fakes.aws import Crash
from tests.fakes.registration import TIME_LIMIT, Registration
from tests.simulation.chain import artifact, manifest

FILES = ("model.tar.gz", "manifest.yaml", "evaluation.json")


@pytest.fixture
def iris() -> Registration:
    return Registration()


def complete(iris: Registration, submission: str = "run") -> str:
    iris.upload("model.tar.gz", artifact("x"), submission)
    return iris.upload("manifest.yaml", manifest(), submission)


def test_a_complete_submission_is_registered_and_announced_once(iris: Registration) -> None:
    key = complete(iris)
    for _ in range(3):
        iris.receive(key)
    assert (iris.versions, iris.status()) == (1, "registered")
    assert iris.bus.kinds() == ["Model Registered"]
    assert iris.reports() == ["reports/iris/run/metrics.json", "reports/iris/run/report.json"]


@pytest.mark.parametrize("order", list(itertools.permutations(FILES)))
def test_files_may_come_in_any_order_and_waiting_names_what_is_missing(
    iris: Registration, order: tuple[str, ...]
) -> None:
    text = manifest().replace(b"metrics:\n  accuracy: 0.95\n", b"metrics_file: evaluation.json\n")
    assert b"metrics_file" in text
    files = {"model.tar.gz": artifact("x"), "manifest.yaml": text, "evaluation.json": b'{"accuracy": 0.9}'}
    for number, file in enumerate(order, start=1):
        iris.receive(iris.upload(file, files[file]))
        assert iris.status() == ("registered" if number == 3 else "waiting")
    assert iris.versions == 1
    assert iris.sagemaker.registrations[0].metadata["metric.accuracy"] == "0.9"
    missing = iris.bus.announced[-2].facts["missing"]
    assert isinstance(missing, list)
    assert order[2] in missing


def test_a_wrong_manifest_is_refused_before_the_artifact_is_there(iris: Registration) -> None:
    iris.receive(iris.upload("manifest.yaml", b"container: 3"))
    assert iris.status() == "refused"
    assert iris.calls.made.count("HeadObject") == 1


def test_every_problem_of_manifest_container_and_artifact_is_named(iris: Registration) -> None:
    iris.upload("model.tar.gz", b"no gzip")
    iris.receive(iris.upload("manifest.yaml", manifest(container={"framework": "sklearn", "version": "0.1"})))
    found = iris.bucket.read("reports/iris/run/report.json", 100_000)
    assert found is not None
    wheres = [problem["where"] for problem in json.loads(found[0])["problems"]]
    assert wheres == ["manifest.yaml: container.version", "model.tar.gz"]


def test_two_invocations_at_once_make_one_version(iris: Registration) -> None:
    key = complete(iris)
    iris.calls.fail("CreateModelPackage", Crash())
    with pytest.raises(Crash):
        iris.receive(key, "first")
    assert iris.receive(key, "second").status == "another invocation is at it"
    assert iris.versions == 0
    iris.receive(key, "first")
    assert iris.versions == 1


def test_a_claim_whose_owner_must_be_gone_is_taken_over_and_its_version_is_found(iris: Registration) -> None:
    key = complete(iris)
    iris.calls.fail("CreateModelPackage", Crash(), after=True)
    with pytest.raises(Crash):
        iris.receive(key, "first")
    iris.clock.forward(TIME_LIMIT)
    assert iris.receive(key, "second").version == 1
    assert iris.calls.made.count("CreateModelPackage") == 1


def test_a_new_upload_during_a_registration_waits_for_it(iris: Registration) -> None:
    key = complete(iris)
    iris.calls.fail("CreateModelPackage", Crash())
    with pytest.raises(Crash):
        iris.receive(key, "first")
    complete(iris)
    with pytest.raises(NotYet, match="uploaded anew"):
        iris.receive(key, "second")


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    "fault",
    [Crash(), Throttled("any", "Throttling", "slow"), TimedOut("any", "Timeout", "no answer")],
    ids=["crash", "throttle", "time-out"],
)
def test_a_fault_at_any_call_registers_once_in_the_end(fault: BaseException, after: bool) -> None:
    smooth = Registration()
    smooth.receive_as_lambda_does(smooth.upload("model.tar.gz", artifact("x")))
    smooth.receive_as_lambda_does(smooth.upload("manifest.yaml", manifest()))
    for nth in range(1, len(smooth.calls.made) + 1):
        iris = Registration()
        iris.calls.fail(nth, fault, after=after)
        iris.receive_as_lambda_does(iris.upload("model.tar.gz", artifact("x")))
        iris.receive_as_lambda_does(iris.upload("manifest.yaml", manifest()))
        where = f"call {nth}, {smooth.calls.made[nth - 1]}"
        assert (iris.versions, iris.status()) == (1, "registered"), where
        assert iris.sagemaker.package("iris", 1).approval == "PendingManualApproval", where
        assert {each.id for each in iris.bus.announced} == {each.id for each in smooth.bus.announced}, where


def test_a_throttled_bus_leaves_the_announcement_owed_and_the_next_event_pays_it(iris: Registration) -> None:
    key = complete(iris)
    iris.calls.fail("PutEvents", Throttled("PutEvents", "InternalFailure", "try again"))
    with pytest.raises(Throttled):
        iris.receive(key)
    assert iris.bus.announced == []
    iris.receive(key)
    assert iris.bus.kinds() == ["Model Registered"]


def test_metrics_and_metadata_are_written_on_the_package(iris: Registration) -> None:
    iris.upload("model.tar.gz", artifact("x"))
    iris.receive(iris.upload("manifest.yaml", manifest(metadata={"git_commit": "4be1f0c"})))
    (registered,) = iris.sagemaker.registrations
    assert registered.metadata["git_commit"] == "4be1f0c"
    assert registered.metadata["metric.accuracy"] == "0.95"
    assert registered.metadata["modelgate.manifest_version"] == "v1"
    assert len(registered.token) <= 36
