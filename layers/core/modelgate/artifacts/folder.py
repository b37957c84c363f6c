"""A model whose files are served as they are, uncompressed: what a listing of them tells, and their texts.

Amazon SageMaker AI Developer Guide, "Deploying uncompressed models". Nothing has to be read to its end here:
S3 itself answers for the integrity of each object.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from types import MappingProxyType

from modelgate.artifacts.gzip_stream import Limits
from modelgate.artifacts.inspection import HEAD_BYTES, LIMITS, Artifact, Member, printable
from modelgate.errors import Problem, Refused
from modelgate.values import dataclass

_MOST_PROBLEMS = 20


@dataclass(frozen=True)
class File:
    """One object of the folder.

    Attributes:
        name: relative to the folder.
        size: in bytes.
        tag: the object's ETag, which follows from its content.
    """

    name: str
    size: int
    tag: str


def inspect(
    files: Sequence[File],
    read: Callable[[str, int], bytes],
    *,
    keep: Callable[[str], bool],
    where: str,
    limits: Limits = LIMITS,
) -> Artifact:
    """Say what a folder holds.

    Args:
        read: the first bytes of a file, by its name: at most so many.
        keep: the names of the files whose text is wanted.
        where: how problems name the folder.

    Raises:
        Refused: it is empty or too large, or has names that no container could be given.
    """
    problems: list[Problem] = []
    members, texts, kept = [], {}, 0
    for file in sorted(files, key=lambda file: file.name):
        if file.name.endswith("/") or not file.name:
            continue  # what the S3 console makes for a folder
        place = f"{where}{printable(file.name)}"
        parts = file.name.split("/")
        if "" in parts or "." in parts or ".." in parts or "\\" in file.name or not file.name.isprintable():
            problems.append(Problem(place, "has a name that cannot be a file's", "upload it under another"))
            continue
        # A text that is too large to be looked at is none that a contract could refuse for what it says.
        wanted = keep(file.name) and file.size <= min(limits.kept_bytes, limits.kept_total_bytes - kept)
        kept += file.size if wanted else 0
        first = read(file.name, file.size if wanted else min(file.size, HEAD_BYTES)) if file.size else b""
        members.append(Member(file.name, file.size, "file", first[:HEAD_BYTES]))
        if wanted:
            try:
                texts[file.name] = first.decode("utf-8-sig")
            except UnicodeDecodeError as error:
                problems.append(Problem(place, f"is not UTF-8 (at byte {error.start})", "save it as UTF-8"))
    size = sum(member.size for member in members)
    if not members and not problems:
        problems.append(Problem(where, "holds no files", "upload the model's files there"))
    if size > limits.unpacked_bytes:
        found = f"holds {size:,} bytes"
        problems.append(Problem(where, found, "upload only what serves; no instance has a larger volume"))
    if problems:
        raise Refused(*problems[:_MOST_PROBLEMS])
    return Artifact(
        members=tuple(members),
        texts=MappingProxyType(texts),
        compressed_size=size,
        uncompressed_size=size,
        sha256=digest(files),
        kind="folder",
    )


def digest(files: Sequence[File]) -> str:
    """Names exactly this content: the SHA-256 of the names, sizes and ETags, in hexadecimal."""
    listing = sorted(f"{file.name}\0{file.size}\0{file.tag}\n" for file in files)
    return hashlib.sha256("".join(listing).encode()).hexdigest()
