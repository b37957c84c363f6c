"""What the figures are to be, and whether they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

Figures: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class Aim:
    """What a figure is to be.

    Attributes:
        figure: where it stands in the figures; a ``*`` stands for each of several, of which the worst counts.
        what: what it says, in words.
        least, most: between what it has to be; the name of another figure stands for that one's value.
        limit: what limits it, told where the figure misses the aim.
    """

    figure: str
    what: str
    least: float | None = None
    most: float | str | None = None
    limit: str = ""

    def judged(self, figures: Figures) -> Judged:
        """Holds the figures against it."""
        values = list(found(figures, self.figure))
        numbers = [value for value in values if is_number(value)]
        if not numbers:
            return Judged(self, next((value for value in values if isinstance(value, str)), None))
        if self.least is not None:
            worst = min(numbers)
            return Judged(self, worst, self.least, worst >= self.least)
        worst, most = max(numbers), self._most(figures)
        return Judged(self, worst, most, None if most is None else worst <= most)

    def _most(self, figures: Figures) -> float | None:
        if not isinstance(self.most, str):
            return self.most
        return next((value for value in found(figures, self.most) if is_number(value)), None)


@dataclass(frozen=True)
class Judged:
    """What came of an aim.

    Attributes:
        worst: of the figures that are meant; words where it could not be measured, None where it was not.
        bound: what it is held against; None where that was not measured.
        met: None where that is open.
    """

    aim: Aim
    worst: float | str | None
    bound: float | None = None
    met: bool | None = None


def found(figures: object, path: str) -> Iterator[Any]:
    """The values at a path, in which ``*`` stands for any name; what is not there is left out."""
    name, _, rest = path.partition(".")
    if not name or isinstance(figures, str):
        yield figures  # words stand for all that would be below
    elif isinstance(figures, Mapping):
        for each in figures if name == "*" else [name]:
            if each in figures:
                yield from found(figures[each], rest)


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


# In the order of the page's sections.
AIMS: Sequence[Aim] = (
    Aim(
        "cold_start.*.ratio",
        "start of a function ÷ boto3 with that function's clients",
        most=0.70,
        limit=(
            "Every function starts pydantic, Powertools and its own modules, which takes the same whatever "
            "clients it has; boto3 with few clients takes less. So the functions with few or small ones miss "
            "it: those of images and builds, and the one that looks at every group's policy. The ratios move "
            "by 0.05 from run to run, with what boto3 takes."
        ),
    ),
    Aim(
        "cold_start.*.ratio_until_ready",
        "the same, without what a process does when it ends",
        most=0.70,
        limit=(
            "botocore's own modules and four clients of trimmed models take 0.53 of what boto3 takes, "
            "pydantic with one model 0.18, Powertools 0.02, and all of Modelgate, policies above all, 0.13. "
            "Without pydantic a deployment's functions would come to 0.6."
        ),
    ),
    Aim(
        "cold_start.*.peers.sagemaker_sdk_model",
        "start of the SageMaker SDK's `Model` ÷ start of a function",
        least=7,
    ),
    Aim(
        "cold_start.*.peers.mlflow_client",
        "start of MLflow's deployment client ÷ start of a function",
        least=5,
    ),
    Aim("size.zip_ratio", "zip of the layer ÷ zip of a plain build", most=0.25),
    Aim(
        "warm.ratio",
        "handler ÷ the calls that it makes, without the network",
        most=1.10,
        limit=(
            "Calls take 0.45 ms each before the network, so an approval's eight leave 0.4 ms for all else, "
            "and the three of an event that tells nothing new 0.14 ms. The log line and the metric take 0.15 "
            "ms. To read the endpoint's item and to check it takes 0.1 ms, to write it as much, and to plan "
            "0.1 to 0.3 ms. The network, without TLS, would add 0.3 ms to each call, on both sides."
        ),
    ),
    Aim("calls.approval", "calls for the approval that starts an update", most=8),
    Aim("calls.in_service", "calls for the event that ends it", most=6),
    Aim("calls.duplicate", "calls for an event that tells nothing new", most=3),
    Aim(
        "chain.efficiency",
        "the bare calls ÷ 1,000 submissions through the chain",
        least=0.90,
        limit=(
            "A submission makes 34 calls, of 5 ms each on the local cloud. On top of them come five "
            "invocations, in threads that share an interpreter with the cloud that answers: matching and "
            "delivering their events, reading and judging what was uploaded, the report as a page, and "
            "changes between threads."
        ),
    ),
    Aim("chain.last_over_first", "latency of the last hundred ÷ of the first hundred", most=1.1),
    Aim("chain.lost", "submissions that were lost", most=0),
    Aim("chain.twice", "submissions that were registered twice", most=0),
    Aim(
        "approvals.updates",
        "updates of an endpoint for 10,000 approvals, against those for 100",
        most="approvals.updates_at_100",
    ),
    Aim("inspect.ratio_to_tar_tzf", "speed of an inspection ÷ `tar -tzf`", least=2.2),
    Aim("inspect.ratio_to_igzip", "speed of an inspection ÷ `igzip -t`", least=0.85),
    Aim("inspect.peak_mb", "memory of the process that inspects, in MB", most=70),
    Aim("package.time_ratio_to_smdocker", "time of sm-docker to pack a source ÷ ours", least=1.5),
    Aim("package.size_ratio_to_smdocker", "size of our zip ÷ sm-docker's", most=1),
)
