"""Measures all, or what is named: ``python -m bench calls package``."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from typing import Any

from bench import (
    ROOT,
    approvals,
    calls,
    chain,
    cold_start,
    inspection,
    machine,
    package,
    rebuild,
    size,
    warm,
)

REPORT = ROOT / "build" / "bench.json"
# In the order in which they are measured.
MEASURES: dict[str, Callable[[], Any]] = {
    "cold_start": cold_start.measure,
    "size": size.measure,
    "calls": calls.measure,
    "warm": warm.measure,
    "chain": chain.measure,
    "approvals": approvals.measure,
    "inspect": inspection.measure,
    "package": package.measure,
    "rebuild": rebuild.measure,
}


def main() -> int:
    arguments = argparse.ArgumentParser(prog="bench", description=__doc__)
    arguments.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(MEASURES)}")
    names = arguments.parse_args().names or list(MEASURES)
    unknown = sorted(set(names) - set(MEASURES))
    if unknown:
        arguments.error(f"{', '.join(unknown)}: known are {', '.join(MEASURES)}")
    # What is not measured anew stays as it was.
    figures = json.loads(REPORT.read_text()) if REPORT.exists() else {}
    figures["machine"] = machine.measure()
    REPORT.parent.mkdir(exist_ok=True)
    for name in names:
        began = time.monotonic()
        sys.stderr.write(f"measuring {name} …\n")
        figures[name] = MEASURES[name]()
        REPORT.write_text(json.dumps(figures, indent=2) + "\n")
        sys.stdout.write(json.dumps({name: figures[name]}, indent=2) + "\n")
        sys.stderr.write(f"{name} took {time.monotonic() - began:.0f} s\n")
    sys.stdout.write(f"written to {REPORT.relative_to(ROOT)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
