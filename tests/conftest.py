"""What holds for every test."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any
from unittest.mock import patch

import botocore.session
import pytest
from botocore.loaders import create_loader
from hypothesis import HealthCheck, settings

# Machines are shared: how long one example takes says nothing.
settings.register_profile(
    "modelgate",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    # The same examples each time: what fails here fails for whoever looks at it next.
    derandomize=True,
)
settings.load_profile("modelgate")


@pytest.fixture(scope="session", autouse=True)
def _models_are_parsed_once() -> Iterator[None]:
    """The command makes a session for each call, and each would parse SageMaker's model of 2.5 MB anew."""
    loader: Any = lru_cache(create_loader)
    with patch.object(botocore.session, "create_loader", loader):
        yield
