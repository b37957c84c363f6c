"""What a document of Studio would change, as a difference that people read. Nothing of it is done."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING

from rich.text import Text

from modelgate.errors import Refused
from modelgate.studio.planner import Adopt, Alter, Change, Make, Remove, Retag
from modelgate.studio.resources import Kind
from modelgate.studio.vocabulary import OF_DOMAIN
from modelgate_cli.complaints import refusal
from modelgate_cli.studio_documents import asked_by, in_bucket, read, state_of

if TYPE_CHECKING:
    from modelgate.studio.keeping import Asked
    from modelgate.studio.planner import Plan, Step
    from modelgate.studio.records import StudioState
    from modelgate.studio.resources import Found, Ref, Wanted
    from modelgate_cli.stack import Stack
    from modelgate_cli.studio_documents import Written

# Terraform's is 2, which here is a command line that was wrong; a program must tell them apart.
DIFFERENCE = 4

MAKE, CHANGE, TAG, TAKE_OVER, DELETE = "make", "change", "tag", "take over", "delete"
_COUNTED = (MAKE, CHANGE, TAKE_OVER, DELETE)
_SIGNS = {
    MAKE: ("+", "green"),
    CHANGE: ("~", "yellow"),
    TAKE_OVER: ("=", "cyan"),
    DELETE: ("-", "red"),
    "make anew": ("-/+", "red"),
}


@dataclass(frozen=True)
class PlannedStep:
    """One step.

    Attributes:
        action: ``make``, ``change``, ``tag``, ``take over`` or ``delete``.
        kind, name: of what it is done to.
        changes: the settings; of what is made, those that are not SageMaker's own defaults.
        tags, tags_gone: what is put, and the keys of what is taken away.
        because: why it is deleted.
        with_home_file_system: whether a domain's home file system goes with it.
        waits_for: why it cannot be done yet; empty where it can.
    """

    action: str
    kind: str
    name: str
    changes: tuple[Change, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    tags_gone: tuple[str, ...] = ()
    because: str = ""
    with_home_file_system: bool = False
    waits_for: str = ""

    @property
    def ref(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True)
class InSageMaker:
    """Something that is there; ``status`` is SageMaker's word."""

    kind: str
    name: str
    status: str

    @property
    def ref(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True)
class Planned:
    """The whole difference.

    Attributes:
        domain_id: empty where there is no such domain yet.
        document: where it was read.
        differs: whether there is anything to do.
        orphans: what left the document, whether it is deleted or not.
        moving: what SageMaker is at work on.
        in_the_way: what keeps deletions from happening, in sentences.
    """

    domain: str
    domain_id: str
    document: str
    differs: bool
    steps: tuple[PlannedStep, ...]
    orphans: tuple[InSageMaker, ...]
    moving: tuple[InSageMaker, ...]
    in_the_way: tuple[str, ...]

    @property
    def deleted(self) -> tuple[str, ...]:
        return tuple(step.ref for step in self.steps if step.action == DELETE)

    @property
    def deletes_home(self) -> bool:
        return any(step.with_home_file_system for step in self.steps)


def plan_of(stack: Stack, subject: str) -> Planned:
    """Looks and plans. Reads only.

    Args:
        subject: a file, or the name of a domain, whose document in the bucket is meant then.

    Raises:
        Complaint: there is no such document, or it may not be carried out.
        Refused: with everything that is wrong with it.
    """
    written = read(stack, subject)
    asked = asked_by(stack, written, in_bucket(stack, written.name))
    return difference(stack, written, asked, state_of(stack, written.name))


def difference(stack: Stack, written: Written, asked: Asked, state: StudioState) -> Planned:
    """
    Raises:
        Complaint: nothing may be done at all.
    """
    found, plan = stack.keeper.difference(state, asked)
    if plan.problems:
        raise refusal(Refused(*plan.problems), domain=written.name)
    return described(written, found, plan)


def described(written: Written, found: Found, plan: Plan) -> Planned:
    """A plan of the planner's, for people and programs."""
    return Planned(
        domain=written.name,
        domain_id=found.domain_id,
        document=written.source,
        differs=bool(plan.steps),
        steps=tuple(map(_described, plan.steps)),
        orphans=_statuses(plan.orphans, found),
        moving=_statuses(plan.moving, found),
        in_the_way=plan.in_the_way,
    )


def _statuses(refs: Iterable[Ref], found: Found) -> tuple[InSageMaker, ...]:
    there = [found.get(ref) for ref in refs]
    return tuple(InSageMaker(each.ref.kind.value, each.ref.name, each.status) for each in there if each)


def _described(step: Step) -> PlannedStep:
    kind, name, waits = step.ref.kind.value, step.ref.name, step.waits_for
    match step:
        case Make():
            tags = dict(step.wanted.tags)
            return PlannedStep(MAKE, kind, name, _said_by(step.wanted), tags=tags, waits_for=waits)
        case Alter():
            return PlannedStep(CHANGE, kind, name, step.changes, waits_for=waits)
        case Retag():
            return PlannedStep(TAG, kind, name, tags=dict(step.put), tags_gone=step.gone, waits_for=waits)
        case Adopt():
            return PlannedStep(TAKE_OVER, kind, name, waits_for=waits)
        case Remove():
            return PlannedStep(
                DELETE,
                kind,
                name,
                because=step.because,
                with_home_file_system=step.with_home,
                waits_for=waits,
            )


def _said_by(wanted: Wanted) -> tuple[Change, ...]:
    """What tells a resource from any other of its kind."""
    usual = OF_DOMAIN if wanted.ref.kind is Kind.DOMAIN else {}
    settings = {key: value for key, value in wanted.settings.items() if value != usual.get(key)}
    fixed = {key: value for key, value in wanted.fixed.items() if value != ""}
    return tuple(Change(key, None, value) for key, value in (fixed | settings).items())


# ── words ─────────────────────────────────────────────────────────────────────────────────────────
def shown(planned: Planned) -> list[Text]:
    """A line for each resource and for each of its settings, and what it all comes to."""
    where = planned.domain_id or "not there yet"
    title = Text(f"Domain {planned.domain} ({where}), as {planned.document} says:", "bold")
    lines = [line for step in _by_resource(planned.steps) for line in _resource(step)]
    told = {step.ref for step in planned.steps}
    lines += [_orphan(each) for each in planned.orphans if each.ref not in told]
    told |= {each.ref for each in planned.orphans}
    for each in planned.moving:
        if each.ref not in told:
            lines.append(Text.assemble((f"* {each.ref}", "blue"), (f"  (it is {each.status})", "dim")))
    lines += [Text(f"! {message}", "yellow") for message in planned.in_the_way]
    if not lines:
        return [Text(in_words(planned))]
    return [title, Text(), *lines, Text(), Text(in_words(planned), "bold")]


def in_words(planned: Planned) -> str:
    """What it comes to, in a sentence."""
    if not planned.differs:
        return "No difference, once SageMaker is done." if planned.moving else "No difference."
    counted = {action: _counted(planned, action) for action in _COUNTED}
    taken_over = counted[TAKE_OVER]
    if {step.action for step in planned.steps} == {TAKE_OVER}:
        return f"No difference in settings; {taken_over} {'is' if taken_over == 1 else 'are'} taken over."
    told = [f"{count} to {action}" for action, count in counted.items() if count]
    waiting = len({step.ref for step in planned.steps if step.waits_for})
    later = f"; {waiting} {'waits' if waiting == 1 else 'wait'} for others" if waiting else ""
    return f"{', '.join(told)}{later}."


def _counted(planned: Planned, action: str) -> int:
    actions = {action, TAG} if action == CHANGE else {action}
    return len({step.ref for step in planned.steps if step.action in actions})


def _by_resource(steps: Sequence[PlannedStep]) -> Iterator[list[PlannedStep]]:
    for _, group in groupby(steps, lambda step: step.ref.lower()):
        yield list(group)


def _resource(steps: Sequence[PlannedStep]) -> Iterator[Text]:
    """All that is done to one resource."""
    actions = [step.action for step in steps]
    sign, style = _SIGNS[_what(actions)]
    notes = [step.because for step in steps if step.because]
    if TAKE_OVER in actions:
        notes.append("taken over")
    waits = list(dict.fromkeys(step.waits_for for step in steps if step.waits_for))
    # Where every step waits for the same, it is the resource that waits.
    is_one = len(waits) == 1 and all(step.waits_for for step in steps)
    notes += [f"waits for {waits[0]}"] if is_one else []
    note = (f"  ({'; '.join(notes)})", "dim") if notes else ""
    yield Text.assemble((f"{sign} {steps[0].ref}", style), note)
    rows = [row for step in steps for row in _rows(step)]
    width = max((len(key) for key, _ in rows), default=0)
    for step in steps:
        yield from (Text(f"    {key:<{width}}  {words}") for key, words in _rows(step))
        if step.with_home_file_system:
            yield Text("    with its home file system, and everything that people keep in it", "bold red")
        if step.waits_for and not is_one:
            yield Text(f"    waits for {step.waits_for}", "dim")


def _what(actions: Sequence[str]) -> str:
    if DELETE in actions and MAKE in actions:
        return "make anew"
    for action in (MAKE, DELETE):
        if action in actions:
            return action
    return TAKE_OVER if set(actions) == {TAKE_OVER} else CHANGE


def _rows(step: PlannedStep) -> Iterator[tuple[str, str]]:
    """Each setting, and each tag, with what becomes of it."""
    for change in step.changes:
        words = str(change).removeprefix(f"{change.key}: ")
        if step.action == MAKE:
            words = words.partition(" → ")[2]
        yield change.key, _in_one_line(words)
    for key, value in sorted(step.tags.items()):
        yield f"tags.{key}", value
    for key in step.tags_gone:
        yield f"tags.{key}", "is taken away"


def _in_one_line(words: str) -> str:
    lines = words.splitlines()
    return words if len(lines) < 2 else f"{len(lines)} lines, which begin with {lines[0]}"


def _orphan(orphan: InSageMaker) -> Text:
    stays = "it left the document and stays; prune: true has it deleted"
    why = "it is being deleted" if orphan.status == "Deleting" else stays
    return Text.assemble((f"? {orphan.ref}", "magenta"), (f"  ({why})", "dim"))


def what_it_does(planned: Planned) -> str:
    """For whoever is asked whether they mean it."""
    deleted = planned.deleted
    also = f" Deleted: {', '.join(deleted)}." if deleted else ""
    return f"{in_words(planned)}{also}"
