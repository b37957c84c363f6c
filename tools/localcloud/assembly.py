"""The parts of a local cloud, made and wired: the one place that knows all of them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any, Literal

import boto3

from localcloud import wire
from localcloud.access import AccessControl
from localcloud.alarms import Alarms
from localcloud.autoscaling import Autoscaling, ScalableTargets
from localcloud.bucket_policies import BucketPolicies
from localcloud.calls import ACCOUNT, Caller, Operation, now
from localcloud.clients import Clients
from localcloud.cloud_trail import CloudTrail
from localcloud.cloudformation import CloudFormationService
from localcloud.codebuild.service import CodeBuild
from localcloud.credentials import Identities
from localcloud.destinations import Destinations
from localcloud.docker_container import DockerContainers
from localcloud.ecr.service import Ecr
from localcloud.engine import Engine
from localcloud.eventbridge import EventBridge
from localcloud.faults import Faults, HandlerDied
from localcloud.front import Backend, Front
from localcloud.function_logs import restore_output, route_output
from localcloud.functions import ExecutionEnvironments, FunctionSettings, Invoker
from localcloud.http_server import HttpServer
from localcloud.in_process import InProcess, RunningIn
from localcloud.inference_pipeline import InferencePipeline
from localcloud.lambda_service import LambdaService
from localcloud.model_data import ModelDataReader
from localcloud.moto_state import MotoState
from localcloud.own_images import OwnImages
from localcloud.pace import Pace
from localcloud.s3_events import S3Events
from localcloud.s3_objects import S3Objects
from localcloud.sagemaker.async_inference import AsyncInference
from localcloud.sagemaker.data_capture import DataCapture
from localcloud.sagemaker.definitions import Definitions
from localcloud.sagemaker.hosting import Hosting
from localcloud.sagemaker.invocations import Containers, Invocations
from localcloud.sagemaker.registry import ModelRegistry
from localcloud.sagemaker.studio.service import Studio
from localcloud.sagemaker.tags import Tags
from localcloud.sagemaker.training_jobs import TrainingJobs
from localcloud.sagemaker.transform_jobs import TransformJobs
from localcloud.schedule import InFlight, Scheduler
from localcloud.security_tokens import SecurityTokens
from localcloud.serving import ContainerSpec, Run, ServingContainer, family
from localcloud.stack import StackBuilder
from localcloud.stand_in import StandIn
from localcloud.template import ResolvedTemplate, read
from localcloud.timeline import Timeline
from localcloud.training.docker_hosts import DockerCluster
from localcloud.training.hosts import Cluster
from localcloud.training.job import TrainingDescription
from localcloud.training.toolkit import script_hosts

Handlers = Literal["process", "sam"]


@dataclass(frozen=True)
class Settings:
    """What a local cloud is made with; LocalCloud says what each is."""

    template: Path
    port: int
    region: str
    pace: Pace
    parameters: Mapping[str, str]
    stack_name: str
    serving_python: str
    training_python: str | None
    running_in: RunningIn
    handlers: Handlers


class Parts:
    """The parts of a cloud that runs.

    Raises:
        LocalCloudError: the port is taken.
    """

    template: ResolvedTemplate

    def __init__(self, settings: Settings, faults: Faults, timeline: Timeline) -> None:
        self._settings = settings
        self._faults = faults
        self._timeline = timeline
        self._region = settings.region
        wire.quiet_moto()
        self.identities = Identities()
        self.in_flight = InFlight()
        self.front = Front(settings.region, self.identities, faults)
        # First of what has to be ended again: nothing else has begun if the port is taken.
        self.server = HttpServer(self.front, settings.port, self.in_flight.broke)
        self.url = self.server.url
        self.scheduler = Scheduler(self.in_flight)
        self.moto = MotoState(settings.region)
        self.moto.start()
        self.clients = Clients(self.url, settings.region, self.identities)
        self.destinations = Destinations(self.moto, self.clients)
        self.events = EventBridge(
            moto=self.moto,
            scheduler=self.scheduler,
            faults=faults,
            pace=settings.pace,
            region=settings.region,
            targets=self.destinations,
            seen=timeline.saw,
        )
        self.tags = Tags(
            lambda arn: any(
                kept.exists(arn)
                for kept in (
                    self.registry,
                    self.definitions,
                    self.hosting,
                    self.training,
                    self.transforms,
                    self.studio,
                )
            )
        )
        self.access = AccessControl(self.moto, self._tags_of)
        self.ecr = Ecr(
            region=settings.region,
            moto=self.moto,
            events=self.events,
            scheduler=self.scheduler,
            pace=settings.pace,
            access=self.access,
            broke=self.in_flight.broke,
        )
        own_images = OwnImages(self.ecr, self._caller, self.client_of)
        self.engine = Engine()
        self.docker_containers = DockerContainers(
            self.engine, own_images, cloud=self.url.rpartition(":")[2], region=settings.region
        )
        self.alarms = Alarms(self.moto, self.access, settings.region, self._caller)
        self.registry = ModelRegistry(settings.region, self.events, self.tags)
        self.model_data = ModelDataReader(settings.region, self.client_of)
        self.definitions = Definitions(
            settings.region,
            self.registry,
            self.tags,
            self.model_data.complaint_about,
            own_images.resolved,
        )
        self.hosting = Hosting(
            region=settings.region,
            pace=settings.pace,
            scheduler=self.scheduler,
            events=self.events,
            definitions=self.definitions,
            tags=self.tags,
            faults=faults,
            host=self,
            alarms=self.alarms,
            targets=ScalableTargets(self.moto, self.access),
        )
        self.own_images = own_images
        self.training = TrainingJobs(
            region=settings.region,
            pace=settings.pace,
            scheduler=self.scheduler,
            events=self.events,
            tags=self.tags,
            faults=faults,
            world=self,
        )
        self.transforms = TransformJobs(
            region=settings.region,
            scheduler=self.scheduler,
            events=self.events,
            definitions=self.definitions,
            tags=self.tags,
            world=self,
        )
        self.studio = Studio(
            region=settings.region,
            pace=settings.pace,
            scheduler=self.scheduler,
            tags=self.tags,
            faults=faults,
            moto=self.moto,
        )
        self.cloud_trail = CloudTrail(region=settings.region, moto=self.moto, events=self.events)
        self.codebuild = CodeBuild(
            region=settings.region,
            url=self.url,
            moto=self.moto,
            clients=self.clients,
            identities=self.identities,
            events=self.events,
            scheduler=self.scheduler,
            engine=self.engine,
        )
        self.environments = self._environments()
        self.invoker = self._invoker([])

    def build(self) -> None:
        """Make the stack."""
        settings = self._settings
        self.template = read(
            settings.template,
            stack_name=settings.stack_name,
            region=settings.region,
            url=self.url,
            registry=self.ecr.host,
            parameters=settings.parameters,
        )
        builder = StackBuilder(self.template, self.clients)
        functions = builder.functions()
        self.invoker = self._invoker(functions)
        self.destinations.bind(self.invoker)
        cloudformation = CloudFormationService(self.template, settings.stack_name, settings.region)
        bucket_policies = BucketPolicies(self.moto)
        s3_objects = S3Objects(self.moto, self.access)
        operations = {
            "sagemaker": self.cloud_trail.recording(
                {
                    **self.registry.operations,
                    **self.definitions.operations,
                    **self.hosting.operations,
                    **self.training.operations,
                    **self.transforms.operations,
                    **self.studio.operations,
                    **self.tags.operations,
                }
            ),
            "sagemaker-runtime": self._runtime(),
            "codebuild": self.codebuild.operations,
            "lambda": LambdaService(self.invoker).operations,
            "cloudformation": cloudformation.operations,
            "events": self.events.operations,
            "ecr": self.ecr.operations,
            "sts": SecurityTokens(self.moto, self.identities).operations,
            "s3": {**bucket_policies.operations, **s3_objects.operations},
        }
        s3_events = S3Events(self.moto, self.events)
        autoscaling = Autoscaling(self.moto, self.hosting)
        self.front.open(
            Backend(
                moto=self.moto,
                operations=operations,
                access=self.access,
                bucket_policies=bucket_policies,
                s3_objects=s3_objects,
                s3_events=s3_events,
                autoscaling=autoscaling,
                alarms=self.alarms,
            )
        )
        builder.build()
        self.environments.start(functions)
        route_output()

    def _runtime(self) -> dict[str, Operation]:
        containers = Containers(self._region, self.hosting)
        synchronous = Invocations(containers, DataCapture(self.scheduler, self.client_of))
        asynchronous = AsyncInference(
            containers=containers,
            scheduler=self.scheduler,
            pace=self._settings.pace,
            client_of=self.client_of,
        )
        return {**synchronous.operations, **asynchronous.operations}

    def stop(self) -> None:
        """End everything, in the order in which nothing is left to call what has ended."""
        self.scheduler.halt()
        self.codebuild.stop()
        self.training.stop()
        self.transforms.stop()
        self.hosting.stop()
        self.scheduler.join()
        self.docker_containers.close()
        self.invoker.stop()
        self.engine.forget(self.ecr.host)
        self.engine.close()
        self.clients.close()
        self.ecr.stop()
        self.server.stop()
        self.moto.stop()
        restore_output()

    # ── what hosting asks of the world ────────────────────────────────────────────────────────────

    def pipeline(
        self, specs: Sequence[ContainerSpec], role: str, instance: str | None = None
    ) -> InferencePipeline:
        """The containers of a model, on an instance of their own, which are not started yet."""
        on = instance or f"i-{uuid.uuid4().hex[:17]}"
        return InferencePipeline([self._container(spec, role, on) for spec in specs])

    def _container(self, spec: ContainerSpec, role: str, instance: str) -> ServingContainer:
        group = spec.log_group or f"/aws/sagemaker/Endpoints/{spec.endpoint}"

        def write_log(stream: str, line: str) -> None:
            self.moto.write_log(group, stream, [(int(now().timestamp() * 1000), line)])

        return ServingContainer(
            spec,
            run=self._run(spec.image, role),
            pace=self._settings.pace,
            lay_down=lambda data, folder: self.model_data.lay_down(data, role, folder),
            write_log=write_log,
            instance=instance,
        )

    def _run(self, image: str, role: str) -> Run:
        """What starts containers of an image: who pushes one of a prebuilt image's name wants that one."""
        if family(image) is not None and not self.ecr.holds(image):
            return partial(StandIn, python=self._settings.serving_python)
        return partial(self.docker_containers.run, role=role)

    # ── what training asks of the world ───────────────────────────────────────────────────────────

    def role_exists(self, role: str) -> bool:
        """Whether there is a role, by its ARN."""
        return self.moto.role_policies(role.rpartition("/")[2]) is not None

    def job_image(self, image: str, role: str) -> str:
        """The image of a job as a role finds it."""
        return self.own_images.resolved(image, role)

    def job_environment(self, role: str) -> Mapping[str, str]:
        """What lets any AWS client in a job's containers call the local cloud with the rights of a role."""
        credentials = self.identities.issue(self._caller(role))
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": credentials.access_key,
            "AWS_SECRET_ACCESS_KEY": credentials.secret_key,
            "AWS_SESSION_TOKEN": credentials.session_token or "",
            "AWS_DEFAULT_REGION": self._region,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def cluster(self, description: TrainingDescription, role: str) -> Cluster:
        """What the hosts of a job run in: who pushes an image of a prebuilt one's name wants that one."""
        if family(description.image) is None or self.ecr.holds(description.image):
            return DockerCluster(self.docker_containers.shared, role=role)
        return script_hosts(self._settings.training_python, self._settings.serving_python)

    def write_job_log(self, group: str, stream: str, line: str) -> None:
        """A line of a job's log, written now."""
        self.moto.write_log(group, stream, [(int(now().timestamp() * 1000), line)])

    def client_of(self, role: str, service: str) -> Any:
        """A client with the rights of an execution role, by its ARN."""
        caller = self._caller(role)
        return self.clients.of_role(caller, service) if caller.role else self.clients.aws(service)

    def _caller(self, role: str) -> Caller:
        """Who calls with an execution role; a role that is not known here may do what it needs to."""
        name = role.rpartition("/")[2]
        known = self.moto.role_policies(name) is not None
        return Caller(f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/SageMaker", role=name if known else None)

    def _tags_of(self, arn: str) -> Mapping[str, str]:
        return self.moto.repository_tags(arn) if arn.startswith("arn:aws:ecr:") else self.tags.of(arn)

    def _invoker(self, functions: list[FunctionSettings]) -> Invoker:
        return Invoker(
            functions,
            self.environments,
            pace=self._settings.pace,
            scheduler=self.scheduler,
            in_flight=self.in_flight,
            destination=self.destinations.failed_invocation,
            done=self._timeline.ran,
        )

    def _environments(self) -> ExecutionEnvironments:
        if self._settings.handlers == "sam":
            from localcloud.sam.containers import SamContainers

            return SamContainers(
                self._settings.template,
                port=int(self.url.rpartition(":")[2]),
                region=self._region,
                engine=self.engine,
                credentials=lambda settings: self.identities.issue(_role_of(settings)),
                write_log=self.moto.write_log,
                on_line=self._timeline.logged,
            )
        return InProcess(
            session=self._session,
            running_in=self._settings.running_in,
            write_log=self.moto.write_log,
            on_line=self._timeline.logged,
            region=self._region,
        )

    def session_of(self, settings: FunctionSettings) -> boto3.Session:
        """A session with the rights of a function's role, whose calls are not the function's own."""
        return self.clients.session(self.identities.issue(_role_of(settings)))

    def _session(self, settings: FunctionSettings, dead: Event) -> boto3.Session:
        """A session with the credentials of a function's role, whose calls the faults can meet."""
        faults, name = self._faults, settings.logical_id

        def before(operation: str) -> None:
            if dead.is_set():
                raise HandlerDied(f"the handler of {name} was ended before {operation}: its time was over")
            faults.in_handler(operation, name, "before")

        return self.clients.session(
            self.identities.issue(_role_of(settings)),
            before=before,
            after=lambda operation: faults.in_handler(operation, name, "after"),
        )


def _role_of(settings: FunctionSettings) -> Caller:
    """Who a function calls as."""
    arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/{settings.role}/{settings.name}"
    return Caller(arn, role=settings.role, function=settings.logical_id)
