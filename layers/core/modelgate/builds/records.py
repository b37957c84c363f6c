"""The items of builds in the table: what makes sure that no source is built twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from modelgate.builds.order import TAG_PREFIX
from modelgate.effects import Announce
from modelgate.ports import Record
from modelgate.values import dataclass

if TYPE_CHECKING:
    from modelgate.ports import ObjectVersion, Table


class Status(StrEnum):
    """How far a build has come."""

    CLAIMED = "claimed"
    BUILDING = "building"
    SCANNING = "scanning"  # pushed, and the policy wants to know what a scan finds
    PUBLISHED = "published"
    REFUSED = "refused"  # pushed, and its scan found more than the policy allows
    FAILED = "failed"

    @property
    def is_over(self) -> bool:
        return self in {Status.PUBLISHED, Status.REFUSED, Status.FAILED}


@dataclass(frozen=True)
class Build:
    """The item of what is built from one content of a source.

    Attributes:
        image: what the image is called, and ``tag`` that of this content.
        source: the key of the zip, and ``version`` its S3 version.
        owner: the invocation that starts the build.
        claimed_at: since when.
        owned_until: when Lambda ends that invocation; from then on the claim is nobody's.
        build_id: CodeBuild's id; empty before it is started.
        digest: of the image, and ``uri`` its name with it; empty before it is pushed.
        size: of the image in bytes, compressed, as it is pulled.
        reasons: why it failed or was refused.
        revision: counts the writes; 0 was never written.
        effects: what is owed.
    """

    image: str
    tag: str
    source: str
    version: str
    status: Status
    owner: str
    claimed_at: datetime
    owned_until: datetime
    build_id: str = ""
    digest: str = ""
    uri: str = ""
    size: int = 0
    reasons: tuple[str, ...] = ()
    revision: int = 0
    effects: tuple[Announce, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.image}:{self.tag}"

    def is_of(self, found: ObjectVersion) -> bool:
        """Whether it speaks of this very upload."""
        return (self.source, self.version) == (found.key, found.version)


@cache
def _of_builds() -> TypeAdapter[Build]:
    return TypeAdapter(Build)


class BuildRecords:
    """Reads and writes the items of builds."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def load(self, image: str, tag: str) -> Build | None:
        record = self._table.get(_key_of(image), tag)
        return _of(record) if record else None

    def of_image(self, image: str) -> list[Build]:
        """All of an image's, in the order of their tags."""
        return [_of(record) for record in self._table.query(_key_of(image), TAG_PREFIX)]

    def save(self, build: Build) -> Build:
        """Writes the item.

        Raises:
            StaleRevision: somebody else wrote it since it was read.
        """
        saved = replace(build, revision=build.revision + 1)
        facts = [("image", saved.image), ("tag", saved.tag), ("status", saved.status.value)]
        facts += [("digest", saved.digest)] if saved.digest else []
        document = _of_builds().dump_json(saved).decode()
        self._table.put(Record(_key_of(saved.image), saved.tag, document, saved.revision, tuple(facts)))
        return saved


def _of(record: Record) -> Build:
    return replace(_of_builds().validate_json(record.document), revision=record.revision or 0)


def _key_of(image: str) -> str:
    return f"BUILD#{image}"
