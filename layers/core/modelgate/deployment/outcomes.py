"""What follows from how an attempt ended: what is announced, rejected, suspected, blocked or forgotten."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from modelgate.announcements import Kind
from modelgate.deployment.facts import Attempt, Block, Closed, Failure, Suspect, Target
from modelgate.effects import Reject

if TYPE_CHECKING:
    from modelgate.deployment.container_log import LogExcerpt
    from modelgate.deployment.state import EndpointState

# An item of DynamoDB holds 400 KB. What falls off here stays readable as an item of its own.
RELEASES_REMEMBERED = 20
OTHERS_REMEMBERED = 20
FAILURES_REMEMBERED = 100
SUSPECTS_REMEMBERED = 20
# What is blocked (by a quota, by capacity, by a permission) is tried again with growing pauses.
FIRST_PAUSE = timedelta(minutes=15)
LONGEST_PAUSE = timedelta(days=1)


def went_live(state: EndpointState, closed: Closed, target: Target) -> EndpointState:
    """An attempt has become a release, and what was in doubt about its policy is decided."""
    version = target.version
    ever_live = state.ever_live if version in state.ever_live else (*state.ever_live, version)
    message = f"Version {version} of {state.group} is live on endpoint {state.name}: {closed.reason}."
    news = state.news(Kind.RELEASE_LIVE, message, closed.number, version=version, attempt=closed.number)
    # A rejection that is still owed, because it waits for an event, is over: the version came up after all.
    effects = tuple(each for each in state.effects if each.kind != "reject" or each.version != version)
    live = replace(state, live=closed.number, ever_live=ever_live, effects=effects, block=None, told=())
    return _acquitted(live, target).owing(news)


def _acquitted(state: EndpointState, target: Target) -> EndpointState:
    """What goes live answers open questions: its policy works, and the version does.

    So where the version had failed before, under another policy, that was not the version's first way.
    """
    digest, version = target.policy.digest, target.version
    guilty = [each for each in state.suspects if each.policy == digest and each.effect.version != version]
    failures = tuple(
        replace(each, first_way=False) if each.version == version else each for each in state.failures
    )
    suspects = tuple(each for each in state.suspects if each not in guilty and each.effect.version != version)
    return replace(state, suspects=suspects, failures=failures).owing(*(each.effect for each in guilty))


def failed(
    state: EndpointState,
    attempt: Attempt,
    target: Target,
    reason: str,
    *,
    blames_policy: bool,
    log: LogExcerpt | None = None,
) -> EndpointState:
    """An attempt has failed: the version is rejected, suspected, or not to blame. See decision 0013.

    Args:
        log: what its containers wrote last; None where that says nothing of the failure.
    """
    failure = Failure(target.version, target.decided_at, target.policy.digest, attempt.first_way)
    failures = (*state.failures, failure)[-FAILURES_REMEMBERED:]
    state = replace(state, failures=failures, block=None)
    message = f"Version {target.version} of {state.group} failed on endpoint {state.name}: {reason}"
    facts: dict[str, object] = {"version": target.version, "attempt": attempt.number, "reason": reason}
    facts |= log.facts() if log else {}
    carried = state.has_carried(target.policy.digest)
    if blames_policy or not attempt.first_way or attempt.package_modified_at is None:
        news = state.news(Kind.DEPLOYMENT_FAILED, message, attempt.number, **facts, rejected=False)
        policy_fails = blames_policy or not carried
        return (_policy_failed(state, target) if policy_fails else state).owing(news)
    why = log.added_to(reason) if log else reason
    reject = Reject(attempt.number, target.version, why, attempt.package_modified_at)
    if state.is_over(target.decided_at):
        # Nobody asks any more.
        news = state.news(Kind.DEPLOYMENT_FAILED, message, attempt.number, **facts, rejected=False)
        return state.owing(news)
    replaced = state.policy is None or state.policy.digest != target.policy.digest
    if not carried and (state.releases or replaced):
        message += ". Nothing has been live under its policy yet, so that may be to blame as well"
        news = state.news(Kind.DEPLOYMENT_FAILED, message, attempt.number, **facts, rejected=False)
        suspect = Suspect(reject, target.policy.digest)
        suspects = (*state.suspects, suspect)[-SUSPECTS_REMEMBERED:]
        return replace(state, suspects=suspects).owing(news)
    news = state.news(Kind.DEPLOYMENT_FAILED, message, attempt.number, **facts, rejected=True)
    return state.owing(reject, news)


def _policy_failed(state: EndpointState, target: Target) -> EndpointState:
    """What served before fails under a policy that nothing was ever live under: the policy is to blame."""
    digest = target.policy.digest
    message = (
        f"The policy of {state.group} fails on endpoint {state.name}: version {target.version} does not come "
        "up under it. No version is rejected for that; mend the policy and upload it."
    )
    return state.owing(state.news(Kind.POLICY_FAILED, message, digest))


def blocked(state: EndpointState, closed: Closed, target: Target, now: datetime) -> EndpointState:
    """AWS lacks something: the target is tried again, after a pause that grows with each try."""
    before = state.block if state.block and state.block.target.asks_like(target) else None
    tries = before.tries + 1 if before else 1
    since = before.since if before else now
    pause = min(FIRST_PAUSE * 2 ** min(tries - 1, 10), LONGEST_PAUSE)
    blocked = replace(state, block=Block(target, closed.reason, tries, since, now + pause))
    if before:
        return blocked
    message = (
        f"Version {target.version} of {state.group} cannot be deployed on endpoint {state.name} for now: "
        f"{closed.reason}. It is tried again by itself with growing pauses, or at once by `modelgate retry`."
    )
    return blocked.owing(state.news(Kind.DEPLOYMENT_BLOCKED, message, closed.number, version=target.version))


def deleted(state: EndpointState, closed: Closed) -> EndpointState:
    """The endpoint is gone, as was wanted."""
    message = f"Endpoint {state.name} was deleted: {closed.reason}."
    return replace(state, live=None).owing(state.news(Kind.ENDPOINT_DELETED, message, closed.number))


def remembered(closed: tuple[Closed, ...]) -> tuple[Closed, ...]:
    """The closed attempts that stay in the endpoint's item."""
    releases = [each.number for each in closed if each.is_release][-RELEASES_REMEMBERED:]
    others = [each.number for each in closed if not each.is_release][-OTHERS_REMEMBERED:]
    kept = {*releases, *others}
    return tuple(each for each in closed if each.number in kept)
