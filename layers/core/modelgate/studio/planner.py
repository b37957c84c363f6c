"""`plan(wanted, found, terms) -> Plan`: what lies between a document and what there is. Pure.

Every step is told, also those that have to wait, so that the plan is the whole difference. Whoever carries
it out does what waits for nothing, looks again, and plans anew.

What is made is made in the order of `Kind`, and deleted in the opposite order: apps, spaces, profiles, the
domain. Only what carries this document's tags is ever changed or deleted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field, replace

from modelgate.errors import Problem
from modelgate.names import STACK_TAG
from modelgate.studio.resources import (
    DOMAIN_TAG,
    Found,
    Kind,
    Ref,
    Settings,
    There,
    Value,
    Wanted,
)
from modelgate.studio.vocabulary import ADDED_UP, FOR_PROFILES, OF_PROFILES
from modelgate.values import dataclass

_GONE_WRONG = frozenset({"Failed", "Update_Failed", "Delete_Failed"})
_TOGETHER = ("default_gb", "most_gb")


@dataclass(frozen=True)
class Terms:
    """What a document says besides what it wants, and who asks.

    Attributes:
        domain: the document's name, and DomainName.
        stack: the stack's name.
        adopts: whether what exists under the document's names is taken over.
        prunes: whether what left the document is deleted.
        with_home: whether a domain's home file system is deleted with it.
        tag_keys: the keys of all tags that the document has had; they are taken away where it has them no
            more. Other tags are nobody's here.
        resting: what went wrong lately and is not tried again yet, with the reason.
    """

    domain: str
    stack: str
    adopts: bool = False
    prunes: bool = False
    with_home: bool = False
    tag_keys: frozenset[str] = frozenset()
    resting: Mapping[tuple[Kind, str], str] = field(default_factory=dict)

    @property
    def own_tags(self) -> dict[str, str]:
        """What everything that this document made carries."""
        return {STACK_TAG: self.stack, DOMAIN_TAG: self.domain}

    def own(self, there: There) -> bool:
        """Whether Modelgate made it for this document, or was told to adopt it."""
        return all(there.tags.get(key) == value for key, value in self.own_tags.items())


# ── the difference ────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True)
class Change:
    """One setting that is other than it should be; None: SageMaker says nothing of it."""

    key: str
    before: Value | None
    after: Value

    def __str__(self) -> str:
        return f"{self.key}: {_shown(self.before)} → {_shown(self.after)}"


@dataclass(frozen=True)
class Make:
    """Ask for what is not there."""

    wanted: Wanted
    waits_for: str = ""

    @property
    def ref(self) -> Ref:
        return self.wanted.ref

    def __str__(self) -> str:
        return f"make {self.ref}"


@dataclass(frozen=True)
class Alter:
    """Change settings in place.

    Attributes:
        besides: settings that are as they should be, and have to be said together with those that change.
    """

    there: There
    changes: tuple[Change, ...]
    besides: Settings = field(default_factory=dict)
    waits_for: str = ""

    @property
    def ref(self) -> Ref:
        return self.there.ref

    @property
    def settings(self) -> Settings:
        return {**self.besides, **{change.key: change.after for change in self.changes}}

    def __str__(self) -> str:
        return f"change {self.ref}: {'; '.join(map(str, self.changes))}"


@dataclass(frozen=True)
class Retag:
    """Put tags, and take away those that left the document."""

    there: There
    put: Mapping[str, str] = field(default_factory=dict)
    gone: tuple[str, ...] = ()
    waits_for: str = ""

    @property
    def ref(self) -> Ref:
        return self.there.ref

    def __str__(self) -> str:
        told = [f"{key}={value}" for key, value in sorted(self.put.items())]
        told += [f"without {key}" for key in self.gone]
        return f"tag {self.ref}: {', '.join(told)}"


@dataclass(frozen=True)
class Adopt:
    """Take over what somebody else made: from now on it carries this document's tags."""

    there: There
    tags: Mapping[str, str]
    waits_for: str = ""

    @property
    def ref(self) -> Ref:
        return self.there.ref

    def __str__(self) -> str:
        return f"take over {self.ref}"


@dataclass(frozen=True)
class Remove:
    """Ask for a deletion.

    Attributes:
        because: why, for people.
        with_home: of a domain, whether its home file system goes with it.
    """

    there: There
    because: str
    with_home: bool = False
    waits_for: str = ""

    @property
    def ref(self) -> Ref:
        return self.there.ref

    def __str__(self) -> str:
        home = ", with its home file system and everything in it" if self.with_home else ""
        return f"delete {self.ref}{home}: {self.because}"


Step = Make | Alter | Retag | Adopt | Remove


@dataclass(frozen=True)
class Plan:
    """What lies between a document and what there is.

    Attributes:
        steps: all of it, in order; those with ``waits_for`` cannot be done yet.
        orphans: what is this document's and left it; nothing is done about it, or the steps delete it.
        in_the_way: what keeps a deletion from happening and is not Modelgate's to delete, in sentences.
        moving: what SageMaker is at work on.
        problems: why nothing may be done at all.
    """

    steps: tuple[Step, ...] = ()
    orphans: tuple[Ref, ...] = ()
    moving: tuple[Ref, ...] = ()
    in_the_way: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def now(self) -> tuple[Step, ...]:
        """The steps that wait for nothing."""
        return tuple(step for step in self.steps if not step.waits_for)

    @property
    def later(self) -> tuple[Step, ...]:
        return tuple(step for step in self.steps if step.waits_for)


def plan(wanted: Iterable[Wanted], found: Found, terms: Terms) -> Plan:
    """The whole difference."""
    asked = {each.ref.key: each for each in wanted}
    problems = tuple(_problems(asked.values(), found, terms))
    if problems:
        return Plan(problems=problems)
    planning = _Planning(asked, found, terms)
    steps = [step for each in asked.values() for step in planning.towards(each)]
    orphans = planning.orphans
    if terms.prunes:
        steps += planning.removals(orphans)
    rested = tuple(planning.rested(step) for step in steps)
    left = tuple(each.ref for each in orphans)
    return Plan(rested, left, planning.moving, tuple(planning.in_the_way))


def differences(wanted: Wanted, there: There, domain: Wanted | None) -> tuple[Change, ...]:
    """The settings that are other than wanted.

    What a profile does not say is the domain's, so that it makes no difference whether SageMaker has that
    value at the profile or at the domain only. What a document does not say of a space is its owner's, and a
    volume that was made larger in Studio stays so: SageMaker makes none smaller.

    Args:
        domain: what is wanted of the domain.
    """
    changes = []
    for key, after in _asked(wanted, domain).items():
        before = there.settings.get(key)
        has = _fallback(key, domain) if before is None and wanted.ref.kind is Kind.PROFILE else before
        if has == after or (key == "storage_gb" and _is_larger(has, after)):
            continue
        changes.append(Change(key, has, after))
    return tuple(changes)


def _asked(wanted: Wanted, domain: Wanted | None) -> Settings:
    if wanted.ref.kind is not Kind.PROFILE:
        return wanted.settings
    return {key: wanted.settings.get(key, _fallback(key, domain)) for key in OF_PROFILES}


def _fallback(key: str, domain: Wanted | None) -> Value:
    if key == ADDED_UP or domain is None:
        return OF_PROFILES[key]
    return domain.settings.get(f"{FOR_PROFILES}{key}", OF_PROFILES[key])


def _is_larger(has: Value | None, wanted: Value) -> bool:
    return isinstance(has, int) and isinstance(wanted, int) and has > wanted


# ── what may not be done ──────────────────────────────────────────────────────────────────────────
def _problems(wanted: Iterable[Wanted], found: Found, terms: Terms) -> Iterator[Problem]:
    where = f"studio/{terms.domain}.yaml"
    for each in wanted:
        if each.ref.kind is Kind.DOMAIN:
            yield from (Problem(where, *another) for another in _called_otherwise(each, found))
        there = found.get(each.ref)
        if there is None:
            continue
        if not terms.own(there) and not terms.adopts:
            yield Problem(where, *_foreign(there, found))
        elif there.status != "Failed":
            yield from (Problem(where, *each_problem) for each_problem in _fixed(each, there))


def _called_otherwise(wanted: Wanted, found: Found) -> Iterator[tuple[str, str]]:
    for there in found.of(Kind.DOMAIN):
        if there.ref.key != wanted.ref.key:
            called = f"domain {found.domain_id} is called {there.ref.name}, which SageMaker can never change"
            yield called, f"name the document studio/{there.ref.name}.yaml, or have another domain adopted"


def _foreign(there: There, found: Found) -> tuple[str, str]:
    owner = there.tags.get(STACK_TAG)
    whose = f"is another's (stack {owner})" if owner else "was not made by Modelgate"
    if there.ref.kind is Kind.DOMAIN and found.others:
        ids = ", ".join((found.domain_id, *found.others))
        several = (
            f"several domains have the name {there.ref.name} ({ids}), and none of them is this document's"
        )
        return several, f"write adopt: {found.domain_id}, or another of them, to have it taken over"
    mend = "write adopt: true, to have it taken over as it is named here, or choose another name"
    return f"{there.ref} exists, and {whose}", mend


def _fixed(wanted: Wanted, there: There) -> Iterator[tuple[str, str]]:
    for key, value in wanted.fixed.items():
        has = there.fixed.get(key, "")
        if _same(key, has, value):
            continue
        if wanted.ref.kind is Kind.DOMAIN:
            mend = f"write {_shown(has)} again, or ask for another domain, in a document of another name"
        else:
            mend = (
                f"write {_shown(has)} again, or choose another name; or leave it out under prune: true, "
                "and ask for it anew when it is gone"
            )
        says = f"has {key} {_shown(has)}, the document says {_shown(value)}"
        yield f"{there.ref} {says}, and SageMaker can never change it", mend


def _same(key: str, has: Value, value: Value) -> bool:
    # A profile's name is one however it is written.
    if key == "owner" and isinstance(has, str) and isinstance(value, str):
        return has.lower() == value.lower()
    return has == value


# ── the steps ─────────────────────────────────────────────────────────────────────────────────────
class _Planning:
    """One look at a document and at what there is."""

    def __init__(self, asked: Mapping[tuple[Kind, str], Wanted], found: Found, terms: Terms) -> None:
        self._asked = asked
        self._found = found
        self._terms = terms
        self._domain = next((each for each in asked.values() if each.ref.kind is Kind.DOMAIN), None)
        self.in_the_way: list[str] = []
        # What is about to be Updating: SageMaker makes nothing in it until it is in service again.
        self._changing: set[Ref] = set()

    # ── towards what is wanted ────────────────────────────────────────────────────────────────
    def towards(self, wanted: Wanted) -> Iterator[Step]:
        there = self._found.get(wanted.ref)
        if there is None:
            yield Make(wanted, self._not_there_yet(wanted))
        elif there.status == "Deleting":
            yield Make(wanted, f"{there.ref} is being deleted")
        elif there.status == "Failed" and self._terms.own(there):
            yield Remove(there, f"it could not be made: {_reason(there)}")
            yield Make(wanted, f"{there.ref} is to be deleted first")
        elif there.status == "Delete_Failed":
            # Somebody meant to delete it, and what is in it may be the last that there is.
            self.in_the_way.append(
                f"{there.ref} could not be deleted, and is wanted: {_reason(there)}; delete it, and it is "
                "made anew"
            )
        else:
            yield from self._kept(wanted, there)

    def _kept(self, wanted: Wanted, there: There) -> Iterator[Step]:
        terms = self._terms
        if not terms.own(there):
            yield Adopt(there, terms.own_tags)
        changes = differences(wanted, there, self._domain)
        moving = f"{there.ref} is {there.status}" if there.is_moving else ""
        apps = self._apps_that_run() if there.ref.kind is Kind.DOMAIN else ""
        held = tuple(each for each in changes if apps and _takes_network(each))
        free = tuple(each for each in changes if each not in held)
        for part, waits in ((free, moving), (held, moving or f"the end of {apps}")):
            if part:
                yield self._altered(Alter(there, part, self._besides(wanted, part), waits))
        put = {key: value for key, value in wanted.tags.items() if there.tags.get(key) != value}
        gone = tuple(sorted((set(there.tags) & terms.tag_keys) - set(wanted.tags)))
        if put or gone:
            yield Retag(there, put, gone)

    def _altered(self, step: Alter) -> Alter:
        if not step.waits_for and step.ref.key not in self._terms.resting:
            self._changing.add(step.ref)
        return step

    def _besides(self, wanted: Wanted, changes: Iterable[Change]) -> dict[str, Value]:
        """SageMaker takes the sizes of volumes together, or not at all."""
        keys = {change.key for change in changes}
        asked = _asked(wanted, self._domain)
        above = {key.rpartition(".")[0] for key in keys if key.endswith(_TOGETHER)}
        together = {f"{place}.{key}" for place in above for key in _TOGETHER}
        return {key: asked[key] for key in sorted(together - keys)}

    def _not_there_yet(self, wanted: Wanted) -> str:
        """What has to be in service before this can be made."""
        needs = []
        if wanted.ref.kind in {Kind.PROFILE, Kind.SPACE} and self._domain is not None:
            needs.append(self._domain.ref)
        if wanted.ref.kind is Kind.SPACE:
            needs.append(Ref(Kind.PROFILE, str(wanted.fixed["owner"])))
        for ref in needs:
            there = self._found.get(ref)
            if there is None:
                return f"{ref}, which is not there yet"
            if there.is_moving or there.status in {"Failed", "Delete_Failed"}:
                return f"{ref}, which is {there.status}"
            if there.ref in self._changing:
                return f"the change of {ref}"
        return ""

    def _apps_that_run(self) -> str:
        return ", ".join(str(app.ref) for app in self._found.of(Kind.APP))

    @property
    def moving(self) -> tuple[Ref, ...]:
        """What is wanted, or was, and has not come to its end."""
        return tuple(
            each.ref
            for each in self._found.resources
            if each.is_moving and (each.ref.key in self._asked or self._terms.own(each))
        )

    # ── away with what is not ─────────────────────────────────────────────────────────────────
    @property
    def orphans(self) -> tuple[There, ...]:
        """What is this document's, and is not wanted; in the order in which it is deleted."""
        kinds = (Kind.SPACE, Kind.PROFILE, Kind.DOMAIN, Kind.LIFECYCLE_CONFIGURATION)
        return tuple(
            each
            for kind in kinds
            for each in self._found.of(kind)
            if each.ref.key not in self._asked and self._terms.own(each)
        )

    def removals(self, orphans: tuple[There, ...]) -> list[Step]:
        steps: list[Step] = []
        for app in self._found.of(Kind.APP):
            if any(_is_in(app, orphan) for orphan in orphans) and app.status != "Deleting":
                waits = f"{app.ref} is {app.status}" if app.is_moving else ""
                steps.append(Remove(app, "what it runs in left the document", waits_for=waits))
        for orphan in orphans:
            if orphan.status == "Deleting":
                continue
            inside = [each for each in self._found.resources if _is_in(each, orphan)]
            self._tell_of_foreign(orphan, inside, orphans)
            waits = f"the end of {', '.join(str(each.ref) for each in inside)}" if inside else ""
            waits = waits or self._users_of(orphan)
            if orphan.is_moving:
                waits = waits or f"{orphan.ref} is {orphan.status}"
            home = orphan.ref.kind is Kind.DOMAIN and self._terms.with_home
            steps.append(Remove(orphan, "it left the document", home, waits))
        return steps

    def _tell_of_foreign(self, orphan: There, inside: list[There], orphans: tuple[There, ...]) -> None:
        for each in inside:
            if each.ref.kind is Kind.APP or each in orphans:
                continue
            self.in_the_way.append(
                f"{orphan.ref} cannot be deleted: {each.ref} is in it, and Modelgate did not make that; "
                "delete it, or name it in the document under adopt: true and leave it out again"
            )

    def _users_of(self, orphan: There) -> str:
        if orphan.ref.kind is not Kind.LIFECYCLE_CONFIGURATION:
            return ""
        users = [each for each in self._found.resources if _names(each, orphan.arn)]
        return f"the end of its use by {', '.join(str(each.ref) for each in users)}" if users else ""

    # ── what went wrong before ────────────────────────────────────────────────────────────────
    def rested(self, step: Step) -> Step:
        reason = self._terms.resting.get(step.ref.key)
        return replace(step, waits_for=f"the next try: {reason}") if reason and not step.waits_for else step


def _takes_network(change: Change) -> bool:
    """SageMaker does so only while no app runs (Amazon SageMaker API Reference, "UpdateDomain")."""
    if change.key == "subnets" and isinstance(change.before, tuple) and isinstance(change.after, tuple):
        return not set(change.before) <= set(change.after)
    return change.key in {"network", "subnets"}


def _is_in(each: There, orphan: There) -> bool:
    """Whether ``orphan`` cannot be deleted while ``each`` is there."""
    if each.ref.key == orphan.ref.key or each.ref.kind is Kind.LIFECYCLE_CONFIGURATION:
        return False
    if orphan.ref.kind is Kind.DOMAIN:
        return True
    return each.owner is not None and each.owner.key == orphan.ref.key


def _names(there: There, arn: str) -> bool:
    return any(
        value == arn or (isinstance(value, tuple) and arn in value) for value in there.settings.values()
    )


def has_gone_wrong(there: There) -> bool:
    """Whether SageMaker could not do what it was asked for."""
    return there.status in _GONE_WRONG


def _reason(there: There) -> str:
    return there.failure_reason or "SageMaker gives no reason"


def _shown(value: Value | None) -> str:
    match value:
        case None | "" | ():
            return "nothing"
        case bool():
            return "yes" if value else "no"
        case tuple():
            return ", ".join(value)
    return str(value)
