"""The questions: everything that the SDK's data knows, and of each kind something that it does not know."""

from __future__ import annotations

import functools
import itertools
import json
import re
from collections.abc import Callable, Iterator

from . import sdk
from .sdk import Question

CPU = ("ml.m5.large", "ml.c5.xlarge", "ml.t2.medium", "ml.c7i-flex.large", "ml.r7i.large")
OLD_GPU = ("ml.p2.xlarge", "ml.p3.2xlarge", "ml.g4dn.xlarge")
GPU = ("ml.p4d.24xlarge", "ml.p4de.24xlarge", "ml.p5.48xlarge", "ml.p5en.48xlarge", "ml.p6-b200.48xlarge")
NEW_GPU = ("ml.g5.xlarge", "ml.g6e.xlarge", "ml.gr6.4xlarge")
ARM = ("ml.m6g.large", "ml.c6gn.xlarge", "ml.r6gd.large", "ml.c7g.xlarge", "ml.m7g.large", "ml.m8g.large")
NEW_ARM = ("ml.c8g.large", "ml.r7gd.large", "ml.r8g.large", "ml.g5g.xlarge", "ml.p6e-gb200.36xlarge")
NEURON = ("ml.inf1.xlarge", "ml.inf2.xlarge", "ml.trn1.2xlarge", "ml.trn1n.32xlarge", "ml.trn2.48xlarge")
OTHERS = ("ml.dl1.24xlarge", "ml.zz9.large", "m5.large", "ml.m5", "local", "")
INSTANCE_TYPES = (*CPU, *OLD_GPU, *GPU, *NEW_GPU, *ARM, *NEW_ARM, *NEURON, *OTHERS)

HOME = "eu-central-1"
# Where every instance type is asked for, and those that are asked for in every region.
REGIONS_OF_ALL_TYPES = (HOME, "cn-north-1")
TYPES_OF_ALL_REGIONS = ("ml.m5.large", "ml.g5.xlarge", "ml.c7g.xlarge", "ml.inf2.xlarge")
# What is not known, or does not go together, is asked for on these and at home only.
TYPES_OF_THE_UNKNOWN = ("ml.m5.large", "ml.p3.2xlarge", "ml.c7g.xlarge", "ml.inf2.xlarge", "ml.trn1.2xlarge")

UNKNOWN_VERSION = "99.9.9"
UNKNOWN_PYTHON = "py27"
UNKNOWN_BASE = "pytorch99.9"
UNKNOWN_REGION = "atlantis-central-1"


def questions(framework: str) -> Iterator[Question]:
    """About one framework; the order is always the same."""
    for scope, version in itertools.product(("inference", "training"), versions(framework)):
        there = set(choices(framework, scope, version))
        everywhere = there | {(None, base) for _, base in there} | ({(None, None)} if there else set())
        pythons = {python for python, _ in there} | {None, UNKNOWN_PYTHON}
        bases = {base for _, base in there} | {None, UNKNOWN_BASE}
        # Shorter names of base frameworks: pytorch2.1, pytorch2.
        shorter = {base.rpartition(".")[0] for base in bases if base}
        bases |= shorter | {base.partition(".")[0] for base in shorter}
        for python, base in sorted(itertools.product(pythons, bases), key=str):
            ask = functools.partial(Question, framework, scope, version, python, base)
            yield from _everywhere(ask) if (python, base) in everywhere else _here_and_there(ask)


def _everywhere(ask: Callable[[str, str], Question]) -> Iterator[Question]:
    """Every instance type in one region of each of two partitions, and some of them in every region."""
    for region in REGIONS_OF_ALL_TYPES:
        yield from (ask(region, each) for each in INSTANCE_TYPES)
    for region in regions():
        if region not in REGIONS_OF_ALL_TYPES:
            yield from (ask(region, each) for each in TYPES_OF_ALL_REGIONS)


def _here_and_there(ask: Callable[[str, str], Question]) -> Iterator[Question]:
    yield from (ask(HOME, each) for each in TYPES_OF_THE_UNKNOWN)


def versions(framework: str) -> tuple[str, ...]:
    """Of all scopes and of the images for Neuron: whether one is there for the machine is the question."""
    found: dict[str, None] = {}
    for name in _files(framework):
        for table in (sdk.data(name), *sdk.data(name).values()):
            if isinstance(table, dict) and "versions" in table:
                found.update(dict.fromkeys((*table["versions"], *table.get("version_aliases", ()))))
    return (*found, UNKNOWN_VERSION)


def choices(framework: str, scope: str, version: str) -> Iterator[tuple[str | None, str | None]]:
    """The Pythons and base frameworks that the version has, on any machine; nothing if there is none such.

    None is for what has no choice of the one or the other.
    """
    for name in _files(framework):
        for each in (scope, f"{scope}_graviton"):
            table = (
                sdk.data(name) if each in sdk.data(name).get("scope", ()) else sdk.data(name).get(each, {})
            )
            target = table.get("version_aliases", {}).get(version, version)
            fields = table.get("versions", {}).get(target, {})
            if "repository" in fields:
                yield from ((python, None) for python in fields.get("py_versions") or (None,))
            for key in fields.keys() - {"version_aliases"}:
                if re.fullmatch(r"py\d+", key):
                    yield key, None
                elif re.fullmatch(r"(pytorch|tensorflow)[\d.]+", key):
                    yield from ((python, key) for python in fields[key]["py_versions"])


@functools.cache
def regions() -> tuple[str, ...]:
    """Every region of every partition that any image is in, and one that is not there."""
    data = json.dumps([sdk.data(name) for name in sdk.frameworks()])
    return (*sorted(set(re.findall(r'"([a-z]+(?:-[a-z]+)+-\d)": "\d{12}"', data))), UNKNOWN_REGION)


def _files(framework: str) -> tuple[str, ...]:
    """The SDK's files that an answer about the framework may come from."""
    return (
        framework,
        *(name for name in (f"{framework}-neuron", f"{framework}-neuronx") if name in sdk.frameworks()),
    )
