"""What makes functions start fast is held by what they import, not by how long it takes."""

from __future__ import annotations

import ast
import gc
import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.cold_start import STARTS
from bench.interpreters import environment
from modelgate import collector

ROOT = Path(__file__).parents[2]
LAYER = ROOT / "layers" / "core"
# What only some events need, and then import themselves.
FOR_SOME_EVENTS = {
    "boto3",
    "difflib",
    "isal",
    "jinja2",
    "s3transfer",
    "yaml",
    "modelgate.registry.report_page",
}
_PROGRAM = """
import gc, json, sys
from app import handler
from modelgate import runtime
here = runtime.current()
here.journal, here.{use_case}
told = {{"modules": sorted(sys.modules), "collects": gc.isenabled(), "frozen": gc.get_freeze_count()}}
print(json.dumps(told))
"""


def started(function: str) -> dict[str, Any]:
    """What a fresh interpreter has imported once the function could take its first event."""
    program = _PROGRAM.format(use_case=STARTS[function][0])
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment(ROOT / "functions" / function, LAYER),
        capture_output=True,
        text=True,
        check=True,
    )
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_a_function_starts_without_what_its_events_seldom_need() -> None:
    start = started("endpoint_changed")
    modules = set(start["modules"])

    assert not modules & FOR_SOME_EVENTS
    assert "aws_xray_sdk" not in modules
    assert not modules & {"modelgate.events.s3", "modelgate.manifest", "modelgate.registry.registration"}
    assert start["collects"]
    assert start["frozen"]


def eager(file: Path) -> Iterator[str]:
    """The modules that a module imports when it is imported itself."""
    for node in _at_once(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{each.name}" for each in node.names)


def _at_once(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        later = isinstance(child, ast.FunctionDef | ast.Lambda)
        for_types = isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"
        if not later and not for_types:
            yield child
            yield from _at_once(child)


def file_of(module: str) -> Path | None:
    path = LAYER / module.replace(".", "/")
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.exists()), None)


@pytest.fixture(scope="module")
def imported_by() -> dict[Path, set[str]]:
    """By file of the layer, what it imports at once."""
    return {file: set(eager(file)) for file in (LAYER / "modelgate").rglob("*.py")}


@pytest.mark.parametrize("function", sorted(STARTS))
def test_no_handler_imports_what_only_some_events_need(
    function: str, imported_by: dict[Path, set[str]]
) -> None:
    found: set[str] = set()
    waiting = set(eager(ROOT / "functions" / function / "app.py"))
    while waiting:
        module = waiting.pop()
        found.add(module)
        file = file_of(module)
        waiting |= imported_by[file] - found if file else set()

    assert "modelgate.runtime" in found
    assert not {module for module in found if module in FOR_SOME_EVENTS or module.split(".")[0] == "botocore"}


def test_the_collector_is_on_again_after_a_pause_whatever_happens() -> None:
    with pytest.raises(ImportError), collector.paused():
        importlib.import_module("modelgate.not_there")

    assert gc.isenabled()


def test_a_pause_within_a_pause_ends_with_the_outer_one() -> None:
    with collector.paused():
        with collector.paused():
            pass
        assert not gc.isenabled()

    assert gc.isenabled()


def test_what_others_have_in_the_same_process_is_not_frozen() -> None:
    before = gc.get_freeze_count()

    with collector.paused():
        pass

    assert gc.get_freeze_count() == before
