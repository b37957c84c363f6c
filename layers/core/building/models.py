"""Trims what botocore knows of AWS to what modelgate calls.

A client is made from its service's model, and SageMaker's alone has more than 400 operations, which are read
from JSON at every start. What stays is found in the source: the services that modelgate makes clients of, and
of their operations those whose names stand in `modelgate.aws`, or in s3transfer, which copies objects for it.
A name that means something else there keeps an operation that nobody needs, which does no harm.
"""

from __future__ import annotations

import ast
import json
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Model = dict[str, Any]


@dataclass(frozen=True)
class Called:
    """What a source calls of AWS.

    Attributes:
        services: as clients are asked for: ``sagemaker-runtime``.
        names: every name that may be one of an operation, as Python writes them: ``create_model``.
    """

    services: frozenset[str]
    names: frozenset[str]


def called(modelgate: Path, s3transfer: Path) -> Called:
    """What the packages in these two folders call; the second copies objects for the first."""
    services = {name for node in _nodes(modelgate) for name in _client_made(node)}
    names = {
        name for folder in (modelgate / "aws", s3transfer) for node in _nodes(folder) for name in _names(node)
    }
    return Called(frozenset(services), frozenset(names))


def _nodes(folder: Path) -> Iterator[ast.AST]:
    for file in folder.rglob("*.py"):
        yield from ast.walk(ast.parse(file.read_bytes()))


def _client_made(node: ast.AST) -> Iterator[str]:
    """The service in ``client("…")`` and ``….client("…")``."""
    if not isinstance(node, ast.Call) or not node.args:
        return
    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
    first = node.args[0]
    if name == "client" and isinstance(first, ast.Constant) and isinstance(first.value, str):
        yield first.value


def _names(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Attribute):
        yield node.attr
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value  # get_paginator("list_model_packages")


def trimmed(model: Model, names: frozenset[str]) -> Model:
    """A service's model with these operations alone, all shapes that they reach, and no documentation."""
    from botocore import xform_name  # of what is being trimmed

    operations = {name: each for name, each in model["operations"].items() if xform_name(name) in names}
    reached: set[str] = set()
    ahead = list(_shapes(operations))
    while ahead:
        name = ahead.pop()
        if name not in reached:
            reached.add(name)
            ahead += _shapes(model["shapes"][name])
    shapes = {name: each for name, each in model["shapes"].items() if name in reached}
    return {**model, "operations": _without_words(operations), "shapes": _without_words(shapes)}


def trimmed_endpoints(endpoints: Model, prefixes: frozenset[str]) -> Model:
    """Every partition with all its regions, and of the services these."""
    partitions = [
        {**each, "services": {name: told for name, told in each["services"].items() if name in prefixes}}
        for each in endpoints["partitions"]
    ]
    return {**endpoints, "partitions": partitions}


def trim(folder: Path) -> Called:
    """Trims the botocore that was installed into a folder, to what the modelgate beside it calls."""
    sys.path.insert(0, str(folder))
    from botocore.loaders import Loader

    data = folder / "botocore" / "data"
    loader = Loader(extra_search_paths=[str(data)], include_default_search_paths=False)
    calls = called(folder / "modelgate", folder / "s3transfer")
    kept: dict[str, dict[str, Model]] = {}
    prefixes = set(calls.services)
    for service in sorted(calls.services):
        version = loader.determine_latest_version(service, "service-2")
        model = trimmed(loader.load_service_model(service, "service-2", version), calls.names)
        prefixes.add(model["metadata"]["endpointPrefix"])
        files = {
            "service-2": model,
            "endpoint-rule-set-1": loader.load_service_model(service, "endpoint-rule-set-1", version),
            "paginators-1": _paginators(loader, service, version, model),
        }
        kept[f"{service}/{version}"] = files
    for each in data.iterdir():
        if each.is_dir():
            shutil.rmtree(each)
    for place, files in kept.items():
        for name, content in files.items():
            _write(data / place / f"{name}.json", content)
    endpoints = data / "endpoints.json"
    _write(endpoints, trimmed_endpoints(json.loads(endpoints.read_text()), frozenset(prefixes)))
    return calls


def _paginators(loader: Any, service: str, version: str, model: Model) -> Model:
    from botocore.exceptions import UnknownServiceError

    try:
        pagination = loader.load_service_model(service, "paginators-1", version)["pagination"]
    except UnknownServiceError:  # a service without any
        return {"pagination": {}}
    return {"pagination": {name: each for name, each in pagination.items() if name in model["operations"]}}


def _shapes(part: Any) -> Iterator[str]:
    """The names of the shapes that a part of a model refers to."""
    if isinstance(part, Mapping):
        if isinstance(part.get("shape"), str):
            yield part["shape"]
        for each in part.values():
            yield from _shapes(each)
    elif isinstance(part, list):
        for each in part:
            yield from _shapes(each)


def _without_words(part: Any) -> Any:
    if isinstance(part, Mapping):
        return {
            name: _without_words(each)
            for name, each in part.items()
            if not (name == "documentation" and isinstance(each, str))
        }
    return [_without_words(each) for each in part] if isinstance(part, list) else part


def _write(file: Path, content: Model) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content, separators=(",", ":")))
