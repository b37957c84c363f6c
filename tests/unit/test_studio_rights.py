"""Who may use a shared space, as IAM decides it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from localcloud.policies import Demand, decide
from modelgate.studio.document import read_document
from modelgate.studio.rights import policy
from tests.unit.studio_documents import ARN, document, written

ALLOWED = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sagemaker:*", "Resource": "*"}]}
)
TEAM = {"name": "Team-A", "owner": "Ana", "app": "JupyterLab"}


def may(who: str, action: str, **space: Any) -> bool:
    """Whether somebody may, whose role allows everything but what the document denies."""
    told = document("Ana", "ben", "cleo", spaces={"shared": [{**TEAM, **space}]})
    denied = policy(read_document(written(told), "research"), "d-1", ARN)
    of_app = action in {"CreateApp", "DeleteApp"}
    resource = f"{ARN}:app/d-1/team-a/jupyterlab/default" if of_app else f"{ARN}:space/d-1/team-a"
    demand = Demand(f"sagemaker:{action}", resource, {"sagemaker:UserProfileName": who})
    return decide([ALLOWED, json.dumps(denied)], demand) == "allow"


@pytest.mark.parametrize(
    ("space", "users", "changers"),
    [
        ({}, ["Ana", "ben", "cleo"], ["Ana"]),
        ({"members_may": "change"}, ["Ana", "ben", "cleo"], ["Ana", "ben", "cleo"]),
        ({"members": ["ben"]}, ["Ana", "ben"], ["Ana"]),
        ({"members": ["ben"], "members_may": "change"}, ["Ana", "ben"], ["Ana", "ben"]),
        ({"members": []}, ["Ana"], ["Ana"]),
    ],
)
def test_a_shared_space_is_its_members(space: dict[str, Any], users: list[str], changers: list[str]) -> None:
    people = ["Ana", "ben", "cleo"]
    assert [who for who in people if may(who, "CreateApp", **space)] == users
    assert [who for who in people if may(who, "DeleteApp", **space)] == users
    assert [who for who in people if may(who, "UpdateSpace", **space)] == changers
    assert [who for who in people if may(who, "DeleteSpace", **space)] == changers


def test_other_spaces_stay_as_the_role_has_them() -> None:
    told = document("ana", spaces={"shared": [{**TEAM, "owner": "ana", "members": []}]})
    denied = json.dumps(policy(read_document(written(told), "research"), "d-1", ARN))
    demand = Demand(
        "sagemaker:CreateApp", f"{ARN}:app/d-1/ben-private/x/y", {"sagemaker:UserProfileName": "ben"}
    )
    assert decide([ALLOWED, denied], demand) == "allow"
