"""A terminal, and the local cloud that it is told of."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.integration.terminal import Terminal, cloud_beside


@pytest.fixture(scope="module")
def cloud() -> Iterator[Mapping[str, Any]]:
    with cloud_beside() as told:
        yield told


@pytest.fixture
def terminal(cloud: Mapping[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    for name, value in cloud["environment"].items():
        monkeypatch.setenv(name, value)
    for name in [name for name in os.environ if name.startswith("MODELGATE_")] + ["AWS_PROFILE"]:
        monkeypatch.delenv(name, raising=False)
    return Terminal(tmp_path)
