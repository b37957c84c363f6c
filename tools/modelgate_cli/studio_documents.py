"""A document of Studio: a file of this machine, or what lies in the bucket under a domain's name."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from modelgate.documents import MAX_DOCUMENT_BYTES
from modelgate.studio.document import check_name, key_of, read_document
from modelgate.studio.records import StudioState
from modelgate_cli.complaints import USAGE, Complaint

if TYPE_CHECKING:
    from modelgate.studio.keeping import Asked
    from modelgate_cli.stack import Stack

_ENDING = ".yaml"


@dataclass(frozen=True)
class Written:
    """A document as somebody wrote it.

    Attributes:
        name: the domain's.
        text: empty where there is no document, and so nothing is wanted.
        source: where it was read, for people.
    """

    name: str
    text: bytes
    source: str


@dataclass(frozen=True)
class InBucket:
    """What lies in the bucket; both are empty where nothing does."""

    text: bytes = b""
    version: str = ""


def is_file(subject: str) -> bool:
    """Whether a file is meant, and not a domain: no domain's name has a dot or a slash."""
    return "." in subject or "/" in subject or os.sep in subject


def read_file(path: str) -> Written:
    """
    Raises:
        Complaint: the file's name makes no document of it.
        Refused: with everything that is wrong with it.
        OSError: there is none, or it cannot be read.
    """
    file = Path(path)
    if file.suffix != _ENDING:
        found = f"{path} is no document of Studio, because its name is none"
        raise Complaint(found, f"call it as its domain: DOMAIN{_ENDING}", USAGE)
    name = file.name.removesuffix(_ENDING)
    check_name(name)
    with file.open("rb") as stream:
        text = stream.read(MAX_DOCUMENT_BYTES + 1)
    read_document(text, name)
    return Written(name, text, path)


def read(stack: Stack, subject: str) -> Written:
    """The document that a file or a domain's name leads to.

    Raises:
        Complaint: nothing is known of such a domain, or the file's name makes no document of it.
        Refused: with everything that is wrong with it.
        OSError: there is no such file.
    """
    if is_file(subject):
        return read_file(subject)
    check_name(subject)
    there = in_bucket(stack, subject)
    if there.version:
        return Written(subject, there.text, key_of(subject))
    if stack.studio_states.load(subject) is None:
        raise unknown(subject)
    return Written(subject, b"", f"{key_of(subject)}, which was deleted")


def in_bucket(stack: Stack, name: str) -> InBucket:
    found = stack.bucket.read(key_of(name), MAX_DOCUMENT_BYTES)
    return InBucket(found[0], found[1].version) if found else InBucket()


def asked_by(stack: Stack, written: Written, there: InBucket) -> Asked:
    """What it asks for, as the version in the bucket where it is that.

    Raises:
        Refused: with everything that is wrong with it.
    """
    version = there.version if written.text == there.text else ""
    return stack.keeper.understood(written.name, written.text, version)


def state_of(stack: Stack, name: str) -> StudioState:
    """The item of a document, or the one that it begins with."""
    return stack.studio_states.load(name) or StudioState(name)


def unknown(name: str) -> Complaint:
    """Nobody ever wrote a document of that name."""
    return Complaint(
        f"there is no document of a domain {name}",
        f"modelgate studio status shows those that there are; modelgate studio export {name} writes one of "
        "a domain that exists",
        facts={"domain": name},
    )
