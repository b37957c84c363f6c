"""The facts that are remembered of an endpoint: decisions, targets, attempts, and what became of them.

Frozen values; nothing here calls anything.
"""

from __future__ import annotations

from dataclasses import field
from datetime import datetime, timedelta
from enum import StrEnum

from modelgate.effects import Reject
from modelgate.policy import Alarms, Autoscaling, DeploymentPolicy
from modelgate.values import dataclass

# A smoke test that could not be carried out (throttles, time-outs) is tried this often.
SMOKE_TESTS = 10
# An approval, and any other edit, moves a package's time; which of them it was the event tells. It is
# waited for so long before a move that no event explains is taken for an approval.
PATIENCE = timedelta(minutes=15)


@dataclass(frozen=True)
class Decision:
    """An approval: a version, and the time it was approved."""

    version: int
    approved_at: datetime
    by: str = field(default="", compare=False)

    def newer_than(self, other: Decision | None) -> bool:
        """The last decision wins by the time it was made; ties go to the higher version."""
        return other is None or (self.approved_at, self.version) > (other.approved_at, other.version)


@dataclass(frozen=True)
class Sighting:
    """What events, or a look, told of one version; each the newest time.

    Attributes:
        approved_at, rejected_at: of approvals, and of anything that is none.
        edited_at: of edits that left the approval alone.
        looked_at: when the package was last modified, as the sweep saw it approved.
    """

    approved_at: datetime | None = None
    rejected_at: datetime | None = None
    edited_at: datetime | None = None
    looked_at: datetime | None = None

    @property
    def tells_of_approval(self) -> bool:
        """Whether the approval that the registry shows is known: nothing newer took it away."""
        seen = [at for at in (self.approved_at, self.looked_at) if at]
        return bool(seen) and (self.rejected_at is None or max(seen) > self.rejected_at)

    @property
    def standing_approval(self) -> datetime | None:
        """The newest approval that an event told of, unless a rejection is newer."""
        at = self.approved_at
        return at if at and (self.rejected_at is None or at > self.rejected_at) else None


@dataclass(frozen=True)
class Target:
    """A version under a policy, and the approval that asks for it."""

    version: int
    decided_at: datetime
    policy: DeploymentPolicy
    by: str = field(default="", compare=False)

    def serves_like(self, other: Target) -> bool:
        return (self.version, self.policy.digest) == (other.version, other.policy.digest)

    def asks_like(self, other: Target) -> bool:
        """Whether it is the same version under the same policy, for the same approval."""
        return self.serves_like(other) and self.decided_at == other.decided_at


@dataclass(frozen=True)
class Upkeep:
    """What stands around an endpoint, and changes without a new endpoint config."""

    autoscaling: Autoscaling | None = None
    alarms: Alarms | None = None
    tags: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, policy: DeploymentPolicy) -> Upkeep:
        return cls(policy.autoscaling, policy.alarms, policy.tags)


@dataclass(frozen=True)
class Tending:
    """Autoscaling, alarms and tags are being changed; when the owner is gone they are changed again.

    Attributes:
        owner: the invocation that is at it; empty once its attempt was called.
        until: when Lambda ends that invocation.
    """

    owner: str
    until: datetime


@dataclass(frozen=True)
class Block:
    """What cannot be had for the moment (a quota, capacity, a permission), and when it is tried again.

    Attributes:
        target: what was tried.
        reason: what AWS said.
        tries: how often.
        since: the first time.
        until: not before.
    """

    target: Target
    reason: str
    tries: int
    since: datetime
    until: datetime


@dataclass(frozen=True)
class Suspect:
    """A version that failed on its first way, under a policy that nothing has been live under yet.

    Either may be to blame. What served before is tried under that policy next: if it fails as well, the
    policy is, until something goes live under it after all.
    """

    effect: Reject
    policy: str


@dataclass(frozen=True)
class Asked:
    """A smoke test that an asynchronous endpoint answers later, in the bucket.

    Attributes:
        at: when it was asked.
        answer, failure: the keys where the one or the other will lie.
    """

    at: datetime
    answer: str
    failure: str


@dataclass(frozen=True)
class Failure:
    """What has failed is not tried again: this version, under this approval and this policy."""

    version: int
    decided_at: datetime
    policy: str
    first_way: bool = field(default=True, compare=False)


@dataclass(frozen=True)
class Attempt:
    """One numbered try to move an endpoint to a version under a policy, or to delete it.

    Attributes:
        number: counts up for each endpoint, and is never reused.
        target: where to; None to delete the endpoint.
        config: the endpoint config that the attempt is to bring into service.
        owner: the invocation that is at it.
        started_at: when that invocation began it.
        owned_until: when Lambda ends that invocation; from then on the attempt has no owner.
        package_modified_at: the package's LastModifiedTime as it was then.
        first_way: whether the version had never been live.
        called: whether CreateEndpoint, UpdateEndpoint or DeleteEndpoint returned.
        smoke_tests: how many smoke tests could not be carried out.
        asked: the smoke test that waits for its answer, on an asynchronous endpoint.
        forward: whether it carries out a decision; going back is all at once, and unguarded.
        smoke_test: the version's, as its package carries it; empty where the manifest has to be read for it.
    """

    number: int
    target: Target | None
    config: str
    owner: str
    started_at: datetime
    owned_until: datetime
    package_modified_at: datetime | None = None
    first_way: bool = False
    called: bool = False
    smoke_tests: int = 0
    asked: Asked | None = None
    forward: bool = True
    smoke_test: str = ""


class Outcome(StrEnum):
    """How an attempt ended. Each has exactly one."""

    LIVE = "live"
    FAILED = "failed"
    SUPERSEDED = "superseded"
    ABANDONED = "abandoned"
    BLOCKED = "blocked"
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
