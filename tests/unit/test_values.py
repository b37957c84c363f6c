"""Frozen dataclasses with shared methods behave as the standard ones do."""

from __future__ import annotations

import dataclasses
from dataclasses import FrozenInstanceError, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from modelgate.values import dataclass


@dataclass(frozen=True)
class Ours:
    """As it would be written in the layer."""

    number: int
    name: str = ""
    said_by: str = field(default="", compare=False)
    tags: tuple[str, ...] = field(default_factory=tuple)


@dataclasses.dataclass(frozen=True)
class Standard:
    """The same, by the standard decorator."""

    number: int
    name: str = ""
    said_by: str = field(default="", compare=False)
    tags: tuple[str, ...] = field(default_factory=tuple)


VALUES = st.tuples(st.integers(0, 2), st.sampled_from("ab"), st.sampled_from("ab"), st.just(()))


@given(VALUES, VALUES)
def test_two_are_equal_when_the_standard_ones_are(one: Any, other: Any) -> None:
    ours, standard = (Ours(*one), Ours(*other)), (Standard(*one), Standard(*other))

    assert (ours[0] == ours[1]) == (standard[0] == standard[1])
    assert (len(set(ours))) == len(set(standard))


@given(VALUES)
def test_they_are_shown_replaced_and_listed_as_the_standard_ones(given: Any) -> None:
    ours, standard = Ours(*given), Standard(*given)

    assert repr(ours) == repr(standard).replace("Standard", "Ours")
    assert dataclasses.asdict(replace(ours, name="c")) == dataclasses.asdict(replace(standard, name="c"))
    assert Ours.__match_args__ == Standard.__match_args__


@pytest.mark.parametrize(
    ("given", "named"),
    [((), {}), ((1, "a", "b", (), 5), {}), ((1,), {"number": 1}), ((1,), {"size": 1}), ((), {"size": 1})],
    ids=["a field missing", "too many", "a field twice", "an unknown field", "unknown instead of missing"],
)
def test_what_the_standard_one_is_not_made_of_ours_is_not_either(given: Any, named: Any) -> None:
    for each in (Ours, Standard):
        with pytest.raises(TypeError):
            each(*given, **named)


def test_nothing_can_be_assigned_or_deleted() -> None:
    ours = Ours(1)

    with pytest.raises(FrozenInstanceError):
        ours.number = 2  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        del ours.number


def test_each_has_a_default_of_its_own_where_one_is_made() -> None:
    @dataclass(frozen=True)
    class Tagged:
        tags: list[str] = field(default_factory=list)

    Tagged().tags.append("x")

    assert Tagged().tags == []


def test_one_without_fields_equals_its_like_and_nothing_else() -> None:
    @dataclass(frozen=True)
    class Nothing:
        """No fields."""

    @dataclass(frozen=True)
    class Wait:
        """None either."""

    waiting: set[object] = {Wait()}
    assert Nothing() == Nothing()
    assert Nothing() not in waiting


def test_pydantic_reads_and_writes_them() -> None:
    adapter = TypeAdapter(Ours)

    assert adapter.validate_json(adapter.dump_json(Ours(1, "a"))) == Ours(1, "a")


def test_only_frozen_ones_are_made() -> None:
    with pytest.raises(TypeError, match="standard decorator"):
        dataclass(frozen=False)
