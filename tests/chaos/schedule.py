"""What happens in one run: a list of moves, each with two small numbers that say which and how much.

Every list is a valid schedule: a move that has nothing to act on does nothing. So a schedule that shows
a violation can be made smaller by leaving moves out.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

VERSIONS = 5
# The numbers of the policies that a world begins with; those that nothing comes up under come later.
POLICIES_AT_FIRST = (0, 0, 1, 1, 2, 7, 8)

# Operators and data scientists; time; deliveries; handlers, call by call; AWS; and what goes wrong.
WEIGHTS: dict[str, float] = {
    "approve": 10,
    "approve again": 3,
    "reject": 4,
    "reject what serves": 2,
    "edit": 5,
    "policy": 4,
    "upload": 0.4,
    "pin": 0.7,
    "unpin": 0.5,
    "freeze": 0.4,
    "unfreeze": 1,
    "retry": 0.7,
    "retire": 0.15,
    "deliver": 16,
    "start": 20,
    "step": 16,
    "run": 10,
    "duplicate": 5,
    "lose": 4,
    "cut": 12,
    "sweep": 2.5,
    "advance": 16,
    "alarm": 10,
    "calm": 3,
    "throttle": 1.5,
    "refuse answer": 1.5,
    "die": 3,
    "die after": 3,
    "wait": 4,
    "stock": 4,
    "quota": 0.8,
}


# So often, before a move, comes a few that belong together.
MOTIFS = 0.3


@dataclass(frozen=True)
class Move:
    """One thing that happens; ``which`` and ``much`` choose among what there is at that moment."""

    kind: str
    which: int = 0
    much: int = 0

    def __str__(self) -> str:
        return f"{self.kind} {self.which} {self.much}"


@dataclass(frozen=True)
class Schedule:
    """One run.

    Attributes:
        moves: what happens, in this order; then everything comes to rest.
        never_ping: versions whose container never answers /ping.
        answer_wrongly: versions whose container fails every request.
        first_policy: the number of the policy that there is from the beginning.
    """

    moves: tuple[Move, ...]
    never_ping: frozenset[int] = frozenset()
    answer_wrongly: frozenset[int] = frozenset()
    first_policy: int = 0

    def __str__(self) -> str:
        head = (
            f"versions that never ping {sorted(self.never_ping)}, that answer wrongly "
            f"{sorted(self.answer_wrongly)}, first policy {self.first_policy}"
        )
        return "\n".join([head, *(f"  {move}" for move in self.moves)])


def random_schedule(seed: str) -> Schedule:
    """The schedule of this seed; always the same."""
    chance = random.Random(seed)
    # Each schedule leaves some kinds of moves out and has more of others, and so gets further with them.
    kinds = list(WEIGHTS)
    weights = [weight * chance.choice([0, 0.5, 1, 1, 1, 3]) for weight in WEIGHTS.values()]
    first, second, third = chance.sample(range(1, VERSIONS + 1), 3)
    moves: list[Move] = []
    for kind in chance.choices(kinds, weights, k=chance.randint(3, 40)):
        if chance.random() < MOTIFS:
            moves += _motif(chance, first, second)
        moves.append(Move(kind, chance.randint(0, 9), chance.randint(0, 9)))
    # What comes last is not covered up by what comes after it.
    moves += _motif(chance, first, second) if chance.random() < 0.8 else ()
    opening = chance.choice(
        [
            (),
            _goes_live(first),
            (*_goes_live(first), *_goes_live(second)),
            (*_goes_live(first), *_goes_live(second), Move("reject", second - 1), Move("deliver")),
            (*_goes_live(first), *_goes_live(second), Move("policy", chance.randint(0, 9)), Move("deliver")),
            (
                *_goes_live(first),
                *_goes_live(second),
                *_comes_to_something(Move("policy", chance.choice([2, 3, 5, 7]))),
                Move("reject", second - 1),
            ),
            (*_goes_live(first), *_comes_to_something(Move("approve", third - 1))),
        ]
    )
    # What goes live in the opening does so because nothing is wrong with it; the third may well be.
    free = [version for version in range(1, VERSIONS + 1) if version not in {first, second}]
    return Schedule(
        moves=(*opening, *moves),
        never_ping=frozenset(version for version in free if chance.random() < 0.35),
        answer_wrongly=frozenset(version for version in free if chance.random() < 0.35),
        first_policy=chance.choice(POLICIES_AT_FIRST),
    )


def _goes_live(version: int) -> tuple[Move, ...]:
    """A version is approved, and everything goes its way."""
    return _comes_to_something(Move("approve", version - 1))


def _comes_to_something(move: Move) -> tuple[Move, ...]:
    step = Move("advance")
    return (move, Move("deliver", 9), step, step, Move("deliver", 9))


def _motif(chance: random.Random, good: int, better: int) -> tuple[Move, ...]:
    """Moves that belong together, and that chance alone would seldom bring in this order.

    Args:
        good, better: two versions that nothing is wrong with.
    """
    one, other = chance.sample(range(VERSIONS), 2)
    some, more = chance.randint(0, 9), chance.randint(0, 9)
    motifs = (
        # A version comes to something, or fails.
        _comes_to_something(Move("approve", one)),
        # An approval of which no event tells; the registry knows.
        (
            Move("reject", good - 1),
            Move("deliver", 9),
            Move("approve", good - 1),
            Move("lose", 9, 9),
            Move("wait", 0, 6),
        ),
        # What serves is rejected, and an alarm goes off on the way back.
        (
            *_comes_to_something(Move("policy", chance.choice([1, 7]))),
            *_goes_live(better),
            Move("reject", better - 1),
            Move("deliver", 9),
            Move("alarm", some, 9),
            Move("deliver", 9),
        ),
        # A policy under which nothing comes up, and then the way back from what serves.
        (
            *_goes_live(good),
            *_goes_live(better),
            *_comes_to_something(Move("policy", chance.choice([3, 5]))),
            Move("reject", better - 1),
            Move("deliver", 9),
        ),
        # A new policy and a new version at once: which is to blame?
        (Move("policy", 3), Move("approve", one), Move("deliver", 8), Move("deliver", 9)),
        # Two handlers of the same news, one in the middle of the other.
        (Move("approve", one), Move("duplicate", 9, some), Move("duplicate", 9, more), Move("run", 9)),
        (Move("advance"), Move("duplicate", 9, some), Move("duplicate", 9, more), Move("run", 0)),
        # Two decisions, the handler of one in the middle of that of the other.
        (
            Move("approve", one),
            Move("duplicate", 9, some),
            Move("approve", other),
            Move("duplicate", 9, more),
            Move("run", 0),
        ),
        # The news of an older rejection after that of a newer approval.
        (Move("reject", one), Move("approve", one), Move("deliver", 9), Move("deliver", 8)),
        # An edit of what was approved before something else was.
        (
            Move("approve", one),
            Move("deliver", 9),
            Move("approve", other),
            Move("deliver", 9),
            Move("edit", one),
            Move("deliver", 9),
        ),
        # A sweep that has seen the endpoint as it was, and goes on while the next attempt is made.
        (
            Move("sweep", 4, some % 4),
            Move("approve", one),
            Move("duplicate", 9, 4 + more % 5),
            Move("run"),
        ),
        # What is being tried is rejected; the news of that comes before it arrives, after it, or never.
        (
            Move("approve", one),
            Move("deliver", 9),
            Move("reject", one),
            Move(chance.choice(["deliver", "deliver", "start", "lose"]), 9),
            Move("advance"),
            Move("advance"),
            chance.choice([Move("deliver", 9), Move("sweep", 9, 9)]),
        ),
        # Somebody approves again what is being tried.
        (Move("approve", one), Move("deliver", 9), Move("approve again"), Move("advance")),
    )
    # The second and the third are long ways to go wrong in one place, and come more often for that.
    return chance.choices(motifs, [1, 2, 2, *[1] * (len(motifs) - 3)])[0]
