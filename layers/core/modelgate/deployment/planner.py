"""`plan(state, observed, wish, …) -> steps`: what to do next about an endpoint. Pure.

`desire` says what is wanted, `plan` how to get a step nearer. The rows of the table in
docs/architecture.md are the branches here. Rollout strategies, alarms and autoscaling will be steps
between `MakeConfig` and `MarkCalled`; pruning will be an effect of every outcome.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from modelgate.announcements import Kind
from modelgate.deployment.state import SMOKE_TESTS, Attempt, Closed, EndpointState, Outcome, Target
from modelgate.policy import DeploymentPolicy
from modelgate.registry.package import ModelPackage


# ── what is there ─────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True)
class Endpoint:
    """An endpoint as SageMaker has it now.

    Attributes:
        status: the API's EndpointStatus.
        config: the endpoint config that it serves, or was to be created with.
        failure_reason: FailureReason, empty where there is none.
        ours: whether an attempt made its config, or it carries the stack's tag.
    """

    status: str
    config: str
    failure_reason: str = ""
    ours: bool = True


MOVING = frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"})
BEYOND_REPAIR = frozenset({"OutOfService", "UpdateRollbackFailed"})


# ── what is wanted ────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True)
class Undetermined:
    """Whether this version is approved has to be looked up first."""

    version: int


class Nothing(StrEnum):
    """Why no version is desired."""

    NOTHING_APPROVED = "no version is approved that could be served"
    ALL_FAILED = "every approved version has failed"
    NO_POLICY = "its policy cannot be used"


Wish = Target | Nothing


def desire(
    state: EndpointState, packages: Mapping[int, ModelPackage | None], policy: DeploymentPolicy | None
) -> Wish | Undetermined:
    """What the endpoint should serve: the first candidate that is approved and has not failed.

    Args:
        state: what is remembered.
        packages: by version, what the registry has; None for one that is gone.
        policy: the group's present policy. Without one (it is missing or wrong) whatever is under
            way, or else what serves, stays desired: a bad policy moves nothing.
    """
    if policy is None:
        return _as_it_is(state)
    any_approved = False
    for target in state.candidates(policy):
        if target.version not in packages:
            return Undetermined(target.version)
        package = packages[target.version]
        if package is None or not package.approved:
            continue
        any_approved = True
        if not state.has_failed(target):
            return target
    return Nothing.ALL_FAILED if any_approved else Nothing.NOTHING_APPROVED


def _as_it_is(state: EndpointState) -> Wish:
    if state.attempt and state.attempt.target:
        return state.attempt.target
    if state.release and state.release.target:
        return state.release.target
    return Nothing.NO_POLICY


# ── what to do ────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True)
class Close:
    """Close the open attempt with its outcome."""

    outcome: Outcome
    reason: str


@dataclass(frozen=True)
class Open:
    """Write down an attempt for a target. With ``config``, that config serves already."""

    target: Target
    config: str | None = None


@dataclass(frozen=True)
class OpenDeletion:
    """Write down an attempt to delete the endpoint."""


@dataclass(frozen=True)
class Renew:
    """Take over the open attempt, whose owner is gone; with the decision that asks for it by now."""

    target: Target | None


@dataclass(frozen=True)
class Serving:
    """Note which release serves, and credit its version's newest decision."""

    release: int | None


@dataclass(frozen=True)
class MakeModel:
    """CreateModel for the open attempt."""


@dataclass(frozen=True)
class MakeConfig:
    """CreateEndpointConfig for the open attempt."""


@dataclass(frozen=True)
class CreateEndpoint:
    """CreateEndpoint with the open attempt's config, and mark the attempt called."""


@dataclass(frozen=True)
class UpdateEndpoint:
    """UpdateEndpoint to the open attempt's config, and mark the attempt called."""


@dataclass(frozen=True)
class DeleteEndpoint:
    """DeleteEndpoint, and mark the attempt called."""


@dataclass(frozen=True)
class SmokeTest:
    """Invoke the endpoint as the manifest says, and close the attempt with what came of it."""


@dataclass(frozen=True)
class Tell:
    """Tell the operator, once."""

    kind: Kind
    message: str
    about: str


@dataclass(frozen=True)
class ComeBack:
    """There is something to do, but not now and not by this invocation."""

    reason: str


Step = (
    Close
    | Open
    | OpenDeletion
    | Renew
    | Serving
    | MakeModel
    | MakeConfig
    | CreateEndpoint
    | UpdateEndpoint
    | DeleteEndpoint
    | SmokeTest
    | Tell
    | ComeBack
)
Steps = tuple[Step, ...]


@dataclass(frozen=True)
class Moment:
    """The invocation that plans.

    Attributes:
        invocation: its id; Lambda's retries of an event keep it.
        now: the time.
        time_limit_seconds: after so long an invocation is over.
    """

    invocation: str
    now: datetime
    time_limit_seconds: float

    def is_anothers(self, attempt: Attempt) -> bool:
        """Whether another invocation may still be about to make the attempt's call."""
        if attempt.called or attempt.owner == self.invocation:
            return False
        return (self.now - attempt.started_at).total_seconds() < self.time_limit_seconds


_SUPERSEDED = Close(Outcome.SUPERSEDED, "something else is desired by now")


def plan(state: EndpointState, endpoint: Endpoint | None, wish: Wish, moment: Moment) -> Steps:
    """The next steps for an endpoint; none when all is as it should be, or SageMaker is at work.

    Each plan ends where the world has to be looked at again, so whoever carries it out plans anew
    until nothing is left to do.
    """
    if endpoint is None:
        return _absent(state, wish, moment)
    if not endpoint.ours:
        return _foreign(state, wish)
    if endpoint.status in MOVING:
        return _moving(endpoint, state, wish)
    if endpoint.status in BEYOND_REPAIR:
        return _beyond_repair(endpoint, state)
    if endpoint.status == "Failed":
        return _broken(endpoint, state, moment)
    if state.attempt is None:
        return _settled(endpoint, state, wish)
    return _arriving(endpoint, wish, state.attempt, moment)


def _absent(state: EndpointState, wish: Wish, moment: Moment) -> Steps:
    create: Steps = (MakeModel(), MakeConfig(), CreateEndpoint())
    attempt = state.attempt
    if attempt is None:
        gone: Steps = (Serving(None),) if state.live is not None else ()
        return (*gone, Open(wish), *create) if isinstance(wish, Target) else gone
    if attempt.target is None:
        return (Close(Outcome.DELETED, "as planned"),)
    if attempt.called:
        return (Close(Outcome.ABANDONED, "the endpoint is gone"),)
    if moment.is_anothers(attempt):
        return (_another_invocation(attempt),)
    if isinstance(wish, Target) and wish.serves_like(attempt.target):
        return (Renew(wish), *create)
    return (_SUPERSEDED,)


def _foreign(state: EndpointState, wish: Wish) -> Steps:
    if not isinstance(wish, Target):
        return ()
    message = (
        f"Version {wish.version} of {state.group} is approved, and an endpoint {state.name} exists that "
        "Modelgate did not make: delete it, or name another in deployment.endpoint of the group's policy."
    )
    return (Tell(Kind.DEPLOYMENT_REFUSED, message, f"foreign:{wish.version}:{wish.decided_at.isoformat()}"),)


def _moving(endpoint: Endpoint, state: EndpointState, wish: Wish) -> Steps:
    # AWS documents no event for a deletion that completes, so nothing else would come back for this.
    if endpoint.status == "Deleting" and isinstance(wish, Target):
        return (
            ComeBack(f"endpoint {state.name} is being deleted, and version {wish.version} is to be created"),
        )
    return ()


def _beyond_repair(endpoint: Endpoint, state: EndpointState) -> Steps:
    why = f": {endpoint.failure_reason}" if endpoint.failure_reason else ""
    message = (
        f"Endpoint {state.name} is {endpoint.status}, which only a person can mend{why}. "
        "Modelgate touches nothing until it is mended."
    )
    return (Tell(Kind.PERSON_NEEDED, message, f"{endpoint.status}:{endpoint.config}"),)


def _broken(endpoint: Endpoint, state: EndpointState, moment: Moment) -> Steps:
    attempt = state.attempt
    if attempt is None:
        return (OpenDeletion(), DeleteEndpoint())
    if attempt.target is None:
        return (
            (_another_invocation(attempt),)
            if moment.is_anothers(attempt)
            else (Renew(None), DeleteEndpoint())
        )
    if attempt.called or attempt.config == endpoint.config:
        reason = endpoint.failure_reason or "SageMaker gives no reason"
        return (Close(Outcome.FAILED, reason), OpenDeletion(), DeleteEndpoint())
    if moment.is_anothers(attempt):
        return (_another_invocation(attempt),)
    return (Close(Outcome.ABANDONED, "the endpoint had failed before"), OpenDeletion(), DeleteEndpoint())


def _settled(endpoint: Endpoint, state: EndpointState, wish: Wish) -> Steps:
    serves = state.made(endpoint.config)
    if not isinstance(wish, Target):
        return _unwanted(serves, state, wish)
    if serves and serves.target and serves.target.serves_like(wish):
        if serves.is_release:
            return (Serving(serves.number),)
        return (Open(wish, endpoint.config),)
    return (Open(wish), MakeModel(), MakeConfig(), UpdateEndpoint())


def _unwanted(serves: Closed | None, state: EndpointState, why: Nothing) -> Steps:
    if why is Nothing.NO_POLICY:
        return ()
    if not state.releases:
        return (OpenDeletion(), DeleteEndpoint())
    release = (Serving(serves.number),) if serves and serves.is_release else ()
    version = serves.target.version if serves and serves.target else "none that is known"
    message = (
        f"Endpoint {state.name} keeps serving version {version} of {state.group}, though {why}: "
        "approve a version, or delete the endpoint."
    )
    return (*release, Tell(Kind.NOTHING_TO_SERVE, message, f"{why.name}:{state.attempts_made}"))


def _arriving(endpoint: Endpoint, wish: Wish, attempt: Attempt, moment: Moment) -> Steps:
    if attempt.target is None:
        return _deleting(wish, attempt, moment)
    wanted = isinstance(wish, Target) and wish.serves_like(attempt.target)
    if attempt.config == endpoint.config:
        return _arrived(attempt) if wanted else (_SUPERSEDED,)
    if attempt.called:
        reason = endpoint.failure_reason or "SageMaker gives no reason; the container's log may"
        return (Close(Outcome.FAILED, f"SageMaker rolled the update back: {reason}"),)
    if moment.is_anothers(attempt):
        return (_another_invocation(attempt),)
    if isinstance(wish, Target) and wanted:
        return (Renew(wish), MakeModel(), MakeConfig(), UpdateEndpoint())
    return (_SUPERSEDED,)


def _arrived(attempt: Attempt) -> Steps:
    if attempt.smoke_tests >= SMOKE_TESTS:
        return (Close(Outcome.FAILED, f"{SMOKE_TESTS} smoke tests in a row were throttled or timed out"),)
    return (SmokeTest(),)


def _deleting(wish: Wish, attempt: Attempt, moment: Moment) -> Steps:
    if attempt.called:
        return (Close(Outcome.ABANDONED, "the endpoint is in service again"),)
    if moment.is_anothers(attempt):
        return (_another_invocation(attempt),)
    return (Renew(None), DeleteEndpoint()) if isinstance(wish, Nothing) else (_SUPERSEDED,)


def _another_invocation(attempt: Attempt) -> ComeBack:
    return ComeBack(
        f"attempt {attempt.number} was opened moments ago, by an invocation that may still be at it"
    )
