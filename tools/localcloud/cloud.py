"""The local cloud as its user has it: started, stopped, looked at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Lock
from types import MappingProxyType, TracebackType
from typing import Any, Self

import boto3

from localcloud.assembly import Handlers, Parts, Settings
from localcloud.calls import ACCOUNT
from localcloud.credentials import USER
from localcloud.ecr.scans import ScanStatus
from localcloud.errors import AnotherIsRunningError
from localcloud.eventbridge import Event
from localcloud.faults import Faults
from localcloud.functions import FunctionSettings, Invocation
from localcloud.in_process import RunningIn, modelgate_surroundings
from localcloud.pace import Pace
from localcloud.serving import default_python
from localcloud.stack import NOT_SIMULATED
from localcloud.timeline import Timeline
from localcloud.training.toolkit import toolkit_python

_RUNNING = Lock()

# What a whole service does less here than on AWS; what single types of resources do less, stands with them.
LIMITS = (
    "no quotas, no eventual consistency, and no throttling but what is asked for in faults",
    "signatures are not verified; a key that was not handed out here is the user's, who may do everything",
    "one region: the local cloud's own services do not look at the region that a client signs for",
    "sts:AssumeRole asks no trust policy; under a role that is not here it gives the user's rights",
    "DeleteObjects deletes nothing at all if one of its objects may not be deleted",
    "schedules do not fire by themselves: fire() does it",
    "an endpoint has one instance for each variant, whatever its instance count",
    "images of one's own are run by a Docker Engine of this machine; two prebuilt ones have stand-ins",
    "containers have no credentials of their role, and one that dies while it serves is not started again",
    "a serverless container has all vCPUs of this machine; VpcConfig changes nothing",
    "alarms change by SetAlarmState only; those that are new are OK, and not INSUFFICIENT_DATA",
    "the waits of a deployment are shortened; MaximumExecutionTimeoutInSeconds never runs out",
    "a rollback goes back at once, whatever its batch size; Inf1 instances are deployed like others",
    "scalable targets move a variant into their bounds once, when they are registered; no policy scales",
    "shadow variants are kept and not carried out",
    "asynchronous requests never expire, and a request in data capture has a file of its own",
    "the deepLink of a build leads to AWS's console, which knows nothing of it",
    "scans of images find what scans_find() told; ECR's PutImage takes images whose layers were never pushed",
    "apps of Studio are InService without anything that runs; lifecycle scripts are kept and not run",
    "Studio has no quotas, and looks at no VPC, subnet, security group, key, image or directory of users",
    "CloudTrail tells EventBridge of SageMaker's calls only, and writes no log files",
    "ECR mounts no layers of other repositories, and forgets none; a repository's policies change nothing",
)


class LocalCloud:
    """One stack on an AWS of this machine. Starts when it is entered, and stops when it is left.

    Args:
        template: a SAM template; the paths of code in it are relative to its folder.
        port: 0 for one that is free.
        pace: how long things take.
        parameters: the template's parameters.
        serving_python: the interpreter that serves models; it needs the frameworks.
        training_python: the interpreter that trains by SageMaker's own training toolkit; by default that of
            ``.venv-toolkit`` where it is there, else scripts are run as the toolkit would, without it.
        running_in: makes the surroundings of handlers; by default, those of Modelgate's layer.
        handlers: where the functions run: in this process, or as they were built, in the containers of
            `sam local start-lambda`, which need a Docker Engine.

    Raises (on entering):
        TemplateError: the template holds something that is not known here.
        AnotherIsRunningError: one local cloud runs in this process already.
        LocalCloudError: the port is taken, or there is no engine or no build for the containers.
    """

    def __init__(
        self,
        template: Path,
        *,
        port: int = 0,
        region: str = "eu-central-1",
        pace: Pace | None = None,
        parameters: Mapping[str, str] | None = None,
        stack_name: str = "modelgate",
        serving_python: str | None = None,
        training_python: str | None = None,
        running_in: RunningIn = modelgate_surroundings,
        handlers: Handlers = "process",
    ) -> None:
        self.region = region
        self.stack_name = stack_name
        self.pace = pace or Pace()
        self.faults = Faults(handlers_can_die=handlers == "process")
        self._settings = Settings(
            template=template,
            port=port,
            region=region,
            pace=self.pace,
            parameters=dict(parameters or {}),
            stack_name=stack_name,
            serving_python=serving_python or default_python(),
            training_python=training_python or toolkit_python(),
            running_in=running_in,
            handlers=handlers,
        )
        self._timeline = Timeline()
        self._parts: Parts | None = None
        self._holds = False

    # ── life ──────────────────────────────────────────────────────────────────────────────────────

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Make the stack, and answer. Empty, whatever ran before."""
        if not _RUNNING.acquire(blocking=False):
            raise AnotherIsRunningError(
                "another local cloud runs in this process, and moto's state belongs to the process: "
                "stop it first"
            )
        self._holds = True
        started = False
        try:
            self._parts = Parts(self._settings, self.faults, self._timeline)
            self._parts.build()
            started = True
        finally:
            if not started:
                self.stop()

    def stop(self) -> None:
        """Answer no more, end every container and every environment, and forget everything."""
        parts, self._parts = self._parts, None
        self.faults.release_studio()
        if parts is not None:
            parts.stop()
        if self._holds:
            self._holds = False
            _RUNNING.release()

    # ── what the user sees ────────────────────────────────────────────────────────────────────────

    @property
    def url(self) -> str:
        """The endpoint; AWS_ENDPOINT_URL for clients."""
        return self._started.url

    @property
    def outputs(self) -> Mapping[str, str]:
        """The stack's outputs."""
        outputs = self._started.template.outputs
        return MappingProxyType({name: str(output["Value"]) for name, output in outputs.items()})

    def client(self, service: str) -> Any:
        """A boto3 client of the user's, who may do everything. The same one for each service."""
        return self._started.clients.user(service)

    def session(self, function: str = "") -> boto3.Session:
        """A boto3 session of the user's, or one with the rights of a function's role."""
        parts = self._started
        return parts.session_of(parts.invoker.settings(function)) if function else parts.clients.session(USER)

    def environment(self) -> dict[str, str]:
        """What to export so that any AWS client talks to this cloud."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": USER.access_key,
            "AWS_SECRET_ACCESS_KEY": USER.secret_key,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1",
        }

    def settle(self, timeout: float = 30.0) -> None:
        """Return when no event, retry, invocation or endpoint transition is under way.

        Raises:
            NotSettledError: one still is after ``timeout`` seconds; the message lists them.
        """
        self._started.in_flight.settle(timeout)

    @property
    def in_flight(self) -> list[str]:
        """What is under way just now."""
        return self._started.in_flight.labels

    def function(self, logical_id: str) -> FunctionSettings:
        """A function of the stack."""
        return self._started.invoker.settings(logical_id)

    def invoke(self, function: str, event: Any) -> Invocation:
        """Call a function and wait; an error of its own is in the invocation's ``error``."""
        return self._started.invoker.invoke(function, event)

    def fire(self, rule: str) -> None:
        """The time of a scheduled rule has come; no clock does this here.

        Args:
            rule: its logical id or its name.
        """
        resource = self._started.template.resources.get(rule)
        self._started.events.fire(resource.physical_id if resource is not None else rule)

    def scans_find(self, repository: str, counts: Mapping[str, int], status: ScanStatus = "COMPLETE") -> None:
        """What the scans of a repository's images find that end from now on; nothing, unless it is told.

        Args:
            counts: how many findings there are of each severity, such as ``{"CRITICAL": 1}``.

        Raises:
            LocalCloudError: ECR knows no such severity.
        """
        self._started.ecr.scans.find(repository, counts, status)

    def publish(self, event: Event, bus: str = "default") -> None:
        """Put an event on a bus as it is, as if its AWS service had sent it."""
        self._started.events.publish(event, bus)

    @property
    def events_seen(self) -> list[Event]:
        """Every event that was put on a bus, oldest first."""
        return list(self._timeline.events)

    @property
    def invocations(self) -> list[Invocation]:
        """Every run of a handler, oldest first."""
        return list(self._timeline.invocations)

    def on_event(self, callback: Callable[[Event, str], None]) -> None:
        """``callback`` is called with each event that is put on a bus, and the name of the bus."""
        self._timeline.event_listeners.append(callback)

    def on_invocation(self, callback: Callable[[Invocation], None]) -> None:
        """``callback`` is called with each run of a handler, after it."""
        self._timeline.invocation_listeners.append(callback)

    def on_log(self, callback: Callable[[str, str], None]) -> None:
        """``callback`` is called with each line that a function logs: its logical id, and the line."""
        self._timeline.log_listeners.append(callback)

    def describe(self) -> str:
        """What the stack holds, and what of it is not simulated."""
        parts = self._started
        lines = [f"{self.stack_name} on {self.url}, account {ACCOUNT}, {self.region}"]
        for resource in parts.template.resources.values():
            less = NOT_SIMULATED.get(resource.type)
            remark = f"  ({less})" if less else ""
            lines.append(f"  {resource.type:<34} {resource.logical_id:<32} {resource.physical_id}{remark}")
        limits = (*LIMITS, *parts.invoker.limits)
        return "\n".join([*lines, "not as on AWS:", *(f"  - {limit}" for limit in limits)])

    @property
    def _started(self) -> Parts:
        if self._parts is None:
            raise RuntimeError("the local cloud has not been started, or has been stopped")
        return self._parts
