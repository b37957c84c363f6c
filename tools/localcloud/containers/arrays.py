"""Arrays from request bodies, and to response bodies, as the prebuilt containers' toolkit does it.

numpy is imported when the first array is made: a script that reads and answers for itself starts without it.
"""

from __future__ import annotations

import io
import json
from typing import Any

from localcloud.containers.http_contract import Refusal, Response

CSV, JSON, NPY = "text/csv", "application/json", "application/x-npy"
_UNSUPPORTED, _NOT_ACCEPTABLE = 415, 406


def media_type(header: str) -> str:
    """The type without its parameters."""
    return header.partition(";")[0].strip().lower()


def decode(body: bytes, content_type: str) -> Any:
    """An array. One line of CSV gives an array of one dimension, as in the real container.

    Raises:
        Refusal: the type is not known.
    """
    import numpy as np

    kind = media_type(content_type)
    if kind == CSV:
        return np.genfromtxt(io.StringIO(body.decode()), delimiter=",")
    if kind == JSON:
        return np.array(json.loads(body))
    if kind == NPY:
        return np.load(io.BytesIO(body))
    raise Refusal(_UNSUPPORTED, f"Content type {content_type} is not supported by this framework.")


def encode(prediction: Any, accept: str | None) -> Response:
    """A response of the type that is accepted, JSON if any is.

    Raises:
        Refusal: the type is not known.
    """
    import numpy as np

    kind = media_type(accept or JSON)
    array = np.asarray(prediction)
    if kind in {JSON, "*/*"}:
        return Response(json.dumps(array.tolist()).encode(), JSON)
    if kind == CSV:
        stream = io.StringIO()
        np.savetxt(stream, array, delimiter=",", fmt="%s")
        return Response(stream.getvalue().encode(), CSV)
    if kind == NPY:
        buffer = io.BytesIO()
        np.save(buffer, array)
        return Response(buffer.getvalue(), NPY)
    raise Refusal(_NOT_ACCEPTABLE, f"Content type {accept} is not supported by this framework.")
