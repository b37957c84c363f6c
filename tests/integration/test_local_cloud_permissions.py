"""The roles of the template, enforced on what a function calls."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from localcloud import LocalCloud, TemplateError
from localcloud.policies import Demand, decide
from tests.integration.test_local_cloud_small_stack import small_stack, upload

CALLS_ANYTHING = """
session = environ = None

def handler(event, context):
    client = session.client(event["service"])
    try:
        getattr(client, event["operation"])(**event["params"])
    except client.exceptions.ClientError as error:
        return {"code": error.response["Error"]["Code"], "message": error.response["Error"]["Message"]}
    return {"code": "ok", "message": ""}
"""


def call(cloud: LocalCloud, service: str, operation: str, **params: Any) -> dict[str, str]:
    """What the function is answered when it makes a call: a code, or ok."""
    outcome = cloud.invoke("Worker", {"service": service, "operation": operation, "params": params})
    assert outcome.error is None, outcome.error
    answer: dict[str, str] = outcome.result
    return answer


def model(cloud: LocalCloud, name: str, **more: Any) -> dict[str, Any]:
    """A CreateModel request whose artifact is there."""
    return {
        "ModelName": name,
        "PrimaryContainer": {
            "Image": "1.dkr.ecr.eu-central-1.amazonaws.com/sagemaker-scikit-learn:1",
            "ModelDataUrl": f"s3://{cloud.outputs['Inbox']}/in/letter",
        },
        "ExecutionRoleArn": cloud.outputs["ServingRole"],
        **more,
    }


def test_a_function_may_do_what_its_role_allows(tmp_path: Path) -> None:
    with small_stack(tmp_path, CALLS_ANYTHING) as cloud:
        upload(cloud, "in/a")
        cloud.settle()
        bucket = cloud.outputs["Inbox"]
        assert call(cloud, "s3", "get_object", Bucket=bucket, Key="in/a")["code"] == "ok"


def test_a_call_that_the_role_does_not_allow_is_denied_in_the_words_of_aws(tmp_path: Path) -> None:
    with small_stack(tmp_path, CALLS_ANYTHING) as cloud:
        denied = call(cloud, "dynamodb", "scan", TableName=cloud.outputs["Letters"])
        worker, table = cloud.function("Worker"), cloud.outputs["Letters"]

    assert denied["code"] == "AccessDeniedException"
    assert denied["message"] == (
        f"User: arn:aws:sts::123456789012:assumed-role/{worker.role}/{worker.name} is not authorized to "
        f"perform: dynamodb:Scan on resource: arn:aws:dynamodb:eu-central-1:123456789012:table/{table} "
        "because no identity-based policy allows the dynamodb:Scan action"
    )


def test_a_version_of_an_object_needs_a_permission_of_its_own(tmp_path: Path) -> None:
    with small_stack(tmp_path, CALLS_ANYTHING) as cloud:
        bucket, version = cloud.outputs["Inbox"], upload(cloud, "out/a")
        allowed_version = upload(cloud, "in/a")
        cloud.settle(30)
        assert call(cloud, "s3", "head_object", Bucket=bucket, Key="in/a")["code"] == "ok"
        assert call(cloud, "s3", "head_object", Bucket=bucket, Key="out/a")["code"] == "403"
        refused = call(cloud, "s3", "head_object", Bucket=bucket, Key="in/a", VersionId=allowed_version)
        assert refused["code"] == "403"
        assert version != allowed_version


def test_who_may_not_list_is_not_told_that_an_object_is_missing(tmp_path: Path) -> None:
    with small_stack(tmp_path, CALLS_ANYTHING) as cloud:
        bucket = cloud.outputs["Inbox"]
        assert call(cloud, "s3", "head_object", Bucket=bucket, Key="in/missing")["code"] == "403"
        iam, role = cloud.client("iam"), cloud.function("Worker").role
        document = (
            '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:ListBucket", '
            f'"Resource": "arn:aws:s3:::{bucket}"}}]}}'
        )
        iam.put_role_policy(RoleName=role, PolicyName="list", PolicyDocument=document)
        assert call(cloud, "s3", "head_object", Bucket=bucket, Key="in/missing")["code"] == "404"


def test_a_denial_wins_over_an_allowance(tmp_path: Path) -> None:
    with small_stack(tmp_path, CALLS_ANYTHING) as cloud:
        queue = cloud.outputs["Failed"]
        assert call(cloud, "sqs", "get_queue_attributes", QueueUrl=queue)["code"] == "ok"
        denied = call(cloud, "sqs", "purge_queue", QueueUrl=queue)
        assert denied["code"].startswith("AccessDenied")
        assert "explicit deny" in denied["message"]


def test_a_model_may_only_be_made_with_the_tag_and_with_the_role_that_may_be_passed(tmp_path: Path) -> None:
    tags = [{"Key": "stack", "Value": "small"}]
    with small_stack(tmp_path, CALLS_ANYTHING) as cloud:
        upload(cloud, "in/letter")
        cloud.settle(30)
        assert "CreateModel" in call(cloud, "sagemaker", "create_model", **model(cloud, "a"))["message"]
        other = "arn:aws:iam::123456789012:role/other"
        denied = call(
            cloud, "sagemaker", "create_model", **model(cloud, "a", Tags=tags, ExecutionRoleArn=other)
        )
        assert "iam:PassRole" in denied["message"]
        assert call(cloud, "sagemaker", "create_model", **model(cloud, "a", Tags=tags))["code"] == "ok"


def test_only_what_carries_the_tag_may_be_deleted(tmp_path: Path) -> None:
    tags = [{"Key": "stack", "Value": "small"}]
    with small_stack(tmp_path, CALLS_ANYTHING) as cloud:
        upload(cloud, "in/letter")
        cloud.settle(30)
        sagemaker = cloud.client("sagemaker")
        sagemaker.create_model(**model(cloud, "Ours", Tags=tags))
        sagemaker.create_model(**model(cloud, "theirs"))
        assert call(cloud, "sagemaker", "delete_model", ModelName="theirs")["code"] == "AccessDeniedException"
        assert call(cloud, "sagemaker", "delete_model", ModelName="Ours")["code"] == "ok"


def test_everybody_may_ask_who_they_are(tmp_path: Path) -> None:
    with small_stack(tmp_path, CALLS_ANYTHING) as cloud:
        assert call(cloud, "sts", "get_caller_identity")["code"] == "ok"
        identity = cloud.client("sts").get_caller_identity()
    assert identity["Account"] == "123456789012"


def test_the_execution_role_must_be_able_to_read_the_artifact(tmp_path: Path) -> None:
    with small_stack(tmp_path) as cloud:
        request = model(cloud, "a")
        request["PrimaryContainer"]["ModelDataUrl"] = f"s3://{cloud.outputs['Silent']}/x"
        client = cloud.client("sagemaker")
        with pytest.raises(client.exceptions.ClientError, match="Could not access model data at s3://"):
            client.create_model(**request)


def test_a_condition_operator_that_is_not_known_is_an_error_and_not_a_pass() -> None:
    document = (
        '{"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*", '
        '"Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}]}'
    )
    with pytest.raises(TemplateError, match="IpAddress"):
        decide([document], Demand("s3:GetObject", "arn:aws:s3:::a/b"))
