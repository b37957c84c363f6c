"""What is remembered of a document: its item, and what was changed by which version of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from modelgate.announcements import Announcement, id_of
from modelgate.effects import Announce
from modelgate.ports import Record
from modelgate.studio.resources import Kind, Ref
from modelgate.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelgate.announcements import Kind as News
    from modelgate.invocation import Invocation
    from modelgate.ports import Table

_KEY = "STUDIO"
_DONE = "done"
# What SageMaker refuses is mostly mended by a person; quotas and directories may mend themselves.
_FIRST_PAUSE = timedelta(minutes=15)
_LONGEST_PAUSE = timedelta(days=1)


class Status(StrEnum):
    """How what there is stands to the document."""

    MOVING = "moving"
    SETTLED = "settled"
    TROUBLED = "troubled"
    REFUSED = "refused"


@dataclass(frozen=True)
class Trouble:
    """Something that SageMaker refused, or could not do.

    Attributes:
        kind, name: of what it is.
        reason: SageMaker's words.
        uploaded: the S3 version of the document that asked for it; another version is tried at once.
        times: how often in a row; 0 where it was only found so, and is tried for the first time.
        not_before: when it is tried again.
        tried: whether it has been tried again since.
    """

    kind: str
    name: str
    reason: str
    uploaded: str
    times: int
    not_before: datetime
    tried: bool = False

    @property
    def ref(self) -> Ref:
        return Ref(Kind(self.kind), self.name)

    @property
    def key(self) -> tuple[Kind, str]:
        return self.ref.key


@dataclass(frozen=True)
class Done:
    """A step, in words, and what came of it."""

    step: str
    outcome: str = _DONE

    @property
    def was_done(self) -> bool:
        """Whether SageMaker took it."""
        return self.outcome == _DONE


@dataclass(frozen=True)
class ChangeRecord:
    """What one look changed, and which version of the document asked for it.

    Attributes:
        uploaded: the S3 version of the document; empty: it was deleted.
        invocation: Lambda's request id.
        drift: whether it put back what somebody had changed by hand.
    """

    number: int
    uploaded: str
    at: datetime
    invocation: str
    done: tuple[Done, ...]
    drift: bool = False


@dataclass(frozen=True)
class StudioState:
    """The item of one document.

    Attributes:
        name: the document's, and DomainName.
        uploaded: the S3 version that it speaks of; empty where the document was deleted.
        domain_id: SageMaker's; empty where there is none yet.
        owner: the invocation that is carrying it out.
        owned_until: when Lambda ends that invocation; from then on it is nobody's.
        doing: the steps that the owner has begun, in words.
        drifting, drift_told: whether what is done puts back what was changed by hand, and whether that was
            told.
        waiting: the steps that wait, each with what for.
        changes: how many `ChangeRecord`s there are.
        unsettled: how many of them were made since it was settled last.
        orphans: what left the document and is still there, as it was told.
        taken: the changes, by a hash of their words, that SageMaker took since it was settled last.
        troubles: what went wrong lately.
        in_the_way: what keeps deletions from happening, as it was told.
        reasons: why the document is refused.
        tag_keys: the keys of all tags that the document has had.
        settled, settled_at: the version of the document that it was settled by last, and when.
        revision: counts the writes; 0 was never written.
        effects: what is owed.
    """

    name: str
    uploaded: str = ""
    status: Status = Status.MOVING
    domain_id: str = ""
    owner: str = ""
    owned_until: datetime | None = None
    doing: tuple[str, ...] = ()
    drifting: bool = False
    drift_told: bool = False
    waiting: tuple[str, ...] = ()
    changes: int = 0
    unsettled: int = 0
    orphans: tuple[str, ...] = ()
    taken: tuple[str, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    in_the_way: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    tag_keys: tuple[str, ...] = ()
    settled: str | None = None
    settled_at: datetime | None = None
    revision: int = 0
    effects: tuple[Announce, ...] = ()

    @property
    def is_over(self) -> bool:
        """Whether the document is gone, and with it everything that it had made."""
        return not self.uploaded and self.status is Status.SETTLED and not self.orphans and not self.effects

    def is_anothers(self, invocation: Invocation, now: datetime) -> bool:
        """Whether another invocation may still be carrying it out. Lambda's retries have the owner's id."""
        held = self.owned_until is not None and now < self.owned_until
        return held and self.owner not in {"", invocation.id}

    # ── what went wrong ───────────────────────────────────────────────────────────────────────
    def trouble_of(self, ref: Ref) -> Trouble | None:
        return next((each for each in self.troubles if each.key == ref.key), None)

    def troubled(self, ref: Ref, reason: str, now: datetime) -> StudioState:
        """It went wrong, once more."""
        before = self.trouble_of(ref)
        times = before.times + 1 if before and before.uploaded == self.uploaded else 1
        pause = min(_FIRST_PAUSE * 2 ** min(times - 1, 10), _LONGEST_PAUSE)
        trouble = Trouble(ref.kind.value, ref.name, reason, self.uploaded, times, now + pause)
        return replace(self, troubles=(*self.without_trouble(ref).troubles, trouble))

    def trying(self, ref: Ref, *, failed: bool, now: datetime) -> StudioState:
        """It is tried again; ``failed`` where SageMaker could not do it before."""
        before = self.trouble_of(ref)
        if before is not None:
            tried = replace(before, tried=True, uploaded=self.uploaded)
        elif failed:
            tried = Trouble(ref.kind.value, ref.name, "", self.uploaded, 0, now, tried=True)
        else:
            return self
        return replace(self, troubles=(*self.without_trouble(ref).troubles, tried))

    def without_trouble(self, ref: Ref) -> StudioState:
        left = tuple(each for each in self.troubles if each.key != ref.key)
        return self if left == self.troubles else replace(self, troubles=left)

    # ── what is told ──────────────────────────────────────────────────────────────────────────
    def owing(self, kind: News, message: str, about: object, **facts: object) -> StudioState:
        """An announcement is owed, once for what it is ``about``."""
        told = {"domain": self.name, "domain_id": self.domain_id, "version": self.uploaded, **facts}
        announcement = Announcement(kind, id_of(kind, self.name, about), message, self.name, told)
        if any(each.announcement.id == announcement.id for each in self.effects):
            return self
        return replace(self, effects=(*self.effects, Announce(announcement)))


@cache
def _states() -> TypeAdapter[StudioState]:
    return TypeAdapter(StudioState)


@cache
def _changes() -> TypeAdapter[ChangeRecord]:
    return TypeAdapter(ChangeRecord)


class StudioStates:
    """Reads and writes the items of documents, and the records of what they changed."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def load(self, name: str) -> StudioState | None:
        record = self._table.get(_KEY, name)
        return _of(record) if record else None

    def all(self) -> list[StudioState]:
        """By name."""
        return [_of(record) for record in self._table.query(_KEY)]

    def save(self, state: StudioState, change: ChangeRecord | None = None) -> StudioState:
        """Writes the item, and with it what was changed.

        Raises:
            StaleRevision: somebody else wrote it since it was read.
        """
        saved = replace(state, revision=state.revision + 1)
        records = [
            Record(_KEY, saved.name, _json(_states(), saved), saved.revision, tuple(_shown(saved).items()))
        ]
        if change is not None:
            facts: dict[str, str | int] = {
                "version": change.uploaded,
                "at": change.at.isoformat(),
                "steps": len(change.done),
            }
            number = f"{change.number:08}"
            records.append(
                Record(_of_changes(saved.name), number, _json(_changes(), change), 1, tuple(facts.items()))
            )
        self._table.put(*records)
        return saved

    def changes(self, name: str) -> list[ChangeRecord]:
        """What was changed, oldest first."""
        return [_changes().validate_json(record.document) for record in self._table.query(_of_changes(name))]


def _of(record: Record) -> StudioState:
    return replace(_states().validate_json(record.document), revision=record.revision or 0)


def _json(adapter: TypeAdapter[StudioState] | TypeAdapter[ChangeRecord], value: object) -> str:
    return adapter.dump_json(value).decode()  # type: ignore[arg-type]


def _of_changes(name: str) -> str:
    return f"{_KEY}#{name}"


def _shown(state: StudioState) -> Mapping[str, str | int]:
    """What people see of an item in DynamoDB's console."""
    return {
        "domain": state.name,
        "domain_id": state.domain_id,
        "status": state.status.value,
        "changes": state.changes,
    }
