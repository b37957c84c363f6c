"""The log of a SageMaker job in CloudWatch Logs, read as it grows and shown with how far the job is."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from modelgate.aws.errors import translated
from modelgate.errors import NotFound

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient
    from rich.progress import TaskID

    from modelgate_cli.screen import Screen

# Of a training ``<job>/algo-1-1700000000``; of a transform ``<job>/<instance>``, and what SageMaker writes
# about its requests in ``<job>/<instance>/data-log``.
_HOST = re.compile(r"(algo-\d+)-\d+")
# One page of streams. Of a hundred hosts, half would say the same as the others.
_STREAMS_READ = 50
KEPT_LINES = 20


@dataclass(frozen=True)
class Line:
    """What a host wrote."""

    host: str
    text: str


@dataclass
class _Stream:
    name: str
    host: str
    place: dict[str, Any] = field(default_factory=dict)


class JobLog:
    """What the hosts of a job write.

    Amazon CloudWatch Logs API Reference, GetLogEvents: the token of an answer stands for the place up to
    which was read, and comes back unchanged when nothing is there behind it.

    Attributes:
        last_lines: how it ends, as far as it was read.
        hosts: how many wrote something.
    """

    def __init__(self, client: CloudWatchLogsClient, group: str, job: str) -> None:
        self._client = client
        self._group = group
        self._prefix = f"{job}/"
        self._streams: dict[str, _Stream] = {}
        self._unseen: list[Line] = []
        self.last_lines: deque[Line] = deque(maxlen=KEPT_LINES)

    @property
    def hosts(self) -> int:
        return len({stream.host for stream in self._streams.values()})

    def news(self) -> list[Line]:
        """The lines since the last time, each once; of each host in their order.

        Raises:
            AwsError: the log may not be read, or not now.
        """
        try:
            self._look_for_streams()
            for stream in self._streams.values():
                while self._read(stream):
                    pass
        except NotFound:
            return []  # nothing is written yet
        news, self._unseen = self._unseen, []
        self.last_lines.extend(news)
        return news

    def _look_for_streams(self) -> None:
        """A host that starts later, or once more, has a stream of its own."""
        with translated("DescribeLogStreams"):
            found = self._client.describe_log_streams(
                logGroupName=self._group, logStreamNamePrefix=self._prefix, limit=_STREAMS_READ
            )["logStreams"]
        for name in sorted(stream.get("logStreamName", "") for stream in found):
            if name and name not in self._streams:
                host = name.removeprefix(self._prefix)
                of_training = _HOST.fullmatch(host)
                self._streams[name] = _Stream(name, of_training[1] if of_training else host)

    def _read(self, stream: _Stream) -> bool:
        """Whether there may be more. What was read is kept, should the next call fail."""
        with translated("GetLogEvents"):
            answer = self._client.get_log_events(
                logGroupName=self._group, logStreamName=stream.name, startFromHead=True, **stream.place
            )
        for event in answer["events"]:
            lines = event.get("message", "").splitlines()
            self._unseen += [Line(stream.host, line.rstrip()) for line in lines if line.strip()]
        before, stream.place = stream.place, {"nextToken": answer["nextForwardToken"]}
        return stream.place != before


class JobScreen:
    """Shows a job on stderr: how far it has come, its log, and on a terminal how long it takes."""

    def __init__(self, screen: Screen, progress: Progress, task: TaskID) -> None:
        self._screen = screen
        self._progress = progress
        self._task = task
        self._shown = ""

    def state(self, words: str) -> None:
        """What is being done now; shown once."""
        if words == self._shown:
            return
        self._shown = words
        self._progress.update(self._task, description=words)
        if not self._screen.err.is_terminal:
            self._screen.say(words)

    def line(self, told: str) -> None:
        # Colours stay where there is a terminal; what else a log could do to one does not.
        self._screen.err.print(Text.from_ansi(told), soft_wrap=True)

    def note(self, words: str) -> None:
        self._screen.say(words)


@contextmanager
def job_screen(screen: Screen) -> Iterator[JobScreen]:
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(
        *columns, console=screen.err, transient=True, disable=not screen.err.is_terminal
    ) as progress:
        yield JobScreen(screen, progress, progress.add_task("…", total=None))


def in_words(line: Line, hosts: int) -> str:
    """With its host in front of it where there are several."""
    return f"{line.host} │ {line.text}" if hosts > 1 else line.text
