"""`transforms/<group>/<run>/job.yaml`: what is to be predicted, by which version. Pure."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from modelgate import documents, locations
from modelgate.documents import Document
from modelgate.identifiers import kms_key
from modelgate.policy import Instances
from modelgate.run import JOB_FILE, OWN_VARIABLES

_VARIABLE = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,1023}")
_MOST_OF_VARIABLE = 10_240
# CreateTransformJob, Environment: 16 entries.
_MOST_VARIABLES = 16 - len(OWN_VARIABLES)
# CreateTransformJob, MaxPayloadInMB: what is sent at the same time is 100 MB at most.
_MOST_MB_AT_ONCE = 100
_DEFAULT_MB = 6
# "Associate Prediction Results with Input Records": filters and joins need records that can be taken apart.
_CAN_BE_TAKEN_APART = ("text/csv", "application/json", "application/jsonlines")
# The same page, "Supported JSONPath operators", starts with the whole record.
_PATH = re.compile(r"\$[^\r\n]{0,62}")


# ── the document ──────────────────────────────────────────────────────────────────────────────────
class Input(Document):
    """What is asked.

    Attributes:
        location: what the keys of its objects begin with.
        content_type: of each request.
        split: what is a record: a line, or one of RecordIO or TFRecord. Without, an object is one.
        compression: of the objects; gzip or none.
    """

    location: Annotated[str, AfterValidator(locations.checked)]
    content_type: str = Field(min_length=1, max_length=256, pattern=r"^[\x20-\x7e]*$")
    split: Literal["none", "line", "recordio", "tfrecord"] = "none"
    compression: Literal["none", "gzip"] = "none"

    @property
    def media_type(self) -> str:
        return self.content_type.partition(";")[0].strip().lower()


class Output(Document):
    """What is answered, and where that lies.

    Attributes:
        location: what the keys of the answers begin with; under ``transformed/`` where it is left out.
        accept: the Accept header; the container's default where it is left out.
        assemble: what stands between the answers of one object: a line break, or nothing.
    """

    location: Annotated[str, AfterValidator(locations.checked)] | None = None
    accept: str | None = Field(default=None, min_length=1, max_length=256, pattern=r"^[\x20-\x7e]*$")
    assemble: Literal["none", "line"] | None = None

    @field_validator("location")
    @classmethod
    def _elsewhere(cls, location: str | None) -> str | None:
        if location is not None and "://" not in location:
            raise ValueError(
                f"is {location!r}; write s3://bucket/prefix/, or leave it out: answers lie under transformed/"
            )
        return location


def _path(path: str) -> str:
    if not _PATH.fullmatch(path):
        raise ValueError(
            f"is {path!r}, no JSONPath of at most 63 characters; write one that begins with $, such as $[1:]"
        )
    return path


class Filters(Document):
    """What of each record is asked, and what of each answer is kept, as JSONPath.

    Attributes:
        input: of a record; such as ``$[1:]``, all columns but the first.
        output: of an answer, or of the record and its answer where they are joined.
    """

    input: Annotated[str, AfterValidator(_path)] | None = None
    output: Annotated[str, AfterValidator(_path)] | None = None


class Invocations(Document):
    """How patient SageMaker is with the container.

    Attributes:
        timeout_seconds: of one request.
        retries: of one that failed.
    """

    timeout_seconds: int = Field(default=600, ge=1, le=3600)
    retries: int = Field(default=3, ge=0, le=3)


class Machines(Instances):
    """The machines that predict.

    Attributes:
        count: objects of the input are shared out among them.
        volume_gb: not here: SageMaker chooses the volume of a transform.
    """

    count: int = Field(default=1, ge=1, le=100)

    @field_validator("volume_gb")
    @classmethod
    def _chosen_by_sagemaker(cls, volume_gb: int | None) -> int | None:
        if volume_gb is not None:
            raise ValueError(f"is {volume_gb}, and SageMaker itself chooses the volume here; leave it out")
        return volume_gb


def _variables(environment: dict[str, str]) -> dict[str, str]:
    for name, value in environment.items():
        if not _VARIABLE.fullmatch(name):
            raise ValueError(f"has {name[:40]!r}, no name of a variable; use letters, digits and underscores")
        if name in OWN_VARIABLES:
            raise ValueError(f"has {name}, by which Modelgate knows its jobs; choose another name")
        if len(value) > _MOST_OF_VARIABLE:
            raise ValueError(f"has {name} with more than {_MOST_OF_VARIABLE} characters; write a shorter one")
    return environment


class TransformJob(Document):
    """`job.yaml`.

    The order of the fields is the order in which they are held against each other: a field's validator sees
    those above it.

    Attributes:
        version: of the group, approved; the one that is live where it is left out.
        input: what is asked.
        output: what is answered.
        filters: what is left out of both.
        join: whether each record is put before its answer.
        strategy: how many records a request has: one, or as many as there is room for.
        max_payload_mb: how large a request may be, in MB; 6 where it is left out.
        max_concurrent: how many requests an instance has at a time; what the container says where it is left
            out, or one.
        instances: the machines.
        environment: of the container, beside its version's own.
        kms_key: the id, alias or ARN of the key for volumes and answers.
        invocation: how patient SageMaker is.
    """

    version: int | None = Field(default=None, ge=1)
    input: Input
    output: Output = Field(default_factory=Output)
    filters: Filters = Field(default_factory=Filters)
    join: bool = False
    strategy: Literal["single_record", "multi_record"] | None = None
    max_payload_mb: int | None = Field(default=None, ge=1, le=_MOST_MB_AT_ONCE)
    max_concurrent: int | None = Field(default=None, ge=1, le=_MOST_MB_AT_ONCE)
    instances: Machines = Field(default_factory=Machines)
    environment: Annotated[dict[str, str], AfterValidator(_variables)] = Field(
        default={}, max_length=_MOST_VARIABLES
    )
    kms_key: str | None = Field(default=None, max_length=2048)
    invocation: Invocations | None = None

    @field_validator("filters", "join")
    @classmethod
    def _can_be_taken_apart(cls, value: Filters | bool, info: ValidationInfo) -> Filters | bool:  # noqa: FBT001
        given: Input | None = info.data.get("input")
        if value in (Filters(), False) or given is None or given.media_type in _CAN_BE_TAKEN_APART:
            return value
        raise ValueError(
            f"is there for {given.content_type}, which SageMaker cannot take apart; leave it out, or send "
            f"{' or '.join(_CAN_BE_TAKEN_APART)}"
        )

    @field_validator("join")
    @classmethod
    def _joins_lines(cls, join: bool, info: ValidationInfo) -> bool:  # noqa: FBT001
        given: Input | None = info.data.get("input")
        output: Output | None = info.data.get("output")
        if not join or given is None or output is None or given.split == "none":
            return join
        if output.assemble == "none":
            raise ValueError(
                "is true beside output.assemble: none, and what is joined line by line comes in lines; write "
                "output.assemble: line"
            )
        return join

    @field_validator("strategy")
    @classmethod
    def _has_records(cls, strategy: str | None, info: ValidationInfo) -> str | None:
        given: Input | None = info.data.get("input")
        if strategy == "multi_record" and given is not None and given.split == "none":
            raise ValueError(
                "is multi_record, and without input.split an object is one record; write input.split: line"
            )
        return strategy

    @field_validator("max_concurrent")
    @classmethod
    def _fits(cls, max_concurrent: int | None, info: ValidationInfo) -> int | None:
        each = info.data.get("max_payload_mb") or _DEFAULT_MB
        if max_concurrent is not None and max_concurrent * each > _MOST_MB_AT_ONCE:
            raise ValueError(
                f"is {max_concurrent} requests of {each} MB at a time, and SageMaker takes "
                f"{_MOST_MB_AT_ONCE} MB in all; write {_MOST_MB_AT_ONCE // each}, or a smaller max_payload_mb"
            )
        return max_concurrent

    @field_validator("kms_key")
    @classmethod
    def _key(cls, key: str | None) -> str | None:
        return key if key is None else kms_key(key)

    @property
    def assemble(self) -> Literal["none", "line"]:
        """Answers to lines come in lines, unless something else is wished for."""
        if self.output.assemble is not None:
            return self.output.assemble
        return "line" if self.input.split == "line" else "none"


def read_job(text: bytes) -> TransformJob:
    """Raises `Refused` with every problem of the document."""
    return documents.read(text, TransformJob, JOB_FILE)
