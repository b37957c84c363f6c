"""The containers of a model, on one instance: each answer is the request of the next.

"Inference pipelines in Amazon SageMaker AI" in the SageMaker Developer Guide, and "Troubleshoot Inference
Pipelines" for the names of log streams and for errors, which tell the container that they are from. A model
with one container is a pipeline of one.

What is passed on besides the body is not documented. The Content-Type of an answer is that of the next
request. The Accept of the caller reaches the last container only: users of pipelines set
SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT for the others, whatever they accept themselves. Here the other headers
reach every container.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from typing import Any

from localcloud.serving import Answer, ContainerError, ServingContainer

_OK = range(200, 300)


class NoAnswerError(Exception):
    """A container of a pipeline does not answer.

    Attributes:
        container: its name.
        timed_out: whether it only takes too long.
    """

    def __init__(self, container: str, cause: Exception, *, timed_out: bool) -> None:
        super().__init__(str(cause))
        self.container = container
        self.timed_out = timed_out


class SilentContainerError(ContainerError):
    """A container runs, or ran, and does not answer ``/ping``."""


class InferencePipeline:
    """Containers that serve together, or are to.

    Args:
        containers: in the order in which requests go through them.
    """

    def __init__(self, containers: Sequence[ServingContainer]) -> None:
        self._containers = tuple(containers)

    def start(self) -> None:
        """Start all of them, and return when each answers ``/ping``.

        Raises:
            SilentContainerError: one of them does not. The others may run.
            ContainerError: one of them cannot be started at all.
        """
        for container in self._containers:
            container.start()
        silent = [container.spec for container in self._containers if not container.comes_to_serve()]
        if silent:
            names = ", ".join(spec.hostname or "primary container" for spec in silent)
            raise SilentContainerError(
                f"The {names} for production variant {silent[0].variant} did not pass the ping health check. "
                "Please check CloudWatch logs for this endpoint."
            )

    def invoke(
        self, body: bytes, headers: Mapping[str, str], limit: float | None = None
    ) -> tuple[Answer, str]:
        """The last container's answer, or the first that is an error; and the name of who gave it.

        Args:
            limit: the seconds that each may take, where they are fewer than the pace gives.

        Raises:
            NoAnswerError: one of them does not answer.
        """
        *before, last = self._containers
        passed_on = {name: value for name, value in headers.items() if name != "Accept"}
        for container in before:
            answer = _ask(container, body, passed_on, limit)
            if answer.status not in _OK:
                return answer, container.spec.name
            body = answer.body
            passed_on["Content-Type"] = answer.content_type
        accept = {"Accept": headers["Accept"]} if "Accept" in headers else {}
        return _ask(last, body, {**passed_on, **accept}, limit), last.spec.name

    def execution_parameters(self) -> Mapping[str, Any]:
        """How the first container wants to be asked in a batch transform."""
        return self._containers[0].execution_parameters()

    def stop(self) -> None:
        """SIGTERM to each, and SIGKILL to those that it does not help with."""
        with ThreadPoolExecutor(len(self._containers)) as pool:
            list(pool.map(ServingContainer.stop, self._containers))


def _ask(container: ServingContainer, body: bytes, headers: Mapping[str, str], limit: float | None) -> Answer:
    try:
        return container.invoke(body, headers, limit)
    except TimeoutError as error:
        raise NoAnswerError(container.spec.name, error, timed_out=True) from error
    except (OSError, HTTPException) as error:
        raise NoAnswerError(container.spec.name, error, timed_out=False) from error
