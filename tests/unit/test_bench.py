"""The benchmark measures what the functions really do."""

from __future__ import annotations

import ast
from dataclasses import fields
from typing import Any

import pytest

from bench import ROOT, inspection
from bench.cold_start import STARTS
from bench.interpreters import ENVIRONMENT
from modelgate.runtime import Runtime


class RecordingSession:
    """Stands where boto3.Session stands, and notes which clients are made."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def client(self, service: Any, /) -> Any:
        self.made.append(service)
        return object()


@pytest.mark.parametrize("function", STARTS)
def test_a_functions_start_makes_exactly_the_clients_it_is_compared_with(function: str) -> None:
    session = RecordingSession()
    runtime = Runtime(ENVIRONMENT, session)  # type: ignore[arg-type]  # only `client` is called
    use_case, clients = STARTS[function]
    assert getattr(runtime, use_case)
    assert sorted(session.made) == sorted(clients)


def test_the_start_of_every_function_is_measured_with_the_use_case_that_its_handler_calls() -> None:
    sources = {file.parent.name: file.read_text() for file in (ROOT / "functions").glob("*/app.py")}
    called = {
        function: node.attr
        for function, source in sources.items()
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "runtime"
        if node.attr != "invocation"
    }
    assert called == {function: use_case for function, (use_case, _) in STARTS.items()}


def test_a_program_that_is_not_here_is_named_with_where_it_comes_from(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bench.inspection.shutil.which", lambda name: None if name == "igzip" else name)

    assert inspection.lacking() == ["igzip, which is in the package isal (apt-get install isal)"]


def test_what_is_told_of_an_inspection_keeps_its_names() -> None:
    told = [each.name for each in fields(inspection.Inspection)]

    assert told == ["mb_per_s", "ratio_to_tar_tzf", "ratio_to_igzip", "peak_mb"]
