"""What a handler prints and logs, on its way to CloudWatch Logs."""

from __future__ import annotations

import io
import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TextIO

Line = tuple[int, str]

_current: ContextVar[LogLines | None] = ContextVar("localcloud_log_lines", default=None)


class LogLines:
    """The lines of one invocation, each with its time in milliseconds.

    Args:
        on_line: called with each line as soon as it is whole.
    """

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self._on_line = on_line
        self._partial = ""
        self.lines: list[Line] = []

    def write(self, text: str) -> None:
        """Take what a handler prints."""
        *whole, self._partial = (self._partial + text).split("\n")
        for line in whole:
            self.add(line)

    def add(self, line: str) -> None:
        """Take a whole line."""
        self.lines.append((time.time_ns() // 1_000_000, line))
        self._on_line(line)

    def end(self) -> None:
        """Take what stands after the last line break."""
        if self._partial:
            self.add(self._partial)
            self._partial = ""


class _RoutedOutput(io.TextIOBase):
    """Standard output: to the invocation that prints, and to where it went before for everybody else."""

    def __init__(self, beneath: TextIO) -> None:
        super().__init__()
        self.beneath = beneath

    def write(self, text: str) -> int:
        lines = _current.get()
        if lines is not None:
            lines.write(text)
        elif not self.beneath.closed:
            self.beneath.write(text)
        return len(text)

    def flush(self) -> None:
        if _current.get() is None and not self.beneath.closed:
            self.beneath.flush()

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return not self.beneath.closed and self.beneath.isatty()

    def fileno(self) -> int:
        return self.beneath.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return getattr(self.beneath, "encoding", None) or "utf-8"


class _RoutedHandler(logging.Handler):
    """As Lambda's own handler at the root logger: what is logged goes where what is printed goes."""

    def emit(self, record: logging.LogRecord) -> None:
        lines = _current.get()
        if lines is not None:
            lines.add(self.format(record))


_HANDLER = _RoutedHandler()
_HANDLER.setFormatter(logging.Formatter("[%(levelname)s]\t%(asctime)sZ\t%(name)s\t%(message)s"))


def route_output() -> None:
    """Send output to the invocation that makes it, from now on. Somebody else may have put stdout back."""
    if not isinstance(sys.stdout, _RoutedOutput):
        sys.stdout = _RoutedOutput(sys.stdout)
    if not isinstance(sys.stderr, _RoutedOutput):
        sys.stderr = _RoutedOutput(sys.stderr)
    if _HANDLER not in logging.getLogger().handlers:
        logging.getLogger().addHandler(_HANDLER)


def restore_output() -> None:
    """Route no more."""
    if isinstance(sys.stdout, _RoutedOutput):
        sys.stdout = sys.stdout.beneath
    if isinstance(sys.stderr, _RoutedOutput):
        sys.stderr = sys.stderr.beneath
    logging.getLogger().removeHandler(_HANDLER)


@contextmanager
def logged_to(lines: LogLines) -> Iterator[None]:
    """What this thread prints and logs goes to ``lines``."""
    token = _current.set(lines)
    try:
        yield
    finally:
        lines.end()
        _current.reset(token)
