"""The terminal: results go to stdout, words on the way and complaints to stderr.

With ``--json`` stdout gets exactly one JSON document, whatever becomes of the command.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, RenderableType
from rich.prompt import Confirm
from rich.table import Table
from rich.text import Text

from modelgate_cli.complaints import Complaint

# Where there is no terminal there is no width to keep to: lines are for programs and logs then.
_WIDTH_OF_A_PIPE = 200


class Screen:
    """Where one command writes."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.out = _console(stderr=False)
        self.err = _console(stderr=True)

    def result(self, document: object, *shown: RenderableType) -> None:
        """The command's result: a dataclass or a mapping for programs, and what people see of it."""
        if self.as_json:
            self._write_json(document)
            return
        for each in shown:
            self.out.print(each)

    def answer(self, document: object, body: bytes) -> None:
        """What a model answered, byte for byte."""
        if self.as_json:
            self._write_json(document)
            return
        sys.stdout.flush()
        sys.stdout.buffer.write(body)
        if sys.stdout.isatty() and not body.endswith(b"\n"):
            sys.stdout.buffer.write(b"\n")
        sys.stdout.buffer.flush()

    def say(self, words: str) -> None:
        """A line on the way."""
        self.err.print(Text(words), soft_wrap=True)

    def complain(self, complaint: Complaint) -> None:
        if self.as_json:
            self._write_json(complaint.document())
        if len(complaint.problems) > 1:
            for problem in complaint.problems:
                self._tell(f"{problem.where}: {problem.found}", problem.mend)
        else:
            self._tell(complaint.error, complaint.mend)

    def confirm(self, consequences: str, question: str) -> None:
        """Asks on stderr, which stays readable when stdout is read by a program.

        Raises:
            Complaint: the answer is not yes, or nobody is there to give it.
        """
        self.err.print(Text(consequences))
        try:
            agreed = Confirm.ask(question, console=self.err, default=False)
        except EOFError:
            agreed = False
        if not agreed:
            raise Complaint("nobody said yes, so nothing was done", "answer y, or give --yes")

    @contextmanager
    def progress(self) -> Iterator[ProgressLine]:
        """A line that changes in place on a terminal, and that is a line for each change elsewhere."""
        if not self.err.is_terminal:
            yield ProgressLine(self.say)
            return
        with self.err.status("…") as status:
            yield ProgressLine(lambda words: status.update(Text(words)))

    def _tell(self, found: str, mend: str) -> None:
        self.err.print(Text.assemble(("error: ", "bold red"), found), soft_wrap=True)
        self.err.print(Text.assemble((" mend: ", "bold green"), mend), soft_wrap=True)

    def _write_json(self, document: object) -> None:
        sys.stdout.write(json.dumps(document, indent=2, default=_plain, ensure_ascii=False) + "\n")
        sys.stdout.flush()


class ProgressLine:
    """What a wait shows: each state once."""

    def __init__(self, write: Any) -> None:
        self._write = write
        self._shown = ""

    def show(self, words: str) -> None:
        if words != self._shown:
            self._shown = words
            self._write(words)


def table(*columns: str) -> Table:
    """A table without frills: piped, it stays readable; narrow, its cells fold."""
    made = Table(box=SIMPLE_HEAD, header_style="bold", pad_edge=False, show_edge=False)
    for column in columns:
        made.add_column(column, overflow="fold")
    return made


def moment(at: datetime | None) -> str:
    """A time as people of this machine read it."""
    return at.astimezone().strftime("%Y-%m-%d %H:%M:%S") if at else "–"


def duration(took: timedelta) -> str:
    """Seconds, or minutes and seconds."""
    seconds = took.total_seconds()
    return f"{seconds:.1f} s" if seconds < 60 else f"{int(seconds // 60)} min {int(seconds % 60)} s"


def sentence(words: str) -> str:
    """With one full stop, whatever was quoted last."""
    return f"{words.rstrip('.')}."


def metrics_in_words(metrics: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in metrics.items()) or "–"


def _console(*, stderr: bool) -> Console:
    console = Console(stderr=stderr, highlight=False, emoji=False, markup=False)
    return (
        console
        if console.is_terminal
        else Console(stderr=stderr, highlight=False, emoji=False, markup=False, width=_WIDTH_OF_A_PIPE)
    )


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{value!r} is nothing that JSON can hold")
