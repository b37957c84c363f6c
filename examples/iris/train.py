"""Trains the tree without SageMaker: with the job's own script, on the job's own data.

python -m examples.iris.train --max-depth 4 --out build/iris
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

from examples.iris.code import train as script

_FLOWERS = Path(__file__).parent / "data" / "train"


@dataclass(frozen=True)
class Trained:
    """A trained tree on disk.

    Attributes:
        model: what joblib wrote.
        evaluation: the metrics as a JSON file, as a manifest's ``metrics_file`` takes them.
        metrics: the same, read.
    """

    model: Path
    evaluation: Path
    metrics: dict[str, float]


def train(max_depth: int, out: Path) -> Trained:
    """Trains a tree of at most this depth, and writes it and its evaluation into the folder ``out``."""
    metrics = script.train(script.read(_FLOWERS), max_depth, out, out)
    return Trained(out / script.MODEL, out / script.EVALUATION, metrics)


def main() -> None:
    parser = argparse.ArgumentParser(description="Train a decision tree on the iris data.")
    parser.add_argument("--max-depth", type=int, default=4, help="the depth of the tree at most")
    parser.add_argument("--out", type=Path, default=Path("build/iris"), help="the folder to write into")
    told = parser.parse_args()
    trained = train(told.max_depth, told.out)
    print(f"{trained.model}: {json.dumps(trained.metrics)}")


if __name__ == "__main__":
    main()
