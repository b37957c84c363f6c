"""Reads a SAM template: transforms it, decides its conditions, and resolves its intrinsic functions."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import boto3
from samtranslator.model.exceptions import InvalidDocumentException
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

from localcloud.calls import ACCOUNT
from localcloud.errors import TemplateError
from localcloud.names import naming

_LOCAL = "s3://local/"
_CODE = {"AWS::Serverless::Function": "CodeUri", "AWS::Serverless::LayerVersion": "ContentUri"}
_PLACEHOLDER = re.compile(r"\$\{(!?)([^}]+)\}")
_NO_VALUE = object()


@dataclass(frozen=True)
class Resource:
    """A resource that the stack makes: its properties resolved, and what it is called.

    Attributes:
        physical_id: what ``Ref`` gives, but for what CloudFormation itself calls it by.
        attributes: what ``GetAtt`` gives.
    """

    logical_id: str
    type: str
    properties: Mapping[str, Any]
    physical_id: str
    attributes: Mapping[str, str]


@dataclass(frozen=True)
class ResolvedTemplate:
    """A template with nothing left to decide.

    Attributes:
        directory: what the paths of code are relative to.
        source: the template as it was written.
    """

    directory: Path
    source: str
    description: str
    parameters: Mapping[str, str]
    resources: Mapping[str, Resource]
    outputs: Mapping[str, Mapping[str, Any]]


def read(
    path: Path, *, stack_name: str, region: str, url: str, registry: str, parameters: Mapping[str, str]
) -> ResolvedTemplate:
    """The template at ``path`` as the stack ``stack_name`` would be made from it.

    Args:
        registry: host and port at which ECR's repositories lie.

    Raises:
        TemplateError: SAM refuses it, a parameter is wrong, or it uses something unknown here.
    """
    source = path.read_text()
    document = _parsed(source)
    given = _parameters(document.get("Parameters", {}), parameters)
    transformed = _transformed(
        source, tuple(sorted((name, str(value)) for name, value in given.items())), region
    )
    resolver = _Resolver(transformed, given, stack_name, region, url, registry)
    resources = {name: resolver.resource(name) for name in transformed["Resources"] if resolver.exists(name)}
    outputs = {
        name: {**output, "Value": str(resolver.value(output["Value"]))}
        for name, output in transformed.get("Outputs", {}).items()
        if "Condition" not in output or resolver.condition(output["Condition"])
    }
    return ResolvedTemplate(
        directory=path.parent.resolve(),
        source=source,
        description=document.get("Description", ""),
        parameters={name: str(value) for name, value in given.items()},
        resources=resources,
        outputs=outputs,
    )


def _parameters(declared: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, Any]:
    unknown = set(given) - set(declared)
    if unknown:
        raise TemplateError(f"the template has no parameter {', '.join(sorted(unknown))}")
    values: dict[str, Any] = {}
    for name, declaration in declared.items():
        value = given.get(name, declaration.get("Default"))
        if value is None:
            raise TemplateError(f"the parameter {name} has no default and was not given")
        pattern = declaration.get("AllowedPattern")
        if pattern and not re.fullmatch(pattern, str(value)):
            raise TemplateError(f"the parameter {name} is {value!r}, and must match {pattern}")
        allowed = declaration.get("AllowedValues")
        if allowed and str(value) not in map(str, allowed):
            raise TemplateError(f"the parameter {name} is {value!r}, and must be one of {allowed}")
        values[name] = value
    return values


@lru_cache(maxsize=16)
def _parsed(source: str) -> Mapping[str, Any]:
    document: Mapping[str, Any] = yaml_parse(source)
    return document


# A test run makes the same stack many times. Nothing changes what is kept here: resolving makes copies.
@lru_cache(maxsize=16)
def _transformed(source: str, parameters: tuple[tuple[str, str], ...], region: str) -> Mapping[str, Any]:
    """SAM's own transformation, told that local code is in a bucket, as it is after ``sam deploy``."""
    document = deepcopy(dict(_parsed(source)))
    for resource in document["Resources"].values():
        where = _CODE.get(resource["Type"])
        code = resource.get("Properties", {}).get(where) if where else None
        if isinstance(code, str) and not code.startswith("s3://"):
            resource["Properties"][where] = _LOCAL + code
    translator = Translator({}, Parser(), boto_session=boto3.Session(region_name=region))
    try:
        transformed: Mapping[str, Any] = translator.translate(document, dict(parameters))
    except InvalidDocumentException as error:
        raise TemplateError("; ".join(cause.message for cause in error.causes)) from error
    finally:
        translator.metrics.publish()  # to nobody; otherwise it warns that nobody was told
    return transformed


def suffix(stack_name: str, logical_id: str) -> str:
    """What CloudFormation draws at random for a name; here always the same."""
    return hashlib.sha256(f"{stack_name}/{logical_id}".encode()).hexdigest()[:12]


class _Resolver:
    """Answers every intrinsic function, each resource when it is first asked for."""

    def __init__(
        self,
        template: Mapping[str, Any],
        parameters: Mapping[str, Any],
        stack_name: str,
        region: str,
        url: str,
        registry: str,
    ) -> None:
        self._template = template
        self._parameters = parameters
        self._stack_name = stack_name
        self._url = url
        self._registry = registry
        self._region = region
        self._made: dict[str, Resource] = {}
        self._making: list[str] = []
        stack_id = f"arn:aws:cloudformation:{region}:{ACCOUNT}:stack/{stack_name}/{suffix(stack_name, '')}"
        self._pseudo = {
            "AWS::AccountId": ACCOUNT,
            "AWS::Region": region,
            "AWS::Partition": "aws",
            "AWS::StackName": stack_name,
            "AWS::StackId": stack_id,
            "AWS::URLSuffix": "amazonaws.com",
            "AWS::NoValue": _NO_VALUE,
        }
        self._functions: Mapping[str, Callable[[Any], Any]] = {
            "Ref": self._ref,
            "Fn::GetAtt": self._get_att,
            "Fn::Sub": self._sub,
            "Fn::If": self._if,
            "Fn::FindInMap": self._find_in_map,
            "Fn::Join": lambda operand: operand[0].join(map(str, self.value(operand[1]))),
            "Fn::Select": lambda operand: self.value(operand[1])[int(self.value(operand[0]))],
            "Fn::Split": lambda operand: str(self.value(operand[1])).split(operand[0]),
            "Fn::Equals": lambda operand: str(self.value(operand[0])) == str(self.value(operand[1])),
            "Fn::Not": lambda operand: not self.value(operand[0]),
            "Fn::And": lambda operand: all(self.value(item) for item in operand),
            "Fn::Or": lambda operand: any(self.value(item) for item in operand),
        }

    def exists(self, logical_id: str) -> bool:
        """Whether the resource's condition holds."""
        condition = self._template["Resources"][logical_id].get("Condition")
        return condition is None or self.condition(condition)

    def condition(self, name: str) -> bool:
        """Whether the condition of this name holds."""
        conditions = self._template.get("Conditions", {})
        if name not in conditions:
            raise TemplateError(f"the template has no condition {name}")
        return bool(self.value(conditions[name]))

    def resource(self, logical_id: str) -> Resource:
        """The resource, with its properties resolved."""
        if logical_id in self._made:
            return self._made[logical_id]
        if logical_id in self._making:
            circle = " → ".join([*self._making, logical_id])
            raise TemplateError(f"these resources need each other: {circle}")
        self._making.append(logical_id)
        written = self._template["Resources"][logical_id]
        properties = self.value(written.get("Properties", {}))
        name = naming(
            written["Type"],
            logical_id=logical_id,
            properties=properties,
            stack_name=self._stack_name,
            region=self._region,
            url=self._url,
            registry=self._registry,
            drawn=suffix(self._stack_name, logical_id),
        )
        self._making.pop()
        made = Resource(logical_id, written["Type"], properties, name.physical_id, name.attributes)
        self._made[logical_id] = made
        return made

    def value(self, node: Any) -> Any:
        """What stands for ``node`` when the stack is made."""
        if isinstance(node, list):
            return [item for item in map(self.value, node) if item is not _NO_VALUE]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((name, operand),) = node.items()
            function = self._functions.get(name)
            if function is not None:
                return function(operand)
            if name == "Condition" and isinstance(operand, str) and operand in self._conditions:
                return self.condition(operand)
            if name.startswith("Fn::"):
                raise TemplateError(f"the local cloud does not know the intrinsic function {name}")
        resolved = {key: self.value(item) for key, item in node.items()}
        return {key: item for key, item in resolved.items() if item is not _NO_VALUE}

    @property
    def _conditions(self) -> Mapping[str, Any]:
        conditions: Mapping[str, Any] = self._template.get("Conditions", {})
        return conditions

    def _ref(self, name: str) -> Any:
        if name in self._pseudo:
            return self._pseudo[name]
        if name in self._parameters:
            value = self._parameters[name]
            is_list = self._template["Parameters"][name]["Type"] == "CommaDelimitedList"
            return [each.strip() for each in str(value).split(",")] if is_list else value
        return self._named(name).physical_id

    def _get_att(self, operand: str | list[str]) -> str:
        logical_id, _, attribute = (
            operand.partition(".") if isinstance(operand, str) else (*operand[:1], "", operand[1])
        )
        attributes = self._named(logical_id).attributes
        if attribute not in attributes:
            known = ", ".join(attributes) or "none"
            raise TemplateError(f"{logical_id} has no attribute {attribute} here; known: {known}")
        return attributes[attribute]

    def _named(self, logical_id: str) -> Resource:
        if logical_id not in self._template["Resources"]:
            raise TemplateError(f"the template has no resource, parameter or pseudo parameter {logical_id}")
        if not self.exists(logical_id):
            raise TemplateError(f"{logical_id} is referred to, and its condition does not hold")
        return self.resource(logical_id)

    def _sub(self, operand: str | list[Any]) -> str:
        text, variables = (operand, {}) if isinstance(operand, str) else operand

        def replace(match: re.Match[str]) -> str:
            literal, name = match.groups()
            if literal:
                return f"${{{name}}}"
            if name in variables:
                return str(self.value(variables[name]))
            return str(self._get_att(name) if "." in name else self._ref(name))

        return _PLACEHOLDER.sub(replace, text)

    def _if(self, operand: list[Any]) -> Any:
        return self.value(operand[1] if self.condition(operand[0]) else operand[2])

    def _find_in_map(self, operand: list[Any]) -> Any:
        table, first, second = (self.value(item) for item in operand[:3])
        found = self._template.get("Mappings", {}).get(table, {}).get(first, {}).get(second)
        if found is None:
            raise TemplateError(f"the mapping {table} has nothing at {first}, {second}")
        return found
