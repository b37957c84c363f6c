"""What would be done about a group's endpoint now, and why. Nothing of it is done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.text import Text

from modelgate.deployment.planner import MOVING, CreateEndpoint, DeleteEndpoint, Serving, Tell, UpdateEndpoint
from modelgate.deployment.preview import Candidate, preview
from modelgate.effects import Announce
from modelgate.invocation import Invocation
from modelgate_cli.endpoints import expect_known
from modelgate_cli.narration import Narrator
from modelgate_cli.screen import moment, sentence, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from modelgate.deployment.planner import Step
    from modelgate.deployment.preview import Preview
    from modelgate.deployment.state import EndpointState
    from modelgate.effects import Effect
    from modelgate_cli.stack import Stack


@dataclass(frozen=True)
class PlannedStep:
    """A step of the planner's, by its name and in words."""

    step: str
    words: str


@dataclass(frozen=True)
class Plan:
    """What would be done about an endpoint now.

    Attributes:
        endpoint: its name.
        sagemaker, config, failure_reason: what SageMaker has; None and empty where it has none.
        desired, desired_because: the version that is wanted, or why none is.
        candidates: what was considered, best first, up to what is desired.
        steps: what would be done next; none when there is nothing to do.
        owed: what is to be announced or rejected in any case.
        told: what the operator was told already, and that still stands.
        then: how it goes on after the steps.
    """

    group: str
    endpoint: str
    sagemaker: str | None
    config: str
    failure_reason: str
    desired: int | None
    desired_because: str
    candidates: tuple[Candidate, ...]
    steps: tuple[PlannedStep, ...]
    owed: tuple[str, ...]
    told: tuple[str, ...]
    then: str


def plan_of(stack: Stack, group: str) -> Plan:
    """Looks and plans. Reads only.

    Raises:
        Complaint: nothing is known of the group.
        Refused: its policy is wrong, so that nothing would be moved.
    """
    expect_known(stack, group)
    now = stack.now()
    found = preview(stack.reconciler, stack.governor.governed(group), Invocation("modelgate plan", now), now)
    return described(found)


def described(found: Preview) -> Plan:
    """A preview in words."""
    state, observed = found.state, found.observed
    tell = Narrator(state)
    told = tuple(step.message for step in found.steps if isinstance(step, Tell) and not _changes(state, step))
    return Plan(
        group=state.group,
        endpoint=state.name,
        sagemaker=observed.status if observed else None,
        config=observed.config if observed else "",
        failure_reason=observed.failure_reason if observed else "",
        desired=found.desired.version if found.desired else None,
        desired_because=_because(found),
        candidates=found.candidates,
        steps=tuple(
            PlannedStep(type(step).__name__, tell.in_words(step))
            for step in found.steps
            if _changes(state, step)
        ),
        owed=tuple(map(_owed, state.effects)),
        told=told,
        then=_then(found),
    )


def _changes(state: EndpointState, step: Step) -> bool:
    """Whether anything is other than before when the step was carried out."""
    if isinstance(step, Serving):
        return state.serving(step.release).credited(step.policy) != state
    if isinstance(step, Tell):
        return state.telling(step.kind, step.message, step.about) != state
    return True


def _because(found: Preview) -> str:
    if found.desired is None:
        return found.why_nothing
    chosen = next((each for each in found.candidates if each.desired), None)
    if chosen is None:
        return "SageMaker is moving there already"
    return f"it {chosen.verdict}"


def _owed(effect: Effect) -> str:
    if isinstance(effect, Announce):
        return f"announce {effect.announcement.kind.value}: {effect.announcement.message}"
    return f"reject version {effect.version}: {effect.reason}"


def _then(found: Preview) -> str:
    observed = found.observed
    if observed and observed.status in MOVING:
        return f"SageMaker is at work ({observed.status}), and goes on by itself"
    kinds = {type(step) for step in found.steps}
    if kinds & {CreateEndpoint, UpdateEndpoint, DeleteEndpoint}:
        return "SageMaker is at work then; what it has come to decides what follows"
    block = found.state.block
    if block and found.desired and block.target.asks_like(found.desired) and not kinds - {Serving}:
        return f"version {found.desired.version} is tried again after {moment(block.until)}"
    return ""


# ── words ─────────────────────────────────────────────────────────────────────────────────────────
def shown(plan: Plan) -> list[RenderableType]:
    desired = f"version {plan.desired} is desired" if plan.desired else "nothing is desired"
    lines: list[RenderableType] = [
        Text(sentence(f"Endpoint {plan.endpoint} of {plan.group} is {_in_sagemaker(plan)}")),
        Text(sentence(f"{desired.capitalize()}: {plan.desired_because}")),
    ]
    if plan.candidates:
        candidates = table("version", "under", "verdict", "desired")
        for each in plan.candidates:
            candidates.add_row(str(each.version), each.under, each.verdict, "yes" if each.desired else "no")
        lines += [Text(), candidates]
    lines += [Text(), *_steps(plan)]
    lines += [Text(f"The operator was told: {message}") for message in plan.told]
    return lines


def _in_sagemaker(plan: Plan) -> str:
    if plan.sagemaker is None:
        return "not there"
    config = f" with the config {plan.config}" if plan.config else ""
    reason = f": {plan.failure_reason}" if plan.failure_reason else ""
    return f"{plan.sagemaker}{config}{reason}"


def _steps(plan: Plan) -> list[RenderableType]:
    doing = [*plan.owed, *(step.words for step in plan.steps)]
    lines = [Text(f"{number}. {words}") for number, words in enumerate(doing, 1)]
    if not lines:
        return [Text(f"Nothing to do: {plan.then}." if plan.then else "Nothing to do.")]
    then = [Text(f"{plan.then}.")] if plan.then else []
    return [Text("What would be done:", "bold"), *lines, *then]
