"""`studio/<domain>.yaml`: what people may write, and what each mistake is told with."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

from modelgate.errors import Refused
from modelgate.studio.document import StudioDocument, read_document
from modelgate.studio.resources import Kind, Wanted
from modelgate.studio.rights import policy
from modelgate.studio.vocabulary import FIXED, OF_DOMAIN, OF_PROFILES, OF_SPACE
from modelgate.studio.wanting import wanted
from tests.unit.studio_documents import ARN, ROLE, document, documents, written

SPACE = {"name": "lab", "owner": "ana", "app": "JupyterLab"}


def read(told: dict[str, Any], name: str = "research") -> StudioDocument:
    return read_document(written(told), name)


def asked(told: dict[str, Any]) -> dict[str, Wanted]:
    return {each.ref.name: each for each in wanted(read(told), "research", ARN, ROLE)}


def problems(told: dict[str, Any], name: str = "research") -> list[str]:
    with pytest.raises(Refused) as refused:
        read(told, name)
    return [str(each).removeprefix(f"studio/{name}.yaml: ") for each in refused.value.problems]


def domain(**changes: Any) -> dict[str, Any]:
    """A document with this in its domain."""
    told = document("ana")
    return {**told, "domain": {**told["domain"], **changes}}


def of_ana(**settings: Any) -> dict[str, Any]:
    """A document with these settings of a profile."""
    return document(profiles=[{"name": "ana", **settings}])


def private(*spaces: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return document("ana", "ben", spaces={"private": list(spaces), **changes})


def shared(**changes: Any) -> dict[str, Any]:
    return document("ana", "ben", spaces={"shared": [{**SPACE, **changes}]})


LARGE = {"jupyterlab": {"instance": "ml.t3.large"}}
SCRIPT = {"packages": {"app": "JupyterLab", "script": "echo hello"}}
LONG = "a" * 64
# The mistake, where it is, what was found, the mend.
WRONG: dict[str, tuple[dict[str, Any], str, str, str]] = {
    # ── people ────────────────────────────────────────────────────────────────────────────────
    "an unknown user in a space": (
        private({**SPACE, "owner": "anna"}),
        "spaces.private.0.owner",
        "is 'anna', who is no user profile here",
        "did you mean ana? profiles has ana, ben",
    ),
    "two owners": (
        private({**SPACE, "owner": ["ana", "ben"]}),
        "spaces.private.0.owner",
        "names 2 owners, and a space has one",
        "write one of them, and the others as members of a shared space",
    ),
    "the private space of another": (
        private({**SPACE, "name": "ben-private"}),
        "spaces.private.0.name",
        "is 'ben-private', the private space of ben, and its owner is 'ana'",
        "write owner: ben, or choose another name",
    ),
    "a private space with members": (
        private({**SPACE, "members": ["ben"]}),
        "spaces.private.0",
        "has members, and is private",
        "write it under shared",
    ),
    "a member who is nobody": (
        shared(members=["bn"]),
        "spaces.shared.0.members",
        "has 'bn', who is no user profile here",
        "did you mean ben? profiles has ana, ben",
    ),
    "the owner among the members": (
        shared(members=["Ana"]),
        "spaces.shared.0.members",
        "has 'Ana', who is the owner",
        "leave the owner out",
    ),
    "the same profile twice": (
        document("ana", "Ana"),
        "profiles",
        "has 2 user profiles 'ana', and to SageMaker case makes no difference",
        "keep one of them",
    ),
    "the same space twice": (
        private(SPACE, {**SPACE, "name": "LAB"}),
        "spaces",
        "has 2 spaces 'lab', and to SageMaker case makes no difference",
        "keep one of them",
    ),
    "a space that is private and shared": (
        private(SPACE, shared=[SPACE]),
        "spaces",
        "has 2 spaces 'lab', and to SageMaker case makes no difference",
        "keep one of them",
    ),
    "a profile without a name": (
        document(profiles=[{}]),
        "profiles.0",
        "has neither name nor sso_user",
        "add one of them",
    ),
    "a user of the directory where there is none": (
        of_ana(sso_user="ana@example.com"),
        "profiles.0.sso_user",
        "is given, and authentication is iam",
        "leave it out and write name, or use authentication: sso",
    ),
    "nobody of the directory where there is one": (
        domain(authentication="sso"),
        "profiles.0.sso_user",
        "is missing, and authentication is sso",
        "add the user's name in IAM Identity Center",
    ),
    "a member twice": (
        shared(members=["ben", "BEN"]),
        "spaces.shared.0.members",
        "has 2 members 'ben', and to SageMaker case makes no difference",
        "keep one of them",
    ),
    # ── names ─────────────────────────────────────────────────────────────────────────────────
    "a profile's name that is too long": (
        document(LONG),
        "profiles.0.name",
        (
            "is 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', which has 64 "
            "characters, and SageMaker takes 63"
        ),
        "use letters, digits and single hyphens, at most 63, beginning with a letter or digit",
    ),
    "a profile's name with forbidden characters": (
        document("a_b"),
        "profiles.0.name",
        "is 'a_b', which is no name that SageMaker takes",
        "use letters, digits and single hyphens, at most 63, beginning with a letter or digit",
    ),
    "a space's name with forbidden characters": (
        private({**SPACE, "name": "my lab"}),
        "spaces.private.0.name",
        "is 'my lab', which is no name that SageMaker takes",
        "use letters, digits and single hyphens, at most 63, beginning with a letter or digit",
    ),
    "a profile whose private space would have too long a name": (
        document("a" * 60, spaces={"private_for_each_profile": {"app": "JupyterLab"}}),
        "spaces.private_for_each_profile",
        (
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-private has 68 characters, and "
            "SageMaker takes 63"
        ),
        "shorten the profile's name to 55, or write its space under private",
    ),
    "a lifecycle configuration whose name is too long": (
        document(lifecycle_configurations={"b" * 50: SCRIPT["packages"]}),
        "lifecycle_configurations.bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
        "has 50 characters",
        "with the domain's name and a hash there is room for 45; choose a shorter name",
    ),
    "lifecycle configurations that differ in case only": (
        document(lifecycle_configurations={"packages": SCRIPT["packages"], "Packages": SCRIPT["packages"]}),
        "lifecycle_configurations",
        "has 2 of the name 'packages', and to SageMaker case makes no difference",
        "keep one of them",
    ),
    "a display name that shows nothing": (
        private({**SPACE, "display_name": "  "}),
        "spaces.private.0.display_name",
        "is '  ', no line to read",
        "write one, or leave it out",
    ),
    # ── groups ────────────────────────────────────────────────────────────────────────────────
    "an unknown group": (
        document(profiles=[{"name": "ana", "groups": ["scientist"]}], groups={"scientists": {}}),
        "profiles.0.groups",
        "names 'scientist', which is no group",
        "did you mean scientists? groups has scientists",
    ),
    "two groups that contradict each other": (
        document(
            profiles=[{"name": "ana", "groups": ["a", "b"]}],
            groups={
                "a": {"jupyterlab": {"instance": "ml.t3.medium"}},
                "b": {"jupyterlab": {"instance": "ml.t3.large"}},
            },
        ),
        "profiles.0.groups",
        "say different things of jupyterlab.instance: ml.t3.medium and ml.t3.large",
        "write into the profile what holds, or leave a group out",
    ),
    "more tags than there is room for, with those of a group": (
        document(
            profiles=[{"name": "ana", "groups": ["a"], "tags": {f"own{n}": "" for n in range(30)}}],
            groups={"a": {"tags": {f"shared{n}": "" for n in range(30)}}},
        ),
        "profiles.0.tags",
        "are 60 with those of its groups, and there is room for 46",
        "leave some out, or leave a group out",
    ),
    # ── lifecycle configurations ──────────────────────────────────────────────────────────────
    "an unknown lifecycle configuration": (
        {**of_ana(jupyterlab={"lifecycle": ["package"]}), "lifecycle_configurations": SCRIPT},
        "profiles.0.jupyterlab.lifecycle",
        "is 'package', which is no lifecycle configuration of the document, and no ARN",
        "did you mean packages? lifecycle_configurations has packages",
    ),
    "one of another app": (
        {**of_ana(code_editor={"lifecycle": ["packages"]}), "lifecycle_configurations": SCRIPT},
        "profiles.0.code_editor.lifecycle",
        "is 'packages', which is for JupyterLab",
        "write one for CodeEditor",
    ),
    "a default that may not be chosen": (
        {
            **of_ana(jupyterlab={"lifecycle": [], "default_lifecycle": "packages"}),
            "lifecycle_configurations": SCRIPT,
        },
        "profiles.0.jupyterlab.default_lifecycle",
        "is 'packages', which is not in lifecycle",
        "add it there",
    ),
    "a default that a group does not let one choose": (
        {
            **document(
                profiles=[{"name": "ana", "groups": ["a"], "jupyterlab": {"default_lifecycle": "packages"}}],
                groups={"a": {"jupyterlab": {"lifecycle": []}}},
            ),
            "lifecycle_configurations": SCRIPT,
        },
        "profiles.0.jupyterlab.default_lifecycle",
        "is 'packages', which is not in lifecycle, as its groups say it",
        "write both into the profile",
    ),
    "a script that is too long": (
        document(lifecycle_configurations={"x": {"app": "JupyterLab", "script": "x" * 13_000}}),
        "lifecycle_configurations.x.script",
        "is 17336 characters long in base64, and SageMaker takes 16384",
        "have it download the rest",
    ),
    # ── limits ────────────────────────────────────────────────────────────────────────────────
    "an idle time outside its own limits": (
        of_ana(jupyterlab={"idle_shutdown": {"after_minutes": 60, "least_minutes": 90}}),
        "profiles.0.jupyterlab.idle_shutdown",
        "has after_minutes: 60, outside 90 to 525600",
        "write it between the two, or others",
    ),
    "an idle time that SageMaker does not take": (
        of_ana(jupyterlab={"idle_shutdown": 30}),
        "profiles.0.jupyterlab.idle_shutdown.after_minutes",
        "is 30, which SageMaker does not take",
        "write 60 to 525600, or 0 for never",
    ),
    "a volume above the most": (
        of_ana(storage={"default_gb": 50, "most_gb": 20}),
        "profiles.0.storage",
        "has default_gb: 50 above most_gb: 20",
        "exchange them",
    ),
    "a space larger than its owner may have": (
        private({**SPACE, "storage_gb": 200}),
        "spaces.private.0.storage_gb",
        "is 200, and ana may have 100",
        "write less, or a larger storage.most_gb",
    ),
    "a space that is idle longer than its owner may be": (
        {
            **private({**SPACE, "idle_minutes": 600}),
            **of_ana(jupyterlab={"idle_shutdown": {"after_minutes": 60, "most_minutes": 480}}),
        },
        "spaces.private.0.idle_minutes",
        "is 600, and for ana 60 to 480 are allowed",
        "write it between the two, or change idle_shutdown there",
    ),
    "a shared space that is idle longer than shared spaces may be": (
        {
            **shared(idle_minutes=600),
            **domain(
                space_settings={"jupyterlab": {"idle_shutdown": {"after_minutes": 60, "most_minutes": 480}}}
            ),
        },
        "spaces.shared.0.idle_minutes",
        "is 600, and for ana 60 to 480 are allowed",
        "write it between the two, or change idle_shutdown there",
    ),
    "a space for an app that is hidden": (
        {**private(SPACE), **of_ana(apps=["CodeEditor"])},
        "spaces.private.0.app",
        "is JupyterLab, which is hidden for ana",
        "add it to apps there, or write another",
    ),
    "repositories for an app that clones none": (
        private({**SPACE, "app": "CodeEditor", "repositories": ["https://example.com/x.git"]}),
        "spaces.private.0",
        "has repositories, which CodeEditor does not clone",
        "leave them out",
    ),
    "a repository that is no URL": (
        of_ana(jupyterlab={"repositories": ["git@example.com:x.git"]}),
        "profiles.0.jupyterlab.repositories.0",
        "is 'git@example.com:x.git', which SageMaker does not clone",
        "write https://host/path",
    ),
    # ── the domain ────────────────────────────────────────────────────────────────────────────
    "a network without a way in": (
        domain(network={"vpc": "vpc-1", "subnets": ["subnet-1"], "access": "vpc_only"}),
        "domain.profile_settings.security_groups",
        "is empty, and access is vpc_only",
        "name those of the VPC, through which its apps reach the file system and SageMaker",
    ),
    "people led to a Studio that is closed": (
        domain(profile_settings={"web_portal": False}),
        "domain.profile_settings.landing_uri",
        "is 'studio::', and web_portal is false",
        'write "app:JupyterServer:", or web_portal: true',
    ),
    "one of them led to a Studio that is closed": (
        of_ana(web_portal=False, landing_uri="studio::"),
        "profiles.0.landing_uri",
        "is 'studio::', and web_portal is false",
        'write "app:JupyterServer:", or web_portal: true',
    ),
    "a subnet that is none": (
        domain(network={"vpc": "vpc-1", "subnets": ["sn-1"]}),
        "domain.network.subnets.0",
        "is 'sn-1', no id of a subnet",
        "write one such as subnet-0123456789abcdef0",
    ),
    "a role that is none": (
        domain(execution_role="studio"),
        "domain.execution_role",
        "is 'studio', no role",
        "write one such as arn:aws:iam::123456789012:role/studio",
    ),
    "a tag that is Modelgate's own": (
        domain(tags={"modelgate:stack": "x"}),
        "domain.tags",
        ("has the key 'modelgate:stack', and what begins with aws: or modelgate: or sagemaker: is reserved"),
        "write another key",
    ),
    "profiles without a domain": (
        {"profiles": [{"name": "ana"}]},
        "profiles",
        "is there without a domain",
        "add domain, or leave it out too",
    ),
    "a home that is deleted without anything else": (
        {"delete_home_file_system": True},
        "delete_home_file_system",
        "is true, and nothing is deleted",
        "write prune: true as well, or leave it out",
    ),
    "the id of no domain": (
        document(adopt="domain-1"),
        "adopt",
        "is 'domain-1', no domain's id",
        "write true, or an id such as d-abcdefghijkl",
    ),
    "a key that is not known": (
        domain(netwrok={}),
        "domain.netwrok",
        "is not a key that is known here",
        (
            "did you mean network? known are authentication, execution_role, kms_key, network, "
            "profile_settings, space_settings, tag_propagation, tags"
        ),
    ),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_a_mistake_is_told_with_its_mend(mistake: str) -> None:
    told, where, found, mend = WRONG[mistake]
    assert f"{where}: {found}; {mend}" in problems(told)


def test_everything_that_is_wrong_is_told_at_once() -> None:
    wrong = private({**SPACE, "owner": "zoe"}, {**SPACE, "storage_gb": 500})
    assert len(problems(wrong)) == 3  # and the same name twice


def test_what_is_wrong_with_the_space_for_each_is_told_once() -> None:
    for_each = {"app": "JupyterLab", "lifecycle": "packages"}
    assert len(problems(document("ana", "ben", spaces={"private_for_each_profile": for_each}))) == 1


def test_too_many_members_for_a_tag_are_refused() -> None:
    people = [f"{'p' * 50}-{number}" for number in range(6)]
    told = document("ana", *people, spaces={"shared": [{**SPACE, "members": people}]})
    (said,) = problems(told)
    assert said.startswith(
        "spaces.shared.0.members: are 6, whose names come to 319 characters; a tag holds 256"
    )


@pytest.mark.parametrize("name", ["a_b", LONG, "-a", "folder/a"])
def test_a_document_has_the_name_of_a_domain(name: str) -> None:
    with pytest.raises(Refused, match="is named after a domain that"):
        read(document(), name)


# ── what is right ─────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("told", [{}, {"prune": True}, {"prune": True, "delete_home_file_system": True}])
def test_a_document_may_want_nothing(told: dict[str, Any]) -> None:
    assert asked(told) == {}


def test_a_profile_says_what_its_groups_say_where_it_says_nothing_itself() -> None:
    told = document(
        groups={
            "a": {"jupyterlab": {"instance": "ml.m5.large", "idle_shutdown": 90}, "tags": {"team": "x"}},
            "b": {"security_groups": ["sg-1"]},
        },
        profiles=[
            {
                "name": "ana",
                "groups": ["a", "b"],
                "jupyterlab": {"instance": "ml.t3.large"},
                "tags": {"floor": "2"},
            }
        ],
    )
    ana = asked(told)["ana"]
    assert ana.settings["jupyterlab.instance"] == "ml.t3.large"
    assert ana.settings["jupyterlab.idle_minutes"] == 90
    assert ana.settings["security_groups"] == ("sg-1",)
    assert ana.tags == {"team": "x", "floor": "2"}


def test_a_user_of_the_directory_has_a_name_that_sagemaker_takes() -> None:
    told = {**domain(authentication="sso"), "profiles": [{"sso_user": "ben.müller@example.com"}]}
    (ben,) = (each for each in asked(told).values() if each.ref.kind is Kind.PROFILE)
    assert ben.ref.name == "ben-m-ller-example-com"
    assert ben.fixed == {"sso_user": "ben.müller@example.com"}


def test_a_space_of_ones_own_takes_the_place_of_that_for_each() -> None:
    told = private({**SPACE, "name": "ana-lab"}, private_for_each_profile={"app": "CodeEditor"})
    spaces = [name for name, each in asked(told).items() if each.ref.kind is Kind.SPACE]
    assert spaces == ["ana-lab", "ben-private"]


def test_a_lifecycle_configuration_of_another_content_is_another() -> None:
    first, second = (
        next(iter(asked(document(lifecycle_configurations={"x": {"app": "JupyterLab", "script": script}}))))
        for script in ("a", "b")
    )
    assert first != second
    assert first.startswith("research-x-")


def test_members_of_a_shared_space_are_in_its_tags() -> None:
    tags = asked(shared(members=["ben"], members_may="change"))["lab"].tags
    assert tags == {"modelgate:members": "/ben/", "modelgate:members-may": "change"}
    assert asked(shared())["lab"].tags["modelgate:members"] == "/"


def test_the_rights_of_each_shared_space_have_a_name_of_their_own() -> None:
    names = ["team-1", "team1", "team--1"]
    told = document("ana", spaces={"shared": [{**SPACE, "name": name, "members": []} for name in names]})
    sids = [each["Sid"] for each in policy(read(told), "d-1", ARN)["Statement"]]
    assert len(set(sids)) == len(sids) == 6
    assert all(sid.isalnum() for sid in sids)


@settings(max_examples=60, deadline=None)
@given(told=documents())
def test_whatever_is_wanted_is_in_the_vocabulary_and_there_once(told: dict[str, Any]) -> None:
    found = wanted(read(told), "research", ARN, ROLE)
    known = {Kind.DOMAIN: set(OF_DOMAIN), Kind.PROFILE: set(OF_PROFILES), Kind.SPACE: set(OF_SPACE)}
    for each in found:
        assert set(each.settings) <= known.get(each.ref.kind, set())
        assert set(each.fixed) == set(FIXED[each.ref.kind])
    assert len({each.ref.key for each in found}) == len(found)
    order = list(Kind)
    assert [each.ref.kind for each in found] == sorted((each.ref.kind for each in found), key=order.index)
    profiles = {each.ref.name for each in found if each.ref.kind is Kind.PROFILE}
    assert {each.fixed["owner"] for each in found if each.ref.kind is Kind.SPACE} <= profiles


@settings(max_examples=40, deadline=None)
@given(told=documents())
def test_the_order_in_which_people_write_makes_no_difference(told: dict[str, Any]) -> None:
    turned = {key: value[::-1] if isinstance(value, list) else value for key, value in reversed(told.items())}
    assert wanted(read(turned), "research", ARN, ROLE) == wanted(read(told), "research", ARN, ROLE)
