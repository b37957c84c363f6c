"""What this house demands of its template beyond what CloudFormation does, as cfn-lint checks.

They read the SAM template as it is written: that is what people edit, and what an error must point at.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cfnlint.rules import CloudFormationLintRule, RuleMatch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cfnlint.template import Template

# `Resource: *Alias` is YAML's way to say "as there"; only a star that ends the value is a wildcard.
_WILDCARD = re.compile(
    r"""^\s*-?\s*(Action|Resource|Principal):\s*["']?([a-z0-9-]+:)?\*["']?(\s+(?P<rest>.*))?$"""
)
_FUNCTION = "AWS::Serverless::Function"


def _resources(cfn: Template, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, resource in cfn.get_resources([kind]).items():
        yield name, resource.get("Properties", {})


def _referred(value: object) -> str | None:
    """The logical id that a Ref or a GetAtt names."""
    if not isinstance(value, dict):
        return None
    name = value.get("Ref") or value.get("Fn::GetAtt")
    return str(name[0] if isinstance(name, list) else name).partition(".")[0] if name else None


class TargetsKeepWhatTheyCannotDeliver(CloudFormationLintRule):  # type: ignore[misc]  # cfn-lint is untyped here
    id = "E9101"
    shortdesc = "Every rule's target has a retry policy and a dead-letter queue"
    description = "An event that cannot be delivered must wait somewhere, from where it can be sent again"
    source_url = "docs/architecture.md"
    tags = ("house", "events")

    def match(self, cfn: Template) -> list[RuleMatch]:
        return [
            RuleMatch(["Resources", name, "Properties"], f"{name}: a target without {missing}")
            for name, target in [*self._of_rules(cfn), *self._of_functions(cfn)]
            for missing in ("RetryPolicy", "DeadLetterConfig")
            if missing not in target
        ]

    def _of_rules(self, cfn: Template) -> Iterator[tuple[str, dict[str, Any]]]:
        for name, properties in _resources(cfn, "AWS::Events::Rule"):
            for target in properties.get("Targets", []):
                yield name, target

    def _of_functions(self, cfn: Template) -> Iterator[tuple[str, dict[str, Any]]]:
        for name, properties in _resources(cfn, _FUNCTION):
            for event in properties.get("Events", {}).values():
                yield name, event.get("Properties", {})


class FunctionsHandOnWhatTheyFailedOn(CloudFormationLintRule):  # type: ignore[misc]
    id = "E9102"
    shortdesc = "Every function has an on-failure destination and reserved concurrency"
    description = "An event that a function failed on must wait somewhere, and a burst must become a backlog"
    source_url = "docs/architecture.md"
    tags = ("house", "lambda")

    def match(self, cfn: Template) -> list[RuleMatch]:
        matches = []
        for name, properties in _resources(cfn, _FUNCTION):
            destinations = properties.get("EventInvokeConfig", {}).get("DestinationConfig", {})
            if "OnFailure" not in destinations:
                matches.append(RuleMatch(["Resources", name], f"{name}: no on-failure destination"))
            if "ReservedConcurrentExecutions" not in properties:
                matches.append(RuleMatch(["Resources", name], f"{name}: no reserved concurrency"))
        return matches


class FunctionsHaveARoleOfTheirOwn(CloudFormationLintRule):  # type: ignore[misc]
    id = "E9103"
    shortdesc = "Every function has a role of its own that the template writes out"
    description = "A role that two functions share has the permissions of both"
    source_url = "docs/architecture.md"
    tags = ("house", "iam")

    def match(self, cfn: Template) -> list[RuleMatch]:
        roles = dict(_resources(cfn, "AWS::IAM::Role"))
        owner: dict[str, str] = {}
        matches = []
        for name, properties in _resources(cfn, _FUNCTION):
            role = _referred(properties.get("Role"))
            if role not in roles:
                matches.append(RuleMatch(["Resources", name], f"{name}: its role is not in this template"))
            elif role in owner:
                matches.append(RuleMatch(["Resources", name], f"{name}: shares {role} with {owner[role]}"))
            else:
                owner[role] = name
        return matches


class LogsExpire(CloudFormationLintRule):  # type: ignore[misc]
    id = "E9104"
    shortdesc = "Every function logs into a log group of the template that expires"
    description = "A log group that Lambda makes itself keeps everything for ever"
    source_url = "docs/architecture.md"
    tags = ("house", "logs")

    def match(self, cfn: Template) -> list[RuleMatch]:
        expiring = {
            name
            for name, properties in _resources(cfn, "AWS::Logs::LogGroup")
            if "RetentionInDays" in properties
        }
        return [
            RuleMatch(["Resources", name], f"{name}: no log group with RetentionInDays")
            for name, properties in _resources(cfn, _FUNCTION)
            if _referred(properties.get("LoggingConfig", {}).get("LogGroup")) not in expiring
        ]


class WildcardsAreExplained(CloudFormationLintRule):  # type: ignore[misc]
    id = "E9105"
    shortdesc = 'A permission on "*" says on its line why AWS leaves no other way'
    description = (
        "Resource, Action or Principal of * without a comment is a mistake until somebody explains it"
    )
    source_url = "docs/architecture.md"
    tags = ("house", "iam")

    def match(self, cfn: Template) -> list[RuleMatch]:
        # Comments are gone once YAML is read, so this one reads the file.
        lines = Path(cfn.filename).read_text().splitlines()
        return [
            RuleMatch(["Resources"], f"line {number}: {line.strip()} has no comment that says why")
            for number, line in enumerate(lines, start=1)
            if (found := _WILDCARD.match(line)) and not (found["rest"] or "").startswith("#")
        ]


class FunctionFoldersHoldOneFile(CloudFormationLintRule):  # type: ignore[misc]
    id = "E9106"
    shortdesc = "A function's folder holds app.py and nothing else, and every folder is a function"
    description = "Whatever lies in the folder ships with the function; logic belongs in the layer"
    source_url = "docs/architecture.md"
    tags = ("house", "lambda")

    def match(self, cfn: Template) -> list[RuleMatch]:
        root = Path(cfn.filename).resolve().parent / "functions"
        if not root.is_dir():
            return []
        text = Path(cfn.filename).read_text()
        matches = []
        for folder in sorted(each for each in root.iterdir() if each.is_dir() and each.name != "__pycache__"):
            files = sorted(each.name for each in folder.iterdir() if each.name != "__pycache__")
            if files != ["app.py"]:
                matches.append(RuleMatch(["Resources"], f"functions/{folder.name}/ holds {', '.join(files)}"))
            if f"CodeUri: functions/{folder.name}/" not in text:
                matches.append(RuleMatch(["Resources"], f"functions/{folder.name}/ belongs to no function"))
        return matches
