"""Serverless and asynchronous endpoints, and the capture of data."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud import LocalCloud
from tests.integration.test_local_cloud_sagemaker import (
    SCRIPT_MODE,
    SKLEARN,
    Hosting,
    plain_artifact,
    refusal,
)
from tests.integration.test_local_cloud_small_stack import TEMPLATE, messages, small_stack

# As the small stack, but that the execution role writes and publishes; to ``locked/`` it may not write.
WRITES = TEMPLATE.replace(
    'Statement: [{Effect: Allow, Action: s3:GetObject, Resource: !Sub "${Inbox.Arn}/*"}]',
    """Statement:
              - {Effect: Allow, Action: [s3:GetObject, s3:PutObject], Resource: !Sub "${Inbox.Arn}/*"}
              - {Effect: Deny, Action: s3:PutObject, Resource: !Sub "${Inbox.Arn}/locked/*"}
              - {Effect: Allow, Action: sns:Publish, Resource: !Ref Topic}""",
)
SERVERLESS = {"MemorySizeInMB": 2048, "MaxConcurrency": 5}
MODEL_URL = "artifacts/m"
TWO_ROWS = b"0.1,0.5\n0.9,0.5"


class Inference(Hosting):
    """Endpoints that answer into S3."""

    def __init__(self, cloud: LocalCloud) -> None:
        super().__init__(cloud)
        self.model("m", plain_artifact())
        self.bucket = cloud.outputs["Inbox"]
        self.runtime = cloud.client("sagemaker-runtime")

    def make(self, name: str, *, model: str = "m", variant: dict[str, Any], **more: Any) -> None:
        """An endpoint config."""
        whole = {"VariantName": "AllTraffic", "ModelName": model, **variant}
        self.client.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[whole], **more)

    def serve(self, name: str, **more: Any) -> None:
        """An endpoint on an instance."""
        self.make(name, variant={"InstanceType": "ml.m5.large", "InitialInstanceCount": 1}, **more)
        self.endpoint(name, name)

    def object(self, url: str) -> str:
        """What stands in an object, by its URL."""
        bucket, _, key = url.removeprefix("s3://").partition("/")
        found = self.cloud.client("s3").get_object(Bucket=bucket, Key=key)
        return str(found["Body"].read().decode().strip())

    def keys(self, prefix: str) -> list[str]:
        """The keys under a prefix."""
        found = self.cloud.client("s3").list_objects_v2(Bucket=self.bucket, Prefix=prefix)
        return [item["Key"] for item in found.get("Contents", [])]


@pytest.fixture(scope="module")
def inference(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inference]:
    """One cloud for all tests here; each has an endpoint of its own."""
    with small_stack(tmp_path_factory.mktemp("cloud"), template=WRITES) as cloud:
        yield Inference(cloud)


# ── serverless ────────────────────────────────────────────────────────────────────────────────────


def test_a_serverless_endpoint_serves_and_has_no_instances(inference: Inference) -> None:
    inference.make("serverless", variant={"ServerlessConfig": SERVERLESS})
    inference.endpoint("serverless", "serverless")
    assert inference.invoke("serverless", "0.1,0.5\n0.9,0.5") == "0\n1"
    (variant,) = inference.client.describe_endpoint(EndpointName="serverless")["ProductionVariants"]
    assert variant["CurrentServerlessConfig"] == SERVERLESS
    assert "CurrentInstanceCount" not in variant

    inference.make("serverless-2", variant={"ServerlessConfig": {**SERVERLESS, "MaxConcurrency": 9}})
    routing = {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}
    with pytest.raises(ClientError, match="not supported for serverless"):
        inference.client.update_endpoint(
            EndpointName="serverless",
            EndpointConfigName="serverless-2",
            DeploymentConfig={"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing}},
        )
    inference.client.update_endpoint(EndpointName="serverless", EndpointConfigName="serverless-2")
    inference.cloud.settle(60)
    (variant,) = inference.client.describe_endpoint(EndpointName="serverless")["ProductionVariants"]
    assert variant["CurrentServerlessConfig"]["MaxConcurrency"] == 9


def test_what_serverless_endpoints_exclude_is_refused(inference: Inference) -> None:
    container = {
        "Image": SKLEARN,
        "ModelDataUrl": f"s3://{inference.bucket}/{MODEL_URL}",
        "Environment": SCRIPT_MODE,
    }
    subnet = {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]}
    role = inference.cloud.outputs["ServingRole"]
    for name, more in (("isolated", {"EnableNetworkIsolation": True}), ("in-vpc", {"VpcConfig": subnet})):
        inference.client.create_model(
            ModelName=name, PrimaryContainer=container, ExecutionRoleArn=role, **more
        )
    shadow = {
        "VariantName": "Shadow",
        "ModelName": "m",
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
    }
    refused: list[tuple[str, dict[str, Any], str]] = [
        ("m", {"DataCaptureConfig": capture("s3://b/c")}, "DataCaptureConfig is not supported"),
        (
            "m",
            {"AsyncInferenceConfig": {"OutputConfig": {"S3OutputPath": "s3://b/c"}}},
            "AsyncInferenceConfig is not supported",
        ),
        ("m", {"ShadowProductionVariants": [shadow]}, "ShadowProductionVariants is not supported"),
        ("isolated", {}, "EnableNetworkIsolation of model"),
        ("in-vpc", {}, "VpcConfig of model"),
    ]
    for model, more, reason in refused:
        with pytest.raises(ClientError, match=reason):
            inference.make("refused", model=model, variant={"ServerlessConfig": SERVERLESS}, **more)
    for variant, reason in (
        ({"ServerlessConfig": {**SERVERLESS, "MemorySizeInMB": 1500}}, "must be 1024, 2048"),
        ({"ServerlessConfig": {**SERVERLESS, "MemorySizeInMB": 7168}}, "less than or equal to 6144"),
        (
            {"ServerlessConfig": SERVERLESS, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1},
            "has no instances",
        ),
    ):
        with pytest.raises(ClientError, match=reason):
            inference.make("refused", variant=variant)


# ── asynchronous ──────────────────────────────────────────────────────────────────────────────────


def test_an_asynchronous_endpoint_answers_into_s3(inference: Inference) -> None:
    (topic,) = inference.cloud.client("sns").list_topics()["Topics"]
    topics = {"SuccessTopic": topic["TopicArn"], "ErrorTopic": topic["TopicArn"]}
    output = {
        "S3OutputPath": f"s3://{inference.bucket}/answers/",
        "S3FailurePath": f"s3://{inference.bucket}/failures",
        "NotificationConfig": topics,
    }
    inference.serve("later", AsyncInferenceConfig={"OutputConfig": output})
    source = inference.put("questions/1.csv", b"0.9,0.5\n0.1,0.5")
    accepted = inference.runtime.invoke_endpoint_async(
        EndpointName="later",
        InputLocation=source,
        ContentType="text/csv",
        Accept="text/csv",
        InferenceId="first",
        InvocationTimeoutSeconds=30,
    )
    assert accepted["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert accepted["OutputLocation"] == f"s3://{inference.bucket}/answers/first.out"
    assert accepted["FailureLocation"] == f"s3://{inference.bucket}/failures/first-error.out"
    named = inference.runtime.invoke_endpoint_async(
        EndpointName="later",
        Body=TWO_ROWS,
        ContentType="text/csv",
        Accept="text/csv",
        S3OutputPathExtension="monday/noon",
        Filename="result",
    )
    assert named["OutputLocation"] == f"s3://{inference.bucket}/answers/monday/noon/result.out"
    wrong = inference.runtime.invoke_endpoint_async(
        EndpointName="later", Body=b"a,b,c", ContentType="image/png", InferenceId="wrong"
    )
    inference.cloud.settle(60)

    assert inference.object(accepted["OutputLocation"]) == "1\n0"
    assert inference.object(named["OutputLocation"]) == "0\n1"
    assert "image/png" in inference.object(wrong["FailureLocation"])
    assert len(inference.keys("answers/")) == 2
    announced = {
        event["detail"]["object"]["key"]
        for event in inference.cloud.events_seen
        if event["detail-type"] == "Object Created"
    }
    assert {"answers/first.out", "failures/wrong-error.out"} <= announced

    told = [
        json.loads(json.loads(message["Body"])["Message"]) for message in messages(inference.cloud, "Readers")
    ]
    by_id = {message["inferenceId"]: message for message in told}
    assert by_id["first"]["invocationStatus"] == "Completed"
    assert by_id["first"]["responseParameters"]["outputLocation"] == accepted["OutputLocation"]
    assert by_id["first"]["requestParameters"] == {
        "accept": "text/csv",
        "contentType": "text/csv",
        "endpointName": "later",
        "inputLocation": source,
    }
    assert by_id["wrong"]["invocationStatus"] == "Failed"
    assert by_id["wrong"]["eventName"] == "InferenceResult"


def test_what_the_execution_role_may_not_write_is_not_written(inference: Inference) -> None:
    output = {
        "S3OutputPath": f"s3://{inference.bucket}/locked",
        "S3FailurePath": f"s3://{inference.bucket}/failures",
    }
    inference.serve("locked", AsyncInferenceConfig={"OutputConfig": output})
    with pytest.raises(ClientError, match="Exactly one of Body and InputLocation"):
        inference.runtime.invoke_endpoint_async(EndpointName="locked")
    inference.runtime.invoke_endpoint_async(
        EndpointName="locked", Body=TWO_ROWS, ContentType="text/csv", InferenceId="locked"
    )
    inference.cloud.settle(60)
    assert inference.keys("locked/") == []
    assert "AccessDenied" in inference.object(f"s3://{inference.bucket}/failures/locked-error.out")
    with pytest.raises(ClientError) as refused:
        inference.invoke("locked", "1,2")
    assert refusal(refused)[0] == "ValidationError"
    assert "InvokeEndpointAsync" in refusal(refused)[1]


# ── data capture ──────────────────────────────────────────────────────────────────────────────────


def capture(destination: str, share: int = 100, *modes: str, **more: Any) -> dict[str, Any]:
    """A DataCaptureConfig."""
    return {
        "EnableCapture": True,
        "InitialSamplingPercentage": share,
        "DestinationS3Uri": destination,
        "CaptureOptions": [{"CaptureMode": mode} for mode in modes or ("Input", "Output")],
        **more,
    }


def test_a_share_of_the_requests_is_captured_in_s3(inference: Inference) -> None:
    types = {"CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"]}}
    config = capture(f"s3://{inference.bucket}/captured", 50, **types)
    inference.serve("watched", DataCaptureConfig=config)
    for _ in range(4):
        inference.invoke("watched", TWO_ROWS.decode())
    inference.cloud.settle(60)

    keys = inference.keys("captured/")
    assert len(keys) == 2
    folder, _, name = keys[0].rpartition("/")
    assert folder.startswith("captured/watched/AllTraffic/20")
    assert len(folder.split("/")) == 7
    assert name.endswith(".jsonl")
    (line,) = inference.object(f"s3://{inference.bucket}/{keys[0]}").splitlines()
    record = json.loads(line)
    data = record["captureData"]
    assert record["eventVersion"] == "0"
    assert set(record["eventMetadata"]) == {"eventId", "inferenceTime"}
    assert data["endpointInput"] == {
        "observedContentType": "text/csv",
        "mode": "INPUT",
        "data": TWO_ROWS.decode(),
        "encoding": "CSV",
    }
    assert (data["endpointOutput"]["mode"], data["endpointOutput"]["data"].split()) == ("OUTPUT", ["0", "1"])


def test_what_is_captured_is_in_base64_and_of_one_side_if_the_config_says_no_more(
    inference: Inference,
) -> None:
    config = capture(f"s3://{inference.bucket}/plain", 100, "Input")
    inference.serve("plain", DataCaptureConfig=config)
    inference.runtime.invoke_endpoint(
        EndpointName="plain", Body=TWO_ROWS, ContentType="text/csv", Accept="text/csv", InferenceId="mine"
    )
    with pytest.raises(ClientError) as refused:
        inference.runtime.invoke_endpoint_async(EndpointName="plain", Body=TWO_ROWS)
    assert refusal(refused)[0] == "ValidationError"
    inference.cloud.settle(60)
    (key,) = inference.keys("plain/")
    record = json.loads(inference.object(f"s3://{inference.bucket}/{key}"))
    assert set(record["captureData"]) == {"endpointInput"}
    assert base64.b64decode(record["captureData"]["endpointInput"]["data"]) == TWO_ROWS
    assert record["eventMetadata"]["inferenceId"] == "mine"
