"""What is known of endpoints: what is wanted and why, what serves, what was tried."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from rich.text import Text

from modelgate.aws.errors import translated
from modelgate.deployment.planner import Nothing, Undetermined, Wish, desire
from modelgate.errors import NotFound, Refused
from modelgate_cli.complaints import Complaint
from modelgate_cli.screen import duration, moment, table

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from modelgate.deployment.state import Attempt, Closed, EndpointState, Target
    from modelgate.policy import DeploymentPolicy
    from modelgate.registry.package import ModelPackage
    from modelgate_cli.stack import Stack


@dataclass(frozen=True)
class Served:
    """An endpoint as SageMaker has it."""

    status: str
    config: str
    why: str = ""


@dataclass(frozen=True)
class Tried:
    """An attempt, open or closed."""

    attempt: int
    version: int | None
    outcome: str
    reason: str
    started_at: datetime
    seconds: float | None
    release: bool
    live: bool


@dataclass(frozen=True)
class EndpointStatus:
    """All that is to be said of an endpoint now.

    Attributes:
        desired, desired_because: the version that is wanted, and why that one.
        live, live_since: the version that serves, and since when.
        sagemaker: SageMaker's status; None where there is no such endpoint.
        attempt: the open attempt.
        owed: the effects that are still to be carried out.
        lapsed: approved versions that nobody will deploy: something else was approved before their turn.
    """

    endpoint: str
    group: str
    desired: int | None
    desired_because: str
    live: int | None
    live_since: datetime | None
    sagemaker: str | None
    failure_reason: str
    attempt: Tried | None
    owed: tuple[str, ...]
    lapsed: tuple[int, ...]


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


def status_of(stack: Stack, state: EndpointState) -> EndpointStatus:
    served = observed(stack, state.name)
    policy, complaint = _present_policy(stack, state)
    packages: dict[int, ModelPackage | None] = {}
    wish = _wish(stack, state, policy, packages)
    release = state.release
    return EndpointStatus(
        endpoint=state.name,
        group=state.group,
        desired=None if isinstance(wish, Nothing) else wish.version,
        desired_because=because(state, wish, packages) + complaint,
        live=release.target.version if release and release.target else None,
        live_since=release.closed_at if release else None,
        sagemaker=served.status if served else None,
        failure_reason=served.why if served else "",
        attempt=_open(state.attempt) if state.attempt else None,
        owed=tuple(effect.id for effect in state.effects),
        lapsed=_lapsed(stack, state, wish),
    )


def observed(stack: Stack, endpoint: str) -> Served | None:
    """The endpoint in SageMaker; None where there is none."""
    try:
        with translated("DescribeEndpoint"):
            answer = stack.sagemaker.describe_endpoint(EndpointName=endpoint)
    except NotFound:
        return None
    return Served(
        answer["EndpointStatus"], answer.get("EndpointConfigName", ""), answer.get("FailureReason", "")
    )


def because(state: EndpointState, wish: Wish, packages: dict[int, ModelPackage | None]) -> str:
    """Why this is desired."""
    if isinstance(wish, Nothing):
        return wish.value
    decision = state.decision
    if decision is None or (wish.version, wish.decided_at) == (decision.version, decision.approved_at):
        return f"approved {moment(wish.decided_at)}, and no version later"
    last = packages.get(decision.version)
    if last is None:
        gone = "is gone"
    elif last.approved:
        gone = "failed"
    else:
        gone = f"is {last.approval}"
    return f"the release before: version {decision.version}, the last that was approved, {gone}"


def _present_policy(stack: Stack, state: EndpointState) -> tuple[DeploymentPolicy | None, str]:
    try:
        policy = stack.policies.of(state.group)
    except Refused as refused:
        return None, f"; its policy cannot be used: {refused.problems[0]}"
    if policy.endpoint.lower() != state.name.lower():
        return None, f"; the policy of {state.group} names the endpoint {policy.endpoint} by now"
    return policy.policy.deployment, ""


def _wish(
    stack: Stack,
    state: EndpointState,
    policy: DeploymentPolicy | None,
    packages: dict[int, ModelPackage | None],
) -> Wish:
    while isinstance(wish := desire(state, packages, policy), Undetermined):
        packages[wish.version] = stack.registry.describe(state.group, wish.version)
    return wish


def _lapsed(stack: Stack, state: EndpointState, wish: Wish) -> tuple[int, ...]:
    settled = {*state.ever_live, *(failure.version for failure in state.failures)}
    if not isinstance(wish, Nothing):
        settled.add(wish.version)
    approved: list[int] = []
    try:
        with translated("ListModelPackages"):
            pages = stack.sagemaker.get_paginator("list_model_packages").paginate(
                ModelPackageGroupName=state.group, ModelApprovalStatus="Approved"
            )
            for page in pages:
                approved += [each["ModelPackageVersion"] for each in page["ModelPackageSummaryList"]]
    except NotFound:
        return ()
    return tuple(sorted(set(approved) - settled))


# ── history ───────────────────────────────────────────────────────────────────────────────────────
def history(stack: Stack, endpoint: str) -> list[Tried]:
    """Every attempt, oldest first; the open one last.

    Raises:
        Complaint: the table has no such endpoint.
    """
    state = state_of(stack, endpoint)
    tried = [_closed(closed, state) for closed in stack.states.history(state.name)]
    return [*tried, _open(state.attempt)] if state.attempt else tried


def _closed(closed: Closed, state: EndpointState) -> Tried:
    return Tried(
        attempt=closed.number,
        version=_version(closed.target),
        outcome=closed.outcome,
        reason=closed.reason,
        started_at=closed.started_at,
        seconds=(closed.closed_at - closed.started_at).total_seconds(),
        release=closed.is_release,
        live=closed.number == state.live,
    )


def _open(attempt: Attempt) -> Tried:
    how = "SageMaker is at it" if attempt.called else "it is being prepared"
    return Tried(
        attempt.number,
        _version(attempt.target),
        "open",
        how,
        attempt.started_at,
        None,
        release=False,
        live=False,
    )


def _version(target: Target | None) -> int | None:
    return target.version if target else None


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
    attempts = table("attempt", "version", "outcome", "started", "took", "release", "reason")
    for each in tried:
        attempts.add_row(
            str(each.attempt),
            _number(each.version) if each.version else "none",
            each.outcome,
            moment(each.started_at),
            duration(timedelta(seconds=each.seconds)) if each.seconds is not None else "–",
            ("live" if each.live else "yes") if each.release else "no",
            " ".join(each.reason.split()),
        )
    return attempts


def _reasons(status: EndpointStatus) -> str:
    desired = f"version {status.desired} is desired: " if status.desired else "nothing is desired: "
    lines = [desired + status.desired_because]
    if status.live:
        lines.append(f"version {status.live} is live since {moment(status.live_since)}")
    if status.failure_reason:
        lines.append(f"SageMaker says: {status.failure_reason}")
    if status.lapsed:
        versions = ", ".join(map(str, status.lapsed))
        lines.append(f"approved, but something else was approved before its turn (approve again): {versions}")
    return ".\n  ".join(lines) + "."


def _attempt_in_words(attempt: Tried | None) -> str:
    if attempt is None:
        return "–"
    goal = f"version {attempt.version}" if attempt.version else "deletion"
    return f"{attempt.attempt} ({goal}; {attempt.reason})"


def _number(version: int | None) -> str:
    return "–" if version is None else str(version)
