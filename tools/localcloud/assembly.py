"""The parts of a local cloud, made and wired: the one place that knows all of them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import boto3

from localcloud import wire
from localcloud.access import AccessControl
from localcloud.alarms import Alarms
from localcloud.autoscaling import Autoscaling, ScalableTargets
from localcloud.bucket_policies import BucketPolicies
from localcloud.calls import ACCOUNT, Caller, Operation, now
from localcloud.clients import Clients
from localcloud.cloudformation import CloudFormationService
from localcloud.credentials import Identities
from localcloud.destinations import Destinations
from localcloud.eventbridge import EventBridge
from localcloud.faults import Faults, HandlerDied
from localcloud.front import Backend, Front, caller_identity
from localcloud.function_logs import restore_output, route_output
from localcloud.functions import FunctionSettings, InProcessInvoker, RunningIn
from localcloud.http_server import HttpServer
from localcloud.inference_pipeline import InferencePipeline
from localcloud.lambda_service import LambdaService
from localcloud.model_data import ModelDataReader
from localcloud.moto_state import MotoState
from localcloud.pace import Pace
from localcloud.s3_events import S3Events
from localcloud.s3_objects import S3Objects
from localcloud.sagemaker.async_inference import AsyncInference
from localcloud.sagemaker.data_capture import DataCapture
from localcloud.sagemaker.definitions import Definitions
from localcloud.sagemaker.hosting import Hosting
from localcloud.sagemaker.invocations import Containers, Invocations
from localcloud.sagemaker.registry import ModelRegistry
from localcloud.sagemaker.tags import Tags
from localcloud.schedule import InFlight, Scheduler
from localcloud.serving import ContainerSpec, ServingProcess
from localcloud.stack import StackBuilder
from localcloud.template import ResolvedTemplate, read
from localcloud.timeline import Timeline


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
    running_in: RunningIn


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
            lambda arn: any(kept.exists(arn) for kept in (self.registry, self.definitions, self.hosting))
        )
        self.access = AccessControl(self.moto, self.tags.of)
        self.alarms = Alarms(self.moto, self.access, settings.region, self._caller)
        self.registry = ModelRegistry(settings.region, self.events, self.tags)
        self.model_data = ModelDataReader(settings.region, self.client_of)
        self.definitions = Definitions(
            settings.region, self.registry, self.tags, self.model_data.complaint_about
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
        self.invoker = self._invoker([])

    def build(self) -> None:
        """Make the stack."""
        settings = self._settings
        self.template = read(
            settings.template,
            stack_name=settings.stack_name,
            region=settings.region,
            url=self.url,
            parameters=settings.parameters,
        )
        builder = StackBuilder(self.template, self.clients)
        self.invoker = self._invoker(builder.functions())
        self.destinations.bind(self.invoker)
        cloudformation = CloudFormationService(self.template, settings.stack_name, settings.region)
        bucket_policies = BucketPolicies(self.moto)
        s3_objects = S3Objects(self.moto, self.access)
        operations = {
            "sagemaker": {
                **self.registry.operations,
                **self.definitions.operations,
                **self.hosting.operations,
                **self.tags.operations,
            },
            "sagemaker-runtime": self._runtime(),
            "lambda": LambdaService(self.invoker).operations,
            "cloudformation": cloudformation.operations,
            "events": self.events.operations,
            "sts": {"GetCallerIdentity": caller_identity},
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
        self.hosting.stop()
        self.scheduler.join()
        self.invoker.stop()
        self.clients.close()
        self.server.stop()
        self.moto.stop()
        restore_output()

    # ── what hosting asks of the world ────────────────────────────────────────────────────────────

    def pipeline(self, specs: Sequence[ContainerSpec], role: str) -> InferencePipeline:
        """The containers of a model, on an instance of their own, which are not started yet."""
        instance = f"i-{uuid.uuid4().hex[:17]}"
        return InferencePipeline([self._container(spec, role, instance) for spec in specs])

    def _container(self, spec: ContainerSpec, role: str, instance: str) -> ServingProcess:
        group = f"/aws/sagemaker/Endpoints/{spec.endpoint}"

        def write_log(stream: str, line: str) -> None:
            self.moto.write_log(group, stream, [(int(now().timestamp() * 1000), line)])

        return ServingProcess(
            spec,
            python=self._settings.serving_python,
            pace=self._settings.pace,
            lay_down=lambda data, folder: self.model_data.lay_down(data, role, folder),
            write_log=write_log,
            instance=instance,
        )

    def client_of(self, role: str, service: str) -> Any:
        """A client with the rights of an execution role, by its ARN."""
        caller = self._caller(role)
        return self.clients.of_role(caller, service) if caller.role else self.clients.aws(service)

    def _caller(self, role: str) -> Caller:
        """Who calls with an execution role; a role that is not known here may do what it needs to."""
        name = role.rpartition("/")[2]
        known = self.moto.role_policies(name) is not None
        return Caller(f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/SageMaker", role=name if known else None)

    def _invoker(self, functions: list[FunctionSettings]) -> InProcessInvoker:
        settings = self._settings
        return InProcessInvoker(
            functions,
            region=settings.region,
            pace=settings.pace,
            scheduler=self.scheduler,
            in_flight=self.in_flight,
            session=self._session,
            running_in=settings.running_in,
            write_log=self.moto.write_log,
            on_line=self._timeline.logged,
            destination=self.destinations.failed_invocation,
            done=self._timeline.ran,
        )

    def _session(self, settings: FunctionSettings, dead: Event) -> boto3.Session:
        """A session with the credentials of a function's role, whose calls the faults can meet."""
        arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/{settings.role}/{settings.name}"
        caller = Caller(arn, role=settings.role, function=settings.logical_id)
        faults, name = self._faults, settings.logical_id

        def before(operation: str) -> None:
            if dead.is_set():
                raise HandlerDied(f"the handler of {name} was ended before {operation}: its time was over")
            faults.in_handler(operation, name, "before")

        return self.clients.session(
            self.identities.issue(caller),
            before=before,
            after=lambda operation: faults.in_handler(operation, name, "after"),
        )
