"""How the scikit-learn container serves the tree: it calls these four functions.

A request is one flower or several, four measures each, in centimetres: lines of CSV, or JSON, a list
of lists. The answer is the species of each, in the same order: ``["setosa"]``, or a line for each.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import joblib

CSV, JSON = "text/csv", "application/json"
_MEASURES = 4


def model_fn(model_dir: str) -> Any:
    """Called once, when the container starts."""
    return joblib.load(Path(model_dir, "model.joblib"))


def input_fn(body: str | bytes, content_type: str) -> list[list[float]]:
    """The flowers of a request."""
    text = body.decode() if isinstance(body, bytes) else body
    kind = content_type.partition(";")[0].strip()
    if kind == CSV:
        flowers = [[float(value) for value in row] for row in csv.reader(io.StringIO(text)) if row]
    elif kind == JSON:
        flowers = [[float(value) for value in row] for row in json.loads(text)]
    else:
        raise ValueError(f"a request is {CSV} or {JSON}, not {content_type}")
    for number, flower in enumerate(flowers, start=1):
        if len(flower) != _MEASURES:
            raise ValueError(
                f"flower {number} has {len(flower)} measures; it takes {_MEASURES}, in centimetres"
            )
    return flowers


def predict_fn(flowers: list[list[float]], tree: Any) -> list[str]:
    """The species of each flower."""
    return [tree.species_[species] for species in tree.predict(flowers)]


def output_fn(species: Sequence[str], accept: str) -> tuple[str, str]:
    """The answer, and its content type."""
    if accept.partition(";")[0].strip() == CSV:
        return "\n".join(species), CSV
    return json.dumps(list(species)), JSON
