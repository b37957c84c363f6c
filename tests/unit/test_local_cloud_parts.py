"""The parts of the local cloud that need no cloud around them."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from localcloud import LocalCloudError, NotSettledError, TemplateError
from localcloud.event_input import InputError, target_input
from localcloud.policies import Demand, decide
from localcloud.sagemaker import states
from localcloud.schedule import InFlight, Scheduler
from localcloud.serving import family
from localcloud.template import ResolvedTemplate, read

EVENT = {
    "detail-type": "Extra",
    "time": "2026-01-02T03:04:05Z",
    "detail": {"message": 'say "hi"', "count": 3, "tags": ["a", "b"], "nested": {"deep": True}},
}


def shaped(template: str, **paths: str) -> Any:
    """What an input transformer makes of the event."""
    target = {"InputTransformer": {"InputPathsMap": paths, "InputTemplate": template}}
    return target_input(target, EVENT, "arn:aws:events:x:1:rule/r", "r")


# ── what reaches a target ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("template", "paths", "expected"),
    [
        ('"<what>"', {"what": "$.detail-type"}, "Extra"),
        ('{"n": <n>}', {"n": "$.detail.count"}, {"n": 3}),
        ('{"t": <t>}', {"t": "$.detail-type"}, {"t": "Extra"}),
        ('{"m": "<m>"}', {"m": "$.detail.message"}, {"m": 'say "hi"'}),
        ('{"m": <m>}', {"m": "$.detail.message"}, {"m": 'say "hi"'}),
        ('{"all": <all>}', {"all": "$.detail.nested"}, {"all": {"deep": True}}),
        ('"tags: <tags>"', {"tags": "$.detail.tags"}, 'tags: ["a", "b"]'),
        ('{"first": <first>}', {"first": "$.detail.tags[0]"}, {"first": "a"}),
        ('{"gone": <gone>}', {"gone": "$.detail.gone"}, {"gone": ""}),
        ('{"rule": "<aws.events.rule-name>"}', {}, {"rule": "r"}),
        ('{"event": <aws.events.event.json>}', {}, {"event": EVENT}),
    ],
)
def test_an_input_transformer_fills_its_template(template: str, paths: dict[str, str], expected: Any) -> None:
    assert shaped(template, **paths) == expected


def test_a_template_that_makes_no_json_is_an_error() -> None:
    with pytest.raises(InputError):
        shaped("{<what>}", what="$.detail-type")


def test_a_constant_input_and_an_input_path_take_the_place_of_the_event() -> None:
    assert target_input({"Input": '{"a": 1}'}, EVENT, "", "") == {"a": 1}
    assert target_input({"InputPath": "$.detail.count"}, EVENT, "", "") == 3
    assert target_input({}, EVENT, "", "") == EVENT


# ── policies ──────────────────────────────────────────────────────────────────────────────────────


def policy(**statement: Any) -> str:
    """A policy of one statement that allows everything that it does not limit."""
    return json.dumps({"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*", **statement}})


READ = Demand("s3:GetObject", "arn:aws:s3:::bucket/in/a", {"aws:RequestTag/stack": "dev"})


@pytest.mark.parametrize(
    ("statement", "decision"),
    [
        ({"Action": "s3:Get*"}, "allow"),
        ({"Action": "S3:getobject"}, "allow"),
        ({"Action": "s3:PutObject"}, "implicit deny"),
        ({"NotAction": "s3:PutObject", "Action": "s3:GetObject"}, "allow"),
        ({"Resource": "arn:aws:s3:::bucket/in/*"}, "allow"),
        ({"Resource": ["arn:aws:s3:::bucket/out/*"]}, "implicit deny"),
        ({"Resource": "arn:aws:s3:::BUCKET/in/*"}, "implicit deny"),
        ({"Condition": {"StringEquals": {"aws:RequestTag/stack": "dev"}}}, "allow"),
        ({"Condition": {"StringEquals": {"aws:requesttag/stack": ["prod", "dev"]}}}, "allow"),
        ({"Condition": {"StringEquals": {"aws:ResourceTag/stack": "dev"}}}, "implicit deny"),
        ({"Condition": {"StringEqualsIfExists": {"aws:ResourceTag/stack": "dev"}}}, "allow"),
        ({"Condition": {"StringNotEquals": {"aws:RequestTag/stack": "dev"}}}, "implicit deny"),
        ({"Condition": {"StringNotEquals": {"aws:ResourceTag/stack": "dev"}}}, "allow"),
        ({"Condition": {"StringLike": {"aws:RequestTag/stack": "d?v*"}}}, "allow"),
        ({"Condition": {"Null": {"aws:ResourceTag/stack": "true"}}}, "allow"),
        ({"Condition": {"Null": {"aws:RequestTag/stack": "true"}}}, "implicit deny"),
        ({"Effect": "Deny"}, "explicit deny"),
    ],
)
def test_a_policy_decides(statement: dict[str, Any], decision: str) -> None:
    assert decide([policy(**statement)], READ) == decision


def test_a_denial_wins_wherever_it_stands() -> None:
    assert decide([policy(), policy(Effect="Deny", Action="s3:*")], READ) == "explicit deny"
    assert decide([], READ) == "implicit deny"


# ── templates ─────────────────────────────────────────────────────────────────────────────────────


def resolved(tmp_path: Path, text: str, **parameters: str) -> ResolvedTemplate:
    """A template, read."""
    path = tmp_path / "template.yaml"
    path.write_text(text)
    return read(
        path,
        stack_name="s",
        region="eu-central-1",
        url="http://cloud",
        registry="cloud:5000",
        parameters=parameters,
    )


def test_intrinsic_functions_are_resolved(tmp_path: Path) -> None:
    text = """
Parameters:
  Colour: {Type: String, Default: green}
  Others: {Type: CommaDelimitedList, Default: "red, blue"}
Conditions: {IsGreen: !Equals [!Ref Colour, green], IsNot: !Not [!Condition IsGreen]}
Mappings: {M: {a: {b: 7}}}
Resources:
  Q: {Type: AWS::SQS::Queue, Properties: {QueueName: !Join ["-", [!Ref AWS::StackName, q]]}}
  Gone: {Type: AWS::SQS::Queue, Condition: IsNot}
Outputs:
  Arn: {Value: !GetAtt Q.Arn}
  Url: {Value: !Ref Q}
  Sub: {Value: !Sub ["${Colour} ${x} ${!literal} ${Q.QueueName} ${AWS::Region}", {x: !Select [1, [a, b]]}]}
  If: {Value: !If [IsGreen, yes it is, no]}
  Map: {Value: !FindInMap [M, a, b]}
  Second: {Value: !Select [1, !Ref Others]}
  Not: {Value: never, Condition: IsNot}
"""
    template = resolved(tmp_path, text)
    assert set(template.resources) == {"Q"}
    assert {name: output["Value"] for name, output in template.outputs.items()} == {
        "Arn": "arn:aws:sqs:eu-central-1:123456789012:s-q",
        "Url": "http://cloud/123456789012/s-q",
        "Sub": "green b ${literal} s-q eu-central-1",
        "If": "yes it is",
        "Map": "7",
        "Second": "blue",
    }


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("!Ref Nobody", "Nobody"),
        ("!GetAtt Q.Colour", "no attribute Colour"),
        ("!ImportValue other", "Fn::ImportValue"),
        ("!FindInMap [M, x, y]", "the mapping M has nothing at x, y"),
    ],
)
def test_what_cannot_be_resolved_is_named(tmp_path: Path, value: str, complaint: str) -> None:
    text = f"Resources: {{Q: {{Type: AWS::SQS::Queue}}}}\nOutputs: {{X: {{Value: {value}}}}}\n"
    with pytest.raises(TemplateError, match=complaint):
        resolved(tmp_path, text)


def test_resources_that_need_each_other_are_named(tmp_path: Path) -> None:
    text = """
Resources:
  A: {Type: AWS::SQS::Queue, Properties: {QueueName: !GetAtt B.QueueName}}
  B: {Type: AWS::SQS::Queue, Properties: {QueueName: !GetAtt A.QueueName}}
"""
    with pytest.raises(TemplateError, match="A → B → A"):
        resolved(tmp_path, text)


# ── what is in flight ─────────────────────────────────────────────────────────────────────────────


def test_what_follows_from_an_action_is_in_flight_before_the_action_is_over() -> None:
    in_flight = InFlight()
    scheduler = Scheduler(in_flight)
    steps: list[int] = []

    def step(number: int) -> None:
        steps.append(number)
        if number < 50:
            scheduler.after(0.001 * (number % 2), f"step {number + 1}", lambda: step(number + 1))

    scheduler.after(0.001, "step 1", lambda: step(1))
    in_flight.settle(10)
    scheduler.halt()
    scheduler.join()
    assert steps == list(range(1, 51))


def test_settle_tells_what_broke() -> None:
    in_flight = InFlight()
    scheduler = Scheduler(in_flight)

    def broken() -> None:
        raise ValueError("of the cloud's own making")

    scheduler.after(0, "something", broken)
    with pytest.raises(LocalCloudError, match="of the cloud's own making"):
        in_flight.settle(10)
    scheduler.halt()
    scheduler.join()


def test_settle_lists_what_is_in_flight() -> None:
    in_flight = InFlight()
    gate = threading.Event()
    scheduler = Scheduler(in_flight)
    scheduler.after(0, "the long one", lambda: gate.wait(10))
    with pytest.raises(NotSettledError, match="- the long one"):
        in_flight.settle(0.05)
    gate.set()
    in_flight.settle(10)
    scheduler.halt()
    scheduler.join()


# ── SageMaker ─────────────────────────────────────────────────────────────────────────────────────


def test_states_are_told_by_events_in_their_own_case() -> None:
    assert [states.in_event(status) for status in ("InService", "RollingBack", "Creating")] == [
        "IN_SERVICE",
        "ROLLING_BACK",
        "CREATING",
    ]


def test_nothing_happens_to_what_is_being_deleted() -> None:
    assert all(status != "Deleting" for status, _ in states.TRANSITIONS)
    assert states.after("Creating", "update is asked for") is None


@pytest.mark.parametrize(
    ("image", "stand_in"),
    [
        ("492215442770.dkr.ecr.eu-central-1.amazonaws.com/sagemaker-scikit-learn:1.4-2-cpu-py3", "sklearn"),
        ("492215442770.dkr.ecr.eu-central-1.amazonaws.com/sagemaker-xgboost@sha256:abc", "xgboost"),
        ("492215442770.dkr.ecr.eu-central-1.amazonaws.com/mine:sagemaker-xgboost", None),
    ],
)
def test_the_stand_in_is_chosen_by_the_repository(image: str, stand_in: str | None) -> None:
    assert family(image) == stand_in
