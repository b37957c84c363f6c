"""What CloudFormation would call a resource: ``Ref`` and ``GetAtt`` for each type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from localcloud.calls import ACCOUNT
from localcloud.errors import TemplateError


@dataclass(frozen=True)
class Name:
    """What ``Ref`` and ``GetAtt`` give."""

    physical_id: str
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Draft:
    """What a name is made from."""

    logical_id: str
    properties: Mapping[str, Any]
    stack_name: str
    region: str
    url: str
    registry: str
    drawn: str

    def given(self, member: str) -> str:
        """The name in the properties, or one as CloudFormation makes it."""
        return str(self.properties.get(member) or self.made)

    @property
    def made(self) -> str:
        return f"{self.stack_name}-{self.logical_id}-{self.drawn.upper()}"

    def arn(self, service: str, resource: str) -> str:
        return f"arn:aws:{service}:{self.region}:{ACCOUNT}:{resource}"


def naming(
    type_: str,
    *,
    logical_id: str,
    properties: Mapping[str, Any],
    stack_name: str,
    region: str,
    url: str,
    registry: str,
    drawn: str,
) -> Name:
    """The name of a resource.

    Args:
        registry: host and port at which ECR's repositories lie.

    Raises:
        TemplateError: the local cloud does not know the type.
    """
    name = _TYPES.get(type_)
    if name is None:
        raise TemplateError(f"{logical_id}: the local cloud does not know resources of type {type_}")
    return name(_Draft(logical_id, properties, stack_name, region, url, registry, drawn))


def _bucket(draft: _Draft) -> Name:
    made = f"{draft.stack_name}-{draft.logical_id}-{draft.drawn}".lower()
    name = str(draft.properties.get("BucketName") or made)
    return Name(
        name,
        {
            "Arn": f"arn:aws:s3:::{name}",
            "DomainName": f"{name}.s3.amazonaws.com",
            "RegionalDomainName": f"{name}.s3.{draft.region}.amazonaws.com",
        },
    )


def _queue(draft: _Draft) -> Name:
    name = draft.given("QueueName")
    url = f"{draft.url}/{ACCOUNT}/{name}"
    return Name(url, {"Arn": draft.arn("sqs", name), "QueueName": name, "QueueUrl": url})


def _topic(draft: _Draft) -> Name:
    name = draft.given("TopicName")
    arn = draft.arn("sns", name)
    return Name(arn, {"TopicArn": arn, "TopicName": name})


def _role(draft: _Draft) -> Name:
    name = draft.given("RoleName")
    path = draft.properties.get("Path", "/")
    return Name(
        name, {"Arn": f"arn:aws:iam::{ACCOUNT}:role{path}{name}", "RoleId": f"AROA{draft.drawn.upper()}"}
    )


def _managed_policy(draft: _Draft) -> Name:
    path = draft.properties.get("Path", "/")
    arn = f"arn:aws:iam::{ACCOUNT}:policy{path}{draft.given('ManagedPolicyName')}"
    return Name(arn, {"PolicyArn": arn})


def _rule(draft: _Draft) -> Name:
    name = draft.given("Name")
    bus = str(draft.properties.get("EventBusName", "default")).rsplit("/", 1)[-1]
    if bus == "default":
        return Name(name, {"Arn": draft.arn("events", f"rule/{name}")})
    return Name(f"{bus}|{name}", {"Arn": draft.arn("events", f"rule/{bus}/{name}")})


def _archive(draft: _Draft) -> Name:
    # An archive's name has at most 48 characters.
    name = str(draft.properties.get("ArchiveName") or draft.made[-48:].lstrip("-"))
    return Name(name, {"Arn": draft.arn("events", f"archive/{name}"), "ArchiveName": name})


def _layer(draft: _Draft) -> Name:
    arn = draft.arn("lambda", f"layer:{draft.properties.get('LayerName', draft.logical_id)}:1")
    return Name(arn, {"LayerVersionArn": arn})


def _log_group(draft: _Draft) -> Name:
    name = draft.given("LogGroupName")
    return Name(name, {"Arn": draft.arn("logs", f"log-group:{name}:*")})


def _alarm(draft: _Draft) -> Name:
    name = draft.given("AlarmName")
    return Name(name, {"Arn": draft.arn("cloudwatch", f"alarm:{name}")})


def _plain(member: str, service: str, resource: str, *more: str) -> Callable[[_Draft], Name]:
    """Types whose Ref is their name and whose ARN ends in it."""

    def name(draft: _Draft) -> Name:
        given = draft.given(member)
        attributes = {"Arn": draft.arn(service, f"{resource}{given}")}
        return Name(given, attributes | dict.fromkeys(more, given))

    return name


def _nameless(draft: _Draft) -> Name:
    return Name(draft.made)


def _parameter(draft: _Draft) -> Name:
    return Name(
        draft.given("Name"), {"Type": str(draft.properties["Type"]), "Value": str(draft.properties["Value"])}
    )


def _repository(draft: _Draft) -> Name:
    name = str(draft.properties.get("RepositoryName") or draft.made.lower())
    uri = f"{draft.registry}/{name}"
    return Name(name, {"Arn": draft.arn("ecr", f"repository/{name}"), "RepositoryUri": uri})


_TYPES: Mapping[str, Callable[[_Draft], Name]] = {
    "AWS::S3::Bucket": _bucket,
    "AWS::S3::BucketPolicy": _nameless,
    "AWS::DynamoDB::Table": _plain("TableName", "dynamodb", "table/"),
    "AWS::Events::EventBus": _plain("Name", "events", "event-bus/", "Name"),
    "AWS::Events::Archive": _archive,
    "AWS::Events::Rule": _rule,
    "AWS::SNS::Topic": _topic,
    "AWS::SNS::Subscription": _nameless,
    "AWS::SNS::TopicPolicy": _nameless,
    "AWS::SQS::Queue": _queue,
    "AWS::SQS::QueuePolicy": _nameless,
    "AWS::IAM::Role": _role,
    "AWS::CodeBuild::Project": _plain("Name", "codebuild", "project/"),
    "AWS::IAM::ManagedPolicy": _managed_policy,
    "AWS::Logs::LogGroup": _log_group,
    "AWS::CloudWatch::Alarm": _alarm,
    "AWS::Lambda::Function": _plain("FunctionName", "lambda", "function:"),
    "AWS::Lambda::LayerVersion": _layer,
    "AWS::Lambda::EventInvokeConfig": _nameless,
    "AWS::Lambda::Permission": _nameless,
    "AWS::SSM::Parameter": _parameter,
    "AWS::ECR::Repository": _repository,
}
