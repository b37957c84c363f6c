"""An operator's decision, made as the console makes it, and followed until the endpoint is where it leads."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from rich.text import Text

from modelgate.aws.errors import translated
from modelgate.deployment.facts import Outcome
from modelgate.registry.package import APPROVED, REJECTED
from modelgate_cli.complaints import Complaint
from modelgate_cli.endpoints import live_version
from modelgate_cli.following import complain_if_blocked, complain_if_stuck, failure, follow

if TYPE_CHECKING:
    from modelgate.deployment.planner import Endpoint
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
        Refused: the group's policy cannot be used, or not for the endpoint that it names; nothing was
            changed then.
    """
    package = _version(stack, group, version)
    state = stack.governor.governed(group).state
    if not state.policy_is_own and not package.registered_by(stack.names.stack):
        stack_name = stack.names.stack
        found = f"version {version} was not registered by {stack_name}, and {group} has no policy of its own"
        raise Complaint(found, f"upload policies/{group}.yaml, then approve it again")
    _update(stack, package, APPROVED, note)
    return _version(stack, group, version), state.name


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
    return follow(
        stack,
        endpoint,
        lambda state, served: outcome_of_approval(package, state, served),
        progress,
        timeout=timeout,
        what=f"version {package.version} on endpoint {endpoint}",
    )


def outcome_of_approval(
    package: ModelPackage, state: EndpointState, served: Endpoint | None
) -> Decided | None:
    """What became of an approval; None while that is open.

    Raises:
        Complaint: it failed, or waits for something that may not come.
    """
    group, version = package.group, package.version
    since = _as_seen(package.modified_at)
    release = state.release
    if (
        release
        and release.target
        and release.target.version == version
        and release.target.decided_at >= since
    ):
        return Decided(
            group, version, APPROVED, state.name, Outcome.LIVE, live=version, reason=release.reason
        )
    failed = [each for each in state.failures if each.version == version and each.decided_at >= since]
    # A way back is waited for; of a deletion that completes no event tells, so its attempt stays open.
    if failed and (state.attempt is None or state.attempt.target is None):
        raise failure(state, version, "submit a better one, or approve it again to retry")
    decision = state.decision
    if decision is None or decision.approved_at < since:
        return None
    if decision.version != version:
        heard = state.sighting(version).standing_approval
        if _as_seen(decision.approved_at) == since and (heard is None or heard < since):
            return None  # both in one second, and the event of this one is still to come
        found = (
            f"version {decision.version} of {group} was approved after version {version}, and is wanted now"
        )
        raise Complaint(found, f"if {version} is wanted, approve it again")
    if state.pin and state.pin.version != version:
        found = f"version {version} is approved, but version {state.pin.version} is pinned on {state.name}"
        raise Complaint(found, f"modelgate unpin {group} has version {version} deployed")
    if state.is_frozen and state.attempt is None:
        found = f"version {version} is approved, but endpoint {state.name} is frozen"
        raise Complaint(found, _thaw(state))
    complain_if_blocked(state, version)
    complain_if_stuck(state, served)
    return None


def _thaw(state: EndpointState) -> str:
    if state.frozen:
        return f"modelgate unfreeze {state.group} has it moved to what is desired"
    return f"take frozen out of policies/{state.group}.yaml, and upload it"


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
        endpoint, live = (before.name, live_version(before)) if before else ("", None)
        return Decided(package.group, package.version, REJECTED, endpoint, "nothing to change", live)
    name = before.name
    return follow(
        stack,
        name,
        lambda state, served: outcome_of_rejection(package, state, served),
        progress,
        timeout=timeout,
        what=f"the way back of endpoint {name}",
    )


def outcome_of_rejection(
    package: ModelPackage, state: EndpointState, served: Endpoint | None
) -> Decided | None:
    """What became of a rejection; None while that is open."""
    version, group = package.version, package.group
    seen = state.sightings.get(version)
    if seen is None or seen.rejected_at is None or seen.rejected_at < _as_seen(package.modified_at):
        return None
    if served is None and (state.attempt is None or state.attempt.target is None):
        return Decided(group, version, REJECTED, state.name, "removed")
    if state.attempt is not None:
        complain_if_stuck(state, served)
        return None
    live = live_version(state)
    if live == version:
        keeps = f"endpoint {state.name} keeps serving version {version}"
        if state.is_frozen:
            raise Complaint(f"{keeps}: it is frozen", _thaw(state))
        mend = f"approve another version, or have the endpoint deleted: modelgate retire {group}"
        raise Complaint(f"{keeps}: no other release is approved", mend)
    reason = state.release.reason if state.release else ""
    return Decided(group, version, REJECTED, state.name, "gone back", live, reason)


def _concerns(version: int, state: EndpointState) -> bool:
    attempted = state.attempt.target.version if state.attempt and state.attempt.target else None
    decided = state.decision.version if state.decision else None
    return (
        version == live_version(state)
        or version == attempted
        or (version == decided and state.attempt is not None)
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
    return next(iter(stack.states_of(group)), None)


def _as_seen(at: datetime) -> datetime:
    """Events may tell a time to the second only, where the registry tells milliseconds."""
    return at.replace(microsecond=0)
