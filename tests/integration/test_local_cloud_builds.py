"""CodeBuild in the local cloud: phases, the shell, what a failure looks like, and who may do what.

Builds of images need a Docker Engine, and are in tests/docker. These projects run a shell only.
"""

from __future__ import annotations

import datetime as dt
import io
import json
import os
import stat
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud import LocalCloud
from localcloud.calls import now
from localcloud.codebuild.builds import Asked, Build
from localcloud.codebuild.buildspec import BuildspecError, read
from localcloud.codebuild.log import BuildLog
from localcloud.codebuild.runner import Runner
from localcloud.engine import Engine
from localcloud.moto_state import MotoState

ROOT = Path(__file__).parents[2]
TEMPLATE = """
AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::Serverless-2016-10-31
Resources:
  Sources:
    Type: AWS::S3::Bucket
    Properties: {VersioningConfiguration: {Status: Enabled}}
  Role:
    Type: AWS::IAM::Role
    Properties:
      RoleName: builder
      AssumeRolePolicyDocument: &CodeBuildAssumesIt
        Version: "2012-10-17"
        Statement: [{Effect: Allow, Principal: {Service: codebuild.amazonaws.com}, Action: sts:AssumeRole}]
      Policies:
        - PolicyName: build
          PolicyDocument:
            Version: "2012-10-17"
            Statement:
              - Effect: Allow
                Action: [s3:GetObject, s3:GetObjectVersion]
                Resource: !Sub "${Sources.Arn}/may/*"
              - {Effect: Allow, Action: "logs:*", Resource: "*"}
  MuteRole:
    Type: AWS::IAM::Role
    Properties: {RoleName: mute, AssumeRolePolicyDocument: *CodeBuildAssumesIt}
  Shell:
    Type: AWS::CodeBuild::Project
    Properties: &Shell
      Name: shell
      ServiceRole: !GetAtt Role.Arn
      Source:
        Type: NO_SOURCE
        BuildSpec: '{"version": 0.2, "phases": {"build": {"commands": ["echo its own", "ls | wc -l"]}}}'
      Artifacts: {Type: NO_ARTIFACTS}
      Environment: &Environment
        Type: LINUX_CONTAINER
        ComputeType: BUILD_GENERAL1_SMALL
        Image: aws/codebuild/standard:7.0
        EnvironmentVariables: [{Name: OF_THE_PROJECT, Value: "yes"}]
  Images:
    Type: AWS::CodeBuild::Project
    Properties:
      <<: *Shell
      Name: images
      Environment: {<<: *Environment, PrivilegedMode: true}
  OneAtATime:
    Type: AWS::CodeBuild::Project
    Properties: {<<: *Shell, Name: one-at-a-time, ConcurrentBuildLimit: 1}
  Mute:
    Type: AWS::CodeBuild::Project
    Properties: {<<: *Shell, Name: mute, ServiceRole: !GetAtt MuteRole.Arn}
Outputs:
  Sources: {Value: !Ref Sources}
"""
IN_THE_END = ("UPLOAD_ARTIFACTS", "FINALIZING", "COMPLETED")
SUCCEEDED = (
    *("SUBMITTED", "QUEUED", "PROVISIONING", "DOWNLOAD_SOURCE"),
    *("INSTALL", "PRE_BUILD", "BUILD", "POST_BUILD"),
    *IN_THE_END,
)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    template = tmp_path_factory.mktemp("builds") / "template.yaml"
    template.write_text(TEMPLATE)
    with LocalCloud(template) as cloud:
        upload(cloud, source("first"))
        yield cloud


def source(greeting: str, **more: str) -> bytes:
    """A zip with a greeting, a script that may be run, and a link to the greeting."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text, mode in (
            ("link", "greeting", stat.S_IFLNK | 0o777),
            ("greeting", greeting, stat.S_IFREG | 0o644),
            ("run.sh", "#!/bin/sh\necho ran\n", stat.S_IFREG | 0o755),
            *((name.replace("__", "/"), text, stat.S_IFREG | 0o644) for name, text in more.items()),
        ):
            entry = zipfile.ZipInfo(name)
            entry.external_attr = mode << 16
            archive.writestr(entry, text)
    return content.getvalue()


def upload(cloud: LocalCloud, content: bytes, key: str = "may/source.zip") -> str:
    """Its version."""
    answer = cloud.client("s3").put_object(Bucket=cloud.outputs["Sources"], Key=key, Body=content)
    return str(answer["VersionId"])


def started(cloud: LocalCloud, spec: str, **more: Any) -> dict[str, Any]:
    told = {
        "projectName": "shell",
        "sourceTypeOverride": "S3",
        "sourceLocationOverride": f"{cloud.outputs['Sources']}/may/source.zip",
        "buildspecOverride": spec,
    }
    build: dict[str, Any] = cloud.client("codebuild").start_build(**{**told, **more})["build"]
    return build


def ended(cloud: LocalCloud, build: Mapping[str, Any]) -> dict[str, Any]:
    cloud.settle()
    (found,) = cloud.client("codebuild").batch_get_builds(ids=[build["id"]])["builds"]
    assert found["buildComplete"]
    return dict(found)


def built(cloud: LocalCloud, spec: str, **more: Any) -> dict[str, Any]:
    """A build that has come to its end."""
    return ended(cloud, started(cloud, spec, **more))


def spec(**phases: str | list[str] | dict[str, Any]) -> str:
    """A buildspec with these commands, and OUT handed on."""
    written = {
        name: told if isinstance(told, dict) else {"commands": [told] if isinstance(told, str) else told}
        for name, told in phases.items()
    }
    env = {"shell": "bash", "exported-variables": ["OUT"]}
    return json.dumps({"version": 0.2, "env": env, "phases": written})


def log_of(cloud: LocalCloud, build: Mapping[str, Any]) -> list[str]:
    where = build["logs"]
    events = cloud.client("logs").get_log_events(
        logGroupName=where["groupName"], logStreamName=where["streamName"], startFromHead=True
    )["events"]
    return [event["message"] for event in events]


def printed(cloud: LocalCloud, build: Mapping[str, Any]) -> list[str]:
    """The log without what CodeBuild itself has to say."""
    return [line for line in log_of(cloud, build) if not line.startswith("[Container] ")]


def said(cloud: LocalCloud, build: Mapping[str, Any]) -> list[str]:
    """What CodeBuild itself has to say, without the times."""
    return [line.split(" ", 3)[3] for line in log_of(cloud, build) if line.startswith("[Container] ")]


def phases(build: Mapping[str, Any]) -> dict[str, str]:
    return {phase["phaseType"]: phase.get("phaseStatus", "") for phase in build["phases"]}


def failure(build: Mapping[str, Any]) -> tuple[str, str, str]:
    """The first phase that failed, with code and message."""
    failed = next(each for each in build["phases"] if each.get("phaseStatus") not in {"SUCCEEDED", None})
    (context,) = failed["contexts"]
    return failed["phaseType"], context["statusCode"], context["message"]


@dataclass(frozen=True)
class Pipe:
    """A pipe with a name, from a command to the test."""

    path: Path
    descriptor: int

    def read(self) -> str:
        """All of it: waits until nobody has it open any more."""
        os.set_blocking(self.descriptor, True)
        with open(self.descriptor, closefd=False) as end:
            return end.read()


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[Pipe]:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    yield Pipe(path, descriptor)
    os.close(descriptor)


@pytest.fixture
def begun(tmp_path: Path) -> Path:
    """A pipe with a name: who writes into it waits for who reads from it, and the other way round."""
    path = tmp_path / "begun"
    os.mkfifo(path)
    return path


# ── what a build does ─────────────────────────────────────────────────────────────────────────────


def test_a_build_runs_its_phases_on_exactly_its_version_of_the_source(cloud: LocalCloud) -> None:
    version = upload(cloud, source("this one"))
    upload(cloud, source("a later one"))
    told = [{"name": "SAID", "value": "a $b 'c'\nd"}]
    commands = spec(
        pre_build=["mkdir deep && cd deep && OUT=$(cat ../link)", "WHERE=$(basename $PWD)"],
        build='echo "$WHERE: $OUT: $SAID"; ../run.sh',
        post_build='echo "$CODEBUILD_BUILD_SUCCEEDING $OF_THE_PROJECT $CODEBUILD_SOURCE_VERSION"',
    )
    build = built(cloud, commands, sourceVersion=version, environmentVariablesOverride=told)
    assert build["buildStatus"] == "SUCCEEDED"
    assert tuple(phases(build)) == SUCCEEDED
    assert set(phases(build).values()) == {"SUCCEEDED", ""}
    assert printed(cloud, build) == ["deep: this one: a $b 'c'", "d", "ran", f"1 yes {version}"]
    assert build["exportedEnvironmentVariables"] == [{"name": "OUT", "value": "this one"}]
    told_after = build["environment"]["environmentVariables"]
    assert {"name": "SAID", "value": "a $b 'c'\nd", "type": "PLAINTEXT"} in told_after


def test_a_project_builds_without_a_source_by_its_own_buildspec(cloud: LocalCloud) -> None:
    codebuild = cloud.client("codebuild")
    build = ended(cloud, codebuild.start_build(projectName="shell")["build"])
    assert build["buildStatus"] == "SUCCEEDED"
    assert printed(cloud, build) == ["its own", "0"]


def test_a_buildspec_may_lie_in_the_source(cloud: LocalCloud) -> None:
    upload(cloud, source("hello", ci__build__yml="", **{"ci__build.yml": spec(build="cat greeting")}))
    build = built(cloud, "ci/build.yml")
    assert printed(cloud, build) == ["hello"]

    missing = built(cloud, "no/such.yml")
    assert failure(missing)[:2] == ("DOWNLOAD_SOURCE", "YAML_FILE_ERROR")


def test_what_fails_in_build_runs_post_build_and_fails_the_build(cloud: LocalCloud) -> None:
    post = 'echo "now $CODEBUILD_BUILD_SUCCEEDING"; OUT=kept'
    build = built(cloud, spec(build=["echo before; exit 3", "echo never"], post_build=post))
    assert build["buildStatus"] == "FAILED"
    assert tuple(phases(build)) == SUCCEEDED
    assert {name for name, status in phases(build).items() if status == "FAILED"} == {"BUILD"}
    message = "Error while executing command: echo before; exit 3. Reason: exit status 3"
    assert failure(build) == ("BUILD", "COMMAND_EXECUTION_ERROR", message)
    assert printed(cloud, build) == ["before", "now 0"]
    assert build["exportedEnvironmentVariables"] == [{"name": "OUT", "value": "kept"}]
    lines = said(cloud, build)
    at = lines.index("Command did not exit successfully echo before; exit 3 exit status 3")
    assert lines[at - 1 : at + 4] == [
        "Running command echo before; exit 3",
        "Command did not exit successfully echo before; exit 3 exit status 3",
        "Phase complete: BUILD State: FAILED",
        f"Phase context status code: COMMAND_EXECUTION_ERROR Message: {message}",
        "Entering phase POST_BUILD",
    ]


@pytest.mark.parametrize(
    ("failing", "on_failure", "come_after"),
    [
        ("install", None, ()),
        ("pre_build", None, ()),
        ("build", None, ("POST_BUILD", "UPLOAD_ARTIFACTS")),
        ("build", "ABORT", ()),
        ("install", "CONTINUE", ("PRE_BUILD", "BUILD", "POST_BUILD", "UPLOAD_ARTIFACTS")),
        ("post_build", None, ("UPLOAD_ARTIFACTS",)),
    ],
)
def test_what_comes_after_a_phase_that_failed(
    cloud: LocalCloud, failing: str, on_failure: str | None, come_after: tuple[str, ...]
) -> None:
    phase = {"commands": ["false"], **({"on-failure": on_failure} if on_failure else {})}
    build = built(cloud, spec(**{failing: phase}))
    assert build["buildStatus"] == "FAILED"
    names = list(phases(build))
    after = names[names.index(failing.upper()) + 1 :]
    assert after == [*come_after, "FINALIZING", "COMPLETED"]


def test_what_stands_under_finally_runs_after_a_failure_too(cloud: LocalCloud) -> None:
    phase = {"commands": ["false", "echo never"], "finally": ["echo finally $CODEBUILD_BUILD_SUCCEEDING"]}
    build = built(cloud, spec(build=phase))
    assert printed(cloud, build) == ["finally 0"]
    assert failure(build)[2].endswith("command: false. Reason: exit status 1")


def test_a_command_that_a_signal_ends_fails(cloud: LocalCloud) -> None:
    build = built(cloud, spec(build="kill -9 $$"))
    assert failure(build)[2].endswith("Reason: signal: killed")


def test_what_a_build_leaves_running_ends_with_it(cloud: LocalCloud, pipe: Pipe, begun: Path) -> None:
    left = f"(echo begun > {begun}; sleep 60) > {pipe.path} 2>&1 & read < {begun}"
    build = built(cloud, spec(build=[left, "echo next"]))
    assert build["buildStatus"] == "SUCCEEDED"
    assert printed(cloud, build) == ["next"]
    assert pipe.read() == ""


def test_a_build_can_be_stopped(cloud: LocalCloud, pipe: Pipe, begun: Path) -> None:
    waits = f"exec 3> {pipe.path}; echo its output; echo begun > {begun}; sleep 60"
    build = started(cloud, spec(build=waits, post_build="echo never"))
    begun.read_text()
    codebuild = cloud.client("codebuild")
    (running,) = codebuild.batch_get_builds(ids=[build["arn"]])["builds"]
    assert (running["buildStatus"], running["currentPhase"]) == ("IN_PROGRESS", "BUILD")

    codebuild.stop_build(id=build["id"])
    stopped = ended(cloud, build)
    assert (stopped["buildStatus"], phases(stopped)["BUILD"]) == ("STOPPED", "STOPPED")
    assert "POST_BUILD" not in phases(stopped)
    assert printed(cloud, stopped) == ["its output"]
    assert pipe.read() == ""

    assert codebuild.stop_build(id=build["id"])["build"]["buildStatus"] == "STOPPED"


def test_a_build_runs_out_of_time(pipe: Pipe) -> None:
    build = Build(
        id="shell:1",
        arn="arn:aws:codebuild:eu-central-1:123456789012:build/shell:1",
        number=1,
        asked=Asked(
            project="shell",
            role="arn:aws:iam::123456789012:role/builder",
            source="NO_SOURCE",
            location="",
            version="",
            buildspec=spec(build=f"exec 3> {pipe.path}; sleep 60", post_build="true"),
            variables={},
            environment={"image": "aws/codebuild/standard:7.0", "privilegedMode": False},
            group="",
            stream="",
            minutes=0.002,
            queued_minutes=5,
            encryption_key="alias/aws/s3",
            initiator="root",
        ),
        region="eu-central-1",
        began=now(),
    )
    log = BuildLog(build, None, MotoState("eu-central-1"))
    Runner(build, s3=None, log=log, engine=Engine(), environment={"AWS_REGION": "eu-central-1"}).run()
    assert build.status == "TIMED_OUT"
    assert failure(build.described())[1:] == ("BUILD_TIMED_OUT", "Build has timed out.")
    assert "POST_BUILD" not in phases(build.described())
    assert pipe.read() == ""


# ── what it may, and what it sees ─────────────────────────────────────────────────────────────────


def test_the_role_of_the_project_limits_what_a_build_may_read(cloud: LocalCloud) -> None:
    upload(cloud, source("theirs"), "others/source.zip")
    location = f"{cloud.outputs['Sources']}/others/source.zip"
    build = built(cloud, spec(build="true"), sourceLocationOverride=location)
    phase, code, message = failure(build)
    assert (phase, code) == ("DOWNLOAD_SOURCE", "CLIENT_ERROR")
    assert "error while downloading key others/source.zip, error: AccessDenied" in message
    assert f"assumed-role/builder/AWSCodeBuild-{build['id'].partition(':')[2]} is not authorized" in message
    assert tuple(phases(build))[-3:] == ("DOWNLOAD_SOURCE", "FINALIZING", "COMPLETED")


def test_a_role_that_may_not_write_its_log_builds_nothing(cloud: LocalCloud) -> None:
    build = built(cloud, spec(build="true"), projectName="mute")
    phase, code, message = failure(build)
    assert (phase, code) == ("QUEUED", "ACCESS_DENIED")
    assert "does not allow AWS CodeBuild to create Amazon CloudWatch Logs log streams" in message
    assert "logs:CreateLogStream" in message
    assert tuple(phases(build)) == ("SUBMITTED", "QUEUED", "COMPLETED")
    assert "groupName" not in build["logs"]


def test_the_commands_call_aws_with_the_rights_of_the_role(cloud: LocalCloud) -> None:
    build = built(cloud, spec(build="aws sts get-caller-identity --query Arn --output text"))
    session = f"AWSCodeBuild-{build['id'].partition(':')[2]}"
    assert printed(cloud, build) == [f"arn:aws:sts::123456789012:assumed-role/builder/{session}"]


def test_a_build_sees_nothing_of_this_machine_but_its_engine_and_the_way_out(
    cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_MACHINE", "s")
    monkeypatch.setenv("HTTPS_PROXY", "http://the.way.out:3128")
    build = built(cloud, spec(build="env -0 | sort -z | tr '\\0' '\\n'"))
    seen = dict(line.partition("=")[::2] for line in printed(cloud, build))
    assert "SECRET_OF_THE_MACHINE" not in seen
    assert seen["AWS_ENDPOINT_URL"] == cloud.url
    assert seen["AWS_ACCESS_KEY_ID"].startswith("ASIA")
    assert seen["HTTPS_PROXY"] == "http://the.way.out:3128"
    assert seen["HOME"] != os.environ["HOME"]
    assert Path(seen["DOCKER_CONFIG"]).parent == Path(seen["HOME"])
    assert seen["CODEBUILD_BUILD_ID"] == build["id"]
    assert seen["CODEBUILD_LOG_PATH"] == build["logs"]["streamName"]
    assert not Path(seen["HOME"]).exists(), "the build's folder goes with it"


def test_without_an_engine_builds_of_images_fail_with_a_clear_word(
    cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    build = built(cloud, spec(build="echo never"), projectName="images")
    assert build["buildStatus"] == "FAILED"
    phase, _, message = failure(build)
    assert phase == "PROVISIONING"
    assert "no Docker Engine answers" in message


@pytest.mark.parametrize(
    ("content", "found"),
    [(b"no zip at all", "not a zip file"), (source("x", link__below="y"), "no zip that can be unpacked")],
)
def test_a_source_that_cannot_be_unpacked_fails_the_download(
    cloud: LocalCloud, content: bytes, found: str
) -> None:
    upload(cloud, content, "may/wrong.zip")
    location = f"{cloud.outputs['Sources']}/may/wrong.zip"
    build = built(cloud, spec(build="true"), sourceLocationOverride=location)
    phase, code, message = failure(build)
    assert (phase, code) == ("DOWNLOAD_SOURCE", "CLIENT_ERROR")
    assert found in message


def test_no_name_in_a_source_leads_out_of_it(cloud: LocalCloud) -> None:
    upload(cloud, source("x", **{"..__..__outside": "y"}), "may/leading-out.zip")
    location = f"{cloud.outputs['Sources']}/may/leading-out.zip"
    build = built(cloud, spec(build="ls; ls .."), sourceLocationOverride=location)
    here = ["greeting", "link", "outside", "run.sh"]
    assert printed(cloud, build)[: len(here)] == here
    assert "outside" not in printed(cloud, build)[len(here) :]


# ── how it is told ────────────────────────────────────────────────────────────────────────────────


def test_a_build_is_told_of_by_events_as_codebuild_sends_them(cloud: LocalCloud) -> None:
    version = upload(cloud, source("hello"))
    build = built(cloud, spec(build="OUT=x; false"), sourceVersion=version)
    sent = [event for event in cloud.events_seen if event["resources"] == [build["arn"]]]
    assert [event["detail"]["build-status"] for event in sent] == ["IN_PROGRESS", "FAILED"]
    assert sent[0]["detail"]["current-phase"] == "SUBMITTED"
    told = sent[-1]["detail"]
    more = told["additional-information"]
    assert (told["project-name"], told["build-id"]) == ("shell", build["arn"])
    assert (told["current-phase"], told["current-phase-context"]) == ("COMPLETED", "[]")
    assert more["logs"]["stream-name"] == build["logs"]["streamName"]
    assert more["exported-environment-variables"] == [{"name": "OUT", "value": "x"}]
    (failed,) = [phase for phase in more["phases"] if phase.get("phase-status") == "FAILED"]
    assert failed["phase-context"] == [": ".join(failure(build)[1:])]
    began = dt.datetime.strptime(more["build-start-time"], "%b %d, %Y %I:%M:%S %p").replace(tzinfo=dt.UTC)
    assert began == build["startTime"].replace(microsecond=0)

    recorded = json.loads((ROOT / "events/build_finished/failed.json").read_text())["detail"]
    assert set(told) == set(recorded)
    recorded = recorded["additional-information"]
    assert set(more) >= set(recorded)
    for part in ("environment", "logs", "source"):
        assert set(more[part]) >= set(recorded[part]), part
    assert set(more["phases"][0]) == set(recorded["phases"][0])


def test_the_builds_of_a_project_are_listed_newest_first(cloud: LocalCloud) -> None:
    first, second = (built(cloud, spec(build="true")) for _ in range(2))
    codebuild = cloud.client("codebuild")
    assert codebuild.list_builds_for_project(projectName="shell")["ids"][:2] == [second["id"], first["id"]]
    oldest = codebuild.list_builds_for_project(projectName="shell", sortOrder="ASCENDING")["ids"]
    assert oldest[-2:] == [first["id"], second["id"]]
    assert (first["buildNumber"] + 1, oldest[0]) == (second["buildNumber"], oldest[0])
    answer = codebuild.batch_get_builds(ids=[first["id"], "shell:none"])
    assert [build["id"] for build in answer["builds"]] == [first["id"]]
    assert answer["buildsNotFound"] == ["shell:none"]


def test_projects_are_described(cloud: LocalCloud) -> None:
    answer = cloud.client("codebuild").batch_get_projects(names=["images", "other"])
    (project,) = answer["projects"]
    assert project["arn"].endswith(":project/images")
    assert project["environment"]["privilegedMode"] is True
    assert answer["projectsNotFound"] == ["other"]


# ── what is refused ───────────────────────────────────────────────────────────────────────────────


def test_one_token_starts_one_build(cloud: LocalCloud) -> None:
    first, second = (built(cloud, spec(build="true"), idempotencyToken="once") for _ in range(2))
    assert first["id"] == second["id"]
    with pytest.raises(ClientError, match=r"InvalidInputException.*idempotency token"):
        started(cloud, spec(build="false"), idempotencyToken="once")


def test_a_project_builds_no_more_at_a_time_than_it_may(cloud: LocalCloud, begun: Path) -> None:
    waits = spec(build=f"echo begun > {begun}; sleep 60")
    first = started(cloud, waits, projectName="one-at-a-time")
    begun.read_text()
    with pytest.raises(ClientError, match=r"AccountLimitExceededException.*more than 1 active build"):
        started(cloud, waits, projectName="one-at-a-time")
    cloud.client("codebuild").stop_build(id=first["id"])
    ended(cloud, first)
    assert built(cloud, spec(build="true"), projectName="one-at-a-time")["buildStatus"] == "SUCCEEDED"


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ({"projectName": "none"}, "ResourceNotFoundException.*project/none"),
        ({"sourceTypeOverride": "GITHUB"}, "501|A source of type GITHUB"),
        ({"sourceLocationOverride": "bucket"}, "InvalidInputException.*no bucket and key"),
        ({"artifactsOverride": {"type": "NO_ARTIFACTS"}}, "artifactsOverride of StartBuild"),
        (
            {"environmentVariablesOverride": [{"name": "A", "value": "/a", "type": "PARAMETER_STORE"}]},
            "not of type PLAINTEXT",
        ),
    ],
)
def test_a_build_that_cannot_be_is_refused(cloud: LocalCloud, more: Mapping[str, Any], found: str) -> None:
    with pytest.raises(ClientError, match=found):
        started(cloud, spec(build="true"), **more)


def test_what_is_not_simulated_is_refused(cloud: LocalCloud) -> None:
    codebuild = cloud.client("codebuild")
    with pytest.raises(ClientError, match="DeleteProject is not simulated"):
        codebuild.delete_project(name="shell")
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        codebuild.stop_build(id="shell:none")
    with pytest.raises(ClientError, match="InvalidInputException"):
        codebuild.list_builds_for_project(projectName="shell", nextToken="x")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{", "no YAML"),
        ("[]", "is no mapping"),
        ("version: 0.1", "version is 0.1"),
        ("version: 0.2", "has no phases"),
        ("version: 0.2\nbatch: {}", "has batch"),
        ("version: 0.2\nphases: {build: {commands: []}}", "phases.build has no commands"),
        ("version: 0.2\nphases: {build: {commands: make}}", "phases.build.commands is no list"),
        ("version: 0.2\nphases: {build: {commands: [a: b]}}", "has what is no text"),
        ("version: 0.2\nenv: {shell: powershell}", "env.shell is powershell"),
        ("version: 0.2\nenv: {variables: [A]}", "env.variables is no mapping"),
        ("version: 0.2\nphases: {build: {commands: [a], on-failure: RETRY}}", "on-failure is RETRY"),
        ("version: 0.1\nenv: {shell: zsh}\nbatch: {}", "batch.*version is 0.1.*no phases.*zsh"),
    ],
)
def test_a_buildspec_that_is_not_carried_out_here_is_refused(text: str, found: str) -> None:
    with pytest.raises(BuildspecError, match=found):
        read(text)


def test_a_wrong_buildspec_fails_the_download(cloud: LocalCloud) -> None:
    build = built(cloud, "version: 0.2\nbatch: {}")
    assert failure(build)[:2] == ("DOWNLOAD_SOURCE", "YAML_FILE_ERROR")
    assert "batch" in failure(build)[2]


def test_the_stacks_own_buildspec_is_one_that_is_carried_out_here() -> None:
    known = read((ROOT / "layers/core/modelgate/builds/buildspec.yaml").read_text())
    assert known.exported == ("IMAGE_DIGEST",)
    assert set(known.phases) == {"PRE_BUILD", "BUILD", "POST_BUILD"}
