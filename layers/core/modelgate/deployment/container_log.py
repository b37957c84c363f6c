"""What is told of the log of containers that failed. Pure.

A container may write anything, secrets as well. What is told of it goes to whoever reads the registry, the
announcements and the operators' topic: the log group itself may have fewer readers.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from modelgate.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from modelgate.ports import LogLine

MAX_LINES = 20
MAX_LINE = 500
# ApprovalDescription (UpdateModelPackage in the Amazon SageMaker API Reference).
MAX_REASON = 1024
# What is left of SageMaker's reason, or of a container's answer, where both do not fit.
_SHORT_REASON = 400
_LEAD = "Last log lines: "
_SEPARATOR = " | "
# What steers terminals: colours, cursors, titles (ECMA-48, "Control sequences" and "Control strings").
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])")
# Web servers log every ping, before and behind what went wrong; that it was not answered is known.
_PING = re.compile(r"\bGET /ping\b")


@dataclass(frozen=True)
class LogExcerpt:
    """How the log of an endpoint's containers ends, as it is told.

    Attributes:
        group: the log group in CloudWatch Logs.
        lines: printable, and none empty; oldest first.
        trouble: why it could not be read; empty where it could.
    """

    group: str
    lines: tuple[str, ...] = ()
    trouble: str = ""

    def facts(self) -> dict[str, object]:
        """For an announcement."""
        told: dict[str, object] = {"log_group": self.group, "log_lines": list(self.lines)}
        return told | ({"log_trouble": self.trouble} if self.trouble else {})

    def added_to(self, reason: str) -> str:
        """The reason and, as far as ApprovalDescription has room for both, the newest of the lines."""
        if self.trouble:
            return f"{reason} (its log could not be read: {self.trouble})"
        if not self.lines:
            return reason
        reason = _cut(" ".join(reason.split()), _SHORT_REASON)
        told = f"{reason}{' ' if reason.endswith(('.', '…')) else '. '}{_LEAD}"
        return told + _newest(self.lines, MAX_REASON - len(told))


def excerpt(group: str, containers: Iterable[Sequence[LogLine]]) -> LogExcerpt:
    """What is worth telling of what containers wrote.

    Lines of one container stay together. The one that wrote last comes last: in an inference pipeline that
    is hardly ever one that waits in good health.
    """
    worth_telling = sorted(filter(None, map(_told, containers)), key=lambda lines: lines[-1][0])
    lines = [text for each in worth_telling for _, text in each]
    return LogExcerpt(group, tuple(lines[-MAX_LINES:]))


def _told(container: Sequence[LogLine]) -> list[tuple[float, str]]:
    lines = [(each.at.timestamp(), text) for each in container for text in _printable(each.text)]
    return [each for each in lines if not _PING.search(each[1])] or lines


def _printable(text: str) -> Iterator[str]:
    for line in _ESCAPES.sub("", text).replace("\r\n", "\n").split("\n"):
        # A progress bar begins its line anew; what it showed last stays.
        shown = line.rstrip("\r").rpartition("\r")[2]
        clean = "".join(letter if letter.isprintable() else " " for letter in shown).rstrip()
        if clean:
            yield _cut(clean, MAX_LINE)


def _newest(lines: Sequence[str], room: int) -> str:
    """As many of the last lines as there is room for; of the very last one at least the beginning."""
    # Where Python marks a place in the line above, nothing is left to see once they stand in one line.
    telling = [line for line in lines if line.strip(" ^~")] or lines
    *before, last = (" ".join(line.split()) for line in telling)
    told = _cut(last, room)
    for line in reversed(before):
        longer = line + _SEPARATOR + told
        if len(longer) > room:
            break
        told = longer
    return told


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"
