"""The layer has what the functions need, and nothing else."""

from __future__ import annotations

import ast
import json
from functools import cache
from pathlib import Path
from typing import Any

import botocore
import pytest
import s3transfer
from botocore.loaders import Loader
from botocore.model import ServiceModel, Shape
from botocore.regions import EndpointResolver

import modelgate
from building.models import Called, called, trimmed, trimmed_endpoints
from building.reachable import ROOTS, reachable

ROOT = Path(__file__).parents[2]
DATA = Path(botocore.__path__[0], "data")
PACKAGE = Path(modelgate.__path__[0])
SERVICES = [
    "application-autoscaling",
    "cloudwatch",
    "codebuild",
    "dynamodb",
    "ecr",
    "events",
    "logs",
    "s3",
    "sagemaker",
    "sagemaker-runtime",
]


@cache
def calls() -> Called:
    return called(PACKAGE, Path(s3transfer.__path__[0]))


@cache
def model(service: str) -> Any:
    return trimmed(Loader().load_service_model(service, "service-2"), calls().names)


def test_every_service_that_a_client_is_made_of_is_there() -> None:
    assert sorted(calls().services) == SERVICES


def test_what_is_called_stays_and_what_is_not_goes() -> None:
    operations = model("sagemaker")["operations"]
    assert {"CreateModel", "UpdateEndpoint", "ListModelPackages"} <= set(operations)
    assert "CreateNotebookInstance" not in operations
    assert len(operations) < 40


def test_what_copies_objects_finds_its_operations() -> None:
    by_parts = {"CreateMultipartUpload", "UploadPartCopy", "CompleteMultipartUpload", "AbortMultipartUpload"}
    assert {"CopyObject", "HeadObject", *by_parts} <= set(model("s3")["operations"])


@pytest.mark.parametrize("service", SERVICES)
def test_every_shape_of_what_is_called_is_there(service: str) -> None:
    said = ServiceModel(model(service), service)
    for name in said.operation_names:
        operation = said.operation_model(name)
        for shape in (operation.input_shape, operation.output_shape, *operation.error_shapes):
            walk(shape, set())


def walk(shape: Shape | None, seen: set[str]) -> None:
    """Botocore looks up each shape when it comes to it, and raises when it is not there."""
    if shape is None or shape.name in seen:
        return
    seen.add(shape.name)
    inside: Any = shape
    for member in getattr(inside, "members", {}).values():
        walk(member, seen)
    for part in ("member", "key", "value"):
        if shape.type_name in ("list", "map") and hasattr(inside, part):
            walk(getattr(inside, part), seen)


def test_no_partition_and_no_region_is_lost() -> None:
    told = json.loads((DATA / "endpoints.json").read_text())
    prefixes = {model(service)["metadata"]["endpointPrefix"] for service in SERVICES} | set(SERVICES)
    whole, small = EndpointResolver(told), EndpointResolver(trimmed_endpoints(told, frozenset(prefixes)))
    for partition in whole.get_available_partitions():
        regions = next(each for each in told["partitions"] if each["partition"] == partition)["regions"]
        for region in regions:
            for prefix in prefixes:
                assert small.construct_endpoint(prefix, region) == whole.construct_endpoint(prefix, region)


def imported_by_handlers() -> set[str]:
    sources = (ROOT / "functions").glob("*/app.py")
    nodes = (node for source in sources for node in ast.parse(source.read_text()).body)
    return {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}


def test_whatever_a_handler_imports_is_in_the_layer() -> None:
    within = {
        ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts)
        for file in reachable(PACKAGE.parent, ROOTS)
    }
    assert imported_by_handlers() - {"__future__"} <= within


def test_what_only_the_command_imports_is_not_in_the_layer() -> None:
    assert PACKAGE / "deployment" / "preview.py" not in reachable(PACKAGE.parent, ROOTS)
