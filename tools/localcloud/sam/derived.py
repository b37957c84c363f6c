"""The template that `sam local` gets: the built one's functions, with what a local cloud has resolved."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from samtranslator.yaml_helper import yaml_parse

from localcloud.credentials import Credentials
from localcloud.errors import LocalCloudError

_CODE = {"AWS::Serverless::Function": "CodeUri", "AWS::Serverless::LayerVersion": "ContentUri"}
# What sam local looks at. All else of a function is not for its container, and refers to what is left out.
_OF_A_FUNCTION = (
    "CodeUri",
    "Handler",
    "Runtime",
    "Architectures",
    "Layers",
    "MemorySize",
)


class NoBuildError(LocalCloudError):
    """The functions have not been built as they are now. The message says how to."""


@dataclass(frozen=True)
class ContainerFunction:
    """What a function's container is told by the local cloud.

    Attributes:
        environment: the variables of the template, resolved.
        timeout: seconds.
        credentials: those of its role.
    """

    logical_id: str
    region: str
    environment: Mapping[str, str]
    timeout: float
    log_group: str
    log_stream: str
    json_logs: bool
    credentials: Credentials


def built_template(template: Path) -> Path:
    """Where `sam build` leaves what it made of a template.

    Raises:
        NoBuildError: it has not, or something has changed since.
    """
    built = template.parent.resolve() / ".aws-sam" / "build" / "template.yaml"
    if not built.is_file():
        raise NoBuildError(f"there is no {built}: build the functions first, with make build")
    changed = _changed_since(built.stat().st_mtime, template)
    if changed is not None:
        raise NoBuildError(f"{changed} is newer than what was built: build again, with make build")
    return built


def _changed_since(when: float, template: Path) -> Path | None:
    """Something that the functions are built from, if it has changed since then."""
    document: Mapping[str, Any] = yaml_parse(template.read_text())
    folders = [
        template.parent / resource["Properties"][_CODE[resource["Type"]]]
        for resource in document["Resources"].values()
        if resource["Type"] in _CODE
    ]
    sources = [template, *(file for folder in folders for file in folder.rglob("*"))]
    return next(
        (source for source in sources if "__pycache__" not in source.parts and source.stat().st_mtime > when),
        None,
    )


def derive(built: Path, functions: list[ContainerFunction], folder: Path, *, url: str) -> tuple[str, ...]:
    """Write into ``folder`` what `sam local` needs for these functions; its options.

    Args:
        built: the template that `sam build` wrote.
        url: the local cloud, as containers reach it.

    Raises:
        NoBuildError: a function has not been built.
    """
    variables = {function.logical_id: _variables(function, url) for function in functions}
    template, values = folder / "template.json", folder / "env.json"
    template.write_text(json.dumps(_template(built, functions, variables), indent=1))
    # A variable of the shell would be stronger than the template's. These are the strongest.
    values.write_text(json.dumps(variables, indent=1))
    return ("--template", str(template), "--env-vars", str(values))


def _template(
    built: Path, functions: list[ContainerFunction], variables: Mapping[str, Mapping[str, str]]
) -> dict[str, Any]:
    document: Mapping[str, Any] = yaml_parse(built.read_text())
    of_all = document.get("Globals", {}).get("Function", {})
    resources = {
        name: {"Type": resource["Type"], "Properties": dict(resource["Properties"])}
        for name, resource in document["Resources"].items()
        if resource["Type"] in _CODE
    }
    for resource in resources.values():
        where = _CODE[resource["Type"]]
        resource["Properties"][where] = str(built.parent / resource["Properties"][where])
    made = {name: each for name, each in resources.items() if each["Type"] == "AWS::Serverless::LayerVersion"}
    for function in functions:
        if function.logical_id not in resources:
            raise NoBuildError(f"{built} has no function {function.logical_id}: build again, with make build")
        given = {**of_all, **resources[function.logical_id]["Properties"]}
        properties = {name: given[name] for name in _OF_A_FUNCTION if name in given}
        properties["Timeout"] = int(function.timeout)
        properties["LoggingConfig"] = {
            "LogFormat": "JSON" if function.json_logs else "Text",
            "LogGroup": function.log_group,
        }
        properties["Environment"] = {"Variables": variables[function.logical_id]}
        made[function.logical_id] = {"Type": "AWS::Serverless::Function", "Properties": properties}
    head = {name: document[name] for name in ("AWSTemplateFormatVersion", "Transform") if name in document}
    return {**head, "Resources": made}


def _variables(function: ContainerFunction, url: str) -> dict[str, str]:
    return {
        **function.environment,
        "AWS_ENDPOINT_URL": url,
        # An engine may be configured to hand a proxy to every container.
        "NO_PROXY": str(urlsplit(url).hostname),
        "AWS_REGION": function.region,
        "AWS_DEFAULT_REGION": function.region,
        "AWS_ACCESS_KEY_ID": function.credentials.access_key,
        "AWS_SECRET_ACCESS_KEY": function.credentials.secret_key,
        "AWS_SESSION_TOKEN": function.credentials.session_token or "",
        "AWS_LAMBDA_LOG_STREAM_NAME": function.log_stream,
    }
