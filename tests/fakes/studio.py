"""SageMaker Studio in memory: it takes its time, and refuses what is out of order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from typing import TYPE_CHECKING

from modelgate.errors import AlreadyExists, Invalid, NotFound, Throttled
from modelgate.names import STACK_TAG
from modelgate.studio.resources import DOMAIN_TAG, Found, Kind, Ref, Settings, There, Value, Wanted
from modelgate.studio.vocabulary import OF_DOMAIN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fakes.aws import Calls

ARN = "arn:aws:sagemaker:eu-central-1:123456789012"
_WORDS = {
    Kind.LIFECYCLE_CONFIGURATION: "StudioLifecycleConfig",
    Kind.DOMAIN: "Domain",
    Kind.PROFILE: "UserProfile",
    Kind.SPACE: "Space",
    Kind.APP: "App",
}
# Of a space there is one, of others a list and one of the list.
_LIFECYCLES = {"lifecycle", "default_lifecycle"}
_ARN_WORDS = {Kind.PROFILE: "user-profile", Kind.SPACE: "space", Kind.APP: "app"}


@dataclass
class _Domain:
    """A domain and what is in it, each by its key."""

    inside: dict[tuple[Kind, str], There] = field(default_factory=dict)


class FakeStudio:
    """A `modelgate.studio.ports.Studio`. Nothing goes on until `advance` says so.

    Attributes:
        deleted: what the keeper had deleted, in order.
        homes: the home file systems that there are, by the id of their domain; they may outlive it.
    """

    def __init__(self, calls: Calls, stack: str = "modelgate") -> None:
        self._calls = calls
        self._stack = stack
        self._domains: dict[str, _Domain] = {}
        self._configs: dict[str, There] = {}
        self._ids = (f"d-{number:012}" for number in count(1))
        self._failing: dict[tuple[Kind, str], str] = {}
        self._pending: dict[tuple[str, tuple[Kind, str]], There] = {}
        self._taking_home: set[str] = set()
        self.homes: set[str] = set()
        self.deleted: list[str] = []

    # ── the port ──────────────────────────────────────────────────────────────────────────────
    def find(self, name: str, domain_id: str = "") -> Found:
        return self._calls.make("DescribeDomain", partial(self._find, name, domain_id))

    def make(self, wanted: Wanted, domain_id: str, tags: Mapping[str, str]) -> str:
        name = f"Create{_WORDS[wanted.ref.kind]}"
        return self._calls.make(name, partial(self._make, name, wanted, domain_id, tags))

    def change(self, there: There, domain_id: str, settings: Settings) -> None:
        name = f"Update{_WORDS[there.ref.kind]}"
        self._calls.make(name, partial(self._change, name, there, domain_id, settings))

    def delete(self, there: There, domain_id: str, *, with_home: bool = False) -> None:
        name = f"Delete{_WORDS[there.ref.kind]}"
        self._calls.make(name, partial(self._delete, name, there, domain_id, with_home=with_home))

    def retag(self, there: There, put: Mapping[str, str], gone: Sequence[str]) -> None:
        self._calls.make("AddTags", partial(self._retag, there, put, gone))

    # ── what goes on by itself ────────────────────────────────────────────────────────────────
    def advance(self) -> None:
        """Whatever SageMaker is at comes to its end."""
        for domain_id, domain in list(self._domains.items()):
            for key, there in list(domain.inside.items()):
                self._end(domain_id, domain, key, there)

    def fail_next(self, ref: Ref, reason: str) -> None:
        """The next thing that SageMaker does with it does not succeed."""
        self._failing[ref.key] = reason

    # ── what people do ────────────────────────────────────────────────────────────────────────
    def all(self) -> list[There]:
        """Everything that there is."""
        return [
            *self._configs.values(),
            *(each for one in self._domains.values() for each in one.inside.values()),
        ]

    def changed_by_hand(self, ref: Ref, settings: Settings) -> bool:
        """In the console somebody changes settings; whether there was anything to change."""
        for domain in self._domains.values():
            there = domain.inside.get(ref.key)
            if there is not None and there.status == "InService":
                told = _told(ref.kind, there.settings, settings)
                domain.inside[ref.key] = replace(there, settings=told)
                return True
        return False

    def deleted_by_hand(self, ref: Ref) -> bool:
        """In the console somebody deletes something; whether SageMaker allowed that."""
        for domain in self._domains.values():
            there = domain.inside.get(ref.key)
            if there is not None and not there.is_moving and not self._inside(domain, there):
                self._begin(domain, there, "Deleting")
                return True
        return False

    def made_by_hand(self, wanted: Wanted, tags: Mapping[str, str] | None = None) -> str:
        """In the console somebody makes something; the domain's id, empty where SageMaker refused."""
        domain_id = next(iter(self._domains), "")
        try:
            made = self._make("Create", wanted, domain_id, tags or {})
        except (AlreadyExists, Throttled, Invalid, NotFound):
            return ""
        return made

    def starts_app(self, owner: Ref, status: str = "InService") -> bool:
        """Somebody starts an app in a space, or in a profile; whether it is there to start it in."""
        for domain in self._domains.values():
            there = domain.inside.get(owner.key)
            if there is not None and there.status == "InService" and owner.kind is not Kind.DOMAIN:
                ref = Ref(Kind.APP, f"{owner.name}/JupyterLab/default")
                domain.inside.setdefault(ref.key, There(ref, "", status, owner=there.ref))
                return True
        return False

    def apps_end(self) -> None:
        """Everybody goes home."""
        for domain in self._domains.values():
            for key in [key for key in domain.inside if key[0] is Kind.APP]:
                del domain.inside[key]

    # ── behind it ─────────────────────────────────────────────────────────────────────────────
    def _find(self, name: str, domain_id: str) -> Found:
        configs = tuple(
            each for each in self._configs.values() if each.ref.name.lower().startswith(f"{name}-".lower())
        )
        if domain_id in self._domains:
            return Found(domain_id, (*configs, *self._domains[domain_id].inside.values()))
        named = [
            each
            for each, domain in self._domains.items()
            if self._of(domain).ref.name.lower() == name.lower()
        ]
        ours = [each for each in named if self._is_ours(self._of(self._domains[each]), name)]
        ours = [each for each in ours if self._of(self._domains[each]).status != "Deleting"] or ours
        if not named:
            return Found("", configs)
        chosen = (ours or named)[0]
        others = () if len(ours) == 1 else tuple(each for each in named if each != chosen)
        return Found(chosen, (*configs, *self._domains[chosen].inside.values()), others)

    def _of(self, domain: _Domain) -> There:
        return next(each for each in domain.inside.values() if each.ref.kind is Kind.DOMAIN)

    def _is_ours(self, there: There, name: str) -> bool:
        return there.tags.get(STACK_TAG) == self._stack and there.tags.get(DOMAIN_TAG) == name

    def _make(self, call: str, wanted: Wanted, domain_id: str, tags: Mapping[str, str]) -> str:
        ref = wanted.ref
        if ref.kind is Kind.LIFECYCLE_CONFIGURATION:
            if ref.name.lower() in self._configs:
                raise AlreadyExists(call, "ResourceInUse", f"{ref} already exists")
            arn = f"{ARN}:studio-lifecycle-config/{ref.name.lower()}"
            self._configs[ref.name.lower()] = There(ref, arn, fixed=wanted.fixed, tags=dict(tags))
            return domain_id
        self._refuse_unknown_lifecycles(call, wanted.settings)
        if ref.kind is Kind.DOMAIN:
            domain_id = next(self._ids)
            self._domains[domain_id] = _Domain()
            self.homes.add(domain_id)
            arn = f"{ARN}:domain/{domain_id}"
        else:
            self._refuse_out_of_order(call, wanted, domain_id)
            arn = f"{ARN}:{_ARN_WORDS[ref.kind]}/{domain_id}/{ref.name.lower()}"
        owner = wanted.fixed.get("owner")
        settings = _told(ref.kind, OF_DOMAIN if ref.kind is Kind.DOMAIN else {}, wanted.settings)
        made = There(
            ref,
            arn,
            "Pending",
            fixed=wanted.fixed,
            settings=settings,
            tags=dict(tags),
            owner=Ref(Kind.PROFILE, str(owner)) if owner else None,
        )
        self._domains[domain_id].inside[ref.key] = made
        return domain_id

    def _refuse_out_of_order(self, call: str, wanted: Wanted, domain_id: str) -> None:
        domain = self._domains.get(domain_id)
        if domain is None:
            raise NotFound(call, "ResourceNotFound", f"there is no domain {domain_id}")
        if wanted.ref.key in domain.inside:
            raise AlreadyExists(call, "ResourceInUse", f"{wanted.ref} already exists")
        needs = [self._of(domain)]
        if wanted.ref.kind is Kind.SPACE:
            owner = domain.inside.get(Ref(Kind.PROFILE, str(wanted.fixed["owner"])).key)
            if owner is None:
                raise Invalid(call, "ValidationException", f"{wanted.ref} has an owner that is not there")
            needs.append(owner)
        for each in needs:
            if each.status != "InService":
                raise _in_status(call, each)

    def _refuse_unknown_lifecycles(self, call: str, settings: Settings) -> None:
        for arn in _lifecycles_in(settings):
            if all(each.arn != arn for each in self._configs.values()):
                raise Invalid(call, "ValidationException", f"{arn} does not exist")

    def _change(self, call: str, there: There, domain_id: str, settings: Settings) -> None:
        domain = self._domains.get(domain_id)
        now = domain.inside.get(there.ref.key) if domain else None
        if domain is None or now is None:
            raise NotFound(call, "ResourceNotFound", f"{there.ref} is gone")
        if now.status not in {"InService", "Update_Failed"}:
            raise _in_status(call, now)
        asked = _told(there.ref.kind, now.settings, settings)
        apps = any(each.ref.kind is Kind.APP for each in domain.inside.values())
        if apps and _moves_the_network(now.settings, asked):
            raise Throttled(call, "ValidationException", f"{there.ref} has apps that run")
        if _volume(asked) < _volume(now.settings):
            raise Invalid(call, "ValidationException", f"the volume of {there.ref} cannot be made smaller")
        self._refuse_unknown_lifecycles(call, settings)
        self._pending[domain_id, there.ref.key] = replace(now, settings=asked)
        self._begin(domain, now, "Updating")

    def _delete(self, call: str, there: There, domain_id: str, *, with_home: bool) -> None:
        ref = there.ref
        if ref.kind is Kind.LIFECYCLE_CONFIGURATION:
            if any(there.arn in _lifecycles_in(each.settings) for each in self.all()):
                raise Throttled(call, "ResourceInUse", f"{ref} is in use")
            if self._configs.pop(ref.name.lower(), None):
                self.deleted.append(str(ref))
            return
        domain = self._domains.get(domain_id)
        now = domain.inside.get(ref.key) if domain else None
        if domain is None or now is None:
            return
        if now.is_moving:
            raise _in_status(call, now)
        if inside := self._inside(domain, now):
            raise Throttled(call, "ResourceInUse", f"Unable to delete {ref}: {inside[0].ref} is in it")
        if with_home:
            self._taking_home.add(domain_id)
        else:
            self._taking_home.discard(domain_id)
        self.deleted.append(str(ref))
        self._begin(domain, now, "Deleting")

    def _inside(self, domain: _Domain, there: There) -> list[There]:
        if there.ref.kind is Kind.DOMAIN:
            return [each for each in domain.inside.values() if each.ref.kind is not Kind.DOMAIN]
        return [each for each in domain.inside.values() if each.owner and each.owner.key == there.ref.key]

    def _retag(self, there: There, put: Mapping[str, str], gone: Sequence[str]) -> None:
        config = self._configs.get(there.ref.name.lower())
        if there.ref.kind is Kind.LIFECYCLE_CONFIGURATION and config is not None:
            self._configs[there.ref.name.lower()] = _tagged(config, put, gone)
            return
        for domain in self._domains.values():
            now = domain.inside.get(there.ref.key)
            if now is not None and now.arn == there.arn:
                domain.inside[there.ref.key] = _tagged(now, put, gone)
                return
        raise NotFound("AddTags", "ResourceNotFound", f"{there.ref} is gone")

    def _begin(self, domain: _Domain, there: There, status: str) -> None:
        domain.inside[there.ref.key] = replace(there, status=status)

    def _end(self, domain_id: str, domain: _Domain, key: tuple[Kind, str], there: There) -> None:
        if not there.is_moving:
            return
        reason = self._failing.pop(key, "")
        if there.status == "Deleting":
            self._end_deletion(domain_id, domain, key, there, reason)
            return
        after = self._pending.pop((domain_id, key), there)
        if reason and there.ref.kind is Kind.APP:
            del domain.inside[key]  # SageMaker does not keep it
        elif reason:
            failed = "Failed" if there.status == "Pending" else "Update_Failed"
            domain.inside[key] = replace(domain.inside[key], status=failed, failure_reason=reason)
        else:
            # What was tagged meanwhile stays.
            tags = domain.inside[key].tags
            domain.inside[key] = replace(after, status="InService", failure_reason="", tags=tags)

    def _end_deletion(
        self, domain_id: str, domain: _Domain, key: tuple[Kind, str], there: There, reason: str
    ) -> None:
        if reason and there.ref.kind is not Kind.APP:
            domain.inside[key] = replace(there, status="Delete_Failed", failure_reason=reason)
        elif there.ref.kind is Kind.DOMAIN:
            del self._domains[domain_id]
            if domain_id in self._taking_home:
                self.homes.discard(domain_id)
        else:
            del domain.inside[key]


def _told(kind: Kind, before: Settings, said: Settings) -> dict[str, Value]:
    """The settings as SageMaker tells them when these were said."""
    told = {**before, **{key: _in_order(key, value) for key, value in said.items()}}
    if kind is Kind.DOMAIN:
        return told
    # It has no word for a lifecycle configuration that is none, but to say nothing.
    return {
        key: value for key, value in told.items() if value != "" or key.rpartition(".")[2] not in _LIFECYCLES
    }


def _in_order(key: str, value: Value) -> Value:
    unordered = key.rpartition(".")[2] in {"subnets", "security_groups", "hidden_apps"}
    return tuple(sorted(value)) if unordered and isinstance(value, tuple) else value


def _in_status(call: str, there: There) -> Throttled | Invalid:
    if there.is_moving:
        return Throttled(call, "ResourceInUse", f"{there.ref} is {there.status}")
    return Invalid(call, "ValidationException", f"{there.ref} is {there.status}")


def _moves_the_network(before: Settings, after: Settings) -> bool:
    left, stay = before.get("subnets", ()), after.get("subnets", ())
    assert isinstance(left, tuple)
    assert isinstance(stay, tuple)
    return before.get("network") != after.get("network") or not set(left) <= set(stay)


def _volume(settings: Settings) -> int:
    return int(str(settings.get("storage_gb", 0)))


def _tagged(there: There, put: Mapping[str, str], gone: Sequence[str]) -> There:
    return replace(
        there, tags={key: value for key, value in {**there.tags, **put}.items() if key not in gone}
    )


def _lifecycles_in(settings: Settings) -> Iterator[str]:
    for key, value in settings.items():
        if key.rpartition(".")[2] in _LIFECYCLES:
            yield from filter(None, value if isinstance(value, tuple) else (str(value),))
