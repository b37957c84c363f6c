"""The API of Lambda, as far as the functions of a stack need it."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from localcloud.calls import Call, Operation, Reply
from localcloud.errors import ServiceError
from localcloud.functions import FunctionSettings, Invoker


class LambdaService:
    """Answers Lambda's operations; what is not listed is not simulated."""

    def __init__(self, invoker: Invoker) -> None:
        self._invoker = invoker

    @property
    def operations(self) -> Mapping[str, Operation]:
        """What is answered."""
        return {
            "Invoke": self._invoke,
            "ListFunctions": self._list,
            "GetFunction": self._get,
            "GetFunctionConfiguration": lambda call: Reply(self._configuration(self._named(call))),
            "GetFunctionConcurrency": self._concurrency,
            "GetFunctionEventInvokeConfig": self._event_invoke_config,
        }

    def _named(self, call: Call) -> FunctionSettings:
        return self._invoker.settings(call.params["FunctionName"])

    def _invoke(self, call: Call) -> Reply:
        settings = self._named(call)
        event = _event(call.params.get("Payload") or b"{}")
        kind = call.params.get("InvocationType", "RequestResponse")
        if kind == "DryRun":
            return Reply({"StatusCode": 204}, 204)
        if kind == "Event":
            self._invoker.invoke_later(settings.name, event)
            return Reply({"StatusCode": 202}, 202)
        outcome = self._invoker.invoke(settings.name, event)
        payload = outcome.result if outcome.error is None else dict(outcome.error)
        reply: dict[str, Any] = {"Payload": json.dumps(payload).encode(), "ExecutedVersion": "$LATEST"}
        if outcome.error is not None:
            reply["FunctionError"] = "Unhandled"
        if call.params.get("LogType") == "Tail":
            reply["LogResult"] = base64.b64encode("\n".join(outcome.logs).encode()[-4096:]).decode()
        return Reply(reply, 200)

    def _list(self, _: Call) -> Reply:
        return Reply({"Functions": [self._configuration(settings) for settings in self._invoker.all]})

    def _get(self, call: Call) -> Reply:
        settings = self._named(call)
        code = {"RepositoryType": "Local", "Location": settings.code.as_uri()}
        return Reply({"Configuration": self._configuration(settings), "Code": code} | _concurrency(settings))

    def _concurrency(self, call: Call) -> Reply:
        return Reply(_concurrency(self._named(call)).get("Concurrency", {}))

    def _event_invoke_config(self, call: Call) -> Reply:
        settings = self._named(call)
        return Reply(
            {
                "FunctionArn": f"{settings.arn}:$LATEST",
                "MaximumRetryAttempts": settings.retries,
                "MaximumEventAgeInSeconds": int(settings.most_age),
                "DestinationConfig": {"OnFailure": {"Destination": settings.on_failure}},
            }
        )

    @staticmethod
    def _configuration(settings: FunctionSettings) -> dict[str, Any]:
        properties = settings.properties or {}
        return {
            "FunctionName": settings.name,
            "FunctionArn": settings.arn,
            "Runtime": properties.get("Runtime"),
            "Role": properties.get("Role"),
            "Handler": settings.handler,
            "Description": properties.get("Description", ""),
            "Timeout": int(settings.timeout),
            "MemorySize": settings.memory,
            "Version": "$LATEST",
            "State": "Active",
            "LastUpdateStatus": "Successful",
            "PackageType": "Zip",
            "Architectures": properties.get("Architectures", ["x86_64"]),
            "Environment": {"Variables": dict(settings.environment)},
            "LoggingConfig": {
                "LogFormat": "JSON" if settings.json_logs else "Text",
                "LogGroup": settings.log_group,
            },
        }


def _concurrency(settings: FunctionSettings) -> dict[str, Any]:
    if settings.concurrency is None:
        return {}
    return {"Concurrency": {"ReservedConcurrentExecutions": settings.concurrency}}


def _event(payload: bytes | str) -> Any:
    try:
        return json.loads(payload)
    except ValueError as error:
        raise ServiceError(
            "InvalidRequestContentException", f"Could not parse request body into json: {error}"
        ) from error
