"""The simulator of tests/chaos, as far as every run of the tests has time for it. `make chaos` has more."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests.chaos import mutants
from tests.chaos.invariants import Invariants
from tests.chaos.running import run, shrunk
from tests.chaos.schedule import POLICIES_AT_FIRST, VERSIONS, WEIGHTS, Move, Schedule, random_schedule
from tests.chaos.stories import STORIES, crashes_of
from tests.chaos.world import World

SOME = st.integers(min_value=0, max_value=9)
VERSION_SETS = st.frozensets(st.integers(min_value=1, max_value=VERSIONS), max_size=3)


class AnythingHappens(RuleBasedStateMachine):
    """hypothesis chooses what happens next, and makes what it finds smaller."""

    @initialize(
        never_ping=VERSION_SETS, answer_wrongly=VERSION_SETS, policy=st.sampled_from(POLICIES_AT_FIRST)
    )
    def begin(self, never_ping: frozenset[int], answer_wrongly: frozenset[int], policy: int) -> None:
        self.world = World(Schedule((), never_ping, answer_wrongly, policy))
        self.watcher = Invariants(self.world)
        self.world.watch = self.watcher.along_the_way

    @rule(kind=st.sampled_from(sorted(WEIGHTS)), which=SOME, much=SOME)
    def happens(self, kind: str, which: int, much: int) -> None:
        self.world.play(Schedule((Move(kind, which, much),)))

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.watcher.at_rest(self.world.settle())


TestAnythingHappens = AnythingHappens.TestCase
TestAnythingHappens.settings = settings(max_examples=50, stateful_step_count=40, deadline=None)


@pytest.mark.parametrize("first", range(0, 50, 10))
def test_random_schedules_end_well(first: int) -> None:
    for number in range(first, first + 10):
        found = run(random_schedule(f"tests:{number}"))
        assert found is None, f"{found.what}\n{found.schedule}"


@pytest.mark.parametrize(
    "name", ["a canary with alarms, and going back", "another instance type under autoscaling"]
)
def test_a_crash_after_any_call_is_made_good(name: str) -> None:
    for number, found in crashes_of(STORIES[name]):
        assert found is None, f"after call {number}: {found.what}"


def test_a_violation_is_found_and_made_smaller() -> None:
    with mutants.mutated("config-deleted-first"):
        found = next(found for number in range(20) if (found := run(random_schedule(f"tests:{number}"))))
        smaller = shrunk(found)
        assert "is deleted while" in smaller.what
        assert len(smaller.schedule.moves) <= min(len(found.schedule.moves), 8)
        assert run(smaller.schedule) == smaller


def test_a_seed_gives_the_same_schedule_every_time() -> None:
    assert random_schedule("7:3") == random_schedule("7:3")
    assert random_schedule("7:3") != random_schedule("7:4")
