"""The API of batch transform: jobs are created, described, listed and stopped.

"CreateTransformJob", "DescribeTransformJob", "ListTransformJobs" and "StopTransformJob" in the Amazon
SageMaker API Reference. A name is taken for ever, also by a job that failed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from threading import RLock
from typing import Any, Protocol

from localcloud import calls
from localcloud.calls import Call, Operation, Reply
from localcloud.errors import ServiceError, invalid
from localcloud.eventbridge import EventBridge
from localcloud.inference_pipeline import InferencePipeline
from localcloud.permissions import sagemaker_arn
from localcloud.sagemaker import listing
from localcloud.sagemaker.definitions import Definitions, Kept
from localcloud.sagemaker.tags import Tags
from localcloud.schedule import Scheduler
from localcloud.serving import ContainerSpec
from localcloud.transform.course import Course, batch_environment, is_over
from localcloud.transform.json_path import JsonPathError
from localcloud.transform.processing import Processing
from localcloud.transform.record import Record

LOG_GROUP = "/aws/sagemaker/TransformJobs"
_START_LIMIT = 600.0
# The most that ModelClientConfig may say; what it says is held for each request.
_ANSWER_LIMIT = 3600.0
_MOST_MB_AT_ONCE = 100


class TransformWorld(Protocol):
    """What jobs have of the world around them, by the ARNs of their models' roles."""

    def client_of(self, role: str, service: str) -> Any:
        """A boto3 client with the rights of a role."""

    def pipeline(self, specs: Sequence[ContainerSpec], role: str, instance: str) -> InferencePipeline:
        """The containers of a model on an instance of that name, which are not started yet."""

    def write_job_log(self, group: str, stream: str, line: str) -> None:
        """Append a line to the log of a job."""


class TransformJobs:
    """Keeps transform jobs, and carries them out."""

    def __init__(
        self,
        *,
        region: str,
        scheduler: Scheduler,
        events: EventBridge,
        definitions: Definitions,
        tags: Tags,
        world: TransformWorld,
    ) -> None:
        self._region = region
        self._scheduler = scheduler
        self._events = events
        self._definitions = definitions
        self._tags = tags
        self._world = world
        self._lock = RLock()
        self._courses: dict[str, Course] = {}

    @property
    def operations(self) -> Mapping[str, Operation]:
        """What is answered."""
        return {
            "CreateTransformJob": self._create,
            "DescribeTransformJob": self._describe,
            "ListTransformJobs": self._list,
            "StopTransformJob": self._stop,
        }

    def exists(self, arn: str) -> bool:
        """Whether a job has this ARN."""
        with self._lock:
            return any(course.record.arn == arn for course in self._courses.values())

    def stop(self) -> None:
        """End every job."""
        with self._lock:
            courses = list(self._courses.values())
        for course in courses:
            if not is_over(course.record):
                course.stop()

    # ── operations ────────────────────────────────────────────────────────────────────────────────

    def _create(self, call: Call) -> Reply:
        params = call.params
        name = params["TransformJobName"]
        arn = sagemaker_arn(self._region, "transform-job", name)
        self._refuse_known(name, arn)
        processing = _processing(params)
        model = self._definitions.model(params["ModelName"])
        role = str(model.content["ExecutionRoleArn"])
        specs = self._specs(params, model)

        def write_data_log(instance: str, line: str) -> None:
            self._world.write_job_log(LOG_GROUP, f"{name}/{instance}/data-log", line)

        asked = {member: value for member, value in params.items() if member != "Tags"}
        now = calls.now()
        course = Course(
            Record(name, arn, asked, now, now),
            processing,
            s3=self._world.client_of(role, "s3"),
            containers=lambda instance: self._world.pipeline(specs, role, instance),
            announce=self._announce,
            write_data_log=write_data_log,
        )
        with self._lock:
            self._refuse_known(name, arn)
            self._tags.put(arn, params.get("Tags"))
            self._courses[name.lower()] = course
        self._announce(course.record)
        self._scheduler.after(0, f"transform job {name}", course.run)
        return Reply({"TransformJobArn": arn})

    def _refuse_known(self, name: str, arn: str) -> None:
        with self._lock:
            if name.lower() in self._courses:
                raise ServiceError(
                    "ResourceInUse",
                    "Job name must be unique within an AWS account and region, and a job with this name "
                    f"already exists ({arn})",
                )

    def _specs(self, params: Mapping[str, Any], model: Kept) -> list[ContainerSpec]:
        name = params["TransformJobName"]
        containers = self._definitions.containers(model)
        for container in containers:
            if container.data is not None and container.data.kind != "archive":
                raise invalid(
                    "ModelDataSource is not supported for batch transform jobs. Use ModelDataUrl instead."
                )  # ours
        return [
            ContainerSpec(
                image=container.image,
                data=container.data,
                environment={
                    **container.environment,
                    **(params.get("Environment") or {}),
                    **batch_environment(params),
                },
                hostname=container.hostname,
                endpoint=name,
                variant=name,
                start_limit=_START_LIMIT,
                instance_type=params["TransformResources"]["InstanceType"],
                isolated=bool(model.content.get("EnableNetworkIsolation")),
                log_group=LOG_GROUP,
                answer_limit=_ANSWER_LIMIT,
            )
            for container in containers
        ]

    def _describe(self, call: Call) -> Reply:
        return Reply(self._course(call).record.described())

    def _list(self, call: Call) -> Reply:
        with self._lock:
            records = [course.record for course in self._courses.values()]
        summaries, rest = listing.jobs(call, records)
        return Reply({"TransformJobSummaries": summaries, **rest})

    def _stop(self, call: Call) -> Reply:
        course = self._course(call)
        if not course.record.move("Stopping", calls.now()):
            status = course.record.status
            raise invalid(f"The request was rejected because the transform job is in status {status}.")
        self._announce(course.record)
        course.stop()
        return Reply()

    def _course(self, call: Call) -> Course:
        name = call.params["TransformJobName"]
        with self._lock:
            course = self._courses.get(name.lower())
        if course is None:
            raise invalid(
                f"Could not find transform job {sagemaker_arn(self._region, 'transform-job', name)}."
            )
        return course

    def _announce(self, record: Record) -> None:
        detail = record.event(self._tags.of(record.arn))
        self._events.announce("aws.sagemaker", "SageMaker Transform Job State Change", detail, [record.arn])


def _processing(params: Mapping[str, Any]) -> Processing:
    """
    Raises:
        ServiceError: SageMaker refuses how the data is to be taken apart.
    """
    kind = params["TransformInput"]["DataSource"]["S3DataSource"]["S3DataType"]
    if kind != "S3Prefix":
        raise _not_simulated(f"S3DataType {kind}")
    if "DataCaptureConfig" in params:
        raise _not_simulated("DataCaptureConfig of CreateTransformJob")
    at_once = max(params.get("MaxConcurrentTransforms", 1), 1) * params.get("MaxPayloadInMB", 0)
    if at_once > _MOST_MB_AT_ONCE:
        raise invalid(
            f"MaxConcurrentTransforms multiplied by MaxPayloadInMB must not exceed {_MOST_MB_AT_ONCE} MB."
        )  # ours
    try:
        return Processing.of(params)
    except JsonPathError as error:
        raise invalid(str(error)) from error


def _not_simulated(what: str) -> ServiceError:
    return ServiceError("NotImplemented", f"{what} is not simulated in the local cloud.", 501)
