"""The whole story on the local cloud: from three trained trees to an endpoint that goes back by itself.

    python -m examples.iris.demo

Everything that it shows was read back from the running system, through the APIs that AWS has too. What
it comes to is written to ``build/demo.json``; the exit code is 0 only if every expectation held.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from localcloud import LocalCloud, LocalCloudError, Pace
from modelgate.errors import Refused
from modelgate.submission import SmokeTest
from modelgate_cli.pack import Packed, pack

if TYPE_CHECKING:
    from examples.iris.train import Trained

_HERE = Path(__file__).parent
_ROOT = _HERE.parents[1]
TEMPLATE = _ROOT / "template.yaml"
RESULT = Path("build", "demo.json")

GROUP = ENDPOINT = "iris"
SKLEARN = "1.9-0"
# Waiting is for conditions; this is when it is given up.
_PATIENCE = 30.0
_GLANCE = 0.05

# One flower of each species, with measures that no tree has seen exactly.
FLOWERS = {"5.0,3.4,1.5,0.2": "setosa", "5.9,2.8,4.3,1.3": "versicolor", "6.6,3.0,5.7,2.2": "virginica"}

T = TypeVar("T")


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
    )


@dataclass
class Story:
    """What the chapters work with, and what they have come to so far."""

    cloud: LocalCloud
    console: Console
    folder: Path
    began: float
    pages: Path
    queue: str = ""
    predictions: list[dict[str, Any]] = field(default_factory=list)
    announcements: list[dict[str, Any]] = field(default_factory=list)

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
    def wait_for(self, what: str, look: Callable[[], T | None]) -> T:
        """What ``look`` finds, as soon as it is not None; the announcements that come meanwhile are told."""
        end = time.monotonic() + _PATIENCE
        while (found := look()) is None:
            if time.monotonic() > end:
                raise Unexpected(f"{what} did not come within {_PATIENCE:g} seconds")
            self.listen(_GLANCE)
        return found

    def wait_for_announcement(self, kind: str, about: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            told = (each for each in self.announcements if each["kind"] == kind and about(each))
            return next(told, None)

        return self.wait_for(f"the announcement {kind!r}", look)

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

    # ── looking ───────────────────────────────────────────────────────────────────────────────
    def endpoint(self) -> dict[str, Any]:
        """The endpoint as DescribeEndpoint has it; empty while there is none."""
        try:
            answer: dict[str, Any] = self.cloud.client("sagemaker").describe_endpoint(EndpointName=ENDPOINT)
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
            ModelPackageGroupName=GROUP, SortBy="CreationTime", SortOrder="Ascending"
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

    def expect(self, what: str, found: object, wanted: object) -> None:
        if found != wanted:
            raise Unexpected(f"{what} is {found!r}, and should be {wanted!r}")


# ── the chapters ──────────────────────────────────────────────────────────────────────────────────
def tell(story: Story) -> None:
    """The story, from beginning to end."""
    a_cloud_with_a_stack_and_a_policy(story)
    a_tree_passes_the_gate(story, depth=2, version=1)
    an_operator_approves_it_and_it_is_served(story)
    a_better_tree_passes_the_gate(story)
    overwriting_the_upload_changes_nothing(story)
    the_endpoint_answers_while_it_moves(story)
    a_worse_tree_is_refused(story)
    rejecting_what_is_live_goes_back(story)
    nothing_is_left_undone(story)


def a_cloud_with_a_stack_and_a_policy(story: Story) -> None:
    story.chapter("AWS on this machine, with the stack of template.yaml")
    cloud = story.cloud
    story.tell("local cloud", f"answers at {cloud.url}; any AWS client can use it with AWS_ENDPOINT_URL")
    story.queue = subscribe(cloud)
    story.tell("SQS", "a queue of the user's own listens to the announcements")
    policy = _HERE / "policy.yaml"
    cloud.client("s3").upload_file(str(policy), cloud.outputs["Bucket"], f"policies/{GROUP}.yaml")
    story.tell("S3", f"policies/{GROUP}.yaml is uploaded: what the group {GROUP} demands of a version")
    story.wait_for_announcement("Policy Accepted", lambda each: each["group"] == GROUP)


def a_tree_passes_the_gate(story: Story, *, depth: int, version: int) -> None:
    story.chapter(f"A data scientist submits a tree of depth {depth}")
    name = submit(story, depth)
    told = story.wait_for_announcement("Model Registered", lambda each: each["submission"] == name)
    story.expect("the version that was registered", told["version"], version)
    tell_the_verdict(story, name)
    described = describe_version(story, version)
    approval = described["ModelApprovalStatus"]
    story.tell("registry", f"version {version} of {GROUP} is {approval}", "blue")
    story.expect(f"the approval of version {version}", approval, "PendingManualApproval")


def an_operator_approves_it_and_it_is_served(story: Story) -> None:
    story.chapter("An operator approves version 1, and an endpoint is made for it")
    decide(story, 1, "Approved", "Good enough to begin with")
    follow_the_endpoint(story, version=1)
    predict(story)


def a_better_tree_passes_the_gate(story: Story) -> None:
    a_tree_passes_the_gate(story, depth=4, version=2)


def overwriting_the_upload_changes_nothing(story: Story) -> None:
    story.chapter("Somebody overwrites the upload of version 2, which is registered already")
    key = f"models/{GROUP}/depth-4/model.tar.gz"
    story.cloud.client("s3").put_object(
        Bucket=story.cloud.outputs["Bucket"], Key=key, Body=b"no model at all"
    )
    story.tell("S3", f"{key} is overwritten")
    told = story.wait_for_announcement("Submission Refused", lambda each: each["submission"] == "depth-4")
    story.expect("the version that stays", told["version"], 2)
    specification = describe_version(story, 2)["InferenceSpecification"]
    url = specification["Containers"][0]["ModelDataUrl"]
    story.tell("registry", f"version 2 points at what was judged: {url}", "blue")
    story.expect("whose part of the bucket that is", url.split("/")[3], "registered")


def the_endpoint_answers_while_it_moves(story: Story) -> None:
    story.chapter("Version 2 is approved, and the endpoint answers while it is updated")
    decide(story, 2, "Approved", "Better than what is live")

    def moving() -> str | None:
        status = story.endpoint()["EndpointStatus"]
        return status if status == "Updating" else None

    story.wait_for("the update", moving)
    flower, species = next(iter(FLOWERS.items()))
    answer = ask(story, flower)
    status = story.endpoint()["EndpointStatus"]
    story.expect("the endpoint's status around that prediction", status, "Updating")
    story.expect(f"the answer to {flower}", answer, [species])
    story.remember(flower, answer, status)
    story.tell("runtime", f"while {status}: {flower} → {answer[0]}", "cyan")
    follow_the_endpoint(story, version=2)
    predict(story)


def a_worse_tree_is_refused(story: Story) -> None:
    story.chapter("A tree of depth 1 is worse, and the gate says so")
    before = story.versions()
    name = submit(story, 1)
    told = story.wait_for_announcement("Submission Refused", lambda each: each["submission"] == name)
    tell_the_verdict(story, name)
    for reason in told["reasons"]:
        story.tell("reason", reason, "red")
    story.expect("the number of reasons", len(told["reasons"]), 2)
    story.expect("the versions in the registry", story.versions(), before)


def rejecting_what_is_live_goes_back(story: Story) -> None:
    story.chapter("Version 2 is rejected while it is live, and the endpoint goes back")
    decide(story, 2, "Rejected", "The greenhouse complains")
    follow_the_endpoint(story, version=1)
    predict(story)


def nothing_is_left_undone(story: Story) -> None:
    story.chapter("What it came to")
    story.cloud.settle(timeout=_PATIENCE)
    story.listen(0)
    approvals = {each["version"]: each["approval"] for each in story.versions()}
    for version, approval in approvals.items():
        story.tell("registry", f"version {version} of {GROUP} is {approval}", "blue")
    story.expect("the approvals", approvals, {1: "Approved", 2: "Rejected"})
    kinds = [each["kind"] for each in story.announcements if each["kind"] != "Submission Waiting"]
    released = ["Model Registered", "Release Live"]
    told = ["Policy Accepted", *released, "Model Registered", "Submission Refused", "Release Live"]
    told += ["Submission Refused", "Release Live"]
    story.expect("the announcements", kinds, told)
    for output in ("UndeliveredEventsQueue", "FailedInvocationsQueue"):
        asked = ["ApproximateNumberOfMessages"]
        answer = story.cloud.client("sqs").get_queue_attributes(
            QueueUrl=story.cloud.outputs[output], AttributeNames=asked
        )
        story.expect(f"the number of messages in {output}", answer["Attributes"][asked[0]], "0")
    story.tell("SQS", "no event is in a dead-letter queue")


# ── what a chapter is made of ─────────────────────────────────────────────────────────────────────
def subscribe(cloud: LocalCloud) -> str:
    """A queue that gets every announcement; made as any user of a stack would make it. Returns its URL."""
    sqs, events = cloud.client("sqs"), cloud.client("events")
    url: str = sqs.create_queue(QueueName="iris-demo")["QueueUrl"]
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
    events.put_rule(Name="iris-demo", EventBusName=bus, EventPattern=pattern)
    events.put_targets(Rule="iris-demo", EventBusName=bus, Targets=[{"Id": "queue", "Arn": arn}])
    return url


def submit(story: Story, depth: int) -> str:
    """Trains, packs and uploads a tree. Returns the submission's name."""
    from examples.iris.train import train

    folder = story.folder / f"depth-{depth}"
    trained = train(depth, folder)
    metrics = ", ".join(f"{name} {value:.3f}" for name, value in trained.metrics.items())
    story.tell("scikit-learn", f"a tree of depth {depth} is trained: {metrics}")
    packed = pack_tree(trained, depth, folder / "submission")
    name = f"depth-{depth}"
    for file in packed.files:
        key = f"models/{GROUP}/{name}/{file.name}"
        story.cloud.client("s3").upload_file(str(file), story.cloud.outputs["Bucket"], key)
        story.tell("S3", f"{key} is uploaded ({file.stat().st_size} bytes)")
    return name


def pack_tree(trained: Trained, depth: int, out: Path) -> Packed:
    """The submission of a trained tree, with the example's own inference script."""
    return pack(
        trained.model,
        framework="sklearn",
        version=SKLEARN,
        script=_HERE / "inference.py",
        metrics=trained.metrics,
        content_types=["text/csv", "application/json"],
        response_types=["application/json", "text/csv"],
        smoke_test=SmokeTest(content_type="text/csv", body="5.1,3.5,1.4,0.2", expect="setosa"),
        description=f"Iris tree, depth {depth}",
        out=out,
        overwrite=True,
    )


def tell_the_verdict(story: Story, name: str) -> None:
    """The gate's verdict, from the report in the bucket."""
    key = f"reports/{GROUP}/{name}/report.json"
    answer = story.cloud.client("s3").get_object(Bucket=story.cloud.outputs["Bucket"], Key=key)
    with answer["Body"] as stream:
        report = json.loads(stream.read())
    for check in report["verdict"]["checks"]:
        word, style = ("passed", "green") if check["passed"] else ("not met", "red")
        story.tell("gate", f"{word}: {check['metric']} {check['found']:.3f}, {check['demand']}", style)
    page = story.pages / f"{GROUP}-{name}.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    bucket = story.cloud.outputs["Bucket"]
    story.cloud.client("s3").download_file(bucket, f"reports/{GROUP}/{name}/report.html", str(page))
    story.tell("report", f"{page} is the page that the announcement links to")


def describe_version(story: Story, version: int) -> dict[str, Any]:
    sagemaker = story.cloud.client("sagemaker")
    listed = sagemaker.list_model_packages(ModelPackageGroupName=GROUP)["ModelPackageSummaryList"]
    arn = next(each["ModelPackageArn"] for each in listed if each["ModelPackageVersion"] == version)
    answer: dict[str, Any] = sagemaker.describe_model_package(ModelPackageName=arn)
    return answer


def decide(story: Story, version: int, status: str, words: str) -> None:
    """What an operator does in the console."""
    package = describe_version(story, version)
    story.cloud.client("sagemaker").update_model_package(
        ModelPackageArn=package["ModelPackageArn"], ModelApprovalStatus=status, ApprovalDescription=words
    )
    approval = describe_version(story, version)["ModelApprovalStatus"]
    story.tell("operator", f"version {version} of {GROUP} is {approval} now: {words}", "yellow")


def follow_the_endpoint(story: Story, *, version: int) -> None:
    """Tells each status of the endpoint until this version is announced as live, and looks that it is."""
    seen = ""
    before = sum(each["kind"] == "Release Live" for each in story.announcements)

    def arrived() -> bool | None:
        nonlocal seen
        endpoint = story.endpoint()
        status = endpoint.get("EndpointStatus", "")
        if status and status != seen:
            config = endpoint.get("EndpointConfigName", "")
            story.tell("endpoint", f"{ENDPOINT} is {status} with {config}", "blue")
        seen = status or seen
        live = [each for each in story.announcements if each["kind"] == "Release Live"]
        return True if len(live) > before and live[-1]["version"] == version else None

    story.wait_for(f"version {version} on endpoint {ENDPOINT}", arrived)
    story.expect("the endpoint's status", story.endpoint()["EndpointStatus"], "InService")
    story.expect("the version that the endpoint serves", story.live_version(), version)


def predict(story: Story) -> None:
    """Asks for one flower of each species, over HTTP, through the runtime API."""
    for flower, species in FLOWERS.items():
        answer = ask(story, flower)
        story.remember(flower, answer, story.endpoint()["EndpointStatus"])
        story.tell("runtime", f"{flower} → {answer[0]}", "cyan")
        story.expect(f"the answer to {flower}", answer, [species])


def ask(story: Story, flower: str) -> list[str]:
    answer = story.cloud.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=ENDPOINT, ContentType="text/csv", Accept="application/json", Body=flower.encode()
    )
    with answer["Body"] as stream:
        content: list[str] = json.loads(stream.read())
    return content


# ── from beginning to end ─────────────────────────────────────────────────────────────────────────
def run(console: Console, out: Path) -> bool:
    """Tells the story on a local cloud of its own, and writes what it came to; whether all held."""
    began = time.monotonic()
    result: dict[str, Any] = {"ok": False, "seconds": 0.0, "endpoint": ENDPOINT, "reason": "it broke off"}
    try:
        with TemporaryDirectory() as folder, LocalCloud(TEMPLATE, pace=pace()) as cloud:
            story = Story(cloud, console, Path(folder), began, pages=out.parent / "reports")
            result |= {"versions": [], "predictions": story.predictions, "announcements": story.announcements}
            try:
                tell(story)
            finally:
                with suppress(ClientError, BotoCoreError):  # what broke the story off is told, not this
                    result["versions"] = story.versions()
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


def main() -> int:
    parser = argparse.ArgumentParser(description="Tell the whole story on the local cloud.")
    parser.add_argument("--out", type=Path, default=RESULT, help="where to write what it came to")
    told = parser.parse_args()
    return 0 if run(Console(highlight=False, markup=False, emoji=False), told.out) else 1


if __name__ == "__main__":
    sys.exit(main())
