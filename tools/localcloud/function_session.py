"""The boto3 session that a function gets: its role's credentials, and the local cloud's endpoint."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.loaders import Loader

from localcloud.credentials import Credentials

# A call of a service of this machine's own either answers soon or never, and goes through no proxy.
SHORT = Config(connect_timeout=5, read_timeout=65, retries={"total_max_attempts": 1}, proxies={})

Hook = Callable[[str], None]


@lru_cache(maxsize=1)
def _loader() -> Loader:
    """botocore's models are large; each is read once in the process."""
    return botocore.session.Session().get_component("data_loader")  # type: ignore[no-any-return]


class LocalSession(boto3.Session):
    """A boto3 session whose clients call the local cloud.

    Args:
        before, after: called with an operation's name, such as ``sagemaker:CreateModel``, in the thread that
            calls, before the call and after its answer has come; may raise.
    """

    def __init__(
        self,
        *,
        url: str,
        region: str,
        credentials: Credentials,
        before: Hook | None = None,
        after: Hook | None = None,
    ) -> None:
        core = botocore.session.Session()
        core.register_component("data_loader", _loader())
        super().__init__(
            aws_access_key_id=credentials.access_key,
            aws_secret_access_key=credentials.secret_key,
            aws_session_token=credentials.session_token,
            region_name=region,
            botocore_session=core,
        )
        self._url = url
        self._before = before
        self._after = after

    def client(self, service_name: str, *args: Any, **kwargs: Any) -> Any:
        """A client of the local cloud, with short limits unless a ``config`` says otherwise."""
        kwargs.setdefault("endpoint_url", self._url)
        kwargs["config"] = SHORT if kwargs.get("config") is None else SHORT.merge(kwargs["config"])
        client = super().client(service_name, *args, **kwargs)  # type: ignore[call-overload]
        if self._before is not None:
            client.meta.events.register("before-call", _hooked(self._before))
        if self._after is not None:
            client.meta.events.register("after-call", _hooked(self._after))
        return client


def _hooked(hook: Hook) -> Callable[..., None]:
    def call(model: Any, **_: object) -> None:
        service = (
            "sagemaker"
            if model.service_model.service_name == "sagemaker-runtime"
            else model.service_model.service_name
        )
        hook(f"{service}:{model.name}")

    return call
