"""The fakes and the real adapters of training jobs and batch transforms, against the same tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from localcloud import LocalCloud
from modelgate.aws.training_jobs import SageMakerTraining
from modelgate.aws.transform_jobs import SageMakerTransforms
from modelgate.errors import AlreadyExists, Invalid, NotFound
from modelgate.locations import of_url
from modelgate.run import TrainingId, TransformId
from modelgate.training import order as training_order
from modelgate.training.job import read_job as read_training
from modelgate.training.order import TrainingOrder
from modelgate.training.ports import TrainingJobs
from modelgate.transform import job as transform_job
from modelgate.transform import order as transform_order
from modelgate.transform.order import TransformOrder
from modelgate.transform.ports import TransformJobs
from tests.contract import worlds
from tests.contract.worlds import ARN, STACK, World, approved, registration
from tests.fakes.aws import Calls, Clock, FakeBucket
from tests.fakes.sagemaker import FakeSageMaker
from tests.fakes.tarballs import tarball
from tests.fakes.training import FakeTrainingJobs
from tests.fakes.transform import FakeTransformJobs
from tests.simulation.chain import FAILS_TO_PREDICT, SCRIPT
from tests.unit import training, transform

ROOT = Path(__file__).parents[2]
SKLEARN = "492215442770.dkr.ecr.eu-central-1.amazonaws.com/sagemaker-scikit-learn:1.4-2"
REASON = "max_depth must not be negative"
TRAINS = """
import os, pathlib
print("accuracy=0.95;")
pathlib.Path(os.environ["SM_MODEL_DIR"], "trees").touch()
"""
FAILS = f"""
import os, pathlib, sys
print("the first words", "the last but one", "the last words", sep="\\n")
pathlib.Path(os.environ["SM_OUTPUT_DIR"], "failure").write_text("{REASON}")
sys.exit(3)
"""
WAITS = "import signal\nsignal.pause()\n"
ROWS = b"5.1,3.5\n6.0,2.2\n"
_groups = (f"jobs-{number}" for number in count(1))


@dataclass
class Jobs:
    """One implementation of the ports.

    Attributes:
        world: the other ports.
        training, transforms: for those who start jobs.
        training_after, transforms_after: for those who look after jobs that were started.
        trained: waits until a job of that script is over.
        transformed: waits until a job whose model has that script is over.
        stop_training: somebody stops a job.
    """

    world: World
    training: TrainingJobs
    training_after: TrainingJobs
    transforms: TransformJobs
    transforms_after: TransformJobs
    training_role: str
    trained: Callable[[str, str], object]
    transformed: Callable[[str, str], object]
    stop_training: Callable[[str], object]

    def training_order(self, group: str, script: str) -> TrainingOrder:
        """A job of a script in a tarball, which is uploaded."""
        run = TrainingId(group, "first")
        self.world.upload(f"{run.folder}code.tar.gz", tarball({"train.py": script.encode()}))
        document = training.document(
            container={"image": SKLEARN},
            data=None,
            environment={"LEVEL": "3"},
            metrics=[{"name": "accuracy", "regex": "accuracy=([0-9.]+);"}],
        )
        job, bucket = read_training(document), self.world.bucket.name
        return training_order.order(
            run,
            job,
            name=f"{group}-first",
            image=SKLEARN,
            source=training_order.source_of(run, job, bucket),
            bucket=bucket,
            role=self.training_role,
            region=training.REGION,
            stack=STACK,
        )

    def transform_order(self, group: str, version: int) -> TransformOrder:
        """A job over two rows, which are uploaded; each is asked alone, and once."""
        run = TransformId(group, "june")
        self.world.upload(f"{run.folder}input/rows.csv", ROWS)
        document = transform.document(strategy="single_record", invocation={"retries": 0})
        job = transform_job.read_job(document)
        return transform_order.order(
            run, job, name=f"{group}-june", version=version, bucket=self.world.bucket.name, stack=STACK
        )


def in_memory() -> Jobs:
    world = worlds.in_memory()
    bucket, sagemaker = world.bucket, world.registry
    assert isinstance(bucket, FakeBucket)
    assert isinstance(sagemaker, FakeSageMaker)
    calls, clock = Calls(), Clock(datetime.now(UTC))
    trainings = FakeTrainingJobs(calls, clock, bucket)
    transforms = FakeTransformJobs(calls, clock, bucket, sagemaker)

    def trained(name: str, script: str) -> None:
        if script == FAILS:
            words = ["the first words", "the last but one", "the last words"]
            trainings.fail(name, f"AlgorithmError: {REASON}", {"algo-1": words})
        else:
            trainings.complete(name, metrics={"accuracy": 0.95})

    def transformed(name: str, script: str) -> None:
        if script == FAILS_TO_PREDICT:
            data_log = [f"Bad HTTP status received from algorithm: {code}" for code in (500, 500)]
            transforms.fail(name, "AlgorithmError: See job logs", data_log, ["feature names do not match"])
        else:
            transforms.complete(name, {"rows.csv.out": b"setosa\nsetosa\n"})

    return Jobs(
        world,
        trainings,
        trainings,
        transforms,
        transforms,
        training_role=training.ROLE,
        trained=trained,
        transformed=transformed,
        stop_training=trainings.stop,
    )


def on(cloud: LocalCloud) -> Jobs:
    """The adapters, with the rights of the functions that start jobs and of those that look after them."""

    def trainings(function: str) -> SageMakerTraining:
        client = _clients_of(cloud, function)
        return SageMakerTraining(client("sagemaker"), lambda: client("logs"), STACK)

    def transforms(function: str) -> SageMakerTransforms:
        client, role = _clients_of(cloud, function), cloud.outputs["ExecutionRole"]
        return SageMakerTransforms(client("sagemaker"), lambda: client("logs"), ARN, STACK, role)

    def stop(name: str) -> None:
        cloud.client("sagemaker").stop_training_job(TrainingJobName=name)
        cloud.settle()

    return Jobs(
        worlds.on(cloud),
        trainings("TrainingRequested"),
        trainings("TrainingFinished"),
        transforms("TransformRequested"),
        transforms("TransformFinished"),
        training_role=cloud.outputs["TrainingRole"],
        trained=lambda _name, _script: cloud.settle(),
        transformed=lambda _name, _script: cloud.settle(),
        stop_training=stop,
    )


def _clients_of(cloud: LocalCloud, function: str) -> Callable[[str], Any]:
    role = f"arn:aws:iam::123456789012:role/{cloud.function(function).role}"
    return lambda service: cloud._started.client_of(role, service)


@pytest.fixture(scope="module")
def cloud() -> Iterator[LocalCloud]:
    with LocalCloud(ROOT / "template.yaml") as cloud:
        yield cloud


@pytest.fixture(params=["fakes", "adapters"])
def jobs(request: pytest.FixtureRequest) -> Jobs:
    return in_memory() if request.param == "fakes" else on(request.getfixturevalue("cloud"))


@pytest.fixture
def group() -> str:
    return next(_groups)


def _is_now(moment: datetime) -> bool:
    return abs(datetime.now(UTC) - moment) < timedelta(minutes=1)


# ── training ──────────────────────────────────────────────────────────────────────────────────────
def test_of_a_training_job_that_nobody_started_there_is_nothing(jobs: Jobs, group: str) -> None:
    assert jobs.training.describe(group) is None
    assert jobs.training_after.last_lines(group, 20) == {}


def test_a_training_job_is_started_once_and_tells_what_it_made(jobs: Jobs, group: str) -> None:
    order = jobs.training_order(group, TRAINS)
    jobs.training.start(order)
    with pytest.raises(AlreadyExists):
        jobs.training.start(order)
    jobs.trained(order.name, TRAINS)
    job = jobs.training_after.describe(order.name)
    assert job is not None
    assert (job.status, job.secondary_status, job.failure_reason) == ("Completed", "Completed", "")
    assert job.arn.endswith(f":training-job/{order.name}")
    assert job.environment == order.environment
    assert job.output == order.output.url
    assert job.artifact == f"{job.output}{order.name}/output/model.tar.gz"
    made = of_url(job.artifact)
    assert made is not None
    assert jobs.world.bucket.head(made.key) is not None
    assert job.metrics == {"accuracy": pytest.approx(0.95)}
    assert job.seconds is not None
    assert job.billable_seconds is not None
    assert _is_now(job.created_at)
    with pytest.raises(AlreadyExists):
        jobs.training.start(order)


def test_a_training_job_that_fails_says_why_and_what_its_hosts_wrote_last(jobs: Jobs, group: str) -> None:
    order = jobs.training_order(group, FAILS)
    jobs.training.start(order)
    jobs.trained(order.name, FAILS)
    job = jobs.training_after.describe(order.name)
    assert job is not None
    assert job.status == "Failed"
    assert job.failure_reason.startswith("AlgorithmError: ")
    assert REASON in job.failure_reason
    lines = jobs.training_after.last_lines(order.name, 20)
    assert list(lines) == ["algo-1"]
    assert "the last words" in [line.text for line in lines["algo-1"]]
    assert all(_is_now(line.at) for line in lines["algo-1"])
    (last,) = jobs.training_after.last_lines(order.name, 1)["algo-1"]
    assert last == lines["algo-1"][-1]


def test_a_training_job_that_somebody_stopped_says_so(jobs: Jobs, group: str) -> None:
    order = jobs.training_order(group, WAITS)
    jobs.training.start(order)
    jobs.stop_training(order.name)
    job = jobs.training_after.describe(order.name)
    assert job is not None
    assert (job.status, job.secondary_status, job.failure_reason) == ("Stopped", "Stopped", "")


# ── batch transforms ──────────────────────────────────────────────────────────────────────────────
def test_of_a_transform_that_nobody_started_there_is_nothing(jobs: Jobs, group: str) -> None:
    assert jobs.transforms.describe(group) is None
    assert jobs.transforms_after.last_lines(group, 20) == []


def test_only_a_version_that_is_approved_makes_the_model_of_a_transform(jobs: Jobs, group: str) -> None:
    version = jobs.world.registry.register(registration(group, group))
    with pytest.raises(Invalid):
        jobs.transforms.make_model(jobs.transform_order(group, version))
    with pytest.raises(NotFound):
        jobs.transforms.make_model(jobs.transform_order(group, version + 1))


@pytest.mark.parametrize("who", ["transforms", "transforms_after"])
def test_the_model_of_a_transform_is_made_once_and_can_be_removed_again(
    jobs: Jobs, group: str, who: str
) -> None:
    order = jobs.transform_order(group, approved(jobs.world, group))
    jobs.transforms.make_model(order)
    with pytest.raises(AlreadyExists):
        jobs.transforms.make_model(order)
    removing: TransformJobs = getattr(jobs, who)
    for _ in range(2):
        removing.remove_model(order.name)
    with pytest.raises(NotFound):
        jobs.transforms.start(order)
    jobs.transforms.make_model(order)


def test_a_transform_is_started_once_and_tells_where_its_answers_lie(jobs: Jobs, group: str) -> None:
    order = jobs.transform_order(group, approved(jobs.world, group))
    jobs.transforms.make_model(order)
    jobs.transforms.start(order)
    with pytest.raises(AlreadyExists):
        jobs.transforms.start(order)
    jobs.transformed(order.name, SCRIPT)
    job = jobs.transforms_after.describe(order.name)
    assert job is not None
    assert (job.status, job.failure_reason) == ("Completed", "")
    assert job.arn.endswith(f":transform-job/{order.name}")
    assert job.environment == order.environment
    assert (job.input, job.output) == (order.input.url, order.output.url)
    assert job.seconds is not None
    assert _is_now(job.created_at)
    answers = jobs.world.bucket.read(f"{order.output.key}rows.csv.out", 1000)
    assert answers is not None
    assert ["setosa" in line for line in answers[0].decode().splitlines()] == [True, True]
    jobs.transforms_after.remove_model(order.name)
    with pytest.raises(AlreadyExists):
        jobs.transforms.start(order)


def test_a_transform_that_fails_says_why_and_first_what_was_wrong_with_the_data(
    jobs: Jobs, group: str
) -> None:
    order = jobs.transform_order(group, approved(jobs.world, group, script=FAILS_TO_PREDICT))
    jobs.transforms.make_model(order)
    jobs.transforms.start(order)
    jobs.transformed(order.name, FAILS_TO_PREDICT)
    job = jobs.transforms_after.describe(order.name)
    assert job is not None
    assert job.status == "Failed"
    assert job.failure_reason.startswith("AlgorithmError: See job logs")
    of_data, of_container = jobs.transforms_after.last_lines(order.name, 50)
    assert any("Bad HTTP status received from algorithm: 500" in line.text for line in of_data)
    assert any("feature names do not match" in line.text for line in of_container)
    assert all(_is_now(line.at) for line in (*of_data, *of_container))
    assert [len(stream) for stream in jobs.transforms_after.last_lines(order.name, 1)] == [1, 1]
