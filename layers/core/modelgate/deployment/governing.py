"""Which policy an endpoint is under: the last one that was accepted, remembered in its item.

So a decision needs no look at the bucket, and a policy that is wrong changes nothing: what was
accepted before it goes on, and the operator is told.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from modelgate.announcements import Kind, id_of
from modelgate.deployment.state import EndpointState
from modelgate.errors import Problem, Refused
from modelgate.policy import key_of
from modelgate.values import dataclass

if TYPE_CHECKING:
    from modelgate.deployment.states import EndpointStates
    from modelgate.directory import Directory
    from modelgate.policies import Policies
    from modelgate.policy import GroupPolicy


@dataclass(frozen=True)
class Governed:
    """An endpoint under its group's policy.

    Attributes:
        loaded: the state as it was read.
        state: what it is under the policy; not written yet.
    """

    loaded: EndpointState
    state: EndpointState


class Governor:
    """Finds the endpoint of a group, and puts it under the group's present policy."""

    def __init__(self, states: EndpointStates, policies: Policies, directory: Directory) -> None:
        self._states = states
        self._policies = policies
        self._directory = directory

    def remembered(self, group: str) -> Governed | None:
        """The group's endpoint, if it has the group's name and is under its policy: one read."""
        state = self._states.load(group)
        return Governed(state, state) if state and state.group == group and state.policy else None

    def decided(self, group: str) -> Governed:
        """The group's endpoint as `remembered` has it, else as `governed` does.

        Raises:
            Refused: as `governed` does.
        """
        state = self._states.load(group)
        known = state is not None and state.group == group and state.policy is not None
        return Governed(state, state) if state and known else self._governed(group, state)

    def last_known(self, group: str) -> Governed | None:
        """The group's endpoint under the policy that was accepted last, however it is called."""
        for name, of in self._directory.endpoints().items():
            state = self._states.load(name) if of == group else None
            if state and state.policy:
                return Governed(state, state)
        return None

    def governed(self, group: str, *, uploaded: bool = False) -> Governed:
        """The group's endpoint under the policy that lies in the bucket now.

        Args:
            uploaded: whether somebody waits to hear that the policy is accepted, be it the first one.

        Raises:
            Refused: the policy is wrong or missing, the endpoint serves another group, or SageMaker
                never makes such an endpoint of the one that is there.
        """
        return self._governed(group, self._states.load(group), uploaded=uploaded)

    def _governed(self, group: str, namesake: EndpointState | None, *, uploaded: bool = False) -> Governed:
        policy, state = self._read(group, namesake)
        if state.group != group:
            found = f"{policy.endpoint!r} serves the group {state.group}, and an endpoint serves one group"
            raise Refused(_problem(policy, found, "name another endpoint in deployment.endpoint"))
        live = state.release.target if state.release else None
        if live and live.policy.instances and policy.policy.deployment.serverless:
            found = f"endpoint {state.name} runs on instances, and SageMaker makes none of those serverless"
            retire = f"`modelgate retire {group} --endpoint {state.name}`"
            mend = f"name another in deployment.endpoint, then {retire}"
            raise Refused(_problem(policy, found, mend))
        return Governed(state, _governed_by(state, policy, uploaded=uploaded))

    def _read(self, group: str, namesake: EndpointState | None) -> tuple[GroupPolicy, EndpointState]:
        """The policy names the endpoint, but what is written must rest on a policy read after the item.

        Args:
            namesake: the item of the endpoint that is called like the group, as most are.
        """
        name, state = group, namesake
        while (policy := self._policies.of(group)).endpoint != name:
            name = policy.endpoint
            state = self._states.load(name)
        return policy, state or self._new(policy)

    def given_up(self, group: str, endpoint: str) -> list[EndpointState]:
        """The group's endpoints that its policy no longer names; not written yet."""
        others = [
            name
            for name, of in self._directory.endpoints().items()
            if of == group and name.lower() != endpoint.lower()
        ]
        states = [state for name in others if (state := self._states.load(name)) and state.policy]
        return [state.governed(None, own=state.policy_is_own) for state in states]

    def _new(self, policy: GroupPolicy) -> EndpointState:
        """An endpoint that there is no item of; it takes over what was decided for the group elsewhere."""
        fresh = EndpointState(policy.endpoint, policy.group)
        for name, group in self._directory.endpoints().items():
            before = self._states.load(name) if group == policy.group else None
            if before and before.decision and before.decision.newer_than(fresh.decision):
                fresh = replace(
                    fresh,
                    decision=before.decision,
                    sightings=before.sightings,
                    ever_live=before.ever_live,
                )
        return fresh


def _governed_by(state: EndpointState, policy: GroupPolicy, *, uploaded: bool) -> EndpointState:
    """The state under this policy; a change of it is announced."""
    deployment = policy.policy.deployment
    if state.policy == deployment and state.policy_is_own == policy.own:
        return state
    after = state.governed(deployment, own=policy.own)
    if state.policy is None and not uploaded:
        return after
    message = f"Endpoint {state.name} is under the policy {key_of(policy.name)} now, as it was uploaded last."
    identity = id_of(policy.uploaded, policy.name)
    return after.owing(after.news(Kind.POLICY_ACCEPTED, message, identity))


def _problem(policy: GroupPolicy, found: str, mend: str) -> Problem:
    return Problem(f"{key_of(policy.name)}: deployment", found, mend)
