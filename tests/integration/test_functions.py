"""Each function takes every event that is recorded for it, as `sam local invoke -e` would hand it over."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from localcloud import LocalCloud
from modelgate import settings

ROOT = Path(__file__).parents[2]
FUNCTIONS = {
    "model_uploaded": "ModelUploaded",
    "approval_changed": "ApprovalChanged",
    "endpoint_changed": "EndpointChanged",
    "smoke_test_answered": "SmokeTestAnswered",
    "policy_uploaded": "PolicyUploaded",
    "sweep_due": "SweepDue",
    "instruction_given": "InstructionGiven",
}
CASES = sorted(case for folder in FUNCTIONS for case in ROOT.glob(f"events/{folder}/*.json"))


@pytest.fixture(scope="module")
def cloud() -> Iterator[LocalCloud]:
    with LocalCloud(ROOT / "template.yaml") as cloud:
        yield cloud


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}/{case.stem}")
def test_a_recorded_event_is_handled(cloud: LocalCloud, case: Path) -> None:
    invocation = cloud.invoke(FUNCTIONS[case.parent.name], json.loads(case.read_text()))
    assert invocation.error is None
    assert json.loads(json.dumps(invocation.result)) == invocation.result


def test_a_log_line_carries_the_id_of_its_event(cloud: LocalCloud) -> None:
    case = ROOT / "events" / "endpoint_changed" / "in_service.json"
    event = json.loads(case.read_text())
    invocation = cloud.invoke("EndpointChanged", event)
    lines = [json.loads(line) for line in invocation.logs if line.startswith("{")]
    assert event["id"] in {line.get("correlation_id") for line in lines}
    assert any(line.get("service") == "endpoint_changed" and "_aws" in line for line in lines)


def test_an_event_of_another_shape_fails_loudly(cloud: LocalCloud) -> None:
    invocation = cloud.invoke("EndpointChanged", {"id": "1", "source": "aws.s3", "detail": {}})
    assert invocation.error is not None
    assert "ValidationError" in json.dumps(invocation.error)


def test_a_function_without_its_environment_says_which_variables_are_missing() -> None:
    with pytest.raises(RuntimeError, match=r"MODELGATE_BUCKET is missing, or empty; MODELGATE_TABLE"):
        settings.read(settings.FunctionSettings, {"MODELGATE_STACK": "modelgate"})
