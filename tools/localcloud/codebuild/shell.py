"""The shell of a build: its commands, one after the other, each with what the one before it left."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import IO, Self

# How long a command's output is waited for after its end: what it left running may hold it open for ever.
_OUTPUT_SECONDS = 0.5


class Shell:
    """Runs commands on this machine, with nothing of its environment but what is given.

    All of a build is one process group, so that nothing of it outlives the build. It is a context manager.

    Args:
        program: the shell, such as ``bash``.
        folder: for files of its own.
        place: where the first command begins.
        environment: of the first command; each finds the one that the one before it left.
        write: called with each line that a command prints, as soon as it is whole.
    """

    def __init__(
        self,
        program: str,
        *,
        folder: Path,
        place: Path,
        environment: Mapping[str, str],
        write: Callable[[str], None],
    ) -> None:
        self.environment = dict(environment)
        self._program = program
        self._script = folder / "command"
        self._left = folder / "environment"
        self._place_left = folder / "place"
        self._place = place
        self._write = write
        # It waits for its input to end. As long as it is there, no other group gets the number of this one.
        self._leader = subprocess.Popen(
            ["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, process_group=0
        )
        self._readers: list[Thread] = []
        self._ended = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
        if self._leader.stdin is not None:
            self._leader.stdin.close()
        self._leader.wait()
        for reader in self._readers:
            reader.join(_OUTPUT_SECONDS)

    def end(self) -> None:
        """End whatever runs, and whatever is begun after that. Any thread may."""
        self._ended = True
        with suppress(ProcessLookupError):
            os.killpg(self._leader.pid, signal.SIGKILL)

    def run(self, command: str) -> int:
        """Its exit status, below zero if a signal ended it.

        As with CodeBuild's buildspecs of version 0.2, every variable that it sets is there for the next one,
        and so is the place to which it went; but not if it exits by itself.
        """
        leave = f"{shutil.which('env')} -0 > '{self._left}'; pwd > '{self._place_left}'"
        self._script.write_text(
            f"set -a\n{command}\nCODEBUILD_LAST_EXIT=$?\n{leave}\nexit $CODEBUILD_LAST_EXIT\n",
            encoding="utf-8",
        )
        process = subprocess.Popen(
            [self._program, str(self._script)],
            env=self.environment,
            cwd=self._place,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            process_group=self._leader.pid,
        )
        if self._ended:
            self.end()
        reader = Thread(target=self._read, args=[process.stdout], name="localcloud-build", daemon=True)
        reader.start()
        self._readers.append(reader)
        status = process.wait()
        reader.join(_OUTPUT_SECONDS)
        self._take_over()
        return status

    def _read(self, output: IO[str]) -> None:
        with output:
            for line in output:
                self._write(line.rstrip("\n"))

    def _take_over(self) -> None:
        if not self._left.exists():
            return
        pairs = os.fsdecode(self._left.read_bytes()).split("\0")
        self.environment = dict(pair.partition("=")[::2] for pair in pairs if pair)
        place = Path(self._place_left.read_text().removesuffix("\n"))
        self._place = place if place.is_dir() else self._place
        self._left.unlink()
