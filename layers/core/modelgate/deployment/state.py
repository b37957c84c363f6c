"""What is remembered of an endpoint, and how it changes.

A frozen value, and transitions that return the next one. Nothing here calls anything.
"""

from __future__ import annotations

from dataclasses import field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from modelgate.announcements import Announcement, Kind, id_of
from modelgate.deployment import outcomes
from modelgate.deployment.facts import (
    Asked,
    Attempt,
    Block,
    Closed,
    Decision,
    Failure,
    Outcome,
    Sighting,
    Suspect,
    Target,
    Tending,
    Upkeep,
)
from modelgate.effects import Announce, Effect
from modelgate.policy import DeploymentPolicy
from modelgate.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping

    from modelgate.deployment.container_log import LogExcerpt

SIGHTINGS_REMEMBERED = 200
TOLD_REMEMBERED = 20


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
        policy: the group's present policy, as it was accepted last; None if that names another endpoint.
        policy_is_own: whether that is the group's own, and not the default one.
        pin: a version that an operator wants here whatever is approved later.
        frozen: whether an operator wants nothing to be deployed.
        retired_at: when an operator wanted the endpoint to be deleted; what was decided before is over.
        adopted: whether somebody else made the endpoint.
        block: what waits for a quota, for capacity, or for a permission.
        suspects: what failed, and may not be to blame.
        made: the names of the models and endpoint configs that attempts made and nobody deleted yet.
        upkeep: the autoscaling, alarms and tags that the endpoint was given last.
        tending: who is changing these, so that nobody knows which there are; None if nobody.
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
    policy: DeploymentPolicy | None = None
    policy_is_own: bool = False
    pin: Decision | None = None
    frozen: bool = False
    retired_at: datetime | None = None
    adopted: bool = False
    block: Block | None = None
    suspects: tuple[Suspect, ...] = ()
    made: tuple[str, ...] = ()
    upkeep: Upkeep = field(default_factory=Upkeep)
    tending: Tending | None = None

    # ── what follows from it ──────────────────────────────────────────────────────────────────
    @property
    def releases(self) -> tuple[Closed, ...]:
        """Newest first."""
        return tuple(closed for closed in reversed(self.closed) if closed.is_release)

    @property
    def release(self) -> Closed | None:
        """The release that serves."""
        return next((each for each in self.releases if each.number == self.live), None)

    def maker_of(self, config: str) -> Closed | None:
        """The newest closed attempt that brought, or was to bring, this endpoint config."""
        return next((each for each in reversed(self.closed) if each.config == config), None)

    def knows(self, config: str) -> bool:
        """Whether this endpoint config was made for this endpoint by an attempt."""
        return self.maker_of(config) is not None or (
            self.attempt is not None and self.attempt.config == config
        )

    def has_failed(self, target: Target) -> bool:
        return any(
            (each.version, each.decided_at) == (target.version, target.decided_at)
            and each.policy == target.policy.digest
            for each in self.failures
        )

    @property
    def wanted(self) -> Decision | None:
        """The decision that counts: the pinned one before the last one; none that came before retiring."""
        decision = self.pin or self.decision
        return decision if decision and not self.is_over(decision.approved_at) else None

    def is_over(self, decided_at: datetime) -> bool:
        """Whether what was decided then ended with the endpoint's retirement."""
        return self.retired_at is not None and decided_at <= self.retired_at

    def candidates(self, serving: str = "") -> Iterator[Target]:
        """What may be desired, best first: the pinned and the last decision, the way back, and what serves.

        Args:
            serving: the endpoint config that serves. An attempt that was superseded may have brought it.
        """
        if self.policy is None:
            return
        for decision in (self.pin, self.decision):
            if decision and not self.is_over(decision.approved_at):
                yield Target(decision.version, decision.approved_at, self.policy, decision.by)
        for release in self.releases:
            if release.target and not self.is_over(release.target.decided_at):
                yield replace(release.target, policy=self.policy)
                yield release.target
        serves = self.maker_of(serving)
        if serves and serves.target and not self.is_over(serves.target.decided_at):
            yield serves.target

    def is_forward(self, target: Target) -> bool:
        """Whether it carries out a decision under the present policy, and does not go back."""
        decided = {decision.version for decision in (self.pin, self.decision) if decision}
        same_policy = self.policy is not None and self.policy.digest == target.policy.digest
        return target.version in decided and same_policy

    def has_carried(self, policy: str) -> bool:
        """Whether a release went live under the policy with this digest."""
        return any(release.target and release.target.policy.digest == policy for release in self.releases)

    def has_let_down(self, policy: str) -> bool:
        """Whether a version that had been live failed under the policy with this digest."""
        return any(failure.policy == policy and not failure.first_way for failure in self.failures)

    @property
    def unexcused(self) -> tuple[Suspect, ...]:
        """The suspects that nothing speaks for: their policy is the present one, and has not let us down."""
        present = self.policy.digest if self.policy else ""
        return tuple(
            each for each in self.suspects if each.policy == present and not self.has_let_down(present)
        )

    def is_blocked(self, target: Target, now: datetime) -> bool:
        return self.block is not None and self.block.target.asks_like(target) and now < self.block.until

    def superfluous(self, serving: str) -> tuple[str, ...]:
        """The names of what attempts made that neither serves, nor is tried, nor is kept by the policy."""
        if self.policy is None and self.retired_at is None:
            return ()
        releases = 0 if self.policy is None else self.policy.keep_releases
        kept = {serving, *(release.config for release in self.releases[:releases])}
        if self.attempt:
            kept.add(self.attempt.config)
        if self.retired_at and not serving:
            kept = set()
        return tuple(name for name in self.made if name not in kept)

    # ── decisions ─────────────────────────────────────────────────────────────────────────────
    def sighted(self, version: int, *, approved: bool, at: datetime) -> EndpointState:
        """An event told of an approval, or of something that is none."""
        before = self.sighting(version)
        if approved:
            return self._with(version, replace(before, approved_at=max(at, before.approved_at or at)))
        return self._with(version, replace(before, rejected_at=max(at, before.rejected_at or at)))

    def edited(self, version: int, at: datetime) -> EndpointState:
        """An event told of an edit that left the approval alone."""
        before = self.sighting(version)
        return self._with(version, replace(before, edited_at=max(at, before.edited_at or at)))

    def looked(self, version: int, package_modified_at: datetime) -> EndpointState:
        """The sweep found the version approved."""
        return self._with(version, replace(self.sighting(version), looked_at=package_modified_at))

    def sighting(self, version: int) -> Sighting:
        return self.sightings.get(version, Sighting())

    def approved(self, version: int, package_modified_at: datetime, by: str = "") -> EndpointState:
        """The registry says that this version is approved. It counts if it was decided last."""
        at = self.sighting(version).standing_approval or package_modified_at
        return self.decided_again(version, at, by)

    def decided_again(self, version: int, at: datetime, by: str = "") -> EndpointState:
        """Somebody approved this version, at that time."""
        decision = Decision(version, at, by)
        return replace(self, decision=decision) if decision.newer_than(self.decision) else self

    def approved_since(self, version: int, attempted: datetime) -> datetime | None:
        """When somebody approved a version anew, as events told, since an attempt looked at its package."""
        approval = self.sighting(version).standing_approval
        return approval if approval and approval > attempted else None

    def is_explained(self, version: int, package_modified_at: datetime, attempted: datetime) -> bool:
        """Whether the package's time is the attempt's, or that of an edit: then nobody approved it anew."""
        unmoved = package_modified_at <= attempted
        return unmoved or package_modified_at == self.sighting(version).edited_at

    @property
    def vouched(self) -> Target | None:
        """What the event that ends the open attempt may take for approved without a look at the registry.

        The version was approved when the attempt was opened, and the newest that events told of it is no
        rejection. If there was one, its own event is on its way and takes the version back; where that is
        lost, the sweep looks. An attempt that carries no smoke test vouches for nothing: to find that, its
        package has to be described anyway.
        """
        attempt = self.attempt
        if attempt is None or attempt.target is None or not attempt.called or not attempt.smoke_test:
            return None
        return attempt.target if self.sighting(attempt.target.version).tells_of_approval else None

    def has_heard_of(self, version: int) -> bool:
        """Whether an approval or an attempt ever concerned this version here."""
        decided = self.decision is not None and self.decision.version == version
        pinned = self.pin is not None and self.pin.version == version
        return decided or pinned or version in self.sightings or version in self.ever_live

    # ── what operators and policies say ───────────────────────────────────────────────────────
    def governed(self, policy: DeploymentPolicy | None, *, own: bool) -> EndpointState:
        """The group has this policy now; None if its policy names another endpoint."""
        return replace(self, policy=policy, policy_is_own=own)

    def pinned(self, version: int | None, now: datetime, by: str = "") -> EndpointState:
        """A version is wanted here whatever is approved later; None: no longer."""
        return replace(self, pin=Decision(version, now, by) if version else None)

    def freezing(self, *, frozen: bool) -> EndpointState:
        """An operator wants nothing to be deployed, or wants it again."""
        return replace(self, frozen=frozen)

    def adopting(self) -> EndpointState:
        """The endpoint was made by somebody else, and is Modelgate's from now on."""
        return replace(self, adopted=True, told=())

    def retired(self, now: datetime) -> EndpointState:
        """The endpoint is to be deleted, and stays away until something is approved."""
        return replace(self, retired_at=now, pin=None, block=None, suspects=(), frozen=False)

    def retried(self) -> EndpointState:
        """What is blocked, or has failed under the present policy, may be tried again now."""
        wanted = self.wanted
        if wanted is None or self.policy is None:
            return replace(self, block=None)
        failure = Failure(wanted.version, wanted.approved_at, self.policy.digest)
        failures = tuple(each for each in self.failures if each != failure)
        return replace(self, block=None, failures=failures, told=())

    @property
    def is_frozen(self) -> bool:
        return self.frozen or (self.policy is not None and self.policy.frozen)

    # ── attempts ──────────────────────────────────────────────────────────────────────────────
    def opened(self, attempt: Attempt) -> EndpointState:
        if self.attempt is not None:
            raise ValueError(f"attempt {self.attempt.number} of {self.name} is still open")
        made = (*self.made, attempt.config) if attempt.config and not attempt.called else self.made
        block = self.block
        if block and attempt.target and not block.target.asks_like(attempt.target):
            block = None
        return replace(self, attempt=attempt, attempts_made=attempt.number, made=made, block=block, told=())

    def renewed(self, attempt: Attempt) -> EndpointState:
        """The open attempt begins anew, under its number and names, with a new owner."""
        if self.attempt is None or self.attempt.number != attempt.number:
            raise ValueError(f"attempt {attempt.number} of {self.name} is not the open one")
        return replace(self, attempt=attempt)

    def called(self, number: int) -> EndpointState:
        """The call of attempt ``number`` returned; nothing changes if that is no longer the open one."""
        if self.attempt is None or self.attempt.number != number or self.attempt.called:
            return self
        tending = replace(self.tending, owner="") if self.tending else None
        return replace(self, attempt=replace(self.attempt, called=True), tending=tending)

    def smoke_test_undecided(self) -> EndpointState:
        """A smoke test could not be carried out."""
        attempt = self.attempt
        return (
            replace(self, attempt=replace(attempt, smoke_tests=attempt.smoke_tests + 1)) if attempt else self
        )

    def asked(self, number: int, asked: Asked) -> EndpointState:
        """The smoke test of attempt ``number`` was asked, and waits for its answer."""
        if self.attempt is None or self.attempt.number != number:
            return self
        return replace(self, attempt=replace(self.attempt, asked=asked))

    def closed_as(
        self,
        outcome: Outcome,
        reason: str,
        now: datetime,
        *,
        blames_policy: bool = False,
        log: LogExcerpt | None = None,
    ) -> EndpointState:
        """Closes the open attempt: its one outcome, and the effects that are owed for it.

        Args:
            blames_policy: whether SageMaker refused what the policy says, so that no version is to blame.
            log: what its containers wrote last, where they are to blame.
        """
        attempt = self.attempt
        if attempt is None:
            raise ValueError(f"no attempt of {self.name} is open")
        target = attempt.target
        if outcome is Outcome.LIVE and target:
            target = self._credited(target)
        told = log.added_to(reason) if log else reason
        closed = Closed(attempt.number, target, attempt.config, outcome, told, attempt.started_at, now)
        after = replace(self, attempt=None, closed=outcomes.remembered((*self.closed, closed)))
        if target is None:
            return outcomes.deleted(after, closed) if outcome is Outcome.DELETED else after
        if outcome is Outcome.LIVE:
            return outcomes.went_live(after, closed, target)
        if outcome is Outcome.FAILED:
            return outcomes.failed(after, attempt, target, reason, blames_policy=blames_policy, log=log)
        if outcome is Outcome.BLOCKED:
            return outcomes.blocked(after, closed, target, now)
        if outcome is Outcome.SUPERSEDED:
            message = f"Version {target.version} of {self.group} is no longer wanted on endpoint {self.name}."
            news = after.news(Kind.DEPLOYMENT_SUPERSEDED, message, closed.number, version=target.version)
            return after.owing(news)
        return after

    def credited(self, policy: DeploymentPolicy | None = None) -> EndpointState:
        """A decision for what already serves is live at once, and so is a policy that needs no new config."""
        release = self.release
        if release is None or release.target is None:
            return self
        target = self._credited(release.target)
        if policy is not None and policy != target.policy:
            target = replace(target, policy=policy)
        if target == release.target and target.by == release.target.by:
            return self
        closed = tuple(replace(each, target=target) if each is release else each for each in self.closed)
        return replace(self, closed=closed)

    def serving(self, number: int | None) -> EndpointState:
        return self if self.live == number else replace(self, live=number)

    # ── what stands around the endpoint, and what is left over ────────────────────────────────
    def tending_to(self, owner: str, until: datetime, tags: Mapping[str, str]) -> EndpointState:
        """Autoscaling, alarms and tags are about to be changed."""
        # Of tags, too, nobody knows from now on which there are: all of them are remembered.
        upkeep = replace(self.upkeep, tags={**tags, **self.upkeep.tags})
        return replace(self, tending=Tending(owner, until), upkeep=upkeep)

    def tagged(self, tags: dict[str, str]) -> EndpointState:
        """The endpoint is about to be created with these tags."""
        return replace(self, upkeep=replace(self.upkeep, tags=tags)) if tags else self

    def tended(self, upkeep: Upkeep) -> EndpointState:
        return replace(self, upkeep=upkeep, tending=None)

    def pruned(self, names: Iterable[str]) -> EndpointState:
        gone = frozenset(names)
        return replace(self, made=tuple(name for name in self.made if name not in gone))

    # ── effects ───────────────────────────────────────────────────────────────────────────────
    def owing(self, *effects: Effect) -> EndpointState:
        have = {effect.id for effect in self.effects}
        return replace(self, effects=self.effects + tuple(each for each in effects if each.id not in have))

    def blamed(self) -> EndpointState:
        """Nothing is left that could show that the policy was to blame: the suspects are rejected."""
        guilty = self.unexcused
        suspects = tuple(each for each in self.suspects if each not in guilty)
        return replace(self, suspects=suspects).owing(*(suspect.effect for suspect in guilty))

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
    def _with(self, version: int, after: Sighting) -> EndpointState:
        if self.sightings.get(version) == after:
            return self
        sightings = {**self.sightings, version: after}
        while len(sightings) > SIGHTINGS_REMEMBERED:
            del sightings[min(sightings)]
        return replace(self, sightings=sightings)

    def _credited(self, target: Target) -> Target:
        decision = self.decision
        if decision and decision.version == target.version and decision.approved_at > target.decided_at:
            return replace(target, decided_at=decision.approved_at, by=decision.by)
        return target
