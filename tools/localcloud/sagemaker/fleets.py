"""What serves an endpoint: fleets of containers with their figures, and whose turn it is to answer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from threading import Lock
from typing import Any

from localcloud.inference_pipeline import InferencePipeline
from localcloud.sagemaker.definitions import Kept


class Turns:
    """Says yes to a share of the times that it is asked, evenly, and the same way each time it is made."""

    def __init__(self, share: Fraction) -> None:
        self.share = share
        self._lock = Lock()
        self._asked = 0

    def take(self) -> bool:
        """Whether this time is one of the share."""
        with self._lock:
            before, self._asked = self._asked, self._asked + 1
        return math.floor(self._asked_share(before + 1)) > math.floor(self._asked_share(before))

    def _asked_share(self, times: int) -> Fraction:
        return self.share * times


@dataclass(frozen=True)
class Figures:
    """How much of a variant there is.

    Attributes:
        instances: None if it is serverless.
    """

    weight: float
    instances: int | None


@dataclass
class LiveVariant:
    """A variant as it is: what its endpoint config began it with, it may have left."""

    content: Mapping[str, Any]
    current: Figures
    desired: Figures
    role: str = ""

    @property
    def name(self) -> str:
        """Its VariantName."""
        return str(self.content["VariantName"])

    def arrive(self) -> None:
        """What was desired is there."""
        self.current = self.desired


@dataclass
class Fleet:
    """The containers that serve an endpoint config, by variant; one instance stands for all of them."""

    config: Kept
    variants: dict[str, LiveVariant]
    pipelines: dict[str, InferencePipeline] = field(default_factory=dict)
    captured: Turns = field(default_factory=lambda: Turns(Fraction(0)))

    @classmethod
    def of(cls, config: Kept) -> Fleet:
        """A fleet as its config begins it, without containers yet."""
        variants = {}
        for content in config.content["ProductionVariants"]:
            instances = None if content.get("ServerlessConfig") else int(content["InitialInstanceCount"])
            figures = Figures(float(content.get("InitialVariantWeight", 1.0)), instances)
            variants[content["VariantName"]] = LiveVariant(content, figures, figures)
        capture = config.content.get("DataCaptureConfig")
        on = capture is not None and capture.get("EnableCapture", True)
        percent = int(capture["InitialSamplingPercentage"]) if capture is not None and on else 0
        return cls(config, variants, captured=Turns(Fraction(percent, 100)))

    def retain(self, before: Fleet, excluded: frozenset[str]) -> None:
        """Take over the figures of the fleet before, but for the excluded properties."""
        for name, variant in self.variants.items():
            old = before.variants.get(name)
            if old is None:
                continue
            figures = variant.desired
            if "DesiredWeight" not in excluded:
                figures = replace(figures, weight=old.desired.weight)
            if "DesiredInstanceCount" not in excluded and None not in {
                figures.instances,
                old.desired.instances,
            }:
                figures = replace(figures, instances=old.desired.instances)
            variant.current = variant.desired = figures

    @property
    def is_asynchronous(self) -> bool:
        """Whether it answers into S3."""
        return "AsyncInferenceConfig" in self.config.content
