"""What a buildspec says, as far as it is carried out here; anything else of one is refused.

"Build specification reference for CodeBuild" in the AWS CodeBuild User Guide, version 0.2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import yaml

PHASES = ("INSTALL", "PRE_BUILD", "BUILD", "POST_BUILD")

OnFailure = Literal["", "ABORT", "CONTINUE"]


class BuildspecError(Exception):
    """It cannot be carried out: it is wrong, or says what the local cloud does not know. Tells all of it."""


@dataclass(frozen=True)
class PhaseSpec:
    """A phase of a buildspec.

    Attributes:
        finally_: what is done after its commands, whatever became of them.
        on_failure: what comes after it has failed; empty where that is CodeBuild's own rule.
    """

    commands: tuple[str, ...] = ()
    finally_: tuple[str, ...] = ()
    on_failure: OnFailure = ""


@dataclass(frozen=True)
class Buildspec:
    """A buildspec.

    Attributes:
        shell: the program that carries out the commands.
        phases: by their names in the API, such as ``PRE_BUILD``.
        variables: what it sets itself; a build's own variables win.
        exported: the variables that are handed on.
    """

    shell: str = "sh"
    phases: Mapping[str, PhaseSpec] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    exported: tuple[str, ...] = ()


def read(text: str) -> Buildspec:
    """
    Raises:
        BuildspecError: it is no buildspec that can be carried out here.
    """
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BuildspecError(f"it is no YAML: {' '.join(str(error).split())}") from error
    reader = _Reader()
    spec = reader.buildspec(content)
    if reader.problems:
        raise BuildspecError("; ".join(reader.problems))
    return spec


class _Reader:
    """Reads to the end, and keeps what is wrong."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def buildspec(self, content: Any) -> Buildspec:
        top = self._mapping(content, "the buildspec", "version", "env", "phases")
        if str(top.get("version")) != "0.2":
            self.problems.append(f"version is {top.get('version')}, and the local cloud knows 0.2")
        env = self._mapping(top.get("env"), "env", "shell", "variables", "exported-variables")
        variables = self._mapping(env.get("variables"), "env.variables")
        phases = self._mapping(top.get("phases"), "phases", *(name.lower() for name in PHASES))
        if not phases:
            self.problems.append("it has no phases")
        return Buildspec(
            shell=self._choice(env.get("shell", "sh"), "env.shell", "bash", "sh"),
            phases={name.upper(): self._phase(phase, f"phases.{name}") for name, phase in phases.items()},
            variables={str(name): str(value) for name, value in variables.items()},
            exported=self._texts(env.get("exported-variables"), "env.exported-variables"),
        )

    def _phase(self, content: Any, where: str) -> PhaseSpec:
        phase = self._mapping(content, where, "commands", "finally", "on-failure")
        commands = self._texts(phase.get("commands"), f"{where}.commands")
        if not commands:
            self.problems.append(f"{where} has no commands")
        on_failure: OnFailure = ""
        if "on-failure" in phase:
            chosen = self._choice(phase["on-failure"], f"{where}.on-failure", "ABORT", "CONTINUE")
            on_failure = "ABORT" if chosen == "ABORT" else "CONTINUE"
        return PhaseSpec(commands, self._texts(phase.get("finally"), f"{where}.finally"), on_failure)

    def _mapping(self, content: Any, where: str, *known: str) -> Mapping[str, Any]:
        """Without any that are known, every name is."""
        if content is None:
            return {}
        if not isinstance(content, dict):
            self.problems.append(f"{where} is no mapping")
            return {}
        unknown = [str(name) for name in content if known and name not in known]
        if unknown:
            self.problems.append(
                f"{where} has {', '.join(unknown)}, and the local cloud carries out {', '.join(known)}"
            )
        return {str(name): value for name, value in content.items() if not known or name in known}

    def _texts(self, content: Any, where: str) -> tuple[str, ...]:
        if content is None:
            return ()
        if not isinstance(content, Sequence) or isinstance(content, str):
            self.problems.append(f"{where} is no list")
            return ()
        if not all(isinstance(item, str | int | float) for item in content):
            self.problems.append(f"{where} has what is no text: write each command as one")
        return tuple(map(str, content))

    def _choice(self, found: Any, where: str, *known: str) -> str:
        if found not in known:
            self.problems.append(f"{where} is {found}, and the local cloud knows {' and '.join(known)}")
            return known[0]
        return str(found)
