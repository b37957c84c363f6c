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


def test_tags_may_be_allowed_with_what_is_created_and_not_by_themselves(tmp_path: Path) -> None:
    tags = [{"Key": "stack", "Value": "small"}]
    with small_stack(tmp_path, CALLS_ANYTHING) as cloud:
        upload(cloud, "in/letter")
        cloud.settle(30)
        assert call(cloud, "sagemaker", "create_model", **model(cloud, "a", Tags=tags))["code"] == "ok"
        denied = call(cloud, "sagemaker", "add_tags", ResourceArn=f"{SAGEMAKER}:model/a", Tags=tags)
    assert "sagemaker:AddTags" in denied["message"]


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


SAGEMAKER = "arn:aws:sagemaker:eu-central-1:123456789012"
CLOUDWATCH = "arn:aws:cloudwatch:eu-central-1:123456789012"
TARGETS = "arn:aws:application-autoscaling:eu-central-1:123456789012:scalable-target/*"
VARIANT = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": "endpoint/iris/variant/AllTraffic",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}
ALARM = {
    "AlarmName": "iris-errors",
    "Namespace": "AWS/SageMaker",
    "MetricName": "Invocations",
    "Statistic": "Sum",
    "Period": 60,
    "EvaluationPeriods": 1,
    "Threshold": 0.0,
    "ComparisonOperator": "GreaterThanThreshold",
}
TAGS = [{"Key": "stack", "Value": "small"}]


def test_what_a_controller_of_deployments_calls_needs_permissions_on_what_it_is_about(tmp_path: Path) -> None:
    endpoint, alarm = f"{SAGEMAKER}:endpoint/iris", f"{CLOUDWATCH}:alarm:iris-errors"
    needed: list[tuple[str, str, dict[str, Any], str, str]] = [
        (
            "application-autoscaling",
            "register_scalable_target",
            {**VARIANT, "MinCapacity": 1, "MaxCapacity": 2},
            "application-autoscaling:RegisterScalableTarget",
            TARGETS,
        ),
        (
            "application-autoscaling",
            "deregister_scalable_target",
            VARIANT,
            "application-autoscaling:DeregisterScalableTarget",
            TARGETS,
        ),
        (
            "application-autoscaling",
            "put_scaling_policy",
            {**VARIANT, "PolicyName": "p"},
            "application-autoscaling:PutScalingPolicy",
            TARGETS,
        ),
        (
            "application-autoscaling",
            "delete_scaling_policy",
            {**VARIANT, "PolicyName": "p"},
            "application-autoscaling:DeleteScalingPolicy",
            TARGETS,
        ),
        (
            "application-autoscaling",
            "describe_scalable_targets",
            {"ServiceNamespace": "sagemaker"},
            "application-autoscaling:DescribeScalableTargets",
            "*",
        ),
        ("cloudwatch", "put_metric_alarm", ALARM, "cloudwatch:PutMetricAlarm", alarm),
        ("cloudwatch", "delete_alarms", {"AlarmNames": ["iris-errors"]}, "cloudwatch:DeleteAlarms", alarm),
        ("cloudwatch", "describe_alarms", {}, "cloudwatch:DescribeAlarms", f"{CLOUDWATCH}:alarm:*"),
        (
            "cloudwatch",
            "tag_resource",
            {"ResourceARN": alarm, "Tags": TAGS},
            "cloudwatch:TagResource",
            alarm,
        ),
        (
            "sagemaker-runtime",
            "invoke_endpoint_async",
            {"EndpointName": "iris", "Body": "1"},
            "sagemaker:InvokeEndpointAsync",
            endpoint,
        ),
        (
            "sagemaker",
            "update_endpoint_weights_and_capacities",
            {"EndpointName": "iris", "DesiredWeightsAndCapacities": [{"VariantName": "v"}]},
            "sagemaker:UpdateEndpointWeightsAndCapacities",
            endpoint,
        ),
        (
            "sagemaker",
            "describe_model",
            {"ModelName": "m"},
            "sagemaker:DescribeModel",
            f"{SAGEMAKER}:model/m",
        ),
        (
            "sagemaker",
            "describe_endpoint_config",
            {"EndpointConfigName": "c"},
            "sagemaker:DescribeEndpointConfig",
            f"{SAGEMAKER}:endpoint-config/c",
        ),
        (
            "sagemaker",
            "delete_endpoint_config",
            {"EndpointConfigName": "c"},
            "sagemaker:DeleteEndpointConfig",
            f"{SAGEMAKER}:endpoint-config/c",
        ),
        (
            "sagemaker",
            "list_model_packages",
            {"ModelPackageGroupName": "g"},
            "sagemaker:ListModelPackages",
            f"{SAGEMAKER}:model-package-group/g",
        ),
        ("sagemaker", "add_tags", {"ResourceArn": endpoint, "Tags": TAGS}, "sagemaker:AddTags", endpoint),
        (
            "sagemaker",
            "delete_tags",
            {"ResourceArn": endpoint, "TagKeys": ["stack"]},
            "sagemaker:DeleteTags",
            endpoint,
        ),
    ]
    with small_stack(tmp_path, CALLS_ANYTHING) as cloud:
        for service, operation, params, action, resource in needed:
            denied = call(cloud, service, operation, **params)
            assert f"to perform: {action} on resource: {resource} because" in denied["message"]

        statement = (
            '{"Effect": "Allow", "Action": ["cloudwatch:PutMetricAlarm", "cloudwatch:DeleteAlarms"], '
            f'"Resource": "{CLOUDWATCH}:alarm:iris-*"}}'
        )
        cloud.client("iam").put_role_policy(
            RoleName=cloud.function("Worker").role,
            PolicyName="alarms",
            PolicyDocument=f'{{"Version": "2012-10-17", "Statement": [{statement}]}}',
        )
        assert call(cloud, "cloudwatch", "put_metric_alarm", **ALARM)["code"] == "ok"
        tagged = call(cloud, "cloudwatch", "put_metric_alarm", **ALARM, Tags=TAGS)
        assert "cloudwatch:TagResource" in tagged["message"]
        both = call(cloud, "cloudwatch", "delete_alarms", AlarmNames=["iris-errors", "other"])
        assert "alarm:other" in both["message"]
        assert call(cloud, "cloudwatch", "delete_alarms", AlarmNames=["iris-errors"])["code"] == "ok"


def test_a_package_tells_who_made_it_and_who_changed_it_last(tmp_path: Path) -> None:
    with small_stack(tmp_path, CALLS_ANYTHING) as cloud:
        sagemaker, worker = cloud.client("sagemaker"), cloud.function("Worker")
        sagemaker.create_model_package_group(ModelPackageGroupName="iris")
        arn = sagemaker.create_model_package(ModelPackageGroupName="iris")["ModelPackageArn"]
        assert "LastModifiedBy" not in sagemaker.describe_model_package(ModelPackageName=arn)
        document = (
            '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", '
            '"Action": "sagemaker:UpdateModelPackage", "Resource": "*"}]}'
        )
        cloud.client("iam").put_role_policy(RoleName=worker.role, PolicyName="p", PolicyDocument=document)
        change = {"ModelPackageArn": arn, "ModelApprovalStatus": "Rejected"}
        assert call(cloud, "sagemaker", "update_model_package", **change)["code"] == "ok"
        told = sagemaker.describe_model_package(ModelPackageName=arn)

    assert told["CreatedBy"]["IamIdentity"]["Arn"] == "arn:aws:iam::123456789012:root"
    assert told["LastModifiedBy"]["IamIdentity"]["Arn"] == (
        f"arn:aws:sts::123456789012:assumed-role/{worker.role}/{worker.name}"
    )


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
