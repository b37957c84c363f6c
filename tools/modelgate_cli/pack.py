"""Packs a model into a submission: an artifact that its container accepts, and its manifest.

What Modelgate would refuse after the upload is refused here, by the same code, before anything is written.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import yaml

from modelgate.artifacts import contracts, folder, inspection
from modelgate.artifacts.inspection import Artifact
from modelgate.errors import Gathering, Problem, Refused
from modelgate.images import catalog
from modelgate.images.reference import reference
from modelgate.manifest import NO_ARTIFACT, SmokeTest, names_hub_model, read_manifest
from modelgate.registry.upload import MOST_FILES
from modelgate.submission import ARTIFACT, MANIFEST
from modelgate_cli import archive
from modelgate_cli.layouts import lay_out
from modelgate_cli.layouts.material import SCRIPT, Content, Layout, Material

Kind = Literal["tarball", "folder"]
# Called with what is being done (``packing``, ``checking``), how many bytes of it are done, and of how many.
Watch = Callable[[str, int, int], None]

FOLDER = "model/"
# One instance type for each kind of processor. Whichever has the version will do: the policy chooses where.
_ANY_INSTANCE = (
    "ml.m5.large",
    "ml.g5.xlarge",
    "ml.inf2.xlarge",
    "ml.inf1.xlarge",
    "ml.c7g.large",
    "ml.trn1.2xlarge",
)
_NO_CONTENT: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Packed:
    """A submission on disk, ready to be uploaded.

    Attributes:
        artifact: the model.tar.gz or the folder that was written; None where the container needs none.
        manifest: the manifest.yaml beside it.
        metrics_file: the metrics beside it, where the manifest names a file.
        content: what is in the artifact; of a folder, ``sha256`` says nothing before it is uploaded.
        environment: what the endpoint's container will get.
        generated: the files in the artifact that were written here rather than given.
        left_out: what lay in the folders that were given and is not packed; folders end with a slash.
        notes: what the user should know, a sentence each.
    """

    artifact: Path | None
    manifest: Path
    metrics_file: Path | None
    content: Artifact | None
    environment: Mapping[str, str]
    generated: tuple[str, ...]
    left_out: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def files(self) -> tuple[Path, ...]:
        """What was written into the folder, the manifest last."""
        return tuple(each for each in (self.artifact, self.metrics_file, self.manifest) if each is not None)

    @property
    def generated_script(self) -> bool:
        """Whether code/inference.py was written here."""
        return SCRIPT in self.generated


def pack(
    model: Path | None,
    *,
    metrics: Mapping[str, float] | Path,
    content_types: Sequence[str],
    response_types: Sequence[str],
    smoke_test: SmokeTest,
    out: Path,
    framework: str | None = None,
    version: str | None = None,
    py_version: str | None = None,
    base_framework_version: str | None = None,
    image: str | None = None,
    artifact: Kind = "tarball",
    script: Path | None = None,
    code: Path | None = None,
    requirements: Path | None = None,
    environment: Mapping[str, str] = _NO_CONTENT,
    instance_types: Sequence[str] = (),
    description: str = "",
    metadata: Mapping[str, str] = _NO_CONTENT,
    lineage: Mapping[str, str] = _NO_CONTENT,
    overwrite: bool = False,
    watch: Watch = lambda _what, _done, _of: None,
) -> Packed:
    """Write an artifact and ``manifest.yaml`` into the folder ``out``.

    The same input gives the same bytes (with the same isal, on the same kind of processor). ``code/`` comes
    first in the archive, so that its beginning tells the layout.

    Args:
        model: the file or folder that the framework wrote, or an MLflow model. None where the container has
            the model, or fetches it from a hub by its environment: then there is no artifact.
        metrics: what the gate judges; or a JSON file, which is copied beside the manifest.
        content_types: what the model can be asked in: ``text/csv``.
        response_types: what it can answer in.
        smoke_test: the request that must succeed before the endpoint counts as live.
        out: a folder; made if it is not there.
        framework, version, py_version, base_framework_version: of the prebuilt container.
        image: instead of a version, an image of one's own; a framework beside it says whose contract holds.
        artifact: a ``tarball``, or a ``folder`` whose files are served as they are: for large weights.
        script: becomes code/inference.py. Without it and without ``code``, one is generated where the
            container could not load the model by itself, and this can be done for any such model.
        code: a folder; all of it but hidden files and byte code becomes code/.
        requirements: becomes code/requirements.txt, which the container installs before it serves.
        environment: of the container.
        instance_types: on which it may be served besides its policy's.
        description, metadata: for the registry.
        lineage: where the model comes from, by the fields of `modelgate.submission.Lineage`.
        overwrite: whether what has these names in ``out`` may be replaced.
        watch: is told how far it is.

    Raises:
        Refused: Modelgate would refuse the submission, or a file is missing or in the way. Nothing was
            written then.
    """
    problems = Gathering()
    layout = None
    with problems.collected():
        layout = lay_out(Material(model, framework, version, script, code, requirements, apart=out))
    laid_out = layout or Layout()
    environment = {**laid_out.environment, **environment}
    name = (FOLDER if artifact == "folder" else ARTIFACT) if model or laid_out.files else None
    container = {
        "framework": framework,
        "version": version,
        "py_version": py_version,
        "base_framework_version": base_framework_version,
        "image": image,
        "artifact": _artifact(name, environment),
        "environment": environment,
    }
    figures, file = (None, metrics) if isinstance(metrics, Path) else (dict(metrics), None)
    document = {
        "metrics": figures,
        "metrics_file": file.name if file else None,
        "content_types": list(content_types),
        "response_types": list(response_types),
        "instance_types": list(instance_types),
        "smoke_test": smoke_test.model_dump(exclude_none=True),
        "description": description,
        "metadata": {**laid_out.metadata, **metadata},
        "lineage": _present({"source_uri": laid_out.source_uri, **lineage}),
    }
    manifest = _manifest({"container": _present(container), **_present(document)})
    with problems.collected():
        read_manifest(manifest)
    with problems.collected():
        _check_image(framework, version, py_version, base_framework_version, image, instance_types)
    targets = _Targets(out, name, file)
    problems.problems += targets.given(path for path in (model, script, code, requirements) if path)
    problems.problems += () if overwrite else targets.in_the_way()
    content, needed = None, environment
    if layout is not None:
        with problems.collected():
            content = _foreseen(layout.files, name, framework, environment) if name else None
            needed = dict(contracts.check(framework, content, environment, where=name or MANIFEST))
    problems.refuse()

    written = _Writing(laid_out.files, framework, environment, watch).write(targets, manifest)
    return Packed(
        targets.artifact,
        targets.manifest,
        targets.metrics,
        content=written or content,
        environment=needed,
        generated=laid_out.generated,
        left_out=laid_out.left_out,
        notes=laid_out.notes,
    )


def _present(content: Mapping[str, Any]) -> dict[str, Any]:
    """Without what says nothing."""
    return {key: value for key, value in content.items() if value not in (None, "", [], {})}


def _artifact(name: str | None, environment: Mapping[str, str]) -> str | None:
    """What the manifest has to say of it; a tarball is understood, unless a hub's model is named."""
    understood = name == ARTIFACT and not names_hub_model(environment)
    return None if understood else name or NO_ARTIFACT


def _check_image(
    framework: str | None,
    version: str | None,
    py_version: str | None,
    base_framework_version: str | None,
    image: str | None,
    instance_types: Sequence[str],
) -> None:
    """
    Raises:
        Refused: no instance type has such an image, or one of those that are named has not.
    """
    if image is not None and reference(image) is None:
        mend = "write the name of a repository with a tag or digest, or the whole URI of an image"
        raise Refused(Problem(f"{MANIFEST}: container.image", f"is {image!r}, which is no name", mend))
    if image is not None or framework is None or version is None:
        return  # which the manifest tells
    refusals = []
    for instance_type in instance_types or _ANY_INSTANCE:
        try:
            # What there is in one region is there in others; whether in the stack's, the upload tells.
            catalog.resolve(
                framework,
                version,
                region="us-east-1",
                instance_type=instance_type,
                py_version=py_version,
                base_framework_version=base_framework_version,
                where=f"{MANIFEST}: container",
            )
        except Refused as refused:
            refusals.append(refused)
    if refusals and (instance_types or len(refusals) == len(_ANY_INSTANCE)):
        raise refusals[0]


def _foreseen(
    files: Mapping[str, Content], name: str, framework: str | None, environment: Mapping[str, str]
) -> Artifact:
    """What inspecting the artifact will say of it, as far as that can be told before it is written.

    Raises:
        Refused: it will be refused.
    """
    if name == FOLDER and len(files) > MOST_FILES:
        found = f"would hold {len(files):,} files, and a folder may have {MOST_FILES:,}"
        raise Refused(Problem(name, found, "leave out what does not serve, or pack a tarball"))
    listing = [folder.File(name, _size(content), "") for name, content in files.items()]
    keep = contracts.reads(framework, environment)
    foreseen = folder.inspect(
        listing, lambda name, size: _beginning(files[name], size), keep=keep, where=name
    )
    return replace(foreseen, kind="folder" if name == FOLDER else "tarball")


def _size(content: Content) -> int:
    return content.stat().st_size if isinstance(content, Path) else len(content)


def _beginning(content: Content, size: int) -> bytes:
    if isinstance(content, bytes):
        return content[:size]
    with content.open("rb") as stream:
        return stream.read(size)


class _Dumper(yaml.SafeDumper):
    """Quotes the texts that Modelgate's reader, unlike PyYAML, would take for numbers: ``1e5``."""


_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\Z"),
    list("-+.0123456789"),
)


def _manifest(content: Mapping[str, Any]) -> bytes:
    text: bytes = yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, encoding="utf-8")
    return text


class _Targets:
    """What is written, and where."""

    def __init__(self, out: Path, artifact: str | None, metrics: Path | None) -> None:
        self.out = out
        self.name = artifact
        self.artifact = out / artifact if artifact else None
        self.manifest = out / MANIFEST
        self.given_metrics = metrics
        self.metrics = out / metrics.name if metrics else None

    def given(self, paths: Iterable[Path]) -> Iterator[Problem]:
        """What would be written over although the submission is made from it."""
        artifact = self.artifact.resolve() if self.artifact else None
        for path in paths:
            place = path.resolve()
            if place == self.out.resolve() or (artifact and place.is_relative_to(artifact)):
                mend = "write somewhere else: --out DIR"
                yield Problem(str(path), f"lies where {artifact or self.out} would be written", mend)

    def in_the_way(self) -> Iterator[Problem]:
        mend = "choose another folder, or allow to overwrite: --overwrite"
        for target in (self.artifact, self.metrics, self.manifest):
            if target is not None and target.exists() and not self._is_given(target):
                yield Problem(str(target), "exists already", mend)

    def _is_given(self, target: Path) -> bool:
        return (
            target == self.metrics and self.given_metrics is not None and target.samefile(self.given_metrics)
        )


@dataclass(frozen=True)
class _Writing:
    """Writes everything beside its place first, so that nothing half-done is ever there."""

    files: Mapping[str, Content]
    framework: str | None
    environment: Mapping[str, str]
    watch: Watch

    def write(self, targets: _Targets, manifest: bytes) -> Artifact | None:
        """
        Returns:
            What inspecting the tarball told; None where there is none.

        Raises:
            Refused: the tarball is not what it should be. Nothing is left then.
        """
        targets.out.mkdir(parents=True, exist_ok=True)
        content = None
        with _beside(targets.manifest) as written:
            written.write_bytes(manifest)
            if targets.name == FOLDER and targets.artifact:
                self._write_folder(targets.artifact)
            elif targets.artifact:
                content = self._write_tarball(targets.artifact)
            if targets.metrics and targets.given_metrics:
                with _beside(targets.metrics) as copied:
                    shutil.copyfile(targets.given_metrics, copied)
                    copied.replace(targets.metrics)
            written.replace(targets.manifest)
        return content

    def _write_tarball(self, target: Path) -> Artifact:
        with _beside(target) as packed:
            with packed.open("wb") as stream:
                archive.write_tarball(stream, self.files, self._told("packing", self._bytes))
            with packed.open("rb") as stream:
                reading = _Reading(stream.read, self._told("checking", packed.stat().st_size))
                keep = contracts.reads(self.framework, self.environment)
                content = inspection.inspect(reading, keep=keep, where=target.name)
            contracts.check(self.framework, content, self.environment, where=target.name)
            packed.replace(target)
        return content

    def _write_folder(self, target: Path) -> None:
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as scratch:
            made, before = Path(scratch, "made"), Path(scratch, "before")
            made.mkdir()
            archive.write_folder(made, self.files, self._told("packing", self._bytes))
            if target.exists():
                target.rename(before)
            made.rename(target)

    @property
    def _bytes(self) -> int:
        return sum(map(_size, self.files.values()))

    def _told(self, what: str, total: int) -> archive.Told:
        done = 0

        def told(more: int) -> None:
            nonlocal done
            done += more
            self.watch(what, done, total)

        return told


@dataclass(frozen=True)
class _Reading:
    """A stream that tells how much of it was read."""

    take: Callable[[int], bytes]
    told: archive.Told

    def read(self, size: int = -1, /) -> bytes:
        chunk = self.take(size)
        self.told(len(chunk))
        return chunk


@contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """A temporary file in the target's folder, from where it can be moved there in one step."""
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    os.close(descriptor)
    path = Path(name)
    try:
        # As any other new file: mkstemp's are for their owner alone.
        mask = os.umask(0)
        os.umask(mask)
        path.chmod(0o666 & ~mask)
        yield path
    finally:
        path.unlink(missing_ok=True)
