"""The items of transforms in the table: what makes sure that no job.yaml is carried out twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from modelgate.effects import Announce
from modelgate.run import TransformId
from modelgate.run_items import RunItems, Status, Summary
from modelgate.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelgate.invocation import Invocation
    from modelgate.ports import Bus
    from modelgate.transform.ports import TransformJobs


@dataclass(frozen=True)
class TransformRun:
    """The item of one run.

    Attributes:
        id: where it lies.
        uploaded: the S3 version of the `job.yaml` that it speaks of.
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
    uploaded: str
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


@cache
def _of_runs() -> TypeAdapter[TransformRun]:
    return TypeAdapter(TransformRun)


class TransformRuns(RunItems[TransformRun]):
    """Reads and writes the items of transforms."""

    kind = "TRANSFORM"

    def _adapter(self) -> TypeAdapter[TransformRun]:
        return _of_runs()

    def _told(self, run: TransformRun) -> Mapping[str, str | int]:
        return {**super()._told(run), **({"version": run.version} if run.version else {})}

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
