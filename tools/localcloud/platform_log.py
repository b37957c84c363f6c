"""What Lambda itself writes into a function's log ("Lambda function logs", "Lambda log formats")."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Mapping
from typing import Any, Literal

from localcloud import calls
from localcloud.function_logs import LogLines
from localcloud.functions import FunctionSettings

Status = Literal["success", "error"]


def log_stream_name() -> str:
    """The name of an execution environment's stream."""
    return f"{dt.datetime.now(dt.UTC):%Y/%m/%d}/[$LATEST]{uuid.uuid4().hex}"


class PlatformLog:
    """The lines around one run of a handler, in the function's log format."""

    def __init__(self, settings: FunctionSettings, lines: LogLines, request_id: str) -> None:
        self._settings = settings
        self._lines = lines
        self._request_id = request_id

    def start(self) -> None:
        """The handler is called."""
        if self._settings.json_logs:
            self._record("start", {"version": "$LATEST"})
        else:
            self._lines.add(f"START RequestId: {self._request_id} Version: $LATEST")

    def report(self, milliseconds: float, status: Status) -> None:
        """The handler has ended."""
        memory, billed = self._settings.memory, int(milliseconds) + 1
        if self._settings.json_logs:
            metrics = {
                "durationMs": round(milliseconds, 3),
                "billedDurationMs": billed,
                "memorySizeMB": memory,
            }
            self._record("report", {"status": status, "metrics": metrics})
            return
        self._lines.add(f"END RequestId: {self._request_id}")
        self._lines.add(
            f"REPORT RequestId: {self._request_id}\tDuration: {milliseconds:.2f} ms\t"
            f"Billed Duration: {billed} ms\tMemory Size: {memory} MB"
        )

    def _record(self, kind: str, record: Mapping[str, Any]) -> None:
        when = calls.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        content = {
            "time": when,
            "type": f"platform.{kind}",
            "record": {"requestId": self._request_id, **record},
        }
        self._lines.add(json.dumps(content))
