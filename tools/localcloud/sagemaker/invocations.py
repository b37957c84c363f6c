"""InvokeEndpoint: a request to the container that serves an endpoint."""

from __future__ import annotations

import random
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any

from localcloud.calls import ACCOUNT, Call, Operation, Reply
from localcloud.errors import ServiceError
from localcloud.sagemaker.hosting import Fleet, Hosting
from localcloud.serving import Answer

_FAILED_DEPENDENCY = 424
_SERVER_ERROR = 500
_HEADERS = {
    "ContentType": "Content-Type",
    "Accept": "Accept",
    "CustomAttributes": "X-Amzn-SageMaker-Custom-Attributes",
    "InferenceId": "X-Amzn-SageMaker-Inference-Id",
    "TargetModel": "X-Amzn-SageMaker-Target-Model",
}
_TIMED_OUT = (
    "Your invocation timed out while waiting for a response from container primary. Review the latency "
    "metrics for each container in Amazon CloudWatch, resolve the issue, and try again."
)


class Invocations:
    """The SageMaker Runtime."""

    def __init__(self, region: str, hosting: Hosting) -> None:
        self._region = region
        self._hosting = hosting
        self._dice = random.SystemRandom()

    @property
    def operations(self) -> Mapping[str, Operation]:
        """What is answered."""
        return {"InvokeEndpoint": self._invoke}

    def _invoke(self, call: Call) -> Reply:
        name = call.params["EndpointName"]
        headers = {
            header: str(call.params[member]) for member, header in _HEADERS.items() if call.params.get(member)
        }
        body = call.params.get("Body") or b""
        content = body.encode() if isinstance(body, str) else bytes(body)
        fleet = self._serving(name)
        while True:
            variant = self._chosen(fleet, call.params.get("TargetVariant"))
            try:
                answer = fleet.processes[variant].invoke(content, headers)
                break
            except TimeoutError as error:
                raise self._model_error(name, 0, _TIMED_OUT) from error
            except (OSError, HTTPException) as error:
                now = self._serving(name)
                if now is fleet:
                    message = f"The container does not answer: {error}"
                    raise self._model_error(name, _SERVER_ERROR, message) from error
                fleet = now  # an update came between: what serves now answers
        if answer.status >= 300:
            raise self._model_error(name, answer.status, answer.body.decode(errors="replace"))
        return Reply(_told(answer, variant))

    def _serving(self, name: str) -> Fleet:
        fleet = self._hosting.serving(name)
        if fleet is None:
            raise ServiceError("ValidationError", f"Endpoint {name} of account {ACCOUNT} not found.")
        return fleet

    def _chosen(self, fleet: Fleet, wanted: str | None) -> str:
        variants = fleet.config.content["ProductionVariants"]
        names = [variant["VariantName"] for variant in variants]
        if wanted is not None:
            if wanted not in names:
                raise ServiceError("ValidationError", f"Variant {wanted} was not found for the endpoint.")
            return wanted
        weights = [variant.get("InitialVariantWeight", 1.0) for variant in variants]
        return str(self._dice.choices(names, weights)[0] if any(weights) else names[0])

    def _model_error(self, name: str, status: int, message: str) -> ServiceError:
        group = f"/aws/sagemaker/Endpoints/{name}"
        kind = "client" if 400 <= status < _SERVER_ERROR else "server"
        console = (
            f"https://{self._region}.console.aws.amazon.com/cloudwatch/home?region={self._region}"
            f"#logEventViewer:group={group}"
        )
        return ServiceError(
            "ModelError",
            f'Received {kind} error ({status}) from primary with message "{message}". '
            f"See {console} in account {ACCOUNT} for more information.",
            _FAILED_DEPENDENCY,
            {
                "OriginalStatusCode": status,
                "OriginalMessage": message,
                "LogStreamArn": f"arn:aws:logs:{self._region}:{ACCOUNT}:log-group:{group}",
            },
        )


def _told(answer: Answer, variant: str) -> dict[str, Any]:
    told: dict[str, Any] = {
        "Body": answer.body,
        "ContentType": answer.content_type,
        "InvokedProductionVariant": variant,
    }
    if answer.custom_attributes is not None:
        told["CustomAttributes"] = answer.custom_attributes
    return told
