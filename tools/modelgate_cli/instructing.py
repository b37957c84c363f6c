"""What an operator tells an endpoint besides approving: pin, freeze, retry, adopt, retire."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from rich.text import Text

from modelgate.aws.errors import translated
from modelgate.deployment.facts import Outcome
from modelgate.deployment.planner import MOVING, Nothing, Serving
from modelgate.errors import Problem, Refused
from modelgate.events.own import Instruction
from modelgate.submission import SAGEMAKER_NAME
from modelgate_cli.complaints import TROUBLE, USAGE, Complaint, refusal
from modelgate_cli.deciding import endpoint_of
from modelgate_cli.endpoints import because, expect_known, live_version, wish_of
from modelgate_cli.following import complain_if_blocked, complain_if_stuck, failure, follow
from modelgate_cli.screen import sentence

if TYPE_CHECKING:
    from rich.console import RenderableType

    from modelgate.deployment.planner import Endpoint, Wish
    from modelgate.deployment.state import EndpointState
    from modelgate.registry.package import ModelPackage
    from modelgate_cli.screen import ProgressLine
    from modelgate_cli.stack import Stack

    What = Literal["pin", "unpin", "freeze", "unfreeze", "retry", "adopt", "retire"]

FUNCTION = "InstructionFunction"
# These make no sense of an endpoint that Modelgate has not heard of.
_OF_WHAT_THERE_IS = frozenset({"unpin", "unfreeze", "retry", "retire"})


@dataclass(frozen=True)
class Instructed:
    """What an instruction led to.

    Attributes:
        did: the planner's steps that were carried out at once.
        note: what the function said besides.
        outcome: ``told`` when nobody waited, else ``live``, ``deleted``, or ``settled`` for all that is
            neither; ``reason`` then says why.
        live: the version that serves by now.
    """

    instruction: str
    group: str
    version: int | None
    endpoint: str
    by: str
    did: tuple[str, ...]
    note: str
    outcome: str
    live: int | None
    reason: str


# ── telling ───────────────────────────────────────────────────────────────────────────────────────
def tell(
    stack: Stack, what: What, group: str, version: int | None = None, endpoint: str | None = None
) -> tuple[Instructed, int]:
    """Has the stack carry out an instruction. Returns the number of the last attempt before it, too.

    Args:
        endpoint: the endpoint, where it is not the one that the group's policy names.

    Raises:
        Complaint: it is refused, cannot be given, or the function failed.
    """
    if not SAGEMAKER_NAME.fullmatch(group):
        mend = "use letters, digits and hyphens, at most 63, as SageMaker does"
        raise Complaint(f"{group!r} is no name of a group", mend, USAGE)
    before = (
        _expect_endpoint(stack, group, endpoint) if what in _OF_WHAT_THERE_IS else endpoint_of(stack, group)
    )
    if before is None and what != "adopt":
        expect_known(stack, group)
    instruction = Instruction(
        instruction=what, group=group, endpoint=endpoint, version=version, by=stack.caller
    )
    report = _invoked(stack, instruction)
    if report.get("refused"):
        raise refusal(Refused(*map(_problem, report["refused"])), group=group, instruction=what)
    if before and before.name.lower() != report["endpoint"].lower():
        before = None  # the group's policy names another endpoint by now
    told = Instructed(
        instruction=what,
        group=group,
        version=version,
        endpoint=report["endpoint"],
        by=instruction.by,
        did=tuple(report.get("did", ())),
        note=report.get("note", ""),
        outcome="told",
        live=live_version(before) if before else None,
        reason="",
    )
    return told, before.attempts_made if before else 0


def expect_policy_names(stack: Stack, group: str, endpoint: str) -> None:
    """
    Raises:
        Complaint: the group's policy names another endpoint.
        Refused: it has none, or a wrong one.
    """
    policy = stack.policies.of(group)
    if policy.endpoint.lower() == endpoint.lower():
        return
    found = f"the policy of the group {group} names the endpoint {policy.endpoint}, and not {endpoint}"
    mend = f"name its group with --group, or write deployment.endpoint: {endpoint} into policies/{group}.yaml"
    raise Complaint(found, mend)


def _invoked(stack: Stack, instruction: Instruction) -> dict[str, Any]:
    function = stack.output(FUNCTION)
    with translated("lambda:InvokeFunction"):
        answer = stack.functions.invoke(
            FunctionName=function,
            InvocationType="RequestResponse",
            Payload=instruction.model_dump_json(exclude_none=True).encode(),
        )
        with answer["Payload"] as stream:
            said: dict[str, Any] = json.loads(stream.read())
    if "FunctionError" in answer:
        error = f"{said.get('errorType', answer['FunctionError'])}: {said.get('errorMessage', '')}"
        raise Complaint(
            f"the function failed on {instruction.in_words}: {' '.join(error.split())}",
            f"give the instruction again; the log of {function} has more",
            TROUBLE,
            facts={"group": instruction.group, "instruction": instruction.instruction},
        )
    return said


def _problem(text: str) -> Problem:
    """A problem that the layer has put into one line, ``where: found; mend``."""
    what, _, mend = text.rpartition("; ")
    where, _, found = what.partition(": ")
    return Problem(where, found, mend) if found else Problem("the instruction", text, "mend that")


# ── following it ──────────────────────────────────────────────────────────────────────────────────
def follow_instruction(
    stack: Stack, told: Instructed, after: int, progress: ProgressLine, *, timeout: float
) -> Instructed:
    """Waits until the endpoint has settled after an instruction.

    Args:
        after: the number of the last attempt before the instruction.

    Raises:
        Complaint: what was wanted failed, or did not come in time.
    """

    def outcome_of(state: EndpointState, served: Endpoint | None) -> Instructed | None:
        packages: dict[int, ModelPackage | None] = {}
        wish = wish_of(stack, state, packages)
        settled = replace(
            told, outcome="settled", live=live_version(state), reason=because(state, wish, packages)
        )
        return outcome_of_instruction(settled, after, state, served, wish)

    return follow(
        stack,
        told.endpoint,
        outcome_of,
        progress,
        timeout=timeout,
        what=f"the end of {told.instruction} on endpoint {told.endpoint}",
    )


def outcome_of_instruction(
    settled: Instructed, after: int, state: EndpointState, served: Endpoint | None, wish: Wish
) -> Instructed | None:
    """What became of an instruction; None while that is open.

    Args:
        settled: what is told if the endpoint stays as it is.
        after: the number of the last attempt before the instruction.
        wish: what is desired by now.

    Raises:
        Complaint: what was wanted failed, or waits for what may not come.
    """
    complain_if_stuck(state, served)
    # Of a deletion that completes no event tells, so its attempt stays open.
    if state.attempt and (state.attempt.target or served):
        return None
    if served and served.status in MOVING:
        return None
    _complain_if_failed(after, state)
    if isinstance(wish, Nothing):
        return _with_nothing_desired(settled, state, served, wish)
    release = state.release
    if served and release and release.target and release.target.serves_like(wish):
        is_wanted = state.wanted is not None and state.wanted.version == wish.version
        return replace(settled, outcome="live", reason=release.reason) if is_wanted else settled
    complain_if_blocked(state, wish.version)
    return None


def _with_nothing_desired(
    settled: Instructed, state: EndpointState, served: Endpoint | None, why: Nothing
) -> Instructed | None:
    if served is None:
        outcome = "deleted" if settled.instruction == "retire" else "settled"
        return replace(settled, outcome=outcome, live=None)
    if why is Nothing.RETIRED:
        return None
    if settled.instruction == "retire":
        mend = f"mend deployment in policies/{state.group}.yaml, and retire it again"
        raise Complaint(f"endpoint {state.name} stays: {settled.reason}", mend)
    return settled


def _complain_if_failed(after: int, state: EndpointState) -> None:
    wanted = state.wanted
    failed = {
        closed.target.version
        for closed in state.closed
        if closed.outcome is Outcome.FAILED and closed.target and closed.number > after
    }
    if wanted and wanted.version in failed and wanted.version != live_version(state):
        raise failure(state, wanted.version, f"submit a better one, or modelgate retry {state.group}")


# ── words ─────────────────────────────────────────────────────────────────────────────────────────
def shown(instructed: Instructed) -> list[RenderableType]:
    lines = [_said(instructed)]
    did = [step for step in instructed.did if step != Serving.__name__]
    if did and instructed.outcome == "told":
        lines.append(f"Done at once: {', '.join(did)}")
    if instructed.note:
        lines.append(instructed.note)
    return [Text(sentence(line)) for line in lines]


def _said(instructed: Instructed) -> str:
    group, endpoint = instructed.group, instructed.endpoint
    done = {
        "pin": f"Version {instructed.version} is pinned on endpoint {endpoint}",
        "unpin": f"Nothing is pinned on endpoint {endpoint} any more",
        "freeze": f"Endpoint {endpoint} is frozen: nothing is deployed until modelgate unfreeze {group}",
        "unfreeze": f"No operator freezes endpoint {endpoint} any more",
        "retry": f"What was blocked or had failed on endpoint {endpoint} may be tried again",
        "adopt": f"Endpoint {endpoint} is Modelgate's from now on",
        "retire": f"Endpoint {endpoint} is retired",
    }[instructed.instruction]
    if instructed.outcome == "live":
        return f"{done}. Version {instructed.live} is live: {instructed.reason}"
    if instructed.outcome == "deleted":
        return f"{done}, and deleted"
    if instructed.outcome == "settled":
        serves = f"Version {instructed.live} serves" if instructed.live else "Nothing serves"
        return f"{done}. {serves}: {instructed.reason}"
    return done


def what_retiring_does(stack: Stack, group: str, endpoint: str | None = None) -> str:
    """For whoever is asked whether they mean it.

    Raises:
        Complaint: there is nothing to retire.
    """
    name = _expect_endpoint(stack, group, endpoint).name
    return (
        f"Retiring deletes the endpoint {name}, and with it the models and endpoint configs that were "
        "made for it, its alarms and its autoscaling. Requests to it fail from then on.\n"
        f"What stays: the versions of {group} in the registry and their approvals, what lies in the bucket, "
        "and the endpoint's history. The next approval makes the endpoint anew."
    )


def _expect_endpoint(stack: Stack, group: str, endpoint: str | None = None) -> EndpointState:
    state = stack.states.load(endpoint) if endpoint else endpoint_of(stack, group)
    if state is not None and state.group != group:
        found = f"the endpoint {state.name} serves {state.group}, and not {group}"
        raise Complaint(found, "modelgate status shows which serves what")
    if state is None:
        raise Complaint(f"{group} has no endpoint", "modelgate status shows those that there are")
    return state
