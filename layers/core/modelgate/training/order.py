"""What SageMaker is told to train: everything that CreateTrainingJob takes. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from modelgate.locations import Location, resolved
from modelgate.run import OWN_VARIABLES, TrainingId
from modelgate.training import hyperparameters
from modelgate.training.job import CODE_CHANNEL, Data, TrainingJob
from modelgate.values import dataclass

# What SageMaker lays out from a channel of this name, where the toolkit finds the source without a network.
SOURCE_FILE = "sourcedir.tar.gz"
_ISOLATED_SOURCE = f"/opt/ml/input/data/{CODE_CHANNEL}/{SOURCE_FILE}"


@dataclass(frozen=True)
class Channel:
    """A channel, and where exactly its data lies."""

    name: str
    location: Location
    data: Data


@dataclass(frozen=True)
class TrainingOrder:
    """One job.

    Attributes:
        name: what SageMaker calls it.
        group: of the run; the job's tag.
        job: what people wrote.
        image: by its digest, where it is one's own.
        role: the ARN of the role that it runs under.
        hyperparameters: all of them, as texts.
        channels: in the order of the document.
        output: where SageMaker writes what comes of it: it adds the job's name itself.
        checkpoints: where they are kept; None where there are none.
        environment: of the containers, with what tells whose job it is.
    """

    name: str
    group: str
    job: TrainingJob
    image: str
    role: str
    hyperparameters: Mapping[str, str]
    channels: tuple[Channel, ...]
    output: Location
    checkpoints: Location | None
    environment: Mapping[str, str] = field(default_factory=dict)


def order(
    run: TrainingId,
    job: TrainingJob,
    *,
    name: str,
    image: str,
    source: Location | None,
    bucket: str,
    role: str,
    region: str,
    stack: str,
) -> TrainingOrder:
    """Plans the job of a run.

    Args:
        source: the tarball of the script, where there is one.
        bucket: the intake bucket, in which the document lies.
    """
    channels = tuple(channels_of(run, job, bucket))
    told = hyperparameters.encoded(job.hyperparameters, for_script=job.script is not None)
    if job.script is not None and source is not None:
        found_at = source.url
        if job.isolates_script:
            folder = Location(source.bucket, source.key.removesuffix(SOURCE_FILE))
            channels += (Channel(CODE_CHANNEL, folder, Data(location=folder.url)),)
            found_at = _ISOLATED_SOURCE
        told |= hyperparameters.of_toolkit(
            program=job.script.program, source=found_at, region=region, job=name
        )
    return TrainingOrder(
        name=name,
        group=run.group,
        job=job,
        image=image,
        role=role,
        hyperparameters=told,
        channels=channels,
        output=Location(bucket, run.trained_key("")),
        checkpoints=checkpoints_of(run, job, bucket),
        environment={
            **job.environment,
            **dict(zip(OWN_VARIABLES, (stack, run.group, run.run), strict=True)),
        },
    )


def channels_of(run: TrainingId, job: TrainingJob, bucket: str) -> list[Channel]:
    """The channels of the document, and where their data lies."""
    folder = Location(bucket, run.folder)
    return [Channel(name, resolved(data.location, folder), data) for name, data in job.data.items()]


def checkpoints_of(run: TrainingId, job: TrainingJob, bucket: str) -> Location | None:
    """Where the checkpoints are kept."""
    if job.checkpoints is None:
        return None
    if "://" in job.checkpoints:
        return resolved(job.checkpoints, Location(bucket, ""))
    return Location(bucket, f"checkpoints/{run.group}/{job.checkpoints}/")


def source_of(run: TrainingId, job: TrainingJob, bucket: str) -> Location | None:
    """Where the tarball of the script was uploaded."""
    return resolved(job.script.source, Location(bucket, run.folder)) if job.script else None
