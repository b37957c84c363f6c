"""`make test-oracle`: the catalog of images against the real ``sagemaker.core.image_uris.retrieve``.

Prints what it compared, and last how many answers differ for no known reason; exits with 1 if any does.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from modelgate.errors import Refused
from modelgate.images import catalog

from . import sdk
from .differences import DIFFERENCES, explanation
from .questions import questions
from .sdk import Question

SHOWN = 20
PROCESSES = 2


@dataclass
class Comparison:
    """What came out of some questions.

    Attributes:
        images, refusals: how many answers are the same.
        on_purpose: how many answers differ for each of the reasons, by their places in the list.
        unexplained: the first of the answers that differ for none; ``failures`` counts them all.
    """

    images: int = 0
    refusals: int = 0
    on_purpose: Counter[int] = field(default_factory=Counter)
    failures: int = 0
    unexplained: list[str] = field(default_factory=list)

    def add(self, other: Comparison) -> None:
        self.images += other.images
        self.refusals += other.refusals
        self.on_purpose += other.on_purpose
        self.failures += other.failures
        self.unexplained += other.unexplained

    def fail(self, found: str) -> None:
        self.failures += 1
        if len(self.unexplained) < SHOWN:
            self.unexplained.append(found)


def compare(framework: str) -> Comparison:
    """Every question about one framework."""
    found = Comparison()
    for question in questions(framework):
        theirs, ours = sdk.answer(question), _catalogs_answer(question)
        if theirs == ours:
            found.images += ours is not None
            found.refusals += ours is None
        elif reason := explanation(question, theirs, ours):
            found.on_purpose[DIFFERENCES.index(reason)] += 1
        else:
            found.fail(f"{question}\n  sdk:     {theirs}\n  catalog: {ours}")
    return found


def _catalogs_answer(question: Question) -> str | None:
    try:
        return catalog.resolve(
            question.framework,
            question.version,
            region=question.region,
            instance_type=question.instance_type,
            scope=cast("catalog.Scope", question.scope),
            py_version=question.python,
            base_framework_version=question.base,
        )
    except Refused:
        return None


def _made_from() -> str:
    head: dict[str, Any] = json.loads(
        Path(catalog.__file__).with_name("catalog.jsonl").open(encoding="ascii").readline()
    )
    return str(head["source"])


def main() -> int:
    """Compare all there is."""
    frameworks = sdk.frameworks()
    found = Comparison()
    if _made_from() != f"sagemaker-core {sdk.VERSION}":
        found.fail(
            f"the catalog is made from {_made_from()}, and the SDK is {sdk.VERSION}: call make catalog"
        )
    for name in set(catalog.families()) ^ set(frameworks):
        found.fail(f"{name} is known to one of the two only")
    with ProcessPoolExecutor(PROCESSES) as processes:
        for each in processes.map(compare, frameworks):
            found.add(each)
    for number, difference in enumerate(DIFFERENCES):
        if not found.on_purpose[number]:
            found.fail(f"nothing differs for this reason any more: {difference.why}")

    differing = found.on_purpose.total()
    identical = found.images + found.refusals
    print(f"{len(frameworks)} families of sagemaker-core {sdk.VERSION}")
    print(f"{identical + differing + found.failures} cases compared")
    print(f"{identical} identical: {found.images} images, {found.refusals} refusals")
    print(f"{differing} differing on purpose:")
    for number, difference in enumerate(DIFFERENCES):
        print(f"{found.on_purpose[number]:>9}  {difference.why}")
    for failure in found.unexplained[:SHOWN]:
        print(failure)
    print(f"{found.failures} unexplained")
    return 1 if found.failures else 0


if __name__ == "__main__":
    sys.exit(main())
