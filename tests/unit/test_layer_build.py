"""The layer has what the functions need, and nothing else."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
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
from building import bytecode
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
    assert len(operations) < 60


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
    nodes = [node for source in sources for node in ast.walk(ast.parse(source.read_text()))]
    return {
        f"modelgate.{each.name}" if node.module == "modelgate" else str(node.module)
        for node in nodes
        if isinstance(node, ast.ImportFrom)
        for each in node.names
    }


@cache
def modules_of_the_layer() -> set[str]:
    files = reachable(PACKAGE.parent, ROOTS)
    return {".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts) for file in files}


def test_whatever_a_handler_imports_is_in_the_layer() -> None:
    within = modules_of_the_layer()
    assert imported_by_handlers() - {"__future__"} <= within


def test_what_only_the_command_imports_is_not_in_the_layer() -> None:
    assert "modelgate.deployment.preview" not in modules_of_the_layer()


def packages(folder: Path, **sources: str) -> Path:
    """Packages in a folder, each with one module: ``modelgate="import json"`` is modelgate/__init__.py."""
    for name, source in sources.items():
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text(source)
    return folder


def test_imports_within_functions_are_followed_and_those_for_type_checkers_are_not(tmp_path: Path) -> None:
    asked = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import shown\nelse:\n    import run\n"
    late = "def later():\n    import late\n"
    folder = packages(tmp_path, asked=asked + late, shown="", run="", late="import deep", deep="", nobody="")
    found = {file.parent.name for file in reachable(folder, ["asked"]) if file.is_relative_to(folder)}
    assert found == {"asked", "run", "late", "deep"}


def test_own_sources_stay_for_tracebacks_and_those_of_others_go(tmp_path: Path) -> None:
    bytecode.write(packages(tmp_path, modelgate="", pydantic=""))
    tag = sys.implementation.cache_tag
    files = {file.relative_to(tmp_path).as_posix() for file in tmp_path.rglob("*") if file.is_file()}
    assert files == {
        "modelgate/__init__.py",
        f"modelgate/__pycache__/__init__.{tag}.pyc",
        "pydantic/__init__.pyc",
    }


def test_what_is_built_does_not_show_when_or_where(tmp_path: Path) -> None:
    source = "GREETING = {'hello', 'goodbye'}\ndef greet(name):\n    return name\n"
    built = [packages(tmp_path / name, modelgate=source, six=source) for name in ("monday", "tuesday")]
    for folder, when in zip(built, (1_700_000_000, 1_800_000_000), strict=True):
        for file in folder.rglob("*.py"):
            os.utime(file, (when, when))
        bytecode.write(folder)
        bytecode.settle_times(folder)
    monday, tuesday = ([told(folder, each) for each in sorted(folder.rglob("*"))] for folder in built)
    assert monday == tuesday


def told(folder: Path, each: Path) -> tuple[str, int, float, bytes]:
    state = each.stat()
    content = each.read_bytes() if each.is_file() else b""
    return each.relative_to(folder).as_posix(), state.st_mode, state.st_mtime, content


def test_byte_code_is_taken_whatever_the_time_of_its_source(tmp_path: Path) -> None:
    bytecode.write(packages(tmp_path, modelgate="print('as it was built')"))
    (tmp_path / "modelgate" / "__init__.py").write_text("print('compiled at the start')")
    program = [sys.executable, "-c", "import modelgate"]
    ran = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ran.stdout == "as it was built\n"
