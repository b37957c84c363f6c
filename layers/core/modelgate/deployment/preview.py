"""What would be done about an endpoint now, and why; nothing of it is done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelgate.deployment.facts import Target
from modelgate.deployment.planner import Nothing
from modelgate.values import dataclass

if TYPE_CHECKING:
    from datetime import datetime

    from modelgate.deployment.executor import Execution
    from modelgate.deployment.governing import Governed
    from modelgate.deployment.planner import Endpoint, Step
    from modelgate.deployment.reconcile import Reconciler
    from modelgate.deployment.state import EndpointState
    from modelgate.invocation import Invocation


@dataclass(frozen=True)
class Candidate:
    """A version that might be desired, best first, and what speaks for or against it.

    Attributes:
        version: the version.
        under: ``present policy``, or ``the policy that it went live with``.
        verdict: why it is desired, or why not.
        desired: whether it is the one.
    """

    version: int
    under: str
    verdict: str
    desired: bool


@dataclass(frozen=True)
class Preview:
    """What would be done about an endpoint.

    Attributes:
        state: what is remembered of it, under the policy that lies in the bucket now.
        observed: the endpoint as SageMaker has it; None if there is none.
        desired: the version and policy that it should serve; None if nothing is desired.
        why_nothing: why nothing is desired; empty if something is.
        candidates: everything that was considered, up to what is desired.
        steps: what would be done next; when SageMaker has done its part, its event goes on from there.
    """

    state: EndpointState
    observed: Endpoint | None
    desired: Target | None
    why_nothing: str
    candidates: tuple[Candidate, ...]
    steps: tuple[Step, ...]


def preview(reconciler: Reconciler, governed: Governed, invocation: Invocation, now: datetime) -> Preview:
    """Looks, and plans. Reads only.

    Raises:
        AwsError: what there is cannot be read.
    """
    execution = reconciler.begin(governed.loaded, invocation, governed.state)
    observed = reconciler.observe(execution.state)
    wish = reconciler.wish(execution, observed)
    steps = reconciler.next_steps(execution, observed, invocation)
    desired = None if isinstance(wish, Nothing) else wish
    why_nothing = wish.value if isinstance(wish, Nothing) else ""
    candidates = tuple(_considered(execution, observed.config if observed else "", desired, now))
    return Preview(execution.state, observed, desired, why_nothing, candidates, steps)


def _considered(execution: Execution, serving: str, desired: Target | None, now: datetime) -> list[Candidate]:
    state, seen, found = execution.state, set(), []
    for target in state.candidates(serving):
        under = "the present policy" if target.policy == state.policy else "the policy that it went live with"
        if (target.version, target.policy.digest) in seen:
            continue
        seen.add((target.version, target.policy.digest))
        is_desired = desired is not None and target.serves_like(desired)
        found.append(Candidate(target.version, under, _verdict(execution, target, now), is_desired))
        if is_desired:
            break
    return found


def _verdict(execution: Execution, target: Target, now: datetime) -> str:
    state, package = execution.state, execution.package(target.version)
    if package is None:
        return "is gone from the registry"
    if not package.approved:
        return f"is {package.approval}" + (f": {package.description}" if package.description else "")
    if state.has_failed(target):
        return f"has failed under the approval of {target.decided_at:%Y-%m-%d %H:%M} and this policy"
    block = state.block
    if block and state.is_blocked(target, now):
        return f"waits until {block.until:%Y-%m-%d %H:%M}: {block.reason}"
    by = f" by {target.by}" if target.by else ""
    return f"was approved {target.decided_at:%Y-%m-%d %H:%M}{by}"
