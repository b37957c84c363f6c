"""The check of one container from its beginning to its end."""

from __future__ import annotations

import re
import sys
import tempfile
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING

from container_check.containers import Runner
from container_check.contract import Check, Part, Report, Result, checks_of, run
from container_check.image import ImageProbe
from container_check.serving import ServingProbe
from container_check.training import TrainingProbe
from container_check.trial import Given, Trial, trial_of

if TYPE_CHECKING:
    from docker import DockerClient

_NO_NAME = re.compile(r"[^a-z0-9]+")


def check_container(
    subject: str,
    given: Given,
    parts: Collection[Part],
    client: DockerClient,
    tell: Callable[[str], None],
) -> Report:
    """Runs a container through the contract.

    Args:
        subject: an image's name, or a folder with a Dockerfile.
        parts: ``train``, ``serve`` or both.
        tell: is told what is under way.

    Raises:
        Refused: the folder's ``job.yaml`` or ``build.yaml`` is wrong.
        DockerException: the engine is in trouble.
    """
    began = time.monotonic()
    folder = Path(subject) if Path(subject).is_dir() else None
    with tempfile.TemporaryDirectory(prefix="container-check-") as scratch:
        trial = trial_of(given, folder, Path(scratch), parts)
        image = ImageProbe(client, subject if folder is None else _name_of(folder), folder, tell)
        results = _tried(image, trial, parts, client, Path(scratch), tell)
    return Report(subject, results, time.monotonic() - began)


def _tried(
    image: ImageProbe,
    trial: Trial,
    parts: Collection[Part],
    client: DockerClient,
    scratch: Path,
    tell: Callable[[str], None],
) -> tuple[Result, ...]:
    def watch(check: Check) -> None:
        tell(f"{check.id}: {check.demand}")

    checks = checks_of(parts, trains_model=trial.model is None)
    known = run([check for check in checks if check.part == "image"], image.attempts, watch)
    if image.is_missing:
        return run(checks, {}, watch, known)
    with Runner(client, image.id, trial.instance_type) as runner:
        training = TrainingProbe(runner, trial, scratch)
        filled: list[str] = []

        def model() -> str | None:
            """The volume of what is to be served."""
            if trial.model is None:
                return training.model_volume if "train" in parts else None
            if not filled:
                filled.append(runner.volume())
                runner.fill(filled[0], trial.model)
            return filled[0]

        serving = ServingProbe(
            runner, trial, model, lambda: image.labels, is_linux=sys.platform.startswith("linux")
        )
        return run(checks, training.attempts | serving.attempts, watch, known)


def _name_of(folder: Path) -> str:
    """What the image of a folder is called, which stays as the cache of the next check."""
    return f"modelgate-check-{_NO_NAME.sub('-', folder.resolve().name.lower()).strip('-') or 'container'}"
