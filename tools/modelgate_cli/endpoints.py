"""What is known of endpoints: what is wanted and why, what serves, what was tried."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from rich.text import Text

from modelgate.deployment.planner import Nothing, Undetermined, Wish, desire
from modelgate.errors import Refused
from modelgate_cli.complaints import Complaint
from modelgate_cli.screen import duration, moment, sentence, table

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from modelgate.deployment.facts import Attempt, Block, Closed, Decision, Target
    from modelgate.deployment.planner import Endpoint
    from modelgate.deployment.state import EndpointState
    from modelgate.registry.package import ModelPackage
    from modelgate_cli.stack import Stack


@dataclass(frozen=True)
class Tried:
    """An attempt, open or closed.

    Attributes:
        approved_by, approved_at: the approval, or the pin, that asked for it.
        seconds: how long it took; None while it is open.
        release: whether it went live.
        live: whether it serves now.
    """

    attempt: int
    version: int | None
    approved_by: str
    approved_at: datetime | None
    outcome: str
    reason: str
    started_at: datetime
    seconds: float | None
    release: bool
    live: bool


@dataclass(frozen=True)
class Blocked:
    """What waits for a quota, for capacity, or for a permission."""

    version: int
    reason: str
    tries: int
    since: datetime
    until: datetime


@dataclass(frozen=True)
class PresentPolicy:
    """The group's policy in the bucket, held against the one that was accepted.

    Attributes:
        standing: ``accepted``, ``differs``, ``names another endpoint``, or ``refused``.
        why: what is to be said of it; empty if it is accepted.
    """

    standing: str
    why: str = ""


@dataclass(frozen=True)
class EndpointStatus:
    """All that is to be said of an endpoint now.

    Attributes:
        desired, desired_because: the version that is wanted, and why that one.
        live, live_since: the version that serves, and since when.
        sagemaker: SageMaker's status; None where there is no such endpoint.
        modelgates: whether Modelgate moves the endpoint that is there; it made or adopted it.
        attempt: the open attempt.
        owed: the effects that are still to be carried out.
        lapsed: approved versions that nobody will deploy: something else was approved before their turn.
        pinned, pinned_by: the version that an operator wants here whatever is approved.
        frozen: whether nothing is deployed, because an operator or the policy says so.
        blocked: what cannot be had for the moment.
        retired_at: when an operator retired the endpoint.
        suspects: versions that failed, and whose policy may be to blame.
        policy: whether the policy in the bucket is the one that counts.
    """

    endpoint: str
    group: str
    desired: int | None
    desired_because: str
    live: int | None
    live_since: datetime | None
    sagemaker: str | None
    modelgates: bool
    failure_reason: str
    attempt: Tried | None
    owed: tuple[str, ...]
    lapsed: tuple[int, ...]
    pinned: int | None
    pinned_by: str
    frozen: bool
    blocked: Blocked | None
    retired_at: datetime | None
    suspects: tuple[int, ...]
    policy: PresentPolicy


# ── status ────────────────────────────────────────────────────────────────────────────────────────
def statuses(stack: Stack, endpoint: str | None) -> list[EndpointStatus]:
    """Of one endpoint, or of all that the table has.

    Raises:
        Complaint: there is no such endpoint in the table.
    """
    if endpoint is None:
        return [status_of(stack, state) for state in stack.all_states()]
    return [status_of(stack, state_of(stack, endpoint))]


def state_of(stack: Stack, endpoint: str) -> EndpointState:
    """
    Raises:
        Complaint: the table has no such endpoint.
    """
    state = stack.states.load(endpoint)
    if state is None:
        raise Complaint(
            f"Modelgate knows no endpoint {endpoint}", "modelgate status shows those that there are"
        )
    return state


def expect_known(stack: Stack, group: str) -> None:
    """A policy for all groups makes every misspelling one that might have an endpoint some day.

    Raises:
        Complaint: the group has neither a policy of its own, nor was anything registered in it.
    """
    if group in stack.directory.groups() or stack.policies.has_own(group):
        return
    mend = f"see its spelling, or submit the first version: modelgate submit DIR {group}"
    raise Complaint(f"Modelgate knows no group {group}", mend)


def status_of(stack: Stack, state: EndpointState) -> EndpointStatus:
    served = stack.reconciler.observe(state)
    packages: dict[int, ModelPackage | None] = {}
    wish = wish_of(stack, state, packages)
    release = state.release if served else None
    return EndpointStatus(
        endpoint=state.name,
        group=state.group,
        desired=None if isinstance(wish, Nothing) else wish.version,
        desired_because=because(state, wish, packages),
        live=live_version(state) if served else None,
        live_since=release.closed_at if release else None,
        sagemaker=served.status if served else None,
        modelgates=served is not None and served.ours,
        failure_reason=served.failure_reason if served else "",
        attempt=_open(state.attempt) if state.attempt else None,
        owed=tuple(effect.id for effect in state.effects),
        lapsed=_lapsed(stack, state),
        pinned=state.pin.version if state.pin else None,
        pinned_by=state.pin.by if state.pin else "",
        frozen=state.is_frozen,
        blocked=_blocked(state.block) if state.block else None,
        retired_at=state.retired_at,
        suspects=tuple(suspect.effect.version for suspect in state.suspects),
        policy=_present_policy(stack, state),
    )


def live_version(state: EndpointState) -> int | None:
    """The version that serves, as far as Modelgate knows."""
    return state.release.target.version if state.release and state.release.target else None


def wish_of(stack: Stack, state: EndpointState, packages: dict[int, ModelPackage | None]) -> Wish:
    """What is desired. The versions that this hangs on are looked up into ``packages``."""
    while isinstance(wish := desire(state, packages), Undetermined):
        packages[wish.version] = stack.registry.describe(state.group, wish.version)
    return wish


def because(state: EndpointState, wish: Wish, packages: dict[int, ModelPackage | None]) -> str:
    """Why this is desired."""
    if wish is Nothing.FROZEN:
        return "an operator has frozen it" if state.frozen else "its policy says that it is frozen"
    if isinstance(wish, Nothing):
        return wish.value
    if state.is_frozen or state.policy is None:
        return "SageMaker is moving there already"
    by = f" by {wish.by}" if wish.by else ""
    if _asks(wish, state.pin):
        return f"pinned {moment(wish.decided_at)}{by}, whatever is approved"
    if _asks(wish, state.decision) and not state.pin:
        return f"approved {moment(wish.decided_at)}{by}, and no version later"
    what = "the last approval" if _asks(wish, state.decision) else "the release before"
    before = state.wanted
    if before is None:
        return what
    which = "which is pinned" if state.pin else "the last that was approved"
    return f"{what}: version {before.version}, {which}, {_what_became_of(packages.get(before.version))}"


def _asks(target: Target, decision: Decision | None) -> bool:
    """Whether it is this decision that asks for it."""
    return decision is not None and (target.version, target.decided_at) == (
        decision.version,
        decision.approved_at,
    )


def _what_became_of(package: ModelPackage | None) -> str:
    if package is None:
        return "is gone"
    return "failed" if package.approved else f"is {package.approval}"


def _present_policy(stack: Stack, state: EndpointState) -> PresentPolicy:
    try:
        policy = stack.policies.of(state.group)
    except Refused as refused:
        return PresentPolicy("refused", str(refused.problems[0]))
    if policy.endpoint.lower() != state.name.lower():
        return PresentPolicy("names another endpoint", f"it names the endpoint {policy.endpoint}")
    if (policy.policy.deployment, policy.own) == (state.policy, state.policy_is_own):
        return PresentPolicy("accepted")
    return PresentPolicy("differs", f"modelgate plan {state.group} shows what it would change")


def _blocked(block: Block) -> Blocked:
    return Blocked(block.target.version, block.reason, block.tries, block.since, block.until)


def _lapsed(stack: Stack, state: EndpointState) -> tuple[int, ...]:
    if state.policy is None:
        return ()
    tried = {*state.ever_live, *(failure.version for failure in state.failures)}
    eligible = {target.version for target in state.candidates()}
    return tuple(sorted(set(stack.registry.approved_versions(state.group)) - tried - eligible))


# ── history ───────────────────────────────────────────────────────────────────────────────────────
def history(stack: Stack, endpoint: str, *, releases_only: bool = False) -> list[Tried]:
    """Every attempt, oldest first; the open one last.

    Raises:
        Complaint: the table has no such endpoint.
    """
    state = state_of(stack, endpoint)
    # An approval of what serves already is credited to its release, in the endpoint's own item only.
    credited = {closed.number: closed for closed in state.closed}
    tried = [
        _closed(credited.get(closed.number, closed), state) for closed in stack.states.history(state.name)
    ]
    if releases_only:
        return [each for each in tried if each.release]
    return [*tried, _open(state.attempt)] if state.attempt else tried


def _closed(closed: Closed, state: EndpointState) -> Tried:
    return Tried(
        closed.number,
        *_asked_for(closed.target),
        closed.outcome.value,
        closed.reason,
        closed.started_at,
        (closed.closed_at - closed.started_at).total_seconds(),
        release=closed.is_release,
        live=closed.number == state.live,
    )


def _open(attempt: Attempt) -> Tried:
    how = "SageMaker is at it" if attempt.called else "it is being prepared"
    return Tried(
        attempt.number,
        *_asked_for(attempt.target),
        "open",
        how,
        attempt.started_at,
        None,
        release=False,
        live=False,
    )


def _asked_for(target: Target | None) -> tuple[int | None, str, datetime | None]:
    """The version, who approved it, and when."""
    return (target.version, target.by, target.decided_at) if target else (None, "", None)


# ── words ─────────────────────────────────────────────────────────────────────────────────────────
def shown(found: list[EndpointStatus]) -> list[RenderableType]:
    if not found:
        return [Text("There is no endpoint yet: approve a version, and there will be one.")]
    overview = table("endpoint", "group", "desired", "live", "SageMaker", "open attempt", "owed")
    notes: list[RenderableType] = []
    for each in found:
        overview.add_row(
            each.endpoint,
            each.group,
            _number(each.desired),
            _number(each.live),
            each.sagemaker or "not there",
            _attempt_in_words(each.attempt),
            ", ".join(each.owed) or "–",
        )
        notes.append(Text(f"{each.endpoint}: {_reasons(each)}"))
    return [overview, Text(), *notes]


def shown_history(tried: list[Tried]) -> Table:
    attempts = table(
        "attempt", "version", "approved by", "approved", "outcome", "started", "took", "release", "reason"
    )
    for each in tried:
        attempts.add_row(
            str(each.attempt),
            _number(each.version) if each.version else "none",
            each.approved_by or "–",
            moment(each.approved_at),
            each.outcome,
            moment(each.started_at),
            duration(timedelta(seconds=each.seconds)) if each.seconds is not None else "–",
            ("serves" if each.live else "yes") if each.release else "no",
            " ".join(each.reason.split()),
        )
    return attempts


def in_sagemaker(name: str, served: Endpoint | None) -> str:
    """The endpoint as SageMaker has it, in a few words."""
    if served is None:
        return f"endpoint {name} is not there"
    others = "" if served.ours else ", and not Modelgate's"
    return f"endpoint {name} is {served.status}{others}"


def _reasons(status: EndpointStatus) -> str:
    desired = f"version {status.desired} is desired: " if status.desired else "nothing is desired: "
    lines = [desired + status.desired_because]
    if status.live:
        lines.append(f"version {status.live} is live since {moment(status.live_since)}")
    lines += [*_instructions(status), *_troubles(status)]
    return "\n  ".join(map(sentence, lines))


def _instructions(status: EndpointStatus) -> list[str]:
    """What an operator or the policy wants besides."""
    lines = []
    if status.pinned:
        by = f" by {status.pinned_by}" if status.pinned_by else ""
        lines.append(f"version {status.pinned} is pinned{by} (modelgate unpin {status.group})")
    if status.frozen:
        lines.append(
            f"it is frozen: nothing is deployed (modelgate unfreeze {status.group}, or the policy's frozen)"
        )
    if status.retired_at:
        lines.append(f"it was retired {moment(status.retired_at)}")
    if status.policy.standing == "refused":
        lines.append(f"the policy in the bucket is refused, and the one before goes on: {status.policy.why}")
    elif status.policy.standing != "accepted":
        lines.append(f"the policy in the bucket is not the one that counts here: {status.policy.why}")
    return lines


def _troubles(status: EndpointStatus) -> list[str]:
    lines = []
    if status.sagemaker and not status.modelgates:
        lines.append(
            f"the endpoint that is there is not Modelgate's (modelgate adopt {status.endpoint} "
            f"--group {status.group})"
        )
    if status.failure_reason:
        lines.append(f"SageMaker says: {status.failure_reason}")
    if status.blocked:
        blocked = status.blocked
        lines.append(
            f"version {blocked.version} is blocked until {moment(blocked.until)} (tries: {blocked.tries}; "
            f"modelgate retry {status.group} tries at once): {blocked.reason}"
        )
    if status.suspects:
        lines.append(f"failed, but the policy may be to blame: {_listed(status.suspects)}")
    if status.lapsed:
        what = "approved, but something else was approved before its turn (approve again)"
        lines.append(f"{what}: {_listed(status.lapsed)}")
    return lines


def _listed(versions: tuple[int, ...]) -> str:
    return ", ".join(map(str, versions))


def _attempt_in_words(attempt: Tried | None) -> str:
    if attempt is None:
        return "–"
    goal = f"version {attempt.version}" if attempt.version else "deletion"
    return f"{attempt.attempt} ({goal}; {attempt.reason})"


def _number(version: int | None) -> str:
    return "–" if version is None else str(version)
