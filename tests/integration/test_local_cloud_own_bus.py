"""A function that announces something on the stack's own bus, and another that listens there."""

from __future__ import annotations

from pathlib import Path

from tests.integration.test_local_cloud_small_stack import TEMPLATE, messages, small_stack

ANNOUNCES_AND_READS = """
import json
session = environ = None

def handler(event, context):
    entry = {
        "Source": event["source"],
        "DetailType": "Extra",
        "Detail": json.dumps({"message": event["message"]}),
        "EventBusName": environ["NEWS"],
    }
    return session.client("events").put_events(Entries=[entry])["FailedEntryCount"]

def read(event, context):
    if event["detail"]["message"] == "illegible":
        raise ValueError("illegible")
    return event["detail"]["message"]
"""
READER = """
  Reader:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: worker/
      Handler: app.read
      EventInvokeConfig:
        MaximumRetryAttempts: 0
        DestinationConfig: {OnFailure: {Type: SQS, Destination: !GetAtt Failed.Arn}}
      Events:
        Paper:
          Type: EventBridgeRule
          Properties:
            EventBusName: !Ref News
            Pattern: {source: [paper], detail-type: [Extra]}
            RetryPolicy: {MaximumRetryAttempts: 2}
            DeadLetterConfig: {Arn: !GetAtt Undelivered.Arn}
Outputs:
"""
WITH_READER = (
    TEMPLATE.replace("COLOUR: !Ref Colour}", "COLOUR: !Ref Colour, NEWS: !Ref News}", 1)
    .replace(
        "              - {Effect: Deny, Action: sqs:PurgeQueue",
        "              - {Effect: Allow, Action: events:PutEvents, Resource: !GetAtt News.Arn}\n"
        "              - {Effect: Deny, Action: sqs:PurgeQueue",
        1,
    )
    .replace("Outputs:\n", READER.lstrip("\n"), 1)
)


def test_what_a_function_announces_on_the_stacks_own_bus_reaches_the_function_that_listens_there(
    tmp_path: Path,
) -> None:
    with small_stack(tmp_path, ANNOUNCES_AND_READS, WITH_READER) as cloud:
        for source, message in (("paper", "rain"), ("radio", "sun"), ("paper", "illegible")):
            assert cloud.invoke("Worker", {"source": source, "message": message}).result == 0
        cloud.settle()
        read = [invocation for invocation in cloud.invocations if invocation.function == "Reader"]
        assert sorted(str(invocation.result) for invocation in read) == ["None", "rain"]
        (failed,) = messages(cloud, "Failed")
        assert "illegible" in failed["Body"]
