"""What the examples' demos have in common: a local cloud, someone who tells what happens, and expectations.

Everything that a story shows was read back from the running system, through the APIs that AWS has too.
What it comes to is written to a JSON file; it is well only if every expectation held.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from localcloud import LocalCloud, LocalCloudError, Pace
from modelgate.errors import Refused
from modelgate.run import JOB_FILE
from modelgate_cli.archive import write_tarball
from modelgate_cli.training_folder import read as read_training_folder

TEMPLATE = Path(__file__).parents[1] / "template.yaml"
_LISTENER = "demo"
# Waiting is for conditions; this is when it is given up.
_PATIENCE = 30.0
_GLANCE = 0.05
_LINES = 3

T = TypeVar("T")
S = TypeVar("S", bound="Story")


class Unexpected(Exception):
    """What was read back is not what the story says."""


def pace() -> Pace:
    """Slow enough to see the states pass by, fast enough to watch to the end."""
    return Pace(
        creating=0.6,
        updating=0.8,
        rolling_back=1.0,
        deleting=0.5,
        event_delay=0.1,
        function_retries=(1.0, 2.0),
        target_retry=1.0,
        container_start_limit=60.0,
        container_stop_grace=5.0,
        starting_training=0.6,
        studio=0.4,
    )


@dataclass
class Story:
    """What the chapters work with, and what they have come to so far.

    Attributes:
        folder: for what is written on the way.
        pages: where reports are kept.
    """

    cloud: LocalCloud
    console: Console
    folder: Path
    began: float
    pages: Path
    queue: str = ""
    announcements: list[dict[str, Any]] = field(default_factory=list)

    def facts(self) -> dict[str, Any]:
        """What it has come to besides the announcements; looked up."""
        return {}

    # ── telling ───────────────────────────────────────────────────────────────────────────────
    def chapter(self, title: str) -> None:
        self.console.print()
        self.console.print(Rule(Text(title, "bold"), align="left", style="dim"))

    def tell(self, who: str, words: str, style: str = "") -> None:
        passed = time.monotonic() - self.began
        when, speaker = Text(f"{passed:5.1f} s", "dim"), Text(f"{who:<13}", style)
        if not self.console.is_terminal:
            self.console.print(Text("  ").join((when, speaker, Text(words))), soft_wrap=True)
            return
        line = Table.grid(padding=(0, 2))
        line.add_column(no_wrap=True)
        line.add_column(no_wrap=True)
        line.add_column(overflow="fold")
        line.add_row(when, speaker, words)
        self.console.print(line)

    # ── waiting ───────────────────────────────────────────────────────────────────────────────
    def wait_for(self, what: str, look: Callable[[], T | None], patience: float = _PATIENCE) -> T:
        """What ``look`` finds, as soon as it is not None; the announcements that come meanwhile are told."""
        end = time.monotonic() + patience
        while (found := look()) is None:
            if time.monotonic() > end:
                raise Unexpected(f"{what} did not come within {patience:g} seconds")
            self.listen(_GLANCE)
        return found

    def wait_for_announcement(
        self, kind: str, about: Callable[[dict[str, Any]], bool], patience: float = _PATIENCE
    ) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            told = (each for each in self.announcements if each["kind"] == kind and about(each))
            return next(told, None)

        return self.wait_for(f"the announcement {kind!r}", look, patience)

    def listen(self, pause: float) -> None:
        """Takes what has come into the queue; waits as long as ``pause`` seconds where there is nothing."""
        sqs = self.cloud.client("sqs")
        received = sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10).get("Messages", [])
        for message in received:
            event = json.loads(message["Body"])
            detail = event["detail"]
            known = any(each["id"] == detail["id"] for each in self.announcements)
            if not known:  # announcements are delivered at least once
                self.announcements.append({"kind": event["detail-type"], "time": event["time"], **detail})
                self.tell("announcement", f"{event['detail-type']}: {detail['message']}", "bold green")
            sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
        if not received:
            time.sleep(pause)

    def expect(self, what: str, found: object, wanted: object) -> None:
        if found != wanted:
            raise Unexpected(f"{what} is {found!r}, and should be {wanted!r}")


@dataclass
class ModelStory(Story):
    """A story about a group and its endpoint, which have the same name."""

    group: str = ""
    predictions: list[dict[str, Any]] = field(default_factory=list)

    def facts(self) -> dict[str, Any]:
        """What the endpoint answered, and the group's versions."""
        return {"endpoint": self.group, "versions": self.versions(), "predictions": self.predictions}

    def endpoint(self) -> dict[str, Any]:
        """The endpoint as DescribeEndpoint has it; empty while there is none."""
        try:
            answer: dict[str, Any] = self.cloud.client("sagemaker").describe_endpoint(EndpointName=self.group)
        except ClientError as error:
            if error.response["Error"]["Code"] == "ValidationException":
                return {}
            raise
        return answer

    def live_version(self) -> int:
        """The version that the endpoint serves, followed from the endpoint to the package."""
        sagemaker = self.cloud.client("sagemaker")
        config = sagemaker.describe_endpoint_config(EndpointConfigName=self.endpoint()["EndpointConfigName"])
        model = sagemaker.describe_model(ModelName=config["ProductionVariants"][0]["ModelName"])
        return int(model["PrimaryContainer"]["ModelPackageName"].rpartition("/")[2])

    def versions(self) -> list[dict[str, Any]]:
        """The group's versions as the registry has them now, oldest first."""
        listed = self.cloud.client("sagemaker").list_model_packages(
            ModelPackageGroupName=self.group, SortBy="CreationTime", SortOrder="Ascending"
        )
        return [
            {"version": each["ModelPackageVersion"], "approval": each["ModelApprovalStatus"]}
            for each in listed["ModelPackageSummaryList"]
        ]

    def remember(self, flower: str, answer: list[str], status: str) -> None:
        """Notes a prediction, and which version the endpoint served around it."""
        served = self.live_version()
        prediction = {"input": flower, "output": answer, "version": served, "endpoint_status": status}
        self.predictions.append(prediction)


# ── what a chapter is made of ─────────────────────────────────────────────────────────────────────
def subscribe(cloud: LocalCloud) -> str:
    """A queue that gets every announcement; made as any user of a stack would make it. Returns its URL."""
    sqs, events = cloud.client("sqs"), cloud.client("events")
    url: str = sqs.create_queue(QueueName=_LISTENER)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    bus = cloud.outputs["Bus"]
    pattern = json.dumps({"source": ["modelgate"]})
    events.put_rule(Name=_LISTENER, EventBusName=bus, EventPattern=pattern)
    events.put_targets(Rule=_LISTENER, EventBusName=bus, Targets=[{"Id": "queue", "Arn": arn}])
    return url


def upload(story: ModelStory, name: str, files: Iterable[Path]) -> None:
    """Uploads the files of a submission."""
    for file in files:
        key = f"models/{story.group}/{name}/{file.name}"
        story.cloud.client("s3").upload_file(str(file), story.cloud.outputs["Bucket"], key)
        story.tell("S3", f"{key} is uploaded ({file.stat().st_size} bytes)")


def ask_for_training(story: ModelStory, run: str, path: Path, hyperparameters: Mapping[str, Any]) -> None:
    """Uploads a folder with a `job.yaml`, as `modelgate train` does: the document comes last."""
    folder = read_training_folder(path, hyperparameters)
    files = dict(folder.uploads)
    if folder.job.script is not None and folder.code:
        packed = files[folder.job.script.source] = story.folder / f"{run}-code.tar.gz"
        with packed.open("wb") as stream:
            write_tarball(stream, folder.code, lambda _: None)
    s3, bucket = story.cloud.client("s3"), story.cloud.outputs["Bucket"]
    above = f"training/{story.group}/{run}"
    for name, file in files.items():
        s3.upload_file(str(file), bucket, f"{above}/{name}")
        story.tell("S3", f"{above}/{name} is uploaded ({file.stat().st_size} bytes)")
    s3.put_object(Bucket=bucket, Key=f"{above}/{JOB_FILE}", Body=folder.document)
    story.tell("S3", f"{above}/{JOB_FILE} is uploaded, and that starts the training")


def follow_the_training(story: ModelStory, run: str) -> dict[str, Any]:
    """Tells how the job goes, and what its containers write; the announcement of its end."""
    started = story.wait_for_announcement("Training Started", lambda each: each.get("run") == run)
    job = started["job"]
    sagemaker, seen = story.cloud.client("sagemaker"), ""

    def ended() -> dict[str, Any] | None:
        nonlocal seen
        status = sagemaker.describe_training_job(TrainingJobName=job)["SecondaryStatus"]
        if status != seen:
            story.tell("training job", f"{job} is {status}", "blue")
        seen = status
        told = (each for each in story.announcements if each["kind"] == "Training Finished")
        return next((each for each in told if each["run"] == run), None)

    finished = story.wait_for(f"the end of the training job {job}", ended)
    for line in last_lines_of_job(story, job):
        story.tell("log", line, "dim")
    return finished


def last_lines_of_job(story: ModelStory, job: str) -> list[str]:
    """What the first host of a training job wrote."""
    logs, group = story.cloud.client("logs"), "/aws/sagemaker/TrainingJobs"
    streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{job}/")["logStreams"]
    events = logs.get_log_events(logGroupName=group, logStreamName=streams[0]["logStreamName"])["events"]
    return [event["message"] for event in events][-_LINES:]


def transform(story: ModelStory, run: str, rows: str) -> list[str]:
    """The lines that a batch transform with the version that is live answers to rows of CSV."""
    s3, bucket = story.cloud.client("s3"), story.cloud.outputs["Bucket"]
    above = f"transforms/{story.group}/{run}"
    s3.put_object(Bucket=bucket, Key=f"{above}/input/rows.csv", Body=rows.encode())
    document = {
        "input": {"location": "input/", "content_type": "text/csv", "split": "line"},
        "output": {"accept": "text/csv"},
    }
    s3.put_object(Bucket=bucket, Key=f"{above}/{JOB_FILE}", Body=json.dumps(document).encode())
    story.tell("S3", f"{above}/{JOB_FILE} is uploaded, with {len(rows.splitlines())} rows beside it")
    told = story.wait_for_announcement("Transform Finished", lambda each: each.get("run") == run)
    story.tell("transform job", f"{told['job']} is completed with version {told['version']}", "blue")
    story.expect("the version that the transform asked", told["version"], story.live_version())
    _, _, key = told["output"].removeprefix("s3://").partition("/")
    answer = s3.get_object(Bucket=bucket, Key=f"{key}rows.csv.out")
    with answer["Body"] as stream:
        return str(stream.read().decode()).splitlines()


def tell_the_verdict(story: ModelStory, name: str) -> None:
    """The gate's verdict, from the report in the bucket."""
    key = f"reports/{story.group}/{name}/report.json"
    answer = story.cloud.client("s3").get_object(Bucket=story.cloud.outputs["Bucket"], Key=key)
    with answer["Body"] as stream:
        report = json.loads(stream.read())
    for check in report["verdict"]["checks"]:
        word, style = ("passed", "green") if check["passed"] else ("not met", "red")
        story.tell("gate", f"{word}: {check['metric']} {check['found']:.3f}, {check['demand']}", style)
    page = story.pages / f"{story.group}-{name}.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    bucket = story.cloud.outputs["Bucket"]
    story.cloud.client("s3").download_file(bucket, f"reports/{story.group}/{name}/report.html", str(page))
    story.tell("report", f"{page} is the page that the announcement links to")


def describe_version(story: ModelStory, version: int) -> dict[str, Any]:
    sagemaker = story.cloud.client("sagemaker")
    listed = sagemaker.list_model_packages(ModelPackageGroupName=story.group)["ModelPackageSummaryList"]
    arn = next(each["ModelPackageArn"] for each in listed if each["ModelPackageVersion"] == version)
    answer: dict[str, Any] = sagemaker.describe_model_package(ModelPackageName=arn)
    return answer


def decide(story: ModelStory, version: int, status: str, words: str) -> None:
    """What an operator does in the console."""
    package = describe_version(story, version)
    story.cloud.client("sagemaker").update_model_package(
        ModelPackageArn=package["ModelPackageArn"], ModelApprovalStatus=status, ApprovalDescription=words
    )
    approval = describe_version(story, version)["ModelApprovalStatus"]
    story.tell("operator", f"version {version} of {story.group} is {approval} now: {words}", "yellow")


def follow_the_endpoint(story: ModelStory, *, version: int) -> None:
    """Tells each status of the endpoint until this version is announced as live, and looks that it is."""
    seen = ""
    before = sum(each["kind"] == "Release Live" for each in story.announcements)

    def arrived() -> bool | None:
        nonlocal seen
        endpoint = story.endpoint()
        status = endpoint.get("EndpointStatus", "")
        if status and status != seen:
            config = endpoint.get("EndpointConfigName", "")
            story.tell("endpoint", f"{story.group} is {status} with {config}", "blue")
        seen = status or seen
        live = [each for each in story.announcements if each["kind"] == "Release Live"]
        return True if len(live) > before and live[-1]["version"] == version else None

    story.wait_for(f"version {version} on endpoint {story.group}", arrived)
    story.expect("the endpoint's status", story.endpoint()["EndpointStatus"], "InService")
    story.expect("the version that the endpoint serves", story.live_version(), version)


def ask(story: ModelStory, body: str) -> Any:
    """What the endpoint answers to a row of CSV; read from JSON."""
    answer = story.cloud.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=story.group, ContentType="text/csv", Accept="application/json", Body=body.encode()
    )
    with answer["Body"] as stream:
        return json.loads(stream.read())


def no_event_is_left(story: Story) -> None:
    """Nothing is in flight, and nothing waits in a dead-letter queue."""
    story.cloud.settle(timeout=_PATIENCE)
    story.listen(0)
    for output in ("UndeliveredEventsQueue", "FailedInvocationsQueue"):
        asked = ["ApproximateNumberOfMessages"]
        answer = story.cloud.client("sqs").get_queue_attributes(
            QueueUrl=story.cloud.outputs[output], AttributeNames=asked
        )
        story.expect(f"the number of messages in {output}", answer["Attributes"][asked[0]], "0")
    story.tell("SQS", "no event is in a dead-letter queue")


# ── from beginning to end ─────────────────────────────────────────────────────────────────────────
def run(make: Callable[..., S], tell: Callable[[S], None], console: Console, out: Path) -> bool:
    """Tells a story on a local cloud of its own, and writes what it came to; whether all held.

    Args:
        make: makes the story, of what every story has.
    """
    began = time.monotonic()
    result: dict[str, Any] = {"ok": False, "seconds": 0.0, "reason": "it broke off"}
    try:
        with TemporaryDirectory() as folder, LocalCloud(TEMPLATE, pace=pace()) as cloud:
            pages = out.parent / "reports"
            story = make(cloud=cloud, console=console, folder=Path(folder), began=began, pages=pages)
            result |= {"announcements": story.announcements}
            try:
                tell(story)
            finally:
                with suppress(ClientError, BotoCoreError):  # what broke the story off is told, not this
                    result |= story.facts()
            result["ok"] = True
            del result["reason"]
    except (Unexpected, Refused, LocalCloudError, ClientError, BotoCoreError) as error:
        result |= {"ok": False, "reason": " ".join(str(error).split())}
    finally:
        result["seconds"] = round(time.monotonic() - began, 1)
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n")
    console.print()
    if result["ok"]:
        words, style = (
            f"Every expectation held, in {result['seconds']} s; {out} has the details.",
            "bold green",
        )
    else:
        words, style = f"It went otherwise: {result['reason']}: see {out}.", "bold red"
    console.print(Text(words, style), soft_wrap=True)
    return bool(result["ok"])


def main(make: Callable[..., S], tell: Callable[[S], None], out: Path) -> int:
    """A story as a program; its exit code."""
    parser = argparse.ArgumentParser(description="Tell a story on the local cloud.")
    parser.add_argument("--out", type=Path, default=out, help="where to write what it came to")
    told = parser.parse_args()
    return 0 if run(make, tell, Console(highlight=False, markup=False, emoji=False), told.out) else 1
