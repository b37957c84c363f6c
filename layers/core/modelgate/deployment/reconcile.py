"""Moves an endpoint to what is desired. Events are hints; what is really there decides.

The order matters: the item is read first and AWS is described after it, so that what is written on
the item's revision rests on facts that are at least as new as the item. The other way round, an old
endpoint could be seen beside a new attempt, and be called rolled back.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from modelgate.deployment.executor import Execution
from modelgate.deployment.planner import (
    CreateEndpoint,
    DeleteEndpoint,
    Endpoint,
    Moment,
    Step,
    Undetermined,
    UpdateEndpoint,
    Wish,
    desire,
    plan,
)
from modelgate.deployment.smoke import endpoint_of
from modelgate.errors import NotYet, StaleRevision
from modelgate.restarting import restarting
from modelgate.values import dataclass

if TYPE_CHECKING:
    from modelgate.deployment.executor import Surroundings
    from modelgate.deployment.state import EndpointState
    from modelgate.events.sagemaker import EndpointStateChange
    from modelgate.invocation import Invocation

# Each round closes an attempt or opens one; nothing real needs more in one invocation.
_ROUNDS = 12


@dataclass(frozen=True)
class Report:
    """What an invocation came to, for the log and for whoever invoked the function by hand.

    Attributes:
        endpoint: which one it was about; empty when it was about none.
        did: the names of the planner's steps that were carried out.
        note: why nothing was done, in words.
        refused: why what was asked for cannot be had, and how to mend it.
    """

    endpoint: str
    did: tuple[str, ...] = ()
    note: str = ""
    refused: tuple[str, ...] = ()


class Reconciler:
    """What every event about an endpoint comes to in the end."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._aws = surroundings

    def endpoint_changed(self, event: EndpointStateChange, invocation: Invocation) -> Report:
        """An event tells that an endpoint has changed.

        Raises:
            NotYet, AwsError: Lambda is to come back.
        """
        return self.look_after(event.detail.name, invocation)

    def answered(self, key: str, invocation: Invocation) -> Report:
        """An asynchronous endpoint has written an answer, at ``predictions/<endpoint>/…``.

        Raises:
            NotYet, AwsError: Lambda is to come back.
        """
        return self.look_after(endpoint_of(key), invocation)

    def look_after(self, endpoint: str, invocation: Invocation) -> Report:
        """Something about this endpoint may have changed.

        Raises:
            NotYet, AwsError: Lambda is to come back.
        """

        def once() -> Report:
            state = self._aws.states.load(endpoint)
            if state is None:
                return Report(endpoint, note="not an endpoint of Modelgate's")
            execution = self.begin(state, invocation)
            execution.vouched = state.vouched
            return self.reconcile(execution, invocation)

        return restarting(once)

    # ── the way there ─────────────────────────────────────────────────────────────────────────
    def begin(
        self, loaded: EndpointState, invocation: Invocation, changed: EndpointState | None = None
    ) -> Execution:
        """The work of an invocation on an endpoint, from the state that was read.

        Args:
            changed: what has become of it since, and is not written yet.
        """
        execution = Execution(loaded, self._aws, invocation)
        execution.state = changed or loaded
        return execution

    def reconcile(self, execution: Execution, invocation: Invocation) -> Report:
        """Plans and carries out, until nothing is left to do or SageMaker is at work.

        Raises:
            NotYet: there is something to do, but not now.
            StaleRevision: somebody else wrote the item; load it again.
        """
        endpoint = self.observe(execution.state)
        did: list[str] = []
        for _ in range(_ROUNDS):
            if execution.reloaded:
                raise _somebody_else_wrote(execution.state)
            before = execution.state
            steps = self.next_steps(execution, endpoint, invocation)
            done = execution.carry_out(steps)
            did += [type(step).__name__ for step in done]
            if _calls(done, CreateEndpoint, UpdateEndpoint):
                break  # SageMaker is at work now, and its event goes on from here
            if _calls(done, DeleteEndpoint):
                endpoint = self.observe(execution.state)
            elif execution.state == before:
                execution.finish()
                if execution.state.decision == before.decision:
                    break
        else:
            execution.finish()
            raise NotYet(f"endpoint {execution.state.name} is not settled after {_ROUNDS} rounds")
        execution.finish()
        return Report(execution.state.name, tuple(did))

    def next_steps(
        self, execution: Execution, endpoint: Endpoint | None, invocation: Invocation
    ) -> tuple[Step, ...]:
        """What the planner would do next; versions are looked up as far as it needs them."""
        wish = self.wish(execution, endpoint)
        return plan(execution.state, endpoint, wish, Moment(invocation.id, self._aws.clock()))

    def wish(self, execution: Execution, endpoint: Endpoint | None) -> Wish:
        """What is desired; versions are looked up as far as that takes."""
        serving = endpoint.config if endpoint and endpoint.status == "InService" else ""
        while True:
            # Only what has arrived is taken at its word: so nothing is ever begun without a look.
            wish = desire(
                execution.state, execution.packages, serving, execution.vouched if serving else None
            )
            if not isinstance(wish, Undetermined):
                return wish
            execution.package(wish.version)

    def observe(self, state: EndpointState) -> Endpoint | None:
        """The endpoint as SageMaker has it now."""
        endpoint = self._aws.hosting.describe(state.name)
        if endpoint is None or state.knows(endpoint.config):
            return endpoint
        # A config that no attempt made: changed by hand, or not ours at all. The tag tells.
        made_here = state.attempts_made > 0 or state.adopted
        return replace(endpoint, ours=made_here and self._aws.hosting.carries_tag(state.name))


def _somebody_else_wrote(state: EndpointState) -> StaleRevision:
    return StaleRevision("PutItem", "ConditionalCheckFailedException", f"endpoint {state.name} was written")


def _calls(done: tuple[Step, ...], *kinds: type[Step]) -> bool:
    return any(isinstance(step, kinds) for step in done)
