"""Requests of AWS's own services to what moto keeps, without a way over the network."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from werkzeug.test import EnvironBuilder

from localcloud.errors import LocalCloudError
from localcloud.moto_state import MotoState


class MotoRequests:
    """Asks one service of moto's."""

    def __init__(self, moto: MotoState, region: str, service: str, signed_as: str) -> None:
        self._moto = moto
        self._service = service
        self._host = f"{signed_as}.{region}.amazonaws.com"
        scope = f"AWS/20260101/{region}/{signed_as}/aws4_request"
        self._authorization = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=none"

    def send(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        target: str | None = None,
    ) -> dict[str, Any]:
        """The answer, parsed.

        Args:
            target: the operation, for services that are told it in ``X-Amz-Target``.

        Raises:
            LocalCloudError: moto refuses.
        """
        headers = [("Host", self._host), ("Authorization", self._authorization)]
        if target is not None:
            headers.append(("X-Amz-Target", target))
        builder = EnvironBuilder(
            method=method,
            path=path,
            base_url=f"https://{self._host}",
            headers=headers,
            data=b"" if body is None else json.dumps(body).encode(),
            content_type="application/x-amz-json-1.1" if target is not None else "application/json",
        )
        try:
            response = self._moto.answer(self._service, builder.get_environ())
        finally:
            builder.close()
        if response.status >= HTTPStatus.BAD_REQUEST:
            raise LocalCloudError(f"{self._service} refused {target or path}: {response.body.decode()}")
        found: dict[str, Any] = json.loads(response.body) if response.body else {}
        return found
