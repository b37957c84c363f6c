"""Carries out a build on this machine: the source, then each phase's commands, line by line into the log.

"Build phase transitions", "Environment variables in build environments" and "Shells and commands in build
environments" in the AWS CodeBuild User Guide. The commands run in a shell of this machine, in no container,
and build with its Docker Engine.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from localcloud import calls
from localcloud.codebuild.builds import Build, Phase
from localcloud.codebuild.buildspec import PHASES, Buildspec, BuildspecError, PhaseSpec, read
from localcloud.engine import Engine, NoEngineError

# Of this machine's environment: where Docker's engine is, and how to get out.
_TAKEN_OVER = ("DOCKER_HOST", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "SSL_CERT_FILE")
_SHOWN = 200


class _Stopped(Exception):
    """Somebody, or the time limit, ended the build."""


class _PhaseFailed(Exception):
    """A phase failed; code and message are what its context says."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Runner:
    """Runs one build, from beginning to end.

    Args:
        s3: a client with the rights of the project's role.
        environment: what lets any AWS client call the local cloud with those rights.
        write: called with a line for the build's log.
    """

    def __init__(
        self,
        build: Build,
        *,
        s3: Any,
        engine: Engine,
        environment: Mapping[str, str],
        write: Callable[[str], None],
    ) -> None:
        self._build = build
        self._s3 = s3
        self._engine = engine
        self._aws = environment
        self._write = write
        self._deadline = time.monotonic() + build.asked.minutes * 60

    def run(self) -> None:
        """To its end; the build knows its status then."""
        build = self._build
        with tempfile.TemporaryDirectory(prefix="localcloud-build-") as name:
            folder = Path(name)
            status = "SUCCEEDED"
            try:
                status = self._phases(folder)
            except _Stopped:
                status = "STOPPED" if build.stopping.is_set() else "TIMED_OUT"
        self._end(status)

    def _end(self, status: str) -> None:
        for name in ("FINALIZING", "COMPLETED"):
            phase = self._build.begin(name)
            if name == "FINALIZING":
                self._close(phase, "SUCCEEDED")
        self._build.status = status
        self._build.ended = calls.now()

    def _phases(self, folder: Path) -> str:
        for name in ("SUBMITTED", "QUEUED"):
            self._close(self._build.begin(name), "SUCCEEDED")
        source = folder / "src"
        spec: list[Buildspec] = []
        failed = self._step("PROVISIONING", self._provision) or self._step(
            "DOWNLOAD_SOURCE", lambda: spec.append(self._download(folder, source))
        )
        if failed:
            return "FAILED"
        shell = _Shell(folder, source, self._environment(folder, source, spec[0]), spec[0].shell)
        succeeded = True
        for name in PHASES:
            phase = spec[0].phases.get(name, PhaseSpec())
            shell.environment["CODEBUILD_BUILD_SUCCEEDING"] = "1" if succeeded else "0"
            if self._step(name, lambda phase=phase: self._commands(shell, phase)):  # type: ignore[misc]
                succeeded = False
                # What fails in the phase build goes on to post_build, unless it says otherwise; what fails
                # before that does not.
                if name != "BUILD" or phase.aborts:
                    break
        if succeeded:
            self._close(self._build.begin("UPLOAD_ARTIFACTS"), "SUCCEEDED")
        self._build.exported = {
            each: shell.environment[each] for each in spec[0].exported if each in shell.environment
        }
        return "SUCCEEDED" if succeeded else "FAILED"

    # ── phases ────────────────────────────────────────────────────────────────────────────────────

    def _step(self, name: str, work: Callable[[], object]) -> bool:
        """Whether the phase failed."""
        phase = self._build.begin(name)
        self._say(f"Entering phase {name}")
        try:
            self._look_at_the_clock()
            work()
        except _PhaseFailed as failed:
            phase.contexts.append((failed.code, str(failed)))
            self._close(phase, "FAILED")
            self._say(f"Phase context status code: {failed.code} Message: {failed}")
            return True
        except _Stopped:
            self._close(phase, "STOPPED" if self._build.stopping.is_set() else "TIMED_OUT")
            raise
        self._close(phase, "SUCCEEDED")
        return False

    def _close(self, phase: Phase, status: str) -> None:
        phase.ended, phase.status = calls.now(), status
        self._say(f"Phase complete: {phase.name} State: {status}")

    def _provision(self) -> None:
        if not self._build.asked.environment.get("privilegedMode"):
            return
        try:
            self._engine.client.ping()
        except NoEngineError as error:
            raise _PhaseFailed("INTERNAL_ERROR", f"the local cloud cannot build images: {error}") from error

    def _download(self, folder: Path, source: Path) -> Buildspec:
        asked = self._build.asked
        try:
            spec = read(asked.buildspec)
        except BuildspecError as error:
            raise _PhaseFailed("YAML_FILE_ERROR", str(error)) from error
        bucket, _, key = asked.location.partition("/")
        source.mkdir()
        archive = folder / "source.zip"
        try:
            version = {"VersionId": asked.version} if asked.version else {}
            self._s3.download_file(bucket, key, str(archive), ExtraArgs=version)
            _unzip(archive, source)
        except (ClientError, zipfile.BadZipFile, OSError) as error:
            raise _PhaseFailed("CLIENT_ERROR", f"the source cannot be had: {error}") from error
        archive.unlink()
        return spec

    def _commands(self, shell: _Shell, phase: PhaseSpec) -> None:
        try:
            self._run_all(shell, phase.commands)
        finally:
            self._run_all(shell, phase.finally_)

    def _run_all(self, shell: _Shell, commands: Sequence[str]) -> None:
        for command in commands:
            self._say(f"Running command {command.strip()}")
            with shell.running(command) as process:
                code = self._follow(process)
            if code != 0:
                shown = " ".join(command.split())[:_SHOWN]
                message = f"Error while executing command: {shown}. Reason: exit status {code}"
                raise _PhaseFailed("COMMAND_EXECUTION_ERROR", message)

    def _follow(self, process: subprocess.Popen[str]) -> int:
        """Its output, line by line as it comes, until it ends or has to."""
        over = threading.Event()

        def watch() -> None:
            while not over.wait(0.05):
                if self._build.stopping.is_set() or time.monotonic() > self._deadline:
                    os.killpg(process.pid, signal.SIGKILL)
                    return

        watching = threading.Thread(target=watch, name="localcloud-build-watch", daemon=True)
        watching.start()
        if process.stdout is not None:
            for line in process.stdout:
                self._write(line.rstrip("\n"))
        code = process.wait()
        over.set()
        watching.join()
        self._look_at_the_clock()
        return code

    def _look_at_the_clock(self) -> None:
        if self._build.stopping.is_set() or time.monotonic() > self._deadline:
            raise _Stopped

    def _say(self, words: str) -> None:
        first, *more = words.split("\n")
        self._write(f"[Container] {calls.now():%Y/%m/%d %H:%M:%S.%f} {first}")
        for line in more:
            self._write(line)

    def _environment(self, folder: Path, source: Path, spec: Buildspec) -> dict[str, str]:
        build, asked = self._build, self._build.asked
        home = folder / "home"
        home.mkdir()
        # The command `aws` is installed where this interpreter is.
        path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
        return {
            **{name: os.environ[name] for name in _TAKEN_OVER if name in os.environ},
            "PATH": path,
            "HOME": str(home),
            "DOCKER_CONFIG": str(home / ".docker"),
            # Any engine builds by itself; the older builder is the one that each of them has.
            "DOCKER_BUILDKIT": "0",
            "LANG": "C.UTF-8",
            **self._aws,
            **spec.variables,
            **asked.variables,
            "CODEBUILD_BUILD_ID": build.id,
            "CODEBUILD_BUILD_ARN": build.arn,
            "CODEBUILD_BUILD_NUMBER": str(build.number),
            "CODEBUILD_INITIATOR": asked.initiator,
            "CODEBUILD_SRC_DIR": str(source),
            "CODEBUILD_SOURCE_VERSION": asked.version,
            "CODEBUILD_RESOLVED_SOURCE_VERSION": asked.version,
            "CODEBUILD_LOG_PATH": build.stream,
            "CODEBUILD_BUILD_SUCCEEDING": "1",
        }


class _Shell:
    """One shell's state, which each command finds as the one before left it: exports, and the place."""

    def __init__(self, folder: Path, source: Path, environment: dict[str, str], program: str) -> None:
        self._left = folder / "left"
        self._place = source
        self._program = program
        self.environment = environment

    @contextmanager
    def running(self, command: str) -> Iterator[subprocess.Popen[str]]:
        """The command, with its output to be read; afterwards its state is the shell's."""
        left = shlex.quote(str(self._left))
        script = f"trap 'env -0 > {left}; pwd > {left}.place' EXIT\n{command}\n"
        process = subprocess.Popen(
            [self._program, "-c", script],
            env=self.environment,
            cwd=self._place,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        try:
            yield process
        finally:
            if process.stdout is not None:
                process.stdout.close()
            process.wait()
        if self._left.is_file():
            pairs = self._left.read_text(errors="replace").split("\0")
            found = dict(pair.partition("=")[::2] for pair in pairs if "=" in pair)
            self.environment = found
            place = Path(self._left.with_name("left.place").read_text().rstrip("\n"))
            self._place = place if place.is_dir() else self._place


def _unzip(archive: Path, folder: Path) -> None:
    """With the modes of the files; nothing lands outside the folder, which zipfile sees to."""
    with zipfile.ZipFile(archive) as zipped:
        for entry in zipped.infolist():
            made = Path(zipped.extract(entry, folder))
            mode = entry.external_attr >> 16 & 0o777
            if mode and made.is_file():
                made.chmod(mode | 0o600)
