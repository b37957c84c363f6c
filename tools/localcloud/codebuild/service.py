"""The API of CodeBuild, as far as a stack's own project is started, looked at and stopped."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from threading import RLock
from typing import Any

from localcloud import calls
from localcloud.calls import ACCOUNT, Call, Caller, Operation, Reply
from localcloud.clients import Clients
from localcloud.codebuild.builds import Asked, Build
from localcloud.codebuild.log import BuildLog
from localcloud.codebuild.runner import Runner
from localcloud.credentials import Credentials, Identities
from localcloud.engine import Engine
from localcloud.errors import ServiceError
from localcloud.eventbridge import EventBridge
from localcloud.moto_state import MotoState
from localcloud.schedule import Scheduler

# "StartBuild" in the AWS CodeBuild API Reference: a token is remembered for five minutes.
_TOKEN_SECONDS = 300
_PAGE = 100
_OF_START_BUILD = frozenset(
    {
        "projectName",
        "sourceTypeOverride",
        "sourceLocationOverride",
        "sourceVersion",
        "buildspecOverride",
        "environmentVariablesOverride",
        "environmentTypeOverride",
        "imageOverride",
        "computeTypeOverride",
        "privilegedModeOverride",
        "timeoutInMinutesOverride",
        "queuedTimeoutInMinutesOverride",
        "idempotencyToken",
    }
)
_OF_PROJECTS: Mapping[str, frozenset[str]] = {
    "": frozenset(
        {
            "name",
            "description",
            "source",
            "artifacts",
            "environment",
            "serviceRole",
            "timeoutInMinutes",
            "queuedTimeoutInMinutes",
            "encryptionKey",
            "tags",
            "vpcConfig",
            "logsConfig",
            "concurrentBuildLimit",
            "cache",
        }
    ),
    "source": frozenset({"type", "location", "buildspec"}),
    "environment": frozenset(
        {
            "type",
            "image",
            "computeType",
            "environmentVariables",
            "privilegedMode",
            "imagePullCredentialsType",
        }
    ),
    "logsConfig": frozenset({"cloudWatchLogs"}),
}
# What a project may have one kind of only.
_ONLY = {"artifacts": "NO_ARTIFACTS", "cache": "NO_CACHE"}
_SOURCES = ("S3", "NO_SOURCE")


@dataclass(frozen=True)
class Project:
    """A project; ``given`` is what CreateProject was told, and what CodeBuild adds to it."""

    name: str
    arn: str
    given: Mapping[str, Any]


class CodeBuild:
    """The projects of a stack, and their builds."""

    def __init__(
        self,
        *,
        region: str,
        url: str,
        moto: MotoState,
        clients: Clients,
        identities: Identities,
        events: EventBridge,
        scheduler: Scheduler,
        engine: Engine,
    ) -> None:
        self._region = region
        self._url = url
        self._moto = moto
        self._clients = clients
        self._identities = identities
        self._events = events
        self._scheduler = scheduler
        self._engine = engine
        self._lock = RLock()
        self._projects: dict[str, Project] = {}
        self._builds: dict[str, Build] = {}
        self._tokens: dict[str, tuple[float, Mapping[str, Any], Build]] = {}

    @property
    def operations(self) -> Mapping[str, Operation]:
        """What is answered."""
        return {
            "StartBuild": self._start_build,
            "BatchGetBuilds": self._batch_get_builds,
            "ListBuildsForProject": self._list_builds_for_project,
            "StopBuild": self._stop_build,
            "CreateProject": self._create_project,
            "BatchGetProjects": self._batch_get_projects,
        }

    def stop(self) -> None:
        """End every build."""
        with self._lock:
            builds = list(self._builds.values())
        for build in builds:
            build.interrupt("STOPPED")

    # ── projects ──────────────────────────────────────────────────────────────────────────────────

    def _create_project(self, call: Call) -> Reply:
        given = call.params
        _refuse_what_is_not_simulated(given)
        name, role = given["name"], given["serviceRole"]
        if self._moto.role_policies(_name(role)) is None:
            raise _invalid(
                "CodeBuild is not authorized to perform: sts:AssumeRole on service role. Please verify that: "
                "1) The provided service role exists, 2) The role name is case-sensitive and matches "
                "exactly, and 3) The role has the necessary trust policy configured."
            )
        environment = {"privilegedMode": False, "imagePullCredentialsType": "CODEBUILD"}
        project = Project(
            name,
            self._arn(f"project/{name}"),
            {
                "timeoutInMinutes": 60,
                "queuedTimeoutInMinutes": 480,
                "encryptionKey": f"arn:aws:kms:{self._region}:{ACCOUNT}:alias/aws/s3",
                **given,
                "environment": {**environment, **given["environment"]},
            },
        )
        with self._lock:
            if name in self._projects:
                message = f"Project already exists: {project.arn}"
                raise ServiceError("ResourceAlreadyExistsException", message)
            self._projects[name] = project
        return Reply({"project": {**project.given, "arn": project.arn}})

    def _batch_get_projects(self, call: Call) -> Reply:
        with self._lock:
            found = {name: self._projects.get(_name(name)) for name in call.params["names"]}
        return Reply(
            {
                "projects": [{**each.given, "arn": each.arn} for each in found.values() if each],
                "projectsNotFound": [name for name, each in found.items() if not each],
            }
        )

    def _project(self, name: str) -> Project:
        project = self._projects.get(_name(name))
        if project is None:
            message = f"Project cannot be found: {self._arn(f'project/{_name(name)}')}"
            raise ServiceError("ResourceNotFoundException", message)
        return project

    # ── builds ────────────────────────────────────────────────────────────────────────────────────

    def _start_build(self, call: Call) -> Reply:
        params = call.params
        unknown = sorted(set(params) - _OF_START_BUILD)
        if unknown:
            raise _not_simulated(f"{', '.join(unknown)} of StartBuild")
        token = params.get("idempotencyToken", "")
        with self._lock:
            project = self._project(params["projectName"])
            known = self._known(token, params)
            if known is not None:
                return Reply({"build": known.described()})
            build = self._made(project, call)
            self._builds[build.id] = build
            if token:
                self._tokens[token] = (time.monotonic(), params, build)
        self._announce(build)
        self._scheduler.after(0, f"build {build.id}", lambda: self._run(build))
        return Reply({"build": build.described()})

    def _known(self, token: str, params: Mapping[str, Any]) -> Build | None:
        """The build that was started for the same token a moment ago."""
        if token not in self._tokens:
            return None
        began, before, build = self._tokens[token]
        if time.monotonic() - began > _TOKEN_SECONDS:
            return None
        if before != params:
            raise _invalid("The idempotency token was used for a build with other parameters.")
        return build

    def _made(self, project: Project, call: Call) -> Build:
        active = sum(build.ended is None for build in self._builds_of(project))
        limit = project.given.get("concurrentBuildLimit")
        if limit is not None and active >= limit:
            message = f"Cannot have more than {limit} active builds for the project"
            raise ServiceError("AccountLimitExceededException", message)
        build_id = f"{project.name}:{uuid.uuid4()}"
        return Build(
            id=build_id,
            arn=self._arn(f"build/{build_id}"),
            number=len(self._builds_of(project)) + 1,
            asked=_asked(project, call),
            region=self._region,
            began=calls.now(),
        )

    def _batch_get_builds(self, call: Call) -> Reply:
        with self._lock:
            found = {each: self._builds.get(_build_id(each)) for each in call.params["ids"]}
        return Reply(
            {
                "builds": [build.described() for build in found.values() if build],
                "buildsNotFound": [each for each, build in found.items() if not build],
            }
        )

    def _list_builds_for_project(self, call: Call) -> Reply:
        with self._lock:
            ids = [build.id for build in self._builds_of(self._project(call.params["projectName"]))]
        if call.params.get("sortOrder", "DESCENDING") == "DESCENDING":
            ids.reverse()
        token = call.params.get("nextToken", "0")
        if not token.isdecimal():
            raise _invalid("Invalid next token")
        end = int(token) + _PAGE
        return Reply({"ids": ids[int(token) : end], **({"nextToken": str(end)} if len(ids) > end else {})})

    def _stop_build(self, call: Call) -> Reply:
        with self._lock:
            build = self._builds.get(_build_id(call.params["id"]))
        if build is None:
            message = f"Build cannot be found: {call.params['id']}"
            raise ServiceError("ResourceNotFoundException", message)
        build.interrupt("STOPPED")
        return Reply({"build": build.described()})

    def _builds_of(self, project: Project) -> list[Build]:
        """Oldest first."""
        return [build for build in self._builds.values() if build.asked.project == project.name]

    def _run(self, build: Build) -> None:
        role = _name(build.asked.role)
        arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/AWSCodeBuild-{build.session}"
        credentials = self._identities.issue(Caller(arn, role=role))
        session = self._clients.session(credentials)
        Runner(
            build,
            s3=session.client("s3"),
            log=BuildLog(build, session.client("logs"), self._moto),
            engine=self._engine,
            environment=self._environment(credentials),
        ).run()
        self._announce(build)

    def _environment(self, credentials: Credentials) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self._url,
            "AWS_ACCESS_KEY_ID": credentials.access_key,
            "AWS_SECRET_ACCESS_KEY": credentials.secret_key,
            "AWS_SESSION_TOKEN": credentials.session_token or "",
            "AWS_REGION": self._region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
        }

    def _announce(self, build: Build) -> None:
        self._events.announce("aws.codebuild", "CodeBuild Build State Change", build.event(), [build.arn])

    def _arn(self, resource: str) -> str:
        return f"arn:aws:codebuild:{self._region}:{ACCOUNT}:{resource}"


def _asked(project: Project, call: Call) -> Asked:
    """What a build is started with.

    Raises:
        ServiceError: it makes no sense, or is not simulated.
    """
    given, params = project.given, call.params
    source = params.get("sourceTypeOverride", given["source"]["type"])
    location = params.get("sourceLocationOverride", given["source"].get("location", ""))
    if source not in _SOURCES:
        raise _not_simulated(f"A source of type {source}")
    if source == "S3" and not location.partition("/")[2]:
        raise _invalid(
            f"Invalid source location: {location!r} is no bucket and key, bucket/path/to/object.zip"
        )
    environment = given["environment"]
    listed = [
        *environment.get("environmentVariables", []),
        *params.get("environmentVariablesOverride", []),
    ]
    if any(each.get("type", "PLAINTEXT") != "PLAINTEXT" for each in listed):
        raise _not_simulated("An environment variable that is not of type PLAINTEXT")
    logs = given.get("logsConfig", {}).get("cloudWatchLogs", {"status": "ENABLED"})
    return Asked(
        project=project.name,
        role=given["serviceRole"],
        source=source,
        location=location if source == "S3" else "",
        version=params.get("sourceVersion", ""),
        buildspec=params.get("buildspecOverride", given["source"].get("buildspec", "")),
        variables={each["name"]: each["value"] for each in listed},
        environment={
            member: params.get(f"{member}Override", environment[member])
            for member in ("image", "computeType", "privilegedMode", "imagePullCredentialsType")
        }
        | {"type": params.get("environmentTypeOverride", environment["type"])},
        group=logs.get("groupName", f"/aws/codebuild/{project.name}") if logs["status"] == "ENABLED" else "",
        stream=logs.get("streamName", ""),
        minutes=params.get("timeoutInMinutesOverride", given["timeoutInMinutes"]),
        queued_minutes=params.get("queuedTimeoutInMinutesOverride", given["queuedTimeoutInMinutes"]),
        encryption_key=given["encryptionKey"],
        # A user is called by the name, and a role by what it was assumed for.
        initiator=call.caller.arn.rpartition(":")[2].partition("/")[2] or "root",
    )


def _refuse_what_is_not_simulated(given: Mapping[str, Any]) -> None:
    for member, known in _OF_PROJECTS.items():
        unknown = sorted(set(given.get(member, {}) if member else given) - known)
        if unknown:
            raise _not_simulated(f"{', '.join(unknown)} of a project{f' in its {member}' if member else ''}")
    for member, only in _ONLY.items():
        if given.get(member, {}).get("type", only) != only:
            raise _not_simulated(f"A project with {member} other than {only}")
    if given["source"]["type"] not in _SOURCES:
        raise _not_simulated(f"A source of type {given['source']['type']}")


def _name(name_or_arn: str) -> str:
    return name_or_arn.rpartition("/")[2]


def _build_id(id_or_arn: str) -> str:
    return id_or_arn.partition(":build/")[2] or id_or_arn


def _invalid(message: str) -> ServiceError:
    return ServiceError("InvalidInputException", message)


def _not_simulated(what: str) -> ServiceError:
    return ServiceError("NotImplemented", f"{what}: that is not simulated in the local cloud.", 501)
