"""What becomes of uploads: the real use case on an in-memory AWS."""

from __future__ import annotations

import hashlib
import itertools
import json
import random
import re

import pytest

from modelgate.announcements import Kind
from modelgate.builds.findings import Scan
from modelgate.errors import Invalid, NotYet, Throttled, TimedOut
from modelgate.manifest import SmokeTest
from tests.fakes.aws import Crash
from tests.fakes.registration import TIME_LIMIT, Registration
from tests.fakes.tarballs import tarball
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
    assert iris.reports() == ["reports/iris/run/report.html", "reports/iris/run/report.json"]


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


def upload_pipeline_of_a_tarball_and_a_folder(iris: Registration) -> str:
    gate = b"{metrics: [{name: accuracy, goal: maximize, at_least: 0.99}], when_refused: register}"
    iris.bucket.put("policies/iris.yaml", b"gate: " + gate)
    containers = [
        {"framework": "sklearn", "version": "1.4-2", "artifact": "clean.tar.gz"},
        {"framework": "sklearn", "version": "1.2-1", "artifact": "model/"},
    ]
    iris.upload("clean.tar.gz", artifact("clean"))
    for name in ("code/inference.py", "model.joblib"):
        iris.upload(f"model/{name}", b"def model_fn(model_dir):\n    return 1\n")
    return iris.upload("manifest.yaml", manifest(container=None, containers=containers))


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_crash_at_any_call_of_a_pipeline_that_is_rejected_makes_one_version(after: bool) -> None:
    smooth = Registration()
    smooth.receive_as_lambda_does(upload_pipeline_of_a_tarball_and_a_folder(smooth))
    for nth in range(1, len(smooth.calls.made) + 1):
        iris = Registration()
        key = upload_pipeline_of_a_tarball_and_a_folder(iris)
        iris.calls.fail(nth, Crash(), after=after)
        iris.receive_as_lambda_does(key)
        where = f"call {nth}, {smooth.calls.made[nth - 1]}"
        assert (iris.versions, iris.status()) == (1, "rejected"), where
        package = iris.sagemaker.package("iris", 1)
        assert (package.approval, package.description) == (
            "Rejected",
            "accuracy is 0.95, not at least 0.99",
        ), where
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


# ── what was judged is what is served ─────────────────────────────────────────────────────────────
def test_a_version_points_at_copies_of_what_was_read_and_not_at_the_upload(iris: Registration) -> None:
    body, text = artifact("x"), manifest()
    iris.upload("model.tar.gz", body)
    iris.receive(iris.upload("manifest.yaml", text))
    (registered,) = iris.sagemaker.registrations
    (container,) = registered.containers
    digest = hashlib.sha256(body).hexdigest()
    assert container.artifact_url == f"s3://intake/registered/iris/{digest}/model.tar.gz"
    assert iris.at(container.artifact_url) == body
    assert iris.at(f"s3://intake/{registered.metadata['modelgate.manifest']}") == text
    assert json.loads(iris.at(registered.metrics_url))
    assert registered.metadata["modelgate.artifact_version"] == "v1"
    assert registered.metadata["modelgate.artifact_etag"] == container.artifact_etag


def test_what_is_overwritten_while_it_is_judged_is_not_what_is_copied(iris: Registration) -> None:
    first, second = artifact("first"), artifact("second")
    iris.upload("model.tar.gz", first)
    key = iris.upload("manifest.yaml", manifest())
    iris.calls.before("CopyObject", lambda: iris.upload("model.tar.gz", second))
    iris.receive(key)
    (registered,) = iris.sagemaker.registrations
    assert iris.at(str(registered.containers[0].artifact_url)) == first


def test_the_same_content_is_copied_once_for_a_group(iris: Registration) -> None:
    for submission in ("one", "two"):
        iris.receive(complete(iris, submission))
    assert iris.versions == 2
    assert iris.calls.made.count("CopyObject") == 1


# ── what a version may be made of ─────────────────────────────────────────────────────────────────
def test_a_pipeline_has_a_container_and_a_copy_for_each_of_its_artifacts(iris: Registration) -> None:
    containers = [
        {"framework": "sklearn", "version": "1.4-2", "artifact": "clean.tar.gz"},
        {"framework": "sklearn", "version": "1.2-1"},
    ]
    iris.receive(iris.upload("manifest.yaml", manifest(container=None, containers=containers)))
    assert iris.bus.announced[-1].facts["missing"] == ["clean.tar.gz", "model.tar.gz"]
    iris.receive(iris.upload("clean.tar.gz", artifact("clean")))
    iris.receive(iris.upload("model.tar.gz", artifact("model")))
    (registered,) = iris.sagemaker.registrations
    urls = [str(each.artifact_url) for each in registered.containers]
    assert [url.rpartition("/")[2] for url in urls] == ["clean.tar.gz", "model.tar.gz"]
    assert [iris.at(url) for url in urls] == [artifact("clean"), artifact("model")]


def test_the_problems_of_each_container_of_a_pipeline_are_told(iris: Registration) -> None:
    containers = [
        {"framework": "sklearn", "version": "0.1", "artifact": "clean.tar.gz"},
        {"framework": "sklearn", "version": "1.2-1", "environment": {"SAGEMAKER_SUBMIT_DIRECTORY": "/x"}},
    ]
    iris.upload("clean.tar.gz", b"no gzip")
    iris.upload("model.tar.gz", artifact("model"))
    iris.receive(iris.upload("manifest.yaml", manifest(container=None, containers=containers)))
    assert [problem["where"] for problem in iris.report()["problems"]] == [
        "manifest.yaml: containers.0.version",
        "clean.tar.gz",
        "manifest.yaml: containers.1.environment.SAGEMAKER_SUBMIT_DIRECTORY",
    ]


FOLDER = {"framework": "huggingface-llm", "version": "3.0.1", "artifact": "model/"}
WEIGHTS = (5).to_bytes(8, "little") + b"{}   " + bytes(100)


def upload_folder(iris: Registration) -> None:
    for name, body in (
        ("config.json", b'{"architectures": ["LlamaForCausalLM"]}'),
        ("tokenizer_config.json", b"{}"),
        ("tokenizer.json", b"{}"),
        ("model.safetensors", WEIGHTS),
    ):
        summary = iris.receive(iris.upload(f"model/{name}", body))
        assert summary.status == "a file in a folder: the manifest counts"


def test_a_folder_is_served_as_it_is_once_its_manifest_is_there(iris: Registration) -> None:
    iris.bucket.put("policies/iris.yaml", b"deployment: {instances: {type: ml.g5.xlarge}}")
    upload_folder(iris)
    assert iris.bus.kinds() == []
    iris.receive(iris.upload("manifest.yaml", manifest(container=FOLDER)))
    (registered,) = iris.sagemaker.registrations
    url = str(registered.containers[0].artifact_url)
    assert url.endswith("/model/")
    assert iris.at(f"{url}model.safetensors") == WEIGHTS
    assert registered.containers[0].artifact_etag is None


def test_a_folder_is_not_for_serverless_endpoints(iris: Registration) -> None:
    iris.bucket.put("policies/iris.yaml", b"deployment: {serverless: {memory_mb: 2048, max_concurrency: 1}}")
    upload_folder(iris)
    iris.receive(iris.upload("manifest.yaml", manifest(container=FOLDER)))
    assert iris.status() == "refused"
    assert "takes compressed models only" in iris.report()["problems"][0]["found"]


def test_a_model_of_a_hub_needs_no_artifact(iris: Registration) -> None:
    iris.bucket.put("policies/iris.yaml", b"deployment: {instances: {type: ml.g5.xlarge}}")
    hub = {"framework": "huggingface-llm", "version": "3.0.1", "environment": {"HF_MODEL_ID": "org/model"}}
    iris.receive(iris.upload("manifest.yaml", manifest(container=hub)))
    (registered,) = iris.sagemaker.registrations
    assert registered.containers[0].artifact_url is None
    assert registered.containers[0].environment["HF_MODEL_ID"] == "org/model"


@pytest.mark.parametrize(
    "image",
    ["trees:v3", "123456789012.dkr.ecr.eu-central-1.amazonaws.com/trees:v3", f"trees@sha256:{7:064x}"],
)
def test_an_image_of_ones_own_is_registered_by_its_digest(iris: Registration, image: str) -> None:
    iris.memory.images.push("trees", "v3", digest=f"sha256:{7:064x}")
    iris.upload("model.tar.gz", artifact("x"))
    iris.receive(iris.upload("manifest.yaml", manifest(container={"image": image})))
    (registered,) = iris.sagemaker.registrations
    host = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
    assert registered.containers[0].image == f"{host}/trees@sha256:{7:064x}"
    assert registered.containers[0].framework is None


@pytest.mark.parametrize(
    ("image", "found"),
    [
        ("trees:v4", "there is no image trees:v4 in the account's registry"),
        ("shrubs", "there is no image shrubs in the account's registry"),
        ("123456789012.dkr.ecr.us-east-1.amazonaws.com/trees:v3", "lies in us-east-1"),
        ("Trees:v3", "is 'Trees:v3', which is no name of an image"),
    ],
)
def test_an_image_that_could_not_be_pulled_is_refused(iris: Registration, image: str, found: str) -> None:
    iris.memory.images.push("trees", "v3", digest=f"sha256:{7:064x}")
    iris.upload("model.tar.gz", artifact("x"))
    iris.receive(iris.upload("manifest.yaml", manifest(container={"image": image})))
    assert iris.status() == "refused"
    (problem,) = iris.report()["problems"]
    assert problem["where"] == "manifest.yaml: container.image"
    assert found in problem["found"]


def test_a_name_alone_means_the_image_that_was_built_last(iris: Registration) -> None:
    iris.memory.images.push("trees", "v3")
    iris.memory.clock.forward(60)
    newest = iris.memory.images.push("trees", "sha-of-its-source")
    iris.memory.clock.forward(60)
    iris.memory.images.push("trees")  # a layer that nobody was told of
    iris.upload("model.tar.gz", artifact("x"))
    iris.receive(iris.upload("manifest.yaml", manifest(container={"image": "trees"})))
    assert iris.report()["containers"][0]["image"].endswith(f"/trees@{newest}")


def test_an_image_that_is_not_in_the_registry_is_refused_by_its_digest_too(iris: Registration) -> None:
    iris.memory.images.push("trees", "v3")
    iris.upload("model.tar.gz", artifact("x"))
    iris.receive(iris.upload("manifest.yaml", manifest(container={"image": f"trees@sha256:{9:064x}"})))
    assert "there is no image trees@sha256:" in iris.report()["problems"][0]["found"]


@pytest.mark.parametrize(
    ("scan", "status"),
    [
        (Scan("complete", {"HIGH": 3}), "registered"),
        (Scan("complete", {"CRITICAL": 1}), "refused"),
        (Scan("failed", {}, "UNSUPPORTED_IMAGE"), "refused"),
        (None, "refused"),
    ],
)
def test_the_groups_policy_says_what_a_scan_may_find(
    iris: Registration, scan: Scan | None, status: str
) -> None:
    iris.bucket.put("policies/iris.yaml", b"image: {max_severity: HIGH}")
    digest = iris.memory.images.push("trees", "v3")
    if scan:
        iris.memory.images.scans[digest] = scan
    iris.upload("model.tar.gz", artifact("x"))
    iris.receive(iris.upload("manifest.yaml", manifest(container={"image": "trees:v3"})))
    assert iris.status() == status


def test_a_submission_waits_until_its_image_is_scanned(iris: Registration) -> None:
    iris.bucket.put("policies/iris.yaml", b"image: {max_severity: HIGH}")
    digest = iris.memory.images.push("trees", "v3")
    iris.memory.images.scans[digest] = Scan("pending", {})
    iris.upload("model.tar.gz", artifact("x"))
    key = iris.upload("manifest.yaml", manifest(container={"image": "trees:v3"}))
    with pytest.raises(NotYet, match="still being scanned"):
        iris.receive(key, "one")
    iris.memory.images.scans[digest] = Scan("complete", {})
    iris.receive(key, "one")
    assert iris.status() == "registered"


def test_an_image_outside_of_aws_is_taken_as_it_is_written(iris: Registration) -> None:
    image = "registry.example.com/trees:v3"
    iris.memory.images.push("trees", "v3")
    iris.upload("model.tar.gz", artifact("x"))
    iris.receive(iris.upload("manifest.yaml", manifest(container={"image": image})))
    assert iris.sagemaker.registrations[0].containers[0].image == image


def test_an_explicit_image_of_somebody_else_is_taken_as_it_is_written(iris: Registration) -> None:
    image = "763104351884.dkr.ecr.eu-central-1.amazonaws.com/pytorch-inference:9.9-cpu"
    iris.upload("model.tar.gz", artifact("x"))
    iris.receive(iris.upload("manifest.yaml", manifest(container={"image": image, "framework": "sklearn"})))
    (registered,) = iris.sagemaker.registrations
    assert registered.containers[0].image == image
    assert "SAGEMAKER_PROGRAM" in registered.containers[0].environment


def test_instance_types_are_the_policys_and_the_manifests(iris: Registration) -> None:
    iris.upload("model.tar.gz", artifact("x"))
    iris.receive(iris.upload("manifest.yaml", manifest(instance_types=["ml.c5.large", "ml.m5.large"])))
    assert iris.sagemaker.registrations[0].instance_types == ("ml.m5.large", "ml.c5.large")


def test_instance_types_that_need_another_image_are_refused(iris: Registration) -> None:
    iris.upload("model.tar.gz", artifact("x"))
    iris.receive(
        iris.upload(
            "manifest.yaml",
            manifest(container={"framework": "sklearn", "version": "1.0-1"}, instance_types=["ml.c7g.large"]),
        )
    )
    assert "does not run on ml.c7g.large" in iris.report()["problems"][0]["found"]


def test_an_artifact_that_takes_several_invocations_is_registered_in_the_end(iris: Registration) -> None:
    weights = random.Random(1).randbytes(14_000_000)
    body = tarball({"code/inference.py": b"def model_fn(model_dir):\n    return 1\n", "w": weights})
    iris.upload("model.tar.gz", body)
    key = iris.upload("manifest.yaml", manifest())
    iris.receive(key, seconds=0)
    while iris.status() == "claimed":
        assert iris.bus.announced[-1].kind is Kind.INSPECTION_PAUSED
        iris.go_on(seconds=0)
    assert iris.bus.kinds() == [*["Inspection Paused"] * 3, "Model Registered"]
    assert "model.tar.gz has 0.0 GB" in iris.bus.announced[0].message
    assert iris.at(str(iris.sagemaker.registrations[0].containers[0].artifact_url)) == body
    assert len({each.id for each in iris.bus.announced}) == 4


def test_a_pause_that_is_told_twice_reads_nothing_twice_at_once(iris: Registration) -> None:
    weights = random.Random(1).randbytes(5_000_000)
    iris.upload("model.tar.gz", tarball({"code/inference.py": b"def model_fn(d): 1\n", "w": weights}))
    iris.receive(iris.upload("manifest.yaml", manifest()), seconds=0)
    iris.calls.fail("CreateModelPackage", Crash())
    with pytest.raises(Crash):
        iris.go_on("first")
    assert iris.go_on("second").status == "another invocation is at it"
    iris.go_on("first")
    assert iris.go_on("third").status == "registered"
    assert iris.versions == 1


def test_what_no_invocation_could_copy_is_refused_with_the_way_that_works(iris: Registration) -> None:
    iris.bucket.pretend("models/iris/run/model.tar.gz", artifact("x"), size=300_000_000_000)
    iris.receive(iris.upload("manifest.yaml", manifest()))
    (problem,) = iris.report()["problems"]
    assert problem["found"] == "has 300.0 GB, and 200 GB can be registered"
    assert "artifact: model/" in problem["mend"]


def test_a_pipeline_that_no_number_of_invocations_would_read_is_refused(iris: Registration) -> None:
    containers = [
        {"framework": "sklearn", "version": "1.4-2", "artifact": "clean.tar.gz"},
        {"framework": "sklearn", "version": "1.2-1"},
    ]
    for name, size in (("clean.tar.gz", 40_000_000_000), ("model.tar.gz", 60_000_000_000)):
        iris.bucket.pretend(f"models/iris/run/{name}", artifact("x"), size=size)
    iris.receive(iris.upload("manifest.yaml", manifest(container=None, containers=containers)))
    (problem,) = iris.report()["problems"]
    assert problem["found"] == "name artifacts of 40.0 GB beside the largest, and 30 GB can be registered"


# ── the gate ──────────────────────────────────────────────────────────────────────────────────────
def test_what_the_gate_refuses_is_registered_as_rejected_where_the_policy_says_so(iris: Registration) -> None:
    gate = b"{metrics: [{name: accuracy, goal: maximize, at_least: 0.99}], when_refused: register}"
    iris.bucket.put("policies/iris.yaml", b"gate: " + gate)
    key = complete(iris)
    for _ in range(2):
        iris.receive(key)
    package = iris.sagemaker.package("iris", 1)
    assert (package.approval, package.description) == ("Rejected", "accuracy is 0.95, not at least 0.99")
    assert iris.status() == "rejected"
    assert iris.bus.kinds() == ["Submission Refused"]
    assert iris.bus.announced[0].facts["version"] == 1
    assert iris.report()["status"] == "rejected"


def test_a_crash_before_the_reason_is_written_is_made_good(iris: Registration) -> None:
    gate = b"{metrics: [{name: accuracy, goal: maximize, at_least: 0.99}], when_refused: register}"
    iris.bucket.put("policies/iris.yaml", b"gate: " + gate)
    key = complete(iris)
    iris.calls.fail("UpdateModelPackage", Crash())
    iris.receive_as_lambda_does(key)
    assert iris.versions == 1
    assert "not at least 0.99" in iris.sagemaker.package("iris", 1).description


def test_metadata_that_the_policy_demands_must_be_given(iris: Registration) -> None:
    iris.bucket.put("policies/iris.yaml", b"gate: {metadata: [git_commit]}")
    iris.receive(complete(iris, "without"))
    iris.upload("model.tar.gz", artifact("x"), "with")
    iris.receive(iris.upload("manifest.yaml", manifest(metadata={"git_commit": "4be1f0c"}), "with"))
    assert (iris.status("without"), iris.status("with")) == ("refused", "registered")


def test_the_metrics_that_the_policy_names_come_first_on_the_package(iris: Registration) -> None:
    iris.bucket.put("policies/iris.yaml", b"gate: {metrics: [{name: z, goal: maximize, at_least: 0}]}")
    figures = {f"a{number:02d}": 0.5 for number in range(40)} | {"z": 1.0}
    most = {f"key{number}": "x" for number in range(15)}
    text = manifest(metrics=None, metrics_file="evaluation.json", metadata=most)
    iris.upload("model.tar.gz", artifact("x"))
    iris.upload("evaluation.json", json.dumps(figures).encode())
    iris.receive(iris.upload("manifest.yaml", text))
    metadata = iris.sagemaker.registrations[0].metadata
    assert "metric.z" in metadata
    assert len(metadata) == 50  # which is all that SageMaker takes
    assert iris.sagemaker.package("iris", 1).smoke_test == ""


@pytest.mark.parametrize(("characters", "is_carried"), [(10, True), (400, True), (2000, False)])
def test_a_package_carries_the_smoke_test_of_its_manifest_unless_that_is_long(
    iris: Registration, characters: int, *, is_carried: bool
) -> None:
    test = {"content_type": "text/csv", "body": "ä,\n" * (characters // 4), "expect": "setosa"}
    iris.upload("model.tar.gz", artifact("x"))
    iris.receive(iris.upload("manifest.yaml", manifest(smoke_test=test)))
    carried = iris.sagemaker.package("iris", 1).smoke_test
    assert SmokeTest.of_plain_letters(carried) == (SmokeTest.model_validate(test) if is_carried else None)
    # "CreateModelPackage", CustomerMetadataProperties.
    values = iris.sagemaker.registrations[0].metadata.values()
    assert all(re.fullmatch(r"[\w.:/=+\-@ ]{0,256}", value) for value in values)


def test_what_sagemaker_does_not_take_is_refused_with_its_words(iris: Registration) -> None:
    key = complete(iris)
    operation = "CreateModelPackage"
    iris.calls.fail(operation, Invalid(operation, "ValidationException", "no such type"))
    iris.receive(key)
    assert iris.status() == "refused"
    assert "no such type" in iris.report()["problems"][0]["found"]


def test_the_announcement_of_a_version_has_a_link_to_its_report(iris: Registration) -> None:
    iris.receive(complete(iris))
    (told,) = iris.bus.announced
    link = "https://eu-central-1.console.aws.amazon.com/s3/object/intake?region=eu-central-1&prefix=reports/iris/"
    assert told.facts["page"] == f"{link}run/report.html"
    assert link in told.message


def test_the_beginning_of_a_large_artifact_is_enough_to_refuse_it(iris: Registration) -> None:
    noise = random.Random(1).randbytes(600_000)
    iris.upload(
        "model.tar.gz", tarball({"code/inference.py": b"def model_fn():\n    return 1\n", "w": noise})
    )
    iris.receive(iris.upload("manifest.yaml", manifest()))
    assert iris.calls.made.count("GetObject") == 3  # of the manifest, the policy and the beginning
    assert "model_fn without an argument" in iris.report()["problems"][0]["found"]
