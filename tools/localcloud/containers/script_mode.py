"""Script mode: the user's model_fn, and input_fn, predict_fn and output_fn or the container's own."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from localcloud.containers.http_contract import Invocation, Request, Response

InputFn = Callable[[bytes, str], Any]
PredictFn = Callable[[Any, Any], Any]
OutputFn = Callable[[Any, str | None], Response]


def script() -> ModuleType:
    """The module that SAGEMAKER_PROGRAM names, in SAGEMAKER_SUBMIT_DIRECTORY.

    Raises:
        RuntimeError: either is missing, or there is no such file.
    """
    program = os.environ.get("SAGEMAKER_PROGRAM")
    directory = os.environ.get("SAGEMAKER_SUBMIT_DIRECTORY")
    if not program:
        raise RuntimeError("SAGEMAKER_PROGRAM is not set: the container does not know which script to run.")
    if not directory:
        raise RuntimeError(
            "SAGEMAKER_SUBMIT_DIRECTORY is not set: its default, /opt/ml/code, holds no script."
        )
    file = Path(directory) / program
    if not file.is_file():
        raise RuntimeError(f"There is no script {program} in {directory}.")
    sys.path.insert(0, directory)
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None:
        raise RuntimeError(f"{program} is not a Python script.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)
    return module


def invocation(
    module: ModuleType, input_fn: InputFn, predict_fn: PredictFn, output_fn: OutputFn
) -> Invocation:
    """What answers invocations by the module's functions, and by the defaults where it has none.

    Raises:
        RuntimeError: it has no model_fn, or both transform_fn and one of those that it stands for.
    """
    model_fn = getattr(module, "model_fn", None)
    if model_fn is None:
        raise RuntimeError("Please provide a model_fn implementation.")
    transform_fn = getattr(module, "transform_fn", None)
    others = [name for name in ("input_fn", "predict_fn", "output_fn") if hasattr(module, name)]
    if transform_fn is not None and others:
        raise RuntimeError(f"Cannot use transform_fn implementation in conjunction with {', '.join(others)}.")
    model = model_fn(os.environ["SM_MODEL_DIR"])
    taking: InputFn = getattr(module, "input_fn", input_fn)
    predicting: PredictFn = getattr(module, "predict_fn", predict_fn)
    giving: Callable[[Any, str | None], Any] = getattr(module, "output_fn", output_fn)

    def invoke(request: Request) -> Response:
        accept = _accepted(request.accept)
        if transform_fn is not None:
            result = transform_fn(model, _text(request), request.content_type, accept)
        else:
            # A script's own input_fn gets text for the types that are text, as the toolkit decodes them.
            body = _text(request) if hasattr(module, "input_fn") else request.body
            result = giving(predicting(taking(body, request.content_type), model), accept)
        return _response(result, accept)

    return invoke


def _accepted(accept: str | None) -> str:
    default = os.environ.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", "application/json")
    return default if accept in {None, "", "*/*"} else str(accept)


def _text(request: Request) -> Any:
    kind = request.content_type.partition(";")[0].strip().lower()
    return request.body.decode() if kind in {"text/csv", "application/json"} else request.body


def _response(result: Any, accept: str) -> Response:
    if isinstance(result, Response):
        return result
    body, content_type = result if isinstance(result, tuple) else (result, accept)
    return Response(body if isinstance(body, bytes) else str(body).encode(), str(content_type))
