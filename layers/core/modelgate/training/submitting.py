"""What a completed job made becomes a submission, and takes the ordinary way from there."""

from __future__ import annotations

import json
import math
import posixpath
import tarfile
from typing import TYPE_CHECKING, Any, cast

from modelgate.errors import Problem, Refused
from modelgate.locations import of_url
from modelgate.metrics import MAX_BYTES, MAX_FIGURES, NAME, Metrics, read
from modelgate.ports import NewObject
from modelgate.run import TrainingId
from modelgate.submission import ARTIFACT, MANIFEST, SubmissionId
from modelgate.training.job import TrainingJob
from modelgate.training.writing import written
from modelgate.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import IO

    from modelgate.ports import Bucket
    from modelgate.training.ports import Job
    from modelgate.training.runs import TrainingRun

EVALUATION = "evaluation.json"
OUTPUT = "output.tar.gz"
_GB = 1_000_000_000
# S3 gives a function some 75 MB/s: what is looked through in a part of its time.
MAX_OUTPUT_BYTES = 10 * _GB
_CHUNK = 1024 * 1024
_JSON = "application/json"


@dataclass(frozen=True)
class Submitted:
    """What was uploaded for a run.

    Attributes:
        id: where it lies.
        figures: what it will be judged by.
    """

    id: SubmissionId
    figures: Mapping[str, float]


def artifact_key(bucket: Bucket, job: Job) -> str | None:
    """Where its model.tar.gz lies in the bucket; None where it made none there."""
    place = of_url(job.artifact)
    return place.key if place and place.bucket == bucket.name else None


def submit(bucket: Bucket, run: TrainingRun, document: TrainingJob, job: Job) -> Submitted:
    """Makes the submission of a completed job. Done twice, it is the same one.

    Raises:
        Refused: the job made no artifact, or no figure to judge by; or its name is taken.
    """
    evaluation, figures = _evaluation(bucket, run.id, job)
    submission = SubmissionId(run.id.group, run.id.run)
    key = artifact_key(bucket, job)
    artifact = bucket.head(key) if key else None
    if artifact is None:
        found = "the job is completed, and there is no model.tar.gz"
        raise Refused(Problem(job.name, found, "have the program write what serves into SM_MODEL_DIR"))
    (kept,) = bucket.keep({submission.key(ARTIFACT): artifact})
    manifest = manifest_of(run, document, job)
    text = written(manifest)
    if kept.size != artifact.size or not _is_ours(bucket, submission.key(MANIFEST), text):
        found = "somebody has uploaded something else there while the job was running"
        mend = "submit what the job made under another name, or train under another run"
        raise Refused(Problem(submission.key(""), found, mend))
    # A registered submission stays what it is: even the same once more would be another upload of it.
    for name, body in ((EVALUATION, evaluation), (MANIFEST, text)):
        there = bucket.read(submission.key(name), len(body))
        if there is None or there[0] != body:
            bucket.write(NewObject(submission.key(name), body, _JSON))
    return Submitted(submission, figures)


def _is_ours(bucket: Bucket, key: str, text: bytes) -> bool:
    there = bucket.read(key, len(text))
    return there is None or there[0] == text


def manifest_of(run: TrainingRun, document: TrainingJob, job: Job) -> dict[str, Any]:
    """The content of the submission's manifest."""
    if document.serve is None:
        raise ValueError(f"{run.id} is only trained")
    said = document.serve.model_dump(mode="json", exclude_unset=True)
    container = said.pop("container", None)
    if container is None:
        container = document.container.model_dump(mode="json", exclude_unset=True)
        if document.container.image is not None:
            container["image"] = run.image
    lineage = document.lineage.model_dump(mode="json", exclude_none=True)
    return {
        **said,
        "container": container,
        "metrics_file": EVALUATION,
        "metadata": {**said.get("metadata", {}), **dict(run.metadata)},
        "lineage": {**lineage, "generated_by": job.arn},
    }


# ── how good it is ────────────────────────────────────────────────────────────────────────────────
def _evaluation(bucket: Bucket, run: TrainingId, job: Job) -> tuple[bytes, Mapping[str, float]]:
    """The metrics file of the submission, and the figures in it.

    What the program wrote into its evaluation counts more than what SageMaker read from the log.

    Raises:
        Refused: there is no figure, or the evaluation is wrong.
    """
    text = _written(bucket, run, job)
    said = read(text, f"{OUTPUT}: {EVALUATION}") if text is not None else Metrics({})
    from_log = [
        (name, value)
        for name, value in sorted(job.metrics.items())
        if math.isfinite(value) and NAME.fullmatch(name) and not said.paths(name)
    ]
    figures = dict([*said.figures.items(), *from_log][:MAX_FIGURES])
    if not figures:
        mend = (
            "write evaluation.json into SM_OUTPUT_DATA_DIR, or print figures and name them by metrics in "
            "job.yaml"
        )
        raise Refused(Problem(job.name, "the job is completed, and has no figure to judge by", mend))
    # In SageMaker's format the figures stand in groups, beside curves; what is from the log, beside those.
    grouped: dict[str, Any] = json.loads(said.document) if said.document is not None else {}
    beside = {name: figure for name, figure in figures.items() if not grouped or name not in said.figures}
    return json.dumps({**grouped, **beside}, indent=1, sort_keys=True).encode(), figures


def _written(bucket: Bucket, run: TrainingId, job: Job) -> bytes | None:
    """What the program wrote as its evaluation; of several files the one that lies highest."""
    found = bucket.head(run.trained_key(f"{job.name}/output/{OUTPUT}"))
    if found is None:
        return None
    if found.size > MAX_OUTPUT_BYTES:
        what = f"has {found.size / _GB:.1f} GB, in which {EVALUATION} is not looked for"
        mend = "write large output elsewhere: to checkpoints, or to S3 by the program itself"
        raise Refused(Problem(OUTPUT, what, mend))
    stream = bucket.open(found)
    try:
        # A tarball of whatever the program wrote: only the one file is of interest, and the rest need not be
        # sound.
        with tarfile.open(fileobj=cast("IO[bytes]", stream), mode="r|gz", bufsize=_CHUNK) as tar:
            return _highest(tar)
    except (tarfile.TarError, EOFError, ValueError) as error:
        what = f"cannot be read to find {EVALUATION} in it ({error})"
        raise Refused(Problem(OUTPUT, what, "train again under another run")) from error
    finally:
        stream.close()


def _highest(tar: tarfile.TarFile) -> bytes | None:
    best: tuple[int, str, bytes] | None = None
    for member in tar:
        name = posixpath.normpath(member.name)
        if posixpath.basename(name) != EVALUATION or not member.isreg():
            continue
        place = (name.count("/"), name)
        if best is not None and place >= best[:2]:
            continue
        file = tar.extractfile(member)
        if file is not None:
            best = (*place, file.read(MAX_BYTES + 1))
        if name == EVALUATION:
            break
    return best[2] if best else None
