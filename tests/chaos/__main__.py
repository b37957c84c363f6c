"""`make chaos`: so many random schedules, and a crash after every single call of a few stories.

python -m tests.chaos --schedules 2000 --seed 7 [--mutant NAME]
python -m tests.chaos --mutants
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING

from tests.chaos import mutants, volume
from tests.chaos.stories import STORIES

if TYPE_CHECKING:
    from tests.chaos.running import Found


def main() -> int:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--schedules", type=_count, default=2000, help="how many; 2000 without")
    parser.add_argument("--seed", default="1", help="the same seed gives the same schedules")
    parser.add_argument("--mutant", choices=mutants.NAMES, help="with this fault put in")
    parser.add_argument("--mutants", action="store_true", help="how soon each known fault is noticed")
    told = parser.parse_args()
    if told.mutants:
        return _all_mutants(told.seed)
    return _chaos(told.schedules, told.seed, told.mutant)


def _chaos(schedules: int, seed: str, mutant: str | None) -> int:
    began = time.monotonic()
    violations = 0
    if mutant is None:
        crashes = 0
        for name, number, found in volume.each_crash():
            crashes += 1
            if found:
                violations += 1
                _tell(f"story {name!r}, crash after call {number}", found)
        sys.stdout.write(f"{crashes} crashes in {len(STORIES)} stories, {violations} violations\n")
    for done, (number, found) in enumerate(volume.random_schedules(schedules, seed, mutant), start=1):
        if found:
            violations += 1
            _tell(f"SEED={seed}, schedule {number}", volume.shrunk_with(found, mutant))
        if done % 500 == 0:
            sys.stdout.write(f"{done} schedules, {time.monotonic() - began:.0f} s\n")
            sys.stdout.flush()
    with_fault = f" with the fault {mutant}" if mutant else ""
    sys.stdout.write(f"{schedules} schedules{with_fault}, {violations} violations\n")
    return 1 if violations else 0


def _tell(where: str, found: Found) -> None:
    sys.stdout.write(f"VIOLATION, {where}: {found.what}\n{found.schedule}\n")


def _all_mutants(seed: str) -> int:
    caught = 0
    for name, number, what in volume.each_mutant(seed):
        after = f"caught after {number:>3} schedules: {what}" if number else "NOT CAUGHT"
        sys.stdout.write(f"{name:<30} {after}\n")
        sys.stdout.flush()
        caught += bool(number)
    sys.stdout.write(f"{caught} of {len(mutants.NAMES)} caught\n")
    return 0 if caught == len(mutants.NAMES) else 1


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError(f"is {text}; ask for 1 schedule or more")
    return count


if __name__ == "__main__":
    sys.exit(main())
