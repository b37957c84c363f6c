"""Stands in for ``sagemaker-xgboost``: algorithm mode, and script mode where SAGEMAKER_PROGRAM is set."""

from __future__ import annotations

import json
import os
import pickle
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import xgboost

from localcloud.containers import arrays
from localcloud.containers.http_contract import Invocation, Refusal, Request, Response, serve
from localcloud.containers.script_mode import invocation, script

LIBSVM = frozenset({"text/libsvm", "text/x-libsvm"})
_BAD_REQUEST, _NO_CONTENT, _NOT_ACCEPTABLE, _UNSUPPORTED = 400, 204, 406, 415


def booster(directory: Path) -> Any:
    """The model of algorithm mode: the one file, a pickle or what Booster.save_model wrote.

    Raises:
        RuntimeError: there is not exactly one file.
    """
    files = [path for path in directory.iterdir() if path.is_file() and not path.name.startswith(".")]
    if len(files) != 1:
        found = ", ".join(sorted(path.name for path in files)) or "none"
        raise RuntimeError(f"Exactly one model file is expected in {directory}, found: {found}")
    try:
        with files[0].open("rb") as stream:
            model = pickle.load(stream)  # noqa: S301  as the real container does
    except (pickle.UnpicklingError, EOFError, ValueError, KeyError, IndexError, AttributeError, ImportError):
        model = xgboost.Booster()
        model.load_model(files[0])
    return model.get_booster() if hasattr(model, "get_booster") else model


def input_fn(body: bytes, content_type: str) -> Any:
    """A DMatrix, from CSV without a header or from libsvm.

    Raises:
        Refusal: the type is not known, or the body is not of it.
    """
    kind = arrays.media_type(content_type)
    try:
        if kind == arrays.CSV:
            lines = [line for line in body.decode().splitlines() if line.strip()]
            table = np.array([[_number(cell) for cell in line.split(",")] for line in lines])
            return xgboost.DMatrix(table)
        if kind in LIBSVM:
            return _libsvm(body)
    except (ValueError, xgboost.core.XGBoostError) as error:
        raise Refusal(_BAD_REQUEST, f"Loading {kind} data failed with Exception: {error}") from error
    raise Refusal(_UNSUPPORTED, f"Content type {content_type} is not supported.")


def predict_fn(data: Any, model: Any) -> Any:
    """The model's answer.

    Raises:
        Refusal: the data does not fit the model.
    """
    try:
        return model.predict(data, validate_features=False)
    except (ValueError, xgboost.core.XGBoostError) as error:
        raise Refusal(_BAD_REQUEST, f"Unable to evaluate payload provided: {error}") from error


def output_fn(prediction: Any, accept: str | None) -> Response:
    """CSV on one line, as the container writes it, or JSON.

    Raises:
        Refusal: the type is not known.
    """
    kind = arrays.media_type(accept or arrays.CSV)
    values = np.asarray(prediction).tolist()
    if kind in {arrays.CSV, "*/*"}:
        return Response(",".join(map(str, values)).encode(), arrays.CSV)
    if kind == arrays.JSON:
        content = {"predictions": [{"score": value} for value in values]}
        return Response(json.dumps(content).encode(), arrays.JSON)
    raise Refusal(_NOT_ACCEPTABLE, f"Accept type {accept} is not supported.")


def load() -> Invocation:
    """The model, ready to answer."""
    if os.environ.get("SAGEMAKER_PROGRAM"):
        return invocation(script(), input_fn, predict_fn, output_fn)
    model = booster(Path(os.environ["SM_MODEL_DIR"]))

    def invoke(request: Request) -> Response:
        if not request.body:
            return Response(b"", "text/plain", _NO_CONTENT)
        accept = request.accept if request.accept not in {None, "", "*/*"} else arrays.CSV
        return output_fn(predict_fn(input_fn(request.body, request.content_type), model), accept)

    return invoke


def _number(cell: str) -> float:
    return float(cell) if cell.strip() else float("nan")


def _libsvm(body: bytes) -> Any:
    with tempfile.NamedTemporaryFile(suffix=".libsvm") as file:
        file.write(body)
        file.flush()
        return xgboost.DMatrix(f"{file.name}?format=libsvm")


def main(arguments: list[str]) -> None:
    """What the container does with its argument."""
    match arguments:
        case ["serve"]:
            serve(load)
        case ["train"]:
            from localcloud.containers.training import train
            from localcloud.containers.xgboost_algorithm import fit

            sys.exit(train(algorithm=fit))
        case _:
            sys.exit("usage: python -m localcloud.containers.xgboost serve|train")


if __name__ == "__main__":
    main(sys.argv[1:])
