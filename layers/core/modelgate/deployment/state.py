"""What is remembered of an endpoint: decisions, the open attempt, what became of the closed ones.

Frozen values, and transitions that return the next one. Nothing here calls anything.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from modelgate.announcements import Announcement, Kind, id_of
from modelgate.effects import Announce, Effect, Reject
from modelgate.policy import DeploymentPolicy

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

# An item of DynamoDB holds 400 KB. What falls off here stays readable as an item of its own.
RELEASES_REMEMBERED = 20
OTHERS_REMEMBERED = 20
SIGHTINGS_REMEMBERED = 200
FAILURES_REMEMBERED = 100
TOLD_REMEMBERED = 20
# A smoke test that could not be carried out (throttles, time-outs) is tried this often.
SMOKE_TESTS = 10


@dataclass(frozen=True)
class Decision:
    """An approval: a version, and the time it was approved."""

    version: int
    approved_at: datetime

    def newer_than(self, other: Decision | None) -> bool:
        """The last decision wins by the time it was made; ties go to the higher version."""
        return other is None or (self.approved_at, self.version) > (other.approved_at, other.version)


@dataclass(frozen=True)
class Sighting:
    """The newest approval and the newest rejection that events told of one version."""

    approved_at: datetime | None = None
    rejected_at: datetime | None = None


@dataclass(frozen=True)
class Target:
    """A version under a policy, and the approval that asks for it."""

    version: int
    decided_at: datetime
    policy: DeploymentPolicy

    def serves_like(self, other: Target) -> bool:
        return (self.version, self.policy.digest) == (other.version, other.policy.digest)


@dataclass(frozen=True)
class Failure:
    """What has failed is not tried again: this version, under this approval and this policy."""

    version: int
    decided_at: datetime
    policy: str


@dataclass(frozen=True)
class Attempt:
    """One numbered try to move an endpoint to a version under a policy, or to delete it.

    Attributes:
        number: counts up for each endpoint, and is never reused.
        target: where to; None to delete the endpoint.
        config: the endpoint config that the attempt is to bring into service.
        owner: the invocation that is at it.
        started_at: when that invocation began; older than an invocation can be, an attempt has no owner.
        package_modified_at: the package's LastModifiedTime as it was then.
        first_way: whether the version had never been live.
        called: whether CreateEndpoint, UpdateEndpoint or DeleteEndpoint returned.
        smoke_tests: how many smoke tests could not be carried out.
    """

    number: int
    target: Target | None
    config: str
    owner: str
    started_at: datetime
    package_modified_at: datetime | None = None
    first_way: bool = False
    called: bool = False
    smoke_tests: int = 0


class Outcome(StrEnum):
    """How an attempt ended. Each has exactly one."""

    LIVE = "live"
    FAILED = "failed"
    SUPERSEDED = "superseded"
    ABANDONED = "abandoned"
    DELETED = "deleted"


@dataclass(frozen=True)
class Closed:
    """An attempt that has ended. One that went live is a release."""

    number: int
    target: Target | None
    config: str
    outcome: Outcome
    reason: str
    started_at: datetime
    closed_at: datetime

    @property
    def is_release(self) -> bool:
        return self.outcome is Outcome.LIVE


@dataclass(frozen=True)
class EndpointState:
    """The item of one endpoint.

    Attributes:
        name: the endpoint's name in SageMaker.
        group: the one group that it serves.
        revision: counts the writes; 0 was never written.
        decision: the last decision.
        attempt: the open attempt.
        closed: the closed attempts that still matter, oldest first.
        attempts_made: the number of the last attempt.
        live: the number of the release that serves.
        ever_live: every version that ever was live here.
        failures: what is not tried again.
        sightings: by version, when events told of approvals and rejections.
        effects: what is owed.
        told: what the operator was told since the last attempt that needs telling only once.
    """

    name: str
    group: str
    revision: int = 0
    decision: Decision | None = None
    attempt: Attempt | None = None
    closed: tuple[Closed, ...] = ()
    attempts_made: int = 0
    live: int | None = None
    ever_live: tuple[int, ...] = ()
    failures: tuple[Failure, ...] = ()
    sightings: dict[int, Sighting] = field(default_factory=dict)
    effects: tuple[Effect, ...] = ()
    told: tuple[str, ...] = ()

    # ── what follows from it ──────────────────────────────────────────────────────────────────
    @property
    def releases(self) -> tuple[Closed, ...]:
        """Newest first."""
        return tuple(closed for closed in reversed(self.closed) if closed.is_release)

    @property
    def release(self) -> Closed | None:
        """The release that serves."""
        return next((each for each in self.releases if each.number == self.live), None)

    def made(self, config: str) -> Closed | None:
        """The newest closed attempt that brought, or was to bring, this endpoint config."""
        return next((each for each in reversed(self.closed) if each.config == config), None)

    def knows(self, config: str) -> bool:
        """Whether this endpoint config was made for this endpoint by an attempt."""
        return self.made(config) is not None or (self.attempt is not None and self.attempt.config == config)

    def has_failed(self, target: Target) -> bool:
        return Failure(target.version, target.decided_at, target.policy.digest) in self.failures

    def candidates(self, policy: DeploymentPolicy) -> Iterator[Target]:
        """What may be desired, best first: the last decision, then the way back."""
        if self.decision:
            yield Target(self.decision.version, self.decision.approved_at, policy)
        for release in self.releases:
            if release.target:
                yield replace(release.target, policy=policy)
                yield release.target

    # ── decisions ─────────────────────────────────────────────────────────────────────────────
    def sighted(self, version: int, *, approved: bool, at: datetime) -> EndpointState:
        """An event told of an approval, or of something that is none."""
        before = self.sightings.get(version, Sighting())
        if approved:
            after = replace(before, approved_at=max(at, before.approved_at or at))
        else:
            after = replace(before, rejected_at=max(at, before.rejected_at or at))
        if after == before:
            return self
        sightings = {**self.sightings, version: after}
        while len(sightings) > SIGHTINGS_REMEMBERED:
            del sightings[min(sightings)]
        return replace(self, sightings=sightings)

    def approved(self, version: int, package_modified_at: datetime) -> EndpointState:
        """The registry says that this version is approved. It counts if it was decided last."""
        seen = self.sightings.get(version, Sighting())
        at = package_modified_at
        if seen.approved_at and (seen.rejected_at is None or seen.approved_at > seen.rejected_at):
            at = seen.approved_at
        decision = Decision(version, at)
        return replace(self, decision=decision) if decision.newer_than(self.decision) else self

    def decided_again(self, version: int, at: datetime) -> EndpointState:
        """Somebody approved this version anew, at that time."""
        decision = Decision(version, at)
        return replace(self, decision=decision) if decision.newer_than(self.decision) else self

    def has_heard_of(self, version: int) -> bool:
        """Whether an approval or an attempt ever concerned this version here."""
        decided = self.decision is not None and self.decision.version == version
        return decided or version in self.sightings or version in self.ever_live

    # ── attempts ──────────────────────────────────────────────────────────────────────────────
    def opened(self, attempt: Attempt) -> EndpointState:
        if self.attempt is not None:
            raise ValueError(f"attempt {self.attempt.number} of {self.name} is still open")
        return replace(self, attempt=attempt, attempts_made=attempt.number, told=())

    def renewed(self, attempt: Attempt) -> EndpointState:
        """The open attempt begins anew, under its number and names, with a new owner."""
        if self.attempt is None or self.attempt.number != attempt.number:
            raise ValueError(f"attempt {attempt.number} of {self.name} is not the open one")
        return replace(self, attempt=attempt)

    def called(self, number: int) -> EndpointState:
        """The call of attempt ``number`` returned; nothing changes if that is no longer the open one."""
        if self.attempt is None or self.attempt.number != number or self.attempt.called:
            return self
        return replace(self, attempt=replace(self.attempt, called=True))

    def smoke_test_undecided(self) -> EndpointState:
        """A smoke test could not be carried out."""
        attempt = self.attempt
        return (
            replace(self, attempt=replace(attempt, smoke_tests=attempt.smoke_tests + 1)) if attempt else self
        )

    def closed_as(self, outcome: Outcome, reason: str, now: datetime) -> EndpointState:
        """Closes the open attempt: its one outcome, and the effects that are owed for it."""
        attempt = self.attempt
        if attempt is None:
            raise ValueError(f"no attempt of {self.name} is open")
        target = attempt.target
        if outcome is Outcome.LIVE and target:
            target = self._credited(target)
        closed = Closed(attempt.number, target, attempt.config, outcome, reason, attempt.started_at, now)
        after = replace(self, attempt=None, closed=_remembered((*self.closed, closed)))
        if target is None:
            return _deleted(after, closed) if outcome is Outcome.DELETED else after
        if outcome is Outcome.LIVE:
            return _went_live(after, closed, target)
        if outcome is Outcome.FAILED:
            return _failed(after, attempt, target, reason)
        if outcome is Outcome.SUPERSEDED:
            message = f"Version {target.version} of {self.group} is no longer wanted on endpoint {self.name}."
            news = after.news(Kind.DEPLOYMENT_SUPERSEDED, message, closed.number, version=target.version)
            return after.owing(news)
        return after

    def credited(self) -> EndpointState:
        """A decision for what already serves is live at once."""
        release = self.release
        if release is None or release.target is None:
            return self
        target = self._credited(release.target)
        if target == release.target:
            return self
        closed = tuple(replace(each, target=target) if each is release else each for each in self.closed)
        return replace(self, closed=closed)

    def serving(self, number: int | None) -> EndpointState:
        return self if self.live == number else replace(self, live=number)

    # ── effects ───────────────────────────────────────────────────────────────────────────────
    def owing(self, *effects: Effect) -> EndpointState:
        have = {effect.id for effect in self.effects}
        return replace(self, effects=self.effects + tuple(each for each in effects if each.id not in have))

    def ticked(self, done: Container[str]) -> EndpointState:
        return replace(self, effects=tuple(effect for effect in self.effects if effect.id not in done))

    def telling(self, kind: Kind, message: str, about: str, **facts: object) -> EndpointState:
        """Tells the operator, unless that was told since the last attempt."""
        if about in self.told:
            return self
        return replace(self, told=(*self.told, about)[-TOLD_REMEMBERED:]).owing(
            self.news(kind, message, about, **facts)
        )

    def news(self, kind: Kind, message: str, about: object, **facts: object) -> Announce:
        identity = id_of(kind, self.name.lower(), about)
        return Announce(Announcement(kind, identity, message, self.group, {"endpoint": self.name, **facts}))

    # ── inside ────────────────────────────────────────────────────────────────────────────────
    def _credited(self, target: Target) -> Target:
        decision = self.decision
        if decision and decision.version == target.version and decision.approved_at > target.decided_at:
            return replace(target, decided_at=decision.approved_at)
        return target


def _went_live(state: EndpointState, closed: Closed, target: Target) -> EndpointState:
    version = target.version
    ever_live = state.ever_live if version in state.ever_live else (*state.ever_live, version)
    message = f"Version {version} of {state.group} is live on endpoint {state.name}: {closed.reason}."
    news = state.news(Kind.RELEASE_LIVE, message, closed.number, version=version, attempt=closed.number)
    return replace(state, live=closed.number, ever_live=ever_live, told=()).owing(news)


def _failed(state: EndpointState, attempt: Attempt, target: Target, reason: str) -> EndpointState:
    failure = Failure(target.version, target.decided_at, target.policy.digest)
    rejects = attempt.first_way and attempt.package_modified_at is not None
    message = f"Version {target.version} of {state.group} failed on endpoint {state.name}: {reason}"
    facts = {"version": target.version, "attempt": attempt.number, "reason": reason, "rejected": rejects}
    effects: list[Effect] = [state.news(Kind.DEPLOYMENT_FAILED, message, attempt.number, **facts)]
    if attempt.first_way and attempt.package_modified_at:
        effects.insert(0, Reject(attempt.number, target.version, reason, attempt.package_modified_at))
    failures = (*state.failures, failure)[-FAILURES_REMEMBERED:]
    return replace(state, failures=failures).owing(*effects)


def _deleted(state: EndpointState, closed: Closed) -> EndpointState:
    message = f"Endpoint {state.name} was deleted: {closed.reason}."
    return replace(state, live=None).owing(state.news(Kind.ENDPOINT_DELETED, message, closed.number))


def _remembered(closed: tuple[Closed, ...]) -> tuple[Closed, ...]:
    releases = [each.number for each in closed if each.is_release][-RELEASES_REMEMBERED:]
    others = [each.number for each in closed if not each.is_release][-OTHERS_REMEMBERED:]
    kept = {*releases, *others}
    return tuple(each for each in closed if each.number in kept)
