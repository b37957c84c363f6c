"""Following an endpoint until what was asked for is done, or is known not to come."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from modelgate.deployment.facts import Outcome
from modelgate.deployment.planner import BEYOND_REPAIR
from modelgate_cli.complaints import TROUBLE, Complaint
from modelgate_cli.endpoints import in_sagemaker, live_version
from modelgate_cli.screen import moment
from modelgate_cli.waiting import wait_for

if TYPE_CHECKING:
    from modelgate.deployment.planner import Endpoint
    from modelgate.deployment.state import EndpointState
    from modelgate_cli.screen import ProgressLine
    from modelgate_cli.stack import Stack

    T = TypeVar("T")


def follow(
    stack: Stack,
    endpoint: str,
    outcome_of: Callable[[EndpointState, Endpoint | None], T | None],
    progress: ProgressLine,
    *,
    timeout: float,
    what: str,
) -> T:
    """Looks at an endpoint again and again, until there is an outcome.

    Args:
        outcome_of: from the endpoint's item and what SageMaker has; None while it is open.
        timeout: how long at most, in seconds.
        what: what is waited for, for the complaint.

    Raises:
        Complaint: it did not come in time, or ``outcome_of`` says that it never will.
    """

    def look() -> T | None:
        state = stack.states.load(endpoint)
        if state is None:
            progress.show(f"endpoint {endpoint}: what was decided is on its way")
            return None
        # The item is read first: an older one beside a newer endpoint would be misread.
        served = stack.reconciler.observe(state)
        progress.show(_in_words(state, served))
        return outcome_of(state, served)

    mend = f"modelgate status {endpoint} shows how far it is"
    return wait_for(look, seconds=timeout, what=what, mend=mend)


def complain_if_stuck(state: EndpointState, served: Endpoint | None) -> None:
    """
    Raises:
        Complaint: nothing will come of it without a person.
    """
    if served and served.status in BEYOND_REPAIR:
        why = f": {served.failure_reason}" if served.failure_reason else ""
        found = f"endpoint {state.name} is {served.status}, which only a person can mend{why}"
        raise Complaint(found, "mend it in SageMaker, or delete it; Modelgate goes on from there")
    if served and state.attempt is None and not served.ours:
        raise Complaint(
            f"an endpoint {state.name} exists that Modelgate did not make",
            f"have it taken over (modelgate adopt {state.name} --group {state.group}), delete it, or name "
            f"another in deployment.endpoint of policies/{state.group}.yaml",
        )


def complain_if_blocked(state: EndpointState, version: int) -> None:
    """
    Raises:
        Complaint: a quota, capacity or a permission is in the version's way.
    """
    block = state.block
    if block is None or state.attempt or block.target.version != version:
        return
    found = f"version {version} of {state.group} cannot be deployed on endpoint {state.name} for now"
    raise Complaint(
        f"{found}: {_one_line(block.reason)}",
        f"it is tried again by itself, next after {moment(block.until)}; modelgate retry {state.group} tries "
        "at once",
        TROUBLE,
        facts={"group": state.group, "version": version, "endpoint": state.name, "outcome": Outcome.BLOCKED},
    )


def failure(state: EndpointState, version: int, mend: str) -> Complaint:
    """A version that failed, with what SageMaker or its container said."""
    closed = next(
        (
            each
            for each in reversed(state.closed)
            if each.outcome is Outcome.FAILED and each.target and each.target.version == version
        ),
        None,
    )
    why = closed.reason if closed else "it failed before, under this policy"
    live = live_version(state)
    serves = f"version {live} serves on" if live else "nothing serves"
    return Complaint(
        f"version {version} of {state.group} failed on endpoint {state.name}: {_one_line(why)}",
        f"{mend}; {serves}",
        facts={"group": state.group, "version": version, "endpoint": state.name, "outcome": Outcome.FAILED},
    )


def _in_words(state: EndpointState, served: Endpoint | None) -> str:
    attempt = state.attempt
    if attempt is None:
        return in_sagemaker(state.name, served)
    goal = f"to version {attempt.target.version}" if attempt.target else "to delete it"
    return f"{in_sagemaker(state.name, served)}; attempt {attempt.number} {goal}"


def _one_line(text: str) -> str:
    return " ".join(text.split())
