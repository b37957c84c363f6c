"""How a request becomes an answer: the four functions that the inference toolkit asks for.

A request is rows of features: lines of CSV, or JSON, a list of lists. The answer has a label for each row, in
the same order: a line each, or ``{"predictions": ["setosa"]}``. A model can bring functions of its own in
``code/inference.py``.
"""

from __future__ import annotations

import csv
import io
import json
import logging
import math
import sys
from http import HTTPStatus
from pathlib import Path
from typing import Any

import joblib
from sagemaker_inference.default_inference_handler import DefaultInferenceHandler
from sagemaker_inference.errors import BaseInferenceToolkitError
from sagemaker_inference.transformer import Transformer
from sagemaker_inference.utils import remove_crlf

MODEL = "model.joblib"
CSV, JSON, ANY = "text/csv", "application/json", "*/*"

_logger = logging.getLogger(__name__)


class SpeciesHandler(DefaultInferenceHandler):  # type: ignore[misc]  # the toolkit is untyped
    """Answers with the label of each row."""

    def default_model_fn(self, model_dir: str) -> Any:
        """The model, once for each worker."""
        return joblib.load(Path(model_dir, MODEL))

    def default_input_fn(self, body: str | bytes | bytearray, content_type: str) -> list[list[Any]]:
        """The rows of a request.

        Raises:
            BaseInferenceToolkitError: 415, or 400: what it is written in, or what it says, cannot be used.
        """
        kind = _bare(content_type or "")
        try:
            text = body if isinstance(body, str) else bytes(body).decode()
            if kind == CSV:
                rows: Any = [cells for cells in csv.reader(io.StringIO(text)) if any(cells)]
            elif kind == JSON:
                rows = json.loads(text)
            else:
                told = f"Content-Type is {kind or 'missing'}; send {CSV} or {JSON}"
                raise _wrong(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, told)
        except ValueError as error:
            raise _wrong(HTTPStatus.BAD_REQUEST, f"the request is no {kind}: {error}") from error
        if not isinstance(rows, list) or not rows or not all(isinstance(row, list) for row in rows):
            raise _wrong(HTTPStatus.BAD_REQUEST, "the request has no rows; write a list of lists of numbers")
        return rows

    def default_predict_fn(self, rows: list[list[Any]], model: Any) -> list[str]:
        """The label of each row.

        Raises:
            BaseInferenceToolkitError: 400, with everything that is wrong in the rows.
        """
        problems = []
        numbers = []
        for place, row in enumerate(rows, start=1):
            try:
                numbers.append(_numbers(row, model.n_features_in_))
            except (TypeError, ValueError) as error:
                problems.append(f"row {place}: {error}")
        if problems:
            raise _wrong(HTTPStatus.BAD_REQUEST, "\n".join(problems))
        return [str(label) for label in model.predict(numbers)]

    def default_output_fn(self, labels: list[str], accept: str) -> tuple[str, str]:
        """The answer, and what it is written in.

        Raises:
            BaseInferenceToolkitError: 406.
        """
        for each in map(_bare, accept.split(",")):
            if each in (JSON, ANY):
                return json.dumps({"predictions": labels}), JSON
            if each == CSV:
                text = io.StringIO()
                csv.writer(text, lineterminator="\n").writerows([label] for label in labels)
                return text.getvalue(), CSV
        raise _wrong(HTTPStatus.NOT_ACCEPTABLE, f"Accept is {accept}; accept {CSV} or {JSON}")


class BriefTransformer(Transformer):  # type: ignore[misc]
    """Answers a failed request with its reason. The toolkit's adds the traceback, which is for the log."""

    @staticmethod
    def handle_error(context: Any, inference_exception: BaseInferenceToolkitError, trace: str) -> list[str]:
        status = inference_exception.status_code
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            _logger.error("%s", trace)
        # The phrase stands in HTTP's status line.
        context.set_response_status(code=status, phrase=remove_crlf(inference_exception.phrase))
        return [f"{inference_exception.message}\n"]


def _bare(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def _numbers(row: list[Any], features: int) -> list[float]:
    if len(row) != features:
        raise ValueError(f"has {len(row)} features; write {features}")
    numbers = [float(cell) for cell in row]
    if not all(map(math.isfinite, numbers)):
        raise ValueError("has a feature that is not finite; write finite numbers")
    return numbers


def _wrong(status: HTTPStatus, message: str) -> BaseInferenceToolkitError:
    """An error that is the caller's."""
    return BaseInferenceToolkitError(status.value, message, status.phrase)


if __name__ == "__main__":
    # Whether a model can be loaded at all: `serve` asks before it starts the server.
    SpeciesHandler().default_model_fn(sys.argv[1])
