"""The document of what there is: planned, it makes no difference."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings

from modelgate.studio.document import read_document
from modelgate.studio.exporting import document_of
from modelgate.studio.planner import Adopt, Plan, Terms, plan
from modelgate.studio.resources import Found, Kind, Ref, There, Wanted
from modelgate.studio.wanting import wanted
from tests.unit.studio import DOMAIN, House, profile, space
from tests.unit.studio_documents import ARN, ROLE, document, documents

SCRIPT = "#!/bin/bash\npip install x\n"
TERMS = Terms(domain="research", stack="modelgate")


def made_of(told: dict[str, Any]) -> House:
    """What there is when a document has been carried out."""
    house = House()
    house.upload(told)
    house.look()
    for _ in range(4):
        house.studio.advance()
        house.look()
    return house


def exported(found: Found) -> tuple[str, tuple[Wanted, ...], Any]:
    text = document_of(found, stack="modelgate")
    read = read_document(text.encode(), "research")
    return text, wanted(read, "research", ARN, ROLE), read


@settings(max_examples=60, deadline=None)
@given(told=documents())
def test_the_document_of_what_there_is_plans_no_difference(told: dict[str, Any]) -> None:
    found = made_of(told).studio.find("research")
    if not found.domain_id:
        with pytest.raises(ValueError, match="there is no domain"):
            document_of(found, stack="modelgate")
        return
    text, asked, read = exported(found)
    planned = plan(asked, found, TERMS)
    unused = {each.ref for each in found.of(Kind.LIFECYCLE_CONFIGURATION)}
    assert planned == Plan(orphans=tuple(ref for ref in planned.orphans if ref in unused)), text
    assert not read.adopt


def test_what_others_made_is_taken_over_and_nothing_else_is_different() -> None:
    found = made_of(document("ana")).studio.find("research")
    foreign = replace(found, resources=tuple(replace(each, tags={"team": "x"}) for each in found.resources))
    text, asked, read = exported(foreign)
    assert read.adopt is True
    planned = plan(asked, foreign, replace(TERMS, adopts=True))
    assert {type(step) for step in planned.steps} == {Adopt}, text
    assert [step.ref for step in planned.steps] == [DOMAIN, profile("ana")]


def test_it_reads_as_a_person_would_write_it() -> None:
    house = made_of(
        document(
            "ana",
            "ben",
            lifecycle_configurations={
                "packages": {"app": "JupyterLab", "script": "#!/bin/bash\npip install x\n"}
            },
            spaces={
                "private_for_each_profile": {"app": "JupyterLab", "storage_gb": 20, "lifecycle": "packages"},
                "shared": [{"name": "team", "owner": "ana", "members": ["ben"], "app": "JupyterLab"}],
            },
        )
    )
    assert document_of(house.studio.find("research"), stack="modelgate") == (
        """\
# studio/research.yaml: what there was of domain d-000000000001.

domain:
  authentication: iam
  network:
    vpc: vpc-1a2b3c4d
    subnets: [subnet-1a2b3c4d]
    access: public
  execution_role: "arn:aws:iam::123456789012:role/studio"
lifecycle_configurations:
  packages:
    app: JupyterLab
    script: |
      #!/bin/bash
      pip install x
profiles:
  - name: ana
  - name: ben
spaces:
  private_for_each_profile:
    app: JupyterLab
    storage_gb: 20
    lifecycle: packages
  shared:
    - name: team
      owner: ana
      app: JupyterLab
      members: [ben]
"""
    )


@pytest.mark.parametrize(
    ("fixed", "said"),
    [
        ({"app": "JupyterLab", "sharing": "", "owner": ""}, "space odd has no owner, and is left out."),
        (
            {"app": "JupyterServer", "sharing": "Shared", "owner": "ana"},
            "space odd is for JupyterServer, which a document cannot say; it is left out.",
        ),
    ],
)
def test_what_a_document_cannot_say_is_told(fixed: dict[str, str], said: str) -> None:
    found = made_of(document("ana")).studio.find("research")
    odd = There(Ref(Kind.SPACE, "odd"), f"{ARN}:space/odd", fixed=fixed)
    text, _, read = exported(replace(found, resources=(*found.resources, odd)))
    assert f"# {said}\n" in text
    assert not read.spaces.shared


def test_an_odd_script_comes_through_unchanged() -> None:
    scripts = [
        "no end of line",
        " indented\n",
        "two\n\n",
        "tab\there\n",
        "ümläut\n",
        "# a: [b]\n\nc\n",
        '"quoted"',
        "a face 😀 \u2028\x7f \\U0001f600\n",
    ]
    told = {f"s{number}": {"app": "JupyterLab", "script": each} for number, each in enumerate(scripts)}
    found = made_of(document(lifecycle_configurations=told)).studio.find("research")
    _, _, read = exported(found)
    assert [read.lifecycle_configurations[name].script for name in told] == scripts


def test_members_of_a_shared_space_come_back_from_its_tags() -> None:
    team = {"name": "team", "owner": "ana", "app": "JupyterLab"}
    rights: list[dict[str, Any]] = [{}, {"members": []}, {"members": ["ben"], "members_may": "change"}]
    for more in rights:
        told = document("ana", "ben", spaces={"shared": [{**team, **more}]})
        house = made_of(told)
        assert space("team").key in {each.ref.key for each in house.studio.all()}
        _, _, read = exported(house.studio.find("research"))
        (back,) = read.spaces.shared
        assert back.members == more.get("members")
        assert back.members_may == more.get("members_may", "use")
