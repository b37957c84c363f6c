"""What ``sagemaker-xgboost`` does for ``train`` if no script is named: the algorithm, by its hyperparameters.

"XGBoost algorithm with Amazon SageMaker AI" in the SageMaker Developer Guide: the channels ``train`` and, if
there is one, ``validation``, as CSV without a header, whose first column is the label, or as libsvm. The
model is the one file ``xgboost-model``. It trains on one host, in File mode.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import xgboost

from localcloud.containers.training import ClientError

_CSV = frozenset({"text/csv", "csv"})
_LIBSVM = frozenset({"", "text/libsvm", "text/x-libsvm", "libsvm"})
# What the container's own hyperparameters are; the others are the library's.
_OF_CONTAINER = ("num_round", "early_stopping_rounds", "eval_metric")


class _Round(xgboost.callback.TrainingCallback):
    """After each round: the figures, in the container's manner, and whether to go on."""

    def __init__(self) -> None:
        super().__init__()
        self.told_to_end = False

    def after_iteration(self, model: Any, epoch: int, evals_log: Mapping[str, Any]) -> bool:
        del model
        figures = [
            f"{data}-{metric}:{values[-1]:.5f}"
            for data, metrics in evals_log.items()
            for metric, values in metrics.items()
        ]
        # CloudWatch Logs shows the container's tabs so, and metric definitions look for it.
        print("#011".join([f"[{epoch}]", *figures]), flush=True)
        return self.told_to_end


def fit() -> None:
    """Train by what the ``SM_*`` variables say, and write the model.

    Raises:
        ClientError: a hyperparameter or the data are not what the algorithm takes.
    """
    hyperparameters = json.loads(os.environ["SM_HPS"])
    if len(json.loads(os.environ["SM_HOSTS"])) > 1:
        raise ClientError("The stand-in for XGBoost trains on one host: set InstanceCount to 1.")
    rounds = _whole("num_round", hyperparameters.get("num_round"))
    stopping = hyperparameters.get("early_stopping_rounds")
    channels = json.loads(os.environ["SM_INPUT_DATA_CONFIG"])
    data = {
        name: _matrix(Path(os.environ[f"SM_CHANNEL_{name.upper()}"]), name, channels[name])
        for name in ("train", "validation")
        if name in channels
    }
    if "train" not in data:
        raise ClientError("Missing required channel: train")
    library = {name: value for name, value in hyperparameters.items() if name not in _OF_CONTAINER}
    if metrics := hyperparameters.get("eval_metric"):
        library["eval_metric"] = str(metrics).split(",")
    with _ends_with_sigterm() as each_round:
        try:
            model = xgboost.train(
                library,
                data["train"],
                rounds,
                evals=[(matrix, name) for name, matrix in data.items()],
                early_stopping_rounds=_whole("early_stopping_rounds", stopping) if stopping else None,
                verbose_eval=False,
                callbacks=[each_round],
            )
        except (xgboost.core.XGBoostError, ValueError, TypeError) as error:
            raise ClientError(f"XGB train call failed with exception:\n {error}") from error
    model.save_model(Path(os.environ["SM_MODEL_DIR"]) / "xgboost-model")


@contextmanager
def _ends_with_sigterm() -> Iterator[_Round]:
    """A job that is stopped keeps the rounds that were trained."""
    each_round = _Round()

    def end(*_: object) -> None:
        each_round.told_to_end = True

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield each_round
    finally:
        signal.signal(signal.SIGTERM, before)


def _whole(name: str, value: Any) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = 0
    if number < 1:
        raise ClientError(f"Hyperparameter {name}: {value!r} is no whole number from 1 on.")
    return number


def _matrix(folder: Path, channel: str, told: Mapping[str, str]) -> Any:
    if told["TrainingInputMode"] == "Pipe":
        raise ClientError(f"Channel {channel}: the stand-in for XGBoost reads files, not pipes.")
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    if not files:
        raise ClientError(f"No data in channel {channel}: {folder}")
    kind = told.get("ContentType", "").partition(";")[0].strip().lower()
    try:
        if kind in _CSV:
            table = np.concatenate([np.loadtxt(path, delimiter=",", ndmin=2) for path in files])
            return xgboost.DMatrix(table[:, 1:], label=table[:, 0])
        if kind in _LIBSVM:
            return _libsvm(files)
    except (ValueError, xgboost.core.XGBoostError) as error:
        raise ClientError(f"Channel {channel} cannot be read as {kind or 'libsvm'}: {error}") from error
    raise ClientError(
        f"{kind} is not an accepted ContentType of channel {channel}: "
        f"{', '.join(sorted((_CSV | _LIBSVM) - {''}))} are."
    )


def _libsvm(files: list[Path]) -> Any:
    whole = files[0]
    if len(files) > 1:
        whole = Path(os.environ.get("TMPDIR", "/tmp")) / f"{files[0].parent.name}.libsvm"  # noqa: S108
        whole.write_bytes(b"\n".join(path.read_bytes().rstrip(b"\n") for path in files) + b"\n")
    return xgboost.DMatrix(f"{whole}?format=libsvm")
