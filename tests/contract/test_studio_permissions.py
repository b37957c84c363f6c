"""What the template lets the functions that keep Studio do, and the people in it, evaluated as IAM does.

The operators and keys are AWS's; whether SageMaker fills in each key as it documents was not run on AWS.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from localcloud.policies import Demand, decide
from localcloud.template import ResolvedTemplate, read

ROOT = Path(__file__).parents[2]
SAGEMAKER = "arn:aws:sagemaker:eu-central-1:123456789012"
DOMAIN = f"{SAGEMAKER}:domain/d-one"
STACK = "modelgate:stack"


@pytest.fixture(scope="module")
def template() -> ResolvedTemplate:
    return read(
        ROOT / "template.yaml",
        stack_name="dev",
        region="eu-central-1",
        url="http://cloud",
        registry="cloud:5000",
        parameters={},
    )


@pytest.fixture(scope="module")
def keeping(template: ResolvedTemplate) -> str:
    return json.dumps(template.resources["KeepsStudio"].properties["PolicyDocument"])


@pytest.fixture(scope="module")
def working(template: ResolvedTemplate) -> str:
    """What the role that the stack makes allows in a session of ana's."""
    (policy,) = template.resources["MadeStudioRole"].properties["Policies"]
    document = json.dumps(policy["PolicyDocument"])
    return document.replace("${sagemaker:DomainId}", "d-one").replace("${sagemaker:UserProfileName}", "ana")


def on_domain(
    action: str, *, there: Mapping[str, str] | None = None, put: Mapping[str, str] | None = None
) -> Demand:
    """A call about a domain with the tags ``there``, that brings the tags ``put``."""
    context: dict[str, Any] = {f"aws:ResourceTag/{key}": value for key, value in (there or {}).items()}
    context |= {f"aws:RequestTag/{key}": value for key, value in (put or {}).items()}
    if put:
        context["aws:TagKeys"] = list(put)
    return Demand(f"sagemaker:{action}", DOMAIN, context)


OURS = {STACK: "dev"}
ANOTHERS = {STACK: "prod"}
OWN_TAGS = {STACK: "dev", "modelgate:domain": "research"}


@pytest.mark.parametrize(
    ("demand", "allowed"),
    [
        (on_domain("CreateDomain", put=OWN_TAGS), True),
        (on_domain("CreateDomain", put={"team": "research"}), False),
        (on_domain("CreateDomain", put=ANOTHERS), False),
        (on_domain("UpdateDomain", there=OURS), True),
        (on_domain("DeleteDomain", there=OURS), True),
        (on_domain("DeleteDomain", there=ANOTHERS), False),
        (on_domain("DeleteDomain"), False),
    ],
)
def test_only_what_carries_the_stacks_tag_is_made_changed_and_deleted(
    keeping: str, demand: Demand, allowed: bool
) -> None:
    assert (decide([keeping], demand) == "allow") is allowed


@pytest.mark.parametrize(
    ("there", "allowed"),
    [({}, True), ({"team": "research"}, True), (OURS, True), (ANOTHERS, False)],
)
def test_what_another_stack_keeps_is_not_taken_over(
    keeping: str, there: dict[str, str], allowed: bool
) -> None:
    assert (decide([keeping], on_domain("AddTags", there=there, put=OWN_TAGS)) == "allow") is allowed


@pytest.mark.parametrize(
    ("action", "there", "put", "allowed"),
    [
        ("AddTags", OURS, {"team": "research"}, True),
        ("DeleteTags", OURS, {"team": ""}, True),
        ("DeleteTags", OURS, {STACK: ""}, False),
        ("AddTags", OURS, ANOTHERS, False),
        ("AddTags", {}, {"team": "research"}, False),
    ],
)
def test_the_stacks_tag_stays_where_it_is(
    keeping: str, action: str, there: dict[str, str], put: dict[str, str], allowed: bool
) -> None:
    assert (decide([keeping], on_domain(action, there=there, put=put)) == "allow") is allowed


@pytest.mark.parametrize(
    ("role", "service", "allowed"),
    [
        ("StudioRole", "sagemaker.amazonaws.com", True),
        ("StudioRole", "lambda.amazonaws.com", False),
        ("TrainingRole", "sagemaker.amazonaws.com", False),
    ],
)
def test_only_the_roles_of_studio_are_handed_on(
    template: ResolvedTemplate, keeping: str, role: str, service: str, allowed: bool
) -> None:
    arn = template.outputs[role]["Value"]
    demand = Demand("iam:PassRole", arn, {"iam:PassedToService": service})
    assert (decide([keeping], demand) == "allow") is allowed


def in_space(action: str, *, of: str, sharing: str = "Private", domain: str = "d-one") -> Demand:
    kind, rest = ("app", "/jupyterlab/default") if action.endswith("App") else ("space", "")
    owner = f"{SAGEMAKER}:user-profile/{domain}/{of}"
    context = {"sagemaker:OwnerUserProfileArn": owner, "sagemaker:SpaceSharingType": sharing}
    return Demand(f"sagemaker:{action}", f"{SAGEMAKER}:{kind}/{domain}/lab{rest}", context)


@pytest.mark.parametrize(
    ("demand", "allowed"),
    [
        (in_space("CreateApp", of="ana"), True),
        (in_space("UpdateSpace", of="ana"), True),
        (in_space("CreateApp", of="ben"), False),
        (in_space("UpdateSpace", of="ben"), False),
        (in_space("CreateApp", of="ben", sharing="Shared"), True),
        (in_space("DeleteSpace", of="ben", sharing="Shared"), False),
        (in_space("CreateApp", of="ana", domain="d-two"), False),
        (Demand("sagemaker:CreateApp", f"{SAGEMAKER}:app/d-one/ana/canvas/default"), True),
        (Demand("sagemaker:DeleteApp", f"{SAGEMAKER}:app/d-one/ben/canvas/default"), False),
        (Demand("sagemaker:CreatePresignedDomainUrl", f"{SAGEMAKER}:user-profile/d-one/ana"), True),
        (Demand("sagemaker:CreatePresignedDomainUrl", f"{SAGEMAKER}:user-profile/d-one/ben"), False),
        (on_domain("UpdateDomain", there=OURS), False),
    ],
)
def test_people_keep_what_is_their_own_and_share_what_is_shared(
    working: str, demand: Demand, allowed: bool
) -> None:
    assert (decide([working], demand) == "allow") is allowed


@pytest.mark.parametrize(
    ("action", "key", "allowed"),
    [
        ("PutObject", "training/iris/1/job.yaml", True),
        ("GetObject", "reports/iris/1/report.html", True),
        ("PutObject", "reports/iris/1/report.html", False),
        ("PutObject", "studio/research.yaml", False),
        ("PutObject", "policies/iris.yaml", False),
    ],
)
def test_people_hand_in_work_and_neither_policies_nor_documents_of_studio(
    template: ResolvedTemplate, working: str, action: str, key: str, allowed: bool
) -> None:
    bucket = template.outputs["Bucket"]["Value"]
    demand = Demand(f"s3:{action}", f"arn:aws:s3:::{bucket}/{key}")
    assert (decide([working], demand) == "allow") is allowed
