"""What the instances of endpoints have: ml.m5.large has what EC2's m5.large has."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any


@dataclass(frozen=True)
class Instance:
    """What an instance has.

    Attributes:
        memory: in bytes.
    """

    vcpus: int
    memory: int


def instance(instance_type: str) -> Instance | None:
    """What an instance of SageMaker's type has; None if EC2 has none that is like it."""
    told = _types_of_ec2().get(instance_type.removeprefix("ml."))
    if told is None:
        return None
    return Instance(told["VCpuInfo"]["DefaultVCpus"], told["MemoryInfo"]["SizeInMiB"] << 20)


@lru_cache(maxsize=1)
def _types_of_ec2() -> dict[str, Any]:
    """What moto answers DescribeInstanceTypes from."""
    from moto.utilities.utils import load_resource

    types: dict[str, Any] = load_resource("ec2/resources/instance_types.json")
    return types
