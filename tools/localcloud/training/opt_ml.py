"""The tree under ``/opt/ml``, as SageMaker lays it out before training begins.

"How Amazon SageMaker AI Provides Training Information" in the SageMaker Developer Guide. Of what is in
``input/config`` the three documented files are made, and ``checkpointconfig.json``, which AWS's own XGBoost
container reads. The members of ``resourceconfig.json`` about instances are documented for heterogeneous
clusters only, but are always there: the training toolkit reads them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from localcloud.training.channels import Channel
from localcloud.training.hosts import OPT_ML

# How SageMaker calls the one group of instances, where a job names none.
_GROUP = "homogeneousCluster"


def lay_out(
    base: Path,
    *,
    hyperparameters: Mapping[str, str],
    channels: Sequence[Channel],
    host: str,
    hosts: Sequence[str],
    instance_type: str,
    network_interface: str,
    place: str,
    checkpoints: str | None,
) -> None:
    """Make the folders and the configuration of a host.

    Args:
        base: what is ``/opt/ml`` on the host.
        place: what the host calls it.
    """
    config = base / "input/config"
    for folder in (config, base / "input/data", base / "model", base / "output/data"):
        folder.mkdir(parents=True, exist_ok=True)
    files: dict[str, Any] = {
        "hyperparameters": {name: in_place(value, place) for name, value in hyperparameters.items()},
        "inputdataconfig": {channel.name: channel.described() for channel in channels},
        "resourceconfig": {
            "current_group_name": _GROUP,
            "current_host": host,
            "current_instance_type": instance_type,
            "hosts": list(hosts),
            "instance_groups": [
                {"hosts": list(hosts), "instance_group_name": _GROUP, "instance_type": instance_type}
            ],
            "network_interface_name": network_interface,
        },
    }
    if checkpoints is not None:
        files["checkpointconfig"] = {"LocalPath": in_place(checkpoints, place)}
        # The folder may lie outside of /opt/ml: then it is beside it in the host's file system.
        root = Path(str(base).removesuffix(OPT_ML))
        (root / checkpoints.lstrip("/")).mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (config / f"{name}.json").write_text(json.dumps(content))


def in_place(value: str, place: str) -> str:
    """A text that is a path under ``/opt/ml``, in JSON's quotes or without, as the host reaches it."""
    if place == OPT_ML:
        return value
    for quote in ("", '"'):
        start = quote + OPT_ML
        if value == start + quote or value.startswith(f"{start}/"):
            return quote + place + value.removeprefix(start)
    return value
