"""Many runs, on all processors."""

from __future__ import annotations

import gc
import multiprocessing
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.chaos import mutants
from tests.chaos.running import Found, run, shrunk
from tests.chaos.schedule import random_schedule
from tests.chaos.stories import STORIES, crashes_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.pool import Pool

# A mutant that nobody notices in so many schedules is not noticed.
ENOUGH = 200
_CHUNK = 25
_Chunk = tuple[int, int, str, str | None]


@contextmanager
def _workers() -> Iterator[Pool]:
    # Worlds are garbage in one piece, after their run; looking for it all the time costs a seventh.
    with multiprocessing.get_context("spawn").Pool(os.cpu_count(), gc.disable) as workers:
        yield workers


def random_schedules(
    schedules: int, seed: str, mutant: str | None = None
) -> Iterator[tuple[int, Found | None]]:
    """Runs so many schedules of a seed; yields the number of each and what was found, in their order."""
    chunks: list[_Chunk] = [
        (first, min(first + _CHUNK, schedules), seed, mutant) for first in range(0, schedules, _CHUNK)
    ]
    with _workers() as workers:
        for results in workers.imap(_run_chunk, chunks):
            yield from results


def _run_chunk(chunk: _Chunk) -> list[tuple[int, Found | None]]:
    first, end, seed, mutant = chunk
    gc.collect()
    with mutants.mutated(mutant):
        return [(number, run(random_schedule(f"{seed}:{number}"))) for number in range(first, end)]


def shrunk_with(found: Found, mutant: str | None) -> Found:
    """The violation by a smaller schedule, with the same fault put in."""
    with mutants.mutated(mutant):
        return shrunk(found)


def each_crash() -> Iterator[tuple[str, int, Found | None]]:
    """Every story with a crash after every call; yields the story, the call and what was found."""
    with _workers() as workers:
        for results in workers.imap(_crashes, STORIES):
            yield from results


def _crashes(name: str) -> list[tuple[str, int, Found | None]]:
    found = [(name, number, found) for number, found in crashes_of(STORIES[name])]
    gc.collect()
    return found


def each_mutant(seed: str) -> Iterator[tuple[str, int, str]]:
    """Yields each mutant's name, the number of schedules until it was caught (0: never), and by what."""
    with _workers() as workers:
        yield from workers.imap(_catch, [(name, seed) for name in mutants.NAMES])


def _catch(told: tuple[str, str]) -> tuple[str, int, str]:
    name, seed = told
    with mutants.mutated(name):
        for number in range(ENOUGH):
            found = run(random_schedule(f"{seed}:{number}"))
            if found:
                return name, number + 1, found.what[:90]
    return name, 0, ""
