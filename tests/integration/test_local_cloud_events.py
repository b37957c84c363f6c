"""EventBridge and S3's events in the local cloud."""

from __future__ import annotations

import datetime as dt
import json
import threading
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud import Delivery, LocalCloud, NotSettledError, Pace
from tests.integration.test_local_cloud_small_stack import (
    FAILS,
    TEMPLATE,
    messages,
    small_stack,
    upload,
)

ECHOES = """
def handler(event, context):
    return event
"""
# As the small stack, but that its function also has a schedule and listens on the stack's own bus.
LISTENS = TEMPLATE.replace(
    "        Upload:\n          Type: EventBridgeRule",
    """        Nightly:
          Type: Schedule
          Properties: {Schedule: rate(1 day), Input: '{"sweep": "all"}'}
        Plain:
          Type: Schedule
          Properties: {Schedule: "cron(0 3 * * ? *)"}
        Paper:
          Type: EventBridgeRule
          Properties: {EventBusName: !Ref News, Pattern: {source: [paper]}}
        Upload:
          Type: EventBridgeRule""",
)


def created(cloud: LocalCloud) -> list[dict[str, Any]]:
    """The details of the Object Created events so far."""
    return [dict(event["detail"]) for event in cloud.events_seen if event["detail-type"] == "Object Created"]


def announce(cloud: LocalCloud, message: str) -> None:
    """Put an event on the stack's own bus."""
    entry = {
        "Source": "paper",
        "DetailType": "Extra",
        "Detail": json.dumps({"message": message}),
        "EventBusName": cloud.outputs["News"],
    }
    answer = cloud.client("events").put_events(Entries=[entry])
    assert answer["FailedEntryCount"] == 0


def test_an_upload_is_announced_in_the_shape_of_aws(tmp_path: Path) -> None:
    with small_stack(tmp_path) as cloud:
        version = upload(cloud, "in/a b+c%20d.txt", b"hello")
        cloud.settle()
        (event,) = cloud.events_seen

    assert event["source"] == "aws.s3"
    assert event["resources"] == [f"arn:aws:s3:::{event['detail']['bucket']['name']}"]
    assert event["detail"]["reason"] == "PutObject"
    assert event["detail"]["object"] == {
        "key": "in/a b+c%20d.txt",
        "size": 5,
        "etag": "5d41402abc4b2a76b9719d911017c592",
        "version-id": version,
        "sequencer": event["detail"]["object"]["sequencer"],
    }
    assert int(event["detail"]["object"]["sequencer"], 16) > 0


def test_a_later_upload_has_a_greater_sequencer_and_an_id_of_its_own(tmp_path: Path) -> None:
    with small_stack(tmp_path) as cloud:
        upload(cloud)
        upload(cloud)
        cloud.settle()
        first, second = created(cloud)
        ids = {event["id"] for event in cloud.events_seen}

    assert first["object"]["sequencer"] < second["object"]["sequencer"]
    assert len(ids) == 2


def test_a_multipart_upload_is_announced_once_and_a_copy_as_a_copy(tmp_path: Path) -> None:
    with small_stack(tmp_path) as cloud:
        s3, bucket = cloud.client("s3"), cloud.outputs["Inbox"]
        begun = s3.create_multipart_upload(Bucket=bucket, Key="in/large")
        part = s3.upload_part(
            Bucket=bucket, Key="in/large", UploadId=begun["UploadId"], PartNumber=1, Body=b"x" * 100
        )
        s3.complete_multipart_upload(
            Bucket=bucket,
            Key="in/large",
            UploadId=begun["UploadId"],
            MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]},
        )
        s3.copy_object(Bucket=bucket, Key="in/copy", CopySource={"Bucket": bucket, "Key": "in/large"})
        cloud.settle()

        assert [detail["reason"] for detail in created(cloud)] == ["CompleteMultipartUpload", "CopyObject"]
        assert len(cloud.invocations) == 2


def test_a_bucket_without_eventbridge_announces_nothing(tmp_path: Path) -> None:
    with small_stack(tmp_path) as cloud:
        cloud.client("s3").put_object(Bucket=cloud.outputs["Silent"], Key="in/x", Body=b"")
        cloud.settle()
        assert cloud.events_seen == []


def test_a_deletion_in_a_versioned_bucket_is_announced_as_a_marker(tmp_path: Path) -> None:
    with small_stack(tmp_path) as cloud:
        upload(cloud)
        cloud.client("s3").delete_object(Bucket=cloud.outputs["Inbox"], Key="in/letter")
        cloud.settle()
        event = cloud.events_seen[-1]

    assert event["detail-type"] == "Object Deleted"
    assert event["detail"]["deletion-type"] == "Delete Marker Created"


def test_an_announcement_reaches_the_topic_through_the_input_transformer(tmp_path: Path) -> None:
    with small_stack(tmp_path) as cloud:
        announce(cloud, 'they said "yes"')
        cloud.settle()
        (message,) = messages(cloud, "Readers")

    assert json.loads(json.loads(message["Body"])["Message"]) == 'Extra: they said "yes"'


def test_the_archive_keeps_what_it_is_for_and_a_replay_sends_it_again(tmp_path: Path) -> None:
    with small_stack(tmp_path) as cloud:
        events = cloud.client("events")
        announce(cloud, "first")
        cloud.settle()
        (archive,) = events.list_archives()["Archives"]
        assert archive["EventCount"] == 1
        messages(cloud, "Readers")
        now = dt.datetime.now(dt.UTC)
        events.start_replay(
            ReplayName="again",
            EventSourceArn=events.describe_archive(ArchiveName=archive["ArchiveName"])["ArchiveArn"],
            EventStartTime=now - dt.timedelta(hours=1),
            EventEndTime=now + dt.timedelta(hours=1),
            Destination={"Arn": archive["EventSourceArn"]},
        )
        cloud.settle()
        (message,) = messages(cloud, "Readers")
        replayed = cloud.events_seen[-1]
        assert events.describe_replay(ReplayName="again")["State"] == "COMPLETED"
        assert events.describe_archive(ArchiveName=archive["ArchiveName"])["EventCount"] == 1

    assert "first" in message["Body"]
    assert replayed["replay-name"] == "again"


def test_a_malformed_entry_is_counted_as_failed_and_the_others_go_out(tmp_path: Path) -> None:
    with small_stack(tmp_path) as cloud:
        good = {"Source": "paper", "DetailType": "Extra", "Detail": "{}"}
        answer = cloud.client("events").put_events(Entries=[good | {"Detail": "{"}, good])
        cloud.settle()

        assert answer["FailedEntryCount"] == 1
        assert answer["Entries"][0]["ErrorCode"] == "MalformedDetail"
        assert [event["id"] for event in cloud.events_seen] == [answer["Entries"][1]["EventId"]]


def test_a_rule_that_the_user_makes_sends_to_a_queue_whose_policy_lets_it(tmp_path: Path) -> None:
    with small_stack(tmp_path) as cloud:
        events, sqs = cloud.client("events"), cloud.client("sqs")
        url = sqs.create_queue(QueueName="mine")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        events.put_rule(Name="mine", EventPattern=json.dumps({"source": ["me"]}))
        events.put_targets(Rule="mine", Targets=[{"Id": "q", "Arn": arn, "InputPath": "$.detail"}])
        entry = {"Source": "me", "DetailType": "Hello", "Detail": json.dumps({"n": 1})}

        events.put_events(Entries=[entry])
        cloud.settle()
        assert "Messages" not in sqs.receive_message(QueueUrl=url)

        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
        }
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps({"Statement": [statement]})})
        events.put_events(Entries=[entry])
        cloud.settle()
        (message,) = sqs.receive_message(QueueUrl=url)["Messages"]
        assert json.loads(message["Body"]) == {"n": 1}


def test_an_event_whose_target_is_gone_lands_in_the_dead_letter_queue_of_the_rule(tmp_path: Path) -> None:
    with small_stack(tmp_path) as cloud:
        events = cloud.client("events")
        dead = cloud.client("sqs").get_queue_attributes(
            QueueUrl=cloud.outputs["Undelivered"], AttributeNames=["QueueArn"]
        )["Attributes"]["QueueArn"]
        events.put_rule(Name="lost", EventPattern=json.dumps({"source": ["me"]}))
        missing = "arn:aws:lambda:eu-central-1:123456789012:function:missing"
        events.put_targets(
            Rule="lost", Targets=[{"Id": "f", "Arn": missing, "DeadLetterConfig": {"Arn": dead}}]
        )
        events.put_events(Entries=[{"Source": "me", "DetailType": "Hello", "Detail": "{}"}])
        cloud.settle()
        (message,) = messages(cloud, "Undelivered")

    attributes = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
    assert attributes["ERROR_CODE"] == "NO_RESOURCE"
    assert attributes["TARGET_ARN"] == missing
    assert attributes["RULE_ARN"].endswith("rule/lost")
    assert json.loads(message["Body"])["detail-type"] == "Hello"


def test_a_target_that_refuses_to_the_end_sends_the_event_to_the_dead_letter_queue(tmp_path: Path) -> None:
    with small_stack(tmp_path) as cloud:
        cloud.faults.refuse_delivery(lambda delivery: delivery.function == "Worker", times=3)
        upload(cloud)
        cloud.settle()
        (message,) = messages(cloud, "Undelivered")
        assert cloud.invocations == []

    attributes = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
    assert attributes["EXHAUSTED_RETRY_CONDITION"] == "MaximumRetryAttempts"
    assert attributes["RETRY_ATTEMPTS"] == "2"


def test_a_target_that_refuses_once_gets_the_event_again(tmp_path: Path) -> None:
    with small_stack(tmp_path) as cloud:
        cloud.faults.refuse_delivery(lambda delivery: delivery.function == "Worker")
        upload(cloud)
        cloud.settle()
        assert len(cloud.invocations) == 1


def test_deliveries_can_be_dropped_and_doubled(tmp_path: Path) -> None:
    def to_worker(delivery: Delivery) -> bool:
        return delivery.function == "Worker"

    with small_stack(tmp_path) as cloud:
        cloud.faults.drop(to_worker)
        upload(cloud, "in/dropped")
        cloud.settle()
        assert cloud.invocations == []
        cloud.faults.duplicate(to_worker)
        upload(cloud, "in/doubled")
        cloud.settle()
        keys = [invocation.event["detail"]["object"]["key"] for invocation in cloud.invocations]
        assert keys == ["in/doubled", "in/doubled"]


def test_held_deliveries_come_in_the_other_order_when_they_are_released(tmp_path: Path) -> None:
    with small_stack(tmp_path) as cloud:
        held = cloud.faults.hold(lambda delivery: delivery.event["source"] == "aws.s3")
        upload(cloud, "in/1")
        cloud.settle()
        upload(cloud, "in/2")
        cloud.settle()
        assert cloud.invocations == []
        last = held.deliveries[-1]
        held.release(reverse=True)
        cloud.settle()
        keys = {invocation.event["detail"]["object"]["key"] for invocation in cloud.invocations}

    assert last.event["detail"]["object"]["key"] == "in/2"
    assert keys == {"in/1", "in/2"}


def test_settle_lists_what_is_still_in_flight(tmp_path: Path) -> None:
    with small_stack(tmp_path, FAILS, pace=Pace(function_retries=(60.0,))) as cloud:
        failed = threading.Event()
        cloud.on_invocation(lambda _: failed.set())
        upload(cloud)
        assert failed.wait(20)
        with pytest.raises(NotSettledError, match="invocation of Worker with 'Object Created', attempt 2"):
            cloud.settle(timeout=1.0)


def test_a_pattern_that_is_no_pattern_is_refused(tmp_path: Path) -> None:
    with small_stack(tmp_path) as cloud, pytest.raises(ClientError) as refused:
        cloud.client("events").put_rule(Name="bad", EventPattern="{")
    assert refused.value.response["Error"]["Code"] == "InvalidEventPatternException"


def test_a_schedule_fires_with_its_constant_input_or_with_an_event(tmp_path: Path) -> None:
    with small_stack(tmp_path, ECHOES, template=LISTENS) as cloud:
        rules = cloud.client("events").list_rules()["Rules"]
        cloud.fire("WorkerNightly")
        cloud.fire("WorkerPlain")
        cloud.settle()
        results = [invocation.result for invocation in cloud.invocations]

    assert {rule.get("ScheduleExpression") for rule in rules} == {None, "rate(1 day)", "cron(0 3 * * ? *)"}
    assert {"sweep": "all"} in results
    (event,) = [result for result in results if result != {"sweep": "all"}]
    assert (event["source"], event["detail-type"], event["detail"]) == ("aws.events", "Scheduled Event", {})


def test_a_function_hears_what_is_put_on_a_bus_of_the_stacks_own(tmp_path: Path) -> None:
    with small_stack(tmp_path, ECHOES, template=LISTENS) as cloud:
        announce(cloud, "hello")
        cloud.settle()
        (invocation,) = cloud.invocations
    assert invocation.error is None
    assert invocation.result["detail"] == {"message": "hello"}
