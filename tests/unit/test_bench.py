"""The benchmark measures what the functions really do."""

from __future__ import annotations

from typing import Any

import pytest

from bench import CLIENTS, ENVIRONMENT, USE_CASES
from modelgate.runtime import Runtime


class RecordingSession:
    """Stands where boto3.Session stands, and notes which clients are made."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def client(self, service: Any, /) -> Any:
        self.made.append(service)
        return object()


@pytest.mark.parametrize("function", CLIENTS)
def test_a_functions_start_makes_exactly_the_clients_it_is_compared_with(function: str) -> None:
    session = RecordingSession()
    runtime = Runtime(ENVIRONMENT, session)  # type: ignore[arg-type]  # only `client` is called
    assert getattr(runtime, USE_CASES[function])
    assert sorted(session.made) == sorted(CLIENTS[function])
