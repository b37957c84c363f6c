"""Which permissions a call needs: actions, the resources they are on, and what conditions may ask about.

From the "Service Authorization Reference", for what a stack of this kind calls. An operation that is not
listed needs the action of its own name, on the resource that its service's entry tells, or on ``*``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from localcloud.calls import ACCOUNT, Call
from localcloud.copy_source import copy_source
from localcloud.policies import Demand

TagsOf = Callable[[str], Mapping[str, str]]

_S3_ACTIONS = {
    "HeadObject": "GetObject",
    "HeadBucket": "ListBucket",
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "ListObjectVersions": "ListBucketVersions",
    "ListBuckets": "ListAllMyBuckets",
    "CreateMultipartUpload": "PutObject",
    "UploadPart": "PutObject",
    "UploadPartCopy": "PutObject",
    "CompleteMultipartUpload": "PutObject",
    "ListParts": "ListMultipartUploadParts",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "CopyObject": "PutObject",
    "GetBucketNotificationConfiguration": "GetBucketNotification",
    "PutBucketNotificationConfiguration": "PutBucketNotification",
    "GetBucketEncryption": "GetEncryptionConfiguration",
}
_DYNAMODB_ITEMS = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
    "Get": "GetItem",
}
# SageMaker's operations end in the kind of what they are about; the longest kinds come first.
_SAGEMAKER_KINDS = (
    ("ModelPackageGroup", "model-package-group", ("ModelPackageGroupName",)),
    ("ModelPackage", "model-package", ("ModelPackageName",)),
    ("EndpointConfig", "endpoint-config", ("EndpointConfigName",)),
    ("Endpoint", "endpoint", ("EndpointName",)),
    ("TrainingJob", "training-job", ("TrainingJobName",)),
    ("TransformJob", "transform-job", ("TransformJobName",)),
    ("Model", "model", ("ModelName",)),
    ("StudioLifecycleConfig", "studio-lifecycle-config", ("StudioLifecycleConfigName",)),
    ("PresignedDomainUrl", "user-profile", ("DomainId", "UserProfileName")),
    ("Domain", "domain", ("DomainId",)),
    ("UserProfile", "user-profile", ("DomainId", "UserProfileName")),
    ("Space", "space", ("DomainId", "SpaceName")),
    # An app runs in a user profile or in a space, and is called after it.
    ("App", "app", ("DomainId", "UserProfileName|SpaceName", "AppType", "AppName")),
)
# The members of requests, however deep, that hand a role to SageMaker.
_ROLES = frozenset({"ExecutionRoleArn", "RoleArn", "ExecutionRole", "DomainExecutionRoleArn"})
# Operations on endpoints whose names end in something else.
_ON_ENDPOINTS = frozenset({"InvokeEndpointAsync", "UpdateEndpointWeightsAndCapacities"})


def demands(call: Call, tags_of: TagsOf) -> list[Demand]:
    """The permissions that ``call`` needs, each of them.

    Args:
        tags_of: the tags of the resource with an ARN, for ``aws:ResourceTag``.
    """
    service = {"sagemaker-runtime": "sagemaker"}.get(call.service, call.service)
    special = _SERVICES.get(service)
    if special is not None:
        return special(call, tags_of)
    return [Demand(call.name, "*")]


def sagemaker_arn(region: str, kind: str, name: str) -> str:
    """An ARN as SageMaker writes it, in lower case; a name that is an ARN stays."""
    if name.startswith("arn:"):
        return name
    return f"arn:aws:sagemaker:{region}:{ACCOUNT}:{kind}/{name.lower()}"


def _s3(call: Call, _tags_of: TagsOf) -> list[Demand]:
    bucket = f"arn:aws:s3:::{call.params.get('Bucket', '*')}"
    key = call.params.get("Key")
    action = _S3_ACTIONS.get(call.operation, call.operation)
    if call.operation in {"GetObject", "HeadObject"} and call.params.get("VersionId"):
        action = "GetObjectVersion"
    if call.operation == "DeleteObject" and call.params.get("VersionId"):
        action = "DeleteObjectVersion"
    if call.operation == "DeleteObjects":
        objects = call.params.get("Delete", {}).get("Objects", [])
        kinds = {True: "s3:DeleteObjectVersion", False: "s3:DeleteObject"}
        return [Demand(kinds[bool(item.get("VersionId"))], f"{bucket}/{item['Key']}") for item in objects]
    lists = action in {"ListBucket", "ListBucketVersions"}
    context = {"s3:prefix": call.params.get("Prefix", "")} if lists else {}
    resource = "*" if action == "ListAllMyBuckets" else f"{bucket}/{key}" if key is not None else bucket
    found = [Demand(f"s3:{action}", resource, context)]
    source = copy_source(call)
    if source is not None:
        reading = "s3:GetObjectVersion" if source.version else "s3:GetObject"
        found.append(Demand(reading, f"arn:aws:s3:::{source.bucket}/{source.key}"))
    if call.params.get("Tagging") and action == "PutObject":
        found.append(Demand("s3:PutObjectTagging", resource))
    return found


def _dynamodb(call: Call, _tags_of: TagsOf) -> list[Demand]:
    def table(name: str) -> str:
        return name if name.startswith("arn:") else f"arn:aws:dynamodb:{call.region}:{ACCOUNT}:table/{name}"

    if call.operation in {"TransactWriteItems", "TransactGetItems"}:
        return [
            Demand(f"dynamodb:{_DYNAMODB_ITEMS[kind]}", table(item["TableName"]))
            for entry in call.params.get("TransactItems", [])
            for kind, item in entry.items()
        ]
    if call.operation in {"BatchGetItem", "BatchWriteItem"}:
        return [Demand(call.name, table(name)) for name in call.params.get("RequestItems", {})]
    name = call.params.get("TableName")
    if name is None:
        return [Demand(call.name, "*")]
    index = call.params.get("IndexName")
    return [Demand(call.name, f"{table(name)}/index/{index}" if index else table(name))]


def _sagemaker(call: Call, tags_of: TagsOf) -> list[Demand]:
    params = call.params
    requested = {f"aws:RequestTag/{tag['Key']}": tag["Value"] for tag in params.get("Tags") or []}
    asked: dict[str, Any] = {**requested}
    if requested:
        asked["aws:TagKeys"] = [tag["Key"] for tag in params["Tags"]]
    if "ModelApprovalStatus" in params and call.operation in {"CreateModelPackage", "UpdateModelPackage"}:
        asked["sagemaker:ModelApprovalStatus"] = params["ModelApprovalStatus"]

    def demand(action: str, arn: str) -> Demand:
        own: dict[str, Any] = {}
        for key, value in tags_of(arn).items():
            own |= dict.fromkeys((f"aws:ResourceTag/{key}", f"sagemaker:ResourceTag/{key}"), value)
        return Demand(f"sagemaker:{action}", arn, {**asked, **own})

    arns = _sagemaker_resources(call)
    found = [demand(call.operation, arn) for arn in arns]
    if params.get("Tags") and call.operation.startswith("Create"):
        tagging = demand("AddTags", arns[0])
        context = {**tagging.context, "sagemaker:TaggingAction": call.operation}
        found.append(replace(tagging, context=context))
    passed = {"iam:PassedToService": "sagemaker.amazonaws.com"}
    return found + [Demand("iam:PassRole", role, passed) for role in dict.fromkeys(_roles_passed(params))]


def _roles_passed(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            if key in _ROLES and item:
                yield str(item)
            else:
                yield from _roles_passed(item)


def _sagemaker_resources(call: Call) -> list[str]:
    """The first is what the operation is about; the others are what it uses."""
    params = call.params

    def arn(kind: str, name: str) -> str:
        return sagemaker_arn(call.region, kind, name)

    if call.operation in {"AddTags", "DeleteTags", "ListTags"}:
        return [str(params["ResourceArn"])]
    if call.operation == "ListModelPackages":
        # A list that is limited to a group is about that group; all of them, about every package.
        group = params.get("ModelPackageGroupName")
        return [arn("model-package-group", group)] if group else [arn("model-package", "*")]
    if call.operation == "CreateModelPackage":
        group = str(params.get("ModelPackageGroupName") or "")
        name = f"{group}/*" if group else str(params.get("ModelPackageName") or "*")
        return [arn("model-package", name)] + ([arn("model-package-group", group)] if group else [])
    if call.operation in _ON_ENDPOINTS:
        return [arn("endpoint", str(params["EndpointName"]))]
    for ending, kind, members in () if call.operation.startswith("List") else _SAGEMAKER_KINDS:
        if call.operation.endswith(ending):
            named = (
                next((params[each] for each in member.split("|") if params.get(each)), "*")
                for member in members
            )
            return [arn(kind, "/".join(map(str, named))), *_sagemaker_used(call, arn)]
    return ["*"]


def _sagemaker_used(call: Call, arn: Callable[[str, str], str]) -> list[str]:
    params = call.params
    if call.operation in {"CreateEndpoint", "UpdateEndpoint"}:
        return [arn("endpoint-config", str(params["EndpointConfigName"]))]
    if call.operation == "CreateEndpointConfig":
        variants = [*params.get("ProductionVariants", []), *params.get("ShadowProductionVariants", [])]
        return [arn("model", variant["ModelName"]) for variant in variants if variant.get("ModelName")]
    if call.operation == "CreateModel":
        containers = [params.get("PrimaryContainer") or {}, *params.get("Containers", [])]
        return [
            arn("model-package", item["ModelPackageName"])
            for item in containers
            if item.get("ModelPackageName")
        ]
    return []


def _events(call: Call, _: TagsOf) -> list[Demand]:
    def bus(name: str) -> str:
        return name if name.startswith("arn:") else f"arn:aws:events:{call.region}:{ACCOUNT}:event-bus/{name}"

    if call.operation == "PutEvents":
        entries = call.params["Entries"]
        return [
            Demand(
                call.name,
                bus(entry.get("EventBusName") or "default"),
                {"events:source": entry.get("Source"), "events:detail-type": entry.get("DetailType")},
            )
            for entry in entries
        ]
    name = call.params.get("Name") or call.params.get("Rule") or "*"
    own = call.params.get("EventBusName") or "default"
    place = "" if own == "default" else own.rsplit("/", 1)[-1] + "/"
    return [Demand(call.name, f"arn:aws:events:{call.region}:{ACCOUNT}:rule/{place}{name}")]


def _named(service: str, resource: str, *members: str) -> Callable[[Call, TagsOf], list[Demand]]:
    """Services whose calls name one resource, by a name, an ARN or a URL."""

    def found(call: Call, _: TagsOf) -> list[Demand]:
        given = next((str(call.params[member]) for member in members if call.params.get(member)), None)
        if given is None:
            return [Demand(call.name, "*")]
        if given.startswith("arn:"):
            return [Demand(call.name, given)]
        name = given.rsplit("/", 1)[-1] if given.startswith("http") else given.lstrip("/")
        return [Demand(call.name, f"arn:aws:{service}:{call.region}:{ACCOUNT}:{resource}{name}")]

    return found


def _ecr(call: Call, tags_of: TagsOf) -> list[Demand]:
    """A repository is in the caller's registry, unless another account's is named."""
    params = call.params
    registry = params.get("registryId", ACCOUNT)
    names = [params["repositoryName"]] if "repositoryName" in params else params.get("repositoryNames") or []
    arns = [f"arn:aws:ecr:{call.region}:{registry}:repository/{name}" for name in names]
    arns += [params["resourceArn"]] if "resourceArn" in params else []
    tags = params.get("tags") or []
    asked: dict[str, Any] = {f"aws:RequestTag/{tag['Key']}": tag["Value"] for tag in tags}
    if tags or "tagKeys" in params:
        asked["aws:TagKeys"] = [tag["Key"] for tag in tags] or params["tagKeys"]
    if not arns:
        return [Demand(call.name, "*", asked)]
    actions = [call.name, *(["ecr:TagResource"] if tags and call.operation == "CreateRepository" else [])]
    return [Demand(action, arn, {**asked, **_ecr_tags(tags_of(arn))}) for action in actions for arn in arns]


def _ecr_tags(tags: Mapping[str, str]) -> dict[str, str]:
    return {f"{prefix}:ResourceTag/{key}": value for key, value in tags.items() for prefix in ("aws", "ecr")}


def _codebuild(call: Call, _: TagsOf) -> list[Demand]:
    """Builds are no resources of their own: who may look at a project may look at its builds."""
    named = [*call.params.get("ids", []), *([call.params["id"]] if "id" in call.params else [])]
    names = {each.partition(":build/")[2] or each for each in named}
    projects = {name.partition(":")[0] for name in names} | {
        str(call.params[member]).rpartition("project/")[2]
        for member in ("projectName", "name")
        if member in call.params
    }
    projects |= set(call.params.get("names", []))
    arns = [f"arn:aws:codebuild:{call.region}:{ACCOUNT}:project/{name}" for name in sorted(projects)]
    return [Demand(call.name, arn) for arn in arns or ["*"]]


def _lambda(call: Call, _: TagsOf) -> list[Demand]:
    action = "lambda:InvokeFunction" if call.operation == "Invoke" else call.name
    name = call.params.get("FunctionName")
    if name is None:
        return [Demand(action, "*")]
    arn = name if str(name).startswith("arn:") else f"arn:aws:lambda:{call.region}:{ACCOUNT}:function:{name}"
    return [Demand(action, str(arn))]


def _logs(call: Call, _: TagsOf) -> list[Demand]:
    group = call.params.get("logGroupName")
    stream = call.params.get("logStreamName")
    if group is None:
        return [Demand(call.name, "*")]
    arn = f"arn:aws:logs:{call.region}:{ACCOUNT}:log-group:{group}"
    return [Demand(call.name, f"{arn}:log-stream:{stream}" if stream else arn)]


def _cloudwatch(call: Call, _: TagsOf) -> list[Demand]:
    if call.operation == "PutMetricData":
        return [Demand(call.name, "*", {"cloudwatch:namespace": call.params.get("Namespace")})]
    tags = call.params.get("Tags") or []
    asked: dict[str, Any] = {f"aws:RequestTag/{tag['Key']}": tag["Value"] for tag in tags}
    if call.params.get("ResourceARN"):
        return [Demand(call.name, str(call.params["ResourceARN"]), asked)]
    named = call.params.get("AlarmName")
    names = [named] if named else call.params.get("AlarmNames") or ["*"]
    arns = [f"arn:aws:cloudwatch:{call.region}:{ACCOUNT}:alarm:{name}" for name in names]
    actions = [call.name, *(["cloudwatch:TagResource"] if tags else [])]
    return [Demand(action, arn, asked) for action in actions for arn in arns]


def scaling_demand(
    action: str, region: str, namespace: str | None, dimension: str | None, **more: str
) -> Demand:
    """The ids of scalable targets are AWS's own: a policy names all of them, and limits by conditions."""
    context = {
        "application-autoscaling:service-namespace": namespace,
        "application-autoscaling:scalable-dimension": dimension,
        **more,
    }
    targets = f"arn:aws:application-autoscaling:{region}:{ACCOUNT}:scalable-target/*"
    return Demand(action, "*" if ":Describe" in action else targets, context)


def _autoscaling(call: Call, _: TagsOf) -> list[Demand]:
    tags = call.params.get("Tags") or {}
    more = {f"aws:RequestTag/{key}": str(value) for key, value in tags.items()}
    namespace, dimension = call.params.get("ServiceNamespace"), call.params.get("ScalableDimension")
    actions = [call.name, *(["application-autoscaling:TagResource"] if tags else [])]
    return [scaling_demand(action, call.region, namespace, dimension, **more) for action in actions]


def _sts(_: Call, __: TagsOf) -> list[Demand]:
    """Everybody may ask who they are; roles are assumed under the role's own policy, which moto keeps."""
    return []


_SERVICES: Mapping[str, Callable[[Call, TagsOf], list[Demand]]] = {
    "s3": _s3,
    "dynamodb": _dynamodb,
    "sagemaker": _sagemaker,
    "events": _events,
    "sqs": _named("sqs", "", "QueueUrl", "QueueName"),
    "sns": _named("sns", "", "TopicArn", "TargetArn"),
    "ssm": _named("ssm", "parameter/", "Name"),
    "ecr": _ecr,
    "codebuild": _codebuild,
    "lambda": _lambda,
    "logs": _logs,
    "cloudwatch": _cloudwatch,
    "application-autoscaling": _autoscaling,
    "sts": _sts,
}
