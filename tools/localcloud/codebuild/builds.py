"""A build: what was asked for, how far it is, and how the API and the events tell of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import RLock
from typing import Any, Literal

from localcloud import calls

Interruption = Literal["STOPPED", "TIMED_OUT"]

_LOG_PAGE = "https://console.aws.amazon.com/cloudwatch/home"
_CACHE = {"type": "NO_CACHE"}
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True)
class Context:
    """Why a phase failed, such as ``COMMAND_EXECUTION_ERROR``, and in words."""

    code: str = ""
    message: str = ""


@dataclass
class Phase:
    """What a build did, or does; without a status as long as it does it."""

    name: str
    began: dt.datetime
    ended: dt.datetime | None = None
    status: str = ""
    context: Context = Context()

    @property
    def seconds(self) -> int:
        return int((self.ended - self.began).total_seconds()) if self.ended else 0


@dataclass(frozen=True)
class Asked:
    """What a build was started with: what StartBuild said, and its project for the rest.

    Attributes:
        source: its type: S3 or NO_SOURCE.
        location: ``bucket/key`` of the source, and ``version`` its S3 version.
        buildspec: its text, or its path in the source.
        variables: for its environment.
        environment: what CodeBuild would provide.
        group: its log group; empty if no log is kept.
        stream: what the name of its log stream begins with.
        minutes: how long it may take, and ``queued_minutes`` how long it may wait for its turn.
    """

    project: str
    role: str
    source: str
    location: str
    version: str
    buildspec: str
    variables: Mapping[str, str]
    environment: Mapping[str, Any]
    group: str
    stream: str
    minutes: float
    queued_minutes: int
    encryption_key: str
    initiator: str


@dataclass
class Build:
    """A build. Its own thread carries it out, and any other may look at it.

    Attributes:
        status: IN_PROGRESS, and then SUCCEEDED, FAILED, TIMED_OUT or STOPPED.
        logged: whether its log stream is there.
        exported: the variables that it hands on.
        interruption: what ends it before its time.
    """

    id: str
    arn: str
    number: int
    asked: Asked
    region: str
    began: dt.datetime
    status: str = "IN_PROGRESS"
    ended: dt.datetime | None = None
    logged: bool = False
    exported: Mapping[str, str] = field(default_factory=dict)
    interruption: Interruption | None = None
    _phases: list[Phase] = field(default_factory=list)
    _interrupt: Callable[[], None] | None = None
    _lock: RLock = field(default_factory=RLock)

    @property
    def session(self) -> str:
        """What names it within its project."""
        return self.id.rpartition(":")[2]

    @property
    def stream(self) -> str:
        """The name of its log stream."""
        return "/".join(filter(None, (self.asked.stream, self.session)))

    # ── as it goes on ─────────────────────────────────────────────────────────────────────────────

    def begin(self, name: str) -> Phase:
        """The next phase begins."""
        with self._lock:
            phase = Phase(name, calls.now())
            self._phases.append(phase)
            return phase

    def close(self, phase: Phase, status: str, context: Context) -> None:
        """A phase is over."""
        with self._lock:
            phase.ended, phase.status, phase.context = calls.now(), status, context

    def end(self, status: str) -> None:
        """The build is over."""
        with self._lock:
            self.ended = self.begin("COMPLETED").began
            self.status = status

    def interrupt(self, interruption: Interruption) -> None:
        """Have it end as soon as it can. The first that interrupts it says how; what is over stays so."""
        with self._lock:
            if self.interruption is None and self.ended is None:
                self.interruption = interruption
            if self._interrupt is not None:
                self._interrupt()

    def on_interruption(self, interrupt: Callable[[], None] | None) -> None:
        """Whom to call when it is interrupted; at once, if it is already."""
        with self._lock:
            self._interrupt = interrupt
            if interrupt is not None and self.interruption is not None:
                interrupt()

    # ── as it is told ─────────────────────────────────────────────────────────────────────────────

    def described(self) -> dict[str, Any]:
        """As BatchGetBuilds has it."""
        with self._lock:
            asked = self.asked
            told: dict[str, Any] = {
                "id": self.id,
                "arn": self.arn,
                "buildNumber": self.number,
                "startTime": self.began,
                "currentPhase": self._current_phase,
                "buildStatus": self.status,
                "projectName": asked.project,
                "phases": [_phase(phase) for phase in self._phases],
                "source": self._source(),
                "artifacts": {"location": ""},
                "cache": _CACHE,
                "environment": {**asked.environment, "environmentVariables": self._variables()},
                "serviceRole": asked.role,
                "logs": self._logs(),
                "timeoutInMinutes": asked.minutes,
                "queuedTimeoutInMinutes": asked.queued_minutes,
                "buildComplete": self.ended is not None,
                "initiator": asked.initiator,
                "encryptionKey": asked.encryption_key,
                "exportedEnvironmentVariables": self._exported(),
            }
            if asked.version:
                told |= {"sourceVersion": asked.version, "resolvedSourceVersion": asked.version}
            return told | ({"endTime": self.ended} if self.ended else {})

    def event(self) -> dict[str, Any]:
        """The detail of a "CodeBuild Build State Change".

        "Build notifications input format reference" in the AWS CodeBuild User Guide.
        """
        with self._lock:
            asked, provided = self.asked, self.asked.environment
            more: dict[str, Any] = {
                "artifact": {"location": ""},
                "build-complete": self.ended is not None,
                "build-number": float(self.number),
                "build-start-time": _in_words(self.began),
                "cache": _CACHE,
                "environment": {
                    "image": provided["image"],
                    "privileged-mode": provided["privilegedMode"],
                    "image-pull-credentials-type": provided["imagePullCredentialsType"],
                    "compute-type": provided["computeType"],
                    "type": provided["type"],
                    "environment-variables": self._variables(),
                },
                "initiator": asked.initiator,
                "logs": {_KEBAB[name]: value for name, value in self._logs().items() if name in _KEBAB},
                "queued-timeout-in-minutes": float(asked.queued_minutes),
                "source": self._source(),
                "timeout-in-minutes": float(asked.minutes),
            }
            if asked.version:
                more["source-version"] = asked.version
            if self._phases:
                more["phases"] = [_phase_of_event(phase) for phase in self._phases]
            if self.exported:
                more["exported-environment-variables"] = self._exported()
            return {
                "build-status": self.status,
                "project-name": asked.project,
                "build-id": self.arn,
                "additional-information": more,
                "current-phase": self._current_phase,
                "current-phase-context": "[]",
                "version": "1",
            }

    @property
    def _current_phase(self) -> str:
        return self._phases[-1].name if self._phases else "SUBMITTED"

    def _source(self) -> dict[str, str]:
        asked = self.asked
        told = {"type": asked.source, "buildspec": asked.buildspec}
        return told | ({"location": asked.location} if asked.source == "S3" else {})

    def _variables(self) -> list[dict[str, str]]:
        given = self.asked.variables.items()
        return [{"name": name, "value": value, "type": "PLAINTEXT"} for name, value in given]

    def _exported(self) -> list[dict[str, str]]:
        return [{"name": name, "value": value} for name, value in self.exported.items()]

    def _logs(self) -> dict[str, Any]:
        """The page is where the AWS console would show the log."""
        group = self.asked.group
        if not group:
            return {"cloudWatchLogs": {"status": "DISABLED"}}
        page = f"{_LOG_PAGE}?region={self.region}#"
        kept = {"cloudWatchLogs": {"status": "ENABLED", "groupName": group}}
        if not self.logged:
            return {"deepLink": f"{page}logEvent:group=null;stream=null", **kept}
        place = f"log-groups/log-group/{_in_address(group)}/log-events/{_in_address(self.stream)}"
        return {"groupName": group, "streamName": self.stream, "deepLink": f"{page}logsV2:{place}", **kept}


_KEBAB = {"groupName": "group-name", "streamName": "stream-name", "deepLink": "deep-link"}


def _phase(phase: Phase) -> dict[str, Any]:
    told: dict[str, Any] = {"phaseType": phase.name, "startTime": phase.began}
    if phase.ended is None:
        return told
    return told | {
        "phaseStatus": phase.status,
        "endTime": phase.ended,
        "durationInSeconds": phase.seconds,
        "contexts": [{"statusCode": phase.context.code, "message": phase.context.message}],
    }


def _phase_of_event(phase: Phase) -> dict[str, Any]:
    told: dict[str, Any] = {"phase-type": phase.name, "start-time": _in_words(phase.began)}
    if phase.ended is None:
        return told
    context = phase.context
    return told | {
        "phase-context": [f"{context.code}: {context.message}"] if context.code else [],
        "phase-status": phase.status,
        "end-time": _in_words(phase.ended),
        "duration-in-seconds": float(phase.seconds),
    }


def _in_words(moment: dt.datetime) -> str:
    """``Sep 1, 2017 4:12:29 PM``, whatever language this machine speaks."""
    hour, half = moment.hour % 12 or 12, "AM" if moment.hour < 12 else "PM"
    return f"{_MONTHS[moment.month - 1]} {moment.day}, {moment.year} {hour}:{moment:%M:%S} {half}"


def _in_address(name: str) -> str:
    """As the console writes a slash of a name into an address."""
    return name.replace("/", "$252F")
