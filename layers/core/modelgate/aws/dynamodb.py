"""The one table in Amazon DynamoDB."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelgate.aws.errors import translated
from modelgate.ports import Record

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_OWN = {"pk", "sk", "document", "revision", "schema"}
SCHEMA = "1"


class DynamoTable:
    """A `modelgate.ports.Table`."""

    def __init__(self, client: DynamoDBClient, name: str) -> None:
        self._client = client
        self._name = name

    def get(self, pk: str, sk: str) -> Record | None:
        with translated("GetItem"):
            answer = self._client.get_item(
                TableName=self._name, Key={"pk": {"S": pk}, "sk": {"S": sk}}, ConsistentRead=True
            )
        return _record(answer["Item"]) if "Item" in answer else None

    def put(self, *records: Record) -> None:
        if len(records) == 1:
            with translated("PutItem"):
                self._client.put_item(**self._put(records[0]))
            return
        with translated("TransactWriteItems"):
            self._client.transact_write_items(TransactItems=[{"Put": self._put(each)} for each in records])

    def query(self, pk: str, sk_prefix: str = "") -> list[Record]:
        records: list[Record] = []
        # DynamoDB takes no empty text for a key.
        begins = {":sk": {"S": sk_prefix}} if sk_prefix else {}
        with translated("Query"):
            pages = self._client.get_paginator("query").paginate(
                TableName=self._name,
                KeyConditionExpression=f"pk = :pk{' AND begins_with(sk, :sk)' if begins else ''}",
                ExpressionAttributeValues={":pk": {"S": pk}, **begins},
                ConsistentRead=True,
            )
            for page in pages:
                records += map(_record, page["Items"])
        return records

    def _put(self, record: Record) -> Any:  # the same shape for PutItem and inside a transaction
        item = {
            "pk": {"S": record.pk},
            "sk": {"S": record.sk},
            "document": {"S": record.document},
            "schema": {"N": SCHEMA},
            **{
                name: {"N": str(value)} if isinstance(value, int) else {"S": value}
                for name, value in record.facts
            },
        }
        if record.revision is None:
            return {"TableName": self._name, "Item": item}
        item["revision"] = {"N": str(record.revision)}
        if record.revision == 1:
            return {"TableName": self._name, "Item": item, "ConditionExpression": "attribute_not_exists(pk)"}
        return {
            "TableName": self._name,
            "Item": item,
            "ConditionExpression": "revision = :read",
            "ExpressionAttributeValues": {":read": {"N": str(record.revision - 1)}},
        }


def _record(item: Any) -> Record:
    facts = tuple(
        (name, int(value["N"]) if "N" in value else value["S"])
        for name, value in sorted(item.items())
        if name not in _OWN
    )
    revision = int(item["revision"]["N"]) if "revision" in item else None
    return Record(item["pk"]["S"], item["sk"]["S"], item["document"]["S"], revision, facts)
