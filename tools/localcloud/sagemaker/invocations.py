"""InvokeEndpoint: a request to the container that serves an endpoint."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from localcloud.calls import ACCOUNT, Call, Operation, Reply
from localcloud.errors import ServiceError
from localcloud.inference_pipeline import NoAnswerError
from localcloud.sagemaker.data_capture import DataCapture
from localcloud.sagemaker.fleets import Fleet, LiveVariant
from localcloud.sagemaker.hosting import Hosting
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
    "Your invocation timed out while waiting for a response from container {}. Review the latency "
    "metrics for each container in Amazon CloudWatch, resolve the issue, and try again."
)


@dataclass(frozen=True)
class Answered:
    """What was answered, and by which variant of which fleet."""

    answer: Answer
    fleet: Fleet
    variant: LiveVariant


class Containers:
    """Asks the containers that serve an endpoint, each variant as often as its weight says."""

    def __init__(self, region: str, hosting: Hosting) -> None:
        self._region = region
        self._hosting = hosting
        self._dice = random.SystemRandom()

    def serving(self, name: str) -> Fleet:
        """Whose turn it is.

        Raises:
            ServiceError: nothing serves.
        """
        fleet = self._hosting.serving(name)
        if fleet is None:
            raise ServiceError("ValidationError", f"Endpoint {name} of account {ACCOUNT} not found.")
        return fleet

    def ask(
        self,
        name: str,
        fleet: Fleet,
        content: bytes,
        headers: Mapping[str, str],
        *,
        target: str | None = None,
        limit: float | None = None,
    ) -> Answered:
        """The answer to a request.

        Args:
            target: the variant that is to answer.
            limit: the seconds that it may take, where they are fewer than usual.

        Raises:
            ServiceError: nothing serves, or the container fails.
        """
        while True:
            variant = self._chosen(fleet, target)
            try:
                answer, container = fleet.pipelines[variant.name].invoke(content, headers, limit)
                break
            except NoAnswerError as error:
                if error.timed_out:
                    message = _TIMED_OUT.format(error.container)
                    raise self._model_error(name, error.container, 0, message) from error
                if self._hosting.still_serves(name, fleet):
                    message = f"The container does not answer: {error}"
                    raise self._model_error(name, error.container, _SERVER_ERROR, message) from error
                fleet = self.serving(name)  # an update came between: what serves now answers
        if answer.status >= 300:
            message = answer.body.decode(errors="replace")
            raise self._model_error(name, container, answer.status, message)
        return Answered(answer, fleet, variant)

    def _chosen(self, fleet: Fleet, wanted: str | None) -> LiveVariant:
        variants = list(fleet.variants.values())
        if wanted is not None:
            if wanted not in fleet.variants:
                raise ServiceError("ValidationError", f"Variant {wanted} was not found for the endpoint.")
            return fleet.variants[wanted]
        weights = [variant.current.weight for variant in variants]
        return self._dice.choices(variants, weights)[0] if any(weights) else variants[0]

    def _model_error(self, name: str, container: str, status: int, message: str) -> ServiceError:
        group = f"/aws/sagemaker/Endpoints/{name}"
        kind = "client" if 400 <= status < _SERVER_ERROR else "server"
        console = (
            f"https://{self._region}.console.aws.amazon.com/cloudwatch/home?region={self._region}"
            f"#logEventViewer:group={group}"
        )
        return ServiceError(
            "ModelError",
            f'Received {kind} error ({status}) from {container} with message "{message}". '
            f"See {console} in account {ACCOUNT} for more information.",
            _FAILED_DEPENDENCY,
            {
                "OriginalStatusCode": status,
                "OriginalMessage": message,
                "LogStreamArn": f"arn:aws:logs:{self._region}:{ACCOUNT}:log-group:{group}",
            },
        )


class Invocations:
    """The synchronous part of the SageMaker Runtime."""

    def __init__(self, containers: Containers, capture: DataCapture) -> None:
        self._containers = containers
        self._capture = capture

    @property
    def operations(self) -> Mapping[str, Operation]:
        """What is answered."""
        return {"InvokeEndpoint": self._invoke}

    def _invoke(self, call: Call) -> Reply:
        name = call.params["EndpointName"]
        fleet = self._containers.serving(name)
        if fleet.is_asynchronous:
            # That it is refused is documented; in which words is not.
            message = f"Endpoint {name} is asynchronous. Use the InvokeEndpointAsync operation instead."
            raise ServiceError("ValidationError", message)
        content = payload(call)
        answered = self._containers.ask(
            name, fleet, content, headers_of(call), target=call.params.get("TargetVariant")
        )
        self._capture.capture(call, content, answered.fleet, answered.variant, answered.answer)
        return Reply(_told(answered.answer, answered.variant.name))


def payload(call: Call) -> bytes:
    """The body of a request."""
    body = call.params.get("Body") or b""
    return body.encode() if isinstance(body, str) else bytes(body)


def headers_of(call: Call) -> dict[str, str]:
    """The headers that the container gets."""
    return {
        header: str(call.params[member]) for member, header in _HEADERS.items() if call.params.get(member)
    }


def _told(answer: Answer, variant: str) -> dict[str, Any]:
    told: dict[str, Any] = {
        "Body": answer.body,
        "ContentType": answer.content_type,
        "InvokedProductionVariant": variant,
    }
    if answer.custom_attributes is not None:
        told["CustomAttributes"] = answer.custom_attributes
    return told
