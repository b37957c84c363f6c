"""Whatever there was, whatever goes wrong, in whatever order: in the end it is as the document says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import count
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from modelgate.announcements import Kind as News
from modelgate.errors import AwsError, Forbidden, Invalid, NotYet, Throttled, TimedOut
from modelgate.names import STACK_TAG
from modelgate.studio.planner import Plan
from modelgate.studio.records import Status
from modelgate.studio.resources import DOMAIN_TAG, Kind, Ref, Wanted
from tests.fakes.aws import Crash
from tests.unit.studio import DOMAIN, House, profile, space
from tests.unit.studio_documents import document, documents

THROTTLED = Throttled("any", "ThrottlingException", "slow down")
TIMED_OUT = TimedOut("any", "ReadTimeoutError", "no answer")
INVALID = Invalid("any", "ValidationException", "not like this")
FORBIDDEN = Forbidden("any", "AccessDeniedException", "not you")

TEAM = document(
    "ana",
    "ben",
    lifecycle_configurations={"packages": {"app": "JupyterLab", "script": "echo hello"}},
    spaces={
        "private_for_each_profile": {"app": "JupyterLab", "lifecycle": "packages"},
        "shared": [{"name": "team", "owner": "ana", "members": ["ben"], "app": "JupyterLab"}],
    },
)
# Another script, one profile less, and its space.
LATER = {
    **document("ana"),
    "lifecycle_configurations": {"packages": {"app": "JupyterLab", "script": "echo bye"}},
    "spaces": {"private_for_each_profile": {"app": "JupyterLab", "lifecycle": "packages"}},
    "prune": True,
}
AWAY: dict[str, Any] = {"prune": True, "delete_home_file_system": True}


def _story(house: House) -> None:
    """A domain is made, loses a profile, and is taken away; with apps that run all the time."""
    for told in (TEAM, LATER, AWAY):
        house.upload(told)
        house.as_lambda_does()
        for _ in range(6):
            house.studio.advance()
            house.clock.forward(900)
            house.studio.starts_app(space("ana-private"))
            house.studio.starts_app(space("ben-private"), "Pending")
            house.as_lambda_does()


def test_a_fault_at_any_call_changes_nothing_in_the_end() -> None:
    """Each call of the story meets another of these; many turns give every call each of them."""
    smooth = House()
    _story(smooth)
    faults = [
        (fault, after)
        for after in (True, False)
        for fault in (Crash(), THROTTLED, TIMED_OUT, INVALID, FORBIDDEN)
    ]
    for nth in range(1, len(smooth.calls.made) + 1):
        house = House()
        fault, after = faults[nth % len(faults)]
        house.calls.fail(nth, fault, after=after)
        _story(house)
        where = f"{fault!r} {'after' if after else 'before'} call {nth}, {smooth.calls.made[nth - 1]}"
        house.calls.heal()
        house.settle()
        assert house.refs == [], where
        assert house.studio.homes == set(), where
        state = house.state
        assert (state.status, state.effects, state.doing) == (Status.SETTLED, (), ()), where


def test_whoever_dies_wherever_no_domain_is_made_twice() -> None:
    smooth = House()
    _story(smooth)
    made = Counter(call for call in smooth.calls.made if call.startswith("Create"))
    for nth in range(1, len(smooth.calls.made) + 1, 2):
        house = House()
        house.calls.fail(nth, Crash(), after=True)
        _story(house)
        again = Counter(call for call in house.calls.made if call.startswith("Create"))
        assert again["CreateDomain"] == made["CreateDomain"], nth
        told = [each.id for each in house.bus.announced if each.kind is News.STUDIO_SETTLED]
        assert len(set(told)) >= 1, nth


STRANGER = Ref(Kind.PROFILE, "zoe")
MOVE_NAMES = (
    "advance",
    "event",
    "sweep",
    "crash",
    "crash after",
    "throttle",
    "wait",
    "drift",
    "delete by hand",
    "stranger",
    "app",
    "fail",
)


MOVES = st.lists(st.tuples(st.sampled_from(MOVE_NAMES), st.integers(0, 9)), max_size=25)


# The last document wants nothing; somebody's own profile keeps the domain, and the script that it names.
_WITH_A_SCRIPT = document(
    "ana",
    domain={
        "network": {"vpc": "vpc-1a2b3c4d", "subnets": ["subnet-1a2b3c4d"]},
        "profile_settings": {"apps": ["JupyterLab"], "jupyterlab": {"lifecycle": ["packages"]}},
    },
    lifecycle_configurations={"packages": {"app": "JupyterLab", "script": "echo hello"}},
)
_NOTHING: dict[str, Any] = {"prune": True}


@settings(max_examples=120, deadline=None)
@example(first=_WITH_A_SCRIPT, second=_NOTHING, before=[], moves=[("advance", 0), ("stranger", 0)])
@given(first=documents(), second=documents(), before=MOVES, moves=MOVES)
def test_any_document_from_any_state_by_any_way_is_reached(
    first: dict[str, Any], second: dict[str, Any], before: list[Any], moves: list[Any]
) -> None:
    house = House()
    house.upload(first)
    house.as_lambda_does()
    _play(house, before)
    house.upload(second)
    house.as_lambda_does()
    _play(house, moves)
    house.calls.heal()
    house.studio.apps_end()
    house.settle()
    _is_reached(house, second)


def _play(house: House, moves: list[tuple[str, int]]) -> None:
    for move, number in moves:
        house.clock.forward(1)
        _HAPPENS[move](house, number)


_BY_HAND: dict[Kind, Any] = {
    Kind.DOMAIN: {"profiles.jupyterlab.instance": "ml.p4d.24xlarge", "tag_propagation": True},
    Kind.PROFILE: {"jupyterlab.instance": "ml.p4d.24xlarge", "security_groups": ("sg-9",)},
    Kind.SPACE: {"instance": "ml.p4d.24xlarge", "storage_gb": 60},
}


_OWN = (DOMAIN, profile("ana"), profile("ben"), space("ana-private"), space("team"), space("ana-lab"))


def _own(number: int) -> Ref:
    return _OWN[number % len(_OWN)]


# What may happen, each with a number that says where.
_HAPPENS: dict[str, Callable[[House, int], object]] = {
    "advance": lambda house, _: house.studio.advance(),
    "event": lambda house, _: house.as_lambda_does(),
    "sweep": lambda house, _: _swept(house),
    "crash": lambda house, number: house.calls.fail(1 + number, Crash()),
    "crash after": lambda house, number: house.calls.fail(1 + number, Crash(), after=True),
    "throttle": lambda house, number: house.calls.fail(1 + number, THROTTLED, after=number % 2 == 0),
    "wait": lambda house, _: house.clock.forward(86_400),
    "drift": lambda house, number: house.studio.changed_by_hand(_own(number), _BY_HAND[_own(number).kind]),
    "delete by hand": lambda house, number: house.studio.deleted_by_hand(_own(number)),
    "stranger": lambda house, _: house.studio.made_by_hand(Wanted(STRANGER, {"sso_user": ""})),
    "app": lambda house, number: house.studio.starts_app(_own(number)),
    "fail": lambda house, number: house.studio.fail_next(_own(number), "no capacity"),
}


def _swept(house: House) -> None:
    try:
        house.keeper.sweep(house.invocation())
    except (AwsError, NotYet, Crash):
        house.clock.forward(60)


def _is_reached(house: House, told: dict[str, Any]) -> None:
    planned, state = house.plan(), house.state
    strangers = [each for each in house.studio.all() if each.ref.key == STRANGER.key]
    assert all(STACK_TAG not in each.tags for each in strangers)
    if planned.in_the_way:
        # A stranger keeps the domain from being deleted, or SageMaker cannot: that is told, and waited for.
        stuck = [each for each in house.studio.all() if each.status == "Delete_Failed"]
        assert strangers or stuck
        assert planned.now == ()
        kept = [step.ref for step in planned.steps]
        # A script is deleted after the domain that names it.
        scripts = [each for each in kept if each.kind is Kind.LIFECYCLE_CONFIGURATION]
        assert stuck or kept == [DOMAIN, *scripts]
        assert state.status is Status.TROUBLED
    else:
        assert planned == Plan(orphans=planned.orphans)
        assert state.status is Status.SETTLED
    assert not (planned.orphans and told.get("prune") and not planned.in_the_way)
    domains = [each for each in house.studio.all() if each.ref.kind is Kind.DOMAIN]
    assert len(domains) <= 1
    assert all(each.tags[DOMAIN_TAG] == "research" for each in domains)
    assert (state.effects, state.doing, state.owner) == ((), (), "")
    quiet = len(house.calls.made)
    house.keeper.sweep(house.invocation())
    assert set(house.calls.made[quiet:]) <= {"Query", "GetItem", "GetObject", "HeadObject", "DescribeDomain"}


def test_two_invocations_at_once_make_one_domain() -> None:
    """The second one comes while the first has claimed the document, before anything is made."""
    for nth in count(1):
        house = House()
        house.upload(TEAM)
        met: list[str] = []

        def another(house: House = house, met: list[str] = met) -> None:
            try:
                met.append(house.look().status)
            except NotYet:
                met.append("not yet")

        names = ["GetItem", "GetObject", "DescribeDomain", "PutItem", "CreateDomain"]
        if nth > len(names):
            return
        house.calls.before(names[nth - 1], another)
        house.as_lambda_does()
        assert len(met) == 1
        assert [each for each in house.refs if each.startswith("domain")] == ["domain research"]
