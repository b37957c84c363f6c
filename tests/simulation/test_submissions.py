"""What is uploaded, good and bad: each bad input gets a reason and a report, and no version."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Callable
from typing import Any, Literal

import pytest
import yaml

from tests.simulation.chain import Chain, artifact, manifest


def tar_of(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for info, content in members:
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


GOOD = (entry("code/inference.py"), b"def model_fn(model_dir): ..."), (entry("model.joblib"), b"x")
BAD_ARTIFACTS: dict[str, tuple[Callable[[], bytes], str]] = {
    "no gzip": (lambda: b"this is no gzip", "is not a gzip"),
    "no tar": (lambda: gzip.compress(b"just text"), "tar"),
    "truncated": (lambda: artifact("x")[:-20], ""),
    "flipped bit": (lambda: artifact("x")[:-6] + bytes([artifact("x")[-6] ^ 1]) + artifact("x")[-5:], ""),
    "dot dot": (lambda: tar_of(*GOOD, (entry("../evil.py"), b"")), "../evil.py"),
    "absolute": (lambda: tar_of(*GOOD, (entry("/etc/passwd"), b"")), "/etc/passwd"),
    "device": (lambda: tar_of(*GOOD, (entry("null", tarfile.CHRTYPE), b"")), "null"),
    "escaping link": (lambda: tar_of(*GOOD, (entry("out", tarfile.SYMTYPE, "../../etc"), b"")), "out"),
    "wrapping folder": (
        lambda: tar_of(*((entry(f"model/{info.name}"), content) for info, content in GOOD)),
        "model",
    ),
    "no script": (lambda: tar_of(GOOD[1]), "code/inference.py"),
}
BAD_MANIFESTS: dict[str, tuple[bytes, str]] = {
    "unknown key": (manifest(metrisc={}), "manifest.yaml: metrisc"),
    "wrong type": (manifest(content_types="text/csv"), "manifest.yaml: content_types"),
    "missing metric": (manifest(metrics={"f1": 0.9}), "accuracy is missing, not at least 0.9"),
    "below the threshold": (manifest(0.61), "accuracy is 0.61, not at least 0.9"),
    "alias": (b"a: &x 1\nb: *x\n", "alias or anchor"),
    "one megabyte": (b"#" * 1_000_000, "larger than 64 KB"),
    "unknown framework": (manifest(container={"framework": "sklaern", "version": "1.4-2"}), "sklearn"),
    "unknown version": (manifest(container={"framework": "sklearn", "version": "0.1"}), "container.version"),
    "no smoke test": (manifest(smoke_test={}), "manifest.yaml: smoke_test"),
}


def assert_refused(chain: Chain, submission: str, says: str) -> None:
    """Announced with the reason, reported with the mend, registered not at all, and no retry."""
    (news,) = [each for each in chain.announcements() if each["detail-type"] == "Submission Refused"]
    assert says in " ".join(news["detail"]["reasons"])
    report = chain.report(submission)
    assert report["status"] == "refused"
    assert all(problem["mend"] for problem in report["problems"])
    assert chain.versions() == {}
    assert all(
        each.error is None for each in chain.cloud.invocations if chain.group in json.dumps(each.event)
    )


@pytest.mark.parametrize("case", BAD_ARTIFACTS)
def test_a_bad_artifact_is_refused(chain: Chain, case: str) -> None:
    make, says = BAD_ARTIFACTS[case]
    chain.upload(f"models/{chain.group}/bad/model.tar.gz", make())
    chain.upload(f"models/{chain.group}/bad/manifest.yaml", manifest())
    chain.cloud.settle()
    assert_refused(chain, "bad", says)


@pytest.mark.parametrize("case", BAD_MANIFESTS)
def test_a_bad_manifest_is_refused(chain: Chain, case: str) -> None:
    text, says = BAD_MANIFESTS[case]
    chain.upload(f"models/{chain.group}/bad/model.tar.gz", artifact("x"))
    chain.upload(f"models/{chain.group}/bad/manifest.yaml", text)
    chain.cloud.settle()
    assert_refused(chain, "bad", says)


@pytest.mark.parametrize("name", ["my run", "run+1", "run%201", "größe", "2026/03"])
def test_a_submission_name_that_cannot_be_used_is_refused(chain: Chain, name: str) -> None:
    chain.upload(f"models/{chain.group}/{name}/model.tar.gz", artifact("x"))
    chain.upload(f"models/{chain.group}/{name}/manifest.yaml", manifest())
    chain.cloud.settle()
    assert_refused(chain, name, "upload under another name")


@pytest.mark.parametrize("group", ["my group", "gruppe-ß", "a_b", "50%", "x" * 64])
def test_a_group_name_that_sagemaker_would_not_take_is_refused(chain: Chain, group: str) -> None:
    chain.upload(f"models/{group}/run/model.tar.gz", artifact("x"))
    chain.upload(f"models/{group}/run/manifest.yaml", manifest())
    chain.cloud.settle()
    refused = [each for each in chain.cloud.events_seen if each["source"] == "modelgate"]
    assert refused[-1]["detail-type"] == "Submission Refused"
    assert refused[-1]["detail"]["group"] == group
    assert f"the group '{group}' is no name that SageMaker takes" in refused[-1]["detail"]["message"]
    report = chain.cloud.client("s3").get_object(
        Bucket=chain.cloud.outputs["Bucket"], Key=f"reports/{group}/run/report.json"
    )
    assert json.load(report["Body"])["status"] == "refused"


def test_a_policy_with_a_negative_threshold_refuses_with_the_mend(chain: Chain) -> None:
    policy = b"gate: {metrics: [{name: accuracy, goal: maximize, at_least: -1}]}"
    chain.upload(f"policies/{chain.group}.yaml", policy)
    submission = chain.submit("x")
    chain.cloud.settle()
    assert_refused(chain, submission, "a negative threshold; write 0 or more")


def test_a_group_without_a_policy_is_told_where_to_put_one(chain: Chain) -> None:
    chain.cloud.client("s3").delete_object(
        Bucket=chain.cloud.outputs["Bucket"], Key=f"policies/{chain.group}.yaml"
    )
    submission = chain.submit("x")
    chain.cloud.settle()
    assert_refused(chain, submission, "policies/default.yaml")


def test_an_artifact_without_a_manifest_waits_says_so_and_goes_on_when_it_comes(chain: Chain) -> None:
    chain.upload(f"models/{chain.group}/run/model.tar.gz", artifact("x"))
    chain.cloud.settle()
    (news,) = chain.announcements()
    assert news["detail-type"] == "Submission Waiting"
    assert news["detail"]["missing"] == ["manifest.yaml"]
    chain.upload(f"models/{chain.group}/run/manifest.yaml", manifest())
    chain.cloud.settle()
    assert chain.versions() == {1: "PendingManualApproval"}


@pytest.mark.parametrize("order", [0, 1, 2])
def test_the_parts_of_a_submission_may_come_in_any_order(chain: Chain, order: int) -> None:
    parts = [
        ("model.tar.gz", artifact("x")),
        ("manifest.yaml", manifest(metrics=None, metrics_file="evaluation.json")),
        ("evaluation.json", b'{"accuracy": 0.97}'),
    ]
    text = manifest()
    assert text
    for name, body in parts[order:] + parts[:order]:
        chain.upload(
            f"models/{chain.group}/run/{name}", _without_nulls(body) if name.endswith("yaml") else body
        )
        chain.cloud.settle()
    assert chain.versions() == {1: "PendingManualApproval"}
    assert chain.package(1)["CustomerMetadataProperties"]["metric.accuracy"] == "0.97"


def _without_nulls(body: bytes) -> bytes:
    return yaml.safe_dump(
        {key: value for key, value in yaml.safe_load(body).items() if value is not None}
    ).encode()


def test_what_is_registered_says_all_that_a_deployment_needs(chain: Chain) -> None:
    chain.register("first")
    package: Any = chain.package(1)
    (container,) = package["InferenceSpecification"]["Containers"]
    assert container["Image"].endswith("/sagemaker-scikit-learn:1.4-2-py312-cpu-py3")
    assert container["Environment"] == {
        "SAGEMAKER_PROGRAM": "inference.py",
        "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
    }
    assert f"/registered/{chain.group}/" in container["ModelDataUrl"]
    assert package["InferenceSpecification"]["SupportedRealtimeInferenceInstanceTypes"] == ["ml.m5.large"]
    assert package["InferenceSpecification"]["SupportedTransformInstanceTypes"] == ["ml.m5.large"]
    assert package["SourceUri"].endswith(f"/models/{chain.group}/run-1/")
    assert package["ModelApprovalStatus"] == "PendingManualApproval"
    assert package["CustomerMetadataProperties"]["modelgate.submission"] == "run-1"
    assert chain.report("run-1")["version"] == 1


def test_a_corrected_manifest_registers_what_was_refused(chain: Chain) -> None:
    submission = chain.submit("x", manifest=manifest(0.5))
    chain.cloud.settle()
    assert chain.versions() == {}
    chain.upload(f"models/{chain.group}/{submission}/manifest.yaml", manifest(0.95))
    chain.cloud.settle()
    assert chain.versions() == {1: "PendingManualApproval"}


def test_a_second_upload_of_what_is_registered_is_refused_and_makes_no_second_version(chain: Chain) -> None:
    chain.register("first")
    chain.upload(f"models/{chain.group}/run-1/manifest.yaml", manifest(0.99))
    chain.cloud.settle()
    assert chain.versions() == {1: "PendingManualApproval"}
    assert chain.news()[-1] == "Submission Refused"
    assert "under another name" in chain.announcements()[-1]["detail"]["message"]
    assert chain.report("run-1")["status"] == "registered"


def test_the_champion_is_compared_with_by_a_metric_that_its_package_had_no_room_for(chain: Chain) -> None:
    def submit(name: str, last: float) -> None:
        figures = {f"metric_{number:02d}": 0.5 for number in range(40)} | {"last": last}
        for file, body in (
            ("model.tar.gz", artifact(name)),
            ("evaluation.json", json.dumps(figures).encode()),
            ("manifest.yaml", manifest(metrics=None, metrics_file="evaluation.json")),
        ):
            chain.upload(f"models/{chain.group}/{name}/{file}", body)
        chain.cloud.settle()

    chain.govern("gate: {}")
    submit("champion", 0.9)
    assert "metric.last" not in chain.package(1)["CustomerMetadataProperties"]
    chain.approve(1)
    chain.cloud.settle()
    chain.govern("gate: {metrics: [{name: last, goal: maximize, champion_tolerance: 0}]}")
    submit("worse", 0.8)
    assert chain.versions() == {1: "Approved"}
    assert "last is 0.8, not at least 0.9" in chain.announcements()[-1]["detail"]["reasons"][0]


def test_a_version_may_not_be_worse_than_the_champion_by_more_than_the_tolerance(chain: Chain) -> None:
    chain.upload(
        f"policies/{chain.group}.yaml",
        b"gate: {metrics: [{name: accuracy, goal: maximize, champion_tolerance: 0.01}]}",
    )
    chain.deploy("champion")
    submission = chain.submit("worse", manifest=manifest(0.93))
    chain.cloud.settle()
    assert chain.versions() == {1: "Approved"}
    assert chain.report(submission)["champion"]["version"] == 1
    assert "accuracy is 0.93, not at least 0.94" in chain.announcements()[-1]["detail"]["reasons"][0]


@pytest.mark.parametrize(
    "operation", ["s3:GetObject", "dynamodb:PutItem", "sagemaker:CreateModelPackage", "events:PutEvents"]
)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_handler_that_dies_at_a_call_registers_once(
    chain: Chain, operation: str, when: Literal["before", "after"]
) -> None:
    chain.upload(f"models/{chain.group}/run/manifest.yaml", manifest())
    chain.cloud.settle()
    chain.cloud.faults.die(operation, function="ModelUploaded", when=when)
    chain.upload(f"models/{chain.group}/run/model.tar.gz", artifact("x"))
    chain.cloud.settle()
    assert chain.versions() == {1: "PendingManualApproval"}
    assert chain.news() == ["Submission Waiting", "Model Registered"]
