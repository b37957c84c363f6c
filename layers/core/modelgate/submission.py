"""What a data scientist uploads: one `model.tar.gz` with its `manifest.yaml`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from modelgate import documents
from modelgate.documents import Document
from modelgate.errors import Problem, Refused

ARTIFACT = "model.tar.gz"
MANIFEST = "manifest.yaml"

# SageMaker's pattern for the names of groups, models, endpoint configs and endpoints.
SAGEMAKER_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
_SUBMISSION_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,99}")
# Keys and values of a package's CustomerMetadataProperties; SageMaker allows letters of all scripts.
_METADATA_KEY = re.compile(r"[\w.:/=+\-@ ]{1,128}")
_METADATA_VALUE = re.compile(r"[\w.:/=+\-@ ]{0,256}")
_METRIC_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:/@-]{0,99}")
RESERVED = ("modelgate.", "metric.")
# CustomerMetadataProperties holds 50; what Modelgate writes itself and a margin come off.
MAX_METRICS = 25
MAX_METADATA = 15


@dataclass(frozen=True)
class SubmissionId:
    """Where a submission lies: ``models/<group>/<name>/``, raw as the key has it."""

    group: str
    name: str

    @classmethod
    def of_key(cls, key: str) -> SubmissionId:
        """The submission that an object under ``models/`` belongs to; a deeper key keeps the rest in it."""
        _, group, rest = key.split("/", 2)
        return cls(group, rest.rpartition("/")[0])

    def check(self) -> None:
        """Raises `Refused` when SageMaker, or the registry's metadata, would not take these names."""
        problems = []
        where = f"models/{self.group}/{self.name}/"
        if not SAGEMAKER_NAME.fullmatch(self.group):
            mend = "a group has letters, digits and single hyphens, at most 63; upload under another name"
            problems.append(Problem(where, f"the group {self.group!r} is no name that SageMaker takes", mend))
        if not _SUBMISSION_NAME.fullmatch(self.name):
            mend = (
                "a submission has letters, digits, '.', '_' and '-', at most 100; upload under another name"
            )
            problems.append(Problem(where, f"the submission {self.name!r} is no name that can be used", mend))
        if problems:
            raise Refused(*problems)

    def key(self, file: str) -> str:
        return f"models/{self.group}/{self.name}/{file}"

    def report_key(self, file: str) -> str:
        return f"reports/{self.group}/{self.name}/{file}"

    def __str__(self) -> str:
        return f"{self.group}/{self.name}"


def _metric_name(name: str) -> str:
    if not _METRIC_NAME.fullmatch(name):
        raise ValueError(f"the metric {name!r} is no name that can be used; use letters, digits and _.:/@-")
    return name


Metrics = Annotated[
    dict[Annotated[str, AfterValidator(_metric_name)], float], Field(min_length=1, max_length=MAX_METRICS)
]


class Container(Document):
    """The prebuilt container that serves the artifact."""

    framework: str = Field(min_length=1)
    version: str = Field(min_length=1)
    environment: dict[str, str] = Field(default_factory=dict)


class SmokeTest(Document):
    """The request that an endpoint must answer before its release counts.

    Attributes:
        content_type: the request's Content-Type.
        body: the request's body, at most 5 MB as SageMaker has it; a document holds far less.
        accept: the Accept header; the container's default where it is left out.
        expect: a text that the answer must contain.
    """

    content_type: str = Field(min_length=1, max_length=1024)
    body: str
    accept: str | None = Field(default=None, max_length=1024)
    expect: str | None = Field(default=None, min_length=1)


def _metadata(metadata: dict[str, str]) -> dict[str, str]:
    for key, value in metadata.items():
        if key.startswith(RESERVED):
            raise ValueError(f"{key!r} begins with {' or '.join(RESERVED)}; these are Modelgate's own")
        if not _METADATA_KEY.fullmatch(key) or not _METADATA_VALUE.fullmatch(value):
            allowed = "letters, digits, spaces and _.:/=+-@, a key up to 128 of them and a value up to 256"
            raise ValueError(f"SageMaker does not take {key!r}: {value!r}; use {allowed}")
    return metadata


class Manifest(Document):
    """`manifest.yaml`: what the artifact is, how good it is, and how to ask it."""

    container: Container
    metrics: Metrics | None = None
    metrics_file: str | None = Field(default=None, pattern=r"^[^/]+\.json$")
    content_types: list[str] = Field(min_length=1, max_length=20)
    response_types: list[str] = Field(min_length=1, max_length=20)
    smoke_test: SmokeTest
    # SageMaker's own pattern: every script, no control characters.
    description: str = Field(default="", max_length=1024, pattern=r"^[\p{L}\p{M}\p{Z}\p{S}\p{N}\p{P}]*$")
    metadata: Annotated[dict[str, str], AfterValidator(_metadata)] = Field(
        default_factory=dict, max_length=MAX_METADATA
    )

    @model_validator(mode="after")
    def _one_source_of_metrics(self) -> Manifest:
        if (self.metrics is None) == (self.metrics_file is None):
            have = (
                "neither metrics nor metrics_file"
                if self.metrics is None
                else "both metrics and metrics_file"
            )
            raise ValueError(f"has {have}; give one of them")
        return self


class _Evaluation(Document):
    metrics: Metrics


def read_manifest(text: bytes) -> Manifest:
    """Raises `Refused` with every problem of the manifest."""
    return documents.read(text, Manifest, MANIFEST)


def read_metrics(text: bytes, name: str) -> dict[str, float]:
    """Reads the metrics file that a manifest names: one flat JSON object of numbers.

    Raises:
        Refused: it is something else.
    """
    content = documents.read_json(text, name)
    try:
        return documents.validate({"metrics": content}, _Evaluation, name).metrics
    except Refused as refused:
        raise Refused(
            *(Problem(p.where.replace(": metrics.", ": "), p.found, p.mend) for p in refused.problems)
        ) from refused
