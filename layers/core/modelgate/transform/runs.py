"""The items of transforms in the table: what makes sure that no job.yaml is carried out twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from modelgate.announcements import Announcement, Kind, id_of
from modelgate.directory import entry_of_group
from modelgate.effects import Announce
from modelgate.ports import Record
from modelgate.run import TransformId
from modelgate.values import dataclass

if TYPE_CHECKING:
    from modelgate.invocation import Invocation
    from modelgate.ports import Bus, Table
    from modelgate.transform.ports import TransformJobs


class Status(StrEnum):
    """How far a run has come."""

    CLAIMED = "claimed"
    TRANSFORMING = "transforming"
    COMPLETED = "completed"
    FAILED = "failed"
    STOPPED = "stopped"
    REFUSED = "refused"  # never started

    @property
    def is_over(self) -> bool:
        return self not in {Status.CLAIMED, Status.TRANSFORMING}


@dataclass(frozen=True)
class TransformRun:
    """The item of one run.

    Attributes:
        id: where it lies.
        document: the S3 version of the `job.yaml` that it speaks of.
        status: how far it has come with that.
        job: what SageMaker calls its job.
        owner: the invocation that starts it.
        claimed_at: since when it is to be carried out.
        owned_until: when Lambda ends that invocation; from then on it is nobody's.
        version: of the group, which predicts; 0 before it is known.
        model: the model that was made for the job; empty where there is none, or none any more.
        ended_at: when its outcome was written.
        reasons: why it was refused, failed or was stopped.
        turned_away: the S3 version of a later `job.yaml` that was refused because of this one.
        revision: counts the writes; 0 was never written.
        effects: what is owed besides the deletion of a model that nothing uses any more.
    """

    id: TransformId
    document: str
    status: Status
    job: str
    owner: str
    claimed_at: datetime
    owned_until: datetime
    version: int = 0
    model: str = ""
    ended_at: datetime | None = None
    reasons: tuple[str, ...] = ()
    turned_away: str = ""
    revision: int = 0
    effects: tuple[Announce, ...] = ()

    @property
    def owes_something(self) -> bool:
        return bool(self.effects or (self.model and self.status.is_over))

    def may_be_taken_over(self, invocation: Invocation, now: datetime) -> bool:
        """Lambda's retry has the invocation's own id, and what outlived its owner is free."""
        return self.owner in {"", invocation.id} or now >= self.owned_until


@dataclass(frozen=True)
class Summary:
    """What came of a run, for the log and for whoever invoked the function by hand."""

    run: str
    status: str
    job: str = ""
    news: tuple[str, ...] = ()


@cache
def _of_runs() -> TypeAdapter[TransformRun]:
    return TypeAdapter(TransformRun)


class TransformRuns:
    """Reads and writes the items of runs."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def load(self, run: TransformId) -> TransformRun | None:
        record = self._table.get(_key_of(run.group), run.run)
        return _of(record) if record else None

    def of_group(self, group: str) -> list[TransformRun]:
        """All of a group's, in the order of their names."""
        return [_of(record) for record in self._table.query(_key_of(group))]

    def save(self, run: TransformRun) -> TransformRun:
        """Writes the item.

        Raises:
            StaleRevision: somebody else wrote it since it was read.
        """
        saved = replace(run, revision=run.revision + 1)
        facts: list[tuple[str, str | int]] = [("group", saved.id.group), ("run", saved.id.run)]
        facts += [("status", saved.status.value)]
        facts += [("version", saved.version)] if saved.version else []
        facts += [("job", saved.job)] if saved.job else []
        document = _of_runs().dump_json(saved).decode()
        item = Record(_key_of(saved.id.group), saved.id.run, document, saved.revision, tuple(facts))
        # From its first run on, the sweep looks after a group.
        first = saved.revision == 1
        self._table.put(item, *([entry_of_group(saved.id.group)] if first else []))
        return saved

    def close(self, run: TransformRun, kind: Kind, message: str, facts: dict[str, object]) -> TransformRun:
        """Writes an outcome together with the announcement that is owed for it.

        Raises:
            StaleRevision: somebody else wrote it since it was read.
        """
        told = {"run": run.id.run, **({"job": run.job} if run.job else {}), **facts}
        told |= {"version": run.version} if run.version else {}
        identity = id_of(kind, run.id, run.document, run.turned_away)
        news = Announce(Announcement(kind, identity, message, run.id.group, told))
        return self.save(replace(run, effects=(*run.effects, news)))

    def settle(self, run: TransformRun, bus: Bus, jobs: TransformJobs) -> Summary:
        """Carries out what is owed, and ticks it off.

        Raises:
            StaleRevision: somebody else wrote it since it was read.
        """
        news = tuple(effect.announcement for effect in run.effects)
        if run.owes_something:
            if news:
                bus.announce(*news)
            if run.model and run.status.is_over:
                jobs.remove_model(run.model)
                run = replace(run, model="")
            self.save(replace(run, effects=()))
        return Summary(str(run.id), run.status, run.job, tuple(each.message for each in news))


def _of(record: Record) -> TransformRun:
    return replace(_of_runs().validate_json(record.document), revision=record.revision or 0)


def _key_of(group: str) -> str:
    return f"TRANSFORM#{group}"
