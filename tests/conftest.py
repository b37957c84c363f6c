"""What holds for every test."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import botocore.session
import pytest
import s3transfer
from botocore.loaders import Loader, create_loader
from hypothesis import HealthCheck, settings

import modelgate
from building.models import called, trimmed
from localcloud.function_session import LocalSession
from modelgate.runtime import Runtime

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


class LayerLoader(Loader):
    """Loads the models that the layer has: with the operations that modelgate calls, and no others."""

    @cache  # noqa: B019 - there is one for all tests
    def load_service_model(self, service_name: str, type_name: str, api_version: str | None = None) -> Any:
        model = super().load_service_model(service_name, type_name, api_version)
        return trimmed(model, _called_names()) if type_name == "service-2" else model


@cache
def _called_names() -> frozenset[str]:
    return called(Path(modelgate.__path__[0]), Path(s3transfer.__path__[0])).names


@pytest.fixture(scope="session", autouse=True)
def _functions_have_the_models_of_their_layer() -> Iterator[None]:
    """In the local cloud, too, a function that calls what the layer's models lack has no such method."""
    loader, make = LayerLoader(), Runtime.__init__

    def made(self: Runtime, environ: Any, session: Any, *more: Any) -> None:
        make(self, environ, session, *more)
        if isinstance(session, LocalSession):
            session._session.register_component("data_loader", loader)

    with patch.object(Runtime, "__init__", made):
        yield
