"""The API of training jobs: they are created, described, listed and stopped.

"CreateTrainingJob", "DescribeTrainingJob", "ListTrainingJobs" and "StopTrainingJob" in the Amazon SageMaker
API Reference. A name is taken for ever, also by a job that failed.
"""

from __future__ import annotations

from collections.abc import Mapping
from threading import RLock
from typing import Any, Protocol

from localcloud import calls
from localcloud.calls import Call, Operation, Reply
from localcloud.errors import ServiceError, invalid
from localcloud.eventbridge import EventBridge
from localcloud.faults import Faults
from localcloud.pace import Pace
from localcloud.permissions import sagemaker_arn
from localcloud.sagemaker import listing
from localcloud.sagemaker.tags import Tags
from localcloud.schedule import Scheduler
from localcloud.training import requests
from localcloud.training.course import Course, Surroundings
from localcloud.training.hosts import Cluster
from localcloud.training.job import TrainingDescription
from localcloud.training.record import OVER, Record


class TrainingWorld(Protocol):
    """What jobs have of the world around them, by the ARNs of their execution roles."""

    def client_of(self, role: str, service: str) -> Any:
        """A boto3 client with the rights of a role."""

    def role_exists(self, role: str) -> bool:
        """Whether SageMaker can assume the role."""

    def job_image(self, image: str, role: str) -> str:
        """The image by its digest; raises ServiceError if there is none, or the role may not have it."""

    def job_environment(self, role: str) -> Mapping[str, str]:
        """What lets a job's containers call AWS with the rights of a role."""

    def cluster(self, description: TrainingDescription, role: str) -> Cluster:
        """What the hosts of a job run in; raises HostError."""

    def write_job_log(self, group: str, stream: str, line: str) -> None:
        """Append a line to the log of a job."""


_LOG_GROUP = "/aws/sagemaker/TrainingJobs"


class TrainingJobs:
    """Keeps training jobs, and carries them out."""

    def __init__(
        self,
        *,
        region: str,
        pace: Pace,
        scheduler: Scheduler,
        events: EventBridge,
        tags: Tags,
        faults: Faults,
        world: TrainingWorld,
    ) -> None:
        self._region = region
        self._pace = pace
        self._scheduler = scheduler
        self._events = events
        self._tags = tags
        self._faults = faults
        self._world = world
        self._lock = RLock()
        self._courses: dict[str, Course] = {}
        self._around = Surroundings(
            pace=pace,
            faults=faults,
            announce=self._announce,
            write_log=lambda stream, line: world.write_job_log(_LOG_GROUP, stream, line),
        )
        faults.bind_spot(self._look_for_interruptions)

    @property
    def operations(self) -> Mapping[str, Operation]:
        """What is answered."""
        return {
            "CreateTrainingJob": self._create,
            "DescribeTrainingJob": self._describe,
            "ListTrainingJobs": self._list,
            "StopTrainingJob": self._stop,
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
            course.halt()

    # ── operations ────────────────────────────────────────────────────────────────────────────────

    def _create(self, call: Call) -> Reply:
        params, role = call.params, call.params["RoleArn"]
        name = params["TrainingJobName"]
        arn = sagemaker_arn(self._region, "training-job", name)
        self._refuse_known(name, arn)
        requests.refuse(params)
        if not self._world.role_exists(role):
            raise invalid(
                f"Could not assume role {role}. Please ensure that the role exists and allows principal "
                "'sagemaker.amazonaws.com' to assume the role."
            )
        s3 = self._world.client_of(role, "s3")
        requests.refuse_data(params, s3, self._region)
        description = requests.description(
            params,
            arn=arn,
            image=self._world.job_image(params["AlgorithmSpecification"]["TrainingImage"], role),
            region=self._region,
            s3=s3,
            environment=self._world.job_environment(role),
            stop_grace=self._pace.training_stop_grace,
        )
        asked = {member: value for member, value in params.items() if member != "Tags"}
        course = Course(
            Record(name, arn, asked, calls.now()),
            description,
            s3=s3,
            cluster=lambda: self._world.cluster(description, role),
            around=self._around,
        )
        with self._lock:
            self._refuse_known(name, arn)
            self._tags.put(arn, params.get("Tags"))
            self._courses[name.lower()] = course
        self._scheduler.after(0, f"training job {name}", course.run)
        return Reply({"TrainingJobArn": arn})

    def _refuse_known(self, name: str, arn: str) -> None:
        with self._lock:
            if name.lower() in self._courses:
                raise ServiceError(
                    "ResourceInUse",
                    "Training job names must be unique within an AWS account and region, and a training job "
                    f"with this name already exists ({arn})",
                )

    def _describe(self, call: Call) -> Reply:
        return Reply(self._course(call).record.described())

    def _list(self, call: Call) -> Reply:
        with self._lock:
            records = [course.record for course in self._courses.values()]
        summaries, rest = listing.jobs(call, records)
        return Reply({"TrainingJobSummaries": summaries, **rest})

    def _stop(self, call: Call) -> Reply:
        course = self._course(call)
        record = course.record
        if not record.move("Stopping", "Stopping"):
            raise invalid(f"The request was rejected because the training job is in status {record.status}.")
        self._announce(record)
        course.stop()
        return Reply()

    def _course(self, call: Call) -> Course:
        with self._lock:
            course = self._courses.get(call.params["TrainingJobName"].lower())
        if course is None:
            raise invalid("Requested resource not found.")
        return course

    # ── while they run ────────────────────────────────────────────────────────────────────────────

    def _announce(self, record: Record) -> None:
        detail = record.event(self._tags.of(record.arn))
        self._events.announce("aws.sagemaker", "SageMaker Training Job State Change", detail, [record.arn])

    def _look_for_interruptions(self) -> None:
        with self._lock:
            running = [course for course in self._courses.values() if course.record.status not in OVER]
        for course in running:
            course.look_for_interruption()
