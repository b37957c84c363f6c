"""What CodeBuild is told to build: a source becomes the variables of a build."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from modelgate.images.reference import reference
from modelgate.values import dataclass

if TYPE_CHECKING:
    from modelgate.builds.options import ComputeType, Platform
    from modelgate.builds.source import Source
    from modelgate.ports import ObjectVersion

# The names of variables that a build is known by.
IMAGE_NAME = "IMAGE_NAME"
IMAGE_TAG = "IMAGE_TAG"
# What begins so is made of a source's content, and is nobody's to choose.
TAG_PREFIX = "sha-"


@dataclass(frozen=True)
class BuildOrder:
    """One build.

    Attributes:
        source: exactly this version of the zip.
        variables: what the build is told, by name. Nothing of it is ever part of a command's text.
        platform: what kind of machine builds, and ``compute_type`` how large a one.
        token: CodeBuild starts one build for it, however often it is asked within five minutes.
    """

    source: ObjectVersion
    variables: Mapping[str, str]
    platform: Platform
    compute_type: ComputeType
    token: str


def order(
    source: Source, found: ObjectVersion, *, image: str, home: str, cache: str, region: str, token: str
) -> BuildOrder:
    """Plans the build of a source.

    Args:
        found: where the source lies.
        image: what the image is called.
        home: the URI of its repository, and ``cache`` that of the one for layers.
        region: the stack's.
    """
    names = [source.tag, *source.options.tags]
    tags = [part for name in names for part in ("--tag", f"{home}:{name}")]
    return BuildOrder(
        source=found,
        variables={
            IMAGE_NAME: image,
            IMAGE_TAG: source.tag,
            "IMAGE_URI": home,
            "IMAGE_TAGS": "\n".join(names),
            "CACHE_URI": cache,
            "DOCKER_ARGUMENTS": "\n".join((*source.options.arguments, *tags)),
            "REGISTRIES": "\n".join(_registries(home, region, source.images)),
        },
        platform=source.options.platform,
        compute_type=source.options.compute_type,
        token=token,
    )


def _registries(home: str, region: str, images: Iterable[str]) -> list[str]:
    """A line for each registry that wants a login: its region and its host. Public ones want none."""
    lines = [f"{region} {home.partition('/')[0]}"]
    for image in images:
        named = reference(image)
        if named is not None and named.account_and_region is not None:
            lines.append(f"{named.account_and_region[1]} {named.registry}")
    return list(dict.fromkeys(lines))


def buildspec() -> str:
    """What CodeBuild does with any source: `buildspec.yaml` beside this module."""
    return Path(__file__).with_name("buildspec.yaml").read_text(encoding="utf-8")
