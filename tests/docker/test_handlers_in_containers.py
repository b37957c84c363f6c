"""Lambda as the containers of `sam local start-lambda` have it, beside Lambda as this process has it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import docker
import pytest

from localcloud import Invocation, LocalCloud, LocalCloudError
from tests.integration.test_local_cloud_small_stack import TEMPLATE, messages, small_stack

WORKER = """
import os, sys, time
import boto3

def handler(event, context):
    how = event["how"]
    print("asked to", how)
    if how == "raise":
        raise ValueError("no such colour")
    if how == "exit":
        sys.exit(4)
    if how == "sleep":
        time.sleep(2.5)
    if how == "say who":
        return boto3.client("sts").get_caller_identity()["Arn"]
    if how == "list":
        return boto3.client("s3").list_objects_v2(Bucket=event["bucket"])["KeyCount"]
    if how == "tell variables":
        return {name: os.environ[name] for name in event["names"]}
    if how == "return nothing":
        return None
    return {"did": how}
"""
ELSEWHERE = {"COLOUR": "red", "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
WAYS = ["return", "return nothing", "raise", "exit", "sleep"]
# What a time-out is told with differs by how the second is written.
SHORT = TEMPLATE.replace("Worker: {Seconds: 30}", "Worker: {Seconds: 1}")


def build(folder: Path) -> None:
    """What `sam build` leaves behind, for the small stack."""
    built = folder / ".aws-sam" / "build"
    (built / "Worker").mkdir(parents=True)
    (built / "Worker" / "app.py").write_text(WORKER)
    (built / "template.yaml").write_text(SHORT.replace("CodeUri: worker/", "CodeUri: Worker"))
    # The stack's files are written again when it starts.
    ahead = time.time() + 60
    os.utime(built / "template.yaml", (ahead, ahead))


def ask(cloud: LocalCloud, how: str, **more: object) -> Invocation:
    return cloud.invoke("Worker", {"how": how, **more})


def containers() -> list[str]:
    client = docker.from_env()
    try:
        found = client.containers.list(all=True, filters={"label": "sam.cli.function.name=Worker"})
        return [str(each.id) for each in found]
    finally:
        client.close()


@pytest.fixture(scope="module")
def in_this_process(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Invocation]:
    with small_stack(tmp_path_factory.mktemp("process"), WORKER, SHORT) as cloud:
        return {how: ask(cloud, how) for how in WAYS}


@pytest.fixture(scope="module")
def cloud(
    in_this_process: dict[str, Invocation],  # noqa: ARG001 - one local cloud at a time
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[LocalCloud]:
    folder = tmp_path_factory.mktemp("containers")
    build(folder)
    with pytest.MonkeyPatch.context() as shell:
        # Of SAM CLI's own rules, what stands in the shell is stronger than the template.
        for name, value in ELSEWHERE.items():
            shell.setenv(name, value)
        with small_stack(folder, WORKER, SHORT, handlers="sam") as cloud:
            yield cloud
    assert containers() == []


@pytest.mark.parametrize("how", WAYS)
def test_a_handler_ends_in_its_container_as_in_this_process(
    cloud: LocalCloud, in_this_process: dict[str, Invocation], how: str
) -> None:
    here, there = in_this_process[how], ask(cloud, how)
    assert there.result == here.result
    assert (there.error or {}).get("errorType") == (here.error or {}).get("errorType")
    assert f"asked to {how}" in there.logs
    assert set(there.error or {}) >= {"errorType", "errorMessage", "stackTrace"} or there.error is None


def test_after_a_death_and_a_time_out_the_container_goes_on(cloud: LocalCloud) -> None:
    ask(cloud, "exit")
    ask(cloud, "sleep")
    assert ask(cloud, "return").result == {"did": "return"}
    assert len(containers()) == 1


def test_a_function_has_the_rights_of_its_role_and_no_others(cloud: LocalCloud) -> None:
    worker = cloud.function("Worker")
    assert (
        ask(cloud, "say who").result == f"arn:aws:sts::123456789012:assumed-role/{worker.role}/{worker.name}"
    )
    refused = ask(cloud, "list", bucket=cloud.outputs["Inbox"]).error
    assert refused is not None
    assert "is not authorized to perform: s3:ListBucket" in refused["errorMessage"]


def test_a_variable_of_the_shell_is_not_the_functions(cloud: LocalCloud) -> None:
    told = ask(cloud, "tell variables", names=["COLOUR", "STACK", "AWS_LAMBDA_LOG_GROUP_NAME"]).result
    assert told == {"COLOUR": "green", "STACK": "small", "AWS_LAMBDA_LOG_GROUP_NAME": "/small/worker"}


def test_the_calls_of_a_container_meet_the_faults_of_its_function(cloud: LocalCloud) -> None:
    cloud.faults.refuse("sts:GetCallerIdentity", "Tired", function="Worker")
    refused = ask(cloud, "say who").error
    assert refused is not None
    assert "(Tired)" in refused["errorMessage"]
    with pytest.raises(LocalCloudError, match="handlers run in containers"):
        cloud.faults.die("sts:GetCallerIdentity")


def test_events_wait_for_the_one_container_and_each_has_its_own_log(cloud: LocalCloud) -> None:
    ways: list[Any] = ["first", "second"]
    with ThreadPoolExecutor(len(ways)) as pool:
        ran = list(pool.map(lambda how: ask(cloud, how), ways))
    assert [each.result for each in ran] == [{"did": how} for how in ways]
    for how, each in zip(ways, ran, strict=True):
        assert [line for line in each.logs if line.startswith("asked")] == [f"asked to {how}"]
    assert len(containers()) == 1


def test_what_fails_to_the_end_is_in_the_queue_after_three_attempts(cloud: LocalCloud) -> None:
    name = cloud.function("Worker").name
    cloud.client("lambda").invoke(FunctionName=name, InvocationType="Event", Payload=b'{"how": "raise"}')
    cloud.settle()
    attempts = [each.attempt for each in cloud.invocations if each.event == {"how": "raise"}]
    assert attempts[-3:] == [1, 2, 3]
    (message,) = messages(cloud, "Failed")
    assert '"errorType": "ValueError"' in message["Body"]
