"""A few stories in which everything goes its way, but for one crash: after each single call, in turn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.chaos.invariants import Invariants
from tests.chaos.running import Found
from tests.chaos.schedule import Move, Schedule
from tests.chaos.world import GROUP, Violation, World

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Story:
    """What happens, each move once everything before it has come to rest."""

    moves: tuple[Move, ...]
    never_ping: frozenset[int] = frozenset()
    answer_wrongly: frozenset[int] = frozenset()
    first_policy: int = 0

    @property
    def schedule(self) -> Schedule:
        return Schedule(self.moves, self.never_ping, self.answer_wrongly, self.first_policy)


def _approve(*versions: int) -> tuple[Move, ...]:
    return tuple(Move("approve", version - 1) for version in versions)


def _reject(version: int) -> Move:
    return Move("reject", version - 1)


STORIES: dict[str, Story] = {
    "a creation, two updates and a rejection": Story((*_approve(1, 2, 3), _reject(3))),
    "a rollback by SageMaker": Story(_approve(1, 2), never_ping=frozenset({2})),
    "a creation that fails, and the next one": Story(_approve(1, 2), never_ping=frozenset({1})),
    "a smoke test that fails": Story(_approve(1, 2), answer_wrongly=frozenset({2})),
    "a canary with alarms, and going back": Story((*_approve(1, 2), _reject(2)), first_policy=1),
    "another instance type under autoscaling": Story(
        (*_approve(1), Move("policy", 7), Move("policy", 2), *_approve(2)), first_policy=2
    ),
    "a policy under which nothing comes up": Story((*_approve(1), Move("policy", 3), *_approve(2))),
    "a policy that SageMaker refuses": Story((*_approve(1), Move("policy", 5), *_approve(2))),
    "nothing is approved any more, and the endpoint goes": Story(
        (*_approve(1), _reject(1), *_approve(2)), first_policy=8
    ),
    "retired, and approved again": Story((*_approve(1), Move("retire"), *_approve(2)), first_policy=7),
    "an upload": Story((Move("upload"), *_approve(1), Move("approve", 5))),
}


def crashes_of(story: Story) -> Iterator[tuple[int, Found | None]]:
    """Runs the story with a crash after its first call, after its second, and so on to its last.

    Whoever delivers the event again has it carried out; what serves in the end must be what serves
    without any crash.
    """
    smooth = World(story.schedule)
    _tell(smooth, story, crash_after=None)
    for number in range(1, len(smooth.calls.made) + 1):
        yield number, _with_crash(story, number, smooth)


def _with_crash(story: Story, number: int, smooth: World) -> Found | None:
    world = World(story.schedule)
    invariants = Invariants(world)
    world.watch = invariants.along_the_way
    try:
        _tell(world, story, crash_after=number)
        invariants.at_rest(world.settle())
    except Violation as violation:
        return Found(story.schedule, str(violation))
    served, expected = (each.sagemaker.serves(GROUP) for each in (world, smooth))
    what = f"version {served} serves, and without the crash {expected} does"
    return None if served == expected else Found(story.schedule, what)


def _tell(world: World, story: Story, *, crash_after: int | None) -> None:
    world.crash_after(crash_after)
    for move in story.moves:
        world.play(Schedule((move,)))
        world.settle(for_good=False)
