"""What a Dockerfile builds on: the images that it names, and its stages.

Docker Docs, "Dockerfile reference". Read as BuildKit reads it, as far as names of images go: continued
lines, the escape directive, here-documents, and variables in the lines that name images.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from modelgate.errors import Problem, Refused

_DIRECTIVE = re.compile(r"#\s*([a-zA-Z]+)\s*=\s*(\S+)\s*")
_HEREDOC = re.compile(r"<<-?(?P<quote>[\"']?)(?P<word>[a-zA-Z_][a-zA-Z0-9_]*)(?P=quote)")
_VARIABLE = re.compile(
    r"\$(?:(?P<plain>[a-zA-Z_]\w*)|\{(?P<name>[a-zA-Z_]\w*)(?:(?P<how>:?[-+])(?P<word>[^}]*))?\})"
)
_OPTION = re.compile(r"--(?P<name>[a-z-]+)(?:=(?P<value>\S+))?")
_MOUNT_FROM = re.compile(r"(?:^|,)from=([^,]+)")
_EMPTY = "scratch"
# What the builder itself defines (Dockerfile reference, "Automatic platform ARGs in the global scope").
_PLATFORM = {
    "TARGETOS": "linux",
    "BUILDOS": "linux",
    "TARGETVARIANT": "",
    "BUILDVARIANT": "",
}


@dataclass(frozen=True)
class Dockerfile:
    """What was found in one.

    Attributes:
        images: those that it builds on or copies from, each once, in the order of the lines.
        stages: the names of its stages, in lower case; "" for one without a name.
    """

    images: tuple[str, ...]
    stages: tuple[str, ...]

    def has_stage(self, target: str) -> bool:
        """Whether ``--target`` could name it: by its name, or by its number from 0."""
        if target.isdigit():
            return int(target) < len(self.stages)
        return target.lower() in self.stages


@dataclass
class _Reading:
    """How far a Dockerfile is read.

    Attributes:
        given: the build arguments and what the builder defines; None has no value.
        known: the ARGs before the first FROM, with their values.
    """

    name: str
    given: Mapping[str, str]
    known: dict[str, str | None] = field(default_factory=dict)
    images: list[str] = field(default_factory=list)
    stages: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def take(self, number: int, line: str) -> None:
        instruction, _, rest = line.partition(" ")
        match instruction.upper():
            case "ARG" if not self.stages:
                self._define(rest)
            case "FROM":
                self._begin_stage(number, rest)
            case "COPY" | "ADD":
                for name, value in _options(rest):
                    if name == "from":
                        self._use(number, value)
            case "RUN":
                for name, value in _options(rest):
                    if name == "mount" and (found := _MOUNT_FROM.search(value)):
                        self._use(number, found[1])

    def _define(self, rest: str) -> None:
        for word in rest.split():
            name, given, default = word.partition("=")
            value = self._expanded(default.strip("\"'"))[0] if given else None
            self.known[name] = self.given.get(name, value)

    def _begin_stage(self, number: int, rest: str) -> None:
        words = [word for word in rest.split() if not word.startswith("--")]
        if not words:
            self._wrong(number, "a FROM without an image", "name the image to build on")
            return
        image, unknown = self._expanded(words[0].strip("\"'"))
        if unknown or not image:
            missing = unknown or [words[0]]
            found = f"FROM {words[0]} has no value for {' and '.join(missing)}"
            mend = "give the ARG a default before the first FROM, or a value in build_args"
            self._wrong(number, found, mend)
        elif image.lower() not in self.stages and image != _EMPTY:
            self.images.append(image)
        named = len(words) == 3 and words[1].upper() == "AS"
        self.stages.append(words[2].lower() if named else "")

    def _use(self, number: int, image: str) -> None:
        """An image, or an earlier stage by its name or number."""
        stage = image.lower() in self.stages or (image.isdigit() and int(image) < len(self.stages))
        if "$" in image:
            self._wrong(number, f"takes files from {image}", "name the image or stage, without a variable")
        elif not stage:
            self.images.append(image)

    def _expanded(self, text: str) -> tuple[str, list[str]]:
        unknown: list[str] = []

        def value(found: re.Match[str]) -> str:
            name = found["plain"] or found["name"]
            known = self.known.get(name, self.given.get(name) if name in _PLATFORM_NAMES else None)
            how, word = found["how"] or "", found["word"] or ""
            there = known is not None and (known != "" or not how.startswith(":"))
            if how.endswith("+"):
                return word if there else ""
            if how.endswith("-") and not there:
                return word
            if known is None:
                unknown.append(name)
            return known or ""

        return _VARIABLE.sub(value, text), unknown

    def _wrong(self, number: int, found: str, mend: str) -> None:
        self.problems.append(Problem(f"{self.name}: line {number}", found, mend))


_PLATFORM_NAMES = {*_PLATFORM, "TARGETPLATFORM", "BUILDPLATFORM", "TARGETARCH", "BUILDARCH"}


def read_dockerfile(text: str, name: str, build_args: Mapping[str, str], platform: str) -> Dockerfile:
    """Reads a Dockerfile.

    Args:
        name: how errors call it.
        platform: what it builds for, such as ``linux/amd64``.

    Raises:
        Refused: it has no stage, or a line that names an image names none.
    """
    architecture = platform.partition("/")[2]
    builder = {
        **_PLATFORM,
        **dict.fromkeys(("TARGETPLATFORM", "BUILDPLATFORM"), platform),
        **dict.fromkeys(("TARGETARCH", "BUILDARCH"), architecture),
    }
    reading = _Reading(name, {**builder, **build_args})
    for number, line in _instructions(text):
        reading.take(number, line)
    if not reading.stages and not reading.problems:
        mend = "begin with FROM and the image to build on"
        reading.problems.append(Problem(name, "has no FROM line", mend))
    if reading.problems:
        raise Refused(*reading.problems)
    return Dockerfile(tuple(dict.fromkeys(reading.images)), tuple(reading.stages))


def _options(rest: str) -> Iterator[tuple[str, str]]:
    """The ``--name=value`` that an instruction begins with."""
    for word in rest.split():
        found = _OPTION.fullmatch(word)
        if found is None:
            return
        yield found["name"], (found["value"] or "").strip("\"'")


def _instructions(text: str) -> Iterator[tuple[int, str]]:
    """Each instruction in one line, with the number of the line that it begins in."""
    lines = enumerate(text.lstrip("\ufeff").splitlines(), start=1)
    escape = _escape(text)
    begun, parts = 0, []
    for number, line in lines:
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue  # within a continued instruction, too
        begun = begun or number
        if stripped.endswith(escape):
            parts.append(stripped.removesuffix(escape).rstrip())
            continue
        parts.append(stripped)
        instruction = " ".join(" ".join(parts).split())
        yield begun, instruction
        begun, parts = 0, []
        if instruction.partition(" ")[0].upper() in {"RUN", "COPY", "ADD"}:
            for heredoc in _HEREDOC.finditer(instruction):
                for _, inner in lines:
                    if inner.strip() == heredoc["word"]:
                        break
    if parts:
        yield begun, " ".join(" ".join(parts).split())


def _escape(text: str) -> str:
    """Directives stand before everything else."""
    for line in text.lstrip("\ufeff").splitlines():
        found = _DIRECTIVE.fullmatch(line.strip())
        if found is None:
            break
        if found[1].lower() == "escape" and found[2] in {"\\", "`"}:
            return found[2]
    return "\\"
