"""The composition root: makes what a function needs from its environment, each part when it is first used.

On AWS an execution environment is a process, and `current` is its one `Runtime`. The local cloud runs
several execution environments in one process, and says with `running_in` whose turn it is.

Imports stand inside the methods on purpose: a function pays at its start for what it uses only.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property, partial, wraps
from typing import TYPE_CHECKING, Any, TypeVar

from modelgate import collector, settings
from modelgate.invocation import Invocation
from modelgate.observability import Journal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from _typeshed import DataclassInstance
    from mypy_boto3_sagemaker import SageMakerClient
    from pydantic import BaseModel

    from modelgate.aws.session import Session
    from modelgate.builds.building import Builder
    from modelgate.builds.publishing import Publisher
    from modelgate.deployment.decisions import Decisions
    from modelgate.deployment.executor import Surroundings
    from modelgate.deployment.governing import Governor
    from modelgate.deployment.instructions import Instructions
    from modelgate.deployment.policy_uploads import PolicyUploads
    from modelgate.deployment.reconcile import Reconciler
    from modelgate.deployment.states import EndpointStates
    from modelgate.deployment.sweep import Sweep
    from modelgate.directory import Directory
    from modelgate.policies import Policies
    from modelgate.ports import Bucket, Builds, Bus, Images, Registry, Table
    from modelgate.registry.registration import Registrar
    from modelgate.studio.keeping import Keeper
    from modelgate.studio.ports import Studio
    from modelgate.training.finishing import TrainingFollower
    from modelgate.training.ports import TrainingJobs
    from modelgate.training.requesting import Trainer
    from modelgate.training.retraining import Retrainer
    from modelgate.transform.finishing import TransformFollower
    from modelgate.transform.ports import TransformJobs
    from modelgate.transform.requesting import Transformer

    T = TypeVar("T")
    E = TypeVar("E", bound=BaseModel)
    Use = Callable[[E, "Runtime"], DataclassInstance]
    Handler = Callable[[dict[str, Any], Any], dict[str, Any]]


def now() -> datetime:
    return datetime.now(UTC)


def _part(make: Callable[[Runtime], T]) -> cached_property[T]:
    """A part of the runtime: made when it is first used, and kept."""

    def made(runtime: Runtime) -> T:
        with collector.paused():
            return make(runtime)

    return cached_property(made)


class Runtime:
    """One execution environment of a function.

    Args:
        environ: the function's environment variables.
        session: where its clients come from.
        clock: the time, in UTC.
    """

    def __init__(
        self, environ: Mapping[str, str], session: Session, clock: Callable[[], datetime] = now
    ) -> None:
        self._environ = environ
        self._session = session
        self._clock = clock
        self._invocation: Invocation | None = None

    @property
    def invocation(self) -> Invocation:
        """The run of the function that is under way."""
        if self._invocation is None:
            raise RuntimeError("no function is running here")
        return self._invocation

    def run(self, request_id: str, remaining_milliseconds: float) -> Invocation:
        """Lambda begins a run of the function."""
        until = self._clock() + timedelta(milliseconds=remaining_milliseconds)
        self._invocation = Invocation(request_id, until)
        return self._invocation

    # ── use cases ─────────────────────────────────────────────────────────────────────────────
    @_part
    def registrar(self) -> Registrar:
        from modelgate.console import page_of_object
        from modelgate.images.choice import Chooser
        from modelgate.registry.judging import Judge
        from modelgate.registry.making import Maker
        from modelgate.registry.registration import Registrar
        from modelgate.registry.submissions import Submissions

        told = self._settings
        return Registrar(
            bucket=self._bucket,
            submissions=Submissions(self._table),
            judge=Judge(
                bucket=self._bucket,
                policies=self._policies,
                states=self._states,
                registry=self._registry,
                chooser=Chooser(told.account, told.region, lambda: self._images),
                clock=self._clock,
            ),
            maker=Maker(bucket=self._bucket, registry=self._registry, stack=told.stack),
            registry=self._registry,
            bus=self._bus,
            stack=told.stack,
            page_of=lambda key: page_of_object(told.partition, told.region, told.bucket, key),
            clock=self._clock,
        )

    @_part
    def builder(self) -> Builder:
        from modelgate.builds.building import Builder
        from modelgate.builds.records import BuildRecords

        return Builder(
            bucket=self._bucket,
            records=BuildRecords(self._table),
            builds=self._builds,
            images=self._images,
            publisher=self.publisher,
            bus=self._bus,
            region=self._settings.region,
            clock=self._clock,
        )

    @_part
    def publisher(self) -> Publisher:
        from modelgate.builds.publishing import Publisher
        from modelgate.builds.records import BuildRecords

        return Publisher(
            records=BuildRecords(self._table),
            builds=self._builds,
            images=self._images,
            policies=lambda: self._policies,
            bus=self._bus,
            clock=self._clock,
        )

    @_part
    def trainer(self) -> Trainer:
        from modelgate.console import page_of_training_job
        from modelgate.images.choice import Chooser
        from modelgate.training.requesting import Trainer
        from modelgate.training.runs import TrainingRuns

        told = self._settings
        return Trainer(
            bucket=self._bucket,
            runs=TrainingRuns(self._table),
            jobs=self._training_jobs,
            chooser=Chooser(told.account, told.region, lambda: self._images),
            policies=self._policies,
            bus=self._bus,
            page_of=partial(page_of_training_job, told.partition, told.region),
            stack=told.stack,
            role=settings.read(settings.TrainingSettings, self._environ).training_role_arn,
            region=told.region,
            clock=self._clock,
        )

    @_part
    def training_follower(self) -> TrainingFollower:
        from modelgate.console import page_of_training_job
        from modelgate.training.finishing import TrainingFollower
        from modelgate.training.runs import TrainingRuns

        told = self._settings
        return TrainingFollower(
            bucket=self._bucket,
            runs=TrainingRuns(self._table),
            jobs=self._training_jobs,
            trainer=lambda: self.trainer,
            bus=self._bus,
            page_of=partial(page_of_training_job, told.partition, told.region),
            stack=told.stack,
            clock=self._clock,
        )

    @_part
    def retrainer(self) -> Retrainer:
        from modelgate.training.retraining import Retrainer
        from modelgate.training.runs import TrainingRuns

        return Retrainer(
            bucket=self._bucket,
            runs=TrainingRuns(self._table),
            policies=self._policies,
            directory=self._directory,
            bus=self._bus,
        )

    @_part
    def transformer(self) -> Transformer:
        from modelgate.console import page_of_transform_job
        from modelgate.transform.requesting import Transformer
        from modelgate.transform.runs import TransformRuns

        told = self._settings
        return Transformer(
            bucket=self._bucket,
            runs=TransformRuns(self._table),
            jobs=self._transform_jobs,
            registry=self._registry,
            governor=self._governor,
            bus=self._bus,
            page_of=partial(page_of_transform_job, told.partition, told.region),
            stack=told.stack,
            clock=self._clock,
        )

    @_part
    def transform_follower(self) -> TransformFollower:
        from modelgate.console import page_of_transform_job
        from modelgate.transform.finishing import TransformFollower
        from modelgate.transform.runs import TransformRuns

        told = self._settings
        return TransformFollower(
            bucket=self._bucket,
            runs=TransformRuns(self._table),
            jobs=self._transform_jobs,
            transformer=lambda: self.transformer,
            bus=self._bus,
            page_of=partial(page_of_transform_job, told.partition, told.region),
            stack=told.stack,
            clock=self._clock,
        )

    @_part
    def keeper(self) -> Keeper:
        from modelgate.studio.keeping import Keeper
        from modelgate.studio.records import StudioStates

        told, of_studio = self._settings, settings.read(settings.StudioSettings, self._environ)
        return Keeper(
            bucket=self._bucket,
            states=StudioStates(self._table),
            studio=self._studio,
            bus=self._bus,
            arn=told.sagemaker_arn,
            role=of_studio.studio_role_arn,
            own_roles=frozenset(filter(None, of_studio.own_roles.split(","))),
            stack=told.stack,
            clock=self._clock,
        )

    @_part
    def decisions(self) -> Decisions:
        from modelgate.deployment.decisions import Decisions

        return Decisions(
            reconciler=self.reconciler,
            governor=self._governor,
            registry=self._registry,
            bus=self._bus,
            stack=self._settings.stack,
        )

    @_part
    def reconciler(self) -> Reconciler:
        from modelgate.deployment.reconcile import Reconciler

        return Reconciler(self._surroundings)

    @_part
    def policy_uploads(self) -> PolicyUploads:
        from modelgate.deployment.policy_uploads import PolicyUploads

        return PolicyUploads(
            reconciler=self.reconciler,
            governor=self._governor,
            states=self._states,
            policies=self._policies,
            directory=self._directory,
            bus=self._bus,
        )

    @_part
    def sweep(self) -> Sweep:
        from modelgate.deployment.sweep import Sweep

        return Sweep(
            reconciler=self.reconciler,
            governor=self._governor,
            states=self._states,
            directory=self._directory,
            registry=self._registry,
            work={
                "builds": lambda _, __: [each.image for each in self.publisher.sweep()],
                "training": lambda *told: [each.run for each in self.training_follower.sweep(*told)],
                "transforms": lambda *told: [each.run for each in self.transform_follower.sweep(*told)],
                "studio": lambda _, invocation: [each.domain for each in self.keeper.sweep(invocation)],
            },
            stack=self._settings.stack,
            clock=self._clock,
        )

    @_part
    def instructions(self) -> Instructions:
        from modelgate.deployment.instructions import Instructions

        return Instructions(
            reconciler=self.reconciler,
            governor=self._governor,
            states=self._states,
            registry=self._registry,
            hosting=self._surroundings.hosting,
            clock=self._clock,
        )

    @_part
    def journal(self) -> Journal:
        return Journal(self._environ)

    # ── what they are made of ─────────────────────────────────────────────────────────────────
    @_part
    def _surroundings(self) -> Surroundings:
        from modelgate.aws.autoscaling import InstanceScaling
        from modelgate.aws.cloudwatch import EndpointAlarms
        from modelgate.aws.logs import NOT_WORTH_A_WAIT, EndpointLogs
        from modelgate.aws.sagemaker import SageMakerHosting
        from modelgate.aws.sagemaker_runtime import SageMakerPredictions
        from modelgate.deployment.executor import Surroundings
        from modelgate.deployment.smoke import SmokeTester

        told = self._settings
        role = settings.read(settings.DeploymentSettings, self._environ).execution_role_arn
        client = self._session.client
        return Surroundings(
            states=self._states,
            registry=self._registry,
            hosting=SageMakerHosting(self._sagemaker, told.sagemaker_arn, told.stack, role, told.bucket),
            # Most invocations need none of these four; each is made once.
            scaling=cache(
                lambda: InstanceScaling(client("application-autoscaling"), client("cloudwatch"), told.stack)
            ),
            watch=cache(lambda: EndpointAlarms(client("cloudwatch"), told.stack)),
            smoke_tester=SmokeTester(
                self._bucket,
                cache(lambda: SageMakerPredictions(client("sagemaker-runtime"), told.bucket)),
                self._clock,
            ),
            container_logs=cache(lambda: EndpointLogs(client("logs", config=NOT_WORTH_A_WAIT))),
            bus=self._bus,
            clock=self._clock,
        )

    @_part
    def _settings(self) -> settings.FunctionSettings:
        return settings.read(settings.FunctionSettings, self._environ)

    @_part
    def _bucket(self) -> Bucket:
        from modelgate.aws.s3 import S3Bucket

        return S3Bucket(self._session.client("s3"), self._settings.bucket)

    @_part
    def _table(self) -> Table:
        from modelgate.aws.dynamodb import DynamoTable

        return DynamoTable(self._session.client("dynamodb"), self._settings.table)

    @_part
    def _bus(self) -> Bus:
        from modelgate.aws.eventbridge import EventBridgeBus

        return EventBridgeBus(self._session.client("events"), self._settings.bus)

    @_part
    def _sagemaker(self) -> SageMakerClient:
        return self._session.client("sagemaker")

    @_part
    def _registry(self) -> Registry:
        from modelgate.aws.sagemaker import SageMakerRegistry

        return SageMakerRegistry(self._sagemaker, self._settings.sagemaker_arn)

    @_part
    def _images(self) -> Images:
        from modelgate.aws.ecr import EcrImages

        told = self._settings
        return EcrImages(self._session.client("ecr"), told.stack, told.kms_key_arn)

    @_part
    def _builds(self) -> Builds:
        from modelgate.aws.codebuild import CodeBuildBuilds

        project = settings.read(settings.BuildSettings, self._environ).builder
        client = self._session.client
        bucket = self._settings.bucket
        return CodeBuildBuilds(client("codebuild"), lambda: client("logs"), project, bucket)

    @_part
    def _training_jobs(self) -> TrainingJobs:
        from modelgate.aws.training_jobs import SageMakerTraining

        client = self._session.client
        return SageMakerTraining(self._sagemaker, lambda: client("logs"), self._settings.stack)

    @_part
    def _transform_jobs(self) -> TransformJobs:
        from modelgate.aws.transform_jobs import SageMakerTransforms

        told = self._settings
        role = settings.read(settings.DeploymentSettings, self._environ).execution_role_arn
        client = self._session.client
        return SageMakerTransforms(
            self._sagemaker, lambda: client("logs"), told.sagemaker_arn, told.stack, role
        )

    @_part
    def _studio(self) -> Studio:
        from modelgate.aws.studio import SageMakerStudio

        return SageMakerStudio(self._sagemaker, self._settings.stack)

    @_part
    def _policies(self) -> Policies:
        from modelgate.policies import Policies

        return Policies(self._bucket)

    @_part
    def _states(self) -> EndpointStates:
        from modelgate.deployment.states import EndpointStates

        return EndpointStates(self._table)

    @_part
    def _directory(self) -> Directory:
        from modelgate.directory import Directory

        return Directory(self._table)

    @_part
    def _governor(self) -> Governor:
        from modelgate.deployment.governing import Governor

        return Governor(self._states, self._policies, self._directory)


_running: ContextVar[Runtime] = ContextVar("modelgate.runtime")


@cache
def _of_this_process() -> Runtime:
    with collector.paused():
        from modelgate.aws import session

        return Runtime(os.environ, session.of_this_process())


def current() -> Runtime:
    """The execution environment that this code runs in."""
    return _running.get(None) or _of_this_process()


@contextmanager
def running_in(runtime: Runtime) -> Iterator[None]:
    """Within the block, `current` is ``runtime``."""
    token = _running.set(runtime)
    try:
        yield
    finally:
        _running.reset(token)


def handles(model: type[E]) -> Callable[[Use[E]], Handler]:
    """Makes a Lambda handler of a function that takes a parsed event and the runtime.

    The handler parses the event, calls, and returns what came of it as JSON. Whatever is raised
    leaves it, so that Lambda comes back; `Refused` is dealt with where the use case knows whom to tell.
    """

    def of(use: Use[E]) -> Handler:
        @wraps(use)
        def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
            runtime = current()
            runtime.run(context.aws_request_id, context.get_remaining_time_in_millis())
            with runtime.journal.entry(str(event.get("id", "")), context.aws_request_id) as entry:
                entry.outcome = asdict(use(model.model_validate(event), runtime))
                return entry.outcome

        return handler

    return of
