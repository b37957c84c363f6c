"""Unmodified clients of AWS against the local cloud, and the stack of the real template."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import urllib3
from botocore.exceptions import ClientError
from samtranslator.yaml_helper import yaml_parse

from localcloud import LocalCloud
from tests.integration.test_local_cloud_small_stack import small_stack

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE: Any = yaml_parse((ROOT / "template.yaml").read_text())
RESOURCES: Any = TEMPLATE["Resources"]


def of_type(kind: str) -> list[str]:
    """The logical ids of the real template's resources of a type."""
    return [name for name, resource in RESOURCES.items() if resource["Type"] == kind]


def aws(cloud: LocalCloud, *arguments: str) -> dict[str, Any]:
    """What the AWS CLI prints."""
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **cloud.environment()}
    command = [str(Path(sys.executable).with_name("aws")), *arguments, "--output", "json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    printed: dict[str, Any] = json.loads(done.stdout or "{}")
    return printed


@pytest.fixture(scope="module")
def modelgate() -> Iterator[LocalCloud]:
    """The stack of the real template."""
    with LocalCloud(ROOT / "template.yaml") as cloud:
        yield cloud


def test_the_aws_command_line_works_unmodified(tmp_path: Path) -> None:
    with small_stack(tmp_path) as cloud:
        file = tmp_path / "letter.txt"
        file.write_text("dear cloud")
        bucket = cloud.outputs["Inbox"]
        aws(cloud, "s3api", "put-object", "--bucket", bucket, "--key", "in/letter", "--body", str(file))
        cloud.settle()
        assert len(cloud.invocations) == 1
        stacks = aws(cloud, "cloudformation", "describe-stacks", "--stack-name", "small")["Stacks"]
        outputs = {output["OutputKey"]: output["OutputValue"] for output in stacks[0]["Outputs"]}
        assert outputs == dict(cloud.outputs)
        groups = aws(cloud, "sagemaker", "list-model-package-groups")
        assert groups == {"ModelPackageGroupSummaryList": []}


def test_a_plain_session_needs_only_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with small_stack(tmp_path) as cloud:
        for name, value in cloud.environment().items():
            monkeypatch.setenv(name, value)
        session = boto3.Session()
        assert session.client("sts").get_caller_identity()["Account"] == "123456789012"
        names = [bucket["Name"] for bucket in session.client("s3").list_buckets()["Buckets"]]
    assert any(name.startswith("small-inbox-") for name in names)


def test_a_presigned_url_can_be_read_without_credentials(tmp_path: Path) -> None:
    with small_stack(tmp_path) as cloud:
        s3, bucket = cloud.client("s3"), cloud.outputs["Inbox"]
        s3.put_object(Bucket=bucket, Key="a b/ü.txt", Body=b"content")
        url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "a b/ü.txt"})
        assert urllib3.request("GET", url).data == b"content"


def test_a_large_object_comes_back_as_it_was(tmp_path: Path) -> None:
    content = os.urandom(9_000_000)
    with small_stack(tmp_path) as cloud:
        s3, bucket = cloud.client("s3"), cloud.outputs["Inbox"]
        (tmp_path / "large").write_bytes(content)
        s3.upload_file(str(tmp_path / "large"), bucket, "in/large")
        s3.download_file(bucket, "in/large", str(tmp_path / "back"))
        cloud.settle()
        reasons = [event["detail"]["reason"] for event in cloud.events_seen]
    assert (tmp_path / "back").read_bytes() == content
    assert reasons == ["CompleteMultipartUpload"]


@pytest.mark.parametrize(
    ("service", "operation", "params", "code", "message"),
    [
        (
            "sagemaker",
            "describe_endpoint",
            {"EndpointName": "no_underscores"},
            "ValidationException",
            "1 validation error detected: Value 'no_underscores' at 'endpointName' failed to satisfy",
        ),
        (
            "sagemaker",
            "create_model_package_group",
            {"ModelPackageGroupName": "g" * 64},
            "ValidationException",
            "Member must have length less than or equal to 63",
        ),
        (
            "sagemaker",
            "list_endpoints",
            {"StatusEquals": "Sleeping"},
            "ValidationException",
            "Member must satisfy enum value set: [",
        ),
        (
            "sagemaker",
            "create_endpoint_config",
            {
                "EndpointConfigName": "c",
                "ProductionVariants": [
                    {
                        "VariantName": "v",
                        "ModelName": "m",
                        "ServerlessConfig": {"MemorySizeInMB": 7000, "MaxConcurrency": 5},
                    }
                ],
            },
            "ValidationException",
            "Value '7000' at 'productionVariants.1.member.serverlessConfig.memorySizeInMB' failed to satisfy",
        ),
        (
            "sagemaker",
            "create_model",
            {
                "ModelName": "m",
                "ExecutionRoleArn": "arn:aws:iam::123456789012:role/r-of-a-stack",
                "PrimaryContainer": {"Image": "i", "Environment": {"not ok": "1"}},
            },
            "ValidationException",
            "failed to satisfy constraint: Map keys must satisfy constraint: [Member must satisfy regular",
        ),
        (
            "events",
            "put_rule",
            {"Name": "no spaces", "EventPattern": "{}"},
            "ValidationException",
            "Value 'no spaces' at 'name' failed to satisfy constraint",
        ),
        (
            "iam",
            "get_role",
            {"RoleName": "no spaces"},
            "ValidationError",
            "Value 'no spaces' at 'roleName' failed to satisfy constraint",
        ),
        (
            "cloudformation",
            "describe_stacks",
            {"StackName": "x"},
            "ValidationError",
            "Stack with id x does not",
        ),
    ],
)
def test_what_aws_rejects_for_its_form_is_rejected(
    modelgate: LocalCloud, service: str, operation: str, params: dict[str, Any], code: str, message: str
) -> None:
    with pytest.raises(ClientError) as refused:
        getattr(modelgate.client(service), operation)(**params)
    assert refused.value.response["Error"]["Code"] == code
    assert message in refused.value.response["Error"]["Message"]


def test_the_real_template_is_made_with_all_its_resources(modelgate: LocalCloud) -> None:
    resources = modelgate.client("cloudformation").describe_stack_resources(StackName="modelgate")
    types = {item["LogicalResourceId"]: item["ResourceType"] for item in resources["StackResources"]}
    assert types["Intake"] == "AWS::S3::Bucket"
    assert types["ModelUploaded"] == "AWS::Lambda::Function"
    assert "OperatorMail" not in types  # nobody has given an address
    listed = modelgate.client("cloudformation").list_stack_resources(StackName="modelgate")
    assert {item["LogicalResourceId"] for item in listed["StackResourceSummaries"]} == set(types)


@pytest.mark.parametrize("name", of_type("AWS::Serverless::Function"))
def test_a_function_of_the_real_template_is_set_up_as_it_says(modelgate: LocalCloud, name: str) -> None:
    wanted, function = RESOURCES[name]["Properties"], modelgate.function(name)
    variables = (
        TEMPLATE["Globals"]["Function"]["Environment"]["Variables"] | wanted["Environment"]["Variables"]
    )
    assert set(function.environment) == set(variables)
    assert function.environment["MODELGATE_BUCKET"] == modelgate.outputs["Bucket"]
    assert function.environment["POWERTOOLS_SERVICE_NAME"] == Path(wanted["CodeUri"]).name
    assert function.timeout == _found_in_map(wanted["Timeout"])
    assert function.concurrency == wanted["ReservedConcurrentExecutions"]
    assert function.retries == wanted["EventInvokeConfig"]["MaximumRetryAttempts"]
    assert function.on_failure == _arn_of_queue(modelgate, "FailedInvocationsQueue")


def test_every_resource_of_the_real_template_answers_through_its_own_api(modelgate: LocalCloud) -> None:
    outputs = modelgate.outputs
    table = modelgate.client("dynamodb").describe_table(TableName=outputs["Table"])["Table"]
    assert table["TableStatus"] == "ACTIVE"
    bus = modelgate.client("events").describe_event_bus(Name=outputs["Bus"])
    assert bus["Name"] == "modelgate-announcements"
    policy = modelgate.client("s3").get_bucket_policy(Bucket=outputs["Bucket"])["Policy"]
    assert "OnlyOverTls" in policy
    alarms = modelgate.client("cloudwatch").describe_alarms()["MetricAlarms"]
    described = [RESOURCES[name]["Properties"] for name in of_type("AWS::CloudWatch::Alarm")]
    assert {alarm["AlarmDescription"]: alarm["Threshold"] for alarm in alarms} == {
        alarm["AlarmDescription"]: alarm["Threshold"] for alarm in described
    }
    assert modelgate.client("iam").get_role(RoleName=outputs["ExecutionRole"].rpartition("/")[2])


def _found_in_map(intrinsic: Any) -> Any:
    mapping, first, second = intrinsic["Fn::FindInMap"]
    return TEMPLATE["Mappings"][mapping][first][second]


def _arn_of_queue(cloud: LocalCloud, output: str) -> str:
    answer = cloud.client("sqs").get_queue_attributes(
        QueueUrl=cloud.outputs[output], AttributeNames=["QueueArn"]
    )
    return str(answer["Attributes"]["QueueArn"])
