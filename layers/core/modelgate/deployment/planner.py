"""`plan(state, observed, wish, …) -> steps`: what to do next about an endpoint. Pure.

`desire` says what is wanted, `plan` how to get a step nearer. The rows of the table in
docs/architecture.md are the branches here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum

from modelgate.announcements import Kind
from modelgate.deployment.facts import (
    SMOKE_TESTS,
    Attempt,
    Closed,
    Outcome,
    Target,
    Tending,
    Upkeep,
)
from modelgate.deployment.state import EndpointState
from modelgate.policy import Alarms, DeploymentPolicy, Rollout
from modelgate.registry.package import ModelPackage
from modelgate.values import dataclass


# ── what is there ─────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True)
class Endpoint:
    """An endpoint as SageMaker has it now.

    Attributes:
        status: the API's EndpointStatus.
        config: the endpoint config that it serves, or was to be created with.
        failure_reason: FailureReason, empty where there is none.
        lacks_capacity: whether AWS says there that it has no such instances, or that a quota is reached.
        ours: whether an attempt made its config, or it carries the stack's tag.
    """

    status: str
    config: str
    failure_reason: str = ""
    lacks_capacity: bool = False
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
    RETIRED = "it was retired, and nothing was approved since"
    FROZEN = "it is frozen"
    NO_POLICY = "the group's policy names another endpoint"


Wish = Target | Nothing


def desire(
    state: EndpointState,
    packages: Mapping[int, ModelPackage | None],
    serving: str = "",
    vouched: Target | None = None,
) -> Wish | Undetermined:
    """What the endpoint should serve: the first candidate that is approved and has not failed.

    Args:
        state: what is remembered.
        packages: by version, what the registry has; None for one that is gone.
        serving: the endpoint config that serves, if one does.
        vouched: what is taken for approved without a look, as long as exactly that is asked for; see
            `EndpointState.vouched`.
    """
    if state.retired_at and state.wanted is None:
        return _as_it_is(state, Nothing.RETIRED)
    if state.policy is None:
        return _as_it_is(state, Nothing.NO_POLICY)
    if state.is_frozen:
        return _as_it_is(state, Nothing.FROZEN)
    promising = (each for each in state.candidates(serving) if not _is_hopeless(state, each))
    found = _first_approved(promising, packages, vouched)
    if found:
        return found
    # Whether what cannot be had is approved matters only for what is told.
    hopeless = (each for each in state.candidates(serving) if _is_hopeless(state, each))
    tried = _first_approved(hopeless, packages)
    if isinstance(tried, Undetermined):
        return tried
    return Nothing.ALL_FAILED if tried else Nothing.NOTHING_APPROVED


def _first_approved(
    targets: Iterable[Target], packages: Mapping[int, ModelPackage | None], vouched: Target | None = None
) -> Target | Undetermined | None:
    for target in targets:
        if target.version in packages:
            package = packages[target.version]
            if package is not None and package.approved:
                return target
        elif vouched is not None and target.asks_like(vouched):
            return target
        else:
            return Undetermined(target.version)
    return None


def _is_hopeless(state: EndpointState, target: Target) -> bool:
    return state.has_failed(target) or _is_closed_way_back(state, target)


def _as_it_is(state: EndpointState, why: Nothing) -> Wish:
    """What SageMaker is moving to already comes to its end; nothing else is begun."""
    attempt = state.attempt
    return attempt.target if attempt and attempt.target and attempt.called else why


def _is_closed_way_back(state: EndpointState, target: Target) -> bool:
    """SageMaker makes a serverless endpoint one of instances, and never the other way round."""
    live = state.release.target if state.release else None
    return bool(live and live.policy.instances and target.policy.serverless)


# ── what to do ────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True)
class Close:
    """Close the open attempt with its outcome.

    Attributes:
        of_containers: whether its containers are to blame, so that their log may say more.
    """

    outcome: Outcome
    reason: str
    of_containers: bool = False


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
    """Note which release serves, credit its version's newest decision, and keep its policy as it is now."""

    release: int | None
    policy: DeploymentPolicy | None = None


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
    """UpdateEndpoint to the open attempt's config, and mark the attempt called.

    Attributes:
        rollout: how the traffic is shifted; None to shift all at once.
        alarms: what rolls the update back; None for nothing. An alarm that stands in ALARM already would
            roll back whatever comes: it is left out when the call is made.
        keeps_counts: whether the instances that autoscaling has set are kept.
    """

    rollout: Rollout | None = None
    alarms: Alarms | None = None
    keeps_counts: bool = False


@dataclass(frozen=True)
class PutAlarms:
    """Make or change the alarms that the update is to be watched by."""

    alarms: Alarms


@dataclass(frozen=True)
class SuspendScaling:
    """Deregister the scalable target: SageMaker changes no instance type under one."""


@dataclass(frozen=True)
class Tend:
    """Register the autoscaling, put the alarms and the tags; or take away what is there no longer."""

    upkeep: Upkeep


@dataclass(frozen=True)
class Prune:
    """Delete the models and endpoint configs of these names."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class Blame:
    """Reject the suspects: nothing is left that could show that the policy was to blame."""


@dataclass(frozen=True)
class DeleteEndpoint:
    """DeleteEndpoint, and mark the attempt called."""


@dataclass(frozen=True)
class SmokeTest:
    """Invoke the endpoint as the manifest says, and close the attempt with what came of it."""


@dataclass(frozen=True)
class AskSmokeTest:
    """Ask an asynchronous endpoint; the event of its answer goes on."""


@dataclass(frozen=True)
class ReadSmokeTest:
    """Look whether the answer is there, and close the attempt with what came of it."""


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
    | PutAlarms
    | SuspendScaling
    | UpdateEndpoint
    | DeleteEndpoint
    | SmokeTest
    | AskSmokeTest
    | ReadSmokeTest
    | Tend
    | Prune
    | Blame
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
    """

    invocation: str
    now: datetime

    def is_anothers(self, attempt: Attempt) -> bool:
        """Whether another invocation may still be about to make the attempt's call."""
        return not attempt.called and self._is_at_it(attempt.owner, attempt.owned_until)

    def is_tended(self, tending: Tending | None) -> bool:
        """Whether another invocation may still be changing what stands around the endpoint."""
        return tending is not None and self._is_at_it(tending.owner, tending.until)

    def _is_at_it(self, owner: str, until: datetime) -> bool:
        return owner not in {"", self.invocation} and self.now < until


_SUPERSEDED = Close(Outcome.SUPERSEDED, "something else is desired by now")


def plan(state: EndpointState, endpoint: Endpoint | None, wish: Wish, moment: Moment) -> Steps:
    """The next steps for an endpoint; none when all is as it should be, or SageMaker is at work.

    Each plan ends where the world has to be looked at again, so whoever carries it out plans anew
    until nothing is left to do.
    """
    if endpoint and not endpoint.ours:
        return _foreign(state, wish)
    if endpoint and endpoint.status in MOVING:
        return _moving(endpoint, state, wish)
    if endpoint and endpoint.status in BEYOND_REPAIR:
        return _beyond_repair(endpoint, state)
    if moment.is_tended(state.tending):
        return (ComeBack("another invocation is changing autoscaling, alarms or tags"),)
    if endpoint is None:
        return _absent(state, wish, moment)
    if endpoint.status == "Failed":
        return _broken(endpoint, state, wish, moment)
    if state.attempt is None:
        return _settled(endpoint, state, wish, moment)
    return _arriving(endpoint, state, wish, state.attempt, moment)


# ── there is none ─────────────────────────────────────────────────────────────────────────────────
def _absent(state: EndpointState, wish: Wish, moment: Moment) -> Steps:
    create: Steps = (MakeModel(), MakeConfig(), CreateEndpoint())
    attempt = state.attempt
    if attempt is None:
        left_over = _cleared_away(state)
        if not isinstance(wish, Target):
            return (*left_over, *_judged(state, wish))
        if state.is_blocked(wish, moment.now):
            return left_over
        return (*left_over, Open(wish), *create)
    if attempt.target is None:
        return (Close(Outcome.DELETED, "as planned"),)
    if attempt.called:
        return (Close(Outcome.ABANDONED, "the endpoint is gone"),)
    if moment.is_anothers(attempt):
        return (_another_invocation(attempt),)
    if isinstance(wish, Target) and wish.serves_like(attempt.target):
        return (Renew(wish), *create)
    return (_SUPERSEDED,)


def _cleared_away(state: EndpointState) -> Steps:
    """What stood around an endpoint that is gone, and what was made for it."""
    steps: list[Step] = []
    if state.live is not None:
        steps.append(Serving(None))
    if state.tending or state.upkeep != Upkeep():
        steps.append(Tend(Upkeep()))
    return (*steps, *_pruned(state, ""))


# ── it is not ours, or not in our hands ───────────────────────────────────────────────────────────
def _foreign(state: EndpointState, wish: Wish) -> Steps:
    if not isinstance(wish, Target):
        return ()
    message = (
        f"Version {wish.version} of {state.group} is approved, and an endpoint {state.name} exists that "
        f"Modelgate did not make: have it taken over with `modelgate adopt {state.name}`, delete it, or name "
        "another in deployment.endpoint of the group's policy."
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


def _broken(endpoint: Endpoint, state: EndpointState, wish: Wish, moment: Moment) -> Steps:
    attempt = state.attempt
    delete: Steps = () if state.is_frozen else (OpenDeletion(), DeleteEndpoint())
    if attempt is None:
        return delete
    if attempt.target is None and moment.is_anothers(attempt):
        return (_another_invocation(attempt),) if isinstance(wish, Target) else ()
    if attempt.target is None:
        return (Renew(None), DeleteEndpoint())
    if attempt.called or attempt.config == endpoint.config:
        return (_failure(endpoint, "it could not be created"), *delete)
    if moment.is_anothers(attempt):
        return (_another_invocation(attempt),)
    return (Close(Outcome.ABANDONED, "the endpoint had failed before"), *delete)


def _failure(endpoint: Endpoint, what: str) -> Close:
    """What AWS lacks says nothing about the version."""
    reason = endpoint.failure_reason or "SageMaker gives no reason; the container's log may"
    if endpoint.lacks_capacity:
        return Close(Outcome.BLOCKED, reason)
    return Close(Outcome.FAILED, f"{what}: {reason}", of_containers=True)


# ── in service, and nothing is under way ──────────────────────────────────────────────────────────
def _settled(endpoint: Endpoint, state: EndpointState, wish: Wish, moment: Moment) -> Steps:
    serves = state.maker_of(endpoint.config)
    if not isinstance(wish, Target):
        return _unwanted(endpoint, serves, state, wish)
    if serves and serves.target and serves.target.serves_like(wish):
        if serves.is_release:
            return (Serving(serves.number, wish.policy), *_kept(endpoint, state, wish.policy))
        return (Open(wish, endpoint.config),)
    if state.is_blocked(wish, moment.now):
        return _stays(endpoint, serves, state)
    if serves and serves.target and serves.target.policy.instances and wish.policy.serverless:
        return (*_stays(endpoint, serves, state), _never_serverless(state, wish))
    return (Open(wish), MakeModel(), MakeConfig(), *_update(state, serves, wish))


def _update(state: EndpointState, serves: Closed | None, wish: Target) -> Steps:
    """The way from what serves to what is wanted."""
    before = serves.target.policy if serves and serves.target else None
    forward = state.is_forward(wish)
    scaled = state.tending is not None or state.upkeep.autoscaling is not None
    # A count that somebody has changed in the policy is meant; any other was set by autoscaling.
    same_count = before is not None and _count(before) == _count(wish.policy)
    update = UpdateEndpoint(
        rollout=wish.policy.rollout if forward else None,
        alarms=wish.policy.alarms if forward else None,
        keeps_counts=scaled and same_count and wish.policy.autoscaling is not None,
    )
    steps: list[Step] = []
    if update.alarms and (state.tending or state.upkeep.alarms != update.alarms):
        steps.append(PutAlarms(update.alarms))
    if scaled and (before is None or _machine(before) != _machine(wish.policy)):
        steps.append(SuspendScaling())
    return (*steps, update)


def _machine(policy: DeploymentPolicy) -> str | None:
    return policy.instances.type if policy.instances else None


def _count(policy: DeploymentPolicy) -> int | None:
    return policy.instances.count if policy.instances else None


def _kept(endpoint: Endpoint, state: EndpointState, policy: DeploymentPolicy) -> Steps:
    """What stands around what serves is as its policy says, and nothing is left over."""
    upkeep = Upkeep.of(policy)
    tend: Steps = (Tend(upkeep),) if state.tending or state.upkeep != upkeep else ()
    return (*tend, *_pruned(state, endpoint.config))


def _stays(endpoint: Endpoint, serves: Closed | None, state: EndpointState) -> Steps:
    """What serves goes on serving, as it did."""
    release = Serving(serves.number if serves and serves.is_release else None)
    if serves and serves.target:
        return (release, *_kept(endpoint, state, serves.target.policy))
    return (release, *_pruned(state, endpoint.config))


def _pruned(state: EndpointState, serving: str) -> Steps:
    if serving and not state.knows(serving):
        return ()  # there may be a newer item, and in it releases that this one does not know
    names = state.superfluous(serving)
    return (Prune(names),) if names else ()


def _unwanted(endpoint: Endpoint, serves: Closed | None, state: EndpointState, why: Nothing) -> Steps:
    if why in {Nothing.NO_POLICY, Nothing.FROZEN}:
        return _stays(endpoint, serves, state)
    if why is Nothing.RETIRED:
        return (OpenDeletion(), DeleteEndpoint())
    blame = _judged(state, why)
    delete = state.policy is not None and state.policy.when_nothing_is_approved == "delete"
    if not state.releases and not state.adopted:
        return (*blame, OpenDeletion(), DeleteEndpoint())
    if delete and why is Nothing.NOTHING_APPROVED:
        return (*blame, OpenDeletion(), DeleteEndpoint())
    version = serves.target.version if serves and serves.target else "none that is known"
    message = (
        f"Endpoint {state.name} keeps serving version {version} of {state.group}, though {why}: "
        "approve a version, or delete the endpoint with `modelgate retire`."
    )
    tell = Tell(Kind.NOTHING_TO_SERVE, message, f"{why.name}:{state.attempts_made}")
    return (*blame, *_stays(endpoint, serves, state), tell)


def _judged(state: EndpointState, why: Nothing) -> Steps:
    open_question = state.unexcused and why in {Nothing.NOTHING_APPROVED, Nothing.ALL_FAILED}
    return (Blame(),) if open_question else ()


def _never_serverless(state: EndpointState, wish: Target) -> Tell:
    message = (
        f"Endpoint {state.name} runs on instances, and SageMaker never makes such an endpoint serverless: "
        "name another in deployment.endpoint of the policy, then "
        f"`modelgate retire {state.group} --endpoint {state.name}`."
    )
    return Tell(Kind.DEPLOYMENT_REFUSED, message, f"serverless:{wish.policy.digest}")


# ── in service, and an attempt is open ────────────────────────────────────────────────────────────
def _arriving(
    endpoint: Endpoint, state: EndpointState, wish: Wish, attempt: Attempt, moment: Moment
) -> Steps:
    if attempt.target is None:
        return _deleting(wish, attempt, moment)
    wanted = isinstance(wish, Target) and wish.serves_like(attempt.target)
    if attempt.config == endpoint.config:
        return _arrived(attempt, attempt.target) if wanted else (_SUPERSEDED,)
    if attempt.called:
        return (_failure(endpoint, "SageMaker rolled the update back"),)
    if moment.is_anothers(attempt):
        return (_another_invocation(attempt),)
    if isinstance(wish, Target) and wanted:
        serves = state.maker_of(endpoint.config)
        return (Renew(wish), MakeModel(), MakeConfig(), *_update(state, serves, wish))
    return (_SUPERSEDED,)


def _arrived(attempt: Attempt, target: Target) -> Steps:
    if attempt.smoke_tests >= SMOKE_TESTS:
        return (Close(Outcome.FAILED, f"{SMOKE_TESTS} smoke tests in a row were throttled or timed out"),)
    if target.policy.asynchronous is None:
        return (SmokeTest(),)
    if attempt.asked is None:
        return (AskSmokeTest(),)
    return (ReadSmokeTest(),)


def _deleting(wish: Wish, attempt: Attempt, moment: Moment) -> Steps:
    if attempt.called:
        return (Close(Outcome.ABANDONED, "the endpoint is in service again"),)
    if moment.is_anothers(attempt):
        return (_another_invocation(attempt),)
    wanted = isinstance(wish, Nothing) and wish not in {Nothing.FROZEN, Nothing.NO_POLICY}
    return (Renew(None), DeleteEndpoint()) if wanted else (_SUPERSEDED,)


def _another_invocation(attempt: Attempt) -> ComeBack:
    return ComeBack(
        f"attempt {attempt.number} was opened moments ago, by an invocation that may still be at it"
    )
