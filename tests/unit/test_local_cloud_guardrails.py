"""How the local cloud's updates move traffic, and which DeploymentConfigs it refuses."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from localcloud import ServiceError
from localcloud.sagemaker.fleets import Turns
from localcloud.sagemaker.guardrails import Capacity, Rollout, rollout


def on(*instances: int | None) -> list[Capacity]:
    """Variants with so many instances; None is serverless."""
    return [Capacity(f"v{number}", count) for number, count in enumerate(instances)]


def percent(value: int) -> dict[str, Any]:
    """A size in percent."""
    return {"Type": "CAPACITY_PERCENT", "Value": value}


def instances(value: int) -> dict[str, Any]:
    """A size in instances."""
    return {"Type": "INSTANCE_COUNT", "Value": value}


def blue_green(kind: str, wait: int = 60, *, policy: dict[str, Any] | None = None, **sizes: Any) -> Any:
    """A DeploymentConfig with a BlueGreenUpdatePolicy."""
    routing = {"Type": kind, "WaitIntervalInSeconds": wait, **sizes}
    return {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing, **(policy or {})}}


def rolling(size: dict[str, Any], wait: int = 60, **more: Any) -> Any:
    """A DeploymentConfig with a RollingUpdatePolicy."""
    return {"RollingUpdatePolicy": {"MaximumBatchSize": size, "WaitIntervalInSeconds": wait, **more}}


def steps(course: Rollout) -> list[tuple[Fraction, int]]:
    """Each share of the traffic, and how long it is watched."""
    return [(step.share, step.wait) for step in course.steps]


HALF, ALL = Fraction(1, 2), Fraction(1)


@pytest.mark.parametrize(
    ("config", "count", "expected"),
    [
        (None, 1, [(ALL, 0)]),
        (blue_green("ALL_AT_ONCE"), 1, [(ALL, 0)]),
        (blue_green("ALL_AT_ONCE", policy={"TerminationWaitInSeconds": 9}), 1, [(ALL, 9)]),
        (blue_green("CANARY", CanarySize=percent(10)), 2, [(Fraction(1, 10), 60), (ALL, 0)]),
        (blue_green("CANARY", CanarySize=instances(1)), 2, [(HALF, 60), (ALL, 0)]),
        (blue_green("LINEAR", LinearStepSize=percent(50)), 2, [(HALF, 60), (ALL, 0)]),
        (
            blue_green("LINEAR", LinearStepSize=instances(2), policy={"TerminationWaitInSeconds": 5}),
            5,
            [(Fraction(2, 5), 60), (Fraction(4, 5), 60), (ALL, 5)],
        ),
        (rolling(instances(1)), 3, [(Fraction(1, 3), 60), (Fraction(2, 3), 60), (ALL, 60)]),
    ],
)
def test_traffic_moves_in_the_steps_of_the_policy(config: Any, count: int, expected: Any) -> None:
    assert steps(rollout(config, on(count))) == expected


@pytest.mark.parametrize(
    ("config", "capacities", "reason"),
    [
        (blue_green("ALL_AT_ONCE"), on(None), "not supported for serverless"),
        (blue_green("CANARY"), on(2), "CanarySize is required"),
        (blue_green("LINEAR"), on(2), "LinearStepSize is required"),
        (blue_green("CANARY", CanarySize=percent(51)), on(4), "less than or equal to 50%"),
        (blue_green("CANARY", CanarySize=instances(2)), on(3), "less than or equal to 50%"),
        (blue_green("CANARY", CanarySize=percent(10)), on(1), "less than or equal to 50%"),
        (blue_green("CANARY", CanarySize=instances(1)), on(4, 1), "variant v1"),
        (blue_green("LINEAR", LinearStepSize=percent(9)), on(9), "between 10% and 50%"),
        (blue_green("LINEAR", LinearStepSize=percent(60)), on(9), "between 10% and 50%"),
        (blue_green("LINEAR", LinearStepSize=instances(1)), on(11), "between 10% and 50%"),
        (rolling(percent(4)), on(9), "between 5% and 50%"),
        (rolling(percent(51)), on(9), "between 5% and 50%"),
        (rolling(percent(50)), on(2, 2), "several production variants"),
        (rolling(percent(50)) | blue_green("ALL_AT_ONCE"), on(2), "Only one of"),
        (
            blue_green(
                "CANARY",
                CanarySize=percent(50),
                wait=500,
                policy={"TerminationWaitInSeconds": 100, "MaximumExecutionTimeoutInSeconds": 600},
            ),
            on(2),
            "must be greater than the total waiting time",
        ),
        (
            rolling(percent(10), wait=60, MaximumExecutionTimeoutInSeconds=600),
            on(10),
            "must be greater than the total waiting time",
        ),
    ],
)
def test_a_policy_that_aws_refuses_is_refused(config: Any, capacities: list[Capacity], reason: str) -> None:
    with pytest.raises(ServiceError, match=reason) as refused:
        rollout(config, capacities)
    assert refused.value.code == "ValidationException"


def test_the_alarms_of_an_update_are_those_of_its_policy() -> None:
    config = {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "a"}, {"AlarmName": "b"}]}}
    course = rollout(config, on(1))
    assert course.alarms == ("a", "b")
    assert course.guarded
    assert not rollout(None, on(1)).guarded


@pytest.mark.parametrize(
    ("share", "taken"),
    [
        (Fraction(0), []),
        (Fraction(1, 10), [10, 20]),
        (Fraction(1, 3), [3, 6, 9, 12, 15, 18]),
        (HALF, list(range(2, 21, 2))),
        (ALL, list(range(1, 21))),
    ],
)
def test_a_share_of_the_requests_is_spread_evenly(share: Fraction, taken: list[int]) -> None:
    turns = Turns(share)
    assert [number for number in range(1, 21) if turns.take()] == taken
