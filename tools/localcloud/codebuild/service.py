"""The API of CodeBuild, as far as a stack's own project is started, looked at and stopped."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import RLock
from typing import Any

from localcloud import calls
from localcloud.calls import ACCOUNT, Call, Caller, Operation, Reply
from localcloud.codebuild.builds import Asked, Build
from localcloud.codebuild.runner import Runner
from localcloud.credentials import Credentials
from localcloud.engine import Engine
from localcloud.errors import ServiceError
from localcloud.eventbridge import EventBridge
from localcloud.moto_state import MotoState
from localcloud.schedule import Scheduler

# "StartBuild" in the AWS CodeBuild API Reference: a token is remembered for five minutes.
_TOKEN_SECONDS = 300
_PAGE = 100
_NOT_SIMULATED = frozenset(
    {
        "secondarySourcesOverride",
        "artifactsOverride",
        "cacheOverride",
        "registryCredentialOverride",
        "fleetOverride",
    }
)


@dataclass(frozen=True)
class Project:
    """A project; ``given`` is what CreateProject was told of it."""

    name: str
    arn: str
    role: str
    given: Mapping[str, Any]

    @property
    def log_group(self) -> str:
        logs = self.given.get("logsConfig", {}).get("cloudWatchLogs", {})
        return str(logs.get("groupName") or f"/aws/codebuild/{self.name}")

    @property
    def environment(self) -> dict[str, Any]:
        return {"privilegedMode": False, **self.given["environment"]}


class CodeBuild:
    """The projects of a stack, and their builds.

    Args:
        client_of: a boto3 client with the rights of a role, by its ARN.
        issue: credentials for a caller.
        caller_of: who calls with a role, by its ARN.
        url: of the local cloud.
    """

    def __init__(
        self,
        *,
        region: str,
        url: str,
        moto: MotoState,
        events: EventBridge,
        scheduler: Scheduler,
        engine: Engine,
        client_of: Callable[[str, str], Any],
        caller_of: Callable[[str], Caller],
        issue: Callable[[Caller], Credentials],
    ) -> None:
        self._region = region
        self._url = url
        self._moto = moto
        self._events = events
        self._scheduler = scheduler
        self._engine = engine
        self._client_of = client_of
        self._caller_of = caller_of
        self._issue = issue
        self._lock = RLock()
        self._projects: dict[str, Project] = {}
        self._builds: dict[str, Build] = {}
        self._tokens: dict[str, tuple[float, Mapping[str, Any], str]] = {}

    @property
    def operations(self) -> Mapping[str, Operation]:
        """What is answered."""
        return {
            "StartBuild": self._start_build,
            "BatchGetBuilds": self._batch_get_builds,
            "ListBuildsForProject": self._list_builds,
            "StopBuild": self._stop_build,
            "CreateProject": self._create_project,
            "BatchGetProjects": self._batch_get_projects,
        }

    def stop(self) -> None:
        """End every build."""
        for build in list(self._builds.values()):
            build.stopping.set()

    # ── operations ────────────────────────────────────────────────────────────────────────────────

    def _create_project(self, call: Call) -> Reply:
        name = call.params["name"]
        if name in self._projects:
            arn = self._projects[name].arn
            raise ServiceError("ResourceAlreadyExistsException", f"Project already exists: {arn}")
        arn = f"arn:aws:codebuild:{self._region}:{ACCOUNT}:project/{name}"
        project = self._projects[name] = Project(name, arn, call.params["serviceRole"], call.params)
        return Reply({"project": self._described(project)})

    def _start_build(self, call: Call) -> Reply:
        params = call.params
        unknown = sorted(_NOT_SIMULATED & set(params))
        if unknown:
            raise ServiceError(
                "NotImplemented", f"{', '.join(unknown)} is not simulated in the local cloud.", 501
            )
        with self._lock:
            project = self._project(params["projectName"])
            known = self._known(params)
            if known is not None:
                return Reply({"build": known.described()})
            build = self._made(project, call)
            self._builds[build.id] = build
            if "idempotencyToken" in params:
                self._tokens[params["idempotencyToken"]] = (time.monotonic(), dict(params), build.id)
        self._announce(build)
        self._scheduler.after(0, f"build {build.id}", lambda: self._run(build))
        return Reply({"build": build.described()})

    def _known(self, params: Mapping[str, Any]) -> Build | None:
        """The build that was started for the same token a moment ago."""
        began, before, build = self._tokens.get(params.get("idempotencyToken", ""), (0.0, {}, ""))
        if not build or time.monotonic() - began > _TOKEN_SECONDS:
            return None
        if before != params:
            message = "The idempotency token was used for a build with other parameters."
            raise ServiceError("InvalidInputException", message)
        return self._builds[build]

    def _made(self, project: Project, call: Call) -> Build:
        params = call.params
        if params.get("sourceTypeOverride", project.given["source"]["type"]) != "S3":
            raise ServiceError("InvalidInputException", "The local cloud builds sources of the type S3 only.")
        variables = params.get("environmentVariablesOverride", [])
        if any(each.get("type", "PLAINTEXT") != "PLAINTEXT" for each in variables):
            message = "Only variables of the type PLAINTEXT are simulated in the local cloud."
            raise ServiceError("NotImplemented", message, 501)
        environment = project.environment
        for member, override in (
            ("computeType", "computeTypeOverride"),
            ("type", "environmentTypeOverride"),
            ("image", "imageOverride"),
        ):
            environment[member] = params.get(override, environment[member])
        given = project.given
        number = sum(build.asked.project == project.name for build in self._builds.values()) + 1
        build_id = f"{project.name}:{uuid.uuid4()}"
        asked = Asked(
            project=project.name,
            role=project.role,
            location=params.get("sourceLocationOverride") or given["source"].get("location", ""),
            version=params.get("sourceVersion", ""),
            buildspec=params.get("buildspecOverride") or given["source"].get("buildspec", ""),
            variables={each["name"]: each["value"] for each in variables},
            environment=environment,
            group=project.log_group,
            minutes=int(params.get("timeoutInMinutesOverride") or given.get("timeoutInMinutes", 60)),
            initiator=call.caller.arn.rpartition("assumed-role/")[2].rpartition(":")[2],
        )
        arn = f"arn:aws:codebuild:{self._region}:{ACCOUNT}:build/{build_id}"
        return Build(build_id, arn, number, asked, self._region, calls.now())

    def _batch_get_builds(self, call: Call) -> Reply:
        with self._lock:
            ids = [each.partition(":build/")[2] or each for each in call.params["ids"]]
            found = [self._builds[each].described() for each in ids if each in self._builds]
            return Reply(
                {"builds": found, "buildsNotFound": [each for each in ids if each not in self._builds]}
            )

    def _list_builds(self, call: Call) -> Reply:
        with self._lock:
            project = self._project(call.params["projectName"])
            ids = [build.id for build in self._builds.values() if build.asked.project == project.name]
        if call.params.get("sortOrder", "DESCENDING") == "DESCENDING":
            ids.reverse()
        start = int(call.params.get("nextToken") or 0)
        more = {"nextToken": str(start + _PAGE)} if len(ids) > start + _PAGE else {}
        return Reply({"ids": ids[start : start + _PAGE], **more})

    def _stop_build(self, call: Call) -> Reply:
        build = self._builds.get(call.params["id"].partition(":build/")[2] or call.params["id"])
        if build is None:
            raise ServiceError("ResourceNotFoundException", f"Build {call.params['id']} does not exist")
        build.stopping.set()
        return Reply({"build": build.described()})

    def _batch_get_projects(self, call: Call) -> Reply:
        names = call.params["names"]
        found = [self._described(self._projects[name]) for name in names if name in self._projects]
        return Reply({"projects": found, "projectsNotFound": [n for n in names if n not in self._projects]})

    def _described(self, project: Project) -> dict[str, Any]:
        return {
            "timeoutInMinutes": 60,
            **project.given,
            "arn": project.arn,
            "environment": project.environment,
        }

    def _project(self, name: str) -> Project:
        project = self._projects.get(name.rpartition("project/")[2])
        if project is None:
            message = f"Project cannot be found: arn:aws:codebuild:{self._region}:{ACCOUNT}:project/{name}"
            raise ServiceError("ResourceNotFoundException", message)
        return project

    # ── builds ────────────────────────────────────────────────────────────────────────────────────

    def _run(self, build: Build) -> None:
        role = build.asked.role

        def write(line: str) -> None:
            self._moto.write_log(
                build.asked.group, build.stream, [(int(calls.now().timestamp() * 1000), line)]
            )

        runner = Runner(
            build,
            s3=self._client_of(role, "s3"),
            engine=self._engine,
            environment=self._environment(self._issue(self._caller_of(role))),
            write=write,
        )
        runner.run()
        self._announce(build)

    def _environment(self, credentials: Credentials) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self._url,
            "AWS_ACCESS_KEY_ID": credentials.access_key,
            "AWS_SECRET_ACCESS_KEY": credentials.secret_key,
            "AWS_SESSION_TOKEN": credentials.session_token or "",
            "AWS_REGION": self._region,
            "AWS_DEFAULT_REGION": self._region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
        }

    def _announce(self, build: Build) -> None:
        self._events.announce("aws.codebuild", "CodeBuild Build State Change", build.event(), [build.arn])
