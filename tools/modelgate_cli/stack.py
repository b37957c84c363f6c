"""The stack that a command speaks to: its names, and the layer's own adapters on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

from modelgate.aws.errors import translated
from modelgate.errors import Invalid, NotFound
from modelgate_cli.complaints import TROUBLE, Complaint

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient

    from modelgate.announcements import Announcement
    from modelgate.builds.records import BuildRecords
    from modelgate.deployment.governing import Governor
    from modelgate.deployment.reconcile import Reconciler
    from modelgate.deployment.state import EndpointState
    from modelgate.deployment.states import EndpointStates
    from modelgate.directory import Directory
    from modelgate.policies import Policies
    from modelgate.ports import Bucket, Builds, Hosting, Images, Registry, Table
    from modelgate.registry.submissions import Submissions
    from modelgate.studio.keeping import Keeper
    from modelgate.studio.ports import Studio
    from modelgate.studio.records import StudioStates

DEFAULT_STACK = "modelgate"
STACK_VARIABLE = "MODELGATE_STACK"
# By output of the template, the variable that goes before it.
_VARIABLES = {"Bucket": "MODELGATE_BUCKET", "Table": "MODELGATE_TABLE", "Bus": "MODELGATE_BUS"}
# A function may take a minute; who invokes it and hears nothing must not invoke it twice.
_FUNCTION_ANSWERS_WITHIN = 90


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
        return find_names(self._name, self._environ, lambda: self.outputs)

    @cached_property
    def outputs(self) -> Mapping[str, str]:
        """
        Raises:
            Complaint: there is no such stack.
        """
        return outputs_of(self._name, self._client("cloudformation"))

    def output(self, name: str) -> str:
        """An output that not every stack of Modelgate's has.

        Raises:
            Complaint: this one has not.
        """
        if name not in self.outputs:
            found = f"the stack {self._name} has no output {name}: it is older than this command"
            raise Complaint(found, "deploy the template that came with this command: sam deploy", TROUBLE)
        return self.outputs[name]

    @property
    def region(self) -> str:
        return str(self.sagemaker.meta.region_name)

    @cached_property
    def caller(self) -> str:
        """The ARN of whoever calls."""
        with translated("GetCallerIdentity"):
            return str(self._client("sts").get_caller_identity()["Arn"])

    def now(self) -> datetime:
        return datetime.now(UTC)

    def under(self, role: str) -> Stack:
        """The same stack, for whoever has assumed a role.

        Args:
            role: its ARN, or its name in the caller's account.

        Raises:
            Complaint: the caller may not assume it.
        """
        from modelgate_cli import assuming

        arn = assuming.arn_of(role, self.caller)
        if assuming.is_of(self.caller, arn):
            return self  # few roles may assume themselves, and nothing would be gained
        return Stack(assuming.session_of(arn, self._session, self._client("sts")), self._name, self._environ)

    # ── what the layer has ────────────────────────────────────────────────────────────────────
    @cached_property
    def bucket(self) -> Bucket:
        from modelgate.aws.s3 import S3Bucket

        return S3Bucket(self.s3, self.names.bucket)

    @cached_property
    def table(self) -> Table:
        from modelgate.aws.dynamodb import DynamoTable

        return DynamoTable(self._client("dynamodb"), self.names.table)

    @cached_property
    def policies(self) -> Policies:
        from modelgate.policies import Policies

        return Policies(self.bucket)

    @cached_property
    def submissions(self) -> Submissions:
        from modelgate.registry.submissions import Submissions

        return Submissions(self.table)

    @cached_property
    def build_records(self) -> BuildRecords:
        from modelgate.builds.records import BuildRecords

        return BuildRecords(self.table)

    @cached_property
    def builds(self) -> Builds:
        """
        Raises:
            Complaint: the stack is older than its builds.
        """
        from modelgate.aws.codebuild import CodeBuildBuilds

        project, bucket = self.output("Builder"), self.names.bucket
        return CodeBuildBuilds(self._client("codebuild"), lambda: self.logs, project, bucket)

    @cached_property
    def images(self) -> Images:
        """To look for images in. No repository is made here, so there is no key to encrypt one with."""
        from modelgate.aws.ecr import EcrImages

        return EcrImages(self._client("ecr"), self.names.stack)

    @cached_property
    def states(self) -> EndpointStates:
        from modelgate.deployment.states import EndpointStates

        return EndpointStates(self.table)

    @cached_property
    def directory(self) -> Directory:
        from modelgate.directory import Directory

        return Directory(self.table)

    @cached_property
    def governor(self) -> Governor:
        from modelgate.deployment.governing import Governor

        return Governor(self.states, self.policies, self.directory)

    @cached_property
    def registry(self) -> Registry:
        from modelgate.aws.sagemaker import SageMakerRegistry

        return SageMakerRegistry(self.sagemaker, self.sagemaker_arn)

    @cached_property
    def hosting(self) -> Hosting:
        """To look at endpoints with. Nothing is made here, so there is no role to hand to containers."""
        from modelgate.aws.sagemaker import SageMakerHosting

        names = self.names
        return SageMakerHosting(self.sagemaker, self.sagemaker_arn, names.stack, "", names.bucket)

    @cached_property
    def reconciler(self) -> Reconciler:
        """Looks and plans. What only the carrying out of a plan needs is not there."""
        from modelgate.deployment.executor import Surroundings
        from modelgate.deployment.reconcile import Reconciler
        from modelgate.deployment.smoke import SmokeTester

        return Reconciler(
            Surroundings(
                states=self.states,
                registry=self.registry,
                hosting=self.hosting,
                scaling=_not_there,
                watch=_not_there,
                container_logs=_not_there,
                smoke_tester=SmokeTester(self.bucket, _not_there, self.now),
                bus=_NoBus(),
                clock=self.now,
            )
        )

    @cached_property
    def studio(self) -> Studio:
        from modelgate.aws.studio import SageMakerStudio

        return SageMakerStudio(self.sagemaker, self.names.stack)

    @cached_property
    def studio_states(self) -> StudioStates:
        from modelgate.studio.records import StudioStates

        return StudioStates(self.table)

    @cached_property
    def keeper(self) -> Keeper:
        """Reads documents of Studio, looks and plans. What carries a plan out is a function of the stack.

        Raises:
            Complaint: the stack is older than its documents of Studio.
        """
        from modelgate.studio.keeping import Keeper

        return Keeper(
            bucket=self.bucket,
            states=self.studio_states,
            studio=self.studio,
            bus=_NoBus(),
            arn=self.sagemaker_arn,
            role=self.output("StudioRole"),
            stack=self.names.stack,
            clock=self.now,
        )

    def all_states(self) -> list[EndpointState]:
        """Every endpoint that there is an item of, by name."""
        return self._states_of(self.directory.endpoints())

    def states_of(self, group: str) -> list[EndpointState]:
        """The endpoints of a group, the one that its policy names first."""
        names = [name for name, of in self.directory.endpoints().items() if of == group]
        return sorted(self._states_of(names), key=lambda state: state.policy is None)

    def _states_of(self, names: Mapping[str, str] | list[str]) -> list[EndpointState]:
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
    def functions(self) -> LambdaClient:
        client: LambdaClient = self._client(
            "lambda", read_timeout=_FUNCTION_ANSWERS_WITHIN, retries={"total_max_attempts": 1}
        )
        return client

    @cached_property
    def logs(self) -> CloudWatchLogsClient:
        client: CloudWatchLogsClient = self._client("logs")
        return client

    @cached_property
    def queues(self) -> SQSClient:
        client: SQSClient = self._client("sqs")
        return client

    @cached_property
    def topics(self) -> SNSClient:
        client: SNSClient = self._client("sns")
        return client

    @cached_property
    def sagemaker_arn(self) -> str:
        """What the ARNs of this account and region in SageMaker begin with."""
        _, partition, _, _, account, _ = self.caller.split(":", 5)
        return f"arn:{partition}:sagemaker:{self.region}:{account}"

    def _client(self, service: Any, **more: Any) -> Any:
        from botocore.config import Config

        # A person waits: what does not answer is told after seconds, not minutes.
        quick: dict[str, Any] = {"connect_timeout": 5, "retries": {"mode": "standard", "max_attempts": 2}}
        return self._session.client(service, config=Config(**(quick | more)))


def _not_there() -> NoReturn:
    raise RuntimeError("this command carries out no plan")


class _NoBus:
    """A `modelgate.ports.Bus` that there is not."""

    def announce(self, *announcements: Announcement) -> None:
        raise RuntimeError(f"this command announces nothing, and not {announcements}")


def find_names(stack: str, environ: Mapping[str, str], outputs: Callable[[], Mapping[str, str]]) -> Names:
    """The names of the stack's parts: the environment's where it has them, else the stack's outputs.

    Args:
        outputs: looks the stack's outputs up, if they are needed.

    Raises:
        Complaint: the stack is none of Modelgate's.
    """
    given = {output: environ[variable] for output, variable in _VARIABLES.items() if environ.get(variable)}
    if len(given) < len(_VARIABLES):
        given = {**outputs(), **given}
    missing = [output for output in _VARIABLES if output not in given]
    if missing:
        found = f"the stack {stack} has no output {' or '.join(missing)}, so it is none of Modelgate's"
        raise Complaint(found, _name_it(), TROUBLE)
    return Names(stack, given["Bucket"], given["Table"], given["Bus"])


def outputs_of(stack: str, client: CloudFormationClient) -> dict[str, str]:
    """
    Raises:
        Complaint: there is no such stack.
    """
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
