"""What of Studio on the local cloud can be told without one: states, settings, permissions, records."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.calls import Call, Caller, Reply
from localcloud.cloud_trail import record
from localcloud.errors import ServiceError
from localcloud.permissions import demands
from localcloud.policies import Demand
from localcloud.sagemaker.studio import settings
from localcloud.sagemaker.studio.settings import VolumeSizes
from localcloud.sagemaker.studio.states import APP_TRANSITIONS, IN_PROGRESS, TRANSITIONS, Happening, Status

NOW = dt.datetime(2026, 3, 9, 15, 4, 5, tzinfo=dt.UTC)
SCRIPT = "arn:aws:sagemaker:eu-central-1:123456789012:studio-lifecycle-config/hello"
ROLE = "arn:aws:iam::123456789012:role/studio"

members = st.sampled_from(["ExecutionRole", "LifecycleConfigArn", "SecurityGroups", "DefaultResourceSpec"])
values = st.recursive(
    st.sampled_from(["None", "x", SCRIPT]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(members, inner, max_size=3),
    max_leaves=6,
)
some_settings = st.dictionaries(members, values)


def a_call(operation: str, *, role: str | None = None, **params: Any) -> Call:
    arn = "arn:aws:iam::123456789012:root"
    if role is not None:
        arn = f"arn:aws:sts::123456789012:assumed-role/{role}/worker"
    return Call("sagemaker", operation, params, Caller(arn, role), "eu-central-1", "request-1")


# ── states ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("table", [TRANSITIONS, APP_TRANSITIONS])
def test_nothing_is_asked_for_while_something_is_under_way(
    table: Mapping[tuple[Status, Happening], Status],
) -> None:
    assert not [
        (status, happening)
        for status, happening in table
        if status in IN_PROGRESS and happening.endswith("is asked for")
    ]


def test_whatever_becomes_of_a_thing_it_can_be_deleted_in_the_end() -> None:
    ways = {
        status: {to for (start, _), to in TRANSITIONS.items() if start == status} for status, _ in TRANSITIONS
    }
    for status in ways:
        reached: set[Status] = {status}
        while more := {to for each in reached for to in ways.get(each, set())} - reached:
            reached |= more
        assert "Deleted" in reached, status


# ── settings ──────────────────────────────────────────────────────────────────────────────────────


@given(some_settings, some_settings)
def test_an_update_keeps_what_it_does_not_give(current: dict[str, Any], change: dict[str, Any]) -> None:
    before, after = settings.cleared(current), settings.updated(settings.cleared(current), change)
    kept = before.keys() - change.keys()
    assert {key: after[key] for key in kept} == {key: before[key] for key in kept}
    assert {key: after[key] for key in after.keys() & change.keys()} == settings.cleared(change)


@given(some_settings)
def test_the_word_none_takes_lifecycle_configurations_away_and_nothing_else(given: dict[str, Any]) -> None:
    cleared = settings.cleared(given)
    assert settings.cleared(cleared) == cleared
    assert "'LifecycleConfigArn': 'None'" not in str(cleared)
    assert str(cleared).count(SCRIPT) == str(given).count(SCRIPT)


def test_lifecycle_configurations_are_found_wherever_they_are_named() -> None:
    named = {
        "JupyterLabAppSettings": {
            "DefaultResourceSpec": {"LifecycleConfigArn": "a"},
            "LifecycleConfigArns": ["b"],
        },
        "CodeEditorAppSettings": {"LifecycleConfigArns": ["c"], "BuiltInLifecycleConfigArn": "aws's own"},
    }
    assert sorted(settings.lifecycle_arns([named, {"LifecycleConfigArn": "d"}])) == ["a", "b", "c", "d"]


def test_the_sizes_of_volumes_are_those_of_the_first_who_says_any() -> None:
    def saying(default: int, most: int) -> dict[str, Any]:
        told = {"DefaultEbsVolumeSizeInGb": default, "MaximumEbsVolumeSizeInGb": most}
        return {"SpaceStorageSettings": {"DefaultEbsStorageSettings": told}}

    assert VolumeSizes.of({}, saying(10, 50), saying(6, 7)) == VolumeSizes(10, 50)
    assert VolumeSizes.of({}, {}) == VolumeSizes(5, 100)


@given(asked=st.integers(5, 200), before=st.none() | st.integers(5, 200), most=st.integers(5, 200))
def test_a_volume_grows_up_to_the_limit_and_never_shrinks(asked: int, before: int | None, most: int) -> None:
    fits = asked <= most and asked >= (before or 0)
    try:
        settings.refuse_volume(asked, VolumeSizes(5, most), before)
    except ServiceError:
        assert not fits
    else:
        assert fits


# ── permissions ───────────────────────────────────────────────────────────────────────────────────


def demanded(call: Call, tags: Mapping[str, str] | None = None) -> list[Demand]:
    return demands(call, lambda _: tags or {})


@pytest.mark.parametrize(
    ("operation", "resource"),
    [
        ("DescribeDomain", "domain/d-1"),
        ("UpdateUserProfile", "user-profile/d-1/ada"),
        ("CreatePresignedDomainUrl", "user-profile/d-1/ada"),
        ("DeleteSpace", "space/d-1/lab"),
        ("DescribeApp", "app/d-1/ada/jupyterserver/default"),
        ("DeleteStudioLifecycleConfig", "studio-lifecycle-config/hello"),
    ],
)
def test_a_call_needs_its_action_on_what_it_is_about(operation: str, resource: str) -> None:
    call = a_call(
        operation,
        DomainId="d-1",
        UserProfileName="Ada",
        SpaceName="Lab",
        AppType="JupyterServer",
        AppName="default",
        StudioLifecycleConfigName="Hello",
    )
    (only,) = demanded(call, {"team": "blue"})
    assert only.action == f"sagemaker:{operation}"
    assert only.resource == f"arn:aws:sagemaker:eu-central-1:123456789012:{resource}"
    assert only.context["aws:ResourceTag/team"] == "blue"


def test_a_domain_needs_the_right_to_tag_and_to_pass_each_role_once() -> None:
    other = f"{ROLE}-2"
    call = a_call(
        "CreateDomain",
        Tags=[{"Key": "team", "Value": "blue"}],
        DefaultUserSettings={"ExecutionRole": ROLE},
        DefaultSpaceSettings={"ExecutionRole": ROLE},
        DomainSettings={"RStudioServerProDomainSettings": {"DomainExecutionRoleArn": other}},
    )
    own, tagging, *passed = demanded(call)
    assert own.resource == "arn:aws:sagemaker:eu-central-1:123456789012:domain/*"
    assert tagging.context["sagemaker:TaggingAction"] == "CreateDomain"
    assert tagging.context["aws:RequestTag/team"] == "blue"
    assert [(each.action, each.resource) for each in passed] == [
        ("iam:PassRole", ROLE),
        ("iam:PassRole", other),
    ]


def test_a_list_has_no_resource_of_its_own() -> None:
    assert [each.resource for each in demanded(a_call("ListDomains"))] == ["*"]


# ── records of CloudTrail ─────────────────────────────────────────────────────────────────────────


def test_a_record_writes_members_in_camel_case_and_leaves_the_keys_of_maps() -> None:
    call = a_call(
        "CreateModel",
        ModelName="Iris",
        PrimaryContainer={"Image": "1", "Environment": {"SAGEMAKER_PROGRAM": "x.py"}},
    )
    told = record(call, Reply({"ModelArn": "arn"}), None, NOW)
    assert told["requestParameters"] == {
        "modelName": "Iris",
        "primaryContainer": {"image": "1", "environment": {"SAGEMAKER_PROGRAM": "x.py"}},
    }
    assert told["responseElements"] == {"modelArn": "arn"}
    assert (told["eventTime"], told["readOnly"]) == ("2026-03-09T15:04:05Z", False)
    assert "errorCode" not in told


def test_a_record_of_a_refused_call_says_why_and_who_asked() -> None:
    call = a_call("DeleteSpace", role="reconciler", DomainId="d-1", SpaceName="lab")
    told = record(call, None, ServiceError("ResourceInUse", "App(s) are associated."), NOW)
    assert (told["errorCode"], told["errorMessage"]) == ("ResourceInUse", "App(s) are associated.")
    assert told["responseElements"] is None
    identity = told["userIdentity"]
    assert (identity["type"], identity["arn"]) == ("AssumedRole", call.caller.arn)
    assert identity["sessionContext"]["sessionIssuer"]["userName"] == "reconciler"
