"""Carries out a build on this machine: the source, then each phase's commands, line by line into the log.

"Build phase transitions" and "Environment variables in build environments" in the AWS CodeBuild User Guide.
The commands run in a shell of this machine, in no container, and build with its Docker Engine.
"""

from __future__ import annotations

import os
import shutil
import signal
import stat
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from threading import Timer
from typing import Any

from botocore.exceptions import ClientError

from localcloud.codebuild.builds import Build, Context
from localcloud.codebuild.buildspec import PHASES, Buildspec, BuildspecError, PhaseSpec, read
from localcloud.codebuild.log import BuildLog, LogDeniedError
from localcloud.codebuild.shell import Shell
from localcloud.engine import Engine, NoEngineError

_BUILDSPEC = "buildspec.yml"
# Of this machine's environment: where its Docker Engine is, and how to get out.
_OF_THIS_MACHINE = (
    "DOCKER_HOST",
    "DOCKER_TLS_VERIFY",
    "DOCKER_CERT_PATH",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "http_proxy",
    "https_proxy",
    "SSL_CERT_FILE",
)


# Phases after whose failure no other comes. After BUILD comes POST_BUILD, whatever became of it.
_ENDING = frozenset({"INSTALL", "PRE_BUILD"})


class _Interrupted(Exception):
    """Somebody, or the time limit, ends the build."""


class _PhaseFailedError(Exception):
    """A phase failed."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.context = Context(code, message)


class Runner:
    """Runs one build.

    Args:
        s3: a client with the rights of the project's role.
        environment: what lets any AWS client call the local cloud with those rights.
    """

    def __init__(
        self, build: Build, *, s3: Any, log: BuildLog, engine: Engine, environment: Mapping[str, str]
    ) -> None:
        self._build = build
        self._s3 = s3
        self._log = log
        self._engine = engine
        self._aws = environment

    def run(self) -> None:
        """From its beginning to its end; it knows its status then."""
        build = self._build
        limit = Timer(build.asked.minutes * 60, build.interrupt, ["TIMED_OUT"])
        limit.daemon = True
        limit.start()
        try:
            # What an engine made in there may be somebody else's.
            with tempfile.TemporaryDirectory(prefix="localcloud-build-", ignore_cleanup_errors=True) as name:
                status = "SUCCEEDED" if self._succeeds(Path(name).resolve()) else "FAILED"
        except _Interrupted:
            status = build.interruption or "STOPPED"
        finally:
            limit.cancel()
        build.end(status)

    def _succeeds(self, folder: Path) -> bool:
        before = (("SUBMITTED", _nothing), ("QUEUED", self._open_log), ("PROVISIONING", self._provision))
        if not all(self._step(name, work) for name, work in before):
            return False
        succeeded = self._succeeds_in_container(folder)
        self._step("FINALIZING", _nothing)
        return succeeded

    def _succeeds_in_container(self, folder: Path) -> bool:
        source = folder / "src"
        specs: list[Buildspec] = []
        self._log.say("Phase is DOWNLOAD_SOURCE")
        self._log.say(f"CODEBUILD_SRC_DIR={source}")
        if not self._step("DOWNLOAD_SOURCE", lambda: specs.append(self._download(source)), told=True):
            return False
        (spec,) = specs
        with ExitStack() as open_:
            shell = open_.enter_context(
                Shell(
                    spec.shell,
                    folder=folder,
                    place=source,
                    environment=self._environment(folder, source, spec),
                    write=self._log.write,
                )
            )
            self._build.on_interruption(shell.end)
            open_.callback(self._build.on_interruption, None)
            succeeded, uploads = self._phases(shell, spec)
            exported = shell.environment
        self._build.exported = {name: exported[name] for name in spec.exported if name in exported}
        if uploads:
            self._step("UPLOAD_ARTIFACTS", _nothing, told=True)
        return succeeded

    def _phases(self, shell: Shell, spec: Buildspec) -> tuple[bool, bool]:
        """Whether all went well, and whether the build came to where artifacts are uploaded."""
        succeeded = True
        for name in PHASES:
            phase = spec.phases.get(name, PhaseSpec())
            self._log.say(f"Entering phase {name}")
            if self._step(name, partial(self._commands, shell, phase), told=True):
                continue
            succeeded = False
            ends_it = name in _ENDING if not phase.on_failure else phase.on_failure == "ABORT"
            if ends_it:
                return False, False
        return succeeded, True

    # ── phases ────────────────────────────────────────────────────────────────────────────────────

    def _step(self, name: str, work: Callable[[], object], *, told: bool = False) -> bool:
        """Whether the phase succeeded; ``told`` puts its end into the log."""
        build, phase = self._build, self._build.begin(name)
        failure: Context | None = None
        try:
            self._go_on()
            work()
            self._go_on()
        except _PhaseFailedError as failed:
            failure = failed.context
        except _Interrupted:
            timed_out = Context("BUILD_TIMED_OUT", "Build has timed out.")
            build.close(
                phase,
                build.interruption or "STOPPED",
                timed_out if build.interruption == "TIMED_OUT" else Context(),
            )
            raise
        status, context = ("FAILED", failure) if failure else ("SUCCEEDED", Context())
        build.close(phase, status, context)
        if told:
            self._log.say(f"Phase complete: {name} State: {status}")
            self._log.say(f"Phase context status code: {context.code} Message: {context.message}")
        return failure is None

    def _go_on(self) -> None:
        if self._build.interruption is not None:
            raise _Interrupted

    def _open_log(self) -> None:
        try:
            self._log.open()
        except LogDeniedError as error:
            raise _PhaseFailedError("ACCESS_DENIED", str(error)) from error

    def _provision(self) -> None:
        """CodeBuild gives a privileged build a Docker daemon; here it is the machine's."""
        if not self._build.asked.environment["privilegedMode"]:
            return
        try:
            self._engine.client.ping()
        except (NoEngineError, OSError) as error:
            message = f"the local cloud cannot build images: {error}"
            raise _PhaseFailedError("INTERNAL_SERVICE_ERROR", message) from error

    def _download(self, source: Path) -> Buildspec:
        asked = self._build.asked
        source.mkdir()
        if asked.source == "S3":
            self._fetch(source)
        try:
            text = asked.buildspec or _BUILDSPEC
            if "\n" not in text and text.endswith((".yml", ".yaml")):
                text = (source / text).read_text()
            spec = read(text)
        except (OSError, UnicodeDecodeError, BuildspecError) as error:
            raise _PhaseFailedError("YAML_FILE_ERROR", str(error)) from error
        if shutil.which(spec.shell) is None:
            raise _PhaseFailedError("YAML_FILE_ERROR", f"env.shell is {spec.shell}: this machine has none")
        return spec

    def _fetch(self, source: Path) -> None:
        asked = self._build.asked
        bucket, _, key = asked.location.partition("/")
        version = {"VersionId": asked.version} if asked.version else {}
        with tempfile.TemporaryFile(dir=source.parent) as archive:
            try:
                shutil.copyfileobj(self._s3.get_object(Bucket=bucket, Key=key, **version)["Body"], archive)
                _unzip(archive, source)
            except ClientError as error:
                found = error.response["Error"]
                message = f"error while downloading key {key}, error: {found['Code']}: {found['Message']}"
                raise _PhaseFailedError(
                    "CLIENT_ERROR", f"{message} for primary source and source version {asked.version}"
                ) from error
            except (
                zipfile.BadZipFile,
                zlib.error,
                EOFError,
                OSError,
                RuntimeError,
                NotImplementedError,
            ) as error:
                message = f"{asked.location} is no zip that can be unpacked: {error}"
                raise _PhaseFailedError("CLIENT_ERROR", message) from error

    def _commands(self, shell: Shell, phase: PhaseSpec) -> None:
        failed: _PhaseFailedError | None = None
        for commands in (phase.commands, phase.finally_):
            try:
                for command in commands:
                    self._command(shell, command)
            except _PhaseFailedError as error:
                shell.environment["CODEBUILD_BUILD_SUCCEEDING"] = "0"
                failed = failed or error
        if failed:
            raise failed

    def _command(self, shell: Shell, command: str) -> None:
        command = command.strip("\n")
        self._log.say(f"Running command {command}")
        status = shell.run(command)
        self._go_on()
        if status != 0:
            how = f"exit status {status}" if status > 0 else f"signal: {_name_of(-status)}"
            self._log.say(f"Command did not exit successfully {command} {how}")
            raise _PhaseFailedError(
                "COMMAND_EXECUTION_ERROR", f"Error while executing command: {command}. Reason: {how}"
            )

    def _environment(self, folder: Path, source: Path, spec: Buildspec) -> dict[str, str]:
        build, asked = self._build, self._build.asked
        home = folder / "home"
        home.mkdir()
        region = self._aws["AWS_REGION"]
        return {
            **{name: os.environ[name] for name in _OF_THIS_MACHINE if name in os.environ},
            # The command `aws` is installed where this interpreter is.
            "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath))),
            "HOME": str(home),
            # So that what a command leaves there goes with the build.
            "TMPDIR": str(folder),
            "LANG": "C.UTF-8",
            "DOCKER_CONFIG": str(home / ".docker"),
            # The older builder is the one that every engine has, and keeps layers in the engine.
            "DOCKER_BUILDKIT": "0",
            **self._aws,
            **spec.variables,
            **asked.variables,
            "CODEBUILD_BUILD_ARN": build.arn,
            "CODEBUILD_BUILD_ID": build.id,
            "CODEBUILD_BUILD_IMAGE": str(asked.environment["image"]),
            "CODEBUILD_BUILD_NUMBER": str(build.number),
            "CODEBUILD_BUILD_SUCCEEDING": "1",
            "CODEBUILD_CI": "true",
            "CODEBUILD_INITIATOR": asked.initiator,
            "CODEBUILD_KMS_KEY_ID": asked.encryption_key,
            "CODEBUILD_LOG_PATH": build.stream,
            "CODEBUILD_PROJECT_ARN": f"{build.arn.partition(':build/')[0]}:project/{asked.project}",
            "CODEBUILD_RESOLVED_SOURCE_VERSION": asked.version,
            "CODEBUILD_SOURCE_REPO_URL": asked.location,
            "CODEBUILD_SOURCE_VERSION": asked.version,
            "CODEBUILD_SRC_DIR": str(source),
            "CODEBUILD_START_TIME": str(int(build.began.timestamp() * 1000)),
            "AWS_DEFAULT_REGION": region,
            "AWS_REGION": region,
        }


def _nothing() -> None:
    """What CodeBuild does in some phases is nothing here."""


def _name_of(number: int) -> str:
    return (signal.strsignal(number) or str(number)).lower()


def _unzip(archive: Any, folder: Path) -> None:
    """With the modes of the files. Names stay in the folder, and links are made after all files."""
    links: list[Path] = []
    with zipfile.ZipFile(archive) as zipped:
        for entry in zipped.infolist():
            made = Path(zipped.extract(entry, folder))
            mode = entry.external_attr >> 16
            if stat.S_ISLNK(mode):
                links.append(made)
            elif stat.S_IMODE(mode) and made.is_file():
                made.chmod(stat.S_IMODE(mode) & 0o777 | 0o600)
    for link in links:
        target = os.fsdecode(link.read_bytes())
        link.unlink()
        link.symlink_to(target)
