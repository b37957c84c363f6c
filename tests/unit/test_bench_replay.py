"""What is measured of a warm function are its real calls, with recorded answers in the network's place."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from bench.replay import Answer, Replaying


def item(value: str) -> Answer:
    body = json.dumps({"Item": {"value": {"S": value}}}).encode()
    return Answer("dynamodb.GetItem", 200, {"Content-Type": "application/x-amz-json-1.0"}, body)


def refusal(code: str) -> Answer:
    return Answer("dynamodb.GetItem", 400, {}, json.dumps({"__type": code, "message": "no"}).encode())


def replaying(*answers: Answer) -> tuple[Replaying, Any]:
    nobody = boto3.Session(aws_access_key_id="a", aws_secret_access_key="b", region_name="eu-central-1")
    session = Replaying(nobody, answers)
    session.rewind()
    return session, session.client("dynamodb")


def value_of(client: Any) -> str:
    told: str = client.get_item(TableName="state", Key={"key": {"S": "a"}})["Item"]["value"]["S"]
    return told


def test_calls_are_answered_in_the_order_that_was_recorded_and_again_from_its_beginning() -> None:
    session, client = replaying(item("first"), item("second"))

    told = [value_of(client), value_of(client)]
    session.rewind()

    assert [*told, value_of(client)] == ["first", "second", "first"]


def test_a_call_that_was_not_recorded_is_not_sent() -> None:
    _, client = replaying(item("only"))
    value_of(client)

    with pytest.raises(LookupError, match=r"no further answer to before-send\.dynamodb\.GetItem"):
        value_of(client)


def test_the_calls_of_a_handler_are_made_again_with_what_they_were_given() -> None:
    session, client = replaying(item("a"), refusal("ResourceNotFoundException"))

    def handler() -> None:
        value_of(client)
        with pytest.raises(ClientError):
            value_of(client)

    made = session.calls_of(handler)
    session.rewind()

    def once_more() -> None:
        for call in made:
            call.again()

    assert session.calls_of(once_more) == made
    assert [call.parameters["TableName"] for call in made] == ["state", "state"]


def test_an_answer_is_the_same_after_it_was_written_down() -> None:
    assert Answer.of(json.loads(json.dumps(item("a").as_json()))) == item("a")
