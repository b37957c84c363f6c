"""What `modelgate train` was asked for, and which way it goes: over AWS, or on this machine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from modelgate_cli import training_folder
from modelgate_cli.complaints import USAGE, Complaint

if TYPE_CHECKING:
    from modelgate_cli.options import Here

# Scripts are told a region, and where there is no cloud any will do.
_REGION_OF_NO_CLOUD = "eu-central-1"


@dataclass(frozen=True)
class Asked:
    """The words of a command line.

    Attributes:
        hyperparameters: texts, as they were written.
        data: folders and files of this machine, by channel.
    """

    folder: Path
    group: str | None
    run: str | None
    hyperparameters: Mapping[str, str]
    data: Mapping[str, str]
    out: Path | None
    logs: bool


def train(here: Here, asked: Asked, *, on_this_machine: bool, wait: bool, timeout: float) -> None:
    """
    Raises:
        Refused: with everything that is wrong with the folder.
        Complaint: it did not end well, or it cannot be meant so.
    """
    _expect_to_be_meant(asked, on_this_machine=on_this_machine)
    elsewhere = {name: Path(path) for name, path in asked.data.items()}
    hyperparameters = training_folder.hyperparameters_of(asked.hyperparameters)
    folder = training_folder.read(asked.folder, hyperparameters, elsewhere)
    group = training_folder.group_of(asked.folder, asked.group)
    if on_this_machine:
        from modelgate_cli import local_training

        made = local_training.train(
            folder,
            group,
            here.screen,
            region=here.region or _REGION_OF_NO_CLOUD,
            out=asked.out or local_training.usual_results(asked.folder, os.environ),
            logs=asked.logs,
        )
        local_training.show(made, here.screen, logs=asked.logs)
        return
    from modelgate_cli import training

    digest = folder.digest
    where = training_folder.run_of(group, asked.run, digest, datetime.now(UTC))
    trained = training.train(
        folder, where, digest, here.stack, here.screen, logs=asked.logs, wait=wait, timeout=timeout
    )
    training.show(trained, here.screen)


def _expect_to_be_meant(asked: Asked, *, on_this_machine: bool) -> None:
    given = {"--data": bool(asked.data), "--out": asked.out is not None}
    of_local = [option for option, is_given in given.items() if is_given]
    if of_local and not on_this_machine:
        found = f"{' and '.join(of_local)} is for training on this machine"
        raise Complaint(found, "give --local as well, or leave it out", USAGE)
    if asked.run is not None and on_this_machine:
        raise Complaint("--run names what is uploaded, and --local uploads nothing", "leave it out", USAGE)
