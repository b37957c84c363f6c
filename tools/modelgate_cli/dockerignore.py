"""What `.dockerignore` leaves out of a source, by Docker's own rules.

Docker Docs, "Build context", ".dockerignore files". The docker package for Python has a matcher too; it comes
with an HTTP client that takes longer to import than a source takes to pack.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from modelgate.errors import Problem, Refused

NAME = ".dockerignore"
# What no image needs, and most of a repository's bytes are; an exception in .dockerignore brings it back.
_ALWAYS = (".git",)


@dataclass(frozen=True)
class _Rule:
    """A line: what it matches, and whether that is left out or brought back.

    Attributes:
        levels: what each folder on the way must match; up to the first ``**``, behind which anything may be.
    """

    matches: re.Pattern[str]
    levels: tuple[re.Pattern[str], ...]
    brings_back: bool


class Ignored:
    """The lines of an ignore file; the last one that matches a path, or a folder that it is in, decides."""

    def __init__(self, lines: Iterable[str], where: str = NAME) -> None:
        """
        Raises:
            Refused: a line is no pattern.
        """
        self._rules = [_rule(line, brings_back=False) for line in _ALWAYS] + list(_rules(lines, where))
        self._exceptions = [rule for rule in self._rules if rule.brings_back]

    def leaves_out(self, path: str) -> bool:
        """Whether a path in the source, with slashes, stays out of it."""
        for rule in reversed(self._rules):
            if rule.matches.fullmatch(path):
                return not rule.brings_back
        return False

    def may_bring_back(self, folder: str) -> bool:
        """Whether an exception could be about something in a folder that is left out."""
        names = folder.split("/")
        return any(
            all(level.fullmatch(name) for level, name in zip(rule.levels, names, strict=False))
            for rule in self._exceptions
        )


def read(folder: Path, dockerfile: str) -> Ignored:
    """The rules of a folder: ``<Dockerfile>.dockerignore`` beside the Dockerfile in use, or the root's.

    Raises:
        Refused: a line is no pattern, or the file is no text.
    """
    for name in (f"{dockerfile}{NAME}", NAME):
        file = folder / name
        if file.is_file():
            try:
                return Ignored(file.read_text(encoding="utf-8-sig").splitlines(), name)
            except UnicodeDecodeError as error:
                raise Refused(Problem(name, f"is not UTF-8 ({error.reason})", "save it as UTF-8")) from error
    return Ignored(())


def _rules(lines: Iterable[str], where: str) -> Iterable[_Rule]:
    for number, line in enumerate(lines, start=1):
        if line.startswith("#") or not line.strip():
            continue
        pattern = line.strip()
        brings_back = pattern.startswith("!")
        pattern = pattern.removeprefix("!").strip()
        if not pattern:
            raise Refused(
                Problem(f"{where}: line {number}", "is an exception of nothing", "name a file behind !")
            )
        try:
            yield _rule(pattern, brings_back=brings_back)
        except re.error as error:
            found = f"has the pattern {pattern!r}, which is none ({error})"
            raise Refused(Problem(f"{where}: line {number}", found, "mend it")) from error


def _rule(pattern: str, *, brings_back: bool) -> _Rule:
    # A folder's pattern holds for everything in it.
    cleaned = posixpath.normpath(pattern).lstrip("/")
    known = cleaned.partition("**")[0].split("/")[: -1 if "**" in cleaned else None]
    levels = tuple(re.compile(_expression(level)) for level in known)
    return _Rule(re.compile(f"{_expression(cleaned)}(?:/.*)?", re.DOTALL), levels, brings_back)


def _expression(pattern: str) -> str:
    """As Go's filepath.Match has it, and ``**`` for any number of folders."""
    parts, at = [], 0
    while at < len(pattern):
        sign = pattern[at]
        at += 1
        if sign == "*" and pattern[at : at + 1] == "*":
            at += 1
            if pattern[at : at + 1] == "/":
                at += 1
            parts.append(".*" if at == len(pattern) else "(?:.*/)?")
        elif sign == "*":
            parts.append("[^/]*")
        elif sign == "?":
            parts.append("[^/]")
        elif sign == "[":
            end = pattern.find("]", at + 1)
            if end < 0:
                raise re.error("a bracket is not closed")
            content = pattern[at:end].replace("[", r"\[")
            parts.append(f"[{content}]")
            at = end + 1
        elif sign == "\\":
            parts.append(re.escape(pattern[at : at + 1]) or r"\\")
            at += 1
        else:
            parts.append(re.escape(sign))
    return "".join(parts)
