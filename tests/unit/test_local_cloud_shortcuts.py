"""The shortcuts through moto give moto's own answers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moto.core.serialize import XFormedAttributePicker, get_serializer_class
from moto.core.utils import get_service_model
from moto.dynamodb.exceptions import DynamodbException
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType

from localcloud import moto_shortcuts

PARTITIONS, SORTED = ("a", "b"), ("1", "2")
keys = st.builds(
    lambda pk, sk: {"pk": {"S": pk}, "sk": {"S": sk}}, st.sampled_from(PARTITIONS), st.sampled_from(SORTED)
)
absent = st.sampled_from([{}, {"ConditionExpression": "attribute_not_exists(pk)"}])
puts = st.builds(
    lambda key, value, only: {"Put": {"TableName": "t", "Item": {**key, "n": {"N": str(value)}}, **only}},
    keys,
    st.integers(0, 9),
    absent,
)
deletions = st.builds(lambda key, only: {"Delete": {"TableName": "t", "Key": key, **only}}, keys, absent)
updates = st.builds(
    lambda key, value: {
        "Update": {
            "TableName": "t",
            "Key": key,
            "UpdateExpression": "SET n = :n",
            "ExpressionAttributeValues": {":n": {"N": str(value)}},
        }
    },
    keys,
    st.integers(0, 9),
)
transactions = st.lists(st.lists(puts | deletions | updates, min_size=1, max_size=3), max_size=5)


@contextmanager
def shortcuts() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for replacement in (*moto_shortcuts.of_every_service(), *moto_shortcuts.of_dynamodb()):
            patch.setattr(*replacement)
        yield


def carried_out(written: list[list[dict[str, Any]]]) -> list[object]:
    """What comes of transactions: how each ended, what is left, and what a query finds in each partition."""
    backend = DynamoDBBackend("eu-central-1", "123456789012")
    backend.create_table(
        "t",
        schema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        attr=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
        throughput=None,
        indexes=[],
        global_indexes=[],
        streams=None,
        billing_mode="PAY_PER_REQUEST",
        sse_specification=None,
        tags=[],
        deletion_protection_enabled=False,
        warm_throughput=None,
    )
    ended: list[object] = []
    for transaction in written:
        try:
            backend.transact_write_items(transaction)
            ended.append("done")
        except DynamodbException as error:
            ended.append((type(error).__name__, str(error)))
    table = backend.tables["t"]
    asked: Any = {"range_comparison": None, "range_objs": [], "limit": 10, "exclusive_start_key": None}
    found = [
        table.query(DynamoType({"S": each}), scan_index_forward=True, projection_expressions=None, **asked)[0]
        for each in PARTITIONS
    ]
    return [*ended, *([item.to_json() for item in items] for items in (table.all_items(), *found))]


@settings(max_examples=40)
@given(transactions)
def test_transactions_and_queries_come_to_the_same(written: list[list[dict[str, Any]]]) -> None:
    expected = carried_out(written)
    with shortcuts():
        assert carried_out(written) == expected


def test_an_item_that_is_updated_before_the_transaction_is_refused_is_what_it_was() -> None:
    key = {"pk": {"S": "a"}, "sk": {"S": "1"}}
    other = {"pk": {"S": "b"}, "sk": {"S": "1"}}
    there = [{"Put": {"TableName": "t", "Item": {**each, "n": {"N": "1"}}}} for each in (key, other)]
    values = {":n": {"N": "2"}}
    update = {
        "TableName": "t",
        "Key": key,
        "UpdateExpression": "SET n = :n",
        "ExpressionAttributeValues": values,
    }
    refused = {"TableName": "t", "Item": other, "ConditionExpression": "attribute_not_exists(pk)"}
    with shortcuts():
        ended = carried_out([there, [{"Update": update}, {"Put": refused}]])
    assert ended[1] != "done"
    assert ended[2] == [{"Attributes": {**each, "n": {"N": "1"}}} for each in (key, other)]


@pytest.mark.parametrize(
    ("service", "operation", "protocol", "result"),
    [
        ("dynamodb", "GetItem", "json", {"Item": {"a": {"S": "x"}, "b": {"M": {"c": {"L": [{"N": "1"}]}}}}}),
        ("dynamodb", "DescribeTable", "json", {"Table": {"table_name": "t", "KeySchema": []}}),
        ("sns", "Publish", "query", {"message_id": "1"}),
        ("s3", "ListParts", "rest-xml", {"Bucket": "b", "parts": [], "Parts": [{"etag": "e", "ETag": "f"}]}),
    ],
)
def test_answers_are_written_the_same(service: str, operation: str, protocol: str, result: object) -> None:
    def written() -> object:
        model = get_service_model(service).operation_model(operation)
        serializer = get_serializer_class(service, protocol)(model, value_picker=XFormedAttributePicker())
        answer = serializer.serialize(result)
        return answer["status_code"], answer["body"]

    expected = written()
    with shortcuts():
        assert written() == expected
