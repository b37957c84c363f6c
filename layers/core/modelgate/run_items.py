"""The items of runs in the table: what makes sure that no job.yaml is carried out twice."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

from modelgate.announcements import Announcement, Kind, id_of
from modelgate.directory import entry_of_group
from modelgate.effects import Announce
from modelgate.ports import Record
from modelgate.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from pydantic import TypeAdapter

    from modelgate.invocation import Invocation
    from modelgate.ports import Table
    from modelgate.run import RunId


class Status(StrEnum):
    """How far a run has come."""

    CLAIMED = "claimed"
    TRAINING = "training"
    TRANSFORMING = "transforming"
    COMPLETED = "completed"
    FAILED = "failed"
    STOPPED = "stopped"
    REFUSED = "refused"  # never started, or trained without a figure to judge by

    @property
    def is_over(self) -> bool:
        return self not in {Status.CLAIMED, Status.TRAINING, Status.TRANSFORMING}


@dataclass(frozen=True)
class Summary:
    """What came of a run, for the log and for whoever invoked the function by hand."""

    run: str
    status: str
    job: str = ""
    news: tuple[str, ...] = ()


class Run(Protocol):
    """An item, as far as both kinds of them are alike; a frozen dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def id(self) -> Any:
        """Where it lies."""

    @property
    def status(self) -> Status:
        """How far it has come."""

    @property
    def job(self) -> str:
        """What SageMaker calls its job; empty where none was to be started."""

    @property
    def uploaded(self) -> str:
        """The S3 version of the `job.yaml` that it speaks of."""

    @property
    def turned_away(self) -> str:
        """The S3 version of a later `job.yaml` that was refused because of this one."""

    @property
    def revision(self) -> int:
        """Counts the writes; 0 was never written."""

    @property
    def effects(self) -> tuple[Announce, ...]:
        """What is owed."""

    def may_be_taken_over(self, invocation: Invocation, now: datetime) -> bool:
        """Whether its owner's time is over; Lambda's retry has the invocation's own id."""


R = TypeVar("R", bound=Run)


class RunItems(ABC, Generic[R]):
    """Reads and writes the items of one kind of runs."""

    kind: ClassVar[str]

    def __init__(self, table: Table) -> None:
        self._table = table

    @abstractmethod
    def _adapter(self) -> TypeAdapter[R]:
        """Between an item and its JSON."""

    def _told(self, run: R) -> Mapping[str, str | int]:
        """What people see of an item in DynamoDB's console, and what announcements tell of it."""
        return {"job": run.job} if run.job else {}

    def load(self, run: RunId) -> R | None:
        record = self._table.get(self._key_of(run.group), run.run)
        return self._of(record) if record else None

    def of_group(self, group: str) -> list[R]:
        """All of a group's, in the order of their names."""
        return [self._of(record) for record in self._table.query(self._key_of(group))]

    def save(self, run: R) -> R:
        """Writes the item.

        Raises:
            StaleRevision: somebody else wrote it since it was read.
        """
        saved = replace(run, revision=run.revision + 1)
        where: RunId = saved.id
        facts = {"group": where.group, "run": where.run, "status": saved.status.value, **self._told(saved)}
        document = self._adapter().dump_json(saved).decode()
        item = Record(self._key_of(where.group), where.run, document, saved.revision, tuple(facts.items()))
        # From its first run on, the sweep looks after a group.
        first = saved.revision == 1
        self._table.put(item, *([entry_of_group(where.group)] if first else []))
        return saved

    def close(self, run: R, kind: Kind, message: str, facts: Mapping[str, object]) -> R:
        """Writes what came of a run together with the announcement that is owed for it.

        Raises:
            StaleRevision: somebody else wrote it since it was read.
        """
        where: RunId = run.id
        identity = id_of(kind, where, run.uploaded, run.turned_away)
        told = {"run": where.run, **self._told(run), **facts}
        news = Announce(Announcement(kind, identity, message, where.group, told))
        return self.save(replace(run, effects=(*run.effects, news)))

    def _of(self, record: Record) -> R:
        return replace(self._adapter().validate_json(record.document), revision=record.revision or 0)

    def _key_of(self, group: str) -> str:
        return f"{self.kind}#{group}"
