"""Batch transform on the local cloud: what is sent, what is written, and how jobs end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud import LocalCloud, Pace
from tests.fakes.tarballs import tarball
from tests.integration.test_local_cloud_sagemaker import SKLEARN, Hosting, refusal
from tests.integration.test_local_cloud_small_stack import TEMPLATE, small_stack

WRITES = TEMPLATE.replace(
    'Statement: [{Effect: Allow, Action: s3:GetObject, Resource: !Sub "${Inbox.Arn}/*"}]',
    """Statement:
              - {Effect: Allow, Action: [s3:GetObject, s3:PutObject], Resource: !Sub "${Inbox.Arn}/*"}
              - {Effect: Allow, Action: s3:ListBucket, Resource: !GetAtt Inbox.Arn}
              - {Effect: Deny, Action: s3:PutObject, Resource: !Sub "${Inbox.Arn}/locked/*"}""",
)
# Answers each line with the sum of its columns, and tells of each request how many lines it had.
SUMS = b"""
import os

def model_fn(folder):
    return None

def transform_fn(model, body, content_type, accept):
    told = f"lines {len(body.splitlines())} batch {os.environ.get('SAGEMAKER_BATCH')}\\n"
    print(told, end="")  # at one go: requests that come together write together
    if "bad" in body:
        raise ValueError("could not convert string to float: 'bad'")
    rows = [[float(value) for value in line.split(",")] for line in body.splitlines()]
    return "\\n".join(str(sum(row)) for row in rows), "text/csv"
"""


class Transforms(Hosting):
    """Jobs of one model, over objects of the inbox."""

    def __init__(self, cloud: LocalCloud) -> None:
        super().__init__(cloud)
        self.s3 = cloud.client("s3")
        self.bucket = cloud.outputs["Inbox"]
        self.model("sums", tarball({"code/inference.py": SUMS}))

    def upload(self, key: str, body: bytes) -> None:
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)

    def start(self, name: str, *, given: dict[str, Any] | None = None, **more: Any) -> None:
        """A job over ``in/<name>/`` to ``out/<name>/``."""
        source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{self.bucket}/in/{name}/"}
        asked: dict[str, Any] = {
            "ModelName": "sums",
            "TransformInput": {
                "DataSource": {"S3DataSource": source},
                "ContentType": "text/csv",
                "SplitType": "Line",
                **(given or {}),
            },
            "TransformOutput": {"S3OutputPath": f"s3://{self.bucket}/out/{name}", "AssembleWith": "Line"},
            "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
            **more,
        }
        self.client.create_transform_job(TransformJobName=name, **asked)

    def run(self, name: str, **more: Any) -> dict[str, Any]:
        """The job as it is described at its end."""
        self.start(name, **more)
        self.cloud.settle()
        described: dict[str, Any] = self.client.describe_transform_job(TransformJobName=name)
        return described

    def statuses_of(self, name: str) -> list[str]:
        """As the events told them."""
        return [
            each["detail"]["TransformJobStatus"]
            for each in self.cloud.events_seen
            if each["detail-type"] == "SageMaker Transform Job State Change"
            and each["detail"]["TransformJobName"] == name
        ]

    def out(self, key: str) -> str:
        return str(self.s3.get_object(Bucket=self.bucket, Key=f"out/{key}")["Body"].read().decode())

    def streams(self, job: str) -> dict[str, list[str]]:
        """The lines of a job's log, by the names of its streams."""
        logs, group = self.cloud.client("logs"), "/aws/sagemaker/TransformJobs"
        found = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{job}/")["logStreams"]
        return {
            stream["logStreamName"]: [
                event["message"]
                for event in logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"])[
                    "events"
                ]
            ]
            for stream in found
        }

    def log(self, job: str) -> str:
        """All that is in the log of a job."""
        return "\n".join(line for lines in self.streams(job).values() for line in lines)


@pytest.fixture(scope="module")
def transforms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Transforms]:
    with small_stack(
        tmp_path_factory.mktemp("stack"), template=WRITES, pace=Pace(container_stop_grace=0.2)
    ) as cloud:
        yield Transforms(cloud)


def test_every_object_becomes_one_of_answers(transforms: Transforms) -> None:
    transforms.upload("in/plain/a.csv", b"1,2\n3,4\n")
    transforms.upload("in/plain/more/b.csv", b"5,6")
    job = transforms.run("plain")
    assert job["TransformJobStatus"] == "Completed", job.get("FailureReason")
    assert transforms.out("plain/a.csv.out") == "3.0\n7.0\n"
    assert transforms.out("plain/more/b.csv.out") == "11.0\n"
    said = transforms.log("plain")
    assert "MaxConcurrentTransforms=1, MaxPayloadInMB=6, BatchStrategy=MULTI_RECORD" in said
    assert "lines 2 batch true" in said
    container, of_data = sorted(transforms.streams("plain"))
    assert of_data == f"{container}/data-log"


def test_columns_are_filtered_and_joined(transforms: Transforms) -> None:
    transforms.upload("in/joined/a.csv", b"x,1,2\ny,3,4\n")
    processing = {"InputFilter": "$[1:]", "JoinSource": "Input", "OutputFilter": "$[0,-1]"}
    job = transforms.run("joined", DataProcessing=processing)
    assert job["TransformJobStatus"] == "Completed", job.get("FailureReason")
    assert transforms.out("joined/a.csv.out") == "x,3.0\ny,7.0\n"


def test_a_bad_record_fails_the_job_and_the_data_log_says_why(transforms: Transforms) -> None:
    transforms.upload("in/bad/a.csv", b"1,2\nbad,4\n")
    job = transforms.run("bad", ModelClientConfig={"InvocationsMaxRetries": 0})
    assert job["TransformJobStatus"] == "Failed"
    assert job["FailureReason"] == "AlgorithmError: See job logs for more information"
    said = transforms.log("bad")
    assert "in/bad/a.csv: Bad HTTP status received from algorithm: 500" in said
    assert "could not convert string to float: 'bad'" in said


def test_without_input_there_is_nothing_to_do(transforms: Transforms) -> None:
    job = transforms.run("nothing")
    assert job["TransformJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("ClientError: No S3 objects found under S3 URL s3://")


def test_answers_are_written_with_the_rights_of_the_models_role(transforms: Transforms) -> None:
    transforms.upload("in/locked/a.csv", b"1,2")
    job = transforms.run("locked", TransformOutput={"S3OutputPath": f"s3://{transforms.bucket}/locked/"})
    assert job["TransformJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("ClientError: Failed to upload s3://")
    assert "AccessDenied" in job["FailureReason"]


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"ModelName": "nobody"}, "Could not find model"),
        ({"MaxConcurrentTransforms": 20, "MaxPayloadInMB": 6}, "must not exceed 100 MB"),
        (
            {"DataProcessing": {"InputFilter": "$.an_id"}},
            'InputFilter: "$.an_id". Unexpected "_" in JsonPath',
        ),
        ({"DataProcessing": {"OutputFilter": "$..deep"}}, 'Unexpected "..deep"'),
    ],
)
def test_what_cannot_be_is_refused_at_once(transforms: Transforms, more: dict[str, Any], reason: str) -> None:
    with pytest.raises(ClientError) as caught:
        transforms.start("refused", **more)
    assert refusal(caught)[0] == "ValidationException"
    assert reason in refusal(caught)[1]


def test_events_tell_how_it_goes_and_the_name_is_taken_for_ever(transforms: Transforms) -> None:
    transforms.upload("in/told/a.csv", b"1,2\n")
    job = transforms.run("told", Environment={"WHOSE": "mine"}, Tags=[{"Key": "team", "Value": "blue"}])
    told = [
        each["detail"]
        for each in transforms.cloud.events_seen
        if each["detail-type"] == "SageMaker Transform Job State Change"
        and each["detail"]["TransformJobName"] == "told"
    ]
    assert transforms.statuses_of("told") == ["InProgress", "Completed"]
    assert told[-1]["Environment"] == {"WHOSE": "mine"}
    assert told[-1]["Tags"] == {"team": "blue"}
    assert told[-1]["TransformEndTime"].endswith("Z")
    assert transforms.client.list_tags(ResourceArn=job["TransformJobArn"])["Tags"] == [
        {"Key": "team", "Value": "blue"}
    ]
    names = [
        each["TransformJobName"]
        for each in transforms.client.list_transform_jobs(NameContains="told")["TransformJobSummaries"]
    ]
    assert names == ["told"]
    with pytest.raises(ClientError) as taken:
        transforms.start("Told")
    assert refusal(taken)[0] == "ResourceInUse"


def test_answers_are_those_that_an_endpoint_gives_to_the_same_rows(transforms: Transforms) -> None:
    rows = b"1.5,2\n3,-4.25\n0,0\n"
    transforms.endpoint("sums", transforms.config("sums", "sums"))
    transforms.upload("in/same/rows.csv", rows)
    job = transforms.run("same", BatchStrategy="SingleRecord")
    assert job["TransformJobStatus"] == "Completed", job.get("FailureReason")
    answered = [transforms.invoke("sums", row) for row in rows.decode().splitlines()]
    assert transforms.out("same/rows.csv.out").splitlines() == answered == ["3.5", "-1.25", "0.0"]


def test_a_model_in_a_folder_cannot_be_transformed_with(transforms: Transforms) -> None:
    transforms.upload("m/model.pkl", b"a model")
    source = {"S3Uri": f"s3://{transforms.bucket}/m/", "S3DataType": "S3Prefix", "CompressionType": "None"}
    container = {"Image": SKLEARN, "ModelDataSource": {"S3DataSource": source}}
    transforms.client.create_model(
        ModelName="folder",
        PrimaryContainer=container,
        ExecutionRoleArn=transforms.cloud.outputs["ServingRole"],
    )
    with pytest.raises(ClientError, match="ModelDataSource is not supported"):
        transforms.start("of-a-folder", ModelName="folder")


def test_a_job_is_stopped_while_its_container_thinks(transforms: Transforms) -> None:
    thinking = SUMS.replace(b'if "bad" in body:', b"if True:\n        import time; time.sleep(60)")
    transforms.model("thinks", tarball({"code/inference.py": thinking}))
    transforms.upload("in/stopped/a.csv", b"1,2\n")
    transforms.start("stopped", ModelName="thinks")
    until(lambda: "lines 1" in transforms.log("stopped"))
    transforms.client.stop_transform_job(TransformJobName="stopped")
    transforms.cloud.settle()
    job = transforms.client.describe_transform_job(TransformJobName="stopped")
    assert job["TransformJobStatus"] == "Stopped"
    assert "FailureReason" not in job
    listed = transforms.s3.list_objects_v2(Bucket=transforms.bucket, Prefix="out/stopped/")
    assert "Contents" not in listed
    with pytest.raises(ClientError, match="rejected because the transform job is in status Stopped"):
        transforms.client.stop_transform_job(TransformJobName="stopped")
    assert transforms.statuses_of("stopped") == ["InProgress", "Stopping", "Stopped"]


def until(condition: Callable[[], bool]) -> None:
    """Wait for what another thread brings about."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)
