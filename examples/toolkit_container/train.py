"""The script that the training toolkit runs: it fits a logistic regression to tables of labelled rows.

Hyperparameters come as arguments, and the environment says where everything lies (SM_*). The script imports
nothing of SageMaker, and so it runs anywhere.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import joblib
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

MODEL = "model.joblib"
EVALUATION = "evaluation.json"
# Beyond this many wrong rows of a file the rest of it is not told.
_TOLD = 10


class Refused(Exception):
    """What the job was given cannot be trained on. Each problem says what was found, and the mend."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Arguments(argparse.ArgumentParser):
    """Refuses what it cannot parse, so that the reason becomes the job's."""

    def error(self, message: str) -> NoReturn:
        raise Refused(f"hyperparameters: {message}; known are penalty and max-iter")


@dataclass(frozen=True)
class Table:
    """Rows of a channel, and the label of each."""

    rows: list[list[float]]
    labels: list[str]


def main() -> None:
    try:
        train()
    except Refused as refused:
        # The toolkit would write only that the script ended with 1. It leaves a reason that is there already.
        Path(os.environ["SM_OUTPUT_DIR"], "failure").write_text(str(refused))
        sys.exit(f"There is nothing to train:\n{refused}")


def train() -> None:
    """Fits the model, and writes it and its evaluation where SageMaker picks them up.

    Raises:
        Refused: the hyperparameters, the data or the instances are not what this script is for.
    """
    told = read_arguments()
    if len(hosts := json.loads(os.environ["SM_HOSTS"])) > 1:
        raise Refused(f"there are {len(hosts)} instances, and one does all the work: ask for one")
    seen, held_out = read_channel("train"), read_channel("validation")
    check(seen, held_out)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=1 / told.penalty, max_iter=told.max_iter))
    model.fit(seen.rows, seen.labels)
    joblib.dump(model, Path(os.environ["SM_MODEL_DIR"], MODEL))
    likely = model.predict_proba(held_out.rows)
    evaluation = {
        "accuracy": float(accuracy_score(held_out.labels, model.predict(held_out.rows))),
        "log_loss": float(log_loss(held_out.labels, likely, labels=model.classes_)),
    }
    output = Path(os.environ["SM_OUTPUT_DATA_DIR"])
    output.mkdir(parents=True, exist_ok=True)
    (output / EVALUATION).write_text(json.dumps(evaluation, indent=2) + "\n")
    print(f"{len(seen.labels)} rows; classes: {', '.join(model.classes_)}")
    for name, value in evaluation.items():
        print(f"validation:{name}={value:.6f};")


def read_arguments() -> argparse.Namespace:
    """The hyperparameters. The toolkit makes ``--penalty 1.0`` of a hyperparameter ``penalty: 1.0``."""
    parser = Arguments(allow_abbrev=False)
    parser.add_argument("--penalty", type=_positive, default=1.0)
    parser.add_argument("--max-iter", type=int, default=200)
    return parser.parse_args()


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is no number above 0")
    return number


def read_channel(name: str) -> Table:
    """Every CSV file of a channel: no header, the label in the first column.

    Raises:
        Refused: there is no such channel, nothing in it, or rows that are no label and numbers.
    """
    if (folder := os.environ.get(f"SM_CHANNEL_{name.upper()}")) is None:
        raise Refused(f"there is no channel {name}: give the job one")
    rows, labels, problems = [], [], []
    for file in sorted(Path(folder).rglob("*.csv")):
        wrong = 0
        with file.open(newline="", encoding="utf-8-sig") as lines:
            for number, cells in enumerate(csv.reader(lines), start=1):
                if not any(cells):
                    continue
                try:
                    rows.append(_numbers(cells[1:]))
                    labels.append(cells[0])
                except ValueError as error:
                    wrong += 1
                    problems.append(f"{name}/{file.name}: line {number}: {error}")
                if wrong == _TOLD:
                    problems.append(f"{name}/{file.name}: line {number} is as far as it was read")
                    break
    if not rows and not problems:
        problems.append(f"channel {name} holds no rows: put CSV files there, the label in the first column")
    if len(widths := {len(row) for row in rows}) > 1:
        problems.append(f"channel {name}: rows have {min(widths)} to {max(widths)} features; write as many")
    if problems:
        raise Refused(*problems)
    return Table(rows, labels)


def _numbers(cells: list[str]) -> list[float]:
    if not cells:
        raise ValueError("has one column; write the label, then the features")
    numbers = [float(cell) for cell in cells]
    if not all(map(math.isfinite, numbers)):
        raise ValueError("has a feature that is not finite; write finite numbers")
    return numbers


def check(seen: Table, held_out: Table) -> None:
    """Whether the one can be learnt from, and the other told with what was learnt.

    Raises:
        Refused: they do not fit each other.
    """
    problems = []
    if len(known := set(seen.labels)) == 1:
        problems.append(f"channel train: every label is {seen.labels[0]!r}; give at least two")
    if strangers := sorted(set(held_out.labels) - known):
        problems.append(f"channel validation: {', '.join(strangers)} is no label of train; split by label")
    if (features := len(seen.rows[0])) != (others := len(held_out.rows[0])):
        problems.append(f"channel validation: rows have {others} features; those of train have {features}")
    if problems:
        raise Refused(*problems)


if __name__ == "__main__":
    main()
