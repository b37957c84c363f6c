"""The items of submissions in the table: what makes a repeated event harmless."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from modelgate.directory import entry_of_group
from modelgate.effects import Announce
from modelgate.ports import Record
from modelgate.submission import SubmissionId
from modelgate.values import dataclass

if TYPE_CHECKING:
    from modelgate.ports import Table


class Status(StrEnum):
    """How far a submission has come."""

    WAITING = "waiting"
    CLAIMED = "claimed"
    REGISTERED = "registered"
    REFUSED = "refused"
    REJECTED = "rejected"  # registered, and rejected by the gate

    @property
    def has_version(self) -> bool:
        return self in {Status.REGISTERED, Status.REJECTED}


@dataclass(frozen=True)
class Submission:
    """The item of one submission.

    Attributes:
        id: where it lies.
        parts: names the versions of the objects that this item speaks of; see `upload.Upload.parts`.
        status: how far it has come with these parts.
        version: the version that it became, 0 before.
        owner: the invocation that is at it.
        claimed_at: since when.
        owned_until: when Lambda ends that invocation; from then on the claim is nobody's.
        revision: counts the writes; 0 was never written.
        effects: what is owed.
        pauses: how many invocations ended before these parts were judged.
    """

    id: SubmissionId
    parts: str
    status: Status
    owner: str
    claimed_at: datetime
    owned_until: datetime
    version: int = 0
    revision: int = 0
    effects: tuple[Announce, ...] = ()
    pauses: int = 0


@cache
def _of_submissions() -> TypeAdapter[Submission]:
    return TypeAdapter(Submission)


class Submissions:
    """Reads and writes the items of submissions."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def load(self, submission: SubmissionId) -> Submission | None:
        record = self._table.get(_key_of(submission), "STATE")
        if record is None:
            return None
        return replace(_of_submissions().validate_json(record.document), revision=record.revision or 0)

    def save(self, submission: Submission) -> Submission:
        """Writes the item.

        Raises:
            StaleRevision: somebody else wrote it since it was read.
        """
        saved = replace(submission, revision=submission.revision + 1)
        facts = (
            ("submission", str(saved.id)),
            ("group", saved.id.group),
            ("status", saved.status.value),
            ("version", saved.version),
        )
        document = _of_submissions().dump_json(saved).decode()
        item = Record(_key_of(saved.id), "STATE", document, saved.revision, facts)
        # From its first version on, the sweep looks after a group.
        registered = saved.status.has_version and saved.effects
        self._table.put(item, *([entry_of_group(saved.id.group)] if registered else []))
        return saved


def _key_of(submission: SubmissionId) -> str:
    return f"SUBMISSION#{submission}"
