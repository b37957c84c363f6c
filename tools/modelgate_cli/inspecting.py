"""A look at an artifact as the gate will look at it: the very same code, wherever the artifact lies."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.filesize import decimal
from rich.text import Text

from modelgate.artifacts import contracts, folder, inspection
from modelgate.errors import AwsError, Forbidden, Refused
from modelgate.images import catalog
from modelgate.registry.upload import MOST_FILES
from modelgate_cli.complaints import NO, TROUBLE, USAGE, Complaint
from modelgate_cli.screen import table
from modelgate_cli.submission_files import of_folder

if TYPE_CHECKING:
    from rich.console import RenderableType

    from modelgate.artifacts.gzip_stream import Readable
    from modelgate.artifacts.inspection import Artifact
    from modelgate.errors import Problem
    from modelgate.ports import Bucket, ObjectVersion

# Called with what is being done, how many bytes of it are done, and of how many.
Watch = Callable[[str, int, int], None]

_S3 = "s3://"
# One instance type for each kind of processor: whether there is such an image is all that is asked.
_ANY_INSTANCE = (
    "ml.m5.large", "ml.g5.xlarge", "ml.inf2.xlarge", "ml.inf1.xlarge", "ml.c7g.large", "ml.trn1.2xlarge",
)  # fmt: skip
_MOST_SHOWN = 40


@dataclass(frozen=True)
class Inspected:
    """What an artifact is, and what its container will make of it.

    Attributes:
        artifact: where it lies, as it was asked for.
        framework, version: of the container; None where none was named.
        content: what is in it.
        layout: what it is to its container, in words.
        environment: what the endpoint's container will get.
        accepted_by: the frameworks whose contracts it would pass, where none was named.
        seconds: how long reading took.
    """

    artifact: str
    framework: str | None
    version: str | None
    content: Artifact
    layout: str
    environment: Mapping[str, str]
    accepted_by: tuple[str, ...]
    seconds: float

    @property
    def mb_per_s(self) -> float | None:
        """In millions of bytes as they are stored; None of a folder, whose files are read in part."""
        if self.content.kind == "folder":
            return None
        return self.content.compressed_size / 1e6 / max(self.seconds, 1e-6)

    def document(self) -> dict[str, Any]:
        """For programs."""
        members = [{"name": m.name, "size": m.size, "kind": m.kind} for m in self.content.members]
        return {
            "artifact": self.artifact,
            "kind": self.content.kind,
            "framework": self.framework,
            "version": self.version,
            "layout": self.layout,
            "bytes": self.content.compressed_size,
            "unpacked_bytes": self.content.uncompressed_size,
            "digest": self.digest,
            "members": members,
            "environment": dict(self.environment),
            **({} if self.framework else {"accepted_by": list(self.accepted_by)}),
            "seconds": round(self.seconds, 3),
            "mb_per_s": self.mb_per_s and round(self.mb_per_s, 1),
        }

    @property
    def digest(self) -> str | None:
        """None of a folder on disk, since it is made of what S3 says of its files."""
        known = self.content.kind == "tarball" or self.artifact.startswith(_S3)
        return self.content.digest if known else None


def inspect(
    artifact: str,
    *,
    framework: str | None = None,
    version: str | None = None,
    environment: Mapping[str, str],
    buckets: Callable[[str], Bucket],
    watch: Watch = lambda _what, _done, _of: None,
    clock: Callable[[], float] = time.monotonic,
) -> Inspected:
    """Read an artifact, and hold it against the contract of its container.

    Args:
        artifact: a tarball or a folder on disk, or in S3 (``s3://bucket/key``; a folder ends in a slash).
        framework: without one the general checks are made, and the contracts that it would pass are told.
        version: of the framework's prebuilt container, which is then looked up.
        environment: of the container, as the manifest will have it.
        buckets: gives access to a bucket of S3 by its name.
        watch: is told of the progress.
        clock: seconds, only their difference counts.

    Raises:
        Refused: with everything that is wrong.
        Complaint: there is nothing there, or it may not be read.
    """
    problems = _of_version(framework, version)
    try:
        inspected = _inspect(artifact, framework, version, environment, buckets, watch, clock)
    except Refused as refused:
        raise Refused(*problems, *refused.problems) from refused
    if problems:
        raise Refused(*problems)
    return inspected


def _inspect(
    artifact: str,
    framework: str | None,
    version: str | None,
    environment: Mapping[str, str],
    buckets: Callable[[str], Bucket],
    watch: Watch,
    clock: Callable[[], float],
) -> Inspected:
    keep = _reads(framework, environment)
    began = clock()
    is_s3 = artifact.startswith(_S3)
    content = _of_s3(artifact, keep, buckets, watch) if is_s3 else _of_disk(Path(artifact), keep, watch)
    seconds = clock() - began
    return Inspected(
        artifact=artifact,
        framework=framework,
        version=version,
        content=content,
        environment=contracts.check(framework, content, environment, where=_where(artifact, content)),
        layout=contracts.describe(framework, content, environment),
        accepted_by=() if framework else _accepting(content, environment),
        seconds=seconds,
    )


def _of_version(framework: str | None, version: str | None) -> Sequence[Problem]:
    """What the catalog says against a prebuilt container."""
    if framework is None and version is not None:
        raise Complaint("--version is of a framework, and none is named", "give --framework as well", USAGE)
    known = framework in catalog.families()
    if framework is None or (known and version is None):
        return ()
    problems: list[Sequence[Problem]] = []
    for instance_type in _ANY_INSTANCE:
        try:
            catalog.resolve(
                framework,
                version or "",
                region="us-east-1",
                instance_type=instance_type,
                where="--version" if known else "--framework",
            )
        except Refused as refused:
            problems.append(refused.problems)
        else:
            return ()
    return problems[0]


def _reads(framework: str | None, environment: Mapping[str, str]) -> Callable[[str], bool]:
    """Where no framework is named, every contract may be asked, so the texts of all are read."""
    if framework is not None:
        return contracts.reads(framework, environment)
    wanted = [contracts.reads(family, environment) for family in contracts.families()]
    return lambda name: any(reads(name) for reads in wanted)


def _accepting(content: Artifact, environment: Mapping[str, str]) -> tuple[str, ...]:
    passed = []
    for family in contracts.families():
        try:
            contracts.check(family, content, environment)
        except Refused:
            continue
        passed.append(family)
    return tuple(passed)


def _where(artifact: str, content: Artifact) -> str:
    name = _file_name(artifact.rstrip("/")) if artifact.startswith(_S3) else Path(artifact).resolve().name
    return f"{name}/" if content.kind == "folder" else name


# ── where it lies ─────────────────────────────────────────────────────────────────────────────────
def _of_disk(path: Path, keep: Callable[[str], bool], watch: Watch) -> Artifact:
    if path.is_dir():
        path = path.resolve()  # "." has no name
        files = {file.relative_to(path).as_posix(): file for file in path.rglob("*") if file.is_file()}
        _check_count(len(files), str(path))
        return of_folder(files, keep, f"{path.name}/")
    if not path.exists():
        raise Complaint(f"{path} is not there", "name a tarball, a folder, or s3://BUCKET/KEY", USAGE)
    with path.open("rb") as stream:
        watched = _Watched(stream, path.name, path.stat().st_size, watch)
        return inspection.inspect(watched, keep=keep, where=path.name)


def _of_s3(url: str, keep: Callable[[str], bool], buckets: Callable[[str], Bucket], watch: Watch) -> Artifact:
    name, _, key = url.removeprefix(_S3).partition("/")
    if not name or not key:
        raise Complaint(
            f"{url} names no object", "write s3://BUCKET/KEY, a folder with a slash behind", USAGE
        )
    with _told(url, name):
        bucket = buckets(name)
        if key.endswith("/"):
            return _of_s3_folder(bucket, url, key, keep)
        found = bucket.head(key)
        if found is None:
            raise _not_there(url)
        stream = bucket.open(found)
        try:
            watched = _Watched(stream, url, found.size, watch)
            return inspection.inspect(watched, keep=keep, where=_file_name(key))
        finally:
            stream.close()


def _of_s3_folder(bucket: Bucket, url: str, prefix: str, keep: Callable[[str], bool]) -> Artifact:
    objects = {found.key.removeprefix(prefix): found for found in bucket.list(prefix, MOST_FILES)}
    if not objects:
        raise _not_there(url)
    _check_count(len(objects), url)

    def read(name: str, limit: int) -> bytes:
        found = bucket.read(objects[name].key, limit, objects[name].version)
        return found[0][:limit] if found else b""

    files = [_file(name, found) for name, found in objects.items()]
    return folder.inspect(files, read, keep=keep, where=f"{_file_name(prefix.rstrip('/'))}/")


def _file(name: str, found: ObjectVersion) -> folder.File:
    return folder.File(name, found.size, found.etag)


def _file_name(key: str) -> str:
    return key.rpartition("/")[2]


def _check_count(count: int, place: str) -> None:
    if count > MOST_FILES:
        raise Complaint(
            f"{place} holds more than {MOST_FILES:,} files, which is more than a submission's folder may",
            "leave out what does not serve, or pack a tarball",
            NO,
        )


def _not_there(url: str) -> Complaint:
    listing = url.rpartition("/")[0]
    mend = f"see what is: aws s3 ls {listing}/; a folder is written with a slash behind"
    return Complaint(f"there is nothing at {url}", mend, NO)


@contextmanager
def _told(url: str, bucket: str) -> Iterator[None]:
    try:
        yield
    except Forbidden as error:
        actions = "s3:GetObject, s3:GetObjectVersion, s3:ListBucket and s3:ListBucketVersions"
        found = f"{url} may not be read ({error.operation}: {error.code})"
        raise Complaint(found, f"ask for {actions} on it", TROUBLE) from error
    except AwsError as error:
        if error.code != "NoSuchBucket":
            raise
        raise Complaint(f"there is no bucket {bucket}", "correct its name", NO) from error


class _Watched:
    """A stream that tells how much of it was read."""

    def __init__(self, stream: Readable, what: str, size: int, watch: Watch) -> None:
        self._stream, self._what, self._size, self._watch = stream, what, size, watch
        self._done = 0

    def read(self, size: int, /) -> bytes:
        read = self._stream.read(size)
        self._done += len(read)
        self._watch(self._what, self._done, self._size)
        return read


# ── what is shown ─────────────────────────────────────────────────────────────────────────────────
def shown(inspected: Inspected) -> list[RenderableType]:
    """What it is in a few lines, and its members as a table."""
    content = inspected.content
    of = inspected.framework or "no framework"
    version = f" {inspected.version}" if inspected.version else ""
    lines: list[RenderableType] = [Text(f"{inspected.artifact} is sound, and right for {of}{version}")]
    if inspected.framework and not contracts.covers(inspected.framework):
        lines = [
            Text(f"{inspected.artifact} is sound; what {of}{version} expects of it is not known, nor checked")
        ]
    elif inspected.framework is None:
        accepted = ", ".join(inspected.accepted_by) or "no container that is known here"
        lines = [Text(f"{inspected.artifact} is sound"), Text(f"would be accepted by: {accepted}")]
    if inspected.layout:
        lines.append(Text(f"layout: {inspected.layout}"))
    digest = f", {inspected.digest}" if inspected.digest else ""
    unpacked = "" if content.kind == "folder" else f", {decimal(content.uncompressed_size)} unpacked"
    lines.append(Text(f"{content.kind}: {decimal(content.compressed_size)}{unpacked}{digest}"))
    rate = f", {inspected.mb_per_s:.0f} MB/s" if inspected.mb_per_s is not None else ""
    lines.append(Text(f"read in {inspected.seconds:.1f} s{rate}"))
    if inspected.environment:
        pairs = ", ".join(f"{name}={value}" for name, value in sorted(inspected.environment.items()))
        lines.append(Text(f"environment: {pairs}"))
    return [*lines, *_members(content)]


def _members(content: Artifact) -> Sequence[RenderableType]:
    listed = table("member", "size", "kind")
    for member in content.members[:_MOST_SHOWN]:
        size = decimal(member.size) if member.kind == "file" else "–"
        listed.add_row(inspection.printable(member.name), size, member.kind)
    more = len(content.members) - _MOST_SHOWN
    return [listed, Text(f"and {more} more: --json lists all")] if more > 0 else [listed]
