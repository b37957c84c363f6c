"""Sending dead letters again, with queues, functions and topics in memory."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.exceptions import ClientError
from rich.console import Console

from modelgate_cli import redriving
from modelgate_cli.complaints import NO, Complaint
from modelgate_cli.redriving import Redriven
from modelgate_cli.screen import ProgressLine, Screen
from modelgate_cli.stack import Stack

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient

FUNCTION = "arn:aws:lambda:eu-central-1:123456789012:function:modelgate-ApprovalChanged"
TOPIC = "arn:aws:sns:eu-central-1:123456789012:operators"
APPROVAL = {
    "detail-type": "SageMaker Model Package State Change",
    "detail": {"ModelPackageGroupName": "iris", "ModelPackageVersion": 3, "ModelApprovalStatus": "Approved"},
}


@dataclass
class Cloud:
    """Two queues, and what was sent to functions and topics.

    Attributes:
        waiting: by queue, its visible messages.
        hidden: by receipt, the queue and the message that somebody works on.
        gone: functions that there are none of.
        failing: functions whose events come back into the queue of failed invocations.
    """

    waiting: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {"dead": [], "failed": []})
    hidden: dict[str, tuple[str, dict[str, Any]]] = field(default_factory=dict)
    sent: list[tuple[str, Any]] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)
    failing: set[str] = field(default_factory=set)
    _numbers: int = 0

    # ── what AWS puts there ───────────────────────────────────────────────────────────────────
    def put(self, queue: str, body: str, attributes: Mapping[str, str] | None = None) -> None:
        self._numbers += 1
        told = {
            name: {"DataType": "String", "StringValue": value} for name, value in (attributes or {}).items()
        }
        message = {"MessageId": f"message-{self._numbers}", "Body": body}
        self.waiting[queue].append({**message, "MessageAttributes": told} if told else message)

    def fail(self, event: Any, function: str = FUNCTION) -> None:
        record = {
            "requestContext": {"functionArn": f"{function}:$LATEST", "condition": "RetriesExhausted"},
            "requestPayload": event,
            "responsePayload": {"errorType": "Throttled", "errorMessage": "slow\ndown", "stackTrace": []},
        }
        self.put("failed", json.dumps(record))

    def miss(self, event: Any, target: str) -> None:
        attributes = {"RULE_ARN": "rule", "TARGET_ARN": target, "ERROR_CODE": "NO_PERMISSIONS"}
        self.put("dead", json.dumps(event), attributes)

    def left(self, queue: str) -> int:
        """What anybody who looks now can see."""
        return len(self.waiting[queue])

    # ── SQS ───────────────────────────────────────────────────────────────────────────────────
    def receive_message(self, *, QueueUrl: str, MaxNumberOfMessages: int, **_: Any) -> dict[str, Any]:  # noqa: N803
        batch, rest = (
            self.waiting[QueueUrl][:MaxNumberOfMessages],
            self.waiting[QueueUrl][MaxNumberOfMessages:],
        )
        self.waiting[QueueUrl] = rest
        for message in batch:
            message["ReceiptHandle"] = f"receipt of {message['MessageId']}"
            self.hidden[message["ReceiptHandle"]] = (QueueUrl, message)
        return {"Messages": batch} if batch else {}

    def delete_message(self, *, QueueUrl: str, ReceiptHandle: str) -> None:  # noqa: N803
        queue, _ = self.hidden.pop(ReceiptHandle)
        assert queue == QueueUrl

    def change_message_visibility_batch(self, *, QueueUrl: str, Entries: list[dict[str, Any]]) -> None:  # noqa: N803
        assert 0 < len(Entries) <= 10
        for entry in Entries:
            assert entry["VisibilityTimeout"] == 0
            queue, message = self.hidden.pop(entry["ReceiptHandle"])
            self.waiting[queue].append(message)

    # ── Lambda and SNS ────────────────────────────────────────────────────────────────────────
    def invoke(self, *, FunctionName: str, InvocationType: str, Payload: bytes) -> None:  # noqa: N803
        assert InvocationType == "Event"
        if FunctionName in self.gone:
            message = f"Function not found: {FunctionName}"
            raise ClientError({"Error": {"Code": "ResourceNotFoundException", "Message": message}}, "Invoke")
        event = json.loads(Payload)
        self.sent.append((FunctionName, event))
        if FunctionName in self.failing:
            self.fail(event, FunctionName.removesuffix(":$LATEST"))

    def publish(self, *, TopicArn: str, Message: str) -> None:  # noqa: N803
        self.sent.append((TopicArn, json.loads(Message)))


class CloudStack(Stack):
    """A stack of which only the queues and what they are for exist."""

    def __init__(self, cloud: Cloud) -> None:
        super().__init__(cast("boto3.Session", None), "modelgate", {})
        self._cloud = cloud

    @cached_property
    def outputs(self) -> Mapping[str, str]:
        return {"UndeliveredEventsQueue": "dead", "FailedInvocationsQueue": "failed"}

    @cached_property
    def queues(self) -> SQSClient:
        return cast("SQSClient", self._cloud)

    @cached_property
    def functions(self) -> LambdaClient:
        return cast("LambdaClient", self._cloud)

    @cached_property
    def topics(self) -> SNSClient:
        return cast("SNSClient", self._cloud)


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


def redrive(
    cloud: Cloud, *queues: redriving.Queue, dry_run: bool = False, limit: int | None = None
) -> Redriven:
    silent = ProgressLine(lambda _: None)
    wanted = queues or ("undelivered", "failed")
    return redriving.redrive(CloudStack(cloud), wanted, silent, dry_run=dry_run, limit=limit)


def test_what_a_function_failed_on_is_sent_to_it_again(cloud: Cloud) -> None:
    cloud.fail(APPROVAL)
    redriven = redrive(cloud)
    assert cloud.sent == [(f"{FUNCTION}:$LATEST", APPROVAL)]
    assert (redriven.sent, redriven.left, cloud.left("failed"), cloud.hidden) == (1, 0, 0, {})
    (message,) = redriven.messages
    assert (message.what, message.about, message.error) == (
        "SageMaker Model Package State Change",
        "iris version 3 is Approved",
        "Throttled: slow down",
    )


@pytest.mark.parametrize("target", [FUNCTION, TOPIC])
def test_what_was_not_delivered_is_sent_to_its_target(cloud: Cloud, target: str) -> None:
    cloud.miss(APPROVAL, target)
    assert redrive(cloud).messages[0].error == "NO_PERMISSIONS"
    assert cloud.sent == [(target, APPROVAL)]
    assert cloud.left("dead") == 0


def test_all_of_a_long_queue_is_sent(cloud: Cloud) -> None:
    for number in range(25):
        cloud.fail({**APPROVAL, "id": number})
    assert redrive(cloud).sent == 25
    assert cloud.left("failed") == 0


def test_no_more_than_the_limit_is_sent(cloud: Cloud) -> None:
    for number in range(15):
        cloud.miss({**APPROVAL, "id": number}, FUNCTION)
        cloud.fail({**APPROVAL, "id": -number - 1})
    assert redrive(cloud, limit=18).sent == 18
    assert (cloud.left("dead"), cloud.left("failed")) == (0, 12)


def test_only_the_queue_that_was_named_is_looked_at(cloud: Cloud) -> None:
    cloud.miss(APPROVAL, FUNCTION)
    cloud.fail(APPROVAL)
    assert redrive(cloud, "failed").sent == 1
    assert (cloud.left("dead"), cloud.left("failed")) == (1, 0)


def test_a_dry_run_sends_nothing_and_leaves_everything_to_be_seen(cloud: Cloud) -> None:
    for number in range(12):
        cloud.fail({**APPROVAL, "id": number})
    redriven = redrive(cloud, dry_run=True)
    assert (redriven.sent, redriven.to_be_sent, redriven.left) == (0, 12, 0)
    assert cloud.sent == []
    assert cloud.left("failed") == 12


@pytest.mark.parametrize(
    ("queue", "body", "why"),
    [
        ("failed", "no json", "no JSON"),
        ("failed", "[]", "no JSON object"),
        ("failed", '{"requestContext": {}}', "no record of a failed invocation"),
        ("failed", '{"requestContext": {"functionArn": "arn"}}', "no record of a failed invocation"),
        ("failed", '{"requestContext": "x", "requestPayload": {}}', "no record of a failed invocation"),
        ("dead", "no json", "no JSON"),
        ("dead", "{}", "names no target"),
    ],
)
def test_what_cannot_be_read_stays_and_keeps_nothing_else(
    cloud: Cloud, queue: str, body: str, why: str
) -> None:
    cloud.put(queue, body)
    cloud.fail(APPROVAL)
    redriven = redrive(cloud)
    assert (redriven.sent, redriven.left, cloud.left(queue)) == (1, 1, 1)
    (left,) = [each for each in redriven.messages if each.outcome == "left"]
    assert why in left.why


def test_what_was_meant_for_something_else_stays(cloud: Cloud) -> None:
    cloud.miss(APPROVAL, "arn:aws:sqs:eu-central-1:123456789012:audit")
    cloud.miss(APPROVAL, "nowhere")
    redriven = redrive(cloud)
    assert (redriven.left, cloud.left("dead"), cloud.sent) == (2, 2, [])
    assert "neither a function nor a topic" in redriven.messages[0].why


def test_what_a_function_that_is_gone_was_meant_to_get_stays(cloud: Cloud) -> None:
    cloud.gone.add(FUNCTION)
    cloud.miss(APPROVAL, FUNCTION)
    redriven = redrive(cloud)
    assert (redriven.left, cloud.left("dead")) == (1, 1)
    assert "Function not found" in redriven.messages[0].why


def test_what_fails_again_is_not_sent_for_ever(cloud: Cloud) -> None:
    cloud.failing.add(f"{FUNCTION}:$LATEST")
    cloud.fail(APPROVAL)
    redriven = redrive(cloud)
    assert (redriven.sent, redriven.left, cloud.left("failed")) == (1, 1, 1)
    assert "sent just now" in redriven.messages[-1].why


def test_an_event_of_an_unknown_shape_is_sent_as_it_is(cloud: Cloud) -> None:
    for odd in (7, {"detail-type": "Object Created", "detail": {}}, {"instruction": "freeze"}):
        cloud.fail(odd)
    redriven = redrive(cloud)
    assert (redriven.sent, redriven.left) == (3, 0)
    assert {each.about for each in redriven.messages} == {"–"}


def test_what_an_event_timed_out_of_is_told_without_an_answer_of_the_function(cloud: Cloud) -> None:
    record = {
        "requestContext": {"functionArn": FUNCTION, "condition": "EventAgeExceeded"},
        "requestPayload": APPROVAL,
    }
    cloud.put("failed", json.dumps(record))
    assert redrive(cloud).messages[0].error == "EventAgeExceeded"


def shown(redriven: Redriven) -> str:
    console = Console(file=io.StringIO(), width=300, highlight=False)
    for each in redriving.shown(redriven):
        console.print(each)
    return cast("io.StringIO", console.file).getvalue()


def test_people_see_what_each_was_about_and_the_counts(cloud: Cloud) -> None:
    assert "There is no dead letter." in shown(redrive(cloud))
    cloud.fail(APPROVAL)
    cloud.put("dead", "no json")
    told = shown(redrive(cloud))
    assert "iris version 3 is Approved" in told
    assert "function:modelgate-ApprovalChanged" in told
    assert "1 sent, 1 left." in told


def test_what_stays_is_a_complaint_with_everything_in_its_document(
    cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud.fail(APPROVAL)
    cloud.put("dead", "no json")
    with pytest.raises(Complaint, match="1 of 2 dead letters stay in their queues") as told:
        redriving.show(redrive(cloud), Screen(as_json=True))
    assert told.value.code == NO
    assert (told.value.document()["sent"], told.value.document()["left"]) == (1, 1)
    assert capsys.readouterr().out == ""  # the complaint is the one document
