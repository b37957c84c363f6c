"""Logs, metrics and the correlation of both with the event, as Powertools for AWS Lambda has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

if TYPE_CHECKING:
    from collections.abc import Mapping


class Journal:
    """What one function writes about itself.

    Every line of the log is JSON and carries the id of the event that it is about as
    ``correlation_id``; each event counts as one metric in CloudWatch's embedded format.

    Args:
        environ: the function's environment, for the names that Powertools documents.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._service = environ.get("POWERTOOLS_SERVICE_NAME", "modelgate")
        self._namespace = environ.get("POWERTOOLS_METRICS_NAMESPACE", "Modelgate")
        self._log = Logger(service=self._service, level=environ.get("POWERTOOLS_LOG_LEVEL", "INFO"))

    def entry(self, event_id: str, request_id: str) -> Entry:
        """The entry of one invocation: a context manager that writes how it ended, and lets errors pass."""
        self.begin(event_id, request_id)
        return Entry(self)

    def begin(self, event_id: str, request_id: str) -> None:
        self._log.clear_state()
        self._log.append_keys(correlation_id=event_id, function_request_id=request_id)

    def finished(self, outcome: Mapping[str, object]) -> None:
        self._log.info("done", extra={"outcome": dict(outcome)})
        self._count("Finished")
        counts = outcome.get("counts")
        if isinstance(counts, dict):
            for name, value in counts.items():
                self._count(name, value)

    def failed(self, error: BaseException) -> None:
        """Lambda comes back, or keeps the event; so this is a warning, and the queue's alarm is the alarm."""
        self._log.warning("comes back", extra={"error": type(error).__name__, "reason": str(error)})
        self._count("Failed")

    def _count(self, name: str, value: int = 1) -> None:
        metrics = EphemeralMetrics(namespace=self._namespace, service=self._service)
        metrics.add_metric(name=name, unit=MetricUnit.Count, value=value)
        metrics.flush_metrics()


class Entry:
    """What is written of one invocation once it is over.

    Attributes:
        outcome: what came of the event; set before the block ends.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.outcome: dict[str, Any] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: object
    ) -> None:
        if error is None:
            self._journal.finished(self.outcome)
        else:
            self._journal.failed(error)
