"""A local cloud for each file of tests, and a group of its own for each test."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import ModuleType

import boto3
import pytest

from localcloud import LocalCloud
from modelgate import runtime
from tests.simulation.chain import Chain

TEMPLATE = Path(__file__).parents[2] / "template.yaml"


class Watch:
    """The clock of the functions, which can be put forward; AWS's own goes on as it does."""

    def __init__(self) -> None:
        self._ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def put_forward(self, seconds: float) -> None:
        self._ahead += timedelta(seconds=seconds)


@pytest.fixture(scope="module")
def watch() -> Watch:
    return Watch()


@pytest.fixture(scope="module")
def cloud(watch: Watch) -> Iterator[LocalCloud]:
    def surroundings(
        environ: Mapping[str, str],
        session: boto3.Session,
        module: ModuleType,  # noqa: ARG001 - the interface's
    ) -> Callable[[], AbstractContextManager[None]]:
        return partial(runtime.running_in, runtime.Runtime(environ, session, watch))

    with LocalCloud(TEMPLATE, running_in=surroundings) as cloud:
        yield cloud


@pytest.fixture
def chain(cloud: LocalCloud, request: pytest.FixtureRequest) -> Iterator[Chain]:
    words = re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_"))[:30].strip("-")
    digest = hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:6]
    yield Chain(cloud, f"{words}-{digest}")
    cloud.faults.clear()
    cloud.settle()
