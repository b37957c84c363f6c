"""How an update moves traffic to the new fleet: what a DeploymentConfig asks for, or why AWS refuses it.

"Deployment guardrails" in the SageMaker Developer Guide, and DeploymentConfig with its parts in the API
Reference. The limits are documented; the words of the refusals are not, and are ours.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from localcloud.errors import invalid

_HALF = Fraction(1, 2)
_ALL = Fraction(1)


@dataclass(frozen=True)
class Capacity:
    """What a deployment must know of a variant of the new fleet.

    Attributes:
        instances: how many it is to have; None if it is serverless.
    """

    variant: str
    instances: int | None


@dataclass(frozen=True)
class Step:
    """A share of the traffic on the new fleet, and how long it is watched then.

    Attributes:
        wait: in the policy's seconds.
        wait_of: the member of the policy that gives the wait.
    """

    share: Fraction
    wait: int
    wait_of: str = "WaitIntervalInSeconds"


@dataclass(frozen=True)
class Rollout:
    """The steps of an update, the last of which has all the traffic.

    Attributes:
        alarms: the names of those that roll the update back.
        guarded: there is a DeploymentConfig: the deployment is announced, and a rollback shows.
        replaces: the old fleet shrinks as the new one grows.
    """

    steps: tuple[Step, ...] = (Step(_ALL, 0),)
    alarms: tuple[str, ...] = ()
    guarded: bool = False
    replaces: bool = False


def rollout(config: Mapping[str, Any] | None, capacities: Sequence[Capacity]) -> Rollout:
    """What an update under ``config`` does; all at once and unguarded, if there is none.

    Raises:
        ServiceError: AWS refuses the config for these variants.
    """
    if config is None:
        return Rollout()
    if any(capacity.instances is None for capacity in capacities):
        raise invalid("DeploymentConfig is not supported for serverless variants.")
    blue_green, rolling = config.get("BlueGreenUpdatePolicy"), config.get("RollingUpdatePolicy")
    if blue_green is not None and rolling is not None:
        raise invalid("Only one of BlueGreenUpdatePolicy and RollingUpdatePolicy can be specified.")
    steps: tuple[Step, ...] = (Step(_ALL, 0),)
    if blue_green is not None:
        steps = _blue_green(blue_green, capacities)
    elif rolling is not None:
        steps = _rolling(rolling, capacities)
    _check_timeout(blue_green or rolling or {}, steps)
    alarms = (config.get("AutoRollbackConfiguration") or {}).get("Alarms", [])
    return Rollout(
        steps,
        tuple(alarm["AlarmName"] for alarm in alarms),
        guarded=True,
        replaces=rolling is not None,
    )


def _blue_green(policy: Mapping[str, Any], capacities: Sequence[Capacity]) -> tuple[Step, ...]:
    routing = policy["TrafficRoutingConfiguration"]
    wait, kind = int(routing["WaitIntervalInSeconds"]), routing["Type"]
    # The interval lies between two steps; after the last one the old fleet stands by for this long.
    last = Step(_ALL, int(policy.get("TerminationWaitInSeconds", 0)), "TerminationWaitInSeconds")
    if kind == "CANARY":
        size = _given(routing, "CanarySize", kind)
        return (Step(_share("CanarySize", size, capacities, Fraction(0)), wait), last)
    if kind == "LINEAR":
        size = _given(routing, "LinearStepSize", kind)
        step = _share("LinearStepSize", size, capacities, Fraction(1, 10))
        return (*(Step(share, wait) for share in _before_all(step)), last)
    return (last,)


def _rolling(policy: Mapping[str, Any], capacities: Sequence[Capacity]) -> tuple[Step, ...]:
    if len(capacities) > 1:
        raise invalid("RollingUpdatePolicy is not supported for endpoints with several production variants.")
    batch = _share("MaximumBatchSize", policy["MaximumBatchSize"], capacities, Fraction(1, 20))
    wait = int(policy["WaitIntervalInSeconds"])
    # Every batch is watched, the last one too.
    return tuple(Step(share, wait) for share in (*_before_all(batch), _ALL))


def _before_all(step: Fraction) -> list[Fraction]:
    return [step * number for number in range(1, math.ceil(1 / step))]


def _given(routing: Mapping[str, Any], member: str, kind: str) -> Mapping[str, Any]:
    size = routing.get(member)
    if size is None:
        raise invalid(f"{member} is required when the traffic routing type is {kind}.")
    return dict(size)


def _share(member: str, size: Mapping[str, Any], capacities: Sequence[Capacity], least: Fraction) -> Fraction:
    """The share that a size is of the smallest variant, which it must fit as every other one."""
    value, in_instances = int(size["Value"]), size["Type"] == "INSTANCE_COUNT"
    shares = []
    for capacity in capacities:
        instances = capacity.instances or 1
        share = Fraction(value, instances) if in_instances else Fraction(value, 100)
        # A step is at least one instance: of one instance that is all.
        if share > _HALF or share < least or instances == 1:
            raise invalid(
                f"{member} must be {_range(least)} of the total instance count of variant "
                f"{capacity.variant}, which has {instances} instance(s)."
            )
        shares.append(share)
    return max(shares)


def _range(least: Fraction) -> str:
    return f"between {int(least * 100)}% and 50%" if least else "less than or equal to 50%"


def _check_timeout(policy: Mapping[str, Any], steps: Sequence[Step]) -> None:
    limit = policy.get("MaximumExecutionTimeoutInSeconds")
    waits = sum(step.wait for step in steps)
    if limit is not None and int(limit) <= waits:
        raise invalid(
            f"MaximumExecutionTimeoutInSeconds ({limit}) must be greater than the total waiting time of the "
            f"deployment ({waits})."
        )
