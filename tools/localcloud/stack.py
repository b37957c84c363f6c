"""Makes the stack's resources, each through the API that makes it on AWS."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from localcloud.clients import Clients
from localcloud.destinations import DESTINATIONS
from localcloud.errors import TemplateError
from localcloud.functions import FunctionSettings
from localcloud.policies import refuse_unknown
from localcloud.template import ResolvedTemplate, Resource

_AWS_POLICY = "arn:aws:iam::aws:policy/"

# What is made, and does less here than on AWS. ``describe()`` tells it.
NOT_SIMULATED: Mapping[str, str] = {
    "AWS::CloudWatch::Alarm": "is kept, and changes by SetAlarmState only: no service sends metrics here",
    "AWS::Lambda::LayerVersion": "is not mounted: functions import what is installed here",
    "AWS::CodeBuild::Project": "builds in a shell of this machine, with its engine; no image, no VPC",
    "AWS::S3::BucketPolicy": "only what it denies is asked; requests count as sent over TLS",
    "AWS::SNS::Subscription": "delivers to queues; no mail is sent",
    "AWS::Logs::LogGroup": "keeps its lines for ever",
}
_BUCKET_MEMBERS = {
    "BucketName",
    "VersioningConfiguration",
    "NotificationConfiguration",
    "PublicAccessBlockConfiguration",
    "OwnershipControls",
    "BucketEncryption",
    "LifecycleConfiguration",
    "Tags",
}
_PROJECT_MEMBERS = {
    "Name",
    "Description",
    "ServiceRole",
    "Source",
    "Artifacts",
    "Environment",
    "TimeoutInMinutes",
    "QueuedTimeoutInMinutes",
    "ConcurrentBuildLimit",
    "EncryptionKey",
    "Cache",
    "VpcConfig",
    "LogsConfig",
    "Tags",
}
_REPOSITORY_MEMBERS = {
    "RepositoryName",
    "ImageTagMutability",
    "ImageScanningConfiguration",
    "EncryptionConfiguration",
    "LifecyclePolicy",
    "EmptyOnDelete",
    "Tags",
}


class StackBuilder:
    """Makes what a template has, in the order in which it is needed."""

    def __init__(self, template: ResolvedTemplate, clients: Clients) -> None:
        self._template = template
        self._clients = clients

    def build(self) -> None:
        """Make everything but the functions.

        Raises:
            TemplateError: a property is unknown here.
        """
        makers = self._makers()
        unknown = {item.type for item in self._template.resources.values()} - {kind for kind, _ in makers}
        if unknown - set(_BY_FUNCTIONS):
            raise TemplateError(f"the local cloud cannot make {', '.join(sorted(unknown))}")
        for kind, make in makers:
            for resource in self._of(kind):
                make(resource)

    def functions(self) -> list[FunctionSettings]:
        """The stack's functions, with what configures their invocation."""
        return [self._function(resource) for resource in self._of("AWS::Lambda::Function")]

    def _of(self, kind: str) -> list[Resource]:
        return [resource for resource in self._template.resources.values() if resource.type == kind]

    def _makers(self) -> Sequence[tuple[str, Callable[[Resource], None]]]:
        return (
            ("AWS::Logs::LogGroup", self._log_group),
            ("AWS::S3::Bucket", self._bucket),
            ("AWS::S3::BucketPolicy", self._bucket_policy),
            ("AWS::DynamoDB::Table", self._table),
            ("AWS::SQS::Queue", self._queue),
            ("AWS::SQS::QueuePolicy", self._queue_policy),
            ("AWS::SNS::Topic", self._topic),
            ("AWS::SNS::TopicPolicy", self._topic_policy),
            ("AWS::SNS::Subscription", self._subscription),
            ("AWS::Events::EventBus", self._event_bus),
            ("AWS::Events::Archive", self._archive),
            ("AWS::Events::Rule", self._rule),
            ("AWS::IAM::ManagedPolicy", self._managed_policy),
            ("AWS::IAM::Role", self._role),
            ("AWS::CloudWatch::Alarm", self._alarm),
            ("AWS::SSM::Parameter", self._parameter),
            ("AWS::ECR::Repository", self._repository),
            ("AWS::CodeBuild::Project", self._project),
        )

    # ── storage ───────────────────────────────────────────────────────────────────────────────────

    def _bucket(self, resource: Resource) -> None:
        s3, name, given = self._clients.aws("s3"), resource.physical_id, resource.properties
        _refuse_unknown(resource, _BUCKET_MEMBERS)
        region = s3.meta.region_name
        more = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        s3.create_bucket(Bucket=name, **more)
        if "VersioningConfiguration" in given:
            s3.put_bucket_versioning(Bucket=name, VersioningConfiguration=given["VersioningConfiguration"])
        if "PublicAccessBlockConfiguration" in given:
            block = given["PublicAccessBlockConfiguration"]
            s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=block)
        if "OwnershipControls" in given:
            s3.put_bucket_ownership_controls(Bucket=name, OwnershipControls=given["OwnershipControls"])
        if "BucketEncryption" in given:
            rules = [
                {"ApplyServerSideEncryptionByDefault": rule["ServerSideEncryptionByDefault"]}
                for rule in given["BucketEncryption"]["ServerSideEncryptionConfiguration"]
            ]
            s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": rules})
        if "Tags" in given:
            s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": given["Tags"]})
        self._bucket_rules(name, given)

    def _bucket_rules(self, name: str, given: Mapping[str, Any]) -> None:
        s3 = self._clients.aws("s3")
        if "LifecycleConfiguration" in given:
            rules = [_lifecycle_rule(rule) for rule in given["LifecycleConfiguration"]["Rules"]]
            s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": rules})
        notification = given.get("NotificationConfiguration", {})
        bridge = notification.get("EventBridgeConfiguration")
        if set(notification) - {"EventBridgeConfiguration"}:
            raise TemplateError(f"{name}: the local cloud knows notifications to EventBridge only")
        if bridge is not None and str(bridge.get("EventBridgeEnabled", True)).lower() == "true":
            configuration: dict[str, Any] = {"EventBridgeConfiguration": {}}
            s3.put_bucket_notification_configuration(Bucket=name, NotificationConfiguration=configuration)

    def _bucket_policy(self, resource: Resource) -> None:
        document = _policy(resource, resource.properties["PolicyDocument"])
        self._clients.aws("s3").put_bucket_policy(Bucket=resource.properties["Bucket"], Policy=document)

    def _table(self, resource: Resource) -> None:
        dynamodb, name = self._clients.aws("dynamodb"), resource.physical_id
        given = dict(resource.properties)
        recovery = given.pop("PointInTimeRecoverySpecification", None)
        ttl = given.pop("TimeToLiveSpecification", None)
        encryption = given.pop("SSESpecification", None)
        if encryption is not None:
            given["SSESpecification"] = {"Enabled": encryption["SSEEnabled"]}
        dynamodb.create_table(**{**given, "TableName": name})
        if recovery is not None:
            dynamodb.update_continuous_backups(TableName=name, PointInTimeRecoverySpecification=recovery)
        if ttl is not None:
            dynamodb.update_time_to_live(TableName=name, TimeToLiveSpecification=ttl)

    def _project(self, resource: Resource) -> None:
        _refuse_unknown(resource, _PROJECT_MEMBERS)
        given: dict[str, Any] = {**_in_camel_case(resource.properties), "name": resource.physical_id}
        for number in ("timeoutInMinutes", "queuedTimeoutInMinutes", "concurrentBuildLimit"):
            if number in given:
                given[number] = int(given[number])
        if "privilegedMode" in given["environment"]:
            given["environment"]["privilegedMode"] = _is_true(given["environment"]["privilegedMode"])
        if "buildSpec" in given["source"]:
            given["source"]["buildspec"] = given["source"].pop("buildSpec")
        for member, ids in given.get("vpcConfig", {}).items():
            # A parameter that is a list is its text here.
            if isinstance(ids, str) and member != "vpcId":
                given["vpcConfig"][member] = ids.split(",")
        self._clients.aws("codebuild").create_project(**given)

    # ── messages ──────────────────────────────────────────────────────────────────────────────────

    def _queue(self, resource: Resource) -> None:
        given = {
            name: value for name, value in resource.properties.items() if name not in {"QueueName", "Tags"}
        }
        attributes = {name: _attribute(value) for name, value in given.items()}
        self._clients.aws("sqs").create_queue(
            QueueName=resource.attributes["QueueName"],
            Attributes=attributes,
            tags={tag["Key"]: tag["Value"] for tag in resource.properties.get("Tags", [])},
        )

    def _queue_policy(self, resource: Resource) -> None:
        document = json.dumps(resource.properties["PolicyDocument"])
        for url in resource.properties["Queues"]:
            self._clients.aws("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": document})

    def _topic(self, resource: Resource) -> None:
        self._clients.aws("sns").create_topic(
            Name=resource.attributes["TopicName"], Tags=resource.properties.get("Tags", [])
        )

    def _topic_policy(self, resource: Resource) -> None:
        document = json.dumps(resource.properties["PolicyDocument"])
        for arn in resource.properties["Topics"]:
            self._clients.aws("sns").set_topic_attributes(
                TopicArn=arn, AttributeName="Policy", AttributeValue=document
            )

    def _subscription(self, resource: Resource) -> None:
        given = resource.properties
        self._clients.aws("sns").subscribe(
            TopicArn=given["TopicArn"], Protocol=given["Protocol"], Endpoint=given["Endpoint"]
        )

    # ── events ────────────────────────────────────────────────────────────────────────────────────

    def _event_bus(self, resource: Resource) -> None:
        self._clients.aws("events").create_event_bus(Name=resource.physical_id)

    def _archive(self, resource: Resource) -> None:
        given = resource.properties
        more = {name: given[name] for name in ("Description", "RetentionDays") if name in given}
        self._clients.aws("events").create_archive(
            ArchiveName=resource.physical_id,
            EventSourceArn=given["SourceArn"],
            EventPattern=json.dumps(given.get("EventPattern", {})),
            **more,
        )

    def _rule(self, resource: Resource) -> None:
        events, given = self._clients.aws("events"), resource.properties
        name = resource.physical_id.rpartition("|")[2]
        bus = given.get("EventBusName", "default")
        more = {
            member: given[member]
            for member in ("Description", "ScheduleExpression", "State")
            if member in given
        }
        if "EventPattern" in given:
            more["EventPattern"] = json.dumps(given["EventPattern"])
        events.put_rule(Name=name, EventBusName=bus, **more)
        targets = [_target(target) for target in given.get("Targets", [])]
        if targets:
            events.put_targets(Rule=name, EventBusName=bus, Targets=targets)

    # ── permissions, and what is watched ──────────────────────────────────────────────────────────

    def _managed_policy(self, resource: Resource) -> None:
        given = resource.properties
        self._clients.aws("iam").create_policy(
            PolicyName=resource.physical_id.rpartition("/")[2],
            Path=given.get("Path", "/"),
            PolicyDocument=_policy(resource, given["PolicyDocument"]),
            Description=given.get("Description", ""),
        )

    def _role(self, resource: Resource) -> None:
        iam, name, given = self._clients.aws("iam"), resource.physical_id, resource.properties
        iam.create_role(
            RoleName=name,
            Path=given.get("Path", "/"),
            AssumeRolePolicyDocument=json.dumps(given["AssumeRolePolicyDocument"]),
        )
        for policy in given.get("Policies", []):
            iam.put_role_policy(
                RoleName=name,
                PolicyName=policy["PolicyName"],
                PolicyDocument=_policy(resource, policy["PolicyDocument"]),
            )
        for arn in given.get("ManagedPolicyArns", []):
            if arn.startswith(_AWS_POLICY):
                document = _aws_managed_policy(arn)
                iam.put_role_policy(RoleName=name, PolicyName=arn.rpartition("/")[2], PolicyDocument=document)
            else:
                iam.attach_role_policy(RoleName=name, PolicyArn=arn)

    def _log_group(self, resource: Resource) -> None:
        logs, name = self._clients.aws("logs"), resource.physical_id
        logs.create_log_group(logGroupName=name)
        days = resource.properties.get("RetentionInDays")
        if days is not None:
            logs.put_retention_policy(logGroupName=name, retentionInDays=int(days))

    def _alarm(self, resource: Resource) -> None:
        self._clients.aws("cloudwatch").put_metric_alarm(
            **{**resource.properties, "AlarmName": resource.physical_id}
        )

    def _parameter(self, resource: Resource) -> None:
        given = resource.properties
        self._clients.aws("ssm").put_parameter(
            Name=resource.physical_id,
            Type=given["Type"],
            Value=str(given["Value"]),
            Description=given.get("Description", ""),
        )

    def _repository(self, resource: Resource) -> None:
        ecr, name, given = self._clients.aws("ecr"), resource.physical_id, resource.properties
        _refuse_unknown(resource, _REPOSITORY_MEMBERS)
        more: dict[str, Any] = {}
        if "ImageTagMutability" in given:
            more["imageTagMutability"] = given["ImageTagMutability"]
        if "ImageScanningConfiguration" in given:
            scans = _is_true(given["ImageScanningConfiguration"].get("ScanOnPush", False))
            more["imageScanningConfiguration"] = {"scanOnPush": scans}
        if "EncryptionConfiguration" in given:
            encryption = given["EncryptionConfiguration"]
            more["encryptionConfiguration"] = {
                member: encryption[key]
                for key, member in (("EncryptionType", "encryptionType"), ("KmsKey", "kmsKey"))
                if key in encryption
            }
        ecr.create_repository(repositoryName=name, tags=given.get("Tags", []), **more)
        lifecycle = given.get("LifecyclePolicy", {}).get("LifecyclePolicyText")
        if lifecycle is not None:
            ecr.put_lifecycle_policy(repositoryName=name, lifecyclePolicyText=_attribute(lifecycle))

    # ── functions ─────────────────────────────────────────────────────────────────────────────────

    def _function(self, resource: Resource) -> FunctionSettings:
        given = resource.properties
        logging = given.get("LoggingConfig", {})
        invoke = self._invoke_config(resource)
        on_failure = invoke.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination")
        if on_failure is not None and not any(kind in on_failure for kind in DESTINATIONS):
            raise TemplateError(
                f"{resource.logical_id}: {on_failure} is no on-failure destination that is known here: "
                "a queue, a topic or a function"
            )
        return FunctionSettings(
            logical_id=resource.logical_id,
            name=resource.physical_id,
            arn=resource.attributes["Arn"],
            code=self._template.directory / given["Code"]["S3Key"],
            handler=given["Handler"],
            environment={
                name: str(value) for name, value in given.get("Environment", {}).get("Variables", {}).items()
            },
            role=given["Role"].rpartition("/")[2],
            timeout=float(given.get("Timeout", 3)),
            memory=int(given.get("MemorySize", 128)),
            concurrency=given.get("ReservedConcurrentExecutions"),
            log_group=logging.get("LogGroup") or f"/aws/lambda/{resource.physical_id}",
            json_logs=logging.get("LogFormat") == "JSON",
            retries=int(invoke.get("MaximumRetryAttempts", 2)),
            most_age=float(invoke.get("MaximumEventAgeInSeconds", 21600)),
            on_failure=on_failure,
            allowed=tuple(self._allowed(resource)),
            properties=given,
        )

    def _invoke_config(self, function: Resource) -> Mapping[str, Any]:
        names = {function.physical_id, function.attributes["Arn"]}
        for resource in self._of("AWS::Lambda::EventInvokeConfig"):
            if resource.properties["FunctionName"] in names:
                return resource.properties
        return {}

    def _allowed(self, function: Resource) -> list[tuple[str, str | None]]:
        names = {function.physical_id, function.attributes["Arn"]}
        return [
            (resource.properties["Principal"], resource.properties.get("SourceArn"))
            for resource in self._of("AWS::Lambda::Permission")
            if resource.properties["FunctionName"] in names
        ]


# Made by the part that runs functions.
_BY_FUNCTIONS = (
    "AWS::Lambda::Function",
    "AWS::Lambda::LayerVersion",
    "AWS::Lambda::EventInvokeConfig",
    "AWS::Lambda::Permission",
)


def _is_true(value: object) -> bool:
    """Booleans of a template may be texts."""
    return str(value).lower() == "true"


def _refuse_unknown(resource: Resource, known: set[str]) -> None:
    unknown = set(resource.properties) - known
    if unknown:
        names = ", ".join(sorted(unknown))
        raise TemplateError(
            f"{resource.logical_id}: the local cloud does not know {names} of {resource.type}"
        )


def _policy(resource: Resource, document: Mapping[str, Any]) -> str:
    """A policy that can be evaluated here."""
    # SAM writes some without a version, which IAM takes and moto does not. What differs between versions is
    # not evaluated here.
    written = json.dumps({"Version": "2012-10-17", **document})
    try:
        refuse_unknown(written)
    except TemplateError as error:
        raise TemplateError(f"{resource.logical_id}: {error}") from error
    return written


def _in_camel_case(properties: Any) -> Any:
    """As the APIs have it that write their members so, where CloudFormation begins them with a capital."""
    if isinstance(properties, Mapping):
        return {name[0].lower() + name[1:]: _in_camel_case(value) for name, value in properties.items()}
    return [_in_camel_case(item) for item in properties] if isinstance(properties, list) else properties


def _lifecycle_rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    """A rule as the API has it; CloudFormation names some of its members otherwise."""
    made: dict[str, Any] = {"ID": rule["Id"]} if "Id" in rule else {}
    made |= {"Status": rule["Status"], "Filter": {"Prefix": rule.get("Prefix", "")}}
    if "AbortIncompleteMultipartUpload" in rule:
        days = rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"]
        made["AbortIncompleteMultipartUpload"] = {"DaysAfterInitiation": int(days)}
    if "ExpirationInDays" in rule:
        made["Expiration"] = {"Days": int(rule["ExpirationInDays"])}
    noncurrent = rule.get("NoncurrentVersionExpiration")
    days = noncurrent["NoncurrentDays"] if noncurrent else rule.get("NoncurrentVersionExpirationInDays")
    if days is not None:
        made["NoncurrentVersionExpiration"] = {"NoncurrentDays": int(days)}
    known = {
        "Id",
        "Status",
        "Prefix",
        "AbortIncompleteMultipartUpload",
        "ExpirationInDays",
        "NoncurrentVersionExpiration",
        "NoncurrentVersionExpirationInDays",
    }
    if set(rule) - known:
        raise TemplateError(
            f"the local cloud does not know {', '.join(set(rule) - known)} of a lifecycle rule"
        )
    return made


def _target(target: Mapping[str, Any]) -> dict[str, Any]:
    made = dict(target)
    for number in ("MaximumRetryAttempts", "MaximumEventAgeInSeconds"):
        if number in made.get("RetryPolicy", {}):
            made["RetryPolicy"] = {**made["RetryPolicy"], number: int(made["RetryPolicy"][number])}
    return made


def _attribute(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value) if isinstance(value, dict | list) else str(value)


def _aws_managed_policy(arn: str) -> str:
    """The document of a policy of AWS's own, as moto knows it."""
    from moto.iam.aws_managed_policies import aws_managed_policies_data

    name = arn.rpartition("/")[2]
    policy = json.loads(aws_managed_policies_data).get(name)
    if policy is None:
        raise TemplateError(f"the local cloud does not know the managed policy {arn}")
    return json.dumps(policy["Document"])
