"""What a request may be written in, and its answer.

A request is rows of features, without label and header: lines of CSV, or JSON, a list of lists, alone or as
``{"instances": [[…]]}``. The answer has a class for each row, in the same order: a line each, or
``{"predictions": ["setosa"]}``.
"""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

from .errors import Refused
from .rows import Rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

CSV, JSON = "text/csv", "application/json"


def read_request(body: bytes, content_type: str, features: Sequence[str]) -> NDArray[np.float32]:
    """The rows of a request, rows × features.

    Raises:
        Refused: the body is not what its content type says, or a row is not one number for each feature.
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refused(f"the request is not in UTF-8: {error}") from error
    rows = Rows(features, "row")
    read = _read_csv if content_type == CSV else _read_json
    read(text, rows)
    table = rows.table()
    if not len(table):
        raise Refused(
            f"the request has no rows; write {len(features)} features in each: {', '.join(features)}"
        )
    return table


def write_answer(classes: Sequence[str], accept: str) -> str:
    """The answer, in a content type that `read_request` takes, too."""
    if accept == JSON:
        return json.dumps({"predictions": list(classes)})
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([each] for each in classes)
    return text.getvalue()


def _read_csv(text: str, rows: Rows) -> None:
    lines = (cells for cells in csv.reader(io.StringIO(text, newline=""), strict=True) if any(cells))
    try:
        for number, cells in enumerate(lines, start=1):
            rows.add(number, cells)
    except csv.Error as error:
        raise Refused(f"the request is no CSV: {error}") from error


def _read_json(text: str, rows: Rows) -> None:
    try:
        document: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Refused(f"the request is no JSON: {error}") from error
    instances = document.get("instances") if isinstance(document, dict) else document
    if not isinstance(instances, list):
        raise Refused('the request has no list of rows; write [[…], …] or {"instances": [[…], …]}')
    for number, cells in enumerate(instances, start=1):
        if not isinstance(cells, list):
            rows.refuse(number, "is no list; write a list of numbers")
        elif strangers := [cell for cell in cells if type(cell) not in (int, float)]:
            rows.refuse(number, f"{json.dumps(strangers[0])} is no number; write a list of numbers")
        else:
            rows.add(number, cells)
