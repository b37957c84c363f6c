"""What was judged is what is served, whatever becomes of the upload; and what a version may be made of."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.simulation.chain import ANSWERS_WRONGLY, SCRIPT, Chain, artifact, manifest, policy

REJECTS = policy().replace("gate:", "gate:\n  when_refused: register")
# Gives on what it was given, with its own name before it.
NAMES_ITSELF = SCRIPT.replace('f"{model} says setosa to {data}"', 'f"{model}({data})"')


def key_of(url: str) -> str:
    return url.removeprefix("s3://").partition("/")[2]


def delete_upload(chain: Chain, submission: str) -> None:
    s3, bucket = chain.cloud.client("s3"), chain.cloud.outputs["Bucket"]
    prefix = f"models/{chain.group}/{submission}/"
    for version in s3.list_object_versions(Bucket=bucket, Prefix=prefix)["Versions"]:
        s3.delete_object(Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"])


def test_overwriting_and_deleting_an_upload_changes_nothing_that_is_registered(chain: Chain) -> None:
    version = chain.register("first")
    chain.upload(f"models/{chain.group}/run-1/model.tar.gz", artifact("other", ANSWERS_WRONGLY))
    chain.cloud.settle()
    delete_upload(chain, "run-1")
    chain.approve(version)
    chain.cloud.settle()
    assert chain.ask() == "first says setosa to 5.1,3.5"
    assert chain.outcomes() == [(version, "live")]


def test_nobody_else_writes_or_deletes_what_is_registered(chain: Chain) -> None:
    version = chain.register("first")
    (container,) = chain.package(version)["InferenceSpecification"]["Containers"]
    s3, there = chain.cloud.client("s3"), {"Bucket": chain.cloud.outputs["Bucket"]}
    found = {**there, "Key": key_of(container["ModelDataUrl"])}
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.put_object(**found, Body=b"another model")
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.delete_object(**found)
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.delete_object(**found, VersionId=s3.head_object(**found)["VersionId"])
    assert s3.head_object(**found)["ETag"].strip('"') == container["ModelDataETag"]


def test_an_inference_pipeline_is_registered_approved_and_serves(chain: Chain) -> None:
    containers = [
        {"framework": "sklearn", "version": "1.4-2", "artifact": "first.tar.gz"},
        {"framework": "sklearn", "version": "1.2-1", "artifact": "second.tar.gz"},
    ]
    for name in ("first", "second"):
        chain.upload(f"models/{chain.group}/run/{name}.tar.gz", artifact(name, NAMES_ITSELF))
    text = manifest(container=None, containers=containers, smoke_test=_expecting("second(first(5.1,3.5))"))
    chain.upload(f"models/{chain.group}/run/manifest.yaml", text)
    chain.cloud.settle()
    chain.approve(1)
    chain.cloud.settle()
    assert chain.ask("7") == "second(first(7))"
    assert chain.outcomes() == [(1, "live")]


def test_an_uncompressed_model_is_registered_approved_and_serves(chain: Chain) -> None:
    for name, body in (("code/inference.py", SCRIPT), ("name.txt", "folder")):
        chain.upload(f"models/{chain.group}/run/model/{name}", body.encode())
    chain.cloud.settle()
    assert chain.news() == []
    container = {"framework": "sklearn", "version": "1.4-2", "artifact": "model/"}
    chain.upload(f"models/{chain.group}/run/manifest.yaml", manifest(container=container))
    chain.cloud.settle()
    chain.approve(1)
    chain.cloud.settle()
    assert chain.ask() == "folder says setosa to 5.1,3.5"


def test_a_model_of_a_hub_is_registered_without_an_artifact(chain: Chain) -> None:
    chain.govern(policy(instances={"type": "ml.g5.xlarge"}))
    hub = {"framework": "huggingface-llm", "version": "3.0.1", "environment": {"HF_MODEL_ID": "org/model"}}
    chain.upload(f"models/{chain.group}/run/manifest.yaml", manifest(container=hub))
    chain.cloud.settle()
    (container,) = chain.package(1)["InferenceSpecification"]["Containers"]
    assert container["Environment"]["HF_MODEL_ID"] == "org/model"
    assert not {"ModelDataUrl", "ModelDataSource"} & container.keys()


def test_an_image_of_ones_own_is_registered_by_the_digest_that_its_tag_has_now(chain: Chain) -> None:
    ecr = chain.cloud.client("ecr")
    ecr.create_repository(repositoryName=chain.group)
    kind = "application/vnd.oci.image.manifest.v1+json"
    pushed = ecr.put_image(
        repositoryName=chain.group,
        imageManifest=json.dumps({"schemaVersion": 2, "mediaType": kind}),
        imageTag="v1",
    )
    chain.submit("x", manifest=manifest(container={"image": f"{chain.group}:v1"}))
    chain.cloud.settle()
    (container,) = chain.package(1)["InferenceSpecification"]["Containers"]
    assert container["Image"].endswith(f"/{chain.group}@{pushed['image']['imageId']['imageDigest']}")


def test_what_the_gate_refuses_is_registered_as_rejected_where_the_policy_says_so(chain: Chain) -> None:
    chain.govern(REJECTS)
    submission = chain.submit("x", manifest=manifest(0.5))
    chain.cloud.settle()
    assert chain.versions() == {1: "Rejected"}
    assert chain.package(1)["ApprovalDescription"] == "accuracy is 0.5, not at least 0.9"
    assert chain.report(submission)["status"] == "rejected"
    assert not chain.exists()


def test_the_metrics_of_a_version_are_where_studio_looks(chain: Chain) -> None:
    chain.register("first")
    url = chain.package(1)["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"]
    (group,) = read(chain, url).values()
    assert group["accuracy"]["value"] == 0.95


def test_no_function_can_approve(chain: Chain) -> None:
    version = chain.register("first")
    role = f"arn:aws:iam::123456789012:role/{chain.cloud.function('ModelUploaded').role}"
    client = chain.cloud._started.client_of(role, "sagemaker")
    arn = chain.package(version)["ModelPackageArn"]
    with pytest.raises(ClientError, match="AccessDenied"):
        client.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")
    client.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Rejected")


def read(chain: Chain, url: str) -> Any:
    answer = chain.cloud.client("s3").get_object(Bucket=chain.cloud.outputs["Bucket"], Key=key_of(url))
    return json.load(answer["Body"])


def _expecting(answer: str) -> dict[str, str]:
    return {"content_type": "text/csv", "body": "5.1,3.5", "expect": answer}
