"""Moves an endpoint to what is desired. Events are hints; what is really there decides.

The order matters: the item is read first and AWS is described after it, so that what is written on
the item's revision rests on facts that are at least as new as the item. The other way round, an old
endpoint could be seen beside a new attempt, and be called rolled back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from modelgate.announcements import Announcement, Kind, id_of
from modelgate.deployment.executor import Execution
from modelgate.deployment.planner import (
    CreateEndpoint,
    DeleteEndpoint,
    Endpoint,
    Moment,
    Undetermined,
    UpdateEndpoint,
    Wish,
    desire,
    plan,
)
from modelgate.deployment.state import EndpointState
from modelgate.errors import NotYet, Refused, StaleRevision

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from modelgate.deployment.smoke import SmokeTester
    from modelgate.deployment.states import EndpointStates
    from modelgate.events import EndpointStateChange, ModelPackageStateChange
    from modelgate.policies import Policies
    from modelgate.policy import DeploymentPolicy, GroupPolicy
    from modelgate.ports import Bus, Hosting, Registry

# Each round closes an attempt or opens one; nothing real needs more in one invocation.
_ROUNDS = 8
_RESTARTS = 4


@dataclass(frozen=True)
class Report:
    """What a reconciliation came to, for the log and for whoever invoked the function by hand."""

    endpoint: str
    did: tuple[str, ...] = ()
    note: str = ""


class Reconciler:
    """The use cases of a deployment.

    Args:
        stack: the stack's name; versions that it registered are deployed under the default policy too.
        time_limit_seconds: after so long an invocation is over.
        clock: the time, in UTC.
    """

    def __init__(
        self,
        *,
        states: EndpointStates,
        policies: Policies,
        registry: Registry,
        hosting: Hosting,
        smoke_tester: SmokeTester,
        bus: Bus,
        stack: str,
        time_limit_seconds: float,
        clock: Callable[[], datetime],
    ) -> None:
        self._states = states
        self._policies = policies
        self._registry = registry
        self._hosting = hosting
        self._smoke_tester = smoke_tester
        self._bus = bus
        self._stack = stack
        self._time_limit_seconds = time_limit_seconds
        self._clock = clock

    def decision_changed(self, event: ModelPackageStateChange, invocation: str) -> Report:
        """An event tells of a version whose approval may have changed.

        Raises:
            NotYet, AwsError: Lambda is to come back.
        """
        detail = event.detail
        rejected = detail.approval_status == "Rejected"
        if not event.is_decision:
            return Report("", note="the approval has not changed")
        try:
            policy = self._policies.of(detail.group)
        except Refused as refused:
            return self._without_a_policy(event, refused)

        def sighted(state: EndpointState) -> EndpointState:
            approved = detail.approval_status == "Approved"
            return state.sighted(detail.version, approved=approved, at=event.decided_at)

        return self._restarting(
            lambda: self._decide(policy, detail.version, sighted, invocation, rejected=rejected)
        )

    def endpoint_changed(self, event: EndpointStateChange, invocation: str) -> Report:
        """An event tells that an endpoint has changed.

        Raises:
            NotYet, AwsError: Lambda is to come back.
        """
        return self._restarting(lambda: self._look_after(event.detail.name, invocation))

    # ── what the events lead to ───────────────────────────────────────────────────────────────
    def _decide(
        self,
        policy: GroupPolicy,
        version: int,
        sighted: Callable[[EndpointState], EndpointState],
        invocation: str,
        *,
        rejected: bool,
    ) -> Report:
        remembered = self._states.load(policy.endpoint)
        state = remembered or EndpointState(policy.endpoint, policy.group)
        if state.group != policy.group:
            return self._refuse_second_group(policy, version, state)
        execution = self._execution(state, invocation)
        package = execution.package(version)
        if package and not policy.own and not package.registered_by(self._stack):
            return Report(
                policy.endpoint, note="registered elsewhere, and its group has no policy of its own"
            )
        approved = package is not None and package.approved
        if not approved and (remembered is None or not (state.has_heard_of(version) or rejected)):
            return Report(policy.endpoint, note="never approved, so nothing hangs on it")
        execution.state = sighted(state)
        if package and approved:
            execution.state = execution.state.approved(version, package.modified_at)
        return self._reconcile(execution, policy.policy.deployment, invocation)

    def _look_after(self, endpoint: str, invocation: str) -> Report:
        state = self._states.load(endpoint)
        if state is None:
            return Report(endpoint, note="not an endpoint of Modelgate's")
        execution = self._execution(state, invocation)
        return self._reconcile(execution, self._present_policy(execution), invocation)

    def _present_policy(self, execution: Execution) -> DeploymentPolicy | None:
        state = execution.state
        try:
            policy = self._policies.of(state.group)
        except Refused as refused:
            message = f"Endpoint {state.name} stays as it is, because its policy cannot be used: {refused}"
            execution.state = state.telling(Kind.DEPLOYMENT_REFUSED, message, id_of("policy", refused))
            return None
        # A policy that names another endpoint by now says nothing about this one.
        return policy.policy.deployment if policy.endpoint.lower() == state.name.lower() else None

    # ── the way there ─────────────────────────────────────────────────────────────────────────
    def _reconcile(self, execution: Execution, policy: DeploymentPolicy | None, invocation: str) -> Report:
        endpoint = self._observe(execution.state)
        did: list[str] = []
        for _ in range(_ROUNDS):
            before = execution.state
            steps = plan(before, endpoint, self._wish(execution, policy), self._moment(invocation))
            execution.carry_out(steps)
            did += [type(step).__name__ for step in steps]
            if any(isinstance(step, CreateEndpoint | UpdateEndpoint) for step in steps):
                break  # SageMaker is at work now, and its event goes on from here
            if any(isinstance(step, DeleteEndpoint) for step in steps):
                endpoint = self._observe(execution.state)
            elif execution.state == before:
                execution.finish()
                if execution.state.decision == before.decision:
                    break
        else:
            execution.finish()
            raise NotYet(f"endpoint {execution.state.name} is not settled after {_ROUNDS} rounds")
        execution.finish()
        return Report(execution.state.name, tuple(did))

    def _wish(self, execution: Execution, policy: DeploymentPolicy | None) -> Wish:
        while True:
            wish = desire(execution.state, execution.packages, policy)
            if not isinstance(wish, Undetermined):
                return wish
            execution.package(wish.version)

    def _observe(self, state: EndpointState) -> Endpoint | None:
        endpoint = self._hosting.describe(state.name)
        if endpoint is None or state.knows(endpoint.config):
            return endpoint
        # A config that no attempt made: changed by hand, or not ours at all. The tag tells.
        return replace(endpoint, ours=state.attempts_made > 0 and self._hosting.carries_tag(state.name))

    def _restarting(self, once: Callable[[], Report]) -> Report:
        """Somebody else wrote the item in between: what they wrote decides, so begin again."""
        for _ in range(_RESTARTS):
            try:
                return once()
            except StaleRevision:
                continue
        return once()

    def _execution(self, state: EndpointState, invocation: str) -> Execution:
        return Execution(
            state,
            states=self._states,
            registry=self._registry,
            hosting=self._hosting,
            smoke_tester=self._smoke_tester,
            bus=self._bus,
            invocation=invocation,
            clock=self._clock,
        )

    def _moment(self, invocation: str) -> Moment:
        return Moment(invocation, self._clock(), self._time_limit_seconds)

    # ── what is refused ───────────────────────────────────────────────────────────────────────
    def _without_a_policy(self, event: ModelPackageStateChange, refused: Refused) -> Report:
        detail = event.detail
        package = self._registry.describe(detail.group, detail.version)
        if package is None or not package.approved or not package.registered_by(self._stack):
            return Report("", note=f"not Modelgate's to deploy: {refused}")
        message = f"Version {detail.version} of {detail.group} is approved and cannot be deployed: {refused}"
        self._refuse(detail.group, detail.version, message, event.decided_at, refused)
        return Report("", note=str(refused))

    def _refuse_second_group(self, policy: GroupPolicy, version: int, state: EndpointState) -> Report:
        package = self._registry.describe(policy.group, version)
        if package is None or not package.approved:
            return Report(policy.endpoint, note=f"the endpoint serves {state.group}")
        message = (
            f"Version {version} of {policy.group} is approved, but endpoint {state.name} serves "
            f"{state.group}, and an endpoint serves one group: name another in deployment.endpoint "
            f"of {policy.group}'s policy."
        )
        self._refuse(policy.group, version, message, package.modified_at, state.name)
        return Report(policy.endpoint, note=message)

    def _refuse(self, group: str, version: int, message: str, *about: object) -> None:
        identity = id_of(Kind.DEPLOYMENT_REFUSED, group, version, *about)
        self._bus.announce(
            Announcement(Kind.DEPLOYMENT_REFUSED, identity, message, group, {"version": version})
        )
