"""A document is kept true, and people are told what was done about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from modelgate.errors import Invalid, NotYet, Throttled
from modelgate.names import STACK_TAG
from modelgate.studio.document import key_of
from modelgate.studio.records import Status
from modelgate.studio.resources import DOMAIN_TAG, Wanted
from tests.fakes.aws import Crash
from tests.unit.studio import NAME, House, profile, space
from tests.unit.studio_documents import document, written

PRIVATE = {"private_for_each_profile": {"app": "JupyterLab", "storage_gb": 20}}


@pytest.fixture
def house() -> House:
    return House()


def settled(house: House, told: dict[str, Any]) -> None:
    """The document is uploaded, and carried out to its end."""
    house.upload(told)
    house.look()
    for _ in range(4):
        house.studio.advance()
        house.look()
    assert house.state.status is Status.SETTLED


def told(house: House, kind: str) -> list[str]:
    return [each.message for each in house.bus.announced if each.kind.value == kind]


# ── step by step ──────────────────────────────────────────────────────────────────────────────────
def test_each_look_does_what_waits_for_nothing_and_no_more(house: House) -> None:
    house.upload(document("ana", spaces=PRIVATE))
    first = house.look()
    assert first.did == ("make domain research",)
    assert first.waits == (
        "make user profile ana; it waits for domain research, which is Pending",
        "make space ana-private; it waits for domain research, which is Pending",
        "domain research, which SageMaker is at work on",
    )
    assert house.look().did == ()
    house.studio.advance()
    assert house.look().did == ("make user profile ana",)
    house.studio.advance()
    assert house.look().did == ("make space ana-private",)
    house.studio.advance()
    assert house.look().status == "settled"


def test_what_was_done_is_told_once_and_kept_with_the_version_that_asked_for_it(house: House) -> None:
    settled(house, document("ana"))
    assert told(house, "Studio Settled") == [
        "Domain research is as its document says; 2 steps: make domain research; make user profile ana."
    ]
    house.look()
    assert house.bus.kinds() == ["Studio Settled"]
    settled(house, document("ana", "ben"))
    changes = [(each.uploaded, [done.step for done in each.done]) for each in house.states.changes(NAME)]
    assert changes == [
        ("v1", ["make domain research"]),
        ("v1", ["make user profile ana"]),
        ("v2", ["make user profile ben"]),
    ]


def test_where_all_is_as_it_should_be_nothing_is_written(house: House) -> None:
    settled(house, document("ana", spaces=PRIVATE))
    before = len(house.calls.made)
    assert house.keeper.sweep(house.invocation()) == []
    assert "PutItem" not in house.calls.made[before:]


def test_the_sweep_goes_on_where_no_event_came(house: House) -> None:
    house.upload(document("ana"))
    house.look()
    house.studio.advance()
    (look,) = house.keeper.sweep(house.invocation())
    assert look.did == ("make user profile ana",)


@dataclass(frozen=True)
class Call:
    """A call of Studio's API, as an event tells of it."""

    domain_id: str = ""
    domain_name: str = ""
    role: str = "admin"


def test_whoever_calls_studios_api_has_the_domain_looked_at(house: House) -> None:
    house.upload(document("ana"))
    house.look()
    house.studio.advance()
    looks = [
        house.keeper.studio_changed(call, house.invocation())
        for call in (
            Call(house.state.domain_id, role="modelgate-keeper"),
            Call("d-9"),
            Call(domain_name="sales"),
            Call(house.state.domain_id),
            Call(domain_name="Research"),
        )
    ]
    assert [look.status for look in looks] == [
        "a call of Modelgate's own",
        "no domain of this stack",
        "no domain of this stack",
        "moving",
        "moving",
    ]
    assert [look.did for look in looks if look.did] == [("make user profile ana",)]


def test_a_call_while_another_invocation_is_at_it_is_passed_over(house: House) -> None:
    house.upload(document("ana"))
    house.calls.fail("CreateDomain", Crash())
    with pytest.raises(Crash):
        house.look()
    look = house.keeper.studio_changed(Call(domain_name=NAME), house.invocation())
    assert look.status == "another invocation is at it"


def test_a_large_domain_is_made_a_hundred_at_a_time(house: House) -> None:
    people = [f"p{number}" for number in range(250)]
    house.upload(document(*people))
    house.look()
    house.studio.advance()
    look = house.look()
    assert len(look.did) == 250
    assert [len(each.done) for each in house.states.changes(NAME)] == [1, 100, 100, 50]
    assert house.state.waiting[-1] == "and 150 more"


def test_everything_carries_the_tags_of_stack_and_document(house: House) -> None:
    settled(house, document("ana", spaces=PRIVATE))
    tags = [(each.tags[STACK_TAG], each.tags[DOMAIN_TAG]) for each in house.studio.all()]
    assert tags == [("modelgate", "research")] * 3


def test_another_invocation_is_left_to_it(house: House) -> None:
    house.upload(document("ana"))
    house.calls.fail("CreateDomain", Crash())
    with pytest.raises(Crash):
        house.look(invocation="first")
    with pytest.raises(NotYet, match="another invocation"):
        house.look(invocation="second")
    house.clock.forward(600)
    house.look(invocation="third")
    records = [(done.step, done.outcome) for each in house.states.changes(NAME) for done in each.done]
    assert records == [
        ("make domain research", "begun, and interrupted"),
        ("make domain research", "done"),
    ]


# ── changes, orphans, drift ───────────────────────────────────────────────────────────────────────
def test_what_left_the_document_is_told_once_and_stays(house: House) -> None:
    settled(house, document("ana", "ben", spaces=PRIVATE))
    settled(house, document("ana", spaces=PRIVATE))
    assert told(house, "Studio Orphaned") == [
        (
            "What left the document of domain research is still there: space ben-private, user profile ben. "
            "Write prune: true to have it deleted, or ask for it again."
        )
    ]
    house.look()
    assert len(told(house, "Studio Orphaned")) == 1
    assert "user profile ben" in house.refs


def test_a_document_that_is_deleted_deletes_nothing(house: House) -> None:
    settled(house, document("ana"))
    house.bucket.delete(key_of(NAME))
    house.look()
    assert house.state.orphans == ("user profile ana", "domain research")
    assert house.refs == ["domain research", "user profile ana"]
    assert told(house, "Studio Settled")[-1].startswith(
        "Domain research is as it was left: its document is deleted"
    )


def test_under_prune_it_goes_from_the_apps_to_the_domain_and_the_home_stays(house: House) -> None:
    settled(house, document("ana", spaces=PRIVATE))
    house.studio.starts_app(space("ana-private"))
    settled_again(house, {"prune": True})
    assert house.studio.deleted == [
        "app ana-private/JupyterLab/default",
        "space ana-private",
        "user profile ana",
        "domain research",
    ]
    assert house.refs == []
    assert house.studio.homes == {"d-000000000001"}
    assert told(house, "Studio Orphaned") == []


def test_the_home_file_system_goes_when_the_document_says_so(house: House) -> None:
    settled(house, document("ana"))
    settled_again(house, {"prune": True, "delete_home_file_system": True})
    assert house.studio.homes == set()


def settled_again(house: House, document: dict[str, Any]) -> None:
    house.upload(document)
    for _ in range(6):
        house.look()
        house.studio.advance()
    assert house.look().status == "settled"


def test_what_is_changed_by_hand_is_told_and_put_back(house: House) -> None:
    settled(house, document("ana"))
    house.studio.changed_by_hand(profile("ana"), {"jupyterlab.instance": "ml.p4d.24xlarge"})
    house.look()
    step = "change user profile ana: jupyterlab.instance: ml.p4d.24xlarge → ml.t3.medium"
    assert told(house, "Studio Drifted") == [
        (
            "Domain research is no longer as its document says, because somebody changed it by hand; it is "
            f"put back: {step}."
        )
    ]
    house.studio.advance()
    house.look()
    assert house.there(profile("ana")).settings["jupyterlab.instance"] == "ml.t3.medium"
    assert [each.drift for each in house.states.changes(NAME)] == [False, False, True]


def test_a_new_version_of_the_document_is_no_drift(house: House) -> None:
    settled(house, document("ana"))
    settled(house, document("ana", "ben"))
    assert told(house, "Studio Drifted") == []


def test_what_is_deleted_by_hand_is_made_again(house: House) -> None:
    settled(house, document("ana"))
    house.studio.deleted_by_hand(profile("ana"))
    house.studio.advance()
    house.look()
    assert told(house, "Studio Drifted")[0].endswith("it is put back: make user profile ana.")


def test_a_tag_that_left_the_document_goes_and_those_of_others_stay(house: House) -> None:
    settled(house, document(profiles=[{"name": "ana", "tags": {"team": "a", "office": "b"}}]))
    house.studio.retag(house.there(profile("ana")), {"auditor": "zoe"}, ())
    settled(house, document(profiles=[{"name": "ana", "tags": {"team": "c"}}]))
    tags = house.there(profile("ana")).tags
    assert {key: tags[key] for key in tags if ":" not in key} == {"team": "c", "auditor": "zoe"}


# ── what is not this document's ───────────────────────────────────────────────────────────────────
def made_by_hand(house: House) -> None:
    """Somebody made a domain with a profile, and no document knows of them."""
    house.studio.made_by_hand(house.keeper.understood(NAME, written(document())).wanted[0])
    house.studio.advance()
    house.studio.made_by_hand(Wanted(profile("ana"), {"sso_user": ""}))
    house.studio.advance()


def test_a_domain_that_is_not_ours_is_refused_and_nothing_half_made(house: House) -> None:
    made_by_hand(house)
    before = house.studio.all()
    house.upload(document("ana", "ben"))
    look = house.look()
    assert look.status == "refused"
    (message,) = told(house, "Studio Refused")
    assert "domain research exists, and was not made by Modelgate; write adopt: true" in message
    assert house.studio.all() == before
    house.look()
    assert len(told(house, "Studio Refused")) == 1


def test_what_is_adopted_is_tagged_and_then_kept(house: House) -> None:
    made_by_hand(house)
    settled(house, document("ana", adopt=True))
    assert all(each.tags[STACK_TAG] == "modelgate" for each in house.studio.all())
    assert house.plan().steps == ()


def test_what_is_not_named_is_not_adopted(house: House) -> None:
    made_by_hand(house)
    settled(house, document("ben", adopt=True))
    assert STACK_TAG not in house.there(profile("ana")).tags


def test_a_space_that_people_made_keeps_its_profile_and_that_is_told(house: House) -> None:
    settled(house, document("ana"))
    fixed = {"app": "JupyterLab", "sharing": "Private", "owner": "ana"}
    house.studio.made_by_hand(Wanted(space("mine"), fixed))
    house.studio.advance()
    house.upload(document(prune=True))
    house.look()
    assert house.state.status is Status.TROUBLED
    (message,) = told(house, "Studio Failed")
    assert message.startswith("user profile ana cannot be deleted: space mine is in it")
    house.studio.deleted_by_hand(space("mine"))
    house.studio.advance()
    house.look()
    house.studio.advance()
    assert house.look().status == "settled"


# ── what goes wrong ───────────────────────────────────────────────────────────────────────────────
def test_what_sagemaker_refuses_is_told_and_rests_while_the_others_go_on(house: House) -> None:
    settled(house, document())
    house.upload(document("ana", "ben"))
    house.calls.fail("CreateUserProfile", Invalid("CreateUserProfile", "ValidationException", "no such user"))
    look = house.look()
    assert look.did == ("make user profile ben",)
    assert house.state.status is Status.TROUBLED
    (message,) = told(house, "Studio Failed")
    assert message.startswith(
        "User profile ana of domain research: ValidationException: no such user. It is tried"
    )
    assert house.look().did == ()
    house.clock.forward(1000)
    house.studio.advance()
    assert house.look().did == ("make user profile ana",)
    house.studio.advance()
    assert house.look().status == "settled"


def test_another_version_is_tried_at_once(house: House) -> None:
    settled(house, document())
    house.upload(document("ana"))
    house.calls.fail("CreateUserProfile", Invalid("CreateUserProfile", "ValidationException", "no such user"))
    house.look()
    house.upload(document("ana", prune=True))
    assert house.look().did == ("make user profile ana",)


def test_what_fails_again_and_again_rests_longer_and_longer(house: House) -> None:
    settled(house, document())
    house.upload(document("ana"))
    pauses = []
    for _ in range(40):
        house.look()
        found = house.studio.find(NAME).get(profile("ana"))
        if found is not None and found.status == "Pending":
            house.studio.fail_next(profile("ana"), "the directory is closed")
        house.studio.advance()
        trouble = house.state.trouble_of(profile("ana"))
        if trouble is not None and trouble.not_before > house.clock():
            pauses.append((trouble.not_before - house.clock()).total_seconds() // 60)
            house.clock.now = trouble.not_before
    assert pauses[:4] == [15, 30, 60, 120]
    assert max(pauses) == 24 * 60
    (reason,) = told(house, "Studio Failed")
    assert "it is Failed: the directory is closed" in reason


def test_a_change_that_sagemaker_takes_and_does_not_show_is_not_repeated_for_ever(house: House) -> None:
    settled(house, document("ana"))
    house.upload(document(profiles=[{"name": "ana", "jupyterlab": {"instance": "ml.m5.large"}}]))
    house.look()
    house.studio.advance()
    house.studio.changed_by_hand(profile("ana"), {"jupyterlab.instance": "ml.t3.medium"})
    house.look()
    assert house.look().did == ()
    (message,) = told(house, "Studio Failed")
    assert "SageMaker took it, and shows none of it" in message
    house.clock.forward(1000)
    assert len(house.look().did) == 1


def test_a_throttle_is_for_the_next_look(house: House) -> None:
    house.upload(document("ana"))
    house.calls.fail("CreateDomain", Throttled("CreateDomain", "ThrottlingException", "slow down"))
    assert house.look().did == ()
    assert house.look().did == ("make domain research",)
    assert house.state.troubles == ()


# ── documents that are wrong ──────────────────────────────────────────────────────────────────────
def test_a_document_that_is_wrong_changes_nothing_and_tells_every_reason(house: House) -> None:
    settled(house, document("ana"))
    house.upload(
        document("ana", "ana", spaces={"private": [{"name": "x", "owner": "zoe", "app": "JupyterLab"}]})
    )
    assert house.look().status == "refused"
    refused = house.bus.announced[-1]
    assert len(refused.facts["reasons"]) == 2  # type: ignore[arg-type]
    house.studio.changed_by_hand(profile("ana"), {"jupyterlab.instance": "ml.p4d.24xlarge"})
    assert house.look().did == ()
    settled(house, document("ana"))


def test_a_document_whose_name_is_no_domains_is_refused(house: House) -> None:
    house.upload(document(), "a_b")
    assert house.look("a_b").status == "refused"
    assert "is named after a domain that is no name that SageMaker takes" in told(house, "Studio Refused")[0]
    assert house.states.all() == []


def test_no_document_and_nothing_known_is_nothing_to_do(house: House) -> None:
    assert house.look().status == "there is no document"
    assert house.states.all() == []


def test_what_is_over_is_looked_at_no_more(house: House) -> None:
    settled(house, document())
    settled_again(house, {"prune": True})
    house.bucket.delete(key_of(NAME))
    house.look()
    before = len(house.calls.made)
    assert house.keeper.sweep(house.invocation()) == []
    assert "DescribeDomain" not in house.calls.made[before:]
