"""Rows of numbers, as a tree takes them: from a file when it is trained, from a request when it is asked."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

import numpy as np

from .errors import Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

# Trees compute in single precision, and scikit-learn refuses what is larger.
_LARGEST = float(np.finfo(np.float32).max)
# Whoever has so many problems has one, in every row.
_ENOUGH = 10


class Rows:
    """Collects rows, and what is wrong with them.

    Args:
        features: the name of each column; every row has as many.
        where: what the rows are counted in, such as ``row`` or ``training/iris.csv: line``.
    """

    def __init__(self, features: Sequence[str], where: str) -> None:
        self._features = tuple(features)
        self._where = where
        self._values = array("d")
        self._numbers = array("q")
        self._problems: list[str] = []

    def add(self, number: int, cells: Sequence[float | str]) -> None:
        """Takes a row; ``number`` is which, counted from 1.

        Raises:
            Refused: this is one problem too many to go on reading.
        """
        if len(cells) != len(self._features):
            wanted = f"{len(self._features)} ({', '.join(self._features)})"
            self.refuse(number, f"has {len(cells)} features; write {wanted}")
            return
        try:
            self._values.extend(array("d", map(float, cells)))
        except (ValueError, OverflowError):
            for feature, cell in zip(self._features, cells, strict=True):
                if not _is_number(cell):
                    self.refuse(number, f"{feature} is {cell!r}; write a number")
            return
        self._numbers.append(number)

    def refuse(self, number: int, problem: str) -> None:
        """Notes what is wrong with a row.

        Raises:
            Refused: this is one problem too many to go on reading.
        """
        self._problems.append(f"{self._where} {number}: {problem}")
        if len(self._problems) == _ENOUGH:
            raise Refused(*self._problems, f"{self._where} {number} is as far as it was read")

    def table(self) -> NDArray[np.float32]:
        """All rows, in the order in which they came.

        Raises:
            Refused: a row has more or fewer columns than there are features, or what is no finite number.
        """
        values = np.frombuffer(self._values).reshape(-1, len(self._features))
        unfit = ~(np.abs(values) <= _LARGEST)
        if unfit.any():
            for row, column in np.argwhere(unfit):
                found = values[row, column]
                self.refuse(self._numbers[row], f"{self._features[column]} is {found}; write a finite number")
        if self._problems:
            raise Refused(*self._problems)
        return values.astype(np.float32)


def _is_number(cell: float | str) -> bool:
    try:
        float(cell)
    except (ValueError, OverflowError):
        return False
    return True
