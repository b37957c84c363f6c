"""What an operator tells an endpoint besides approving: pin, freeze, retry, adopt, retire."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelgate.announcements import Kind, id_of
from modelgate.deployment.governing import Governed
from modelgate.deployment.reconcile import Report
from modelgate.errors import AwsError, NotFound, NotYet, Problem, Refused
from modelgate.restarting import restarting

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from modelgate.deployment.governing import Governor
    from modelgate.deployment.reconcile import Reconciler
    from modelgate.deployment.state import EndpointState
    from modelgate.deployment.states import EndpointStates
    from modelgate.events.own import Instruction
    from modelgate.invocation import Invocation
    from modelgate.ports import Hosting, Registry


class Instructions:
    """The use case of `instruction_given`.

    Args:
        clock: the time, in UTC.
    """

    def __init__(
        self,
        *,
        reconciler: Reconciler,
        governor: Governor,
        states: EndpointStates,
        registry: Registry,
        hosting: Hosting,
        clock: Callable[[], datetime],
    ) -> None:
        self._reconciler = reconciler
        self._governor = governor
        self._states = states
        self._registry = registry
        self._hosting = hosting
        self._clock = clock

    def carry_out(self, instruction: Instruction, invocation: Invocation) -> Report:
        """Remembers the instruction, and moves the endpoint as far as that is possible at once.

        Nobody retries this invocation; what is remembered is carried out by the next event or the sweep.

        Raises:
            AwsError: it could not be remembered; give the instruction again.
        """
        try:
            return restarting(lambda: self._carry_out(instruction, invocation))
        except Refused as refused:
            return Report("", refused=tuple(str(problem) for problem in refused.problems))

    def _carry_out(self, instruction: Instruction, invocation: Invocation) -> Report:
        governed = self._governed(instruction)
        after = self._told(instruction, governed.state)
        identity = id_of(instruction.instruction, invocation.id)
        message = f"{instruction.by or 'An operator'} told endpoint {after.name}: {instruction.in_words}."
        facts: dict[str, object] = {"instruction": instruction.instruction, "by": instruction.by}
        after = after.owing(after.news(Kind.INSTRUCTION_TAKEN, message, identity, **facts))
        execution = self._reconciler.begin(governed.loaded, invocation, after)
        execution.finish()
        try:
            return self._reconciler.reconcile(execution, invocation)
        except (NotYet, AwsError) as error:
            return Report(
                after.name, note=f"remembered, and carried out with the next event or sweep: {error}"
            )

    def _governed(self, instruction: Instruction) -> Governed:
        group = instruction.group
        if instruction.endpoint:
            return self._named(group, instruction.endpoint)
        try:
            governed = self._governor.governed(group)
        except Refused:
            # A policy that is wrong by now keeps nobody from freezing what it was meant for.
            known = self._governor.last_known(group)
            if known is None:
                raise
            return known
        if governed.loaded.revision == 0 and instruction.instruction != "adopt":
            mend = "see its spelling; an endpoint is known from the first approval, or its policy, on"
            raise Refused(Problem(f"group {group}", "has no endpoint that Modelgate knows", mend))
        return governed

    def _named(self, group: str, endpoint: str) -> Governed:
        state = self._states.load(endpoint)
        if state is None or state.group != group:
            found = "is not known to Modelgate" if state is None else f"serves the group {state.group}"
            raise Refused(Problem(f"endpoint {endpoint}", found, "see `modelgate status`"))
        return Governed(state, state)

    def _told(self, instruction: Instruction, state: EndpointState) -> EndpointState:
        now = self._clock()
        match instruction.instruction:
            case "pin":
                return self._pinned(instruction, state, now)
            case "unpin":
                return state.pinned(None, now)
            case "freeze":
                return state.freezing(frozen=True)
            case "unfreeze":
                return state.freezing(frozen=False)
            case "retry":
                return state.retried()
            case "adopt":
                return self._adopted(state)
            case "retire":
                return state.retired(now)

    def _pinned(self, instruction: Instruction, state: EndpointState, now: datetime) -> EndpointState:
        version = instruction.version or 0
        package = self._registry.describe(state.group, version)
        if package is None:
            mend = f"see `modelgate versions {state.group}`"
            raise Refused(Problem(f"version {version} of {state.group}", "is not in the registry", mend))
        if not package.approved:
            found = f"is {package.approval}, and only what is approved is ever served"
            raise Refused(Problem(f"version {version} of {state.group}", found, "approve it, then pin it"))
        return state.pinned(version, now, instruction.by)

    def _adopted(self, state: EndpointState) -> EndpointState:
        try:
            self._hosting.adopt(state.name)
        except NotFound as error:
            mend = "name the group whose policy names the endpoint, and spell both as they are"
            raise Refused(Problem(f"endpoint {state.name}", "does not exist", mend)) from error
        return state.adopting()
