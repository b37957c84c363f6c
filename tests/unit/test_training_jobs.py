"""What SageMaker and CloudWatch Logs answer about training jobs, as the use cases see it.

The stubs hold each answer against botocore's own model of the service.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.stub import Stubber

from modelgate.aws.training_jobs import SageMakerTraining
from modelgate.errors import AlreadyExists, AwsError, Invalid, LimitReached, NotFound
from modelgate.run import TrainingId
from modelgate.training.job import read_job
from modelgate.training.order import TrainingOrder, order
from tests.unit.training import REGION, ROLE, document

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "iris-first-cf255e54f655"
ARN = f"arn:aws:sagemaker:{REGION}:123456789012:training-job/{NAME}"
NOW = datetime(2026, 11, 23, 9, 15, tzinfo=UTC)
GROUP = "/aws/sagemaker/TrainingJobs"


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
        self.jobs = SageMakerTraining(sagemaker, lambda: logs, "modelgate")

    def refuses(self, call: str, code: str, message: str) -> None:
        self.sagemaker.add_client_error(call, service_error_code=code, service_message=message)

    def wrote(self, **streams: list[str]) -> None:
        """The streams of the job's log, by the ends of their names."""
        names = [f"{NAME}/{end.replace('_', '-')}" for end in streams]
        self.logs.add_response(
            "describe_log_streams",
            {"logStreams": [{"logStreamName": name} for name in names]},
            {"logGroupName": GROUP, "logStreamNamePrefix": f"{NAME}/"},
        )

    def read(self, end: str, *lines: str) -> None:
        """The next stream that is read must be that one."""
        self.logs.add_response(
            "get_log_events",
            {"events": [{"timestamp": int(NOW.timestamp() * 1000), "message": line} for line in lines]},
            {"logGroupName": GROUP, "logStreamName": f"{NAME}/{end}", "startFromHead": False, "limit": 20},
        )


@pytest.fixture(scope="module")
def services() -> Aws:
    return Aws()


@pytest.fixture
def aws(services: Aws) -> Iterator[Aws]:
    yield services
    services.sagemaker.assert_no_pending_responses()
    services.logs.assert_no_pending_responses()


def _order() -> TrainingOrder:
    return order(
        TrainingId("iris", "first"),
        read_job(document(container={"image": "trees:v1"}, script=None)),
        name=NAME,
        image="trees",
        source=None,
        bucket="intake",
        role=ROLE,
        region=REGION,
        stack="modelgate",
    )


@pytest.mark.parametrize(
    ("code", "message", "error"),
    [
        (
            "ResourceInUse",
            "Training job names must be unique within an AWS account and region",
            AlreadyExists,
        ),
        ("ResourceLimitExceeded", "The account-level service limit is 0 Instances", LimitReached),
        ("ValidationException", "Could not assume role", Invalid),
        ("ResourceNotFound", "no such experiment", NotFound),
    ],
)
def test_what_sagemaker_answers_to_a_job_can_be_told_apart(
    aws: Aws, code: str, message: str, error: type[AwsError]
) -> None:
    aws.refuses("create_training_job", code, message)
    with pytest.raises(error):
        aws.jobs.start(_order())


def test_a_job_that_is_taken_is_started(aws: Aws) -> None:
    aws.sagemaker.add_response("create_training_job", {"TrainingJobArn": ARN})
    aws.jobs.start(_order())


def test_a_job_is_described(aws: Aws) -> None:
    answer = {
        "TrainingJobName": NAME,
        "TrainingJobArn": ARN,
        "TrainingJobStatus": "Completed",
        "SecondaryStatus": "Completed",
        "ModelArtifacts": {"S3ModelArtifacts": "s3://intake/trained/iris/first/model.tar.gz"},
        "AlgorithmSpecification": {"TrainingInputMode": "File"},
        "OutputDataConfig": {"S3OutputPath": "s3://intake/trained/iris/first/"},
        "ResourceConfig": {"InstanceType": "ml.m5.large"},
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        "CreationTime": NOW,
        "Environment": {"MODELGATE_STACK": "modelgate"},
        "FinalMetricDataList": [{"MetricName": "accuracy", "Value": 0.5, "Timestamp": NOW}],
        "TrainingTimeInSeconds": 120,
        "BillableTimeInSeconds": 61,
    }
    aws.sagemaker.add_response("describe_training_job", answer, {"TrainingJobName": NAME})
    job = aws.jobs.describe(NAME)
    assert job is not None
    assert (job.name, job.status, job.failure_reason) == (NAME, "Completed", "")
    assert job.artifact == "s3://intake/trained/iris/first/model.tar.gz"
    assert (job.metrics, job.seconds, job.billable_seconds) == ({"accuracy": 0.5}, 120, 61)
    assert job.environment == {"MODELGATE_STACK": "modelgate"}


def test_a_job_that_sagemaker_does_not_know_is_none(aws: Aws) -> None:
    aws.refuses("describe_training_job", "ValidationException", "Requested resource not found.")
    assert aws.jobs.describe(NAME) is None


def test_the_log_of_each_host_ends_where_its_last_start_does(aws: Aws) -> None:
    aws.wrote(algo_1_1700000000=[], algo_10_1700000000=[], algo_1_1700000900=[], algo_2_1700000000=[])
    aws.read("algo-1-1700000900", "waiting")
    aws.read("algo-2-1700000000", "reading", "ValueError")
    aws.read("algo-10-1700000000")
    lines = aws.jobs.last_lines(NAME, 20)
    assert {host: [line.text for line in each] for host, each in lines.items()} == {
        "algo-1": ["waiting"],
        "algo-2": ["reading", "ValueError"],
        "algo-10": [],
    }
    assert lines["algo-1"][0].at == NOW


def test_a_job_that_never_ran_has_no_log(aws: Aws) -> None:
    aws.logs.add_client_error("describe_log_streams", "ResourceNotFoundException", "no such group")
    assert aws.jobs.last_lines(NAME, 20) == {}
