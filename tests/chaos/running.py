"""Runs schedules, and makes one that shows a violation smaller."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tests.chaos.invariants import Invariants
from tests.chaos.schedule import Schedule
from tests.chaos.world import Violation, World


@dataclass(frozen=True)
class Found:
    """A violation: what is wrong, and the schedule that shows it."""

    schedule: Schedule
    what: str


def run(schedule: Schedule) -> Found | None:
    """Plays the schedule on a world of its own, lets it come to rest, and looks; None if all is well.

    A handler that raises what it never should is a violation as well.
    """
    world = World(schedule)
    invariants = Invariants(world)
    world.watch = invariants.along_the_way
    try:
        world.play(schedule)
        invariants.at_rest(world.settle())
    except Violation as violation:
        return Found(schedule, str(violation))
    except Exception as error:  # noqa: BLE001 - whatever a handler raises is what is looked for
        return Found(schedule, f"a handler raised {type(error).__name__}: {error}")
    return None


def shrunk(found: Found) -> Found:
    """A smaller schedule that shows a violation of the same kind: moves are left out, as many as can be."""
    moves = list(found.schedule.moves)
    size = max(len(moves) // 2, 1)
    while True:
        first, smaller = 0, False
        while first < len(moves):
            fewer = [*moves[:first], *moves[first + size :]]
            again = run(replace(found.schedule, moves=tuple(fewer)))
            if again and _kind(again) == _kind(found):
                moves, found, smaller = fewer, again, True
            else:
                first += size
        if size == 1 and not smaller:
            return _calmer(found)
        size = max(size // 2, 1)


def _calmer(found: Found) -> Found:
    """Fewer versions that misbehave."""
    for name in ("never_ping", "answer_wrongly"):
        for version in sorted(getattr(found.schedule, name)):
            fewer = getattr(found.schedule, name) - {version}
            again = run(replace(found.schedule, **{name: fewer}))
            found = again if again and _kind(again) == _kind(found) else found
    return found


def _kind(found: Found) -> str:
    """What is wrong, without the numbers."""
    return "".join(character for character in found.what if not character.isdigit())[:40]
