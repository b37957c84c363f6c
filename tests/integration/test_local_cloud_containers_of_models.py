"""What models and model packages are made of: several containers, folders of files, or no data at all."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud import LocalCloud
from tests.fakes.tarballs import tarball
from tests.integration.test_local_cloud_sagemaker import (
    SCRIPT_MODE,
    SKLEARN,
    Hosting,
    package,
    refusal,
)
from tests.integration.test_local_cloud_small_stack import small_stack

TELLS = """
from pathlib import Path

def model_fn(folder):
    files = [path for path in Path(folder).rglob("*") if path.is_file()]
    return " ".join(sorted(path.relative_to(folder).as_posix() for path in files))

def transform_fn(model, body, content_type, accept):
    if "bad" in body and content_type == "text/csv":
        raise ValueError("not this")
    return f"{body} > {content_type} {accept} [{model}]", "text/csv"
"""


def container(**more: Any) -> dict[str, Any]:
    """A container of a package: sklearn in script mode, without data unless some are given."""
    return {"Image": SKLEARN, "Environment": SCRIPT_MODE, **more}


def folder(cloud: LocalCloud, name: str, *files: str, **more: Any) -> dict[str, Any]:
    """Files under a prefix, as a member of a container; the script is one of them."""
    s3, bucket = cloud.client("s3"), cloud.outputs["Inbox"]
    for file in ("code/inference.py", *files):
        s3.put_object(Bucket=bucket, Key=f"{name}/{file}", Body=TELLS.encode())
    return {"ModelDataSource": {"S3DataSource": {**source(f"s3://{bucket}/{name}/"), **more}}}


def source(url: str, kind: str = "S3Prefix", compression: str = "None") -> dict[str, str]:
    """An S3DataSource."""
    return {"S3Uri": url, "S3DataType": kind, "CompressionType": compression}


def let_list(cloud: LocalCloud) -> None:
    """Let the execution role list the bucket."""
    arn = f"arn:aws:s3:::{cloud.outputs['Inbox']}"
    statement = {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": arn}
    cloud.client("iam").put_role_policy(
        RoleName=cloud.outputs["ServingRole"].rpartition("/")[2],
        PolicyName="list",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statement}),
    )


def create_model(cloud: LocalCloud, name: str, *containers: dict[str, Any], **more: Any) -> None:
    """CreateModel with containers, or with one that is primary."""
    of = {"PrimaryContainer": containers[0]} if len(containers) == 1 else {"Containers": list(containers)}
    role = cloud.outputs["ServingRole"]
    cloud.client("sagemaker").create_model(ModelName=name, ExecutionRoleArn=role, **of, **more)


def registered(cloud: LocalCloud, *containers: dict[str, Any], **more: Any) -> str:
    """Make an approved version with these containers; its ARN."""
    specification = {"Containers": list(containers), "SupportedContentTypes": ["text/csv"], **more}
    return package(cloud, InferenceSpecification=specification, ModelApprovalStatus="Approved")


# ── serving ───────────────────────────────────────────────────────────────────────────────────────


def test_a_package_with_several_containers_serves_as_an_inference_pipeline(tmp_path: Path) -> None:
    with small_stack(tmp_path) as cloud:
        let_list(cloud)
        hosting = Hosting(cloud)
        packed = hosting.put("packed", tarball({"a": b"", "code/inference.py": TELLS.encode()}))
        first = container(ModelDataUrl=packed)
        first["Environment"] = {**SCRIPT_MODE, "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": "text/x-first"}
        second = container(**folder(cloud, "folder", "weights/part-1"))
        create_model(cloud, "m", {"ModelPackageName": registered(cloud, first, second)})
        hosting.endpoint("iris", hosting.config("c", "m"))

        told = hosting.client.describe_endpoint(EndpointName="iris")
        assert told["EndpointStatus"] == "InService"
        # The caller's Accept is for the last answer; each Content-Type is the answer's before it.
        assert hosting.invoke("iris", "[1, 2]", "application/json", "text/x-last") == (
            "[1, 2] > application/json text/x-first [a code/inference.py]"
            " > text/csv text/x-last [code/inference.py weights/part-1]"
        )
        with pytest.raises(ClientError) as failed:
            hosting.invoke("iris", "bad", "application/json")
        assert refusal(failed)[1].startswith(
            'Received server error (500) from container-2 with message "not this"'
        )

        logs = cloud.client("logs").describe_log_streams(logGroupName="/aws/sagemaker/Endpoints/iris")
        streams = sorted(stream["logStreamName"] for stream in logs["logStreams"])
        instance = streams[0].removesuffix("/container-1")
        assert instance.startswith("AllTraffic/i-")
        assert streams == [f"{instance}/container-1", f"{instance}/container-2"]


def test_a_pipeline_fails_with_the_names_of_all_that_did_not_come_to_serve(tmp_path: Path) -> None:
    with small_stack(tmp_path) as cloud:
        hosting = Hosting(cloud)
        broken = hosting.put("broken", tarball({"code/inference.py": b"raise SystemExit(1)"}))
        scale = container(ModelDataUrl=broken, ContainerHostname="scale")
        without_data = container(ContainerHostname="predict")
        create_model(cloud, "m", scale, without_data)
        hosting.endpoint("iris", hosting.config("c", "m"))

        told = hosting.client.describe_endpoint(EndpointName="iris")
        assert told["EndpointStatus"] == "Failed"
        assert told["FailureReason"].startswith(
            "The scale, predict for production variant AllTraffic did not pass the ping health check."
        )
        # Who has no data starts all the same, with a folder that is empty.
        logs = cloud.client("logs").filter_log_events(logGroupName="/aws/sagemaker/Endpoints/iris")["events"]
        lines = [event["message"] for event in logs if event["logStreamName"].endswith("/predict")]
        assert any("There is no script inference.py" in line for line in lines)


def test_keys_that_cannot_be_files_fail_the_deployment(tmp_path: Path) -> None:
    reasons = {
        ("weights/",): "'weights/' of s3://.* cannot be a file: '' is no name of one",
        ("../up",): "cannot be a file: '..' is no name of one",
        ("weights", "weights/part-1"): "Failed to lay down the model data at s3://",
    }
    with small_stack(tmp_path) as cloud:
        let_list(cloud)
        hosting = Hosting(cloud)
        for number, (files, reason) in enumerate(reasons.items()):
            name = f"m-{number}"
            create_model(cloud, name, container(**folder(cloud, name, *files)))
            hosting.endpoint(name, hosting.config(name, name))
            told = hosting.client.describe_endpoint(EndpointName=name)
            assert told["EndpointStatus"] == "Failed"
            assert re.search(reason, told["FailureReason"])


# ── models ────────────────────────────────────────────────────────────────────────────────────────


def test_a_model_of_a_folder_needs_a_role_that_may_list_it_and_read_it(tmp_path: Path) -> None:
    with small_stack(tmp_path) as cloud:
        data = folder(cloud, "folder")
        with pytest.raises(ClientError, match=r"Could not access model data at s3://.*/folder/"):
            create_model(cloud, "m", container(**data))
        let_list(cloud)
        create_model(cloud, "m", container(**data))
        empty = source(f"s3://{cloud.outputs['Inbox']}/nothing/")
        with pytest.raises(ClientError, match=r"Could not access model data at s3://.*/nothing/"):
            create_model(cloud, "other", container(ModelDataSource={"S3DataSource": empty}))
        role = cloud.outputs["ServingRole"].rpartition("/")[2]
        cloud.client("iam").delete_role_policy(RoleName=role, PolicyName="serve")
        with pytest.raises(ClientError, match=r"Could not access model data at s3://.*/folder/"):
            create_model(cloud, "other", container(**data))


def test_a_serverless_config_takes_neither_folders_nor_pipelines(tmp_path: Path) -> None:
    serverless: dict[str, Any] = {"MemorySizeInMB": 2048, "MaxConcurrency": 5}

    def config(cloud: LocalCloud, model: str) -> None:
        variant = {"VariantName": "v", "ModelName": model, "ServerlessConfig": serverless}
        cloud.client("sagemaker").create_endpoint_config(EndpointConfigName="c", ProductionVariants=[variant])

    with small_stack(tmp_path) as cloud:
        let_list(cloud)
        create_model(
            cloud, "folder", {"ModelPackageName": registered(cloud, container(**folder(cloud, "f")))}
        )
        create_model(cloud, "pipeline", {"ModelPackageName": registered(cloud, container(), container())})
        with pytest.raises(ClientError, match=r"ModelDataSource .* is not supported for serverless"):
            config(cloud, "folder")
        with pytest.raises(ClientError, match=r"inference pipeline, which is not supported for serverless"):
            config(cloud, "pipeline")


def test_containers_of_a_pipeline_are_named_all_or_none_and_each_by_its_own_name(tmp_path: Path) -> None:
    with small_stack(tmp_path) as cloud:
        with pytest.raises(ClientError, match="for every container of a pipeline, or for none"):
            create_model(cloud, "m", container(ContainerHostname="a"), container())
        with pytest.raises(ClientError, match="must be unique"):
            create_model(cloud, "m", container(ContainerHostname="a"), container(ContainerHostname="a"))
        arn = registered(cloud, container(), container())
        with pytest.raises(ClientError, match="more than one container"):
            create_model(cloud, "m", {"ModelPackageName": arn, "Environment": {"A": "1"}})


def test_what_is_not_simulated_of_a_model_is_refused_and_not_ignored(tmp_path: Path) -> None:
    with small_stack(tmp_path) as cloud:
        direct = {"InferenceExecutionConfig": {"Mode": "Direct"}}
        with pytest.raises(ClientError, match="Mode Direct is not simulated"):
            create_model(cloud, "m", container(), container(), **direct)
        with pytest.raises(ClientError, match="Mode MultiModel is not simulated"):
            create_model(cloud, "m", container(Mode="MultiModel"))
        manifest = folder(cloud, "folder", ManifestS3Uri="s3://bucket/manifest")
        with pytest.raises(ClientError, match="ManifestS3Uri is not simulated"):
            create_model(cloud, "m", container(**manifest))


# ── packages ──────────────────────────────────────────────────────────────────────────────────────


def test_a_package_tells_all_that_it_was_made_with(tmp_path: Path) -> None:
    given: dict[str, Any] = {
        "ModelPackageDescription": "Two steps",
        "InferenceSpecification": {
            "Containers": [
                container(ModelDataUrl="s3://b/model.tar.gz", Framework="SKLEARN", ModelDataETag="e"),
                container(ModelDataSource={"S3DataSource": source("s3://b/folder/")}),
            ],
            "SupportedContentTypes": ["text/csv"],
            "SupportedResponseMIMETypes": ["text/csv"],
            "SupportedRealtimeInferenceInstanceTypes": ["ml.m5.large"],
            "SupportedTransformInstanceTypes": ["ml.m5.xlarge"],
        },
        "ModelMetrics": {
            "ModelQuality": {
                "Statistics": {"ContentType": "application/json", "S3Uri": "s3://b/statistics.json"},
                "Constraints": {"ContentType": "application/json", "S3Uri": "s3://b/constraints.json"},
            }
        },
        "MetadataProperties": {
            "CommitId": "4be1f0c",
            "Repository": "r",
            "GeneratedBy": "g",
            "ProjectId": "p",
        },
        "SourceUri": "s3://b/models/iris/1/",
        "CustomerMetadataProperties": {f"key-{number}": "value" for number in range(50)},
        "ModelApprovalStatus": "Rejected",
    }
    with small_stack(tmp_path) as cloud:
        arn = package(cloud, **given)
        told = cloud.client("sagemaker").describe_model_package(ModelPackageName=arn)
        assert {name: told[name] for name in given} == given
        (event,) = cloud.events_seen
        assert event["detail-type"] == "SageMaker Model Package State Change"
        assert event["detail"]["ModelApprovalStatus"] == "Rejected"
        assert event["detail"]["InferenceSpecification"] == given["InferenceSpecification"]


def test_a_package_is_refused_for_its_containers(tmp_path: Path) -> None:
    folder_without_slash = {"S3DataSource": source("s3://b/folder")}
    packed_folder = {"S3DataSource": source("s3://b/folder/", compression="Gzip")}
    data_source = {"S3DataSource": source("s3://b/folder/")}
    complaints: list[tuple[list[dict[str, Any]], str]] = [
        ([container(ModelDataSource=folder_without_slash)], "must end with a slash"),
        ([container(ModelDataSource=packed_folder)], "needs CompressionType None"),
        ([container(ModelDataUrl="s3://b/m", ModelDataSource=data_source)], "cannot both be given"),
        ([container(Environment={f"KEY_{number}": "" for number in range(17)})], "at most 16 entries"),
        ([container()] * 16, "Member must have length less than or equal to 15"),
    ]
    with small_stack(tmp_path) as cloud:
        for containers, complaint in complaints:
            with pytest.raises(ClientError, match=complaint) as refused:
                registered(cloud, *containers)
            assert refusal(refused)[0] == "ValidationException"
        with pytest.raises(ClientError, match="less than or equal to 50"):
            package(cloud, CustomerMetadataProperties={f"key-{number}": "value" for number in range(51)})
        # No number is lost on what is refused.
        assert registered(cloud, container()).endswith("/1")
