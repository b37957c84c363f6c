"""A build: what was asked for, how far it is, and how the API and events tell of it."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from localcloud import calls

_CONSOLE = "https://console.aws.amazon.com/cloudwatch/home"


@dataclass
class Phase:
    """What a build did, or does; ``contexts`` says why it failed, as code and message."""

    name: str
    began: dt.datetime
    ended: dt.datetime | None = None
    status: str = ""
    contexts: list[tuple[str, str]] = field(default_factory=list)

    @property
    def seconds(self) -> int:
        return round((self.ended - self.began).total_seconds()) if self.ended else 0


@dataclass(frozen=True)
class Asked:
    """What a build was started with, after what its project says.

    Attributes:
        location: ``bucket/key`` of the source, and ``version`` its S3 version.
        variables: for its environment.
        group: its log group.
        minutes: how long it may take.
    """

    project: str
    role: str
    location: str
    version: str
    buildspec: str
    variables: Mapping[str, str]
    environment: Mapping[str, Any]
    group: str
    minutes: int
    initiator: str


@dataclass
class Build:
    """A build.

    Attributes:
        status: IN_PROGRESS, and then SUCCEEDED, FAILED, FAULT, TIMED_OUT or STOPPED.
        stopping: set when somebody wants it to end.
    """

    id: str
    arn: str
    number: int
    asked: Asked
    region: str
    began: dt.datetime
    phases: list[Phase] = field(default_factory=list)
    status: str = "IN_PROGRESS"
    ended: dt.datetime | None = None
    exported: dict[str, str] = field(default_factory=dict)
    stopping: threading.Event = field(default_factory=threading.Event)

    @property
    def stream(self) -> str:
        """Its log stream."""
        return self.id.rpartition(":")[2]

    @property
    def log_page(self) -> str:
        """Where the AWS console would show its log."""
        group = _quoted(self.asked.group)
        return f"{_CONSOLE}?region={self.region}#logsV2:log-groups/log-group/{group}/log-events/{self.stream}"

    @property
    def current_phase(self) -> str:
        return self.phases[-1].name if self.phases else "SUBMITTED"

    def begin(self, name: str) -> Phase:
        """The next phase begins."""
        phase = Phase(name, calls.now())
        self.phases.append(phase)
        return phase

    # ── as it is told ─────────────────────────────────────────────────────────────────────────────

    def described(self) -> dict[str, Any]:
        """As BatchGetBuilds has it."""
        asked = self.asked
        described: dict[str, Any] = {
            "id": self.id,
            "arn": self.arn,
            "buildNumber": self.number,
            "startTime": self.began,
            "currentPhase": self.current_phase,
            "buildStatus": self.status,
            "sourceVersion": asked.version,
            "resolvedSourceVersion": asked.version,
            "projectName": asked.project,
            "phases": [_phase(phase) for phase in self.phases],
            "source": {"type": "S3", "location": asked.location, "buildspec": asked.buildspec},
            "artifacts": {"location": ""},
            "environment": {**asked.environment, "environmentVariables": self._variables()},
            "serviceRole": asked.role,
            "logs": {
                "groupName": asked.group,
                "streamName": self.stream,
                "deepLink": self.log_page,
                "cloudWatchLogs": {"status": "ENABLED", "groupName": asked.group},
            },
            "timeoutInMinutes": asked.minutes,
            "buildComplete": self.ended is not None,
            "initiator": asked.initiator,
            "exportedEnvironmentVariables": [
                {"name": name, "value": value} for name, value in self.exported.items()
            ],
        }
        return described | ({"endTime": self.ended} if self.ended else {})

    def event(self) -> dict[str, Any]:
        """The detail of a "CodeBuild Build State Change"."""
        asked = self.asked
        return {
            "build-status": self.status,
            "project-name": asked.project,
            "build-id": self.arn,
            "additional-information": {
                "build-complete": self.ended is not None,
                "build-number": float(self.number),
                "build-start-time": _in_words(self.began),
                "timeout-in-minutes": float(asked.minutes),
                "initiator": asked.initiator,
                "source": {"location": asked.location, "type": "S3"},
                "source-version": asked.version,
                "environment": {
                    "image": asked.environment.get("image"),
                    "privileged-mode": asked.environment.get("privilegedMode", False),
                    "compute-type": asked.environment.get("computeType"),
                    "type": asked.environment.get("type"),
                    "environment-variables": self._variables(),
                },
                "logs": {
                    "group-name": asked.group,
                    "stream-name": self.stream,
                    "deep-link": self.log_page,
                },
                "phases": [_phase_in_event(phase) for phase in self.phases],
            },
            "current-phase": self.current_phase,
            "current-phase-context": "[]",
            "version": "1",
        }

    def _variables(self) -> list[dict[str, str]]:
        given = self.asked.variables.items()
        return [{"name": name, "value": value, "type": "PLAINTEXT"} for name, value in given]


def _phase(phase: Phase) -> dict[str, Any]:
    told: dict[str, Any] = {"phaseType": phase.name, "startTime": phase.began}
    if phase.ended is None:
        return told
    contexts = [{"statusCode": code, "message": message} for code, message in phase.contexts]
    told |= {"phaseStatus": phase.status, "endTime": phase.ended, "durationInSeconds": phase.seconds}
    return told | {"contexts": contexts or [{"statusCode": "", "message": ""}]}


def _phase_in_event(phase: Phase) -> dict[str, Any]:
    told: dict[str, Any] = {"phase-type": phase.name, "start-time": _in_words(phase.began)}
    if phase.ended is None:
        return told
    return told | {
        "phase-context": [f"{code}: {message}" for code, message in phase.contexts],
        "phase-status": phase.status,
        "end-time": _in_words(phase.ended),
        "duration-in-seconds": float(phase.seconds),
    }


def _in_words(moment: dt.datetime) -> str:
    """``Sep 1, 2017 4:12:29 PM``, as these events have it."""
    hour = moment.hour % 12 or 12
    return f"{moment:%b} {moment.day}, {moment.year} {hour}:{moment:%M:%S} {moment:%p}"


def _quoted(group: str) -> str:
    """As the console writes a group's name into an address."""
    return group.replace("/", "$252F")
