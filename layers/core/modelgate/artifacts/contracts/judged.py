"""An artifact while it is judged: what every contract asks of it, and what is found wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from functools import cached_property
from types import MappingProxyType

from modelgate.artifacts.inspection import Artifact, Member, printable
from modelgate.errors import Problem
from modelgate.values import dataclass

# Where SageMaker puts the artifact in every container.
MODEL_DIRECTORY = "/opt/ml/model"
NOTHING: Mapping[str, str] = MappingProxyType({})

# More of a kind than these are told in one line.
_TOLD_ONE_BY_ONE = 3


@dataclass(frozen=True)
class Judged:
    """
    Attributes:
        family: the framework; None for an image of one's own without one.
        environment: what the user has set.
        where: how problems name the artifact; a folder's name ends in a slash.
        container: its place in the manifest, for problems of the environment.
        problems: what is wrong with it.
        words: what it is, as far as it was recognised.
    """

    family: str | None
    artifact: Artifact
    environment: Mapping[str, str]
    where: str = "model.tar.gz"
    container: str = "container"
    problems: list[Problem] = field(default_factory=list)
    words: list[str] = field(default_factory=list)

    @cached_property
    def members(self) -> Mapping[str, Member]:
        """What is visible and no folder, by name."""
        visible = (m for m in self.artifact.members if m.kind != "directory" and not m.hidden)
        return {member.name: member for member in visible}

    @property
    def texts(self) -> Mapping[str, str]:
        return self.artifact.texts

    @property
    def is_folder(self) -> bool:
        return self.artifact.kind == "folder"

    def under(self, folder: str) -> list[str]:
        """The files directly in a folder; in the root for the empty name."""
        return list(self.artifact.files(folder))

    def problem(self, place: str, found: str, mend: str) -> None:
        """Notes what is wrong with a file, or with the whole for the empty place."""
        between = "" if self.where.endswith("/") else ": "
        where = f"{self.where}{between}{printable(place)}" if place else self.where
        self.problems.append(Problem(where, found, mend))

    def problem_of_each(self, places: Iterable[str], found: str, mend: str) -> None:
        """Notes the same of several files: one by one where they are few, else in one line."""
        named = list(places)
        if len(named) <= _TOLD_ONE_BY_ONE:
            for place in named:
                self.problem(place, found, mend)
        else:
            self.problem(some(named), f"each of these {len(named)} {found}", mend)

    def environment_problem(self, entry: str, found: str, mend: str) -> None:
        place = f"{self.container}.environment.{entry}" if entry else f"{self.container}.environment"
        self.problems.append(Problem(f"manifest.yaml: {place}", found, mend))

    def is_wrapped(self, *, aside: Callable[[str], bool] = lambda wrapper: wrapper == "code") -> bool:
        """Whether one folder holds everything, which is noted.

        Args:
            aside: folders that may stand alone.
        """
        wrapper = self.artifact.wrapper
        if wrapper is None or aside(wrapper):
            return False
        name = printable(wrapper)
        self.problem(
            f"{wrapper}/",
            "holds everything, and the container looks "
            + ("beside it" if self.is_folder else "at the root of the archive"),
            f"upload what is in it without {name}/ before the names"
            if self.is_folder
            else f"pack what is in it: tar -C {name} -czf model.tar.gz .",
        )
        return True


def local_folder(path: str) -> str | None:
    """The folder of the artifact that a path in the container names; None for a path elsewhere."""
    path = path.rstrip("/")
    if path == MODEL_DIRECTORY:
        return ""
    return path.removeprefix(f"{MODEL_DIRECTORY}/") if path.startswith(f"{MODEL_DIRECTORY}/") else None


def some(names: Iterable[str]) -> str:
    """The first names, for a message."""
    listed = list(names)
    shown = ", ".join(printable(name) for name in listed[:5])
    return shown if len(listed) <= 5 else f"{shown}, …"
