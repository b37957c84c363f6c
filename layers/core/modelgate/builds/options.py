"""`build.yaml`: how a source is to be built, where `docker build` would take options."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Literal

from pydantic import Field, field_validator, model_validator

from modelgate import documents
from modelgate.builds.order import TAG_PREFIX
from modelgate.documents import Document

BUILD_FILE = "build.yaml"
# AWS CodeBuild, StartBuild: the variables of a build may have 5,500 characters in all.
MAX_ARGUMENTS = 4_000

Platform = Literal["linux/amd64", "linux/arm64"]
ComputeType = Literal["small", "medium", "large", "xlarge", "2xlarge"]

_ARGUMENT_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_STAGE = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]*")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class BuildOptions(Document):
    """What `build.yaml` may say; without one, all of it is the default.

    Attributes:
        dockerfile: its path in the source.
        target: the stage of the Dockerfile to build; without it, the last one.
        build_args: values for the Dockerfile's ARGs. They stand in the image's history: no secrets.
        platform: what the image is to run on; it is built on a machine of that kind.
        compute_type: how large the machine is that builds: small has 2 vCPU and 4 GB of memory on x86,
            medium 4 and 8, large 8 and 16, xlarge 36 and 72, 2xlarge 72 and 144 (AWS CodeBuild User Guide,
            "Build environment compute modes and types").
        tags: what else the image is to be called, beside the tag that is made of its source. A tag names
            one image for good.
    """

    dockerfile: str = "Dockerfile"
    target: str | None = None
    build_args: dict[str, str] = Field(default={})
    platform: Platform = "linux/amd64"
    compute_type: ComputeType = "medium"
    tags: list[str] = Field(default=[], max_length=10)

    @field_validator("dockerfile")
    @classmethod
    def _in_the_source(cls, path: str) -> str:
        parts = PurePosixPath(path).parts
        # Docker takes "-" for its own standard input, and what begins so for an option.
        if not parts or path.startswith(("/", "-")) or ".." in parts or "\\" in path or _CONTROL.search(path):
            raise ValueError(f"is {path!r}, no path in the source; write one such as docker/Dockerfile")
        return str(PurePosixPath(path))

    @field_validator("target")
    @classmethod
    def _stage(cls, target: str | None) -> str | None:
        if target is not None and not _STAGE.fullmatch(target):
            raise ValueError(f"is {target!r}, no name of a stage; write what stands behind AS in a FROM line")
        return target

    @field_validator("build_args")
    @classmethod
    def _arguments(cls, given: dict[str, str]) -> dict[str, str]:
        for name, value in given.items():
            if not _ARGUMENT_NAME.fullmatch(name):
                raise ValueError(
                    f"has {name!r}, no name of a build argument; use letters, digits and underscores"
                )
            if _CONTROL.search(value):
                raise ValueError(f"has {name} with a line break or control character; write it in one line")
        return given

    @field_validator("tags")
    @classmethod
    def _names(cls, tags: list[str]) -> list[str]:
        for tag in tags:
            if not _TAG.fullmatch(tag):
                raise ValueError(f"has {tag!r}, no tag of an image; use letters, digits, '.', '_' and '-'")
            if tag.startswith(TAG_PREFIX):
                raise ValueError(
                    f"has {tag!r}, and what begins with {TAG_PREFIX} is made of the source; choose another"
                )
        return list(dict.fromkeys(tags))

    @model_validator(mode="after")
    def _fits(self) -> BuildOptions:
        if sum(len(line) + 1 for line in self.arguments) > MAX_ARGUMENTS:
            raise ValueError(
                f"says more than {MAX_ARGUMENTS:,} characters, which a build cannot be told; put long values "
                "into a file of the source"
            )
        return self

    @property
    def arguments(self) -> tuple[str, ...]:
        """What `docker build` is told, one argument after the other; none of them has a line break."""
        named = ["--file", self.dockerfile]
        if self.target is not None:
            named += ["--target", self.target]
        for name, value in sorted(self.build_args.items()):
            named += ["--build-arg", f"{name}={value}"]
        return (*named, "--platform", self.platform)


def read_options(text: bytes) -> BuildOptions:
    """Reads a `build.yaml`.

    Raises:
        Refused: with every problem of the document.
    """
    return documents.read(text, BuildOptions, BUILD_FILE)
