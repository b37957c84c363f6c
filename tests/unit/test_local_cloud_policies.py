"""How a policy that denies something to all but some is evaluated."""

from __future__ import annotations

import json

import pytest

from localcloud.policies import Demand, Principal, decide

ROLE = "arn:aws:iam::123456789012:role/modelgate-ModelUploadedRole-1A2B"
ANYBODY = Principal(arns=frozenset({"arn:aws:iam::123456789012:root"}))


def denies(operator: str, excepted: str | list[str], arn: str) -> bool:
    """Whether a principal with this ARN is denied what only those that are excepted may."""
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": "arn:aws:s3:::b/registered/*",
        "Condition": {operator: {"aws:PrincipalArn": excepted}},
    }
    demand = Demand("s3:PutObject", "arn:aws:s3:::b/registered/a", {"aws:PrincipalArn": arn})
    return decide([json.dumps({"Statement": statement})], demand, ANYBODY) == "explicit deny"


@pytest.mark.parametrize("operator", ["ArnNotEquals", "ArnNotLike", "StringNotEquals", "StringNotLike"])
def test_who_is_excepted_is_let_through_and_nobody_else(operator: str) -> None:
    assert not denies(operator, ROLE, ROLE)
    assert not denies(operator, ["arn:aws:iam::123456789012:role/other", ROLE], ROLE)
    assert denies(operator, ROLE, f"{ROLE}C")
    assert denies(operator, ROLE, "arn:aws:iam::123456789012:root")


@pytest.mark.parametrize("operator", ["ArnNotEquals", "ArnNotLike", "StringNotLike"])
def test_a_pattern_excepts_what_it_matches(operator: str) -> None:
    assert not denies(operator, "arn:aws:iam::*:role/modelgate-*", ROLE)
    assert denies(operator, "arn:aws:iam::*:role/modelgate-?", ROLE)


def test_only_a_string_that_is_like_it_reaches_from_one_part_of_an_arn_into_the_next() -> None:
    assert not denies("StringNotLike", "arn:*:role/*", ROLE)
    assert denies("ArnNotLike", "arn:*:role/*", ROLE)
    assert denies("StringNotEquals", "arn:aws:iam::*:role/modelgate-*", ROLE)


def test_who_has_no_arn_is_not_excepted() -> None:
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": "*",
        "Condition": {"ArnNotEquals": {"aws:PrincipalArn": ROLE}},
    }
    demand = Demand("s3:PutObject", "arn:aws:s3:::b/a")
    assert decide([json.dumps({"Statement": [statement]})], demand, ANYBODY) == "explicit deny"
