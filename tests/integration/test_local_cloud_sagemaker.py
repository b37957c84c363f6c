"""The SageMaker of the local cloud: the registry, endpoints that really serve, and their events."""

from __future__ import annotations

import io
import json
import os
import pickle
import tarfile
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud import LocalCloud, Pace
from tests.fakes.tarballs import tarball
from tests.integration.test_local_cloud_small_stack import small_stack

SKLEARN = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/sagemaker-scikit-learn:1.4-2-py312-cpu-py3"
XGBOOST = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/sagemaker-xgboost:3.0-5"
SCRIPT = """
import pickle
from pathlib import Path

def model_fn(folder):
    print("the model is loaded")
    return pickle.loads((Path(folder) / "model.pkl").read_bytes())

def predict_fn(data, model):
    if data.shape[-1] != 2:
        raise ValueError("two numbers, please")
    return model.predict(data)
"""
# A model whose container has nothing to import; what is tested is the endpoint.
PLAIN = SCRIPT.replace("model.predict(data)", "(data[..., 0] > model).astype(int)")
SCRIPT_MODE = {"SAGEMAKER_PROGRAM": "inference.py", "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code"}


def classifier() -> bytes:
    """A pickled model that tells whether the first number is above a half."""
    from sklearn.linear_model import LogisticRegression  # takes a second, which few tests need

    points = [[0.0, 0.0], [0.1, 1.0], [0.9, 0.0], [1.0, 1.0]]
    return pickle.dumps(LogisticRegression(C=100).fit(points, [0, 0, 1, 1]))


def sklearn_artifact() -> bytes:
    """An artifact with a model of scikit-learn's."""
    return tarball({"model.pkl": classifier(), "code/inference.py": SCRIPT.encode()})


def plain_artifact(script: str = PLAIN) -> bytes:
    """An artifact of the sklearn container whose model is a number: the threshold."""
    return tarball({"model.pkl": pickle.dumps(0.5), "code/inference.py": script.encode()})


class Hosting:
    """Makes what an endpoint needs, each with one call."""

    def __init__(self, cloud: LocalCloud) -> None:
        self.cloud = cloud
        self.client = cloud.client("sagemaker")

    def put(self, name: str, content: bytes) -> str:
        """Upload an artifact; its URL."""
        bucket = self.cloud.outputs["Inbox"]
        self.cloud.client("s3").put_object(Bucket=bucket, Key=name, Body=content)
        return f"s3://{bucket}/{name}"

    def model(
        self, name: str, content: bytes, image: str = SKLEARN, environment: dict[str, str] | None = None
    ) -> str:
        """Make a model; its name."""
        container = {
            "Image": image,
            "ModelDataUrl": self.put(f"artifacts/{name}", content),
            "Environment": SCRIPT_MODE if environment is None else environment,
        }
        self.client.create_model(
            ModelName=name, PrimaryContainer=container, ExecutionRoleArn=self.cloud.outputs["ServingRole"]
        )
        return name

    def config(self, name: str, model: str, **more: Any) -> str:
        """Make an endpoint config; its name."""
        variant = {
            "VariantName": "AllTraffic",
            "ModelName": model,
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": 1,
            **more,
        }
        self.client.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
        return name

    def endpoint(self, name: str, config: str) -> None:
        """Make an endpoint, and wait until it has settled."""
        self.client.create_endpoint(EndpointName=name, EndpointConfigName=config)
        self.cloud.settle(60)

    def invoke(self, name: str, body: str, content_type: str = "text/csv", accept: str = "text/csv") -> str:
        """What an endpoint answers."""
        answer = self.cloud.client("sagemaker-runtime").invoke_endpoint(
            EndpointName=name, Body=body, ContentType=content_type, Accept=accept
        )
        return str(answer["Body"].read().decode().strip())

    def statuses(self) -> list[tuple[str, str]]:
        """The endpoint's states as the events told them, each with the config it was told of."""
        return [
            (event["detail"]["EndpointStatus"], event["detail"]["EndpointConfigName"])
            for event in self.cloud.events_seen
            if event["detail-type"] == "SageMaker Endpoint State Change"
        ]


def original_status(error: pytest.ExceptionInfo[ClientError]) -> object:
    """What the container answered, as a ModelError tells it."""
    told: dict[str, Any] = {**error.value.response}
    return told["OriginalStatusCode"]


def refusal(error: pytest.ExceptionInfo[ClientError]) -> tuple[str, str]:
    """Code and message of an error."""
    told = error.value.response["Error"]
    return told["Code"], told["Message"]


def package(cloud: LocalCloud, group: str = "iris", **more: Any) -> str:
    """Make a version of a group; its ARN."""
    sagemaker = cloud.client("sagemaker")
    groups = sagemaker.list_model_package_groups()["ModelPackageGroupSummaryList"]
    if group not in {item["ModelPackageGroupName"] for item in groups}:
        sagemaker.create_model_package_group(ModelPackageGroupName=group)
    container = {"Image": SKLEARN, "ModelDataUrl": "s3://nowhere/model.tar.gz", "Environment": SCRIPT_MODE}
    specification = {
        "Containers": [container],
        "SupportedContentTypes": ["text/csv"],
        "SupportedResponseMIMETypes": ["text/csv"],
    }
    answer = sagemaker.create_model_package(
        ModelPackageGroupName=group, **{"InferenceSpecification": specification, **more}
    )
    return str(answer["ModelPackageArn"])


# ── endpoints ─────────────────────────────────────────────────────────────────────────────────────


def test_an_endpoint_comes_up_serves_is_updated_and_goes(tmp_path: Path) -> None:
    with small_stack(tmp_path) as cloud:
        hosting = Hosting(cloud)
        first = hosting.config("c1", hosting.model("m1", sklearn_artifact()))
        cloud.client("sagemaker").create_endpoint(EndpointName="Iris", EndpointConfigName=first)
        creating = hosting.client.describe_endpoint(EndpointName="iris")
        assert creating["EndpointStatus"] == "Creating"
        cloud.settle(60)
        assert hosting.client.describe_endpoint(EndpointName="Iris")["EndpointStatus"] == "InService"
        assert hosting.invoke("Iris", "0.1,0.5\n0.9,0.5") == "0\n1"
        assert json.loads(hosting.invoke("Iris", "[[0.9, 0.2]]", "application/json", "application/json")) == [
            1
        ]

        other = PLAIN.replace("return ", "return 1 - ")
        second = hosting.config("c2", hosting.model("m2", plain_artifact(other)))
        hosting.client.update_endpoint(EndpointName="Iris", EndpointConfigName=second)
        updating = hosting.client.describe_endpoint(EndpointName="Iris")
        assert (updating["EndpointStatus"], updating["EndpointConfigName"]) == ("Updating", "c1")
        assert hosting.invoke("Iris", "0.1,0.5\n0.9,0.5") == "0\n1"
        cloud.settle(60)
        assert hosting.client.describe_endpoint(EndpointName="Iris")["EndpointConfigName"] == "c2"
        assert hosting.invoke("Iris", "0.1,0.5\n0.9,0.5") == "1\n0"

        hosting.client.delete_endpoint(EndpointName="Iris")
        cloud.settle(60)
        with pytest.raises(ClientError) as gone:
            hosting.client.describe_endpoint(EndpointName="Iris")
        assert refusal(gone) == (
            "ValidationException",
            'Could not find endpoint "arn:aws:sagemaker:eu-central-1:123456789012:endpoint/iris".',
        )
        assert hosting.statuses() == [
            ("CREATING", "c1"),
            ("IN_SERVICE", "c1"),
            ("UPDATING", "c1"),
            ("IN_SERVICE", "c2"),
            ("DELETING", "c2"),
        ]


def test_an_update_whose_container_does_not_answer_goes_back_silently(tmp_path: Path) -> None:
    with small_stack(tmp_path) as cloud:
        hosting = Hosting(cloud)
        hosting.endpoint("iris", hosting.config("c1", hosting.model("m1", plain_artifact())))
        broken = hosting.config(
            "c2", hosting.model("m2", plain_artifact("raise SystemExit('no model here')"))
        )
        hosting.client.update_endpoint(EndpointName="iris", EndpointConfigName=broken)
        cloud.settle(60)

        told = hosting.client.describe_endpoint(EndpointName="iris")
        assert (told["EndpointStatus"], told["EndpointConfigName"]) == ("InService", "c1")
        assert "did not pass the ping health check" in told["FailureReason"]
        assert hosting.invoke("iris", "0.1,0.5\n0.9,0.5") == "0\n1"
        assert hosting.statuses()[2:] == [("UPDATING", "c1"), ("IN_SERVICE", "c1")]
        logs = cloud.client("logs").filter_log_events(logGroupName="/aws/sagemaker/Endpoints/iris")["events"]
        assert any("no model here" in event["message"] for event in logs)
        assert all(event["logStreamName"].startswith("AllTraffic/i-") for event in logs)


def test_a_guarded_update_that_fails_shows_that_it_goes_back(tmp_path: Path) -> None:
    with small_stack(tmp_path) as cloud:
        hosting = Hosting(cloud)
        hosting.endpoint("iris", hosting.config("c1", hosting.model("m1", plain_artifact())))
        broken = hosting.config("c2", hosting.model("m2", plain_artifact("raise SystemExit(1)")))
        routing = {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}
        hosting.client.update_endpoint(
            EndpointName="iris",
            EndpointConfigName=broken,
            DeploymentConfig={"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing}},
        )
        cloud.settle(60)
        assert hosting.statuses()[2:] == [("UPDATING", "c1"), ("ROLLING_BACK", "c1"), ("IN_SERVICE", "c1")]


@pytest.mark.parametrize(
    ("image", "environment", "reason"),
    [
        (SKLEARN, {}, "did not pass the ping health check"),
        ("123456789012.dkr.ecr.eu-central-1.amazonaws.com/mine:1", {}, "no stand-in for the image"),
    ],
)
def test_an_endpoint_that_cannot_come_up_fails_with_the_reason(
    tmp_path: Path, image: str, environment: dict[str, str], reason: str
) -> None:
    with small_stack(tmp_path) as cloud:
        hosting = Hosting(cloud)
        model = hosting.model("m", plain_artifact(), image=image, environment=environment)
        hosting.endpoint("iris", hosting.config("c", model))
        told = hosting.client.describe_endpoint(EndpointName="iris")
        assert told["EndpointStatus"] == "Failed"
        assert reason in told["FailureReason"]
        assert hosting.statuses()[-1] == ("FAILED", "c")
        with pytest.raises(ClientError) as refused:
            hosting.invoke("iris", "1,2")
        assert refusal(refused) == ("ValidationError", "Endpoint iris of account 123456789012 not found.")


def test_an_artifact_that_would_leave_its_folder_is_not_unpacked(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, target in (("here", "."), ("up", "here/..")):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, target
            tar.addfile(link)
    with small_stack(tmp_path) as cloud:
        hosting = Hosting(cloud)
        hosting.endpoint("iris", hosting.config("c", hosting.model("m", packed.getvalue())))
        told = hosting.client.describe_endpoint(EndpointName="iris")
        assert told["EndpointStatus"] == "Failed"
        assert "is a link out of the archive" in told["FailureReason"]


def test_what_is_in_progress_can_be_neither_updated_nor_deleted(tmp_path: Path) -> None:
    in_progress = (
        "ValidationException",
        'Cannot update in-progress endpoint "arn:aws:sagemaker:eu-central-1:123456789012:endpoint/iris".',
    )
    with small_stack(tmp_path, pace=Pace(creating=10.0)) as cloud:
        hosting = Hosting(cloud)
        model = hosting.model("m", plain_artifact())
        first, second = hosting.config("c1", model), hosting.config("c2", model)
        hosting.client.create_endpoint(EndpointName="iris", EndpointConfigName=first)
        with pytest.raises(ClientError) as updated:
            hosting.client.update_endpoint(EndpointName="iris", EndpointConfigName=second)
        with pytest.raises(ClientError) as deleted:
            hosting.client.delete_endpoint(EndpointName="iris")
        assert refusal(updated) == in_progress
        assert refusal(deleted) == in_progress


def test_a_config_in_use_may_be_deleted_and_that_breaks_the_next_update(tmp_path: Path) -> None:
    with small_stack(tmp_path) as cloud:
        hosting = Hosting(cloud)
        model = hosting.model("m", plain_artifact())
        first, second = hosting.config("c1", model), hosting.config("c2", model)
        hosting.endpoint("iris", first)
        with pytest.raises(ClientError):
            hosting.client.update_endpoint(EndpointName="iris", EndpointConfigName=first)
        hosting.client.delete_endpoint_config(EndpointConfigName=first)
        with pytest.raises(ClientError) as refused:
            hosting.client.update_endpoint(EndpointName="iris", EndpointConfigName=second)
        assert refusal(refused)[1] == (
            "Could not find endpoint configuration "
            '"arn:aws:sagemaker:eu-central-1:123456789012:endpoint-config/c1".'
        )


def test_an_error_of_the_model_is_a_model_error_with_what_it_said(tmp_path: Path) -> None:
    with small_stack(tmp_path) as cloud:
        hosting = Hosting(cloud)
        hosting.endpoint("iris", hosting.config("c", hosting.model("m", plain_artifact())))
        with pytest.raises(ClientError) as failed:
            hosting.invoke("iris", "1,2,3\n4,5,6")
        response: dict[str, Any] = {**failed.value.response}
        with pytest.raises(ClientError) as unsupported:
            hosting.invoke("iris", "x", content_type="image/png")

    assert refusal(failed)[0] == "ModelError"
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert response["OriginalStatusCode"] == 500
    assert response["OriginalMessage"] == "two numbers, please"
    assert "log-group:/aws/sagemaker/Endpoints/iris" in response["LogStreamArn"]
    assert refusal(failed)[1].startswith('Received server error (500) from primary with message "two numbers')
    assert original_status(unsupported) == 415


def test_a_container_that_does_not_answer_in_time_is_a_model_error(tmp_path: Path) -> None:
    slow = PLAIN.replace("    return (data", "    import time; time.sleep(30)\n    return (data")
    pace = Pace(invocation_limit=0.3, container_stop_grace=0.2)
    with small_stack(tmp_path, pace=pace) as cloud:
        hosting = Hosting(cloud)
        hosting.endpoint("iris", hosting.config("c", hosting.model("m", plain_artifact(slow))))
        with pytest.raises(ClientError) as failed:
            hosting.invoke("iris", "1,2")
    assert refusal(failed)[0] == "ModelError"
    assert "Your invocation timed out while waiting for a response" in refusal(failed)[1]


@pytest.mark.parametrize("written_as", ["pickle", "save_model"])
def test_xgboost_serves_one_file_in_algorithm_mode(tmp_path: Path, written_as: str) -> None:
    import numpy as np
    import xgboost

    points = np.array([[0.0], [0.1], [0.9], [1.0]] * 10)
    data = xgboost.DMatrix(points, label=[0, 0, 1, 1] * 10)
    booster = xgboost.train({"objective": "binary:logistic", "max_depth": 1, "nthread": 1}, data, 20)
    content = pickle.dumps(booster) if written_as == "pickle" else bytes(booster.save_raw("json"))
    with small_stack(tmp_path) as cloud:
        hosting = Hosting(cloud)
        model = hosting.model("m", tarball({"xgboost-model": content}), image=XGBOOST, environment={})
        hosting.endpoint("trees", hosting.config("c", model))
        low, high = (float(value) for value in hosting.invoke("trees", "0.05\n0.95").split(","))
        assert low < 0.5 < high
        assert float(hosting.invoke("trees", "0 0:0.95", content_type="text/libsvm")) == pytest.approx(high)
        with pytest.raises(ClientError) as refused:
            hosting.invoke("trees", "spam", content_type="text/csv")
        assert original_status(refused) == 400


def test_no_container_outlives_the_cloud(tmp_path: Path) -> None:
    tells_itself = PLAIN.replace(
        "return (data[..., 0] > model).astype(int)", "import os; return [os.getpid()]"
    )
    with small_stack(tmp_path) as cloud:
        hosting = Hosting(cloud)
        hosting.endpoint("iris", hosting.config("c", hosting.model("m", plain_artifact(tells_itself))))
        process = int(hosting.invoke("iris", "1,2"))
        os.kill(process, 0)  # it is there
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


# ── what is made twice, or is not there ───────────────────────────────────────────────────────────


def test_a_name_is_taken_whatever_its_case(tmp_path: Path) -> None:
    with small_stack(tmp_path) as cloud:
        hosting = Hosting(cloud)
        hosting.config("Config", hosting.model("Model", plain_artifact()))
        with pytest.raises(ClientError) as again:
            hosting.model("mODEL", plain_artifact())
        assert refusal(again) == (
            "ValidationException",
            'Cannot create already existing model "arn:aws:sagemaker:eu-central-1:123456789012:model/model".',
        )
        with pytest.raises(ClientError, match="Cannot create already existing endpoint configuration"):
            hosting.config("config", "model")
        with pytest.raises(ClientError, match=r'Could not find model "arn:aws:sagemaker:.*:model/nobody"'):
            hosting.config("other", "nobody")


def test_configs_keep_everything_that_they_were_given(tmp_path: Path) -> None:
    capture = {
        "EnableCapture": True,
        "InitialSamplingPercentage": 10,
        "DestinationS3Uri": "s3://somewhere/capture",
        "CaptureOptions": [{"CaptureMode": "Input"}],
    }
    with small_stack(tmp_path) as cloud:
        hosting = Hosting(cloud)
        variant = {
            "VariantName": "AllTraffic",
            "ModelName": hosting.model("m", plain_artifact()),
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": 2,
        }
        arn = hosting.client.create_endpoint_config(
            EndpointConfigName="c",
            ProductionVariants=[variant],
            DataCaptureConfig=capture,
            Tags=[{"Key": "team", "Value": "a"}],
        )["EndpointConfigArn"]
        told = hosting.client.describe_endpoint_config(EndpointConfigName="c")
        assert told["DataCaptureConfig"] == capture
        assert told["ProductionVariants"] == [variant]
        assert hosting.client.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "team", "Value": "a"}]
        hosting.client.delete_tags(ResourceArn=arn, TagKeys=["team"])
        assert hosting.client.list_tags(ResourceArn=arn)["Tags"] == []


def test_an_operation_that_is_not_simulated_says_so(tmp_path: Path) -> None:
    with small_stack(tmp_path) as cloud, pytest.raises(ClientError) as refused:
        cloud.client("sagemaker").list_notebook_instances()
    assert refusal(refused) == (
        "NotImplemented",
        "sagemaker:ListNotebookInstances is not simulated in the local cloud.",
    )


# ── the registry ──────────────────────────────────────────────────────────────────────────────────


def changes(cloud: LocalCloud) -> list[dict[str, Any]]:
    """The details of the package events so far."""
    kind = "SageMaker Model Package State Change"
    return [dict(event["detail"]) for event in cloud.events_seen if event["detail-type"] == kind]


def test_versions_of_a_group_are_numbered_and_wait_for_approval(tmp_path: Path) -> None:
    with small_stack(tmp_path) as cloud:
        first, second = package(cloud), package(cloud)
        told = cloud.client("sagemaker").describe_model_package(ModelPackageName=second)

    assert first.endswith(":model-package/iris/1")
    assert told["ModelPackageVersion"] == 2
    assert told["ModelApprovalStatus"] == "PendingManualApproval"
    assert told["ModelPackageStatus"] == "Completed"
    assert told["CreatedBy"]["IamIdentity"]["Arn"] == "arn:aws:iam::123456789012:root"
    assert told["InferenceSpecification"]["Containers"][0]["Environment"] == SCRIPT_MODE
    assert "LastModifiedTime" not in told


def test_an_update_merges_and_is_announced_with_what_changed(tmp_path: Path) -> None:
    with small_stack(tmp_path) as cloud:
        sagemaker = cloud.client("sagemaker")
        arn = package(
            cloud, CustomerMetadataProperties={"a": "1", "b": "2"}, ModelPackageDescription="a tree"
        )
        sagemaker.update_model_package(
            ModelPackageArn=arn, ModelApprovalStatus="Approved", ApprovalDescription="good"
        )
        approved = sagemaker.describe_model_package(ModelPackageName=arn)
        sagemaker.update_model_package(
            ModelPackageArn=arn,
            CustomerMetadataProperties={"c": "3"},
            CustomerMetadataPropertiesToRemove=["a"],
        )
        told = sagemaker.describe_model_package(ModelPackageName=arn)
        cloud.settle()
        created, first, second = changes(cloud)

    assert told["ModelApprovalStatus"] == "Approved"
    assert told["ApprovalDescription"] == "good"
    assert told["ModelPackageDescription"] == "a tree"
    assert told["CustomerMetadataProperties"] == {"b": "2", "c": "3"}
    assert told["LastModifiedTime"] > approved["LastModifiedTime"] >= told["CreationTime"]
    assert told["CreatedBy"] == told["LastModifiedBy"]
    assert told["LastModifiedBy"]["IamIdentity"]["Arn"] == "arn:aws:iam::123456789012:root"
    assert "UpdatedModelPackageFields" not in created
    assert set(first["UpdatedModelPackageFields"]) == {"ModelApprovalStatus", "ApprovalDescription"}
    assert second["UpdatedModelPackageFields"] == ["CustomerMetadataProperties"]
    assert second["ModelApprovalStatus"] == "Approved"
    assert second["ModelPackageVersion"] == 1
    assert second["InferenceSpecification"]["SupportedContentTypes"] == ["text/csv"]


def test_a_package_that_is_made_approved_is_announced_as_approved(tmp_path: Path) -> None:
    with small_stack(tmp_path) as cloud:
        package(cloud, ModelApprovalStatus="Approved")
        cloud.settle()
        (change,) = changes(cloud)
    assert change["ModelApprovalStatus"] == "Approved"
    assert "UpdatedModelPackageFields" not in change


def test_the_same_client_token_makes_one_package(tmp_path: Path) -> None:
    with small_stack(tmp_path) as cloud:
        assert package(cloud, ClientToken="abc") == package(cloud, ClientToken="abc")
        assert package(cloud, ClientToken="def").endswith("/2")


def test_a_version_of_a_group_carries_no_tags(tmp_path: Path) -> None:
    with small_stack(tmp_path) as cloud, pytest.raises(ClientError, match="Tags cannot be specified"):
        package(cloud, Tags=[{"Key": "a", "Value": "b"}])


def test_packages_are_listed_in_pages_newest_first_and_by_approval(tmp_path: Path) -> None:
    with small_stack(tmp_path) as cloud:
        sagemaker = cloud.client("sagemaker")
        arns = [package(cloud) for _ in range(3)]
        package(cloud, group="other")
        sagemaker.update_model_package(ModelPackageArn=arns[1], ModelApprovalStatus="Rejected")
        pages = sagemaker.get_paginator("list_model_packages").paginate(
            ModelPackageGroupName="iris", PaginationConfig={"PageSize": 2}
        )
        listed = [[item["ModelPackageVersion"] for item in page["ModelPackageSummaryList"]] for page in pages]
        rejected = sagemaker.list_model_packages(
            ModelPackageGroupName="iris", ModelApprovalStatus="Rejected"
        )["ModelPackageSummaryList"]

    assert listed == [[3, 2], [1]]
    assert [item["ModelPackageArn"] for item in rejected] == [arns[1]]


def test_what_is_not_in_the_registry_does_not_exist(tmp_path: Path) -> None:
    arn = "arn:aws:sagemaker:eu-central-1:123456789012:model-package/iris/9"
    with small_stack(tmp_path) as cloud:
        sagemaker = cloud.client("sagemaker")
        with pytest.raises(ClientError) as missing:
            sagemaker.describe_model_package(ModelPackageName=arn)
        with pytest.raises(ClientError, match=r"ModelPackageGroup arn:.* does not exist"):
            sagemaker.describe_model_package_group(ModelPackageGroupName="nobody")
    assert refusal(missing) == ("ValidationException", f"ModelPackage {arn} does not exist.")


def test_a_group_goes_when_its_versions_have_gone(tmp_path: Path) -> None:
    with small_stack(tmp_path) as cloud:
        sagemaker = cloud.client("sagemaker")
        arn = package(cloud)
        with pytest.raises(ClientError):
            sagemaker.delete_model_package_group(ModelPackageGroupName="iris")
        sagemaker.delete_model_package(ModelPackageName=arn)
        sagemaker.delete_model_package_group(ModelPackageGroupName="iris")
        assert sagemaker.list_model_package_groups()["ModelPackageGroupSummaryList"] == []


def test_only_an_approved_package_becomes_a_model_and_it_serves(tmp_path: Path) -> None:
    with small_stack(tmp_path) as cloud:
        hosting = Hosting(cloud)
        url = hosting.put("artifacts/x", plain_artifact())
        container = {"Image": SKLEARN, "ModelDataUrl": url, "Environment": SCRIPT_MODE}
        arn = package(cloud, InferenceSpecification={"Containers": [container]})
        request = {
            "ModelName": "m",
            "PrimaryContainer": {"ModelPackageName": arn},
            "ExecutionRoleArn": cloud.outputs["ServingRole"],
        }
        with pytest.raises(ClientError, match="not Approved"):
            hosting.client.create_model(**request)
        hosting.client.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")
        hosting.client.create_model(**request)
        hosting.endpoint("iris", hosting.config("c", "m"))
        assert hosting.invoke("iris", "0.9,0.9\n0.1,0.1") == "1\n0"
