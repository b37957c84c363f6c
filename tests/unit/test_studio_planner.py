"""What lies between a document and what there is, as steps that wait for what they have to wait for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from modelgate.names import STACK_TAG
from modelgate.studio.planner import Adopt, Alter, Make, Plan, Remove, Retag, Terms, plan
from modelgate.studio.resources import DOMAIN_TAG, Found, Kind, Ref, Settings, There, Wanted
from modelgate.studio.vocabulary import OF_DOMAIN

ARN = "arn:aws:sagemaker:eu-central-1:123456789012"
TERMS = Terms(domain="research", stack="modelgate")
OURS = {STACK_TAG: "modelgate", DOMAIN_TAG: "research"}
FIXED: Settings = {"authentication": "IAM", "vpc": "vpc-1", "kms_key": ""}
DOMAIN = Wanted(Ref(Kind.DOMAIN, "research"), FIXED, OF_DOMAIN)


def profile(name: str, **settings: str | int) -> Wanted:
    return Wanted(
        Ref(Kind.PROFILE, name), {"sso_user": ""}, {_key(each): settings[each] for each in settings}
    )


def space(name: str, owner: str, **settings: str | int) -> Wanted:
    fixed = {"app": "JupyterLab", "sharing": "Private", "owner": owner}
    return Wanted(Ref(Kind.SPACE, name), fixed, {_key(each): settings[each] for each in settings})


def _key(name: str) -> str:
    return name.replace("__", ".")


def there(wanted: Wanted, status: str = "InService", **changes: object) -> There:
    """What was made of it."""
    owner = wanted.fixed.get("owner")
    made = There(
        wanted.ref,
        f"{ARN}:{wanted.ref.kind}/{wanted.ref.name}",
        status,
        fixed=wanted.fixed,
        settings=wanted.settings,
        tags={**wanted.tags, **OURS},
        owner=Ref(Kind.PROFILE, str(owner)) if owner else None,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def app(of: Ref, status: str = "InService") -> There:
    return There(Ref(Kind.APP, f"{of.name}/JupyterLab/default"), f"{ARN}:app/{of.name}", status, owner=of)


def found(*resources: There) -> Found:
    return Found("d-1", resources)


def said(planned: Plan) -> list[str]:
    return [f"{step}{f' (after {step.waits_for})' if step.waits_for else ''}" for step in planned.steps]


ANA, BEN = profile("ana"), profile("ben")
LAB = space("ana-lab", "ana")


# ── towards what is wanted ────────────────────────────────────────────────────────────────────────
def test_all_of_it_is_planned_and_only_the_domain_can_be_made_at_once() -> None:
    planned = plan([DOMAIN, ANA, LAB], Found(), TERMS)
    assert said(planned) == [
        "make domain research",
        "make user profile ana (after domain research, which is not there yet)",
        "make space ana-lab (after domain research, which is not there yet)",
    ]


@pytest.mark.parametrize("status", ["Pending", "Deleting", "Failed"])
def test_a_space_waits_for_its_owner(status: str) -> None:
    planned = plan([DOMAIN, ANA, LAB], found(there(DOMAIN), there(ANA, status)), TERMS)
    assert planned.later[-1] == Make(LAB, f"user profile ana, which is {status}")


ALTERED = replace(DOMAIN, settings={**OF_DOMAIN, "tag_propagation": True})


def test_what_is_made_in_a_domain_waits_for_its_change() -> None:
    """SageMaker makes nothing in a domain that is Updating."""
    planned = plan([ALTERED, ANA], found(there(DOMAIN)), TERMS)
    assert said(planned) == [
        "change domain research: tag_propagation: no → yes",
        "make user profile ana (after the change of domain research)",
    ]


def test_a_space_waits_for_the_change_of_its_owner() -> None:
    altered = replace(ANA, settings={"storage.default_gb": 10})
    planned = plan([DOMAIN, altered, LAB], found(there(DOMAIN), there(ANA)), TERMS)
    assert planned.later == (Make(LAB, "the change of user profile ana"),)


def test_a_change_that_rests_keeps_nothing_from_being_made() -> None:
    """It was refused: what does not need it goes on."""
    terms = replace(TERMS, resting={DOMAIN.ref.key: "no such subnet"})
    planned = plan([ALTERED, ANA], found(there(DOMAIN)), terms)
    assert planned.steps[-1] == Make(ANA)


def test_a_change_that_waits_for_apps_keeps_nothing_from_being_made() -> None:
    network = replace(DOMAIN, settings={**OF_DOMAIN, "network": "VpcOnly"})
    before = replace(DOMAIN, settings={**OF_DOMAIN, "network": "PublicInternetOnly"})
    lab = there(LAB)
    planned = plan([network, ANA, BEN, LAB], found(there(before), there(ANA), lab, app(LAB.ref)), TERMS)
    assert planned.now == (Make(BEN),)
    assert [step.waits_for for step in planned.later] == ["the end of app ana-lab/JupyterLab/default"]


def test_what_is_as_it_should_be_needs_nothing() -> None:
    assert plan([DOMAIN, ANA, LAB], found(there(DOMAIN), there(ANA), there(LAB)), TERMS) == Plan()


def test_a_change_names_what_is_there_and_what_will_be() -> None:
    after = replace(DOMAIN, settings={**OF_DOMAIN, "profiles.jupyterlab.idle_minutes": 120})
    planned = plan([after], found(there(DOMAIN)), TERMS)
    assert said(planned) == ["change domain research: profiles.jupyterlab.idle_minutes: 0 → 120"]
    assert isinstance(planned.now[0], Alter)
    assert planned.now[0].settings == {"profiles.jupyterlab.idle_minutes": 120}


def test_sizes_of_volumes_are_said_together() -> None:
    asked = replace(ANA, settings={"storage.default_gb": 10})
    (step,) = plan([DOMAIN, asked], found(there(DOMAIN), there(ANA)), TERMS).steps
    assert isinstance(step, Alter)
    assert str(step) == "change user profile ana: storage.default_gb: 5 → 10"
    assert step.settings == {"storage.default_gb": 10, "storage.most_gb": 100}


def test_what_is_moving_is_left_alone_until_it_has_come_to_its_end() -> None:
    after = replace(DOMAIN, settings={**OF_DOMAIN, "tag_propagation": True})
    (step,) = plan([after], found(there(DOMAIN, "Updating")), TERMS).steps
    assert step.waits_for == "domain research is Updating"


def test_a_profile_that_says_nothing_has_what_the_domain_says() -> None:
    """By hand somebody wrote the old value into the profile; the domain's is meant."""
    by_hand = there(ANA, settings={"jupyterlab.instance": "ml.t3.large"})
    (step,) = plan([DOMAIN, ANA], found(there(DOMAIN), by_hand), TERMS).steps
    assert str(step) == "change user profile ana: jupyterlab.instance: ml.t3.large → ml.t3.medium"


def test_it_makes_no_difference_whether_a_profile_repeats_what_the_domain_says() -> None:
    repeats = there(ANA, settings={"jupyterlab.instance": "ml.t3.medium", "storage.default_gb": 5})
    assert plan([DOMAIN, ANA], found(there(DOMAIN), repeats), TERMS) == Plan()


def test_what_a_document_does_not_say_of_a_space_is_its_owners() -> None:
    used = there(LAB, settings={"instance": "ml.g5.xlarge", "storage_gb": 50})
    assert plan([DOMAIN, ANA, LAB], found(there(DOMAIN), there(ANA), used), TERMS) == Plan()


def test_a_volume_that_was_made_larger_stays_so() -> None:
    asked = space("ana-lab", "ana", storage_gb=20)
    larger, smaller = (there(asked, settings={"storage_gb": size}) for size in (50, 5))
    others = (there(DOMAIN), there(ANA))
    assert plan([DOMAIN, ANA, asked], found(*others, larger), TERMS) == Plan()
    (step,) = plan([DOMAIN, ANA, asked], found(*others, smaller), TERMS).steps
    assert str(step) == "change space ana-lab: storage_gb: 5 → 20"


def test_the_network_is_changed_only_while_no_app_runs_and_the_rest_at_once() -> None:
    after = replace(DOMAIN, settings={**OF_DOMAIN, "network": "VpcOnly", "tag_propagation": True})
    lab = there(LAB)
    planned = plan([after, ANA, LAB], found(there(DOMAIN), there(ANA), lab, app(LAB.ref)), TERMS)
    assert said(planned) == [
        "change domain research: tag_propagation: no → yes",
        (
            "change domain research: network: PublicInternetOnly → VpcOnly "
            "(after the end of app ana-lab/JupyterLab/default)"
        ),
    ]


def test_tags_are_put_and_those_that_left_the_document_go_and_others_stay() -> None:
    asked = replace(ANA, tags={"team": "research"})
    has = there(ANA, tags={**OURS, "cost": "7", "team": "sales", "auditor": "zoe"})
    terms = replace(TERMS, tag_keys=frozenset({"cost", "team"}))
    (step,) = plan([DOMAIN, asked], found(there(DOMAIN), has), terms).steps
    assert isinstance(step, Retag)
    assert (step.put, step.gone) == ({"team": "research"}, ("cost",))


def test_what_could_not_be_made_is_deleted_and_made_anew() -> None:
    failed = there(ANA, "Failed", failure_reason="no such user")
    planned = plan([DOMAIN, ANA], found(there(DOMAIN), failed), TERMS)
    assert said(planned) == [
        "delete user profile ana: it could not be made: no such user",
        "make user profile ana (after user profile ana is to be deleted first)",
    ]


def test_what_somebody_meant_to_delete_is_left_to_a_person() -> None:
    stuck = there(ANA, "Delete_Failed", failure_reason="no rights")
    planned = plan([DOMAIN, ANA, LAB], found(there(DOMAIN), stuck), TERMS)
    assert planned.now == ()
    assert planned.later == (Make(LAB, "user profile ana, which is Delete_Failed"),)
    assert planned.in_the_way == (
        "user profile ana could not be deleted, and is wanted: no rights; delete it, and it is made anew",
    )


def test_what_went_wrong_lately_rests_and_the_others_go_on() -> None:
    terms = replace(TERMS, resting={ANA.ref.key: "no such user"})
    planned = plan([DOMAIN, ANA, BEN], found(there(DOMAIN)), terms)
    assert planned.now == (Make(BEN),)
    assert planned.later == (Make(ANA, "the next try: no such user"),)


# ── whose it is ───────────────────────────────────────────────────────────────────────────────────
STRANGER = {"modelgate:stack": "another"}


@pytest.mark.parametrize("tags", [{}, {STACK_TAG: "modelgate"}, STRANGER])
@pytest.mark.parametrize("which", [DOMAIN, ANA, LAB])
def test_what_is_not_this_documents_is_refused_and_nothing_is_done(
    tags: dict[str, str], which: Wanted
) -> None:
    asked = [DOMAIN, ANA, LAB, BEN]
    has = [there(each, tags=tags) if each is which else there(each) for each in (DOMAIN, ANA, LAB)]
    planned = plan(asked, found(*has), TERMS)
    assert planned.steps == ()
    (problem,) = planned.problems
    assert problem.found.startswith(f"{which.ref} exists, and ")
    assert "adopt: true" in problem.mend


def test_of_several_domains_of_the_name_one_has_to_be_named() -> None:
    (problem,) = plan([DOMAIN], Found("d-1", (there(DOMAIN, tags={}),), ("d-2",)), TERMS).problems
    assert "d-1, d-2" in problem.found
    assert "adopt: d-1" in problem.mend


def test_a_domain_that_is_to_be_adopted_has_to_have_the_documents_name() -> None:
    other = there(replace(DOMAIN, ref=Ref(Kind.DOMAIN, "sales")), tags={})
    (problem,) = plan([DOMAIN], found(other), replace(TERMS, adopts=True)).problems
    assert "studio/sales.yaml" in problem.mend


def test_what_is_told_to_be_adopted_is_tagged_and_brought_to_what_is_wanted() -> None:
    foreign = there(ANA, tags={}, settings={"jupyterlab.instance": "ml.t3.large"})
    planned = plan([DOMAIN, ANA], found(there(DOMAIN), foreign), replace(TERMS, adopts=True))
    assert [type(step) for step in planned.now] == [Adopt, Alter]
    assert planned.now[0] == Adopt(foreign, OURS)


@pytest.mark.parametrize(
    ("wanted", "fixed"),
    [
        (DOMAIN, {**FIXED, "vpc": "vpc-2"}),
        (DOMAIN, {**FIXED, "authentication": "SSO"}),
        (LAB, {**LAB.fixed, "owner": "ben"}),
        (LAB, {**LAB.fixed, "app": "CodeEditor"}),
        (LAB, {**LAB.fixed, "sharing": "Shared"}),
    ],
)
def test_what_sagemaker_can_never_change_is_refused_with_the_mend(wanted: Wanted, fixed: Settings) -> None:
    has = [there(each, fixed=fixed) if each is wanted else there(each) for each in (DOMAIN, ANA, BEN, LAB)]
    planned = plan([DOMAIN, ANA, BEN, LAB, profile("cleo")], found(*has), TERMS)
    assert planned.steps == ()
    assert "can never change" in planned.problems[0].found
    assert planned.problems[0].mend.startswith("write ")


def test_names_are_one_however_they_are_written() -> None:
    asked = space("ana-lab", "ANA")
    has = there(replace(ANA, ref=Ref(Kind.PROFILE, "Ana")))
    assert plan([DOMAIN, ANA, asked], found(there(DOMAIN), has, there(LAB)), TERMS) == Plan()


# ── what left the document ────────────────────────────────────────────────────────────────────────
def test_what_left_the_document_is_an_orphan_and_stays() -> None:
    planned = plan([DOMAIN, ANA], found(there(DOMAIN), there(ANA), there(BEN), there(LAB)), TERMS)
    assert planned == Plan(orphans=(LAB.ref, BEN.ref))


def test_what_others_made_is_no_orphan() -> None:
    assert plan([DOMAIN], found(there(DOMAIN), there(BEN, tags={})), replace(TERMS, prunes=True)) == Plan()


PRUNES = replace(TERMS, prunes=True)


def test_a_domain_is_taken_apart_from_the_apps_to_the_domain() -> None:
    config = Wanted(Ref(Kind.LIFECYCLE_CONFIGURATION, "research-packages-1a2b3c4d"))
    everything = [there(config), there(DOMAIN), there(ANA), there(LAB), app(LAB.ref)]
    began = []
    while everything:
        planned = plan([], found(*everything), PRUNES)
        began.append([str(step.ref) for step in planned.now])
        gone = {step.ref.key for step in planned.now}
        assert all(isinstance(step, Remove) for step in planned.now)
        everything = [each for each in everything if each.ref.key not in gone]
    assert began == [
        ["app ana-lab/JupyterLab/default", "lifecycle configuration research-packages-1a2b3c4d"],
        ["space ana-lab"],
        ["user profile ana"],
        ["domain research"],
    ]


@pytest.mark.parametrize("with_home", [True, False])
def test_the_home_file_system_goes_only_when_the_document_says_so(with_home: bool) -> None:
    (step,) = plan([], found(there(DOMAIN)), replace(PRUNES, with_home=with_home)).steps
    assert isinstance(step, Remove)
    assert step.with_home is with_home


def test_a_space_that_others_made_keeps_its_owner_and_that_is_told() -> None:
    planned = plan([DOMAIN], found(there(DOMAIN), there(ANA), there(LAB, tags={})), PRUNES)
    assert planned.now == ()
    assert planned.later[0].waits_for == "the end of space ana-lab"
    (told,) = planned.in_the_way
    assert told.startswith(
        "user profile ana cannot be deleted: space ana-lab is in it, and Modelgate did not"
    )


def test_a_lifecycle_configuration_stays_while_anybody_uses_it() -> None:
    config = there(Wanted(Ref(Kind.LIFECYCLE_CONFIGURATION, "research-packages-1a2b3c4d")))
    used = there(DOMAIN, settings={**OF_DOMAIN, "profiles.jupyterlab.lifecycle": (config.arn,)})
    planned = plan([DOMAIN], found(used, config), PRUNES)
    assert said(planned) == [
        f"change domain research: profiles.jupyterlab.lifecycle: {config.arn} → nothing",
        (
            "delete lifecycle configuration research-packages-1a2b3c4d: it left the document "
            "(after the end of its use by domain research)"
        ),
    ]


def test_what_is_being_deleted_already_is_only_waited_for() -> None:
    planned = plan([DOMAIN], found(there(DOMAIN), there(ANA), there(LAB, "Deleting")), PRUNES)
    assert [step.waits_for for step in planned.steps] == ["the end of space ana-lab"]


def test_an_app_that_is_pending_is_waited_for() -> None:
    planned = plan(
        [DOMAIN, ANA], found(there(DOMAIN), there(ANA), there(LAB), app(LAB.ref, "Pending")), PRUNES
    )
    assert planned.now == ()
