"""`manifest.yaml`: what a data scientist says about an upload."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from modelgate import documents, metrics
from modelgate.documents import Document
from modelgate.submission import ARTIFACT, MANIFEST, MAX_METADATA, MAX_METRICS, RESERVED

# Keys and values of a package's CustomerMetadataProperties; SageMaker allows letters of all scripts.
_METADATA_KEY = re.compile(r"[\w.:/=+\-@ ]{1,128}")
_METADATA_VALUE = re.compile(r"[\w.:/=+\-@ ]{0,256}")
_ARTIFACT_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,99}(\.tar\.gz|/)")
NO_ARTIFACT = "none"
# How containers are told of a model that they download: Hugging Face's, DJL, vLLM, SGLang, llama.cpp.
_HUB_MODELS = (
    "HF_MODEL_ID",
    "OPTION_MODEL_ID",
    "SM_VLLM_MODEL",
    "SM_SGLANG_MODEL_PATH",
    "SM_LLAMA_CPP_HF_REPO",
)
# MetadataProperties of CreateModelPackage.
_LineageField = Field(default=None, min_length=1, max_length=1024, pattern=r"^.*$")


def _metric_name(name: str) -> str:
    if not metrics.NAME.fullmatch(name):
        raise ValueError(f"the metric {name!r} is no name that can be used; use letters, digits and _.:/@-")
    return name


Metrics = Annotated[
    dict[Annotated[str, AfterValidator(_metric_name)], float], Field(min_length=1, max_length=MAX_METRICS)
]


class Container(Document):
    """What serves an artifact: a prebuilt container, or an image of one's own.

    Attributes:
        framework: of a prebuilt container, such as ``sklearn``. Beside an image: whose contract the artifact
            is held against; without one, it is only read.
        version: of the prebuilt container.
        py_version, base_framework_version: as AWS spells them (``py310``, ``pytorch2.1.0``), where the
            prebuilt container comes with several.
        image: the name, tag or digest of an image in the account's own registry (``decision-trees``,
            ``decision-trees:v3``), or the whole URI of any image.
        artifact: a tarball of the submission (``model.tar.gz``), a folder of it whose files are served as
            they are (``model/``), or ``none``. Left out: none where the environment names a model of a hub,
            else ``model.tar.gz``.
        environment: of the container.
    """

    framework: str | None = Field(default=None, min_length=1)
    version: str | None = Field(default=None, min_length=1)
    py_version: str | None = Field(default=None, min_length=1)
    base_framework_version: str | None = Field(default=None, min_length=1)
    image: str | None = Field(default=None, min_length=1, max_length=255, pattern=r"^[\S]+$")
    artifact: str | None = None
    environment: dict[str, str] = Field(default_factory=dict)

    @field_validator("artifact")
    @classmethod
    def _tarball_folder_or_none(cls, artifact: str | None) -> str | None:
        if artifact is not None and artifact != NO_ARTIFACT and not _ARTIFACT_NAME.fullmatch(artifact):
            raise ValueError(
                f"is {artifact!r}; write the name of a tarball beside the manifest ({ARTIFACT}), of a folder "
                f"there with a slash behind it (model/), or {NO_ARTIFACT}"
            )
        return artifact

    @model_validator(mode="after")
    def _one_image(self) -> Container:
        if self.image is None and (self.framework is None or self.version is None):
            has = "neither framework and version nor image" if self.framework is None else "no version"
            raise ValueError(f"has {has}; name a prebuilt container's framework and version, or an image")
        chosen = [name for name in ("version", "py_version", "base_framework_version") if getattr(self, name)]
        if self.image is not None and chosen:
            raise ValueError(
                f"has {' and '.join(chosen)} beside an image; they choose a prebuilt image: leave them out, "
                "or leave image out"
            )
        return self

    @property
    def tarball(self) -> str | None:
        """The tarball's name, where it has one."""
        found = self._artifact
        return found if found.endswith(".tar.gz") else None

    @property
    def folder(self) -> str | None:
        """The folder's name with a slash behind it, where it has one."""
        found = self._artifact
        return found if found.endswith("/") else None

    @property
    def _artifact(self) -> str:
        return self.artifact or (NO_ARTIFACT if names_hub_model(self.environment) else ARTIFACT)


def names_hub_model(environment: Mapping[str, str]) -> bool:
    """Whether a container fetches its model from a hub by itself, so that it needs no artifact."""
    given = (environment.get(name, "") for name in _HUB_MODELS)
    return any(name and not name.startswith("/") for name in given)


class Lineage(Document):
    """Where a version comes from; SageMaker's MetadataProperties, which Studio shows.

    Attributes:
        commit: of the code that trained it.
        repository: where that code lies.
        generated_by: the ARN or name of what made it, such as a training job.
        project: the project that it belongs to.
        source_uri: where it was tracked, such as an MLflow run; the submission itself where it is left out.
    """

    commit: str | None = _LineageField
    repository: str | None = _LineageField
    generated_by: str | None = _LineageField
    project: str | None = _LineageField
    source_uri: str | None = Field(
        default=None, min_length=1, max_length=1024, pattern=r"^[\p{L}\p{M}\p{Z}\p{N}\p{P}]*$"
    )


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

    def in_plain_letters(self) -> str:
        """The same in letters that SageMaker takes as metadata."""
        return b64encode(self.model_dump_json(exclude_none=True).encode()).decode()

    @classmethod
    def of_plain_letters(cls, text: str) -> Self | None:
        """What `in_plain_letters` wrote; None where it did not."""
        try:
            return cls.model_validate_json(b64decode(text, validate=True))
        except ValueError:
            return None


def _metadata(metadata: dict[str, str]) -> dict[str, str]:
    for key, value in metadata.items():
        if key.startswith(RESERVED):
            raise ValueError(f"{key!r} begins with {' or '.join(RESERVED)}; these are Modelgate's own")
        if not _METADATA_KEY.fullmatch(key) or not _METADATA_VALUE.fullmatch(value):
            allowed = "letters, digits, spaces and _.:/=+-@, a key up to 128 of them and a value up to 256"
            raise ValueError(f"SageMaker does not take {key!r}: {value!r}; use {allowed}")
    return metadata


class Manifest(Document):
    """`manifest.yaml`: what the artifact is, how good it is, and how to ask it.

    Attributes:
        container: what serves it; or ``containers``, two to fifteen of them, of which each gets the answer of
            the one before it (an inference pipeline).
        metrics: what the gate judges; or ``metrics_file``, a JSON file beside the manifest.
        content_types, response_types: what can be asked, and what is answered.
        instance_types: on which the version may be served besides its policy's.
        smoke_test: the request that must succeed before a release counts.
        description, metadata, lineage: for the registry.
    """

    container: Container | None = None
    containers: list[Container] | None = Field(default=None, min_length=2, max_length=15)
    metrics: Metrics | None = None
    metrics_file: str | None = Field(default=None, pattern=r"^[^/]+\.json$")
    content_types: list[str] = Field(min_length=1, max_length=20)
    response_types: list[str] = Field(min_length=1, max_length=20)
    instance_types: list[Annotated[str, Field(pattern=r"^ml\.[a-z0-9-]+\.[a-z0-9]+$")]] = Field(
        default=[], max_length=50
    )
    smoke_test: SmokeTest
    # SageMaker's own pattern: every script, no control characters.
    description: str = Field(default="", max_length=1024, pattern=r"^[\p{L}\p{M}\p{Z}\p{S}\p{N}\p{P}]*$")
    metadata: Annotated[dict[str, str], AfterValidator(_metadata)] = Field(
        default_factory=dict, max_length=MAX_METADATA
    )
    lineage: Lineage = Field(default_factory=Lineage)

    @property
    def served(self) -> Mapping[str, Container]:
        """The containers in the order of a request, each by its place in the manifest: ``containers.0``."""
        if self.containers is None:
            return {"container": self.container} if self.container else {}
        return {f"containers.{number}": each for number, each in enumerate(self.containers)}

    @model_validator(mode="after")
    def _containers(self) -> Manifest:
        if (self.container is None) == (self.containers is None):
            have = (
                "neither container nor containers"
                if self.container is None
                else "both container and containers"
            )
            raise ValueError(f"has {have}; give one of them")
        tarballs = [name for each in self.served.values() if (name := each.tarball or each.folder)]
        twice = sorted({name for name in tarballs if tarballs.count(name) > 1})
        if twice:
            raise ValueError(
                f"names {', '.join(twice)} for several containers; give each an artifact of its own, or none"
            )
        return self

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


def read_manifest(text: bytes) -> Manifest:
    """Raises `Refused` with every problem of the manifest."""
    return documents.read(text, Manifest, MANIFEST)
