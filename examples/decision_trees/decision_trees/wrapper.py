"""The model as a web application, for gunicorn to run: ``decision_trees.wrapper:make_app()``.

AWS describes what is asked of it in "Custom Inference Code with Hosting Services".
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, NotAcceptable, ServiceUnavailable, UnsupportedMediaType

from .errors import Refused
from .formats import CSV, JSON, read_request, write_answer
from .predictor import Predictor

MODEL = Path("/opt/ml/model")
_SPOKEN = f"{CSV} or {JSON}"

_logger = logging.getLogger(__name__)


def make_app(folder: Path = MODEL) -> Flask:
    """Loads the model, once for all workers: gunicorn calls this before it forks.

    Without a model the application answers nothing but why. If it ended, SageMaker would start it again and
    again, and the reason would drown.
    """
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(message)s")
    app = Flask(__name__)
    loaded = _load(folder)

    @app.get("/ping")
    def ping() -> Response:
        _ready()
        return Response(status=200)

    @app.post("/invocations")
    def invocations() -> Response:
        predictor = _ready()
        if request.mimetype not in (CSV, JSON):
            raise UnsupportedMediaType(f"Content-Type is {request.mimetype or 'missing'}; send {_SPOKEN}")
        # Who accepts anything gets what they speak themselves.
        choices = [request.mimetype, CSV, JSON]
        accept = (
            request.accept_mimetypes.best_match(choices) if request.accept_mimetypes else request.mimetype
        )
        if accept is None:
            raise NotAcceptable(f"Accept is {request.accept_mimetypes}; accept {_SPOKEN}")
        rows = read_request(request.get_data(cache=False), request.mimetype, predictor.features)
        return Response(write_answer(predictor.predict(rows), accept), content_type=accept)

    @app.errorhandler(Refused)
    def refused(error: Refused) -> Response:
        return _plain(str(error), 400)

    @app.errorhandler(HTTPException)
    def failed(error: HTTPException) -> Response:
        return _plain(error.description or error.name, error.code or 500)

    def _ready() -> Predictor:
        if isinstance(loaded, str):
            _logger.error("there is no model to serve: %s", loaded)
            raise ServiceUnavailable(f"there is no model to serve: {loaded}")
        return loaded

    return app


def _load(folder: Path) -> Predictor | str:
    """The model, or why there is none."""
    try:
        predictor = Predictor.load(folder)
    except Refused as refused:
        return str(refused)
    except Exception as error:
        # A file that another version wrote, or nobody, can fail in any way.
        _logger.exception("%s cannot be loaded", folder)
        return f"{folder} cannot be loaded: {type(error).__name__}: {error}"
    _logger.info("the model takes %s", ", ".join(predictor.features))
    return predictor


def _plain(text: str, status: int) -> Response:
    return Response(f"{text}\n", status, content_type="text/plain; charset=utf-8")
