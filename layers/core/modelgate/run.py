"""Runs: where a training or a batch transform lies, and what SageMaker calls the job of it. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

from modelgate.announcements import id_of
from modelgate.errors import Problem, Refused
from modelgate.submission import SAGEMAKER_NAME
from modelgate.values import dataclass

if TYPE_CHECKING:
    from typing import Self

JOB_FILE = "job.yaml"
# What tells an event's job from others': to describe a job gives its environment back.
OWN_VARIABLES = ("MODELGATE_STACK", "MODELGATE_GROUP", "MODELGATE_RUN")

_RUN_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,99}")
_JOB_NAME_LENGTH = 63
_HASH_LENGTH = 12


@dataclass(frozen=True)
class RunId:
    """Where a run lies: ``<above>/<group>/<run>/``, raw as the key has it."""

    above: ClassVar[str]
    group: str
    run: str

    @classmethod
    def of_key(cls, key: str) -> Self:
        """The run whose `job.yaml` lies there; a deeper key keeps the rest in it."""
        _, group, rest = key.split("/", 2)
        return cls(group, rest.rpartition("/")[0])

    def check(self) -> None:
        """Raises `Refused` when SageMaker, or what comes of the run, would not take these names."""
        problems = []
        if not SAGEMAKER_NAME.fullmatch(self.group):
            mend = "a group has letters, digits and single hyphens, at most 63; upload under another name"
            found = f"the group {self.group!r} is no name that SageMaker takes"
            problems.append(Problem(self.folder, found, mend))
        if not _RUN_NAME.fullmatch(self.run):
            mend = "a run has letters, digits, '.', '_' and '-', at most 100; upload under another name"
            found = f"the run {self.run!r} is no name that can be used"
            problems.append(Problem(self.folder, found, mend))
        if problems:
            raise Refused(*problems)

    @property
    def folder(self) -> str:
        return f"{self.above}/{self.group}/{self.run}/"

    def key(self, file: str) -> str:
        return self.folder + file

    def __str__(self) -> str:
        return f"{self.group}/{self.run}"


class TrainingId(RunId):
    """A training."""

    above = "training"

    def trained_key(self, file: str) -> str:
        """Where what comes of it lies."""
        return f"trained/{self.group}/{self.run}/{file}"


class TransformId(RunId):
    """A batch transform."""

    above = "transforms"

    @property
    def output(self) -> str:
        """What the keys of its answers begin with, unless `job.yaml` says another place."""
        return f"transformed/{self.group}/{self.run}/"


def job_name(run: RunId, version: str) -> str:
    """What SageMaker calls the job of this version of a run's `job.yaml`; each version has its own."""
    told = id_of(run.above, run.group, run.run, version)[:_HASH_LENGTH]
    readable = re.sub(r"[^a-zA-Z0-9]+", "-", f"{run.group}-{run.run}")
    return f"{readable[: _JOB_NAME_LENGTH - _HASH_LENGTH - 1].strip('-')}-{told}"
