"""Which part may import which: the arrows of docs/architecture.md."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LAYER = ROOT / "layers" / "core" / "modelgate"
PURE = (
    "console.py",
    "documents.py",
    "metrics.py",
    "plain_yaml.py",
    "submission.py",
    "manifest.py",
    "locations.py",
    "run.py",
    "policy.py",
    "gate.py",
    "values.py",
    "announcements.py",
    "effects.py",
    "errors.py",
    "ports.py",
    "registry/package.py",
    "registry/report.py",
    "registry/report_page.py",
    "registry/metric_tracks.py",
    "deployment/state.py",
    "deployment/planner.py",
    "deployment/naming.py",
    "deployment/container_log.py",
    "builds/dockerfile.py",
    "builds/findings.py",
    "builds/options.py",
    "builds/order.py",
    "builds/source.py",
    "training/hyperparameters.py",
    "training/job.py",
    "training/lineage.py",
    "training/order.py",
    "training/writing.py",
    "transform/job.py",
    "transform/order.py",
    "images/catalog.py",
    "images/choice.py",
    "images/instances.py",
    "images/reference.py",
    *(str(file.relative_to(LAYER)) for file in sorted((LAYER / "artifacts").rglob("*.py"))),
    *(str(file.relative_to(LAYER)) for file in sorted((LAYER / "events").glob("*.py"))),
)
# What the layer itself installs, and what Lambda's runtime brings.
ALLOWED = {
    "modelgate",
    "pydantic",
    "pydantic_core",
    "yaml",
    "isal",
    "jinja2",
    "s3transfer",
    "aws_lambda_powertools",
    "boto3",
    "botocore",
}


def imports(file: Path, *, for_types: bool = False) -> set[str]:
    """Every module that a file imports, wherever it does; those for type checkers only if asked."""
    tree = ast.parse(file.read_text())
    skipped = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING" and not for_types:
            skipped |= set(ast.walk(node))
    found: set[str] = set()
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module}
    return found


def _modules() -> list[Path]:
    return sorted(LAYER.rglob("*.py"))


def _name(file: Path) -> str:
    return str(file.relative_to(LAYER))


@pytest.mark.parametrize("file", _modules(), ids=_name)
def test_the_layer_imports_what_it_installs_and_nothing_of_the_tools(file: Path) -> None:
    tops = {module.split(".")[0] for module in imports(file)}
    assert tops <= ALLOWED | sys.stdlib_module_names


@pytest.mark.parametrize("file", _modules(), ids=_name)
def test_only_the_adapters_know_boto3(file: Path) -> None:
    if file.parent.name != "aws":
        assert not any(module.startswith(("boto3", "botocore", "s3transfer")) for module in imports(file))


@pytest.mark.parametrize("file", _modules(), ids=_name)
def test_use_cases_know_ports_and_not_adapters(file: Path) -> None:
    if file.parent.name != "aws" and file.name != "runtime.py":
        assert not any(module.startswith("modelgate.aws") for module in imports(file, for_types=True))


@pytest.mark.parametrize("name", PURE)
def test_the_pure_core_reads_no_clock_and_no_environment(name: str) -> None:
    source = (LAYER / name).read_text()
    assert not {"os", "time", "random", "uuid", "socket"} & imports(LAYER / name)
    assert "datetime.now" not in source
    assert "utcnow" not in source


@pytest.mark.parametrize(
    "file", sorted((ROOT / "functions").glob("*/app.py")), ids=lambda file: file.parent.name
)
def test_a_handler_decides_nothing(file: Path) -> None:
    branches = ast.If | ast.For | ast.While | ast.Try | ast.IfExp | ast.BoolOp | ast.Match
    assert not [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, branches)]
