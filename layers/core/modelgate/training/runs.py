"""The items of runs in the table: what makes sure that no job.yaml is trained twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from modelgate.announcements import Kind
from modelgate.effects import Announce
from modelgate.run import TrainingId
from modelgate.run_items import RunItems, Status, Summary
from modelgate.values import dataclass

if TYPE_CHECKING:
    from modelgate.invocation import Invocation
    from modelgate.ports import Bus


@dataclass(frozen=True)
class TrainingRun:
    """The item of one run.

    Attributes:
        id: where it lies.
        uploaded: the S3 version of the `job.yaml` that it speaks of.
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
    uploaded: str
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


@cache
def _of_runs() -> TypeAdapter[TrainingRun]:
    return TypeAdapter(TrainingRun)


class TrainingRuns(RunItems[TrainingRun]):
    """Reads and writes the items of trainings."""

    kind = "TRAINING"

    def _adapter(self) -> TypeAdapter[TrainingRun]:
        return _of_runs()

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
