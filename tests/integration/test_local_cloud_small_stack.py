"""A small stack of its own for the tests of the local cloud, and what holds for every stack."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from types import ModuleType
from typing import Any

import boto3
import pytest

from localcloud import LocalCloud, LocalCloudError, Pace, TemplateError

TEMPLATE = """
AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::Serverless-2016-10-31
Parameters:
  Colour: {Type: String, Default: green, AllowedValues: [green, red]}
Conditions:
  IsRed: !Equals [!Ref Colour, red]
Mappings:
  Limits: {Worker: {Seconds: 30}}
Globals:
  Function:
    Runtime: python3.13
    Handler: app.handler
    Environment: {Variables: {STACK: !Ref AWS::StackName, COLOUR: !Ref Colour}}
Resources:
  Inbox:
    Type: AWS::S3::Bucket
    Properties:
      VersioningConfiguration: {Status: Enabled}
      NotificationConfiguration: {EventBridgeConfiguration: {EventBridgeEnabled: true}}
  Silent: {Type: AWS::S3::Bucket}
  OnlyWhenRed: {Type: AWS::SQS::Queue, Condition: IsRed}
  Letters:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: pk, AttributeType: S}]
      KeySchema: [{AttributeName: pk, KeyType: HASH}]
  News:
    Type: AWS::Events::EventBus
    Properties: {Name: !Sub "${AWS::StackName}-news"}
  NewsArchive:
    Type: AWS::Events::Archive
    Properties: {SourceArn: !GetAtt News.Arn, EventPattern: {source: [paper]}}
  Topic: {Type: AWS::SNS::Topic}
  TopicPolicy:
    Type: AWS::SNS::TopicPolicy
    Properties:
      Topics: [!Ref Topic]
      PolicyDocument:
        Version: "2012-10-17"
        Statement:
          - Effect: Allow
            Principal: {Service: events.amazonaws.com}
            Action: sns:Publish
            Resource: !Ref Topic
  Readers: {Type: AWS::SQS::Queue}
  ReadersSubscription:
    Type: AWS::SNS::Subscription
    Properties: {TopicArn: !Ref Topic, Protocol: sqs, Endpoint: !GetAtt Readers.Arn}
  NewsToTopic:
    Type: AWS::Events::Rule
    Properties:
      EventBusName: !Ref News
      EventPattern: {source: [paper]}
      Targets:
        - Id: topic
          Arn: !Ref Topic
          InputTransformer:
            InputPathsMap: {what: $.detail-type, message: $.detail.message}
            InputTemplate: '"<what>: <message>"'
  Failed: {Type: AWS::SQS::Queue}
  Undelivered: {Type: AWS::SQS::Queue}
  Worker:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: worker/
      Role: !GetAtt WorkerRole.Arn
      Timeout: !FindInMap [Limits, Worker, Seconds]
      ReservedConcurrentExecutions: 2
      LoggingConfig: {LogGroup: !Ref WorkerLogs}
      EventInvokeConfig:
        MaximumRetryAttempts: 2
        DestinationConfig: {OnFailure: {Type: SQS, Destination: !GetAtt Failed.Arn}}
      Events:
        Upload:
          Type: EventBridgeRule
          Properties:
            Pattern:
              source: [aws.s3]
              detail-type: [Object Created]
              detail: {object: {key: [{prefix: in/}]}}
            RetryPolicy: {MaximumRetryAttempts: 2}
            DeadLetterConfig: {Arn: !GetAtt Undelivered.Arn}
  WorkerLogs:
    Type: AWS::Logs::LogGroup
    Properties: {LogGroupName: /small/worker}
  WorkerRole:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Version: "2012-10-17"
        Statement: [{Effect: Allow, Principal: {Service: lambda.amazonaws.com}, Action: sts:AssumeRole}]
      Policies:
        - PolicyName: work
          PolicyDocument:
            Version: "2012-10-17"
            Statement:
              - {Effect: Allow, Action: s3:GetObject, Resource: !Sub "${Inbox.Arn}/in/*"}
              - {Effect: Allow, Action: [dynamodb:PutItem, dynamodb:GetItem], Resource: !GetAtt Letters.Arn}
              - Effect: Allow
                Action: sagemaker:CreateModel
                Resource: !Sub "arn:aws:sagemaker:${AWS::Region}:${AWS::AccountId}:model/*"
                Condition: {StringEquals: {aws:RequestTag/stack: !Ref AWS::StackName}}
              - Effect: Allow
                Action: sagemaker:AddTags
                Resource: !Sub "arn:aws:sagemaker:${AWS::Region}:${AWS::AccountId}:model/*"
                Condition:
                  StringEquals:
                    aws:RequestTag/stack: !Ref AWS::StackName
                    sagemaker:TaggingAction: CreateModel
              - Effect: Allow
                Action: sagemaker:DeleteModel
                Resource: "*"
                Condition: {StringEquals: {aws:ResourceTag/stack: !Ref AWS::StackName}}
              - Effect: Allow
                Action: iam:PassRole
                Resource: !GetAtt ServingRole.Arn
                Condition: {StringEquals: {iam:PassedToService: sagemaker.amazonaws.com}}
              - {Effect: Allow, Action: "sqs:*", Resource: "*"}
              - {Effect: Deny, Action: sqs:PurgeQueue, Resource: "*"}
  ServingRole:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Version: "2012-10-17"
        Statement: [{Effect: Allow, Principal: {Service: sagemaker.amazonaws.com}, Action: sts:AssumeRole}]
      Policies:
        - PolicyName: serve
          PolicyDocument:
            Version: "2012-10-17"
            Statement: [{Effect: Allow, Action: s3:GetObject, Resource: !Sub "${Inbox.Arn}/*"}]
Outputs:
  Inbox: {Value: !Ref Inbox}
  Silent: {Value: !Ref Silent}
  Letters: {Value: !Ref Letters}
  News: {Value: !Ref News}
  Readers: {Value: !Ref Readers}
  Failed: {Value: !Ref Failed}
  Undelivered: {Value: !Ref Undelivered}
  ServingRole: {Value: !GetAtt ServingRole.Arn}
"""

KEEPS_LETTERS = """
import json
session = environ = None

def handler(event, context):
    print("got", event["detail"]["object"]["key"])
    session.client("dynamodb").put_item(
        TableName=environ["LETTERS"] if "LETTERS" in environ else "small-Letters-unknown",
        Item={"pk": {"S": event["detail"]["object"]["key"]}},
    )
    return {"kept": event["detail"]["object"]["key"]}
"""
RETURNS = """
def handler(event, context):
    print("hello", event.get("name"))
    return {"name": event.get("name"), "milliseconds": context.get_remaining_time_in_millis()}
"""
FAILS = """
def handler(event, context):
    raise ValueError("no such colour")
"""


def given_as_attributes(
    environ: Mapping[str, str], session: boto3.Session, module: ModuleType
) -> Callable[[], AbstractContextManager[object]]:
    """Surroundings for handlers that are not Modelgate's: the module gets ``environ`` and ``session``."""
    vars(module).update(environ=environ, session=session)
    return nullcontext


@contextmanager
def small_stack(
    folder: Path, worker: str = RETURNS, template: str = TEMPLATE, **settings: Any
) -> Iterator[LocalCloud]:
    """The small stack, with ``worker`` as the code of its function."""
    (folder / "worker").mkdir(exist_ok=True)
    (folder / "worker/app.py").write_text(worker)
    (folder / "template.yaml").write_text(template)
    settings = {"stack_name": "small", "running_in": given_as_attributes, **settings}
    with LocalCloud(folder / "template.yaml", **settings) as cloud:
        yield cloud


def messages(cloud: LocalCloud, queue: str) -> list[dict[str, Any]]:
    """What stands in a queue of the stack, by the name of its output."""
    answer = cloud.client("sqs").receive_message(
        QueueUrl=cloud.outputs[queue], MaxNumberOfMessages=10, MessageAttributeNames=["All"]
    )
    found: list[dict[str, Any]] = answer.get("Messages", [])
    return found


def upload(cloud: LocalCloud, key: str = "in/letter", body: bytes = b"hello") -> str:
    """Put an object into the inbox; its version."""
    answer = cloud.client("s3").put_object(Bucket=cloud.outputs["Inbox"], Key=key, Body=body)
    return str(answer["VersionId"])


def test_two_clouds_one_after_the_other_share_nothing(tmp_path: Path) -> None:
    with small_stack(tmp_path) as cloud:
        upload(cloud)
        cloud.settle()
        assert len(cloud.invocations) == 1

    with small_stack(tmp_path) as cloud:
        assert cloud.client("s3").list_objects_v2(Bucket=cloud.outputs["Inbox"])["KeyCount"] == 0
        assert cloud.events_seen == []
        assert cloud.invocations == []


def test_two_clouds_at_once_in_one_process_are_refused(tmp_path: Path) -> None:
    with (
        small_stack(tmp_path) as cloud,
        pytest.raises(LocalCloudError, match="another local cloud runs"),
        LocalCloud(tmp_path / "template.yaml"),
    ):
        pass
    with small_stack(tmp_path) as again:
        assert again.url != ""
    assert cloud.pace == Pace()


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    with small_stack(tmp_path) as cloud:
        assert cloud.url.startswith("http://127.0.0.1:")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(LocalCloudError, match=f"the port {port}"), small_stack(tmp_path, port=port):
            pass


def test_a_template_with_an_unknown_resource_type_is_refused_by_its_name(tmp_path: Path) -> None:
    unknown = TEMPLATE.replace("Outputs:", "  Zoo: {Type: AWS::Zoo::Elephant}\nOutputs:", 1)

    with pytest.raises(TemplateError, match="AWS::Zoo::Elephant"), small_stack(tmp_path, template=unknown):
        pass
    with small_stack(tmp_path) as cloud:  # the failed start has left nothing behind
        assert "Inbox" in cloud.outputs


def test_a_parameter_that_the_template_does_not_allow_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match="Colour"), small_stack(tmp_path, parameters={"Colour": "blue"}):
        pass


def test_a_condition_decides_whether_a_resource_is_made(tmp_path: Path) -> None:
    with small_stack(tmp_path, parameters={"Colour": "red"}) as cloud:
        urls = cloud.client("sqs").list_queues(QueueNamePrefix="small-OnlyWhenRed")["QueueUrls"]
        assert len(urls) == 1
        assert cloud.function("Worker").environment["COLOUR"] == "red"
    with small_stack(tmp_path) as cloud:
        assert "QueueUrls" not in cloud.client("sqs").list_queues(QueueNamePrefix="small-OnlyWhenRed")


def test_describe_tells_what_is_not_simulated(tmp_path: Path) -> None:
    with small_stack(tmp_path) as cloud:
        assert "keeps its lines for ever" in cloud.describe()


def test_the_bucket_is_as_the_template_has_it(tmp_path: Path) -> None:
    with small_stack(tmp_path) as cloud:
        s3 = cloud.client("s3")
        assert s3.get_bucket_versioning(Bucket=cloud.outputs["Inbox"])["Status"] == "Enabled"
        assert cloud.outputs["Inbox"].startswith("small-inbox-")
