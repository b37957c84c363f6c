"""The builds of the stack's one project in AWS CodeBuild."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelgate.aws.errors import translated
from modelgate.builds.order import buildspec
from modelgate.errors import NotFound
from modelgate.ports import Phase, Run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from mypy_boto3_codebuild import CodeBuildClient
    from mypy_boto3_codebuild.type_defs import BuildPhaseTypeDef, BuildTypeDef
    from mypy_boto3_logs import CloudWatchLogsClient

    from modelgate.builds.order import BuildOrder

# The project builds for x86 as it stands; what replaces it for other platforms. AWS CodeBuild User Guide,
# "Docker images provided by CodeBuild".
_MACHINES: Mapping[str, Mapping[str, str]] = {
    "linux/amd64": {},
    "linux/arm64": {
        "environmentTypeOverride": "ARM_CONTAINER",
        "imageOverride": "aws/codebuild/amazonlinux-aarch64-standard:3.0",
    },
}
# What CodeBuild writes into the log itself begins so.
_ITS_OWN_LINES = "[Container] "
_FAILED = "Command did not exit successfully"
_PAGE = 100


class CodeBuildBuilds:
    """A `modelgate.ports.Builds`.

    Args:
        client: the CodeBuild client.
        logs: the CloudWatch Logs client, made when it is asked: most builds succeed.
        project: the project's name.
        bucket: where sources lie.
    """

    def __init__(
        self, client: CodeBuildClient, logs: Callable[[], CloudWatchLogsClient], project: str, bucket: str
    ) -> None:
        self._client = client
        self._logs = logs
        self._project = project
        self._bucket = bucket

    def start(self, order: BuildOrder) -> str:
        variables = [
            {"name": name, "value": value, "type": "PLAINTEXT"} for name, value in order.variables.items()
        ]
        told: dict[str, Any] = {
            "projectName": self._project,
            "sourceTypeOverride": "S3",
            "sourceLocationOverride": f"{self._bucket}/{order.source.key}",
            "sourceVersion": order.source.version,
            "buildspecOverride": buildspec(),
            "environmentVariablesOverride": variables,
            "computeTypeOverride": f"BUILD_GENERAL1_{order.compute_type.upper()}",
            "idempotencyToken": order.token,
            **_MACHINES[order.platform],
        }
        with translated("StartBuild"):
            return self._client.start_build(**told)["build"]["id"]

    def describe(self, build_id: str) -> Run | None:
        found = self._describe([build_id])
        return found[0] if found else None

    def recent(self, since: datetime) -> Sequence[Run]:
        with translated("ListBuildsForProject"):
            ids = self._client.list_builds_for_project(projectName=self._project, sortOrder="DESCENDING")[
                "ids"
            ]
        return [run for run in self._describe(ids[:_PAGE]) if run.started_at >= since]

    def last_lines(self, run: Run, count: int) -> Sequence[str]:
        if run.log is None:
            return []
        group, stream = run.log
        try:
            with translated("GetLogEvents"):
                # CodeBuild's own lines are taken out below, and there are many of them at the end.
                answer = self._logs().get_log_events(
                    logGroupName=group, logStreamName=stream, startFromHead=False, limit=count * 4
                )
        except NotFound:
            return []
        # One event may hold several lines of it.
        lines = [line.rstrip() for event in answer["events"] for line in event["message"].splitlines()]
        return _printed(lines)[-count:]

    def _describe(self, ids: Sequence[str]) -> list[Run]:
        if not ids:
            return []
        with translated("BatchGetBuilds"):
            found = self._client.batch_get_builds(ids=list(ids))["builds"]
        return [self._run(build) for build in found]

    def _run(self, build: BuildTypeDef) -> Run:
        logs = build.get("logs", {})
        group, stream = logs.get("groupName"), logs.get("streamName")
        variables = build.get("environment", {}).get("environmentVariables", [])
        return Run(
            id=build["id"],
            status=build["buildStatus"],
            variables={each["name"]: each["value"] for each in variables},
            source=build.get("source", {}).get("location", "").removeprefix(f"{self._bucket}/"),
            version=build.get("sourceVersion", ""),
            started_at=build["startTime"],
            ended_at=build.get("endTime"),
            exported={
                each["name"]: each["value"]
                for each in build.get("exportedEnvironmentVariables", [])
                if "name" in each and "value" in each
            },
            phases=tuple(_phase(phase) for phase in build.get("phases", [])),
            log=(group, stream) if group and stream else None,
            page=logs.get("deepLink", ""),
        )


def _printed(lines: Sequence[str]) -> list[str]:
    """What the commands printed, up to the one that failed.

    CodeBuild quotes a command whole, before it runs and after it has failed, and marks the first line only.
    """
    failed = next((at for at, line in enumerate(lines) if _FAILED in line), len(lines))
    script = {line.strip() for line in buildspec().splitlines()}
    found: list[str] = []
    quoted = False
    for line in lines[:failed]:
        own = line.startswith(_ITS_OWN_LINES)
        quoted = own or (quoted and line.strip() in script)
        if line and not quoted:
            found.append(line)
    return found


def _phase(phase: BuildPhaseTypeDef) -> Phase:
    trouble = ""
    if phase.get("phaseStatus", "IN_PROGRESS") not in {"SUCCEEDED", "IN_PROGRESS"}:
        trouble = phase["phaseStatus"]
        for context in phase.get("contexts", [])[:1]:
            # The message quotes the whole command, which is all of the buildspec's phase.
            message = context.get("message", "")
            reason = message.rpartition("Reason: ")[2] if "Reason: " in message else message
            said = filter(None, (context.get("statusCode", ""), " ".join(reason.split())))
            trouble = ": ".join(said) or trouble
    return Phase(phase["phaseType"], phase.get("phaseStatus", "IN_PROGRESS"), trouble)
