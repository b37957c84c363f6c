"""What a buildspec says, as far as it is carried out here; anything else of one is refused.

"Build specification reference for CodeBuild" in the AWS CodeBuild User Guide, version 0.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

PHASES = ("INSTALL", "PRE_BUILD", "BUILD", "POST_BUILD")
_SHELLS = ("bash", "sh")


class BuildspecError(Exception):
    """The buildspec is wrong, or says what the local cloud does not know. The message says what."""


@dataclass(frozen=True)
class PhaseSpec:
    """A phase's commands, those that follow them whatever happens, and whether the build goes on then."""

    commands: tuple[str, ...] = ()
    finally_: tuple[str, ...] = ()
    aborts: bool = False


@dataclass(frozen=True)
class Buildspec:
    """A buildspec.

    Attributes:
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
    top = _mapping(content, "the buildspec", {"version", "env", "phases"})
    if str(top.get("version")) != "0.2":
        raise BuildspecError(f"its version is {top.get('version')}; the local cloud knows 0.2")
    env = _mapping(top.get("env") or {}, "env", {"shell", "variables", "exported-variables"})
    shell = str(env.get("shell", "sh"))
    if shell not in _SHELLS:
        raise BuildspecError(f"env.shell is {shell}; the local cloud knows {' and '.join(_SHELLS)}")
    phases = _mapping(top.get("phases") or {}, "phases", {name.lower() for name in PHASES})
    return Buildspec(
        shell=shell,
        phases={name.upper(): _phase(phase, f"phases.{name}") for name, phase in phases.items()},
        variables={str(name): str(value) for name, value in (env.get("variables") or {}).items()},
        exported=tuple(map(str, env.get("exported-variables") or ())),
    )


def _phase(content: Any, where: str) -> PhaseSpec:
    phase = _mapping(content or {}, where, {"commands", "finally", "on-failure"})
    on_failure = phase.get("on-failure", "CONTINUE")
    if on_failure not in {"ABORT", "CONTINUE"}:
        raise BuildspecError(f"{where}.on-failure is {on_failure}; the local cloud knows ABORT and CONTINUE")
    commands = phase.get("commands") or []
    if not commands:
        raise BuildspecError(f"{where} has no commands")
    return PhaseSpec(
        tuple(map(str, commands)), tuple(map(str, phase.get("finally") or ())), on_failure == "ABORT"
    )


def _mapping(content: Any, where: str, known: set[str]) -> Mapping[str, Any]:
    if not isinstance(content, dict):
        raise BuildspecError(f"{where} is no mapping")
    unknown = sorted(set(content) - known)
    if unknown:
        raise BuildspecError(f"{where} has {', '.join(unknown)}, which the local cloud does not carry out")
    return content
