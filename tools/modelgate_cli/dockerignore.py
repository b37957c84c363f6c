"""What `.dockerignore` leaves out of a source, as BuildKit does it.

Docker Docs, "Build context", ".dockerignore files". Where that page is silent, BuildKit's own walk was asked.
The docker package for Python has a matcher, too; of `!**/x` it loses what docker keeps.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from modelgate.errors import Gathering, Problem, Refused

NAME = ".dockerignore"
# What no image needs, and most of a repository's bytes are.
_GIT = ".git"
_WILD = re.compile(r"[*?\[\]\\]")
# As far as each part of a pattern is about one folder: up to a ``**``, an escape or a set of signs.
_ONE_LEVEL = re.compile(r"(?:(?!\*\*)[^\[\\])*")


@dataclass(frozen=True)
class _Rule:
    """A line: what it matches, and whether that is left out or brought back.

    Attributes:
        levels: what the folders on the way to a match are called, as far as the pattern tells.
    """

    pattern: str
    matches: re.Pattern[str]
    levels: tuple[re.Pattern[str], ...]
    brings_back: bool


class Ignored:
    """The lines of an ignore file: the last one that matches a path, or a folder that it is in, decides.

    An exception counts only for what is left out where it stands: behind ``docs/a.txt``, the line ``!docs``
    brings nothing back. That is how BuildKit walks, whatever its documentation says.
    """

    def __init__(self, lines: Iterable[str], where: str = NAME) -> None:
        """
        Raises:
            Refused: lines are no patterns; docker would not build.
        """
        self._rules = _rules(lines, where)
        self._with_git = any(
            rule.brings_back and rule.pattern.partition("/")[0] == _GIT for rule in self._rules
        )
        self._folders = {"": [False] * len(self._rules)}

    def leaves_out(self, path: str) -> bool:
        """Whether a path in the source, with slashes, stays out of it.

        So does `.git`, unless an exception names it.
        """
        if self._is_git(path):
            return True
        return self._is_out(self._matching(path))

    def may_bring_back(self, folder: str) -> bool:
        """Whether an exception could be about something in a folder that is left out."""
        if self._is_git(folder):
            return False
        matching = self._in_folder(folder)
        decided = max((number for number, matches in enumerate(matching) if matches), default=0)
        names = folder.split("/")
        return any(
            rule.brings_back
            and all(level.fullmatch(name) for level, name in zip(rule.levels, names, strict=False))
            for rule in self._rules[decided:]
        )

    def _is_git(self, path: str) -> bool:
        return not self._with_git and path.partition("/")[0] == _GIT

    def _is_out(self, matching: list[bool]) -> bool:
        """What the last rule that matches says."""
        for rule, matches in zip(reversed(self._rules), reversed(matching), strict=True):
            if matches:
                return not rule.brings_back
        return False

    def _matching(self, path: str) -> list[bool]:
        """Which rules match a path or a folder that it is in; one that would change nothing is not asked."""
        out, matching = False, []
        for rule, above in zip(self._rules, self._in_folder(path.rpartition("/")[0]), strict=True):
            matches = above or (rule.brings_back == out and rule.matches.fullmatch(path) is not None)
            if matches:
                out = not rule.brings_back
            matching.append(matches)
        return matching

    def _in_folder(self, folder: str) -> list[bool]:
        matching = self._folders.get(folder)
        if matching is None:
            matching = self._folders[folder] = self._matching(folder)
        return matching


def read(folder: Path, dockerfile: str) -> Ignored:
    """The rules of a folder: ``<Dockerfile>.dockerignore`` beside the Dockerfile in use, or the root's.

    Raises:
        Refused: lines are no patterns, or the file is no text.
    """
    for name in (f"{dockerfile}{NAME}", NAME):
        file = folder / name
        if file.is_file():
            try:
                text = file.read_bytes().decode("utf-8-sig")
            except UnicodeDecodeError as error:
                raise Refused(Problem(name, f"is not UTF-8 ({error.reason})", "save it as UTF-8")) from error
            return Ignored(text.split("\n"), name)
    return Ignored(())


def _rules(lines: Iterable[str], where: str) -> list[_Rule]:
    wrong = Gathering()
    rules = []
    for number, line in enumerate(lines, start=1):
        if line.startswith("#") or not line.strip():
            continue
        with wrong.collected():
            rules.append(_rule(line.strip(), f"{where}: line {number}"))
    wrong.refuse()
    return rules


def _rule(line: str, where: str) -> _Rule:
    brings_back = line.startswith("!")
    pattern = posixpath.normpath(line[brings_back:].strip()).lstrip("/")
    if brings_back and (line.strip("! /") == "" or not pattern):
        raise Refused(Problem(where, "is an exception of nothing", "name a file behind !"))
    try:
        matches = re.compile(_expression(pattern), re.ASCII | re.DOTALL)
    except re.error as error:
        found = f"has the pattern {pattern!r}, which is none ({error})"
        raise Refused(Problem(where, found, "put a \\ before a sign that is meant as it is")) from error
    certain = _ONE_LEVEL.match(pattern)
    known = certain.group() if certain else ""
    # The last of them may go on behind what is certain.
    levels = known.split("/") if known == pattern else known.split("/")[:-1]
    return _Rule(pattern, matches, tuple(re.compile(_expression(each)) for each in levels), brings_back)


def _expression(pattern: str) -> str:
    """As Go's filepath.Match has it, and ``**`` for any number of folders."""
    if pattern.startswith("**") and not pattern.startswith("**/") and not _WILD.search(pattern[2:]):
        return f".*{re.escape(pattern[2:])}"
    return "".join(_pieces(pattern))


def _pieces(pattern: str) -> Iterator[str]:
    at = 0
    while at < len(pattern):
        sign, rest = pattern[at], pattern[at + 1 :]
        taken = 1
        if sign == "*" and rest.startswith("*"):
            taken = 3 if rest.startswith("*/") else 2
            yield ".*" if at + taken >= len(pattern) else "(?:.*/)?"
        elif sign == "*":
            yield "[^/]*"
        elif sign == "?":
            yield "[^/]"
        elif sign == "[":
            expression, taken = _set(pattern[at:])
            yield expression
        elif sign == "\\":
            taken = 2
            yield pattern[at : at + 2]
        else:
            yield re.escape(sign)
        at += taken


# A sign or a range of them, each as it is or behind a backslash.
_SIGN = r"(?:\\.|[^\\\]-])"
_SET = re.compile(rf"\[(\^?)((?:{_SIGN}(?:-{_SIGN})?)+)\]", re.DOTALL)


def _set(pattern: str) -> tuple[str, int]:
    """The expression of a set of signs that a pattern begins with, and how long the set is in the pattern."""
    found = _SET.match(pattern)
    if found is None:
        raise re.error("a bracket that is not closed, or with a - or ] that has no \\ before it")
    # What Python's own sets might take for an operator one day.
    content = re.sub(r"(?<!\\)([\[&~|])", r"\\\1", found[2])
    return f"[{found[1]}{content}]", len(found[0])
