"""Fills /opt/ml as SageMaker would for a training job on the iris data. `make data` runs it in the image."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from sklearn.datasets import load_iris
from sklearn.model_selection import train_test_split

INPUT = Path("/opt/ml/input")
HYPERPARAMETERS = {"max_depth": "4", "criterion": "gini"}


def main() -> None:
    iris = load_iris()
    species = iris.target_names[iris.target]
    seen, held_out, seen_species, held_out_species = train_test_split(
        iris.data, species, test_size=0.4, random_state=1, stratify=species
    )
    names = [name.removesuffix(" (cm)").replace(" ", "_") for name in iris.feature_names]
    channels = {"training": (seen, seen_species), "validation": (held_out, held_out_species)}
    for channel, (flowers, labels) in channels.items():
        rows = [[label, *flower] for label, flower in zip(labels, flowers.tolist(), strict=True)]
        _write_table(INPUT / "data" / channel / "iris.csv", ["species", *names], rows)
    file_mode = {"TrainingInputMode": "File", "ContentType": "text/csv"}
    _write_config("hyperparameters.json", HYPERPARAMETERS)
    _write_config("inputdataconfig.json", dict.fromkeys(channels, file_mode))
    _write_config("resourceconfig.json", {"current_host": "algo-1", "hosts": ["algo-1"]})


def _write_table(file: Path, header: list[str], rows: list[list[Any]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="") as out:
        csv.writer(out).writerows([header, *rows])


def _write_config(name: str, document: dict[str, Any]) -> None:
    file = INPUT / "config" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
