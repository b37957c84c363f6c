"""Evaluates IAM policies: "Policy evaluation logic" in the IAM User Guide, for one account.

Knows the condition operators listed in ``_OPERATORS`` and the elements listed in ``_ELEMENTS``. A policy with
others is refused with an error when it is first read, and never silently taken to hold.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

from localcloud.errors import TemplateError

Decision = Literal["allow", "explicit deny", "implicit deny"]
Context = Mapping[str, str | list[str] | None]


@dataclass(frozen=True)
class Demand:
    """A permission that a call needs.

    Attributes:
        context: the condition keys that are known for this call, by their names.
    """

    action: str
    resource: str
    context: Context = field(default_factory=dict)


@dataclass(frozen=True)
class Principal:
    """Who asks, for policies of resources: a service that acts on somebody's behalf, or somebody himself.

    Attributes:
        arns: all that a policy may call somebody by: the account, the role, its session.
    """

    service: str = ""
    arns: frozenset[str] = frozenset()


def decide(documents: list[str], demand: Demand, principal: Principal | None = None) -> Decision:
    """What the policies say of a demand; a denial wins."""
    decision: Decision = "implicit deny"
    for document in documents:
        for statement in _statements_on(document, demand.action):
            if not _applies(statement, demand, principal):
                continue
            if statement["Effect"] == "Deny":
                return "explicit deny"
            decision = "allow"
    return decision


def refuse_unknown(document: str) -> None:
    """Look whether a policy can be evaluated here.

    Raises:
        TemplateError: it holds something that is not known here, or is no policy.
    """
    try:
        _statements(document)
    except (json.JSONDecodeError, AttributeError) as error:
        raise TemplateError(f"this is no policy: {error}") from error


@lru_cache(maxsize=256)
def _statements(document: str) -> tuple[Mapping[str, Any], ...]:
    statements = _several(json.loads(document).get("Statement", []))
    for statement in statements:
        unknown = ", ".join(sorted(set(statement) - _ELEMENTS))
        if unknown:
            raise TemplateError(f"the local cloud does not know the policy element {unknown}")
        for operator in statement.get("Condition", {}):
            _operator(operator)
    return tuple(statements)


@lru_cache(maxsize=4096)
def _statements_on(document: str, action: str) -> tuple[Mapping[str, Any], ...]:
    """The statements that are about an action; of most policies that is one."""
    return tuple(
        each for each in _statements(document) if _one_matches(each, "Action", action, re.IGNORECASE)
    )


def _applies(statement: Mapping[str, Any], demand: Demand, principal: Principal | None) -> bool:
    return (
        _principal_matches(statement, principal)
        and _one_matches(statement, "Resource", demand.resource, 0)
        and all(
            _holds(operator, key, wanted, demand.context)
            for operator, keys in statement.get("Condition", {}).items()
            for key, wanted in keys.items()
        )
    )


def _principal_matches(statement: Mapping[str, Any], principal: Principal | None) -> bool:
    if principal is None:
        return True
    named = statement.get("Principal", {})
    if named == "*":
        return True
    people = _several(named.get("AWS", []))
    return (
        principal.service in _several(named.get("Service", []))
        or "*" in people
        or not principal.arns.isdisjoint(people)
    )


def _one_matches(statement: Mapping[str, Any], member: str, value: str, flags: int) -> bool:
    if f"Not{member}" in statement:
        return not any(_like(pattern, value, flags) for pattern in _several(statement[f"Not{member}"]))
    if member not in statement:
        return member == "Resource"  # trust policies have none
    return any(_like(pattern, value, flags) for pattern in _several(statement[member]))


@lru_cache(maxsize=4096)
def _compiled(pattern: str, flags: int) -> re.Pattern[str]:
    return re.compile(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), flags | re.DOTALL)


def _like(pattern: str, value: str, flags: int = 0) -> bool:
    return _compiled(pattern, flags).fullmatch(value) is not None


def _arn_like(value: str, wanted: str) -> bool:
    """Each of an ARN's six parts for itself: a wildcard does not reach from one into the next."""
    parts, patterns = value.split(":", 5), wanted.split(":", 5)
    return len(parts) == len(patterns) and all(map(_like, patterns, parts))


def _number(text: str) -> float:
    return float(text)


_ELEMENTS = frozenset(
    {"Sid", "Effect", "Principal", "Action", "NotAction", "Resource", "NotResource", "Condition"}
)
_OPERATORS: Mapping[str, Callable[[str, str], bool]] = {
    "StringEquals": lambda value, wanted: value == wanted,
    "StringEqualsIgnoreCase": lambda value, wanted: value.lower() == wanted.lower(),
    "StringLike": lambda value, wanted: _like(wanted, value),
    "ArnEquals": _arn_like,
    "ArnLike": _arn_like,
    "Bool": lambda value, wanted: value.lower() == wanted.lower(),
    "NumericEquals": lambda value, wanted: _number(value) == _number(wanted),
    "NumericLessThan": lambda value, wanted: _number(value) < _number(wanted),
    "NumericLessThanEquals": lambda value, wanted: _number(value) <= _number(wanted),
    "NumericGreaterThan": lambda value, wanted: _number(value) > _number(wanted),
    "NumericGreaterThanEquals": lambda value, wanted: _number(value) >= _number(wanted),
}
_NEGATED = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
    "NumericNotEquals": "NumericEquals",
}


@dataclass(frozen=True)
class _Operator:
    compare: Callable[[str, str], bool] | None
    negated: bool = False
    if_exists: bool = False
    quantifier: str = ""


@lru_cache(maxsize=64)
def _operator(written: str) -> _Operator:
    quantifier, _, name = written.rpartition(":")
    if_exists = name.endswith("IfExists")
    name = name.removesuffix("IfExists")
    if name == "Null":
        return _Operator(None)
    negated = name in _NEGATED
    compare = _OPERATORS.get(_NEGATED.get(name, name))
    if compare is None or quantifier not in {"", "ForAllValues", "ForAnyValue"}:
        raise TemplateError(f"the local cloud does not know the condition operator {written}")
    return _Operator(compare, negated, if_exists, quantifier)


def _holds(written: str, key: str, wanted: Any, context: Context) -> bool:
    operator = _operator(written)
    found = next((value for name, value in context.items() if name.lower() == key.lower()), None)
    if operator.compare is None:
        return (found is None) == (str(_several(wanted)[0]).lower() == "true")
    if found is None:
        return operator.if_exists or operator.negated or operator.quantifier == "ForAllValues"
    results = _results(operator, _several(found), [str(item) for item in _several(wanted)])
    return all(results) if operator.quantifier == "ForAllValues" or operator.negated else any(results)


def _results(operator: _Operator, values: list[Any], wanted: list[str]) -> Iterator[bool]:
    compare = operator.compare
    if compare is None:
        return
    for value in values:
        meets = any(compare(str(value), item) for item in wanted)
        yield meets != operator.negated


def _several(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
