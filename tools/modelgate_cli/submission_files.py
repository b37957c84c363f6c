"""The files of a submission on disk: which there are, and a look at them as the gate will look."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from modelgate import metrics
from modelgate.artifacts import contracts, folder, inspection
from modelgate.documents import MAX_DOCUMENT_BYTES
from modelgate.errors import Forbidden, Gathering, Problem, Refused
from modelgate.images.choice import prebuilt
from modelgate.manifest import Container, Manifest, read_manifest
from modelgate.policy import DeploymentPolicy
from modelgate.submission import ARTIFACT, MANIFEST
from modelgate_cli.complaints import USAGE, Complaint

if TYPE_CHECKING:
    from modelgate.artifacts.inspection import Artifact
    from modelgate_cli.stack import Stack

_CHUNK = 1024 * 1024


@dataclass(frozen=True)
class Files:
    """What is to be uploaded. A part may be missing: the submission then waits for it.

    Attributes:
        by_name: the files, by their names in the submission: ``model.tar.gz``, ``model/config.json``.
    """

    by_name: Mapping[str, Path]

    @property
    def manifest(self) -> Path | None:
        return self.by_name.get(MANIFEST)

    @property
    def in_order(self) -> list[tuple[str, Path]]:
        """Artifacts take longest, and the manifest completes the submission."""
        return sorted(self.by_name.items(), key=lambda part: (part[0] == MANIFEST, part[0].endswith(".json")))

    def under(self, folder: str) -> dict[str, Path]:
        """The files of a folder, by their names in it."""
        return {
            name.removeprefix(folder): path for name, path in self.by_name.items() if name.startswith(folder)
        }


def gather(paths: Sequence[Path]) -> Files:
    """The files of a submission: of a folder that has a manifest, or named one by one.

    Raises:
        Complaint: a file is none of a submission's, or one is missing in the folder.
    """
    if len(paths) == 1 and paths[0].is_dir():
        if not (paths[0] / MANIFEST).is_file():
            mend = (
                f"pack one there: modelgate pack MODEL --out DIR; or name {MANIFEST} beside a model's folder"
            )
            raise Complaint(f"{paths[0]} has no {MANIFEST}", mend, USAGE)
        return _of_folder(paths[0])
    named: dict[str, Path] = {}
    for path in paths:
        found = dict(_named(path))
        if not found or named.keys() & found.keys():
            mend = f"name a folder with a {MANIFEST}, or {MANIFEST}, its artifacts and its metrics_file"
            raise Complaint(f"{path} is no further part of a submission", mend, USAGE)
        named |= found
    return Files(named)


def _named(path: Path) -> Iterator[tuple[str, Path]]:
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            if file.is_file():
                yield f"{path.name}/{file.relative_to(path).as_posix()}", file
    elif path.name == MANIFEST or path.name.endswith((".tar.gz", ".json")):
        yield path.name, path


def _of_folder(path: Path) -> Files:
    text = _beginning_of(path / MANIFEST)
    try:
        manifest: Manifest | None = read_manifest(text)
    except Refused:
        manifest = None  # which is told when it is examined
    containers = manifest.served.values() if manifest else ()
    wanted = [name for each in containers if (name := each.tarball or each.folder)]
    missing = [name for name in wanted if not (path / name).exists()]
    if missing:
        found = f"{path} has no {' and no '.join(missing)}, which its {MANIFEST} names"
        raise Complaint(found, "put it there, or pack anew: modelgate pack MODEL --out DIR", USAGE)
    parts = {MANIFEST: path / MANIFEST}
    wanted += [manifest.metrics_file] if manifest and manifest.metrics_file else []
    for name in wanted if manifest else [ARTIFACT]:
        parts |= _named(path / name) if (path / name).exists() else ()
    return Files(parts)


def default_name(files: Files, today: datetime) -> str:
    """``<date>-<short sha256>``: the same content on the same day is the same submission."""
    whole = hashlib.sha256()
    for name, file in files.in_order:
        whole.update(name.encode())
        with file.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                whole.update(chunk)
    return f"{today:%Y-%m-%d}-{whole.hexdigest()[:8]}"


def examine(files: Files, group: str, stack: Stack) -> None:
    """Looks at the files with the code of the gate, so that what it would refuse is not uploaded.

    Raises:
        Refused: with everything that is wrong.
    """
    found = Gathering()
    manifest: Manifest | None = None
    if files.manifest is not None:
        with found.collected():
            manifest = read_manifest(_beginning_of(files.manifest))
    # Without a manifest nothing is known of the container, and much of a tarball all the same.
    tarballs = [name for name in files.by_name if name.endswith(".tar.gz")]
    unknown = {name: Container(image="unknown", artifact=name) for name in tarballs}
    containers: Mapping[str, Container] = manifest.served if manifest else unknown
    types = [_instance_type(group, stack), *(manifest.instance_types if manifest else ())]
    for place, container in containers.items():
        if container.image is None:  # whether one's own is there, the stack looks
            with found.collected():
                prebuilt(container, types, stack.region, f"{MANIFEST}: {place}")
        with found.collected():
            _examine_artifact(files, place, container)
    if manifest is not None and manifest.metrics_file is not None:
        with found.collected():
            _examine_metrics(manifest.metrics_file, files.by_name.get(manifest.metrics_file))
    found.refuse()


def _examine_artifact(files: Files, place: str, container: Container) -> None:
    name = container.tarball or container.folder
    parts = {} if name is None else files.under(name)
    if name is not None and not parts:
        return  # it is still to come
    keep = contracts.reads(container.framework, container.environment)
    artifact = None
    if container.tarball is not None:
        with parts[""].open("rb") as stream:
            artifact = inspection.inspect(stream, keep=keep, where=container.tarball)
    elif container.folder is not None:
        artifact = of_folder(parts, keep, container.folder)
    contracts.check(
        container.framework, artifact, container.environment, where=name or MANIFEST, container=place
    )


def of_folder(parts: Mapping[str, Path], keep: Callable[[str], bool], where: str) -> Artifact:
    """What a folder on disk holds, as it would be told of one in S3.

    Args:
        parts: the files, by their names in the folder.

    Raises:
        Refused: no container could be given this folder.
    """

    def read(name: str, limit: int) -> bytes:
        with parts[name].open("rb") as stream:
            return stream.read(limit)

    listed = [folder.File(name, path.stat().st_size, "") for name, path in parts.items()]
    return folder.inspect(listed, read, keep=keep, where=where)


def _examine_metrics(name: str, file: Path | None) -> None:
    if file is None:
        mend = f"put {name} beside it, or write the metrics into the manifest"
        raise Refused(Problem(f"{MANIFEST}: metrics_file", f"names {name}, which is not here", mend))
    with file.open("rb") as stream:
        metrics.read(stream.read(metrics.MAX_BYTES + 1), name)


def _instance_type(group: str, stack: Stack) -> str:
    try:
        return stack.policies.of(group).policy.deployment.instance_type
    except Forbidden:
        return DeploymentPolicy().instance_type  # who may upload need not be allowed to read policies


def _beginning_of(file: Path) -> bytes:
    with file.open("rb") as stream:
        return stream.read(MAX_DOCUMENT_BYTES + 1)
