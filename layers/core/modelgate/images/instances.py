"""What an instance type's name says about the machine: its accelerator and its architecture.

The names follow a grammar (Amazon EC2 User Guide, "Amazon EC2 instance type naming conventions"):
letters for the series, a digit for the generation, letters for attributes, among which ``g`` means a
Graviton processor. So a new generation is understood the day it appears, where a list would be stale.
"""

from __future__ import annotations

import re
from typing import Literal

from modelgate.values import dataclass

_NAME = re.compile(
    r"ml\.(?P<family>(?P<series>[a-z]+)(?P<generation>[0-9]{1,3})(?P<attributes>[a-z]*)(?:-(?P<option>[a-z0-9]+))?)"
    r"\.(?P<size>[a-z0-9]+)"
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
        neuron: which of AWS's two SDKs its accelerator is programmed with: ``neuron`` (Inf1) or ``neuronx``
            (Inferentia2, Trainium); None without such an accelerator. See AWS Neuron documentation,
            "Neuron Architecture".
    """

    family: str
    processor: str
    arm: bool
    neuron: Literal["neuron", "neuronx"] | None = None

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of images that run on it, those made for it first: ``neuronx``, ``x86``."""
        if self.arm:
            return ("arm",)
        return (self.neuron, "x86") if self.neuron else ("x86",)


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
    processor = _ACCELERATED.get(series, "cpu")
    return Instance(found["family"], processor, arm, _neuron(processor, int(found["generation"])))


def _neuron(processor: str, generation: int) -> Literal["neuron", "neuronx"] | None:
    if processor == "inf" and generation == 1:
        return "neuron"
    return "neuronx" if processor in {"inf", "trn"} else None
