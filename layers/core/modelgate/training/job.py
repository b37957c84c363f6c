"""`training/<group>/<run>/job.yaml`: what is to be trained, in what, with what. Pure."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from modelgate import documents, locations, metrics
from modelgate.documents import Document
from modelgate.identifiers import kms_key
from modelgate.images.instances import instance
from modelgate.manifest import Container, Lineage, Manifest
from modelgate.policy import Instances, Vpc
from modelgate.run import JOB_FILE, OWN_VARIABLES
from modelgate.submission import MAX_METADATA
from modelgate.training import hyperparameters

T = TypeVar("T")

# Our own entries of a version's metadata begin so. These are always there; the channels get what is left.
OWN_METADATA = "training."
OWN_ENTRIES = ("training.job", "training.image", "training.code")
# Under network isolation nobody can download the source, so SageMaker brings it as a channel of this name.
CODE_CHANNEL = "code"


# Amazon SageMaker AI Developer Guide, "Built-in algorithms and pretrained models": these train by themselves
# and take no script. XGBoost does both.
ALGORITHMS = frozenset(
    (
        "blazingtext",
        "factorization-machines",
        "forecasting-deepar",
        "image-classification",
        "ipinsights",
        "kmeans",
        "knn",
        "lda",
        "linear-learner",
        "ntm",
        "object-detection",
        "object2vec",
        "pca",
        "randomcutforest",
        "semantic-segmentation",
        "seq2seq",
    )
)
_EITHER = "xgboost"
# The same guide, "Checkpoints in Amazon SageMaker AI": of the algorithms, these write any.
_CHECKPOINTING = frozenset(("image-classification", "object-detection", "semantic-segmentation", _EITHER))
# "Managed Spot Training": so long may an algorithm wait that would begin anew after an interruption.
_MOST_WAIT_WITHOUT_CHECKPOINTS = 3600
# "Run Training and Inference Containers in Internet-Free Mode": they need Amazon S3 from within.
_NEVER_ISOLATED = ("chainer", "coach-", "ray-", "vw")
_DAY = 86_400
_MOST_SECONDS = 28 * _DAY
_MOST_WAIT_SECONDS = 30 * _DAY
_MOST_CHANNELS = 20
_MOST_VARIABLES = 100 - len(OWN_VARIABLES)

_CHANNEL = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,63}")
_PROGRAM = re.compile(r"[\w][\w.-]*(/[\w][\w.-]*)*", re.ASCII)
_CHECKPOINTS = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,99}")
_VARIABLE = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,511}")
_MOST_OF_VARIABLE = 512


# ── the document ──────────────────────────────────────────────────────────────────────────────────
class Script(Document):
    """A program of one's own, for the SageMaker training toolkit.

    Attributes:
        source: a tarball of it.
        program: which file of the tarball is run.
    """

    source: Annotated[str, AfterValidator(locations.checked)]
    program: str

    @field_validator("source")
    @classmethod
    def _tarball(cls, source: str) -> str:
        if not source.endswith(".tar.gz"):
            raise ValueError(f"is {source!r}; pack the folder of the script: tar -C code -czf code.tar.gz .")
        return source

    @field_validator("program")
    @classmethod
    def _path(cls, program: str) -> str:
        if not _PROGRAM.fullmatch(program) or len(program) > 255:
            raise ValueError(f"is {program!r}, no path in the source; write one such as train.py")
        return program


class Data(Document):
    """A channel.

    Attributes:
        location: what the keys of its objects begin with.
        mode: whether they are files that are downloaded before (File), files that are fetched while they are
            read (FastFile), or a pipe.
        compression: what a pipe unpacks; gzip or none.
        distribution: whether each instance gets all of them, or its share.
        record_wrapping: whether each object becomes a RecordIO record in a pipe.
        shuffle_seed: shuffles their order; in a pipe anew for each epoch.
    """

    location: Annotated[str, AfterValidator(locations.checked)]
    mode: Literal["File", "FastFile", "Pipe"] = "File"
    content_type: str | None = Field(default=None, min_length=1, max_length=256, pattern=r"^[\x20-\x7e]*$")
    compression: Literal["none", "gzip"] = "none"
    distribution: Literal["replicated", "sharded"] = "replicated"
    record_wrapping: Literal["none", "recordio"] = "none"
    shuffle_seed: int | None = Field(default=None, ge=0, le=2**63 - 1)

    # CreateTrainingJob, Channel: both are done while a pipe is filled, and only there.
    @field_validator("compression", "record_wrapping")
    @classmethod
    def _in_a_pipe_only(cls, value: str, info: ValidationInfo) -> str:
        mode = info.data.get("mode", "Pipe")
        if value != "none" and mode != "Pipe":
            raise ValueError(
                f"is {value} in mode {mode}, where files stay as they are; write mode: Pipe, or leave it out "
                "and have the program do it"
            )
        return value


class Machines(Instances):
    """The machines that train.

    Attributes:
        volume_gb: the storage volume of each in GB; 30 where it is left out.
    """

    volume_gb: int | None = Field(default=None, ge=1, le=16_384)

    @field_validator("type")
    @classmethod
    def _trains(cls, name: str) -> str:
        found = instance(name)
        if found is None:
            raise ValueError(f"is {name!r}, no instance type of SageMaker's; write one such as ml.m5.large")
        if found.processor == "inf":
            raise ValueError(
                f"is {name!r}, which only serves; write one that trains, such as ml.trn1.2xlarge"
            )
        return name


class Spot(Document):
    """Spare capacity, which is cheaper and may be taken back.

    Attributes:
        wait_seconds: how long the job may take with all its interruptions, in seconds.
    """

    wait_seconds: int = Field(ge=1, le=_MOST_WAIT_SECONDS)


class Metric(Document):
    """A figure that SageMaker reads from the log.

    Attributes:
        regex: finds it; its first group is the figure.
    """

    name: str
    regex: str = Field(min_length=1, max_length=500)

    @field_validator("name")
    @classmethod
    def _can_be_judged(cls, name: str) -> str:
        if not metrics.NAME.fullmatch(name):
            raise ValueError(f"is {name!r}, no name of a metric; use letters, digits and _.:/@-, at most 100")
        return name

    @field_validator("regex")
    @classmethod
    def _finds_a_figure(cls, regex: str) -> str:
        if "\n" in regex or "\r" in regex:
            raise ValueError("has a line break; write it in one line")
        try:
            compiled = re.compile(regex)
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(
                f"is {regex!r}, no regular expression ({error}); write one such as acc=([0-9.]+)"
            ) from error
        if compiled.groups == 0:
            raise ValueError(f"is {regex!r}, without a group that is the figure; put it in ( )")
        return regex


class Serve(Manifest):
    """What `manifest.yaml` says of what is trained; the job itself says the rest.

    Attributes:
        container: what serves it, where it is not what trained it.
        metrics, metrics_file, containers: not here: the job has metrics, and makes one artifact.
    """

    @field_validator("metrics", "metrics_file", "containers")
    @classmethod
    def _of_the_job(cls, value: object) -> object:
        if value is not None:
            raise ValueError(
                "is given, and comes of the job; leave it out (metrics are read from the log by the job's "
                "metrics, and from the evaluation.json that the program writes to SM_OUTPUT_DATA_DIR)"
            )
        return value

    @field_validator("lineage")
    @classmethod
    def _beside(cls, lineage: Lineage) -> Lineage:
        if lineage != Lineage():
            raise ValueError("is given; write it beside serve, where the job's is")
        return lineage

    @field_validator("metadata")
    @classmethod
    def _leaves_room(cls, metadata: dict[str, str]) -> dict[str, str]:
        own = [key for key in metadata if key.startswith(OWN_METADATA)]
        if own:
            raise ValueError(
                f"has {own[0]!r}, and what begins with {OWN_METADATA} is written by the job; choose another "
                "key"
            )
        most = MAX_METADATA - len(OWN_ENTRIES)
        if len(metadata) > most:
            raise ValueError(
                f"has {len(metadata)} entries, and beside the job's own there is room for {most}; leave some "
                "out"
            )
        return metadata

    def _containers(self) -> Serve:  # type: ignore[override]
        return self

    def _one_source_of_metrics(self) -> Serve:  # type: ignore[override]
        return self


def _variables(environment: dict[str, str]) -> dict[str, str]:
    for name, value in environment.items():
        if not _VARIABLE.fullmatch(name):
            raise ValueError(f"has {name[:40]!r}, no name of a variable; use letters, digits and underscores")
        if name in OWN_VARIABLES:
            raise ValueError(f"has {name}, by which Modelgate knows its jobs; choose another name")
        if len(value) > _MOST_OF_VARIABLE:
            raise ValueError(
                f"has {name} with more than {_MOST_OF_VARIABLE} characters; put it into a file of a channel"
            )
    return environment


class TrainingJob(Document):
    """`job.yaml`.

    The order of the fields is the order in which they are held against each other: a field's validator sees
    those above it.

    Attributes:
        container: a prebuilt container, or an image of one's own.
        script: what it runs; a prebuilt container without an algorithm needs one.
        network_isolation: whether the program can reach no network at all.
        hyperparameters: numbers, texts, booleans, lists, mappings.
        instances: the machines.
        data: the channels, by name; a location alone is short for a channel with it.
        time_limit_seconds: when SageMaker ends it, in seconds.
        checkpoints: a name, or a place in S3. What lies there is restored before the program starts.
        spot: trains on spare capacity.
        metrics: what SageMaker reads from the log.
        environment: of the container.
        vpc: the network that the containers are attached to.
        encrypt_traffic: between the instances.
        kms_key: the id, alias or ARN of the key for volumes and results.
        serve: what becomes of it; without, it is trained only.
        lineage: where the code comes from.
    """

    container: Container
    script: Script | None = Field(default=None, validate_default=True)
    network_isolation: bool = False
    hyperparameters: dict[str, Any] = Field(default={})
    instances: Machines = Field(default_factory=Machines)
    data: dict[str, Data] = Field(default={})
    time_limit_seconds: int = Field(default=_DAY, ge=1, le=_MOST_SECONDS)
    checkpoints: str | None = None
    spot: Spot | None = None
    metrics: list[Metric] = Field(default=[], max_length=40)
    environment: Annotated[dict[str, str], AfterValidator(_variables)] = Field(
        default={}, max_length=_MOST_VARIABLES
    )
    vpc: Vpc | None = None
    encrypt_traffic: bool = False
    kms_key: str | None = Field(default=None, max_length=2048)
    serve: Serve | None = None
    lineage: Lineage = Field(default_factory=Lineage)

    @property
    def isolates_script(self) -> bool:
        return self.network_isolation and self.script is not None

    @property
    def volume_gb(self) -> int | None:
        """None where the machine brings its own storage."""
        if self.instances.has_local_storage:
            return None
        return self.instances.volume_gb or 30

    @field_validator("container")
    @classmethod
    def _trains(cls, container: Container) -> Container:
        if container.artifact is not None:
            raise ValueError("has artifact, and is what makes one; write it into serve.container")
        if container.environment:
            raise ValueError("has environment; write it beside container")
        return container

    @field_validator("script")
    @classmethod
    def _is_there_where_it_is_needed(cls, script: Script | None, info: ValidationInfo) -> Script | None:
        container: Container | None = info.data.get("container")
        if container is None or container.image is not None:
            return script
        family = str(container.framework)
        if script is None and family not in ALGORITHMS and family != _EITHER:
            raise ValueError(
                f"is missing, and {family} trains nothing by itself; write script: "
                "{source: code.tar.gz, program: train.py}"
            )
        if script is not None and family in ALGORITHMS:
            raise ValueError(f"is given, and {family} is an algorithm that takes none; leave it out")
        return script

    @field_validator("network_isolation")
    @classmethod
    def _can_be_isolated(cls, isolation: T, info: ValidationInfo) -> T:
        container: Container | None = info.data.get("container")
        family = container.framework if container and container.image is None else None
        if isolation and family and family.startswith(_NEVER_ISOLATED):
            raise ValueError(f"is asked for, and {family} needs Amazon S3 from within; leave it out")
        return isolation

    @field_validator("hyperparameters")
    @classmethod
    def _can_be_told(cls, given: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        if "script" in info.data:
            hyperparameters.checked(given, for_script=info.data["script"] is not None)
        return given

    @field_validator("data", mode="before")
    @classmethod
    def _short_for_a_location(cls, data: object) -> object:
        if not isinstance(data, dict):
            return data
        return {name: {"location": each} if isinstance(each, str) else each for name, each in data.items()}

    @field_validator("data")
    @classmethod
    def _channels(cls, data: dict[str, Data], info: ValidationInfo) -> dict[str, Data]:
        for name in data:
            if not _CHANNEL.fullmatch(name):
                raise ValueError(
                    f"has the channel {name[:70]!r}; use letters, digits, '.', '_' and '-', at most 64"
                )
        isolated = bool(info.data.get("network_isolation") and info.data.get("script"))
        if isolated and CODE_CHANNEL in data:
            raise ValueError(
                f"has the channel {CODE_CHANNEL!r}, by which the script comes under network_isolation; call "
                "it otherwise"
            )
        most = _MOST_CHANNELS - isolated
        if len(data) > most:
            raise ValueError(f"has {len(data)} channels, and a job takes {most}; put several into one prefix")
        return data

    @field_validator("checkpoints")
    @classmethod
    def _place(cls, checkpoints: str | None, info: ValidationInfo) -> str | None:
        if checkpoints is None:
            return None
        if "://" in checkpoints:
            locations.checked(checkpoints)
        elif not _CHECKPOINTS.fullmatch(checkpoints):
            raise ValueError(
                f"is {checkpoints!r}; write a name with letters, digits, '.', '_' and '-', at most 100, or "
                "s3://bucket/prefix/"
            )
        family = _algorithm(info)
        if family and family not in _CHECKPOINTING:
            raise ValueError(f"is given, and {family} writes none; leave it out")
        return checkpoints

    @field_validator("spot")
    @classmethod
    def _waits_long_enough(cls, spot: Spot | None, info: ValidationInfo) -> Spot | None:
        if spot is None:
            return None
        limit = info.data.get("time_limit_seconds", 0)
        if spot.wait_seconds < limit:
            raise ValueError(
                f"has wait_seconds: {spot.wait_seconds}, and the job alone may take {limit}; write "
                f"wait_seconds: {limit} or more, or a shorter time_limit_seconds"
            )
        family = _algorithm(info)
        restored = family in _CHECKPOINTING and info.data.get("checkpoints") is not None
        if family and not restored and spot.wait_seconds > _MOST_WAIT_WITHOUT_CHECKPOINTS:
            mend = "add checkpoints" if family in _CHECKPOINTING else "leave spot out"
            raise ValueError(
                f"has wait_seconds: {spot.wait_seconds}, and {family} without checkpoints begins anew after "
                f"each interruption: SageMaker allows {_MOST_WAIT_WITHOUT_CHECKPOINTS}; write that, or {mend}"
            )
        return spot

    @field_validator("metrics")
    @classmethod
    def _are_ones_own(cls, given: list[Metric], info: ValidationInfo) -> list[Metric]:
        names = [metric.name for metric in given]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"name {', '.join(twice)} more than once; keep one entry for each")
        family = _algorithm(info)
        if given and family in ALGORITHMS:
            raise ValueError(f"are given, and {family} has its own, which SageMaker keeps; leave them out")
        return given

    @field_validator("kms_key")
    @classmethod
    def _key(cls, key: str | None) -> str | None:
        return key if key is None else kms_key(key)

    @field_validator("lineage")
    @classmethod
    def _made_by_this_job(cls, lineage: Lineage) -> Lineage:
        if lineage.generated_by is not None:
            raise ValueError("has generated_by, which is this job; leave it out")
        return lineage


def _algorithm(info: ValidationInfo) -> str | None:
    """The prebuilt container that trains by itself here; None where a program of one's own does."""
    container: Container | None = info.data.get("container")
    if container is None or container.image is not None or info.data.get("script") is not None:
        return None
    return container.framework


def read_job(text: bytes) -> TrainingJob:
    """Raises `Refused` with every problem of the document."""
    return documents.read(text, TrainingJob, JOB_FILE)
