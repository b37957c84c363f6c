"""The stack that a command speaks to: its names, and the layer's own adapters on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from modelgate.aws.errors import translated
from modelgate.errors import Invalid, NotFound
from modelgate_cli.complaints import TROUBLE, Complaint

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient

    from modelgate.aws.s3 import S3Bucket
    from modelgate.aws.sagemaker import SageMakerRegistry
    from modelgate.deployment.state import EndpointState
    from modelgate.deployment.states import EndpointStates
    from modelgate.policies import Policies
    from modelgate.registry.submissions import Submissions

DEFAULT_STACK = "modelgate"
STACK_VARIABLE = "MODELGATE_STACK"
# By output of the template, the variable that goes before it.
_VARIABLES = {"Bucket": "MODELGATE_BUCKET", "Table": "MODELGATE_TABLE", "Bus": "MODELGATE_BUS"}


@dataclass(frozen=True)
class Names:
    """What the stack calls its parts."""

    stack: str
    bucket: str
    table: str
    bus: str


class Stack:
    """One stack, with its clients made when they are first used.

    Args:
        session: whose credentials and region it is.
        name: the stack's name.
        environ: may name the parts, which then are not looked up.
    """

    def __init__(self, session: boto3.Session, name: str, environ: Mapping[str, str]) -> None:
        self._session = session
        self._name = name
        self._environ = environ

    @cached_property
    def names(self) -> Names:
        """
        Raises:
            Complaint: there is no such stack, or it is none of Modelgate's.
        """
        return find_names(self._name, self._environ, lambda: self._client("cloudformation"))

    @property
    def region(self) -> str:
        return str(self.sagemaker.meta.region_name)

    # ── what the layer has ────────────────────────────────────────────────────────────────────
    @cached_property
    def bucket(self) -> S3Bucket:
        from modelgate.aws.s3 import S3Bucket

        return S3Bucket(self.s3, self.names.bucket)

    @cached_property
    def policies(self) -> Policies:
        from modelgate.policies import Policies

        return Policies(self.bucket)

    @cached_property
    def submissions(self) -> Submissions:
        from modelgate.aws.dynamodb import DynamoTable
        from modelgate.registry.submissions import Submissions

        return Submissions(DynamoTable(self._dynamodb, self.names.table))

    @cached_property
    def states(self) -> EndpointStates:
        from modelgate.aws.dynamodb import DynamoTable
        from modelgate.deployment.states import EndpointStates

        return EndpointStates(DynamoTable(self._dynamodb, self.names.table))

    @cached_property
    def registry(self) -> SageMakerRegistry:
        from modelgate.aws.sagemaker import SageMakerRegistry

        with translated("GetCallerIdentity"):
            caller = self._client("sts").get_caller_identity()
        partition = caller["Arn"].split(":")[1]
        return SageMakerRegistry(
            self.sagemaker, f"arn:{partition}:sagemaker:{self.region}:{caller['Account']}"
        )

    def all_states(self) -> list[EndpointState]:
        """Every endpoint that the table has an item of, by name. Reads the whole table: for people only."""
        names: list[str] = []
        with translated("Scan"):
            pages = self._dynamodb.get_paginator("scan").paginate(
                TableName=self.names.table,
                FilterExpression="sk = :state AND begins_with(pk, :endpoint)",
                ProjectionExpression="#name",
                ExpressionAttributeNames={"#name": "endpoint"},
                ExpressionAttributeValues={":state": {"S": "STATE"}, ":endpoint": {"S": "ENDPOINT#"}},
            )
            for page in pages:
                names += [item["endpoint"]["S"] for item in page["Items"]]
        return [state for name in sorted(names) if (state := self.states.load(name))]

    # ── clients ───────────────────────────────────────────────────────────────────────────────
    @cached_property
    def s3(self) -> S3Client:
        client: S3Client = self._client("s3")
        return client

    @cached_property
    def sagemaker(self) -> SageMakerClient:
        client: SageMakerClient = self._client("sagemaker")
        return client

    @cached_property
    def runtime(self) -> SageMakerRuntimeClient:
        client: SageMakerRuntimeClient = self._client("sagemaker-runtime")
        return client

    @cached_property
    def _dynamodb(self) -> DynamoDBClient:
        client: DynamoDBClient = self._client("dynamodb")
        return client

    def _client(self, service: Any) -> Any:
        from botocore.config import Config

        # A person waits: what does not answer is told after seconds, not minutes.
        config = Config(connect_timeout=5, retries={"mode": "standard", "max_attempts": 2})
        return self._session.client(service, config=config)


def find_names(stack: str, environ: Mapping[str, str], client: Any) -> Names:
    """The names of the stack's parts: the environment's where it has them, else the stack's outputs.

    Args:
        client: makes a CloudFormation client, if one is needed.

    Raises:
        Complaint: there is no such stack, or it is none of Modelgate's.
    """
    given = {output: environ[variable] for output, variable in _VARIABLES.items() if environ.get(variable)}
    if len(given) < len(_VARIABLES):
        given = {**_outputs(stack, client()), **given}
    missing = [output for output in _VARIABLES if output not in given]
    if missing:
        found = f"the stack {stack} has no output {' or '.join(missing)}, so it is none of Modelgate's"
        raise Complaint(found, _name_it(), TROUBLE)
    return Names(stack, given["Bucket"], given["Table"], given["Bus"])


def _outputs(stack: str, client: CloudFormationClient) -> dict[str, str]:
    try:
        with translated("DescribeStacks"):
            answer = client.describe_stacks(StackName=stack)
    except (NotFound, Invalid) as error:
        region = client.meta.region_name
        found = f"there is no stack {stack} in {region}"
        raise Complaint(
            found, f"{_name_it()}, another region with --region, or deploy it: sam deploy", TROUBLE
        ) from error
    outputs = answer["Stacks"][0].get("Outputs", [])
    return {each["OutputKey"]: each["OutputValue"] for each in outputs}


def _name_it() -> str:
    return f"name the stack with --stack or {STACK_VARIABLE}"
