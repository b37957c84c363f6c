"""What of an event reaches a target: Input, InputPath and InputTransformer of a rule's target."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_STEP = re.compile(r"\.([A-Za-z0-9_-]+)|\['([^']+)'\]|\[(\d+)\]")
_PLACEHOLDER = re.compile(r"<([A-Za-z0-9_.-]+)>")
_MISSING = object()


class InputError(ValueError):
    """The template of a target does not make JSON of this event."""


def target_input(target: Mapping[str, Any], event: Mapping[str, Any], rule_arn: str, rule_name: str) -> Any:
    """What the target gets: a JSON value, or a string for the plain-text templates of SNS, SQS and logs.

    Raises:
        InputError: the transformer's template does not make JSON of this event.
    """
    if "Input" in target:
        return json.loads(target["Input"])
    if "InputPath" in target:
        found = find(target["InputPath"], event)
        return None if found is _MISSING else found
    transformer = target.get("InputTransformer")
    if not transformer:
        return dict(event)
    values = {name: find(path, event) for name, path in (transformer.get("InputPathsMap") or {}).items()}
    values |= {
        "aws.events.rule-arn": rule_arn,
        "aws.events.rule-name": rule_name,
        "aws.events.event.ingestion-time": event["time"],
        "aws.events.event.json": dict(event),
        "aws.events.event": {name: value for name, value in event.items() if name != "detail"},
    }
    return fill(transformer["InputTemplate"], values)


def find(path: str, event: Mapping[str, Any]) -> Any:
    """What a JSON path of EventBridge's kind points at: names by dots, and numbers of list items."""
    node: Any = event
    for name, quoted, index in _STEP.findall(path.removeprefix("$")):
        if index:
            node = node[int(index)] if isinstance(node, list) and int(index) < len(node) else _MISSING
        else:
            node = node.get(quoted or name, _MISSING) if isinstance(node, Mapping) else _MISSING
        if node is _MISSING:
            return _MISSING
    return node


def fill(template: str, values: Mapping[str, Any]) -> Any:
    """A template with its placeholders filled, in quotes or not, then read as JSON.

    Raises:
        InputError: what comes out is no JSON.
    """
    filled = []
    end = 0
    in_quotes = False
    for match in _PLACEHOLDER.finditer(template):
        between = template[end : match.start()]
        in_quotes ^= _quotes(between) % 2 == 1
        filled += [between, _written(values.get(match[1], match[0]), in_quotes=in_quotes)]
        end = match.end()
    text = "".join([*filled, template[end:]])
    try:
        return json.loads(text, strict=False)
    except json.JSONDecodeError as error:
        raise InputError(f"the input transformer makes no JSON: {text}") from error


def _quotes(text: str) -> int:
    """How many quotes there are that begin or end a string."""
    return len(re.findall(r'(?<!\\)(?:\\\\)*"', text))


def _written(value: Any, *, in_quotes: bool) -> str:
    if value is _MISSING:
        return "" if in_quotes else '""'
    if not in_quotes:
        return json.dumps(value)
    text = value if isinstance(value, str) else json.dumps(value)
    return json.dumps(text)[1:-1]
