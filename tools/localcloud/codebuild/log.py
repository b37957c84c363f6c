"""The log of a build, in CloudWatch Logs and in CodeBuild's manner."""

from __future__ import annotations

from threading import Lock
from typing import Any

from botocore.exceptions import ClientError

from localcloud import calls
from localcloud.codebuild.builds import Build
from localcloud.moto_state import MotoState


class LogDeniedError(Exception):
    """The project's role may not write the log. The message is CodeBuild's."""


class BuildLog:
    """The log stream of a build. Lines that come before it is open are lost, as those of CodeBuild are.

    Args:
        client: of CloudWatch Logs, with the rights of the project's role.
    """

    def __init__(self, build: Build, client: Any, moto: MotoState) -> None:
        self._build = build
        self._client = client
        self._moto = moto
        self._lock = Lock()

    def open(self) -> None:
        """Make the stream, and the group if there is none.

        Raises:
            LogDeniedError: the role may not.
        """
        build, group = self._build, self._build.asked.group
        if not group:
            return
        stream = {"logGroupName": group, "logStreamName": build.stream}
        try:
            try:
                self._client.create_log_stream(**stream)
            except self._client.exceptions.ResourceNotFoundException:
                self._client.create_log_group(logGroupName=group)
                self._client.create_log_stream(**stream)
            # The first line asks whether the role may write; the others need not ask again.
            line = {"timestamp": _milliseconds(), "message": _of_codebuild("Waiting for agent ping")}
            self._client.put_log_events(**stream, logEvents=[line])
        except ClientError as error:
            raise LogDeniedError(
                f"Service role {build.asked.role} does not allow AWS CodeBuild to create Amazon CloudWatch "
                f"Logs log streams for build {build.arn}. Error message: {error.response['Error']['Message']}"
            ) from error
        build.logged = True

    def say(self, words: str) -> None:
        """What CodeBuild itself has to say."""
        first, *more = words.split("\n")
        self.write(_of_codebuild(first), *more)

    def write(self, *lines: str) -> None:
        """Lines as the commands print them. Any thread may."""
        build = self._build
        if build.logged:
            # CloudWatch Logs takes no events without a text.
            events = [(_milliseconds(), line or " ") for line in lines]
            with self._lock:
                self._moto.write_log(build.asked.group, build.stream, events)


def _milliseconds() -> int:
    return int(calls.now().timestamp() * 1000)


def _of_codebuild(words: str) -> str:
    return f"[Container] {calls.now():%Y/%m/%d %H:%M:%S.%f} {words}"
