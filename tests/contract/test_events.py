"""Every recorded event parses with its model and starts exactly the function that it is meant for.

The patterns are read from template.yaml, and matched as EventBridge matches them. A function without any is
invoked by the `modelgate` command: no event starts it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from moto.events.models import EventPattern
from pydantic import BaseModel, ValidationError
from samtranslator.yaml_helper import yaml_parse

from modelgate.events import Envelope
from modelgate.events.cloudtrail import StudioCalled
from modelgate.events.codebuild import BuildStateChange
from modelgate.events.ecr import ImageScanned
from modelgate.events.own import ImagePublished, InspectionPaused, Instruction
from modelgate.events.s3 import ObjectChanged, ObjectCreated
from modelgate.events.sagemaker import (
    EndpointStateChange,
    ModelPackageStateChange,
    TrainingJobStateChange,
    TransformJobStateChange,
)
from modelgate.events.schedule import SweepDue

ROOT = Path(__file__).parents[2]
INTAKE = "modelgate-intake-123456789012"
NAMES = {"Intake": INTAKE, "Builder": "modelgate-images"}
MODELS: dict[str, type[BaseModel]] = {
    "source_uploaded": ObjectCreated,
    "build_finished": BuildStateChange,
    "image_scanned": ImageScanned,
    "model_uploaded": ObjectCreated,
    "inspection_paused": InspectionPaused,
    "approval_changed": ModelPackageStateChange,
    "endpoint_changed": EndpointStateChange,
    "smoke_test_answered": ObjectCreated,
    "policy_uploaded": ObjectCreated,
    "sweep_due": SweepDue,
    "instruction_given": Instruction,
    "training_requested": ObjectCreated,
    "training_finished": TrainingJobStateChange,
    "image_published": ImagePublished,
    "transform_requested": ObjectCreated,
    "transform_finished": TransformJobStateChange,
    "studio_requested": ObjectChanged,
    "studio_changed": StudioCalled,
}
# What the rule of a schedule sends; it has no pattern.
SCHEDULED = {"source": ["aws.events"], "detail-type": ["Scheduled Event"]}
CASES = sorted(ROOT.glob("events/*/*.json"))


def _patterns() -> dict[str, list[dict[str, Any]]]:
    """For each function's folder, the patterns of its rules."""
    resources = yaml_parse((ROOT / "template.yaml").read_text())["Resources"]
    patterns: dict[str, list[dict[str, Any]]] = {}
    for resource in resources.values():
        if resource["Type"] == "AWS::Serverless::Function":
            folder = Path(resource["Properties"]["CodeUri"]).name
            rules = resource["Properties"].get("Events", {}).values()
            patterns[folder] = [_pattern(rule) for rule in rules]
    return patterns


def _pattern(rule: Any) -> Any:
    return SCHEDULED if rule["Type"] == "Schedule" else _resolved(rule["Properties"]["Pattern"])


def _resolved(pattern: Any) -> Any:
    if isinstance(pattern, dict):
        if "Ref" in pattern:
            return NAMES[pattern["Ref"]]
        return {key: _resolved(value) for key, value in pattern.items()}
    return [_resolved(each) for each in pattern] if isinstance(pattern, list) else pattern


PATTERNS = _patterns()


def _started_by(event: Any) -> set[str]:
    return {
        function
        for function, patterns in PATTERNS.items()
        if any(EventPattern.load(json.dumps(pattern)).matches_event(event) for pattern in patterns)
    }


def _name(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


@pytest.mark.parametrize("case", CASES, ids=_name)
def test_an_event_starts_exactly_the_function_it_is_meant_for(case: Path) -> None:
    meant = case.parent.name
    assert _started_by(json.loads(case.read_text())) == ({meant} if PATTERNS.get(meant) else set())


@pytest.mark.parametrize("case", [case for case in CASES if case.parent.name in MODELS], ids=_name)
def test_an_event_parses_with_its_functions_model(case: Path) -> None:
    event = MODELS[case.parent.name].model_validate_json(case.read_text())
    if isinstance(event, Envelope):
        assert event.account == "123456789012"
        assert event.time.year == 2026


def test_every_function_has_a_folder_events_and_a_model() -> None:
    folders = {path.name for path in (ROOT / "functions").iterdir() if path.is_dir()}
    assert folders == set(PATTERNS) == set(MODELS)
    assert {case.parent.name for case in CASES} == {*MODELS, "nobody"}


def test_only_the_command_gives_instructions() -> None:
    assert [function for function, patterns in PATTERNS.items() if not patterns] == ["instruction_given"]


@pytest.mark.parametrize(
    "instruction",
    [
        {"instruction": "destroy", "group": "iris"},
        {"instruction": "pin", "group": "iris"},
        {"instruction": "freeze", "group": "iris", "version": 2},
        {"instruction": "freeze", "group": "no/group"},
    ],
)
def test_an_instruction_that_makes_no_sense_is_refused(instruction: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Instruction.model_validate(instruction)


def _read(case: str) -> str:
    return (ROOT / "events" / f"{case}.json").read_text()


def test_a_key_is_taken_as_it_is() -> None:
    event = ObjectCreated.model_validate_json(_read("model_uploaded/key_that_looks_encoded"))
    assert event.key == "models/iris/größer als+50%20/manifest.yaml"


@pytest.mark.parametrize(
    ("case", "decision"),
    [
        ("approved", True),
        ("rejected", True),
        ("registered", True),
        ("created_approved", True),
        ("edited_while_approved", False),
        ("stage_changed_while_approved", False),
    ],
)
def test_an_edit_of_an_approved_package_is_told_from_a_decision(case: str, decision: bool) -> None:
    event = ModelPackageStateChange.model_validate_json(_read(f"approval_changed/{case}"))
    assert event.is_decision is decision


@pytest.mark.parametrize(
    ("case", "status"),
    [
        ("in_service", "InService"),
        ("failed", "Failed"),
        ("out_of_service", "OutOfService"),
        ("update_rollback_failed", "UpdateRollbackFailed"),
    ],
)
def test_an_endpoints_status_is_spelled_as_the_api_spells_it(case: str, status: str) -> None:
    event = EndpointStateChange.model_validate_json(_read(f"endpoint_changed/{case}"))
    assert event.detail.status == status


def test_tags_may_come_as_a_list_or_as_a_map() -> None:
    tags = [
        EndpointStateChange.model_validate_json(_read(f"endpoint_changed/{case}")).detail.tags
        for case in ("in_service", "failed")
    ]
    assert tags == [{"modelgate:stack": "modelgate"}] * 2


@pytest.mark.parametrize(
    ("case", "domain_id", "domain_name"),
    [
        ("profile_changed_by_hand", "d-abcdefghijkl", ""),
        ("domain_made", "d-abcdefghijkl", "research"),
        ("profile_untagged", "d-abcdefghijkl", ""),
    ],
)
def test_a_call_of_studio_tells_its_domain(case: str, domain_id: str, domain_name: str) -> None:
    called = StudioCalled.model_validate_json(_read(f"studio_changed/{case}"))
    assert (called.domain_id, called.domain_name) == (domain_id, domain_name)


def test_a_call_of_studio_tells_whose_role_called() -> None:
    told = json.loads(_read("studio_changed/space_deleted"))
    assert StudioCalled.model_validate(told).role == "admin"
    told["detail"]["userIdentity"] = {"type": "Root", "arn": "arn:aws:iam::123456789012:root"}
    assert StudioCalled.model_validate(told).role == ""


def test_a_call_of_studio_without_any_elements_tells_nothing() -> None:
    told = json.loads(_read("studio_changed/space_deleted"))
    told["detail"] |= {"requestParameters": None, "responseElements": None}
    called = StudioCalled.model_validate(told)
    assert (called.domain_id, called.domain_name) == ("", "")
