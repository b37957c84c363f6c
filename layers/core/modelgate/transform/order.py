"""What SageMaker is told to predict: everything that CreateTransformJob takes. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from modelgate.locations import Location, resolved
from modelgate.run import OWN_VARIABLES, TransformId
from modelgate.transform.job import TransformJob
from modelgate.values import dataclass


@dataclass(frozen=True)
class TransformOrder:
    """One job.

    Attributes:
        name: what SageMaker calls it, and the model that is made for it.
        group, version: what predicts.
        job: what people wrote.
        input, output: what the keys of the objects begin with.
        environment: of the container, with what tells whose job it is.
    """

    name: str
    group: str
    version: int
    job: TransformJob
    input: Location
    output: Location
    environment: Mapping[str, str]


def order(
    run: TransformId, job: TransformJob, *, name: str, version: int, bucket: str, stack: str
) -> TransformOrder:
    """Plans the job of a run.

    Args:
        version: the one that predicts.
        bucket: the intake bucket, in which the document lies.
    """
    output = job.output.location
    return TransformOrder(
        name=name,
        group=run.group,
        version=version,
        job=job,
        input=input_of(run, job, bucket),
        output=resolved(output, Location(bucket, "")) if output else Location(bucket, run.output),
        environment={
            **job.environment,
            **dict(zip(OWN_VARIABLES, (stack, run.group, run.run), strict=True)),
        },
    )


def input_of(run: TransformId, job: TransformJob, bucket: str) -> Location:
    """What the keys of the input's objects begin with."""
    return resolved(job.input.location, Location(bucket, run.folder))
