"""CodeBuild in the local cloud: phases, the shell, what a failure looks like, and who may do what.

Builds of images need a Docker Engine, and are in tests/docker. These projects run a shell only.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud import LocalCloud
from localcloud.codebuild.buildspec import BuildspecError, read

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
      AssumeRolePolicyDocument:
        Version: "2012-10-17"
        Statement: [{Effect: Allow, Principal: {Service: codebuild.amazonaws.com}, Action: sts:AssumeRole}]
      Policies:
        - PolicyName: read
          PolicyDocument:
            Version: "2012-10-17"
            Statement:
              - Effect: Allow
                Action: [s3:GetObject, s3:GetObjectVersion]
                Resource: !Sub "${Sources.Arn}/may/*"
  Shell:
    Type: AWS::CodeBuild::Project
    Properties: &Project
      Name: shell
      ServiceRole: !GetAtt Role.Arn
      Source: {Type: NO_SOURCE, BuildSpec: "version: 0.2"}
      Artifacts: {Type: NO_ARTIFACTS}
      Environment:
        Type: LINUX_CONTAINER
        ComputeType: BUILD_GENERAL1_SMALL
        Image: aws/codebuild/standard:7.0
  Images:
    Type: AWS::CodeBuild::Project
    Properties:
      <<: *Project
      Name: images
      Environment:
        Type: LINUX_CONTAINER
        ComputeType: BUILD_GENERAL1_SMALL
        Image: aws/codebuild/standard:7.0
        PrivilegedMode: true
Outputs:
  Sources: {Value: !Ref Sources}
"""


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    template = tmp_path_factory.mktemp("builds") / "template.yaml"
    template.write_text(TEMPLATE)
    with LocalCloud(template) as cloud:
        upload(cloud)
        yield cloud


def upload(cloud: LocalCloud, key: str = "may/source.zip", text: str = "first") -> str:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("greeting", text)
        script = zipfile.ZipInfo("run.sh")
        script.external_attr = 0o100755 << 16
        archive.writestr(script, "#!/bin/sh\necho ran\n")
    s3 = cloud.client("s3")
    answer = s3.put_object(Bucket=cloud.outputs["Sources"], Key=key, Body=content.getvalue())
    return str(answer["VersionId"])


def start(cloud: LocalCloud, spec: str, **more: Any) -> dict[str, Any]:
    """A build that has come to its end."""
    told = {
        "projectName": "shell",
        "sourceTypeOverride": "S3",
        "sourceLocationOverride": f"{cloud.outputs['Sources']}/may/source.zip",
        "buildspecOverride": spec,
    }
    codebuild = cloud.client("codebuild")
    started = codebuild.start_build(**{**told, **more})["build"]
    cloud.settle()
    (build,) = codebuild.batch_get_builds(ids=[started["id"]])["builds"]
    return dict(build)


def log_of(cloud: LocalCloud, build: Mapping[str, Any]) -> list[str]:
    where = build["logs"]
    events = cloud.client("logs").get_log_events(
        logGroupName=where["groupName"], logStreamName=where["streamName"], startFromHead=True
    )["events"]
    return [event["message"] for event in events]


def phases(build: Mapping[str, Any]) -> dict[str, str]:
    return {phase["phaseType"]: phase.get("phaseStatus", "") for phase in build["phases"]}


def spec(**phases: str | list[str]) -> str:
    """A buildspec with these commands, and OUT handed on."""
    commands = {
        name: {"commands": [text] if isinstance(text, str) else text} for name, text in phases.items()
    }
    env = {"shell": "bash", "exported-variables": ["OUT"]}
    return json.dumps({"version": "0.2", "env": env, "phases": commands})


def test_a_build_runs_its_phases_in_one_shell_on_exactly_its_source(cloud: LocalCloud) -> None:
    version = upload(cloud, text="this one")
    upload(cloud, text="a later one")
    told = [{"name": "SAID", "value": "a $b 'c'\nd"}]
    commands = spec(
        pre_build=["mkdir deep && cd deep && export OUT=$(cat ../greeting)", "export WHERE=$(basename $PWD)"],
        build='echo "$WHERE: $OUT: $SAID"; ../run.sh',
        post_build='echo "succeeding: $CODEBUILD_BUILD_SUCCEEDING, $CODEBUILD_SOURCE_VERSION"',
    )
    build = start(cloud, commands, sourceVersion=version, environmentVariablesOverride=told)
    assert build["buildStatus"] == "SUCCEEDED"
    assert set(phases(build).values()) == {"SUCCEEDED", ""}
    assert list(phases(build)) == [
        "SUBMITTED",
        "QUEUED",
        "PROVISIONING",
        "DOWNLOAD_SOURCE",
        "INSTALL",
        "PRE_BUILD",
        "BUILD",
        "POST_BUILD",
        "UPLOAD_ARTIFACTS",
        "FINALIZING",
        "COMPLETED",
    ]
    said = [line for line in log_of(cloud, build) if not line.startswith("[Container]")]
    for line in ("deep: this one: a $b 'c'", "d", "ran", f"succeeding: 1, {version}"):
        assert line in said
    assert build["exportedEnvironmentVariables"] == [{"name": "OUT", "value": "this one"}]


def test_what_fails_in_build_runs_post_build_and_fails_the_build(cloud: LocalCloud) -> None:
    build = start(
        cloud, spec(build="echo before; exit 3", post_build='echo "now $CODEBUILD_BUILD_SUCCEEDING"')
    )
    assert build["buildStatus"] == "FAILED"
    assert (phases(build)["BUILD"], phases(build)["POST_BUILD"]) == ("FAILED", "SUCCEEDED")
    (failed,) = [phase for phase in build["phases"] if phase["phaseType"] == "BUILD"]
    (context,) = failed["contexts"]
    assert context["statusCode"] == "COMMAND_EXECUTION_ERROR"
    assert context["message"].endswith("Reason: exit status 3")
    assert "now 0" in log_of(cloud, build)


def test_a_phase_that_aborts_is_the_last_one(cloud: LocalCloud) -> None:
    content = json.loads(spec(build="false", post_build="echo never"))
    content["phases"]["build"]["on-failure"] = "ABORT"
    build = start(cloud, json.dumps(content))
    assert build["buildStatus"] == "FAILED"
    assert "POST_BUILD" not in phases(build)


def test_what_fails_before_ends_the_build(cloud: LocalCloud) -> None:
    build = start(cloud, spec(pre_build="false", build="echo never"))
    assert build["buildStatus"] == "FAILED"
    assert "BUILD" not in phases(build)
    assert "never" not in log_of(cloud, build)


def test_the_builds_of_a_project_are_told_of_by_events(cloud: LocalCloud) -> None:
    build = start(cloud, spec(build="true"))
    events = [event for event in cloud.events_seen if event["resources"] == [build["arn"]]]
    assert [event["detail"]["build-status"] for event in events] == ["IN_PROGRESS", "SUCCEEDED"]
    told = events[-1]["detail"]
    assert (told["project-name"], told["build-id"]) == ("shell", build["arn"])
    assert told["additional-information"]["logs"]["stream-name"] == build["logs"]["streamName"]
    listed = cloud.client("codebuild").list_builds_for_project(projectName="shell")["ids"]
    assert listed[0] == build["id"]


def test_the_role_of_the_project_limits_what_a_build_may_read(cloud: LocalCloud) -> None:
    upload(cloud, "others/source.zip")
    location = f"{cloud.outputs['Sources']}/others/source.zip"
    build = start(cloud, spec(build="true"), sourceLocationOverride=location)
    assert phases(build)["DOWNLOAD_SOURCE"] == "FAILED"
    assert "the source cannot be had" in build["phases"][3]["contexts"][0]["message"]


def test_a_build_sees_nothing_of_this_machine_but_its_engine_and_the_way_out(
    cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_MACHINE", "s")
    build = start(cloud, spec(build="env | sort"))
    said = log_of(cloud, build)
    assert not any("SECRET_OF_THE_MACHINE" in line for line in said)
    assert f"AWS_ENDPOINT_URL={cloud.url}" in said
    assert any(line.startswith("AWS_ACCESS_KEY_ID=ASIA") for line in said)


def test_one_token_starts_one_build(cloud: LocalCloud) -> None:
    first, second = (start(cloud, spec(build="true"), idempotencyToken="once") for _ in range(2))
    assert first["id"] == second["id"]
    with pytest.raises(ClientError, match="idempotency token"):
        start(cloud, spec(build="false"), idempotencyToken="once")


def test_a_build_can_be_stopped_and_runs_out_of_time(cloud: LocalCloud) -> None:
    codebuild = cloud.client("codebuild")
    started = codebuild.start_build(
        projectName="shell",
        sourceTypeOverride="S3",
        sourceLocationOverride=f"{cloud.outputs['Sources']}/may/source.zip",
        buildspecOverride=spec(build="sleep 60"),
    )["build"]
    codebuild.stop_build(id=started["id"])
    cloud.settle()
    (build,) = codebuild.batch_get_builds(ids=[started["id"]])["builds"]
    assert build["buildStatus"] == "STOPPED"
    assert build["buildComplete"] is True


def test_without_an_engine_builds_of_images_fail_with_a_clear_word(
    cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    build = start(cloud, spec(build="echo never"), projectName="images")
    assert build["buildStatus"] == "FAILED"
    (failed,) = [phase for phase in build["phases"] if phase.get("phaseStatus") == "FAILED"]
    assert failed["phaseType"] == "PROVISIONING"
    assert "no Docker Engine answers" in failed["contexts"][0]["message"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{", "no YAML"),
        ("[]", "is no mapping"),
        ("version: 0.1", "version is 0.1"),
        ("version: 0.2\nbatch: {}", "batch, which the local cloud does not carry out"),
        ("version: 0.2\nphases: {build: {commands: []}}", "phases.build has no commands"),
        ("version: 0.2\nenv: {shell: powershell}", "env.shell is powershell"),
        ("version: 0.2\nphases: {build: {commands: [a], on-failure: RETRY}}", "on-failure is RETRY"),
    ],
)
def test_a_buildspec_that_is_not_carried_out_here_is_refused(text: str, found: str) -> None:
    with pytest.raises(BuildspecError, match=found):
        read(text)


def test_the_stacks_own_buildspec_is_one_that_is_carried_out_here() -> None:
    path = Path(__file__).parents[2] / "layers/core/modelgate/builds/buildspec.yaml"
    known = read(path.read_text())
    assert known.exported == ("IMAGE_DIGEST",)
    assert {name for name, phase in known.phases.items() if phase.commands} == {
        "PRE_BUILD",
        "BUILD",
        "POST_BUILD",
    }
