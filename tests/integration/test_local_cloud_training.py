"""Training jobs: what the API tells, what a job finds and leaves, and how it ends."""

from __future__ import annotations

import csv
import gzip
import io
import json
import tarfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud import LocalCloud, Pace
from localcloud.training.channels import Channel, LocalFolder
from localcloud.training.job import TrainingDescription, run_in_folder
from localcloud.training.metrics import MetricDefinition
from tests.integration.test_local_cloud_small_stack import TEMPLATE, small_stack

SKLEARN = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/sagemaker-scikit-learn:1.9-0"
XGBOOST = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/sagemaker-xgboost:3.0-5"

# As the small stack, but that the execution role lists and writes. What is secret it may list, and not read;
# to ``locked/`` it may not write.
TRAINS = TEMPLATE.replace(
    'Statement: [{Effect: Allow, Action: s3:GetObject, Resource: !Sub "${Inbox.Arn}/*"}]',
    """Statement:
              - {Effect: Allow, Action: s3:ListBucket, Resource: !GetAtt Inbox.Arn}
              - {Effect: Allow, Action: [s3:GetObject, s3:PutObject], Resource: !Sub "${Inbox.Arn}/*"}
              - {Effect: Deny, Action: s3:GetObject, Resource: !Sub "${Inbox.Arn}/secret/*"}
              - {Effect: Deny, Action: s3:PutObject, Resource: !Sub "${Inbox.Arn}/locked/*"}""",
)

# Each host tells the first one its name, on the same port of its own; the first one writes down who did.
DISTRIBUTED = """
import json, os, pathlib, socket
hosts, me = json.loads(os.environ["SM_HOSTS"]), os.environ["SM_CURRENT_HOST"]
own = socket.create_server(("", 7001))
if me == hosts[0]:
    said = [own.accept()[0].makefile().readline().strip() for _ in hosts[1:]]
    pathlib.Path(os.environ["SM_MODEL_DIR"], "said.json").write_text(json.dumps(said))
else:
    while True:
        with socket.socket() as to_first:
            if to_first.connect_ex((hosts[0], 7001)) == 0:
                to_first.sendall((me + "\\n").encode())
                break
parts = pathlib.Path(os.environ["SM_CHANNEL_TRAIN"])
found = sorted(path.relative_to(parts).as_posix() for path in parts.rglob("*") if path.is_file())
pathlib.Path(os.environ["SM_OUTPUT_DATA_DIR"], me + ".json").write_text(json.dumps(found))
print(f"{me} objects={len(found)};")
"""

RESUMES = """
import json, os, pathlib, signal
folder = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"], "checkpoints")
before = sorted(path.name for path in folder.iterdir())
(folder / f"step-{len(before)}").write_text("done")
print("step", len(before), "is kept", flush=True)
if len(before) < 2:
    signal.pause()
pathlib.Path(os.environ["SM_MODEL_DIR"], "steps.json").write_text(json.dumps(before))
"""

TELLS_WHY = """
import os, pathlib, sys
print("the last words")
pathlib.Path(os.environ["SM_OUTPUT_DIR"], "failure").write_text("max_depth must not be negative")
sys.exit(3)
"""

READS_PIPES = """
import json, os, pathlib
folder = pathlib.Path(os.environ["SM_CHANNEL_TRAIN"])
epochs = []
while len(epochs) < 2:
    pipe = folder.with_name(f"train_{len(epochs)}")
    if pipe.exists():
        epochs.append(pipe.read_text())
pathlib.Path(os.environ["SM_MODEL_DIR"], "epochs.json").write_text(json.dumps(epochs))
"""

WAITS = """
import os, pathlib, signal
pathlib.Path(os.environ["SM_MODEL_DIR"], "half.txt").write_text("half of it")
pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"], "checkpoints/begun").touch()
signal.pause()
"""


MAKES_A_MODEL = "import os, pathlib\npathlib.Path(os.environ['SM_MODEL_DIR'], 'm').touch()"


class Training:
    """Jobs of one cloud."""

    def __init__(self, cloud: LocalCloud) -> None:
        self.cloud = cloud
        self.client = cloud.client("sagemaker")
        self.bucket = cloud.outputs["Inbox"]
        self.role = cloud.outputs["ServingRole"]

    def put(self, key: str, body: bytes | str) -> str:
        """The URL of a new object."""
        self.cloud.client("s3").put_object(Bucket=self.bucket, Key=key, Body=body)
        return f"s3://{self.bucket}/{key}"

    def request(self, name: str, script: str = "", **more: Any) -> dict[str, Any]:
        """What CreateTrainingJob is told of a script, and of what else is asked for."""
        told: dict[str, Any] = {
            "TrainingJobName": name,
            "RoleArn": self.role,
            "AlgorithmSpecification": {"TrainingImage": SKLEARN, "TrainingInputMode": "File"},
            "OutputDataConfig": {"S3OutputPath": f"s3://{self.bucket}/out"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        }
        if script:
            code = self.put(f"code/{name}.tar.gz", archive({"train.py": script}))
            told["HyperParameters"] = {
                "sagemaker_program": json.dumps("train.py"),
                "sagemaker_submit_directory": json.dumps(code),
            }
        return {**told, **more}

    def run(self, name: str, script: str = "", **more: Any) -> dict[str, Any]:
        """What is told of a job that came to its end."""
        self.client.create_training_job(**self.request(name, script, **more))
        return self.end(name)

    def end(self, name: str) -> dict[str, Any]:
        """What is told of a job in the end."""
        self.cloud.settle(60)
        told: dict[str, Any] = self.client.describe_training_job(TrainingJobName=name)
        return told

    def channel(self, name: str, prefix: str, **more: Any) -> dict[str, Any]:
        """A channel of a prefix of the bucket."""
        data = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{self.bucket}/{prefix}", **more.pop("data", {})}
        return {"ChannelName": name, "DataSource": {"S3DataSource": data}, **more}

    def kept(self, job: str, name: str = "model.tar.gz") -> dict[str, str]:
        """The files of an archive that a job left."""
        found = self.cloud.client("s3").get_object(Bucket=self.bucket, Key=f"out/{job}/output/{name}")
        with tarfile.open(fileobj=io.BytesIO(found["Body"].read())) as tar:
            return {
                entry.name: content.read().decode()
                for entry in tar.getmembers()
                if (content := tar.extractfile(entry)) is not None
            }

    def log(self, job: str) -> dict[str, list[str]]:
        """The lines of each host."""
        logs, group = self.cloud.client("logs"), "/aws/sagemaker/TrainingJobs"
        streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{job}/")["logStreams"]
        return {
            stream["logStreamName"].partition("/")[2].rpartition("-")[0]: [
                event["message"]
                for event in logs.get_log_events(
                    logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True
                )["events"]
            ]
            for stream in streams
        }

    def events(self, job: str) -> list[dict[str, Any]]:
        """The details of the events of a job, in their order."""
        return [
            event["detail"]
            for event in self.cloud.events_seen
            if event["detail-type"] == "SageMaker Training Job State Change"
            and event["detail"]["TrainingJobName"] == job
        ]


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Training]:
    """One cloud for all tests here; each has jobs of its own."""
    pace = Pace(training_stop_grace=0.05)
    with small_stack(tmp_path_factory.mktemp("cloud"), template=TRAINS, pace=pace) as cloud:
        yield Training(cloud)


def archive(files: Mapping[str, str]) -> bytes:
    """A gzipped tar of text files."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            tar.addfile(entry, io.BytesIO(text.encode()))
    return content.getvalue()


def went_through(told: Mapping[str, Any]) -> list[str]:
    """The secondary statuses of a job, in their order."""
    return [each["Status"] for each in told["SecondaryStatusTransitions"]]


# ── what a job does ───────────────────────────────────────────────────────────────────────────────────


def test_two_hosts_talk_to_each_other_and_share_the_data_and_the_result(training: Training) -> None:
    for name in ("a", "b", "deep/c"):
        training.put(f"data/shared/{name}.csv", name)
    told = training.run(
        "distributed",
        DISTRIBUTED,
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 1},
        InputDataConfig=[
            training.channel("train", "data/shared", data={"S3DataDistributionType": "ShardedByS3Key"})
        ],
        AlgorithmSpecification={
            "TrainingImage": SKLEARN,
            "TrainingInputMode": "File",
            "MetricDefinitions": [{"Name": "objects", "Regex": "algo-1 objects=([0-9]+);"}],
        },
        Tags=[{"Key": "team", "Value": "trees"}],
    )
    assert told["TrainingJobStatus"] == "Completed"
    assert went_through(told) == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert training.kept("distributed") == {"said.json": '["algo-2"]'}
    # The role's rights let the container fetch its code, which is how the script came to run at all.
    assert training.kept("distributed", "output.tar.gz") == {
        "algo-1.json": '["a.csv", "deep/c.csv"]',
        "algo-2.json": '["b.csv"]',
    }
    (metric,) = told["FinalMetricDataList"]
    assert (metric["MetricName"], metric["Value"]) == ("objects", 2.0)
    assert told["ModelArtifacts"]["S3ModelArtifacts"].endswith("/out/distributed/output/model.tar.gz")
    assert told["TrainingTimeInSeconds"] == told["BillableTimeInSeconds"] >= 1
    log = training.log("distributed")
    assert "algo-1 objects=2;" in log["algo-1"]
    assert "algo-2 objects=1;" in log["algo-2"]

    events = training.events("distributed")
    assert [event["SecondaryStatus"] for event in events] == went_through(told)
    assert events[-1]["TrainingJobStatus"] == "Completed"
    assert events[-1]["Tags"] == {"team": "trees"}
    assert events[-1]["TrainingEndTime"] == told["TrainingEndTime"].timestamp() * 1000
    listed = training.client.list_tags(ResourceArn=told["TrainingJobArn"])["Tags"]
    assert listed == [{"Key": "team", "Value": "trees"}]


def test_a_spot_job_goes_on_from_its_checkpoints_after_an_interruption(training: Training) -> None:
    training.cloud.faults.interrupt_spot("resumes", at="is kept", times=2)
    told = training.run(
        "resumes",
        RESUMES,
        EnableManagedSpotTraining=True,
        StoppingCondition={"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 60},
        CheckpointConfig={"S3Uri": f"s3://{training.bucket}/checkpoints/resumes"},
    )
    attempt = ["Starting", "Downloading", "Training"]
    assert went_through(told) == [
        *[*attempt, "Interrupted"] * 2,
        *attempt,
        "Uploading",
        "Completed",
    ]
    assert training.kept("resumes") == {"steps.json": '["step-0", "step-1"]'}


def test_a_job_that_fails_tells_why(training: Training) -> None:
    told = training.run("tells-why", TELLS_WHY)
    assert told["TrainingJobStatus"] == "Failed"
    # The toolkit leaves the failure file of a script as it is, and always ends with 1.
    assert told["FailureReason"] == "AlgorithmError: max_depth must not be negative, exit code: 1"
    assert training.events("tells-why")[-1]["FailureReason"] == told["FailureReason"]
    assert "the last words" in training.log("tells-why")["algo-1"]


def test_an_error_that_a_script_does_not_tell_is_told_by_its_command(training: Training) -> None:
    told = training.run("raises", "raise ValueError('in the log')")
    assert told["FailureReason"].startswith("AlgorithmError: ExecuteUserScriptError:\nExitCode 1\n")
    assert told["FailureReason"].endswith(' train.py", exit code: 1')
    assert "ValueError: in the log" in training.log("raises")["algo-1"]


def test_when_one_host_fails_the_others_are_ended(training: Training) -> None:
    script = (
        "import os, signal, sys\nsys.exit(1) if os.environ['SM_CURRENT_HOST'] == 'algo-2' else signal.pause()"
    )
    told = training.run(
        "one-fails",
        script,
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 1},
    )
    assert told["TrainingJobStatus"] == "Failed"
    assert "exit code: 1" in told["FailureReason"]


def test_pipes_are_fed_once_for_each_epoch(training: Training) -> None:
    for name in ("a", "b"):
        training.put(f"data/pipes/{name}.gz", gzip.compress(f"{name}\n".encode()))
    told = training.run(
        "pipes",
        READS_PIPES,
        InputDataConfig=[training.channel("train", "data/pipes/", InputMode="Pipe", CompressionType="Gzip")],
    )
    assert told["TrainingJobStatus"] == "Completed"
    assert training.kept("pipes") == {"epochs.json": '["a\\nb\\n", "a\\nb\\n"]'}


# ── how a job is ended ────────────────────────────────────────────────────────────────────────────────


def test_what_a_stopped_job_has_made_is_kept(training: Training) -> None:
    begun = threading.Event()

    def look(event: Mapping[str, Any], _: str) -> None:
        if event["detail"].get("object", {}).get("key") == "checkpoints/stopped/begun":
            begun.set()

    training.cloud.on_event(look)
    checkpoints = {"S3Uri": f"s3://{training.bucket}/checkpoints/stopped"}
    training.client.create_training_job(**training.request("stopped", WAITS, CheckpointConfig=checkpoints))
    # Copied while the job runs.
    assert begun.wait(30)
    training.client.stop_training_job(TrainingJobName="stopped")
    told = training.end("stopped")
    assert told["TrainingJobStatus"] == "Stopped"
    assert went_through(told) == ["Starting", "Downloading", "Training", "Stopping", "Stopped"]
    assert training.kept("stopped") == {"half.txt": "half of it"}
    with pytest.raises(ClientError, match="rejected because the training job is in status Stopped"):
        training.client.stop_training_job(TrainingJobName="stopped")


def test_a_job_ends_when_its_time_is_over_and_a_spot_job_waits_as_long_as_it_may(training: Training) -> None:
    on_g5 = {"InstanceType": "ml.g5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 1}
    checkpoints = {"S3Uri": f"s3://{training.bucket}/checkpoints/limited"}
    limit = {"MaxRuntimeInSeconds": 3}
    training.cloud.faults.no_capacity("ml.g5.xlarge", times=1000)
    training.client.create_training_job(
        **training.request(
            "no-spot",
            "pass",
            ResourceConfig=on_g5,
            EnableManagedSpotTraining=True,
            StoppingCondition={"MaxRuntimeInSeconds": 1, "MaxWaitTimeInSeconds": 1},
        )
    )
    told = training.run("limited", WAITS, CheckpointConfig=checkpoints, StoppingCondition=limit)
    training.cloud.faults.clear()
    assert (told["TrainingJobStatus"], told["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    assert training.kept("limited") == {"half.txt": "half of it"}
    assert went_through(training.end("no-spot")) == ["Starting", "Stopping", "MaxWaitTimeExceeded"]


def test_without_capacity_a_job_fails(training: Training) -> None:
    on_m4 = {"InstanceType": "ml.m4.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 1}
    training.cloud.faults.no_capacity("ml.m4.xlarge")
    told = training.run("no-capacity", "pass", ResourceConfig=on_m4)
    assert told["FailureReason"].startswith(
        "CapacityError: Unable to provision requested ML compute capacity."
    )


# ── rights and refusals ───────────────────────────────────────────────────────────────────────────────


def test_what_the_role_may_not_read_or_write_fails_the_job(training: Training) -> None:
    training.put("secret/plan.csv", "x")
    told = training.run("reads-secrets", "pass", InputDataConfig=[training.channel("train", "secret/")])
    assert told["FailureReason"].startswith(
        f"ClientError: Data download failed:Unable to download object s3://{training.bucket}/secret/plan.csv"
    )
    assert "AccessDenied" in told["FailureReason"]

    locked = {"S3OutputPath": f"s3://{training.bucket}/locked"}
    told = training.run("writes-locked", MAKES_A_MODEL, OutputDataConfig=locked)
    assert told["FailureReason"].startswith("ClientError: Artifact upload failed:")


def test_what_sagemaker_refuses_is_refused(training: Training) -> None:
    training.put("data/one/a.csv", "1")
    channel = training.channel("train", "data/one/")
    bucket, times = training.bucket, {"MaxRuntimeInSeconds": 60}
    refused: list[tuple[dict[str, Any], str]] = [
        (
            {"InputDataConfig": [training.channel("train", "nothing/")]},
            f'under S3 URL "s3://{bucket}/nothing/"',
        ),
        ({"InputDataConfig": [channel, channel]}, "must be unique"),
        ({"InputDataConfig": [{**channel, "CompressionType": "Gzip"}]}, "for Pipe mode only"),
        ({"RoleArn": "arn:aws:iam::123456789012:role/nobody"}, "Could not assume role"),
        ({"EnableManagedSpotTraining": True}, "Invalid MaxWaitTimeInSeconds. It must be present"),
        (
            {"StoppingCondition": {**times, "MaxWaitTimeInSeconds": 60}},
            "only supported when EnableManagedSpotTraining",
        ),
        (
            {"EnableManagedSpotTraining": True, "StoppingCondition": {**times, "MaxWaitTimeInSeconds": 59}},
            "greater than or equal to MaxRuntimeInSeconds",
        ),
        ({"ResourceConfig": {"InstanceCount": 1, "VolumeSizeInGB": 1}}, "must have InstanceType"),
        ({"CheckpointConfig": {"S3Uri": "s3://b/c", "LocalPath": "/elsewhere"}}, "not simulated"),
        ({"RetryStrategy": {"MaximumRetryAttempts": 2}}, "not simulated"),
    ]
    for more, words in refused:
        with pytest.raises(ClientError, match=words):
            training.client.create_training_job(**training.request("refused", **more))
    with pytest.raises(ClientError, match="Requested resource not found"):
        training.client.describe_training_job(TrainingJobName="refused")


def test_a_name_is_taken_for_ever_and_jobs_are_listed(training: Training) -> None:
    training.run("listed-1", "pass")
    training.run("listed-2", "raise SystemExit(1)")
    with pytest.raises(ClientError, match="Training job names must be unique") as refused:
        training.client.create_training_job(**training.request("listed-2", "pass"))
    assert refused.value.response["Error"]["Code"] == "ResourceInUse"

    def names(**more: Any) -> list[str]:
        pages = training.client.get_paginator("list_training_jobs").paginate(NameContains="listed", **more)
        return [each["TrainingJobName"] for page in pages for each in page["TrainingJobSummaries"]]

    assert names(PaginationConfig={"PageSize": 1}) == ["listed-2", "listed-1"]
    assert names(SortBy="Name", SortOrder="Ascending") == ["listed-1", "listed-2"]
    assert names(StatusEquals="Failed") == ["listed-2"]


# ── without a cloud ───────────────────────────────────────────────────────────────────────────────────


def test_the_algorithm_of_xgboost_trains_with_no_cloud_at_all(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    with (data / "rows.csv").open("w", newline="") as file:
        csv.writer(file).writerows([[x % 2, x % 2, x] for x in range(40)])
    lines: list[str] = []
    description = TrainingDescription(
        name="algorithm",
        image=XGBOOST,
        hyperparameters={"num_round": "3", "objective": "binary:logistic", "eval_metric": "logloss,error"},
        channels=[Channel("train", LocalFolder(data), content_type="text/csv")],
        metrics=[MetricDefinition("train:error", r".*\[[0-9]+\].*#011train-error:([0-9.]+)")],
    )
    outcome = run_in_folder(description, tmp_path / "run", lambda _, line: lines.append(line))
    assert outcome.succeeded, lines
    assert [(metric.name, metric.value) for metric in outcome.metrics] == [("train:error", 0.0)]
    assert outcome.model is not None
    with tarfile.open(outcome.model) as tar:
        assert tar.getnames() == ["xgboost-model"]
    assert [line.partition("#011")[0] for line in lines if "#011" in line] == ["[0]", "[1]", "[2]"]
