"""Studio's fake and its real adapter, against the same tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from localcloud import LocalCloud
from modelgate.aws import studio_settings
from modelgate.aws.errors import translated
from modelgate.aws.studio import SageMakerStudio
from modelgate.errors import AlreadyExists, AwsError, Invalid, NotFound, Throttled
from modelgate.names import STACK_TAG
from modelgate.studio.ports import Studio
from modelgate.studio.resources import DOMAIN_TAG, Found, Kind, Ref, Settings, There, Value, Wanted
from modelgate.studio.vocabulary import (
    FOR_PROFILES,
    FOR_SPACES,
    OF_DOMAIN,
    OF_PROFILES,
    OF_SPACE,
    OF_SPACE_DEFAULTS,
)
from tests.contract.worlds import ARN, STACK
from tests.fakes.aws import Calls
from tests.fakes.studio import FakeStudio
from tests.integration.test_local_cloud_permissions import CALLS_ANYTHING
from tests.integration.test_local_cloud_small_stack import small_stack

ROLE = "arn:aws:iam::123456789012:role/studio"
OTHER_ROLE = "arn:aws:iam::123456789012:role/analysts"
DONE = "#!/bin/bash\necho done – für alle\n"
_names = (f"research{number}" for number in count(1))


@dataclass
class Place:
    """One implementation of the port, and what a test needs besides.

    Attributes:
        settle: whatever SageMaker is at comes to its end.
        fail: the next time that this is done with it ("create", "update", "delete"), it does not succeed.
        start_app: somebody starts JupyterLab in a space of a domain.
        has_home: whether there is the home file system of a domain.
    """

    studio: Studio
    settle: Callable[[], object]
    fail: Callable[[Ref, str, str], object]
    start_app: Callable[[str, str], object]
    has_home: Callable[[str], bool]

    def make(self, wanted: Wanted, domain_id: str = "", **tags: str) -> str:
        """Makes it, and waits for it; the domain's id."""
        made = self.studio.make(wanted, domain_id, tags)
        self.settle()
        return made

    def change(self, there: There, domain_id: str, settings: Settings) -> None:
        self.studio.change(there, domain_id, settings)
        self.settle()

    def delete(self, there: There, domain_id: str, *, with_home: bool = False) -> None:
        self.studio.delete(there, domain_id, with_home=with_home)
        self.settle()

    def there(self, wanted: Wanted, domain_id: str) -> There:
        """What there is of it now."""
        found = self.find(domain_id).get(wanted.ref)
        assert found is not None, wanted.ref
        return found

    def find(self, domain_id: str) -> Found:
        return self.studio.find("whatever", domain_id)


def in_memory() -> Place:
    studio = FakeStudio(Calls(), STACK)
    return Place(
        studio,
        settle=studio.advance,
        fail=lambda ref, _, reason: studio.fail_next(ref, reason),
        start_app=lambda _, space: studio.starts_app(Ref(Kind.SPACE, space)),
        has_home=studio.homes.__contains__,
    )


def on(cloud: LocalCloud) -> Place:
    client, efs = cloud.client("sagemaker"), cloud.client("efs")
    words: Mapping[Kind, Any] = {
        Kind.DOMAIN: "domain",
        Kind.PROFILE: "user profile",
        Kind.SPACE: "space",
    }

    def settle() -> None:
        cloud.faults.release_studio()
        cloud.settle()
        cloud.faults.hold_studio()

    def start_app(domain_id: str, space: str) -> None:
        client.create_app(DomainId=domain_id, SpaceName=space, AppType="JupyterLab", AppName="default")
        settle()

    def has_home(domain_id: str) -> bool:
        pages = efs.get_paginator("describe_file_systems").paginate()
        tags = [tag for page in pages for each in page["FileSystems"] for tag in each["Tags"]]
        return f"{ARN}:domain/{domain_id}" in {tag["Value"] for tag in tags}

    def fail(ref: Ref, doing: Any, reason: str) -> None:
        cloud.faults.fail_studio(words[ref.kind], ref.name, reason, doing=doing)

    return Place(SageMakerStudio(client, STACK), settle, fail, start_app, has_home)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    folder = tmp_path_factory.mktemp("studio")
    with small_stack(folder, CALLS_ANYTHING) as cloud:
        yield cloud


@pytest.fixture(params=["in memory", "local cloud"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """Whatever is asked for stands still until the test says ``settle``, as it does in memory."""
    if request.param == "in memory":
        yield in_memory()
        return
    cloud = request.getfixturevalue("cloud")
    cloud.faults.hold_studio()
    yield on(cloud)
    cloud.faults.release_studio()
    cloud.settle()


@pytest.fixture
def name() -> str:
    """Nobody else's."""
    return next(_names)


# ── what is wanted ────────────────────────────────────────────────────────────────────────────────
def domain(name: str, **settings: Value) -> Wanted:
    fixed: Settings = {"authentication": "IAM", "vpc": "vpc-1", "kms_key": ""}
    said: dict[str, Value] = {
        **OF_DOMAIN,
        "subnets": ("subnet-1", "subnet-2"),
        "profiles.execution_role": ROLE,
        "profiles.landing_uri": "studio::",
        "spaces.execution_role": ROLE,
    }
    return Wanted(Ref(Kind.DOMAIN, name), fixed, {**said, **settings})


def profile(name: str, settings: Settings | None = None) -> Wanted:
    return Wanted(Ref(Kind.PROFILE, name), {"sso_user": ""}, settings or {})


def space(name: str, owner: str, settings: Settings | None = None, **fixed: Value) -> Wanted:
    said: Settings = {"app": "JupyterLab", "sharing": "Private", "owner": owner, **fixed}
    return Wanted(Ref(Kind.SPACE, name), said, settings or {})


def script(name: str, app: str = "JupyterLab") -> Wanted:
    return Wanted(Ref(Kind.LIFECYCLE_CONFIGURATION, name), {"app": app, "script": DONE})


def arn_of(config: Wanted) -> str:
    return f"{ARN}:studio-lifecycle-config/{config.ref.name}"


def _of_app(configs: tuple[str, ...], **more: Value) -> dict[str, Value]:
    return {
        "instance": "ml.m5.large",
        "lifecycle": configs,
        "default_lifecycle": configs[0] if configs else "",
        "idle_minutes": 120,
        "least_idle_minutes": 90,
        "most_idle_minutes": 480,
        **more,
    }


def _of_profile(jupyterlab: tuple[str, ...], code_editor: tuple[str, ...], **more: Value) -> dict[str, Value]:
    repositories = ("https://example.com/b.git", "https://example.com/a.git")
    in_lab = _of_app(jupyterlab, repositories=repositories)
    return {
        "execution_role": OTHER_ROLE,
        "security_groups": ("sg-1", "sg-2"),
        "hidden_apps": ("Canvas", "RStudioServerPro"),
        "landing_uri": "app:JupyterServer:",
        "web_portal": False,
        **{f"jupyterlab.{key}": value for key, value in in_lab.items()},
        **{f"code_editor.{key}": value for key, value in _of_app(code_editor).items()},
        "storage.default_gb": 10,
        "storage.most_gb": 200,
        **more,
    }


@dataclass(frozen=True)
class Everything:
    """Every key of the vocabulary, with a value that SageMaker would not have, and the scripts it names."""

    scripts: tuple[Wanted, ...]
    domain: Wanted
    profile: Wanted
    space: Wanted

    @classmethod
    def of(cls, name: str) -> Everything:
        # As they are not in the order of their names, whoever sorts them is found out.
        lab = (script(f"{name}-packages-1"), script(f"{name}-mounts-2"))
        editor = (script(f"{name}-editor-3", "CodeEditor"),)
        in_lab, in_editor = tuple(map(arn_of, lab)), tuple(map(arn_of, editor))
        said = _of_profile(in_lab, in_editor)
        of_domain: dict[str, Value] = {
            "network": "VpcOnly",
            "tag_propagation": True,
            **{f"{FOR_PROFILES}{key}": value for key, value in said.items()},
            **{f"{FOR_SPACES}{key}": said[key] for key in OF_SPACE_DEFAULTS},
        }
        of_space: dict[str, Value] = {
            "instance": "ml.m5.large",
            "lifecycle": in_lab[1],
            "idle_minutes": 100,
            "storage_gb": 20,
            "repositories": ("https://example.com/b.git", "https://example.com/a.git"),
            "display_name": "Lab",
        }
        return cls(
            (*lab, *editor), domain(name, **of_domain), profile("Ana", said), space("lab", "Ana", of_space)
        )

    def all_in(self, place: Place, **tags: str) -> str:
        """Makes all of it; the domain's id."""
        for each in self.scripts:
            place.make(each, **tags)
        domain_id = place.make(self.domain, **tags)
        place.make(self.profile, domain_id, **tags)
        place.make(self.space, domain_id, **tags)
        return domain_id


# ── what is made ──────────────────────────────────────────────────────────────────────────────────
def test_the_examples_have_every_key_of_the_vocabulary(name: str) -> None:
    everything = Everything.of(name)
    assert set(everything.domain.settings) == set(OF_DOMAIN)
    assert set(everything.profile.settings) == set(OF_PROFILES)
    assert set(everything.space.settings) == set(OF_SPACE)


def test_what_is_made_is_told_as_it_was_asked_for(place: Place, name: str) -> None:
    everything = Everything.of(name)
    domain_id = everything.all_in(place, team="blue", office="north")
    found = place.studio.find(name)
    assert (found.domain_id, found.others) == (domain_id, ())
    arns = {
        everything.domain.ref: f"{ARN}:domain/{domain_id}",
        everything.profile.ref: f"{ARN}:user-profile/{domain_id}/ana",
        everything.space.ref: f"{ARN}:space/{domain_id}/lab",
        **{each.ref: arn_of(each) for each in everything.scripts},
    }
    wanted = (*everything.scripts, everything.domain, everything.profile, everything.space)
    assert len(found.resources) == len(wanted)
    for each in wanted:
        there = found.get(each.ref)
        assert there is not None, each.ref
        assert (there.ref, there.arn) == (each.ref, arns[each.ref])
        assert (there.status, there.failure_reason) == ("InService", "")
        assert (there.fixed, there.settings) == (each.fixed, each.settings)
        assert there.tags == {"team": "blue", "office": "north"}
        assert there.owner == (everything.profile.ref if each is everything.space else None)


def test_of_what_is_not_said_a_domain_tells_the_defaults_and_others_nothing(place: Place, name: str) -> None:
    domain_id = place.make(domain(name))
    place.make(profile("ana"), domain_id)
    place.make(space("lab", "ana", app="CodeEditor"), domain_id)
    found = place.find(domain_id)
    assert [each.settings for each in found.resources] == [domain(name).settings, {}, {}]


def test_a_shared_space_and_a_profile_of_single_sign_on(place: Place, name: str) -> None:
    by_sso = replace(domain(name), fixed={**domain(name).fixed, "authentication": "SSO", "kms_key": "key-1"})
    ben = replace(profile("ben"), fixed={"sso_user": "ben@example.com"})
    team = space("team", "ben", sharing="Shared")
    domain_id = place.make(by_sso)
    place.make(ben, domain_id)
    place.make(team, domain_id)
    for each in (by_sso, ben, team):
        assert place.there(each, domain_id).fixed == each.fixed


def test_a_name_is_taken_however_it_is_written(place: Place, name: str) -> None:
    config = script(f"{name}-packages-1")
    place.make(config)
    domain_id = place.make(domain(name))
    place.make(profile("ana"), domain_id)
    place.make(space("lab", "ana"), domain_id)
    again = [
        (script(f"{name}-PACKAGES-1"), ""),
        (profile("ANA"), domain_id),
        (space("Lab", "ana"), domain_id),
    ]
    for each, where in again:
        with pytest.raises(AlreadyExists):
            place.studio.make(each, where, {})


def test_nothing_is_made_of_what_is_not_in_service(place: Place, name: str) -> None:
    domain_id = place.studio.make(domain(name), "", {})
    with pytest.raises(Throttled):
        place.studio.make(profile("ana"), domain_id, {})
    place.settle()
    place.studio.make(profile("ana"), domain_id, {})
    with pytest.raises(Throttled):
        place.studio.make(space("lab", "ana"), domain_id, {})
    place.settle()
    place.make(space("lab", "ana"), domain_id)
    with pytest.raises((Invalid, NotFound)):
        place.studio.make(space("other", "nobody"), domain_id, {})
    with pytest.raises(NotFound):
        place.studio.make(profile("ana"), "d-0000000000zz", {})


def test_settings_name_scripts_that_are_there(place: Place, name: str) -> None:
    unknown = arn_of(script(f"{name}-packages-9"))
    with pytest.raises((Invalid, NotFound)):
        place.studio.make(domain(name, **{"profiles.jupyterlab.lifecycle": (unknown,)}), "", {})
    domain_id = place.make(domain(name))
    place.make(profile("ana"), domain_id)
    with pytest.raises((Invalid, NotFound)):
        place.studio.make(space("lab", "ana", {"lifecycle": unknown}), domain_id, {})
    there = place.there(profile("ana"), domain_id)
    with pytest.raises((Invalid, NotFound)):
        place.studio.change(there, domain_id, {"jupyterlab.default_lifecycle": unknown})


# ── what is changed ───────────────────────────────────────────────────────────────────────────────
def test_every_setting_can_be_changed(place: Place, name: str) -> None:
    everything = Everything.of(name)
    scripts = everything.scripts
    for each in scripts:
        place.make(each)
    domain_id = place.make(domain(name))
    place.make(replace(everything.profile, settings={}), domain_id)
    place.make(replace(everything.space, settings={}), domain_id)
    for each in (everything.domain, everything.profile, everything.space):
        place.change(place.there(each, domain_id), domain_id, each.settings)
    for each in (everything.domain, everything.profile, everything.space):
        assert place.there(each, domain_id).settings == each.settings


def test_what_is_not_changed_stays(place: Place, name: str) -> None:
    everything = Everything.of(name)
    domain_id = everything.all_in(place)
    changes: list[tuple[Wanted, dict[str, Value]]] = [
        (
            everything.domain,
            {
                "profiles.code_editor.idle_minutes": 0,
                "profiles.jupyterlab.default_lifecycle": "",
                "spaces.jupyterlab.lifecycle": (),
            },
        ),
        (everything.profile, {"jupyterlab.instance": "ml.g5.xlarge", "hidden_apps": ()}),
        (everything.space, {"idle_minutes": 60}),
    ]
    for wanted, change in changes:
        before = place.there(wanted, domain_id)
        place.change(before, domain_id, change)
        after = place.there(wanted, domain_id)
        assert after.settings == {**before.settings, **change}
        assert (after.fixed, after.arn, after.owner) == (before.fixed, before.arn, before.owner)


def test_nothing_is_told_of_a_script_that_is_taken_away(place: Place, name: str) -> None:
    config = script(f"{name}-packages-1")
    place.make(config)
    domain_id = place.make(domain(name))
    ana = profile(
        "ana", {"jupyterlab.instance": "ml.m5.large", "jupyterlab.default_lifecycle": arn_of(config)}
    )
    lab = space("lab", "ana", {"instance": "ml.m5.large", "lifecycle": arn_of(config)})
    for wanted, key in ((ana, "jupyterlab.default_lifecycle"), (lab, "lifecycle")):
        place.make(wanted, domain_id)
        place.change(place.there(wanted, domain_id), domain_id, {key: ""})
        told = place.there(wanted, domain_id).settings
        assert told == {other: value for other, value in wanted.settings.items() if other != key}


def test_nothing_is_changed_that_is_moving_or_gone(place: Place, name: str) -> None:
    domain_id = place.make(domain(name))
    place.make(profile("ana"), domain_id)
    ana = place.there(profile("ana"), domain_id)
    place.studio.change(ana, domain_id, {"security_groups": ("sg-1",)})
    with pytest.raises(Throttled):
        place.studio.change(ana, domain_id, {"security_groups": ("sg-2",)})
    with pytest.raises(Throttled):
        place.studio.delete(ana, domain_id)
    place.settle()
    assert place.there(profile("ana"), domain_id).settings == {"security_groups": ("sg-1",)}
    place.delete(ana, domain_id)
    with pytest.raises(NotFound):
        place.studio.change(ana, domain_id, {"security_groups": ("sg-2",)})
    with pytest.raises(NotFound):
        place.studio.retag(ana, {"team": "blue"}, ())


def test_the_network_changes_while_no_app_runs_and_grows_at_any_time(place: Place, name: str) -> None:
    asked = domain(name)
    domain_id = place.make(asked)
    place.make(profile("ana"), domain_id)
    place.make(space("lab", "ana"), domain_id)
    place.start_app(domain_id, "lab")
    there = place.there(asked, domain_id)
    with pytest.raises(Throttled):
        place.studio.change(there, domain_id, {"subnets": ("subnet-1",)})
    with pytest.raises(Throttled):
        place.studio.change(there, domain_id, {"network": "VpcOnly"})
    more = ("subnet-1", "subnet-2", "subnet-3")
    place.change(there, domain_id, {"subnets": more})
    assert place.there(asked, domain_id).settings["subnets"] == more


def test_a_volume_grows_and_never_shrinks(place: Place, name: str) -> None:
    domain_id = place.make(domain(name))
    place.make(profile("ana"), domain_id)
    lab = space("lab", "ana", {"storage_gb": 20})
    place.make(lab, domain_id)
    place.change(place.there(lab, domain_id), domain_id, {"storage_gb": 30})
    there = place.there(lab, domain_id)
    assert there.settings == {"storage_gb": 30}
    with pytest.raises(Invalid):
        place.studio.change(there, domain_id, {"storage_gb": 20})


def test_tags_are_put_and_taken_away(place: Place, name: str) -> None:
    config, asked, ana = script(f"{name}-packages-1"), domain(name), profile("ana")
    place.make(config, team="blue", office="north")
    domain_id = place.make(asked, team="blue", office="north")
    place.make(ana, domain_id, team="blue", office="north")
    for each in (config, asked, ana):
        found = place.studio.find(name).get(each.ref)
        assert found is not None
        place.studio.retag(found, {"team": "red", "cost": "7"}, ("office", "never there"))
        after = place.studio.find(name).get(each.ref)
        assert after is not None
        assert after.tags == {"team": "red", "cost": "7"}
        place.studio.retag(found, {}, ("cost",))


# ── what goes wrong ───────────────────────────────────────────────────────────────────────────────
def test_what_fails_says_why_and_can_be_tried_again(place: Place, name: str) -> None:
    domain_id = place.make(domain(name))
    # Another name for the faults' sake, which ask for no domain.
    ana = profile(f"ana-{name}", {"security_groups": ("sg-1",)})

    place.fail(ana.ref, "create", "no such role")
    place.make(ana, domain_id)
    there = place.there(ana, domain_id)
    assert (there.status, there.failure_reason) == ("Failed", "no such role")
    with pytest.raises(Invalid):
        place.studio.change(there, domain_id, {"security_groups": ("sg-2",)})
    with pytest.raises(Invalid):
        place.studio.make(space("lab", ana.ref.name), domain_id, {})
    place.delete(there, domain_id)

    place.make(ana, domain_id)
    place.fail(ana.ref, "update", "no such group")
    place.change(place.there(ana, domain_id), domain_id, {"security_groups": ("sg-2",)})
    there = place.there(ana, domain_id)
    assert (there.status, there.failure_reason) == ("Update_Failed", "no such group")
    assert there.settings == ana.settings
    place.change(there, domain_id, {"security_groups": ("sg-2",)})
    there = place.there(ana, domain_id)
    assert (there.status, there.failure_reason) == ("InService", "")
    assert there.settings == {"security_groups": ("sg-2",)}

    place.fail(ana.ref, "delete", "no such right")
    place.delete(there, domain_id)
    there = place.there(ana, domain_id)
    assert (there.status, there.failure_reason) == ("Delete_Failed", "no such right")
    place.delete(there, domain_id)
    assert place.find(domain_id).of(Kind.PROFILE) == ()


# ── what is deleted ───────────────────────────────────────────────────────────────────────────────
def test_what_something_is_in_goes_after_it(place: Place, name: str) -> None:
    everything = Everything.of(name)
    domain_id = everything.all_in(place)
    place.start_app(domain_id, "lab")
    found = place.studio.find(name)
    (app,) = found.of(Kind.APP)
    assert (app.ref, app.status) == (Ref(Kind.APP, "lab/JupyterLab/default"), "InService")
    assert app.owner == everything.space.ref

    order = [app, *map(found.get, (everything.space.ref, everything.profile.ref, everything.domain.ref))]
    order += found.of(Kind.LIFECYCLE_CONFIGURATION)
    for number, there in enumerate(order):
        assert there is not None
        # Scripts hold one another no more than they hold a domain; all others hold what is after them.
        if number < 3:
            for later in order[number + 1 :]:
                assert later is not None
                with pytest.raises(Throttled):
                    place.studio.delete(later, domain_id)
        place.delete(there, domain_id)
        assert place.studio.find(name).get(there.ref) is None
    assert place.studio.find(name) == Found()
    for there in order:
        assert there is not None
        place.studio.delete(there, domain_id)


@pytest.mark.parametrize("with_home", [False, True])
def test_a_home_file_system_goes_with_its_domain_only_when_it_is_told_so(
    place: Place, name: str, with_home: bool
) -> None:
    domain_id = place.make(domain(name))
    assert place.has_home(domain_id)
    place.delete(place.there(domain(name), domain_id), domain_id, with_home=with_home)
    assert place.studio.find(name) == Found()
    assert place.has_home(domain_id) is not with_home


# ── what is found ─────────────────────────────────────────────────────────────────────────────────
def test_a_domain_is_found_by_its_id_and_without_one_by_its_name(place: Place, name: str) -> None:
    domain_id = place.make(domain(name))
    other = place.make(domain(f"{name}b"))
    assert place.studio.find(name.upper()).domain_id == domain_id
    assert place.studio.find(name, other).domain_id == other
    assert place.studio.find(name, "d-0000000000zz").domain_id == domain_id
    assert place.studio.find(f"{name}c") == Found()


def test_of_several_of_a_name_it_is_the_one_with_our_tags(place: Place, name: str) -> None:
    first, second, third = (place.make(domain(name)) for _ in range(3))
    found = place.studio.find(name)
    assert (found.domain_id, set(found.others)) == (first, {second, third})

    ours = {STACK_TAG: STACK, DOMAIN_TAG: name}
    place.studio.retag(place.there(domain(name), third), {**ours, STACK_TAG: "another"}, ())
    assert place.studio.find(name).domain_id == first
    place.studio.retag(place.there(domain(name), second), ours, ())
    found = place.studio.find(name)
    assert (found.domain_id, found.others) == (second, ())

    place.studio.retag(place.there(domain(name), first), ours, ())
    found = place.studio.find(name)
    assert (found.domain_id, set(found.others)) == (first, {second, third})
    place.studio.delete(place.there(domain(name), first), first)
    assert place.studio.find(name).domain_id == second


def test_the_scripts_of_a_name_are_found_before_there_is_a_domain(place: Place, name: str) -> None:
    # More than there are on a page.
    own = [script(f"{name}-packages-{number}") for number in range(12)]
    others = [script(f"{name}s-packages-1"), script(f"a-{name}-packages-1"), script(name)]
    for each in (*own, *others):
        place.studio.make(each, "", {})
    found = place.studio.find(name.capitalize())
    assert found.domain_id == ""
    assert {each.ref for each in found.resources} == {each.ref for each in own}


# ── the adapter alone ─────────────────────────────────────────────────────────────────────────────
def test_what_a_document_does_not_speak_of_survives_a_change(cloud: LocalCloud, name: str) -> None:
    place, client = on(cloud), cloud.client("sagemaker")
    domain_id = place.make(domain(name))
    place.make(profile("ana"), domain_id)
    place.make(space("lab", "ana", {"storage_gb": 10}), domain_id)
    image = {"ImageName": "polars", "AppImageConfigName": "polars"}
    by_hand: dict[str, Any] = {
        "JupyterLabAppSettings": {
            "CustomImages": [image],
            "DefaultResourceSpec": {"InstanceType": "ml.t3.large", "SageMakerImageVersionAlias": "2.1.0"},
            "AppLifecycleManagement": {"IdleSettings": {"MaxIdleTimeoutInMinutes": 600}},
        },
        "StudioWebPortalSettings": {"HiddenMlTools": ["AutoMl"]},
        "SharingSettings": {"NotebookOutputOption": "Disabled"},
    }
    client.update_user_profile(DomainId=domain_id, UserProfileName="ana", UserSettings=by_hand)
    client.update_space(
        DomainId=domain_id,
        SpaceName="lab",
        SpaceSettings={
            "JupyterLabAppSettings": {"DefaultResourceSpec": {"SageMakerImageVersionAlias": "2.1.0"}},
            "RemoteAccess": "ENABLED",
        },
    )
    place.settle()

    asked: Settings = {
        "jupyterlab.instance": "ml.m5.large",
        "jupyterlab.idle_minutes": 90,
        "hidden_apps": ("Canvas",),
    }
    place.change(place.there(profile("ana"), domain_id), domain_id, asked)
    place.change(place.there(space("lab", "ana"), domain_id), domain_id, {"instance": "ml.m5.large"})

    told = client.describe_user_profile(DomainId=domain_id, UserProfileName="ana")["UserSettings"]
    idle = {
        "LifecycleManagement": "ENABLED",
        "IdleTimeoutInMinutes": 90,
        "MaxIdleTimeoutInMinutes": 600,
    }
    spec = {"InstanceType": "ml.m5.large", "SageMakerImageVersionAlias": "2.1.0"}
    assert told == {
        "JupyterLabAppSettings": {
            "CustomImages": [image],
            "DefaultResourceSpec": spec,
            "AppLifecycleManagement": {"IdleSettings": idle},
        },
        "StudioWebPortalSettings": {"HiddenMlTools": ["AutoMl"], "HiddenAppTypes": ["Canvas"]},
        "SharingSettings": {"NotebookOutputOption": "Disabled"},
    }
    assert client.describe_space(DomainId=domain_id, SpaceName="lab")["SpaceSettings"] == {
        "AppType": "JupyterLab",
        "JupyterLabAppSettings": {"DefaultResourceSpec": spec},
        "SpaceStorageSettings": {"EbsStorageSettings": {"EbsVolumeSizeInGb": 10}},
        "RemoteAccess": "ENABLED",
    }


_FULL = Everything.of("research").profile.settings
_PARTS = st.sets(st.sampled_from(sorted(_FULL)))


@given(first=_PARTS, then=_PARTS)
def test_settings_are_read_as_they_are_written_over_whatever_was_there(
    first: set[str], then: set[str]
) -> None:
    before: dict[str, Any] = studio_settings.written(
        studio_settings.USER, {key: OF_PROFILES[key] or _FULL[key] for key in first}, {}
    )
    structure = {
        **before,
        **studio_settings.written(studio_settings.USER, {key: _FULL[key] for key in then}, before),
    }
    told = studio_settings.read(studio_settings.USER, structure)
    assert told == {
        key: _FULL[key] if key in then else OF_PROFILES[key] or _FULL[key] for key in first | then
    }


@pytest.mark.parametrize(
    ("code", "words", "kind"),
    [
        ("ResourceInUse", "The Image with ImageName polars already exists.", AlreadyExists),
        ("ResourceInUse", "The ID or Name specified is already in use.", AlreadyExists),
        (
            "ResourceInUse",
            "Unable to delete UserProfile [arn] because App(s) are associated with it.",
            Throttled,
        ),
        ("ValidationException", "App [arn] has already been deleted.", NotFound),
        ("ValidationException", "App [arn] previously failed and was automatically deleted.", NotFound),
        ("ValidationException", "Unable to update Domain [arn] with InService App. Delete all.", Throttled),
        ("ValidationException", "Updating AppType for Space is not supported.", Invalid),
    ],
)
def test_what_sagemaker_says_of_studio(code: str, words: str, kind: type[AwsError]) -> None:
    with pytest.raises(kind) as raised, translated("Any"):
        raise ClientError({"Error": {"Code": code, "Message": words}}, "Any")
    assert type(raised.value) is kind
