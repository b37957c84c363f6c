"""A document is kept true: what there is is moved to it step by step, and held there.

An event only says which document, or which domain, to look at. What lies in the bucket now is wanted, what
SageMaker has now is compared with it, and what can be done at once is done. Nothing is waited for: what
SageMaker is at takes its time, and the next event or the sweep goes on from there.

The item is claimed and says what is about to be done before anything is done, so whoever dies leaves a note.
What took effect of it is seen by the next look, because that looks at what is there and not at the note.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from modelgate.announcements import Announcement, Kind, id_of
from modelgate.documents import MAX_DOCUMENT_BYTES
from modelgate.errors import (
    AlreadyExists,
    AwsError,
    Forbidden,
    Invalid,
    LimitReached,
    NotFound,
    NotYet,
    Refused,
    Throttled,
    TimedOut,
)
from modelgate.restarting import restarting
from modelgate.studio.document import StudioDocument, check_name, key_of, name_of, read_document
from modelgate.studio.planner import Adopt, Alter, Make, Plan, Remove, Retag, Terms, has_gone_wrong, plan
from modelgate.studio.records import ChangeRecord, Done, Status, StudioState
from modelgate.studio.resources import Kind as Of
from modelgate.studio.wanting import wanted
from modelgate.turns import in_turn
from modelgate.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from datetime import datetime

    from modelgate.invocation import Invocation
    from modelgate.ports import Bucket, Bus
    from modelgate.studio.planner import Step
    from modelgate.studio.ports import Studio
    from modelgate.studio.records import StudioStates
    from modelgate.studio.resources import Found, Ref, Wanted

# Each round ends where SageMaker is at work; a few are done at once: tags, lifecycle configurations.
_ROUNDS = 8
# So long before Lambda ends it, no further step is begun.
_MARGIN = timedelta(seconds=15)
_SHOWN = 20
# So many steps are noted in one item; it holds 400 KB.
_AT_A_TIME = 100
# So many steps stand in a message.
_TOLD = 5


class Called(Protocol):
    """A call of Studio's API.

    Attributes:
        domain_id, domain_name: of the domain that it was about; either is empty where it does not say.
        role: the name of the role that called; empty where no role did.
    """

    @property
    def domain_id(self) -> str: ...

    @property
    def domain_name(self) -> str: ...

    @property
    def role(self) -> str: ...


@dataclass(frozen=True)
class Look:
    """What one look came to, for the log and for whoever invoked the function by hand."""

    domain: str
    status: str
    did: tuple[str, ...] = ()
    waits: tuple[str, ...] = ()
    news: tuple[str, ...] = ()


@dataclass(frozen=True)
class Asked:
    """What lies in the bucket.

    Attributes:
        version: its S3 version; empty where there is no document.
        document: an empty one where there is none.
        wanted: what it asks for.
    """

    version: str
    document: StudioDocument
    wanted: tuple[Wanted, ...]


class Keeper:
    """The use cases of `studio_requested` and `studio_changed`, and what the sweep does about documents.

    Args:
        arn: what ARNs of this account and region begin with, ``arn:aws:sagemaker:<region>:<account>``.
        role: the ARN of the execution role of a document that names none.
        own_roles: the names of the roles under which Modelgate calls Studio itself.
        stack: the stack's name.
        clock: the time, in UTC.
    """

    def __init__(
        self,
        *,
        bucket: Bucket,
        states: StudioStates,
        studio: Studio,
        bus: Bus,
        arn: str,
        role: str,
        stack: str,
        clock: Callable[[], datetime],
        own_roles: Collection[str] = (),
    ) -> None:
        self._own_roles = own_roles
        self._bucket = bucket
        self._states = states
        self._studio = studio
        self._bus = bus
        self._arn = arn
        self._role = role
        self._stack = stack
        self._clock = clock

    # ── what starts it ────────────────────────────────────────────────────────────────────────
    def document_changed(self, key: str, invocation: Invocation) -> Look:
        """A document was uploaded or deleted at ``key``, ``studio/<domain>.yaml``.

        Raises:
            NotYet, AwsError: Lambda is to come back.
        """
        name = name_of(key)
        try:
            check_name(name)
        except Refused as refused:
            # Such a name is no key of an item, either.
            return self._turn_away(name, refused)
        return self._look_at(name, invocation)

    def studio_changed(self, called: Called, invocation: Invocation) -> Look:
        """Somebody called Studio's API about a domain, which may be a document's.

        Modelgate's own calls are passed over: a hundred profiles that it makes would be a hundred looks at
        all of them. So is a domain that another invocation is at: that one looks once more before it ends.

        Raises:
            NotYet, AwsError: Lambda is to come back.
        """
        name = called.domain_name or called.domain_id
        if called.role in self._own_roles:
            return Look(name, "a call of Modelgate's own")
        known = next((each for each in self._states.all() if _is_meant(each, called)), None)
        if known is None:
            return Look(name, "no domain of this stack")
        if known.is_anothers(invocation, self._clock()):
            return Look(known.name, "another invocation is at it")
        return self._look_at(known.name, invocation)

    def sweep(self, invocation: Invocation) -> list[Look]:
        """Looks at every document that there was; what came of those that were not as they should be.

        Raises:
            AwsError, NotYet: of the first that could not be looked at, when all others are.
        """
        names = [each.name for each in self._states.all() if not self._is_over(each)]
        looks = in_turn(names, lambda name: self._look_at(name, invocation))
        return [look for look in looks if look.did or look.news]

    def _is_over(self, state: StudioState) -> bool:
        return state.is_over and self._bucket.head(key_of(state.name)) is None

    def _look_at(self, name: str, invocation: Invocation) -> Look:
        return restarting(lambda: self._keep(name, invocation))

    # ── one look ──────────────────────────────────────────────────────────────────────────────
    def _keep(self, name: str, invocation: Invocation) -> Look:
        # The item first, then what there is: what is written rests on facts as new as the item.
        state = self._states.load(name) or StudioState(name)
        if state.is_anothers(invocation, self._clock()):
            raise NotYet(f"another invocation is at domain {name}")
        text, version = self._read(name)
        if not version and not state.revision:
            return Look(name, "there is no document")
        state = self._interrupted(state, invocation)
        try:
            asked = self.understood(name, text, version)
        except Refused as refused:
            return self._refuse(state, refused, version)
        return self._move(state, asked, invocation)

    def asked(self, name: str) -> Asked:
        """What the document in the bucket asks for; nothing, where there is none.

        Raises:
            Refused: with every problem.
        """
        return self.understood(name, *self._read(name))

    def understood(self, name: str, text: bytes, version: str = "") -> Asked:
        """What a document asks for.

        Raises:
            Refused: with every problem.
        """
        document = read_document(text, name)
        return Asked(version, document, wanted(document, name, self._arn, self._role))

    def difference(self, state: StudioState, asked: Asked) -> tuple[Found, Plan]:
        """What there is, and what lies between that and what is asked for. Reads only."""
        document = asked.document
        found = self._studio.find(state.name, document.adopted_id or state.domain_id)
        now = self._clock()
        terms = Terms(
            domain=state.name,
            stack=self._stack,
            adopts=bool(document.adopt),
            prunes=document.prune,
            with_home=document.delete_home_file_system,
            tag_keys=frozenset(state.tag_keys),
            resting={
                each.key: each.reason
                for each in state.troubles
                if each.uploaded == asked.version and now < each.not_before
            },
        )
        return found, plan(asked.wanted, found, terms)

    def _read(self, name: str) -> tuple[bytes, str]:
        found = self._bucket.read(key_of(name), MAX_DOCUMENT_BYTES)
        return (found[0], found[1].version) if found else (b"", "")

    def _move(self, before: StudioState, asked: Asked, invocation: Invocation) -> Look:
        state = _taken_up(before, asked)
        did: list[str] = []
        begun: set[str] = set()
        for _ in range(_ROUNDS):
            found, planned = self.difference(state, asked)
            state = replace(state, domain_id=found.domain_id)
            if planned.problems:
                return self._refuse(before, Refused(*planned.problems), asked.version)
            noticed = self._noticed(state, found, planned, begun)
            if noticed.troubles != state.troubles:
                state = noticed  # what went wrong rests from now on
                continue
            # What SageMaker does not show yet, or did not take, is for the next look.
            steps = tuple(step for step in planned.now if str(step) not in begun)[:_AT_A_TIME]
            if not steps or self._is_late(invocation):
                break
            begun |= set(map(str, steps))
            state, done = self._carry_out(state, steps, invocation)
            did += done
        return self._finish(before, self._judged(state, planned), tuple(did))

    def _is_late(self, invocation: Invocation) -> bool:
        return self._clock() > invocation.until - _MARGIN

    def _interrupted(self, state: StudioState, invocation: Invocation) -> StudioState:
        """Whoever began something died: that is noted, and what took effect is seen by looking."""
        if not state.doing:
            return state
        done = tuple(Done(step, "begun, and interrupted") for step in state.doing)
        return self._noted(state, done, invocation)

    def _noted(self, state: StudioState, done: tuple[Done, ...], invocation: Invocation) -> StudioState:
        if not done:
            return self._states.save(replace(state, doing=()))
        number = state.changes + 1
        now = self._clock()
        record = ChangeRecord(number, state.uploaded, now, invocation.id, done, drift=state.drifting)
        noted = replace(state, doing=(), changes=number, unsettled=state.unsettled + 1)
        return self._states.save(noted, record)

    def _noticed(
        self, state: StudioState, found: Found, planned: Plan, begun: Collection[str]
    ) -> StudioState:
        """Notes what SageMaker could not do though it was asked again, and forgets what is well.

        Args:
            begun: the steps of this very look, whose effect may not be seen yet.
        """
        to_do = {step.ref.key for step in planned.steps}
        for trouble in state.troubles:
            there = found.get(trouble.ref)
            if trouble.key not in to_do and not (there and there.is_moving):
                state = state.without_trouble(trouble.ref)
        for there in found.resources:
            tried = state.trouble_of(there.ref)
            failed_again = tried is not None and tried.tried and tried.uploaded == state.uploaded
            if has_gone_wrong(there) and there.ref.key in to_do and failed_again:
                reason = f"it is {there.status}: {there.failure_reason or 'SageMaker gives no reason'}"
                state = self._troubled(state, there.ref, reason)
        for step in planned.now:
            # Without a pause, whatever tells of the change would start the same change for ever.
            if _sign(step) in state.taken and str(step) not in begun:
                state = replace(state, taken=tuple(each for each in state.taken if each != _sign(step)))
                state = self._troubled(state, step.ref, f"SageMaker took it, and shows none of it: {step}")
        return state

    def _troubled(self, state: StudioState, ref: Ref, reason: str) -> StudioState:
        before = state.trouble_of(ref)
        state = state.troubled(ref, reason, self._clock())
        if before is not None and before.times and before.reason == reason:
            return state  # it is told once, not at every try
        trouble = state.trouble_of(ref)
        again = f" It is tried again after {trouble.not_before:%Y-%m-%d %H:%M} UTC," if trouble else ""
        of = "" if ref.kind is Of.DOMAIN else f" of domain {state.name}"
        message = f"{str(ref)[0].upper()}{str(ref)[1:]}{of}: {reason.rstrip('.')}.{again}"
        message += " and as soon as another version of the document is uploaded."
        about = (ref.key, reason, state.uploaded, state.changes)
        return state.owing(Kind.STUDIO_FAILED, message, about, resource=str(ref), reason=reason)

    # ── carrying out ──────────────────────────────────────────────────────────────────────────
    def _carry_out(
        self, state: StudioState, steps: Sequence[Step], invocation: Invocation
    ) -> tuple[StudioState, list[str]]:
        if state.drifting and not state.drift_told:
            state = _drifted(state, steps)
        claimed = replace(
            state,
            status=Status.MOVING,
            owner=invocation.id,
            owned_until=invocation.until,
            doing=tuple(map(str, steps)),
        )
        state = self._states.save(claimed)
        done: list[Done] = []
        unforeseen: AwsError | None = None
        for step in steps:
            if self._is_late(invocation):
                break
            state = state.trying(step.ref, failed=_failed_before(step), now=self._clock())
            try:
                state = replace(state, domain_id=self._do(step, state) or state.domain_id)
            except (AlreadyExists, Throttled, TimedOut) as error:
                # It is there by now, or SageMaker is at it, or nobody knows: the next look sees.
                done.append(Done(str(step), f"not yet: {error.message}"))
            except (Invalid, NotFound, LimitReached, Forbidden) as error:
                done.append(Done(str(step), f"refused: {error.message}"))
                state = self._troubled(state, step.ref, f"{error.code}: {error.message}")
            except AwsError as error:
                unforeseen = unforeseen or error
                done.append(Done(str(step), str(error)))
            else:
                done.append(Done(str(step)))
                if isinstance(step, Alter | Retag | Adopt):
                    state = replace(state, taken=(*state.taken, _sign(step)))
        state = self._noted(state, tuple(done), invocation)
        if unforeseen is not None:
            raise unforeseen
        return state, [each.step for each in done if each.was_done]

    def _do(self, step: Step, state: StudioState) -> str:
        """Makes the step's calls; the domain's id where the step makes one."""
        match step:
            case Make():
                own = Terms(domain=state.name, stack=self._stack).own_tags
                return self._studio.make(step.wanted, state.domain_id, {**step.wanted.tags, **own})
            case Alter():
                self._studio.change(step.there, state.domain_id, step.settings)
            case Retag():
                self._studio.retag(step.there, step.put, step.gone)
            case Adopt():
                self._studio.retag(step.there, step.tags, ())
            case Remove():
                self._studio.delete(step.there, state.domain_id, with_home=step.with_home)
        return ""

    # ── what it came to ───────────────────────────────────────────────────────────────────────
    def _judged(self, state: StudioState, planned: Plan) -> StudioState:
        """How what there is stands to the document now, and what is to be told of that."""
        troubled = planned.in_the_way or any(each.times for each in state.troubles)
        moving = planned.steps or planned.moving
        status = Status.TROUBLED if troubled else Status.MOVING if moving else Status.SETTLED
        leaving = {step.ref for step in planned.steps if isinstance(step, Remove)}
        orphans = tuple(str(ref) for ref in planned.orphans if ref not in leaving | set(planned.moving))
        state = _orphaned(state, orphans)
        state = _told_of(state, planned.in_the_way)
        if status is Status.SETTLED:
            state = self._settled(state, planned)
        waiting = (
            *(f"{step}; it waits for {step.waits_for}" for step in planned.later),
            *(f"{ref}, which SageMaker is at work on" for ref in planned.moving),
        )
        if len(waiting) > _AT_A_TIME:
            waiting = (*waiting[:_AT_A_TIME], f"and {len(waiting) - _AT_A_TIME} more")
        return replace(state, status=status, waiting=waiting, owner="", owned_until=None)

    def _settled(self, state: StudioState, planned: Plan) -> StudioState:
        told = replace(state, unsettled=0, taken=(), drifting=False, drift_told=False)
        held_up = state.status in {Status.TROUBLED, Status.REFUSED}
        if state.settled == state.uploaded and not state.unsettled and not held_up:
            return told  # somebody changed what no document holds, such as the machine of a space
        since = self._states.changes(state.name)[-state.unsettled :] if state.unsettled else []
        steps = [each.step for record in since for each in record.done if each.was_done]
        counted = "1 step" if len(steps) == 1 else f"{len(steps)} steps"
        did = f"{counted}: {'; '.join(steps[:_TOLD])}" if steps else "nothing had to be done"
        more = f"; and {len(steps) - _TOLD} more" if len(steps) > _TOLD else ""
        where = "as its document says" if state.uploaded else "as it was left: its document is deleted"
        told = told.owing(
            Kind.STUDIO_SETTLED,
            f"Domain {state.name} is {where}; {did}{more}.",
            (state.uploaded, state.changes, state.settled_at),
            steps=steps[:_SHOWN],
            changes=[record.number for record in since],
            orphans=[str(ref) for ref in planned.orphans],
        )
        return replace(told, settled=state.uploaded, settled_at=self._clock())

    def _finish(self, before: StudioState, state: StudioState, did: tuple[str, ...] = ()) -> Look:
        """Writes what is other than before, carries out what is owed, and ticks it off."""
        if state != before:
            state = self._states.save(state)
        news = tuple(effect.announcement for effect in state.effects)
        if news:
            self._bus.announce(*news)
            state = self._states.save(replace(state, effects=()))
        messages = tuple(each.message for each in news)
        return Look(state.name, state.status.value, did, state.waiting, messages)

    def _refuse(self, state: StudioState, refused: Refused, version: str) -> Look:
        """The document is wrong: nothing is done, and what there is stays as it is."""
        before = state
        reasons = tuple(map(str, refused.problems))[:_SHOWN]
        if (state.status, state.uploaded, state.reasons) != (Status.REFUSED, version, reasons):
            message, facts = _refusal(state.name, refused)
            state = replace(state, uploaded=version)
            state = state.owing(Kind.STUDIO_REFUSED, message, (version, *reasons), **facts)
        state = replace(state, status=Status.REFUSED, reasons=reasons, waiting=(), owner="", owned_until=None)
        return self._finish(before, state)

    def _turn_away(self, name: str, refused: Refused) -> Look:
        message, facts = _refusal(name, refused)
        identity = id_of(Kind.STUDIO_REFUSED, name)
        told = Announcement(Kind.STUDIO_REFUSED, identity, message, name, {"domain": name, **facts})
        self._bus.announce(told)
        return Look(name, Status.REFUSED.value, news=(message,))


def _is_meant(state: StudioState, called: Called) -> bool:
    if called.domain_id and state.domain_id == called.domain_id:
        return True
    return bool(called.domain_name) and state.name.lower() == called.domain_name.lower()


def _taken_up(state: StudioState, asked: Asked) -> StudioState:
    """The item, for this version of the document. What differs from what was settled was changed by hand."""
    tag_keys = {*state.tag_keys, *(key for each in asked.wanted for key in each.tags)}
    same = state.uploaded == asked.version
    return replace(
        state,
        uploaded=asked.version,
        status=state.status if same else Status.MOVING,
        taken=state.taken if same else (),
        tag_keys=tuple(sorted(tag_keys)),
        reasons=(),
        drifting=same and (state.drifting or state.status is Status.SETTLED),
        drift_told=same and state.drift_told,
    )


def _sign(step: Step) -> str:
    """Tells a change from others in few letters."""
    return id_of(step)[:12]


def _failed_before(step: Step) -> bool:
    return not isinstance(step, Make) and has_gone_wrong(step.there)


def _drifted(state: StudioState, steps: Sequence[Step]) -> StudioState:
    words = tuple(map(str, steps))
    more = f"; and {len(words) - _TOLD} more" if len(words) > _TOLD else ""
    message = (
        f"Domain {state.name} is no longer as its document says, because somebody changed it by hand; it "
        f"is put back: {'; '.join(words[:_TOLD])}{more}."
    )
    told = state.owing(Kind.STUDIO_DRIFTED, message, state.changes, steps=list(words[:_SHOWN]))
    return replace(told, drift_told=True)


def _orphaned(state: StudioState, orphans: tuple[str, ...]) -> StudioState:
    new = [each for each in orphans if each not in state.orphans]
    if new:
        message = (
            f"What left the document of domain {state.name} is still there: {', '.join(new)}. Write prune: "
            "true to have it deleted, or ask for it again."
        )
        state = state.owing(Kind.STUDIO_ORPHANED, message, (state.uploaded, *orphans), orphans=list(orphans))
    return replace(state, orphans=orphans)


def _told_of(state: StudioState, in_the_way: tuple[str, ...]) -> StudioState:
    for message in in_the_way:
        if message not in state.in_the_way:
            about = (state.uploaded, message)
            state = state.owing(Kind.STUDIO_FAILED, f"{message}.", about, reason=message)
    return replace(state, in_the_way=in_the_way)


def _refusal(name: str, refused: Refused) -> tuple[str, dict[str, object]]:
    reasons = [str(problem) for problem in refused.problems]
    more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
    message = f"The document of domain {name} is refused, and nothing is changed: {reasons[0]}{more}."
    return message, {"reasons": reasons[:_SHOWN]}
