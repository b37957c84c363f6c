"""From the upload of a `job.yaml` to its job, or to a refusal: what trainings and transforms have alike.

An event only says that something was uploaded; what lies there now decides. The run's item is claimed before
anything is started, and the job's name is made of the document's version: one upload is carried out once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol

from modelgate.announcements import Announcement, Kind, id_of
from modelgate.documents import MAX_DOCUMENT_BYTES
from modelgate.errors import NotYet, Problem, Refused
from modelgate.restarting import restarting
from modelgate.run import JOB_FILE, RunId
from modelgate.run_items import R, Status, Summary

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from modelgate.invocation import Invocation
    from modelgate.ports import Bucket, Bus
    from modelgate.run_items import RunItems

SHOWN_PROBLEMS = 20


class Jobs(Protocol):
    """What of SageMaker's jobs is needed here."""

    def describe(self, name: str) -> Any:
        """The job; None where there is none."""


class RunRequests(ABC, Generic[R]):
    """Takes documents up, once each.

    Attributes:
        ids: where the runs of this kind lie.
        noun: what people call one.
        refused: what is announced where one is refused.
        is_at: what a run does that is under way.
    """

    ids: ClassVar[type[RunId]]
    noun: ClassVar[str]
    refused: ClassVar[Kind]
    is_at: ClassVar[str]

    def __init__(
        self, *, bucket: Bucket, items: RunItems[R], known: Jobs, bus: Bus, clock: Callable[[], datetime]
    ) -> None:
        self._bucket = bucket
        self._items = items
        self._known = known
        self._bus = bus
        self._clock = clock

    @abstractmethod
    def _receive(self, where: Any, text: bytes, version: str, invocation: Invocation) -> Summary:
        """Takes the document up that lies there now, in this S3 version."""

    @abstractmethod
    def started(self, claim: R) -> R:
        """Notes down that the job of a claim is under way.

        Raises:
            StaleRevision: somebody else wrote the item in between.
        """

    @abstractmethod
    def _settle(self, run: R) -> Summary:
        """Carries out what is owed."""

    def receive(self, key: str, invocation: Invocation) -> Summary:
        """A document was uploaded at ``key``, ``<above>/<group>/<run>/job.yaml``.

        Raises:
            NotYet, AwsError: Lambda is to come back.
        """
        where = self.ids.of_key(key)
        found = self._bucket.read(key, MAX_DOCUMENT_BYTES)
        if found is None:
            return restarting(lambda: self._gone(where, invocation))
        text, uploaded = found
        try:
            where.check()
        except Refused as refused:
            # Such a name is no key of an item, either.
            message, facts = self._refusal(where, refused)
            identity = id_of(self.refused, key, uploaded.version)
            told = {"run": where.run, **facts}
            self._bus.announce(Announcement(self.refused, identity, message, where.group, told))
            return Summary(str(where), Status.REFUSED, news=(message,))
        return restarting(lambda: self._receive(where, text, uploaded.version, invocation))

    def _gone(self, where: RunId, invocation: Invocation) -> Summary:
        """Somebody deleted the document; what was claimed for it is nobody's to carry out any more."""
        run = self._items.load(where)
        if run is None or run.status is not Status.CLAIMED:
            return Summary(str(where), "gone")
        begun = self._taken_over(run, invocation)
        if begun.status is not Status.CLAIMED:
            return self._settle(begun)
        found, mend = "was deleted before its job was started", "upload it again"
        return self._refuse(run, Refused(Problem(where.key(JOB_FILE), found, mend)))

    def _taken_over(self, run: R, invocation: Invocation) -> R:
        """The run; where it is a claim whose job was started by somebody who died, that is noted down.

        Raises:
            NotYet: another invocation is about to start it.
        """
        if run.status is not Status.CLAIMED:
            return run
        if not run.may_be_taken_over(invocation, self._clock()):
            raise NotYet(f"another invocation starts {run.id}")
        return run if self._known.describe(run.job) is None else self.started(run)

    # ── what is wrong with it ─────────────────────────────────────────────────────────────────
    def _refuse(self, claim: R, refused: Refused, **changes: object) -> Summary:
        message, facts = self._refusal(claim.id, refused)
        told: dict[str, Any] = {
            "status": Status.REFUSED,
            "owner": "",
            "ended_at": self._clock(),
            "reasons": tuple(map(str, refused.problems))[:SHOWN_PROBLEMS],
            **changes,
        }
        return self._settle(self._items.close(replace(claim, **told), self.refused, message, facts))

    def _turn_away(self, run: R, version: str) -> Summary:
        """Another document under the name of a run that is under way or completed: what is there stays."""
        is_at = "is completed" if run.status is Status.COMPLETED else f"{self.is_at}, as {run.job}"
        problem = Problem(run.id.key(JOB_FILE), f"the run {is_at}", "upload it under another run")
        message, facts = self._refusal(run.id, Refused(problem))
        turned: dict[str, Any] = {"turned_away": version}
        told = self._items.close(replace(run, **turned), self.refused, message, facts)
        return replace(self._settle(told), status=Status.REFUSED)

    def _refusal(self, where: RunId, refused: Refused) -> tuple[str, dict[str, object]]:
        reasons = [str(problem) for problem in refused.problems]
        more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
        message = f"{self.noun} {where} is refused, and nothing is started: {reasons[0]}{more}."
        return message, {"reasons": reasons[:SHOWN_PROBLEMS]}
