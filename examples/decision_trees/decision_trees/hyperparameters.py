"""Hyperparameters, from the strings that SageMaker hands over.

AWS describes the file in "How Amazon SageMaker AI Provides Training Information".
"""

from __future__ import annotations

import difflib
import math
from typing import TYPE_CHECKING, Any

from .errors import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

WHERE = "hyperparameters.json"
# A tuning job and SageMaker's own SDK add what is theirs.
_NOT_OURS = ("_tuning_", "sagemaker_")


def read_hyperparameters(document: Any) -> dict[str, Any]:
    """The arguments of scikit-learn's DecisionTreeClassifier; the same data then gives the same tree.

    Raises:
        Refused: a hyperparameter is unknown, or its value is.
    """
    if not isinstance(document, dict):
        raise Refused(f'{WHERE}: is no object; write {{"max_depth": "4"}}, say, or {{}}')
    arguments: dict[str, Any] = {"random_state": 0}
    problems = []
    for name, text in document.items():
        if name.startswith(_NOT_OURS):
            continue
        if not isinstance(text, str):
            problems.append(f'{WHERE}: {name}: is {text!r}, and all values are strings; write "{text}"')
            continue
        try:
            arguments[name] = _read(name, text)
        except ValueError as error:
            problems.append(f"{WHERE}: {name}: {error}")
    if problems:
        raise Refused(*problems)
    return arguments


def _read(name: str, text: str) -> object:
    if name not in _READERS:
        near = difflib.get_close_matches(name, _READERS, n=1)
        meant = f"did you mean {near[0]}? " if near else ""
        raise ValueError(f"is not known here; {meant}known are {', '.join(_READERS)}")
    return _READERS[name](text)


def _whole(least: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.strip().isdecimal() or int(text) < least:
            raise ValueError(f"is {text!r}; write a whole number from {least}")
        return int(text)

    return read


def _not_negative(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise ValueError(f"is {text!r}; write a number from 0")
    return value


def _one_of(*choices: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(f"is {text!r}; write {' or '.join(choices)}")
        return text

    return read


_READERS: Mapping[str, Callable[[str], object]] = {
    "criterion": _one_of("gini", "entropy", "log_loss"),
    "max_depth": _whole(1),
    "max_leaf_nodes": _whole(2),
    "min_samples_split": _whole(2),
    "min_samples_leaf": _whole(1),
    "ccp_alpha": _not_negative,
    "class_weight": _one_of("balanced"),
    "random_state": _whole(0),
}
