"""Trains a decision tree on the iris data, and says how good it is on flowers that it has not seen.

python -m examples.iris.train --max-depth 4 --out build/iris
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import joblib
from sklearn.datasets import load_iris
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import train_test_split
from sklearn.tree import DecisionTreeClassifier

MODEL = "model.joblib"
EVALUATION = "evaluation.json"

# The same flowers are held out each time, so that the figures of two trees can be compared.
_HELD_OUT = 0.4
_SPLIT = 1


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
    iris = load_iris()
    seen, held_out, seen_species, held_out_species = train_test_split(
        iris.data, iris.target, test_size=_HELD_OUT, random_state=_SPLIT, stratify=iris.target
    )
    tree = DecisionTreeClassifier(max_depth=max_depth, random_state=0).fit(seen, seen_species)
    metrics = {
        "accuracy": float(accuracy_score(held_out_species, tree.predict(held_out))),
        "log_loss": float(log_loss(held_out_species, tree.predict_proba(held_out))),
    }
    # The script that serves it answers with these names.
    tree.species_ = [str(name) for name in iris.target_names]
    out.mkdir(parents=True, exist_ok=True)
    model, evaluation = out / MODEL, out / EVALUATION
    joblib.dump(tree, model)
    evaluation.write_text(json.dumps(metrics, indent=2) + "\n")
    return Trained(model, evaluation, metrics)


def main() -> None:
    parser = argparse.ArgumentParser(description="Train a decision tree on the iris data.")
    parser.add_argument("--max-depth", type=int, default=4, help="the depth of the tree at most")
    parser.add_argument("--out", type=Path, default=Path("build/iris"), help="the folder to write into")
    told = parser.parse_args()
    trained = train(told.max_depth, told.out)
    print(f"{trained.model}: {json.dumps(trained.metrics)}")


if __name__ == "__main__":
    main()
