"""Lambda in the local cloud: invocations, retries, destinations, logs, and what can go wrong in a handler."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from types import ModuleType

import boto3
import pytest
from botocore.exceptions import ClientError

from localcloud import LocalCloud
from tests.integration.test_local_cloud_small_stack import (
    FAILS,
    RETURNS,
    TEMPLATE,
    messages,
    small_stack,
    upload,
)

CALLS_TWICE = """
session = environ = None

def handler(event, context):
    table = session.client("dynamodb")
    name = next(iter(event["tables"]))
    table.put_item(TableName=name, Item={"pk": {"S": "first"}})
    table.put_item(TableName=name, Item={"pk": {"S": "second"}})
    return "both"
"""
COUNTS = """
count = 0

def handler(event, context):
    global count
    count += 1
    return {"count": count, "function": context.function_name, "request": context.aws_request_id}
"""


def logged(cloud: LocalCloud, group: str) -> list[str]:
    """The lines of a log group, in order."""
    answer = cloud.client("logs").filter_log_events(logGroupName=group)
    return [event["message"] for event in answer["events"]]


def letters(cloud: LocalCloud) -> set[str]:
    """The keys in the table."""
    items = cloud.client("dynamodb").scan(TableName=cloud.outputs["Letters"])["Items"]
    return {item["pk"]["S"] for item in items}


def test_a_function_can_be_invoked_and_answers(tmp_path: Path) -> None:
    with small_stack(tmp_path) as cloud:
        answer = cloud.client("lambda").invoke(
            FunctionName=cloud.function("Worker").name, Payload=json.dumps({"name": "Ada"})
        )
        result = json.loads(answer["Payload"].read())

    assert answer["StatusCode"] == 200
    assert "FunctionError" not in answer
    assert result["name"] == "Ada"
    assert 0 < result["milliseconds"] <= 30_000


def test_a_function_error_is_told_to_who_invokes(tmp_path: Path) -> None:
    with small_stack(tmp_path, FAILS) as cloud:
        answer = cloud.client("lambda").invoke(FunctionName="Worker", LogType="Tail")
        result = json.loads(answer["Payload"].read())

    assert answer["FunctionError"] == "Unhandled"
    assert (result["errorType"], result["errorMessage"]) == ("ValueError", "no such colour")
    assert "LogResult" in answer


def test_what_a_handler_prints_is_in_the_log_group_of_the_template(tmp_path: Path) -> None:
    with small_stack(tmp_path) as cloud:
        lines: list[str] = []
        cloud.on_log(lambda function, line: lines.append(f"{function}: {line}"))
        outcome = cloud.invoke("Worker", {"name": "Ada"})
        written = logged(cloud, "/small/worker")

    assert written[0] == f"START RequestId: {outcome.request_id} Version: $LATEST"
    assert written[1] == "hello Ada"
    assert written[2] == f"END RequestId: {outcome.request_id}"
    assert written[3].startswith(f"REPORT RequestId: {outcome.request_id}\tDuration: ")
    assert "Worker: hello Ada" in lines


def test_a_module_lives_as_long_as_its_execution_environment(tmp_path: Path) -> None:
    with small_stack(tmp_path, COUNTS) as cloud:
        assert [cloud.invoke("Worker", {}).result["count"] for _ in range(3)] == [1, 2, 3]
    with small_stack(tmp_path, COUNTS) as cloud:
        assert cloud.invoke("Worker", {}).result["count"] == 1


def test_a_failing_event_is_tried_three_times_and_lands_at_the_destination(tmp_path: Path) -> None:
    with small_stack(tmp_path, FAILS) as cloud:
        upload(cloud)
        cloud.settle()
        (message,) = messages(cloud, "Failed")
        attempts = [invocation.attempt for invocation in cloud.invocations]
        requests = {invocation.request_id for invocation in cloud.invocations}
        record = json.loads(message["Body"])

    assert attempts == [1, 2, 3]
    assert len(requests) == 1
    assert record["version"] == "1.0"
    assert record["requestContext"]["condition"] == "RetriesExhausted"
    assert record["requestContext"]["approximateInvokeCount"] == 3
    assert record["requestContext"]["requestId"] in requests
    assert record["requestPayload"]["detail-type"] == "Object Created"
    assert record["responseContext"]["functionError"] == "Unhandled"
    assert record["responsePayload"]["errorType"] == "ValueError"
    assert record["responsePayload"]["errorMessage"] == "no such colour"


def test_an_invocation_as_an_event_is_accepted_and_carried_out_later(tmp_path: Path) -> None:
    with small_stack(tmp_path) as cloud:
        answer = cloud.client("lambda").invoke(
            FunctionName="Worker", InvocationType="Event", Payload=json.dumps({"name": "later"})
        )
        cloud.settle()
        assert answer["StatusCode"] == 202
        assert [invocation.result["name"] for invocation in cloud.invocations] == ["later"]


def test_more_events_than_places_wait_and_more_calls_than_places_are_throttled(tmp_path: Path) -> None:
    waits = "def handler(event, context):\n    meet()\n"
    gate = threading.Event()
    inside = threading.Semaphore(0)

    def meet() -> None:
        inside.release()
        assert gate.wait(20)

    def surroundings(
        _environ: Mapping[str, str], _session: boto3.Session, module: ModuleType
    ) -> Callable[[], AbstractContextManager[object]]:
        vars(module)["meet"] = meet
        return nullcontext

    with small_stack(tmp_path, waits, running_in=surroundings) as cloud:
        for number in range(4):
            upload(cloud, f"in/{number}")
        assert inside.acquire(timeout=10)
        assert inside.acquire(timeout=10)
        with pytest.raises(ClientError) as throttled:
            cloud.client("lambda").invoke(FunctionName="Worker")
        done_before = len(cloud.invocations)
        gate.set()
        cloud.settle()
        assert throttled.value.response["Error"]["Code"] == "TooManyRequestsException"
        assert done_before == 0
        assert len(cloud.invocations) == 4


def test_a_handler_that_runs_into_its_time_limit_fails_and_makes_no_call_any_more(tmp_path: Path) -> None:
    slow = CALLS_TWICE.replace("    table.put", "    gate.wait(10)\n    table.put", 1)
    gate, over = threading.Event(), threading.Event()

    def surroundings(
        _environ: Mapping[str, str], session: boto3.Session, module: ModuleType
    ) -> Callable[[], AbstractContextManager[object]]:
        vars(module).update(gate=gate, session=session)

        @contextmanager
        def watched() -> Iterator[None]:
            try:
                yield
            finally:
                over.set()

        return watched

    template = TEMPLATE.replace("Seconds: 30", "Seconds: 1")
    with small_stack(tmp_path, slow, template, running_in=surroundings) as cloud:
        outcome = cloud.invoke("Worker", {"tables": [cloud.outputs["Letters"]]})
        gate.set()
        assert over.wait(10)
        assert outcome.error is not None
        assert outcome.error["errorType"] == "Sandbox.Timedout"
        assert letters(cloud) == set()


def test_a_handler_that_dies_before_a_call_has_not_made_it_and_is_tried_again(tmp_path: Path) -> None:
    with small_stack(tmp_path, CALLS_TWICE) as cloud:
        cloud.faults.die("dynamodb:PutItem", nth=2, function="Worker")
        cloud.client("lambda").invoke(
            FunctionName="Worker",
            InvocationType="Event",
            Payload=json.dumps({"tables": [cloud.outputs["Letters"]]}),
        )
        cloud.settle()
        first, second = cloud.invocations
        assert letters(cloud) == {"first", "second"}

    assert first.error is not None
    assert first.error["errorType"] == "Runtime.ExitError"
    assert second.result == "both"


def test_a_handler_that_dies_after_a_call_has_made_it(tmp_path: Path) -> None:
    with small_stack(tmp_path, CALLS_TWICE) as cloud:
        cloud.faults.die("dynamodb:PutItem", when="after")
        outcome = cloud.invoke("Worker", {"tables": [cloud.outputs["Letters"]]})
        assert outcome.error is not None
        assert letters(cloud) == {"first"}


@pytest.mark.parametrize("code", ["ThrottlingException", "InternalServerError"])
def test_a_call_can_be_refused_with_any_code(tmp_path: Path, code: str) -> None:
    with small_stack(tmp_path, CALLS_TWICE) as cloud:
        cloud.faults.refuse("dynamodb:PutItem", code, nth=2)
        outcome = cloud.invoke("Worker", {"tables": [cloud.outputs["Letters"]]})
        assert outcome.error is not None
        assert code in outcome.error["errorMessage"]
        assert letters(cloud) == {"first"}


def test_every_nth_call_of_the_functions_is_throttled_for_a_while(tmp_path: Path) -> None:
    def is_throttled() -> bool:
        outcome = cloud.invoke("Worker", {"tables": [cloud.outputs["Letters"]]})
        letters(cloud)  # a call of the user's does not count
        return outcome.error is not None and "Throughput" in outcome.error["errorType"]

    with small_stack(tmp_path, CALLS_TWICE) as cloud:
        cloud.faults.throttle_every(3, times=2)
        assert [is_throttled() for _ in range(6)] == [False, True, False, True, False, False]


def test_a_call_whose_answer_is_lost_took_effect(tmp_path: Path) -> None:
    with small_stack(tmp_path, CALLS_TWICE) as cloud:
        cloud.faults.lose_answer("dynamodb:PutItem", nth=2)
        outcome = cloud.invoke("Worker", {"tables": [cloud.outputs["Letters"]]})
        assert outcome.error is not None
        assert outcome.error["errorType"] == "ConnectionClosedError"
        assert letters(cloud) == {"first", "second"}


def test_of_many_conditional_writes_at_once_one_succeeds(tmp_path: Path) -> None:
    with small_stack(tmp_path) as cloud:

        def claim(number: int) -> bool:
            try:
                cloud.client("dynamodb").put_item(
                    TableName=cloud.outputs["Letters"],
                    Item={"pk": {"S": "claim"}, "owner": {"N": str(number)}},
                    ConditionExpression="attribute_not_exists(pk)",
                )
            except ClientError as error:
                assert error.response["Error"]["Code"] == "ConditionalCheckFailedException"
                return False
            return True

        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(claim, range(24))) == 1


def test_a_fault_for_one_function_does_not_meet_the_user(tmp_path: Path) -> None:
    with small_stack(tmp_path) as cloud:
        cloud.faults.refuse("dynamodb:PutItem", "ThrottlingException", function="Worker")
        cloud.client("dynamodb").put_item(TableName=cloud.outputs["Letters"], Item={"pk": {"S": "mine"}})
        assert letters(cloud) == {"mine"}


def test_a_function_that_does_not_exist_is_not_found(tmp_path: Path) -> None:
    with small_stack(tmp_path, RETURNS) as cloud, pytest.raises(ClientError) as missing:
        cloud.client("lambda").invoke(FunctionName="nobody")
    assert missing.value.response["Error"]["Code"] == "ResourceNotFoundException"


def test_functions_are_listed_with_their_environment(tmp_path: Path) -> None:
    with small_stack(tmp_path) as cloud:
        (function,) = cloud.client("lambda").list_functions()["Functions"]
    assert function["Environment"]["Variables"] == {"STACK": "small", "COLOUR": "green"}
    assert function["Timeout"] == 30
