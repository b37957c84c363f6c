"""A build's log in CloudWatch Logs, read as it grows, and shown with the phases of the build."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from modelgate.aws.errors import translated
from modelgate.builds.order import buildspec
from modelgate.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mypy_boto3_logs import CloudWatchLogsClient
    from rich.progress import TaskID

    from modelgate.ports import Phase
    from modelgate_cli.screen import Screen

# What CodeBuild writes into the log itself begins so, and tells of the phases that have commands.
_ITS_OWN = "[Container] "
# From here on the command that failed is quoted, up to the next line that is marked.
_QUOTES_WHAT_FAILED = "Command did not exit successfully"
_PHASE_BEGINS = re.compile(r"Entering phase ([A-Z_]+)")
_PHASES_IN_THE_LOG = frozenset({"INSTALL", "PRE_BUILD", "BUILD", "POST_BUILD"})
_PHASES_BEFORE_IT = frozenset({"SUBMITTED", "QUEUED", "PROVISIONING", "DOWNLOAD_SOURCE"})
KEPT_LINES = 20


@dataclass(frozen=True)
class PhaseBegins:
    """The place in a log where a phase of the build begins."""

    name: str


class BuildLog:
    """What a build writes, without what CodeBuild writes about it.

    Amazon CloudWatch Logs API Reference, GetLogEvents: the token of an answer stands for the place up to
    which was read, and comes back unchanged when nothing is there behind it.

    Attributes:
        last_lines: how it ends, as far as it was read.
    """

    def __init__(self, client: CloudWatchLogsClient, group: str, stream: str) -> None:
        self._client = client
        self._named: dict[str, Any] = {"logGroupName": group, "logStreamName": stream, "startFromHead": True}
        self._place: dict[str, Any] = {}
        self._unseen: list[str | PhaseBegins] = []
        self._after_its_own = False
        self._quotes_what_failed = False
        self.last_lines: deque[str] = deque(maxlen=KEPT_LINES)

    def news(self) -> list[str | PhaseBegins]:
        """The lines since the last time, each once, with the phases where they begin.

        Raises:
            AwsError: the log may not be read, or not now.
        """
        try:
            while self._read():
                pass
        except NotFound:
            return []  # nothing is written yet
        news, self._unseen = self._unseen, []
        self.last_lines.extend(line for line in news if isinstance(line, str))
        return news

    def _read(self) -> bool:
        """Whether there may be more. What was read is kept, should the next call fail."""
        with translated("GetLogEvents"):
            answer = self._client.get_log_events(**self._named, **self._place)
        for event in answer["events"]:
            self._unseen += self._lines_of(event.get("message", ""))
        before, self._place = self._place, {"nextToken": answer["nextForwardToken"]}
        return self._place != before

    def _lines_of(self, message: str) -> Iterator[str | PhaseBegins]:
        if message.startswith(_ITS_OWN):
            self._after_its_own = True
            self._quotes_what_failed = _QUOTES_WHAT_FAILED in message
            if begins := _PHASE_BEGINS.search(message):
                yield PhaseBegins(begins[1])
            return
        for line in message.splitlines():
            # A command of several lines is told of with its first one marked only.
            if self._quotes_what_failed or (self._after_its_own and line.strip() in _commands()):
                continue
            self._after_its_own = False
            if line.strip():
                yield line.rstrip()


@cache
def _commands() -> frozenset[str]:
    return frozenset(line.strip() for line in buildspec().splitlines())


class BuildScreen:
    """Shows a build on stderr: its phases as they begin, its log, and on a terminal how long it takes."""

    def __init__(self, screen: Screen, progress: Progress, task: TaskID) -> None:
        self._screen = screen
        self._progress = progress
        self._task = task
        self._phases: set[str] = set()
        self._log_tells = False
        self._shown = ""

    def state(self, words: str) -> None:
        """What is being done now; shown once."""
        if words == self._shown:
            return
        self._shown = words
        self._progress.update(self._task, description=words)
        if not self._screen.err.is_terminal:
            self._screen.say(words)

    def news(self, phases: Sequence[Phase], log: Sequence[str | PhaseBegins]) -> None:
        """What is new of a build, in the order in which it came about.

        Args:
            phases: all that there were so far; where the log tells of one, it is shown there.
        """
        names = [phase.name for phase in phases]
        self._phases_begin(name for name in names if name in _PHASES_BEFORE_IT)
        for entry in log:
            if isinstance(entry, PhaseBegins):
                self._log_tells = True
                self._phases_begin([entry.name])
            else:
                # Colours stay where there is a terminal; what else a log could do to one does not.
                self._screen.err.print(Text.from_ansi(entry), soft_wrap=True)
        behind = _PHASES_IN_THE_LOG if self._log_tells else frozenset[str]()
        self._phases_begin(name for name in names if name not in behind)

    def _phases_begin(self, names: Iterable[str]) -> None:
        for name in names:
            if name not in self._phases:
                self._phases.add(name)
                self.state(f"phase {name}")

    def note(self, words: str) -> None:
        self._screen.say(words)


@contextmanager
def build_screen(screen: Screen) -> Iterator[BuildScreen]:
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(
        *columns, console=screen.err, transient=True, disable=not screen.err.is_terminal
    ) as progress:
        yield BuildScreen(screen, progress, progress.add_task("…", total=None))
