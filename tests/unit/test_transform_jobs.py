"""What SageMaker and CloudWatch Logs answer about batch transforms, as the use cases see it.

The stubs hold each answer against botocore's own model of the service.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.stub import Stubber

from modelgate.aws.transform_jobs import SageMakerTransforms
from modelgate.errors import AlreadyExists, AwsError, Invalid, LimitReached, NotFound
from modelgate.transform.job import read_job
from modelgate.transform.order import TransformOrder, order
from tests.unit.transform import RUN, document

if TYPE_CHECKING:
    from collections.abc import Iterator

REGION = "eu-central-1"
PREFIX = f"arn:aws:sagemaker:{REGION}:123456789012"
ROLE = "arn:aws:iam::123456789012:role/serving"
NAME = "iris-june-cf255e54f655"
NOW = datetime(2026, 11, 23, 9, 15, tzinfo=UTC)
GROUP = "/aws/sagemaker/TransformJobs"
ANSWER: dict[str, Any] = {
    "TransformJobName": NAME,
    "TransformJobArn": f"{PREFIX}:transform-job/{NAME}",
    "TransformJobStatus": "InProgress",
    "ModelName": NAME,
    "Environment": {"MODELGATE_STACK": "modelgate"},
    "TransformInput": {
        "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://intake/in/"}}
    },
    "TransformOutput": {"S3OutputPath": "s3://intake/out/"},
    "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
    "CreationTime": NOW,
}


class Aws:
    """Both services, which answer what a test has them answer."""

    def __init__(self) -> None:
        plain: Any = {
            "region_name": REGION,
            "aws_access_key_id": "x",
            "aws_secret_access_key": "x",
            "config": Config(retries={"total_max_attempts": 1}),
        }
        session = boto3.session.Session()
        sagemaker, logs = session.client("sagemaker", **plain), session.client("logs", **plain)
        self.sagemaker, self.logs = Stubber(sagemaker), Stubber(logs)
        self.sagemaker.activate()
        self.logs.activate()
        self.jobs = SageMakerTransforms(sagemaker, lambda: logs, PREFIX, "modelgate", ROLE)

    def refuses(self, call: str, code: str, message: str) -> None:
        self.sagemaker.add_client_error(call, service_error_code=code, service_message=message)


@pytest.fixture(scope="module")
def services() -> Aws:
    return Aws()


@pytest.fixture
def aws(services: Aws) -> Iterator[Aws]:
    yield services
    services.sagemaker.assert_no_pending_responses()
    services.logs.assert_no_pending_responses()


def _order() -> TransformOrder:
    return order(RUN, read_job(document()), name=NAME, version=3, bucket="intake", stack="modelgate")


def test_the_model_of_a_job_is_made_of_the_package_so_that_sagemaker_itself_asks_for_its_approval(
    aws: Aws,
) -> None:
    tags = [{"Key": "modelgate:stack", "Value": "modelgate"}, {"Key": "modelgate:group", "Value": "iris"}]
    wanted = {
        "ModelName": NAME,
        "PrimaryContainer": {"ModelPackageName": f"{PREFIX}:model-package/iris/3"},
        "ExecutionRoleArn": ROLE,
        "Tags": tags,
    }
    aws.sagemaker.add_response("create_model", {"ModelArn": f"{PREFIX}:model/{NAME}"}, wanted)
    aws.jobs.make_model(_order())


def test_a_model_that_is_there_already_can_be_told_apart(aws: Aws) -> None:
    aws.refuses("create_model", "ValidationException", "Cannot create already existing model")
    with pytest.raises(AlreadyExists):
        aws.jobs.make_model(_order())


@pytest.mark.parametrize(
    ("code", "message", "error"),
    [
        ("ResourceInUse", "Job name must be unique within an AWS account and region", AlreadyExists),
        ("ResourceLimitExceeded", "The account-level service limit is 0 Instances", LimitReached),
        ("ValidationException", 'Invalid InputFilter: "$.a_b". Unexpected "_" in JsonPath', Invalid),
        ("ResourceNotFound", "no such experiment", NotFound),
    ],
)
def test_what_sagemaker_answers_to_a_job_can_be_told_apart(
    aws: Aws, code: str, message: str, error: type[AwsError]
) -> None:
    aws.refuses("create_transform_job", code, message)
    with pytest.raises(error):
        aws.jobs.start(_order())


def test_a_job_that_is_taken_is_started(aws: Aws) -> None:
    aws.sagemaker.add_response("create_transform_job", {"TransformJobArn": ANSWER["TransformJobArn"]})
    aws.jobs.start(_order())


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({}, ("InProgress", None, "")),
        (
            {"TransformJobStatus": "Failed", "FailureReason": "ClientError: no"},
            ("Failed", None, "ClientError: no"),
        ),
        (
            {
                "TransformJobStatus": "Completed",
                "TransformStartTime": NOW,
                "TransformEndTime": NOW + timedelta(seconds=61.4),
            },
            ("Completed", 61, ""),
        ),
    ],
)
def test_a_job_is_described(aws: Aws, more: dict[str, Any], told: tuple[str, int | None, str]) -> None:
    aws.sagemaker.add_response("describe_transform_job", {**ANSWER, **more}, {"TransformJobName": NAME})
    job = aws.jobs.describe(NAME)
    assert job is not None
    assert (job.status, job.seconds, job.failure_reason) == told
    assert (job.input, job.output) == ("s3://intake/in/", "s3://intake/out/")
    assert job.environment == {"MODELGATE_STACK": "modelgate"}


def test_a_job_that_sagemaker_does_not_know_is_none(aws: Aws) -> None:
    aws.refuses("describe_transform_job", "ValidationException", "Could not find transform job")
    assert aws.jobs.describe(NAME) is None


def test_a_model_is_deleted_once(aws: Aws) -> None:
    found = {"ModelName": NAME, "ModelArn": f"{PREFIX}:model/{NAME}", "CreationTime": NOW}
    aws.sagemaker.add_response("describe_model", found, {"ModelName": NAME})
    aws.sagemaker.add_response("delete_model", {}, {"ModelName": NAME})
    aws.jobs.remove_model(NAME)
    aws.refuses("describe_model", "ValidationException", f'Could not find model "{PREFIX}:model/{NAME}".')
    aws.jobs.remove_model(NAME)


def test_what_sagemaker_writes_about_the_data_is_read_first(aws: Aws) -> None:
    container, of_data = f"{NAME}/i-0123-abcd", f"{NAME}/i-0123-abcd/data-log"
    aws.logs.add_response(
        "describe_log_streams",
        {"logStreams": [{"logStreamName": container}, {"logStreamName": of_data}]},
        {"logGroupName": GROUP, "logStreamNamePrefix": f"{NAME}/"},
    )
    for stream, line in ((of_data, "bad record"), (container, "ValueError")):
        wanted = {"logGroupName": GROUP, "logStreamName": stream, "startFromHead": False, "limit": 20}
        event = {"timestamp": int(NOW.timestamp() * 1000), "message": line}
        aws.logs.add_response("get_log_events", {"events": [event]}, wanted)
    lines = aws.jobs.last_lines(NAME, 20)
    assert [[line.text for line in stream] for stream in lines] == [["bad record"], ["ValueError"]]
    assert lines[0][0].at == NOW


def test_a_job_that_never_ran_has_no_log(aws: Aws) -> None:
    aws.logs.add_client_error("describe_log_streams", "ResourceNotFoundException", "no such group")
    assert aws.jobs.last_lines(NAME, 20) == []
