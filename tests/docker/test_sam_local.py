"""The functions in SAM CLI's containers: each with each recorded event, and the chain with all of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from build import build_if_outdated
from examples.iris.demo import FLOWERS, pack_tree
from examples.iris.train import train
from localcloud import LocalCloud
from localcloud.sam import cli
from sam_local import TEMPLATE, invoke, logical_id

ROOT = Path(__file__).parents[2]
CASES = sorted(case for case in ROOT.glob("events/*/*.json") if case.parent.name != "nobody")
# Each is a second of one processor, and as long of waiting for the engine.
AT_A_TIME = 2
GROUP = "iris"

# The fixtures do most of the work, and count as the first test's.
pytestmark = pytest.mark.timeout(300)


@dataclass(frozen=True)
class Outcome:
    """What came of an invocation: a result, or the type of an error."""

    result: Any = None
    error: str | None = None


def folder_of(case: Path) -> str:
    return case.parent.name


def called(case: Path) -> str:
    return f"{folder_of(case)}/{case.stem}"


@pytest.fixture(scope="module")
def in_this_process() -> dict[Path, Outcome]:
    """What comes of each event in an empty local cloud."""
    with LocalCloud(TEMPLATE) as cloud:
        outcomes = {}
        for case in CASES:
            invocation = cloud.invoke(logical_id(folder_of(case)), json.loads(case.read_text()))
            cloud.settle()
            error = invocation.error
            outcomes[case] = (
                Outcome(invocation.result) if error is None else Outcome(error=error["errorType"])
            )
        return outcomes


@pytest.fixture(scope="module")
def cloud(in_this_process: dict[Path, Outcome]) -> Iterator[LocalCloud]:  # noqa: ARG001 - one at a time
    """A local cloud whose own functions run in containers too."""
    build_if_outdated()
    with LocalCloud(TEMPLATE, handlers="sam") as cloud:
        yield cloud


@pytest.fixture(scope="module")
def in_containers(cloud: LocalCloud) -> Iterator[dict[Path, Future[Outcome]]]:
    """What comes of each event by `sam local invoke`; those of one function in their order, as above."""

    def run(case: Path) -> Outcome:
        payload = json.loads(invoke(folder_of(case), case, cloud.url))
        return Outcome(error=payload["errorType"]) if cli.is_failure(payload) else Outcome(payload)

    def run_all(cases: list[Path]) -> None:
        for case in cases:
            try:
                outcomes[case].set_result(run(case))
            except Exception as error:  # noqa: BLE001 - its test raises it
                outcomes[case].set_exception(error)

    outcomes: dict[Path, Future[Outcome]] = {case: Future() for case in CASES}
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        for _, cases in groupby(CASES, folder_of):
            pool.submit(run_all, list(cases))
        yield outcomes


@pytest.mark.parametrize("case", CASES, ids=called)
def test_sam_local_invoke_comes_to_what_the_function_comes_to_in_this_process(
    case: Path, in_this_process: dict[Path, Outcome], in_containers: dict[Path, Future[Outcome]]
) -> None:
    assert in_containers[case].result(timeout=120) == in_this_process[case]


def test_every_function_has_been_invoked(cloud: LocalCloud) -> None:
    functions = {each["FunctionName"] for each in cloud.client("lambda").list_functions()["Functions"]}
    assert {cloud.function(logical_id(folder_of(case))).name for case in CASES} == functions


def test_from_a_submission_to_a_prediction_with_every_handler_in_a_container(
    cloud: LocalCloud, tmp_path: Path
) -> None:
    s3, sagemaker = cloud.client("s3"), cloud.client("sagemaker")
    before = len(cloud.invocations)
    bucket = cloud.outputs["Bucket"]
    s3.upload_file(str(ROOT / "examples" / "iris" / "policy.yaml"), bucket, f"policies/{GROUP}.yaml")
    cloud.settle()

    packed = pack_tree(train(4, tmp_path), 4, tmp_path / "submission")
    for file in packed.files:
        s3.upload_file(str(file), bucket, f"models/{GROUP}/depth-4/{file.name}")
    cloud.settle()
    (version,) = sagemaker.list_model_packages(ModelPackageGroupName=GROUP)["ModelPackageSummaryList"]
    assert version["ModelApprovalStatus"] == "PendingManualApproval"

    sagemaker.update_model_package(ModelPackageArn=version["ModelPackageArn"], ModelApprovalStatus="Approved")
    cloud.settle(60)
    assert sagemaker.describe_endpoint(EndpointName=GROUP)["EndpointStatus"] == "InService"
    for flower, species in FLOWERS.items():
        answer = cloud.client("sagemaker-runtime").invoke_endpoint(
            EndpointName=GROUP, ContentType="text/csv", Accept="application/json", Body=flower
        )
        assert species in answer["Body"].read().decode()

    told = [event["detail-type"] for event in cloud.events_seen if event["source"] == "modelgate"]
    assert told[-3:] == ["Policy Accepted", "Model Registered", "Release Live"]
    ran = cloud.invocations[before:]
    assert {each.function for each in ran} >= {
        "PolicyUploaded",
        "ModelUploaded",
        "ApprovalChanged",
        "EndpointChanged",
    }
    assert [each.error for each in ran] == [None] * len(ran)


def test_what_a_function_logs_in_its_container_is_in_its_log_group(cloud: LocalCloud) -> None:
    case = ROOT / "events" / "endpoint_changed" / "in_service.json"
    event = json.loads(case.read_text())
    invocation = cloud.invoke("EndpointChanged", event)
    lines = [json.loads(line) for line in invocation.logs]
    assert [line["type"] for line in (lines[0], lines[-1])] == ["platform.start", "platform.report"]
    assert event["id"] in {line.get("correlation_id") for line in lines}
    group = cloud.function("EndpointChanged").log_group
    kept = cloud.client("logs").filter_log_events(logGroupName=group)["events"]
    assert [each["message"] for each in kept][-len(lines) :] == list(invocation.logs)


def test_an_event_of_another_shape_is_tried_three_times_and_ends_in_the_queue(cloud: LocalCloud) -> None:
    function = cloud.function("EndpointChanged")
    event = {"id": "1", "source": "aws.s3", "detail": {}}
    cloud.client("lambda").invoke(
        FunctionName=function.name, InvocationType="Event", Payload=json.dumps(event)
    )
    cloud.settle()
    assert [each.attempt for each in cloud.invocations if each.event == event] == [1, 2, 3]
    queue = cloud.outputs["FailedInvocationsQueue"]
    (message,) = cloud.client("sqs").receive_message(QueueUrl=queue)["Messages"]
    record = json.loads(message["Body"])
    assert record["requestPayload"] == event
    assert record["responsePayload"]["errorType"] == "ValidationError"
    assert record["responsePayload"]["stackTrace"]
