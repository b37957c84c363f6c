"""An operator's decision, made as the console makes it, and followed until the endpoint is where it leads."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from rich.text import Text

from modelgate.aws.errors import translated
from modelgate.deployment.planner import BEYOND_REPAIR
from modelgate.deployment.state import Outcome
from modelgate.registry.package import APPROVED, REJECTED
from modelgate_cli.complaints import Complaint
from modelgate_cli.endpoints import Served, observed
from modelgate_cli.waiting import wait_for

if TYPE_CHECKING:
    from modelgate.deployment.state import EndpointState
    from modelgate.registry.package import ModelPackage
    from modelgate_cli.screen import ProgressLine
    from modelgate_cli.stack import Stack


@dataclass(frozen=True)
class Decided:
    """What a decision led to.

    Attributes:
        decision: ``Approved`` or ``Rejected``.
        outcome: ``live``, ``gone back``, ``removed``, ``nothing to change``, or ``decided`` when nobody
            waited.
        live: the version that serves by now.
        reason: why, such as what the smoke test was answered with.
    """

    group: str
    version: int
    decision: str
    endpoint: str
    outcome: str
    live: int | None = None
    reason: str = ""


# ── deciding ──────────────────────────────────────────────────────────────────────────────────────
def approve(stack: Stack, group: str, version: int, note: str) -> tuple[ModelPackage, str]:
    """Approves a version. Returns it as it is now, and the endpoint that it is wanted on.

    Raises:
        Complaint: it is not there, or could not be deployed; nothing was changed then.
        Refused: the group's policy cannot be used; nothing was changed then.
    """
    package = _version(stack, group, version)
    policy = stack.policies.of(group)
    if not policy.own and not package.registered_by(stack.names.stack):
        stack_name = stack.names.stack
        found = f"version {version} was not registered by {stack_name}, and {group} has no policy of its own"
        raise Complaint(found, f"upload policies/{group}.yaml, then approve it again")
    state = stack.states.load(policy.endpoint)
    if state and state.group != group:
        found = f"the endpoint {policy.endpoint} serves {state.group}, and an endpoint serves one group"
        raise Complaint(found, f"name another in deployment.endpoint of policies/{group}.yaml")
    _update(stack, package, APPROVED, note)
    return _version(stack, group, version), policy.endpoint


def reject(stack: Stack, group: str, version: int, reason: str) -> ModelPackage:
    """Rejects a version, and returns it as it is now.

    Raises:
        Complaint: it is not there.
    """
    _update(stack, _version(stack, group, version), REJECTED, reason)
    return _version(stack, group, version)


def _version(stack: Stack, group: str, version: int) -> ModelPackage:
    package = stack.registry.describe(group, version)
    if package is None:
        found = f"there is no version {version} of {group} in the registry"
        raise Complaint(found, f"modelgate versions {group} shows those that there are")
    return package


def _update(stack: Stack, package: ModelPackage, status: str, words: str) -> None:
    with translated("UpdateModelPackage"):
        stack.sagemaker.update_model_package(
            ModelPackageArn=package.arn,
            ModelApprovalStatus=status,  # type: ignore[arg-type]  # one of the two constants above
            ApprovalDescription=" ".join(words.split()),
        )


# ── following an approval ─────────────────────────────────────────────────────────────────────────
def follow_approval(
    stack: Stack, package: ModelPackage, endpoint: str, progress: ProgressLine, *, timeout: float
) -> Decided:
    """Waits until this approval is live.

    Raises:
        Complaint: it failed, was superseded, or did not get there in time.
    """

    def look() -> Decided | None:
        state = stack.states.load(endpoint)
        served = observed(stack, endpoint)
        progress.show(_in_words(endpoint, state, served))
        return None if state is None else outcome_of_approval(package, state, served)

    return wait_for(
        look,
        seconds=timeout,
        what=f"version {package.version} on endpoint {endpoint}",
        mend=f"modelgate status {endpoint} shows how far it is",
    )


def outcome_of_approval(package: ModelPackage, state: EndpointState, served: Served | None) -> Decided | None:
    """What became of an approval; None while that is open."""
    version = package.version
    since = _as_seen(package.modified_at)
    release = state.release
    if (
        release
        and release.target
        and release.target.version == version
        and release.target.decided_at >= since
    ):
        return Decided(
            package.group, version, APPROVED, state.name, Outcome.LIVE, live=version, reason=release.reason
        )
    failed = [each for each in state.failures if each.version == version and each.decided_at >= since]
    # A way back is waited for; of a deletion that completes no event tells, so its attempt stays open.
    if failed and (state.attempt is None or state.attempt.target is None):
        raise _failure(package, state)
    decision = state.decision
    if decision is None or decision.approved_at < since:
        return None
    if decision.version != version:
        later = f"version {decision.version} of {package.group}"
        found = f"{later} was approved after version {version}, and is wanted now"
        raise Complaint(found, f"if {version} is wanted, approve it again")
    _complain_if_stuck(state, served)
    return None


def _failure(package: ModelPackage, state: EndpointState) -> Complaint:
    version = package.version
    closed = next(
        (
            each
            for each in reversed(state.closed)
            if each.outcome is Outcome.FAILED and each.target and each.target.version == version
        ),
        None,
    )
    why = closed.reason if closed else "it failed before, under this policy"
    serves = f"version {_live(state)} serves on" if _live(state) else "nothing serves"
    return Complaint(
        f"version {version} of {package.group} failed on endpoint {state.name}: {' '.join(why.split())}",
        f"submit a better one, or approve it again to retry; {serves}",
        facts={"group": package.group, "version": version, "endpoint": state.name, "outcome": Outcome.FAILED},
    )


def _complain_if_stuck(state: EndpointState, served: Served | None) -> None:
    """Nothing will come of it without a person."""
    if served and served.status in BEYOND_REPAIR:
        found = (
            f"endpoint {state.name} is {served.status}, which only a person can mend {served.why}".rstrip()
        )
        raise Complaint(found, "mend it in SageMaker, or delete it; Modelgate goes on from there")
    if served and state.attempt is None and not state.attempts_made:
        found = f"an endpoint {state.name} exists that Modelgate did not make"
        raise Complaint(
            found, f"delete it, or name another in deployment.endpoint of policies/{state.group}.yaml"
        )


# ── following a rejection ─────────────────────────────────────────────────────────────────────────
def follow_rejection(
    stack: Stack,
    package: ModelPackage,
    before: EndpointState | None,
    progress: ProgressLine,
    *,
    timeout: float,
) -> Decided:
    """Waits until the endpoint has gone back, if it served the version or was on its way there.

    Args:
        before: the endpoint's item as it was before the rejection.

    Raises:
        Complaint: it could not go back, or not in time.
    """
    if before is None or not _concerns(package.version, before):
        endpoint, live = (before.name, _live(before)) if before else ("", None)
        return Decided(package.group, package.version, REJECTED, endpoint, "nothing to change", live)
    name = before.name

    def look() -> Decided | None:
        state = stack.states.load(name)
        served = observed(stack, name)
        progress.show(_in_words(name, state, served))
        return None if state is None else outcome_of_rejection(package, state, served)

    return wait_for(
        look,
        seconds=timeout,
        what=f"the way back of endpoint {name}",
        mend=f"modelgate status {name} shows how far it is",
    )


def outcome_of_rejection(
    package: ModelPackage, state: EndpointState, served: Served | None
) -> Decided | None:
    """What became of a rejection; None while that is open."""
    version, group = package.version, package.group
    seen = state.sightings.get(version)
    if seen is None or seen.rejected_at is None or seen.rejected_at < _as_seen(package.modified_at):
        return None
    if served is None and (state.attempt is None or state.attempt.target is None):
        return Decided(group, version, REJECTED, state.name, "removed")
    if state.attempt is not None:
        _complain_if_stuck(state, served)
        return None
    live = _live(state)
    if live == version:
        found = f"endpoint {state.name} keeps serving version {version}: no other release is approved"
        raise Complaint(found, "approve another version, or delete the endpoint")
    reason = state.release.reason if state.release else ""
    return Decided(group, version, REJECTED, state.name, "gone back", live, reason)


def _concerns(version: int, state: EndpointState) -> bool:
    attempted = state.attempt.target.version if state.attempt and state.attempt.target else None
    decided = state.decision.version if state.decision else None
    return (
        version == _live(state) or version == attempted or (version == decided and state.attempt is not None)
    )


# ── words ─────────────────────────────────────────────────────────────────────────────────────────
def shown(decided: Decided) -> Text:
    name = f"version {decided.version} of {decided.group}"
    words = {
        "live": f"Version {decided.version} is live on endpoint {decided.endpoint}: {decided.reason}.",
        "gone back": f"Rejected {name}. Endpoint {decided.endpoint} has gone back to version {decided.live}.",
        "removed": f"Rejected {name}. Endpoint {decided.endpoint} served nothing else, and is gone.",
        "nothing to change": f"Rejected {name}. No endpoint served it.",
    }
    return Text(words.get(decided.outcome, f"{decided.decision} {name}."))


def endpoint_of(stack: Stack, group: str) -> EndpointState | None:
    """The item of the endpoint that serves the group."""
    return next((state for state in stack.all_states() if state.group == group), None)


def _in_words(endpoint: str, state: EndpointState | None, served: Served | None) -> str:
    if state is None:
        return f"endpoint {endpoint}: the decision is on its way"
    status = served.status if served else "not there"
    attempt = state.attempt
    if attempt is None:
        return f"endpoint {endpoint} is {status}"
    goal = f"to version {attempt.target.version}" if attempt.target else "to delete it"
    return f"endpoint {endpoint} is {status}; attempt {attempt.number} {goal}"


def _live(state: EndpointState) -> int | None:
    return state.release.target.version if state.release and state.release.target else None


def _as_seen(at: datetime) -> datetime:
    """Events may tell a time to the second only, where the registry tells milliseconds."""
    return at.replace(microsecond=0)
