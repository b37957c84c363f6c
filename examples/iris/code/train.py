"""Trains a decision tree on measures of flowers, and says how good it is on flowers that it has not seen.

A script for SageMaker's script mode: where the data lie, and where the results go, is told by ``SM_*``
variables, and each hyperparameter of `job.yaml` is an argument.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import joblib
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import train_test_split
from sklearn.tree import DecisionTreeClassifier

MODEL = "model.joblib"
EVALUATION = "evaluation.json"
SERVING = "inference.py"

# The same flowers are held out each time, so that the figures of two trees can be compared.
_HELD_OUT = 0.4
_SPLIT = 1


@dataclass(frozen=True)
class Flowers:
    """Four measures of each flower, in centimetres, and its species."""

    measures: list[list[float]]
    species: list[str]


def read(folder: Path) -> Flowers:
    """The flowers of every CSV file in a folder: measures first, the species in the last column."""
    measures, species = [], []
    for path in sorted(folder.glob("*.csv")):
        with path.open(newline="") as file:
            header, *rows = csv.reader(file)
        for row in rows:
            if len(row) != len(header):
                raise ValueError(f"{path.name} has a row with {len(row)} values, and {len(header)} columns")
            measures.append([float(value) for value in row[:-1]])
            species.append(row[-1])
    if not species:
        raise ValueError(f"there are no flowers in {folder}: it needs a CSV file with a header")
    return Flowers(measures, species)


def train(flowers: Flowers, max_depth: int, model: Path, evaluation: Path) -> dict[str, float]:
    """Trains a tree of at most this depth, and writes it and its evaluation into two folders.

    Returns:
        How good it is on flowers that it has not seen.
    """
    names = sorted(set(flowers.species))
    numbers = [names.index(name) for name in flowers.species]
    seen, held_out, seen_species, held_out_species = train_test_split(
        flowers.measures, numbers, test_size=_HELD_OUT, random_state=_SPLIT, stratify=numbers
    )
    tree = DecisionTreeClassifier(max_depth=max_depth, random_state=0).fit(seen, seen_species)
    metrics = {
        "accuracy": float(accuracy_score(held_out_species, tree.predict(held_out))),
        "log_loss": float(log_loss(held_out_species, tree.predict_proba(held_out))),
    }
    # What job.yaml has SageMaker read from the log.
    print(f"seen_accuracy={tree.score(seen, seen_species):.4f};", flush=True)
    # The script that serves it answers with these names.
    tree.species_ = names
    for folder in (model, evaluation):
        folder.mkdir(parents=True, exist_ok=True)
    joblib.dump(tree, model / MODEL)
    (evaluation / EVALUATION).write_text(json.dumps(metrics, indent=2) + "\n")
    return metrics


def main() -> None:
    parser = argparse.ArgumentParser(description="Train a decision tree on measures of flowers.")
    parser.add_argument("--max-depth", type=int, default=4, help="the depth of the tree at most")
    told = parser.parse_args()
    model = Path(os.environ["SM_MODEL_DIR"])
    flowers = read(Path(os.environ["SM_CHANNEL_TRAIN"]))
    metrics = train(flowers, told.max_depth, model, Path(os.environ["SM_OUTPUT_DATA_DIR"]))
    print(f"on flowers that it has not seen: {json.dumps(metrics)}", flush=True)
    # What serves the tree goes with it.
    (model / "code").mkdir(exist_ok=True)
    shutil.copyfile(Path(__file__).with_name(SERVING), model / "code" / SERVING)


if __name__ == "__main__":
    main()
