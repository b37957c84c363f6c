"""What an instance type's name says about the machine: its accelerator and its architecture.

The names follow a grammar (Amazon EC2 User Guide, "Amazon EC2 instance type naming conventions"):
letters for the series, a digit for the generation, letters for attributes, among which ``g`` means a
Graviton processor. So a new generation is understood the day it appears, where a list would be stale.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_NAME = re.compile(
    r"ml\.(?P<family>(?P<series>[a-z]+)\d+(?P<attributes>[a-z]*)(?:-(?P<option>[a-z0-9]+))?)\.(?P<size>[a-z0-9]+)"
)

# Series with an accelerator, and its name in AWS's image data. Every other series is a CPU's.
_ACCELERATED = {"g": "gpu", "gr": "gpu", "p": "gpu", "inf": "inf", "trn": "trn", "dl": "dl"}
_GENERAL = frozenset(("a", "c", "d", "h", "hpc", "i", "im", "is", "m", "mac", "r", "t", "u", "x", "z"))


@dataclass(frozen=True)
class Instance:
    """One instance type.

    Attributes:
        family: ``m5`` in ``ml.m5.large``.
        processor: what a container can compute on: ``cpu``, ``gpu``, ``inf``, ``trn`` or ``dl``.
        arm: whether its processor runs ARM code (Graviton, Grace), for which x86 images are useless.
    """

    family: str
    processor: str
    arm: bool


def instance(name: str) -> Instance | None:
    """The instance type of this name (``ml.m5.large``), or None where the name is not one."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    series, attributes, option = found["series"], found["attributes"], found["option"] or ""
    if series not in _ACCELERATED and series not in _GENERAL:
        return None
    # NVIDIA's Grace is an ARM processor; its machines carry the pair's name as an option: p6e-gb200.
    arm = "g" in attributes or option.startswith("gb")
    return Instance(found["family"], _ACCELERATED.get(series, "cpu"), arm)
