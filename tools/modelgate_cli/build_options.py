"""From the words of `modelgate build` to an image's name and the `build.yaml` of its source.

Docker Docs, "docker buildx build", says what the options mean that are called as there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from modelgate import documents
from modelgate.builds.options import BUILD_FILE, BuildOptions, read_options
from modelgate.builds.source import SourceId
from modelgate.errors import Refused
from modelgate_cli.complaints import USAGE, Complaint
from modelgate_cli.packing import pairs

# How CodeBuild calls its compute types, and how people who come from `sm-docker` do.
_COMPUTE_TYPE_PREFIX = "build_general1_"
_UNFIT, _SEPARATORS = re.compile(r"[^a-z0-9._-]+"), re.compile(r"[._-]{2,}")


@dataclass(frozen=True)
class Asked:
    """What the command line says about an image.

    Attributes:
        repository: ``NAME`` or ``NAME:TAG``.
        tags: each ``NAME`` or ``NAME:TAG``, as `docker build` takes them.
        build_args: each ``NAME=VALUE``, or ``NAME`` for the environment's value.
        file: of the Dockerfile, where somebody in the working directory sees it, or in the folder.
        compute_type: in Modelgate's words or in CodeBuild's.
    """

    repository: str | None = None
    tags: Sequence[str] = ()
    build_args: Sequence[str] = ()
    file: str | None = None
    target: str | None = None
    platform: str | None = None
    compute_type: str | None = None


@dataclass(frozen=True)
class Wanted:
    """What is to be built from a folder.

    Attributes:
        image: what the image is called.
        options: all that is to hold, the folder's own options and the command line's.
        document: the source's `build.yaml`; None where the folder's own holds, or where it needs none.
    """

    image: str
    options: BuildOptions
    document: bytes | None


def wanted_of(folder: Path, asked: Asked, environ: Mapping[str, str]) -> Wanted:
    """What the command line asks for, over what the folder's own `build.yaml` says.

    Options that change nothing leave that file as it is, byte for byte: they make no other source.

    Raises:
        Complaint: the folder is none, or an option is not what it should be.
        Refused: with every problem of `build.yaml`, or of the options.
    """
    if not folder.is_dir():
        raise Complaint(f"{folder} is no folder", "name the folder of the Dockerfile", USAGE)
    image, tags = _names(folder, asked)
    given = {
        "dockerfile": _dockerfile(folder, asked.file) if asked.file is not None else None,
        "target": asked.target,
        "build_args": _build_args(asked.build_args, environ),
        "platform": asked.platform,
        "compute_type": _compute_type(asked.compute_type) if asked.compute_type is not None else None,
        "tags": tags,
    }
    said = {name: value for name, value in given.items() if value}
    # Held against the model alone first: what is wrong is said of the option, not of the file.
    documents.validate(said, BuildOptions, "the options")
    own = _own(folder)
    merged = documents.validate(_over(said, own), BuildOptions, BUILD_FILE)
    return Wanted(image, merged, None if merged == own else written(merged))


def _own(folder: Path) -> BuildOptions:
    file = folder / BUILD_FILE
    return read_options(file.read_bytes()) if file.is_file() else BuildOptions()


def _over(said: dict[str, Any], own: BuildOptions) -> dict[str, Any]:
    told: dict[str, Any] = own.model_dump() | said
    told["build_args"] = own.build_args | said.get("build_args", {})
    told["tags"] = list(dict.fromkeys([*own.tags, *said.get("tags", ())]))
    return told


def written(options: BuildOptions) -> bytes:
    """The same options, the same bytes. Everything is quoted, so that nothing is read as a number."""
    told = options.model_dump(exclude_defaults=True)
    text = yaml.safe_dump(told, default_style='"', sort_keys=True, width=2**16)
    return text.encode()


# ── the image's name ──────────────────────────────────────────────────────────────────────────────
def _names(folder: Path, asked: Asked) -> tuple[str, list[str]]:
    """The image's name, and its tags."""
    given = [("--repository", asked.repository)] if asked.repository is not None else []
    given += [("--tag", tag) for tag in asked.tags]
    named = [(option, *_name_and_tag(option, text)) for option, text in given if text is not None]
    names = list(dict.fromkeys(name for _, name, _ in named))
    if len(names) > 1:
        found = f"the image is called {' and '.join(names)}"
        raise Complaint(found, "call it by one name; build it again for the other", USAGE)
    image = names[0] if names else _made_fit(folder.resolve().name)
    try:
        SourceId(image, "source").check()
    except Refused as refused:
        (problem,) = refused.problems
        mend = f"call it otherwise with --repository NAME: {problem.mend.rpartition(';')[0]}"
        raise Complaint(problem.found, mend, USAGE) from refused
    return image, list(dict.fromkeys(tag for _, _, tag in named if tag is not None))


def _name_and_tag(option: str, text: str) -> tuple[str, str | None]:
    if "/" in text:
        found = (
            f"{option} is {text!r}, and images are pushed to the stack's own registry, without a namespace"
        )
        raise Complaint(found, f"write {option} {text.rpartition('/')[2] or 'NAME:TAG'}", USAGE)
    name, colon, tag = text.partition(":")
    if not name or (colon and not tag) or ":" in tag or "@" in text:
        raise Complaint(f"{option} is {text!r}", f"write {option} NAME or {option} NAME:TAG", USAGE)
    return name, tag or None


def _made_fit(name: str) -> str:
    """A folder's name as that of an image."""
    return _SEPARATORS.sub("-", _UNFIT.sub("-", name.lower())).strip("._-")


# ── options ───────────────────────────────────────────────────────────────────────────────────────
def _build_args(given: Sequence[str], environ: Mapping[str, str]) -> dict[str, str]:
    complete = []
    for each in given:
        if "=" not in each and each not in environ:
            found = f"--build-arg {each} has no value, and the environment has none either"
            raise Complaint(found, f"write --build-arg {each}=VALUE, or export {each}", USAGE)
        complete.append(each if "=" in each else f"{each}={environ[each]}")
    return pairs(complete, "--build-arg")


def _compute_type(given: str) -> str:
    return given.lower().removeprefix(_COMPUTE_TYPE_PREFIX)


def _dockerfile(folder: Path, given: str) -> str:
    """Its path in the folder. Docker takes it from the working directory; from the folder will do, too."""
    within = folder.resolve()
    for candidate in (Path(given), folder / given):
        # Not what a link leads to: its own place counts.
        place = candidate.parent.resolve() / candidate.name
        if candidate.is_file() and place.is_relative_to(within):
            return place.relative_to(within).as_posix()
    if Path(given).is_file():
        found = f"--file {given} lies outside of {folder}, and a build has only what lies in there"
        raise Complaint(found, "move it into the folder, or name the folder that it builds", USAGE)
    raise Complaint(f"--file {given}: there is no such file", f"give its path in {folder}", USAGE)
