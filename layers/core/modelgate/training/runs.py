"""The items of runs in the table: what makes sure that no job.yaml is trained twice."""

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
from modelgate.run import TrainingId
from modelgate.values import dataclass

if TYPE_CHECKING:
    from modelgate.invocation import Invocation
    from modelgate.ports import Bus, Table


class Status(StrEnum):
    """How far a run has come."""

    CLAIMED = "claimed"
    TRAINING = "training"
    COMPLETED = "completed"
    FAILED = "failed"
    STOPPED = "stopped"
    REFUSED = "refused"  # never started, or trained without a figure to judge by

    @property
    def is_over(self) -> bool:
        return self not in {Status.CLAIMED, Status.TRAINING}


@dataclass(frozen=True)
class TrainingRun:
    """The item of one run.

    Attributes:
        id: where it lies.
        version: the S3 version of the `job.yaml` that it speaks of.
        status: how far it has come with that.
        job: what SageMaker calls its job; empty where none was to be started.
        owner: the invocation that starts it, or makes the submission of it.
        claimed_at: since when it is to be trained.
        owned_until: when Lambda ends that invocation; from then on it is nobody's.
        image: what trains, by its digest where it is one's own.
        source: the tarball of the script, as a key and an S3 version where it lies in the bucket.
        metadata: what a version is told of its training, by key.
        ended_at: when its outcome was written.
        reasons: why it was refused, failed or was stopped.
        turned_away: the S3 version of a later `job.yaml` that was refused because of this one.
        revision: counts the writes; 0 was never written.
        effects: what is owed.
    """

    id: TrainingId
    version: str
    status: Status
    job: str
    owner: str
    claimed_at: datetime
    owned_until: datetime
    image: str = ""
    source: str = ""
    metadata: tuple[tuple[str, str], ...] = ()
    ended_at: datetime | None = None
    reasons: tuple[str, ...] = ()
    turned_away: str = ""
    revision: int = 0
    effects: tuple[Announce, ...] = ()

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
def _of_runs() -> TypeAdapter[TrainingRun]:
    return TypeAdapter(TrainingRun)


class TrainingRuns:
    """Reads and writes the items of runs."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def load(self, run: TrainingId) -> TrainingRun | None:
        record = self._table.get(_key_of(run.group), run.run)
        return _of(record) if record else None

    def of_group(self, group: str) -> list[TrainingRun]:
        """All of a group's, in the order of their names."""
        return [_of(record) for record in self._table.query(_key_of(group))]

    def save(self, run: TrainingRun) -> TrainingRun:
        """Writes the item.

        Raises:
            StaleRevision: somebody else wrote it since it was read.
        """
        saved = replace(run, revision=run.revision + 1)
        facts = [("group", saved.id.group), ("run", saved.id.run), ("status", saved.status.value)]
        facts += [("job", saved.job)] if saved.job else []
        document = _of_runs().dump_json(saved).decode()
        item = Record(_key_of(saved.id.group), saved.id.run, document, saved.revision, tuple(facts))
        # From its first run on, the sweep looks after a group.
        first = saved.revision == 1
        self._table.put(item, *([entry_of_group(saved.id.group)] if first else []))
        return saved

    def close(self, run: TrainingRun, kind: Kind, message: str, facts: dict[str, object]) -> TrainingRun:
        """Writes what came of a run together with the announcement that is owed for it.

        Raises:
            StaleRevision: somebody else wrote it since it was read.
        """
        told = {"run": run.id.run, **({"job": run.job} if run.job else {}), **facts}
        identity = id_of(kind, run.id, run.version, run.turned_away)
        news = Announce(Announcement(kind, identity, message, run.id.group, told))
        return self.save(replace(run, effects=(*run.effects, news)))

    def started(self, claim: TrainingRun, page: str) -> TrainingRun:
        """Notes down that the job of a claim is under way; ``page`` is where people find it.

        Raises:
            StaleRevision: somebody else wrote it since it was read.
        """
        message = f"Training {claim.id} is started as {claim.job}: {page}"
        facts: dict[str, object] = {"image": claim.image, "page": page}
        facts |= {"code": claim.source} if claim.source else {}
        training = replace(claim, status=Status.TRAINING, owner="")
        return self.close(training, Kind.TRAINING_STARTED, message, facts)

    def settle(self, run: TrainingRun, bus: Bus) -> Summary:
        """Carries out what is owed, and ticks it off.

        Raises:
            StaleRevision: somebody else wrote it since it was read.
        """
        news = tuple(effect.announcement for effect in run.effects)
        if news:
            bus.announce(*news)
            self.save(replace(run, effects=()))
        return Summary(str(run.id), run.status, run.job, tuple(each.message for each in news))


def _of(record: Record) -> TrainingRun:
    return replace(_of_runs().validate_json(record.document), revision=record.revision or 0)


def _key_of(group: str) -> str:
    return f"TRAINING#{group}"
