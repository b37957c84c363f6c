"""A training job, from /opt/ml/input to /opt/ml/model.

AWS describes what a container is given and must leave in "Containers with custom training algorithms".
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .channels import read_channel
from .errors import Refused
from .hyperparameters import read_hyperparameters
from .predictor import Predictor

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FrameType

    from .channels import Table

ML = Path("/opt/ml")
EVALUATION = "evaluation.json"
# Either name will do for the data that a tree is grown from.
_TRAINING = ("training", "train")
_VALIDATION = "validation"
_CSV = ("", "csv", "text/csv")


@dataclass(frozen=True)
class Job:
    """What is to be done.

    Attributes:
        arguments: scikit-learn's DecisionTreeClassifier takes them.
        training: the name of the channel to train on.
        validation: whether there is a channel to evaluate on.
    """

    arguments: Mapping[str, Any]
    training: str
    validation: bool


def main(ml: Path = ML) -> None:
    """Trains. What goes wrong is written to ``output/failure`` for SageMaker, and the exit code is 1."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        Predictor.clear_unfinished(ml / "model")
        print("SIGTERM: training is stopped, and leaves no model", file=sys.stderr, flush=True)
        os._exit(128 + signal.SIGTERM)

    # Python calls a handler between two of its own steps, and to grow a tree is one long step: so that has a
    # thread of its own, and this one is free. Without a handler a container's first process hears no SIGTERM.
    signal.signal(signal.SIGTERM, stop)
    try:
        ThreadPoolExecutor(max_workers=1).submit(train, ml).result()
    except Refused as refused:
        _tell_failure(ml, str(refused))
        sys.exit(f"There is nothing to train:\n{refused}")
    except Exception as error:
        _tell_failure(ml, f"{type(error).__name__}: {error}\n\n{traceback.format_exc()}")
        raise


def train(ml: Path) -> None:
    """Trains on what lies under ``input``; writes the model, and metrics if there is a validation channel.

    Raises:
        Refused: the hyperparameters or the data are wrong.
    """
    job = read_job(ml / "input" / "config")
    data = ml / "input" / "data"
    table = read_channel(data / job.training)
    held_out = read_channel(data / _VALIDATION, table.features) if job.validation else None
    _check_labels(job.training, table, held_out)
    predictor = _grow(job.arguments, table)
    predictor.save(ml / "model")
    if held_out:
        _tell_metrics(ml, _evaluate(predictor, held_out))


def read_job(config: Path) -> Job:
    """What SageMaker's three files say.

    Raises:
        Refused: with everything that is wrong in them.
    """
    problems: list[str] = []
    arguments: dict[str, Any] = {}
    try:
        arguments = read_hyperparameters(_read(config / "hyperparameters.json"))
    except Refused as refused:
        problems.extend(refused.problems)
    channels = _read(config / "inputdataconfig.json")
    for name, channel in channels.items():
        problems.extend(f"inputdataconfig.json: {name}: {each}" for each in _unfit(name, channel))
    training = [name for name in _TRAINING if name in channels]
    if len(training) != 1:
        found = " and ".join(training) or ", ".join(channels) or "nothing"
        problems.append(
            f"inputdataconfig.json: the channels are {found}; give one that is called {_TRAINING[0]}"
        )
    hosts = _read(config / "resourceconfig.json").get("hosts", [])
    if len(hosts) > 1:
        problems.append(
            f"resourceconfig.json: there are {len(hosts)} instances; one grows a tree, so ask for one"
        )
    if problems:
        raise Refused(*problems)
    return Job(arguments, training[0], _VALIDATION in channels)


def _read(file: Path) -> dict[str, Any]:
    """The document; nothing in it where it is left out, as for a container that is tried out by hand."""
    if not file.exists():
        return {}
    try:
        document = json.loads(file.read_bytes())
    except ValueError as error:
        raise Refused(f"{file.name}: is no JSON: {error}") from error
    if not isinstance(document, dict):
        raise Refused(f"{file.name}: is {document!r}; write an object, as SageMaker does")
    return document


def _unfit(name: str, channel: Mapping[str, Any]) -> list[str]:
    """What keeps a channel from being read."""
    if name not in (*_TRAINING, _VALIDATION):
        return [f"is not known here; known are {_TRAINING[0]} and {_VALIDATION}"]
    problems = []
    if (mode := channel.get("TrainingInputMode") or "File") == "Pipe":
        problems.append(f"TrainingInputMode is {mode}; files are read here: use File or FastFile")
    kind = channel.get("ContentType") or ""
    if kind.partition(";")[0].strip().lower() not in _CSV:
        problems.append(f"ContentType is {kind}; CSV is read here: use text/csv")
    if (wrapper := channel.get("RecordWrapperType") or "None") != "None":
        problems.append(f"RecordWrapperType is {wrapper}; plain files are read here: use None")
    return problems


def _check_labels(training: str, table: Table, held_out: Table | None) -> None:
    known = set(table.labels)
    problems = []
    if len(known) == 1:
        problems.append(
            f"channel {training}: every label is {table.labels[0]!r}; a tree tells at least two apart"
        )
    if held_out and (strangers := sorted(set(held_out.labels) - known)):
        told = ", ".join(map(repr, strangers[:5]))
        problems.append(f"channel {_VALIDATION}: {told} is no label of {training}; split the data by label")
    if problems:
        raise Refused(*problems)


def _grow(arguments: Mapping[str, Any], table: Table) -> Predictor:
    from sklearn.tree import DecisionTreeClassifier

    print(f"{len(table.labels)} rows; features: {', '.join(table.features)}")
    tree = DecisionTreeClassifier(**arguments).fit(table.values, table.labels)
    print(f"classes: {', '.join(tree.classes_)}")
    print(f"a tree of depth {tree.get_depth()} with {tree.get_n_leaves()} leaves")
    return Predictor(tree, table.features)


def _evaluate(predictor: Predictor, held_out: Table) -> dict[str, float]:
    from sklearn.metrics import accuracy_score, log_loss

    likely = predictor.tree.predict_proba(held_out.values)
    return {
        "accuracy": float(accuracy_score(held_out.labels, predictor.predict(held_out.values))),
        "log_loss": float(log_loss(held_out.labels, likely, labels=predictor.tree.classes_)),
    }


def _tell_metrics(ml: Path, metrics: Mapping[str, float]) -> None:
    """Prints them for the metric definitions of a training job, and writes them down for a manifest."""
    for name, value in metrics.items():
        print(f"{_VALIDATION}:{name}={value:.6f};")
    # Beside the model, so that they are in model.tar.gz too.
    for folder in (ml / "output" / "data", ml / "model"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / EVALUATION).write_text(json.dumps(metrics, indent=2) + "\n")


def _tell_failure(ml: Path, reason: str) -> None:
    """SageMaker makes the first 1,024 characters the job's FailureReason."""
    file = ml / "output" / "failure"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(reason)
