"""The data of a training job: a channel is a folder of CSV files, the label in the first column."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .errors import Refused
from .rows import Rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Table:
    """What a channel holds.

    Attributes:
        features: the names of the columns behind the label: the header's, or ``feature_1`` and so on.
        labels: the class of each row.
        values: rows × features.
    """

    features: tuple[str, ...]
    labels: tuple[str, ...]
    values: NDArray[np.float32]


@dataclass
class _File:
    """A file that is being read."""

    where: str
    lines: Iterator[tuple[int, list[str]]]
    first: tuple[int, list[str]]

    @property
    def has_header(self) -> bool:
        """A first line without any number behind the label names the columns."""
        return not any(_is_number(cell) for cell in self.first[1][1:])


def read_channel(folder: Path, features: Sequence[str] | None = None) -> Table:
    """Reads every file of a channel, in folders too; but no hidden ones, nor markers such as ``_SUCCESS``.

    Args:
        folder: the channel's, as SageMaker mounts it.
        features: what the columns must be, in this order; what the first file says without.

    Raises:
        Refused: there are no rows, the files do not fit together, or a row is not a label and numbers.
    """
    problems: list[str] = []
    tables: list[Table] = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        where = f"{folder.name}/{path.relative_to(folder)}"
        if path.name.startswith((".", "_")):
            continue
        try:
            if table := _read_file(path, where, features):
                tables.append(table)
                features = table.features
        except Refused as refused:
            problems.extend(refused.problems)
    if not tables and not problems:
        problems.append(
            f"channel {folder.name}: holds no rows; give it CSV files, the label in the first column"
        )
    if problems:
        raise Refused(*problems)
    return Table(
        features=tables[0].features,
        labels=tuple(label for table in tables for label in table.labels),
        values=np.concatenate([table.values for table in tables]),
    )


def _read_file(path: Path, where: str, features: Sequence[str] | None) -> Table | None:
    """The rows of one file; None where it has none."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as text:
            reader = csv.reader(text, strict=True)
            lines = ((reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells))
            if (first := next(lines, None)) is None:
                return None
            return _read_rows(_File(where, lines, first), features)
    except (csv.Error, UnicodeDecodeError) as error:
        raise Refused(f"{where}: is no CSV in UTF-8: {error}") from error


def _read_rows(file: _File, features: Sequence[str] | None) -> Table:
    number, cells = file.first
    if len(cells) == 1:
        raise Refused(f"{file.where}: line {number}: has one column; write the label, a comma, the features")
    named = tuple(cell.strip() for cell in cells[1:]) if file.has_header else None
    if named and features and named != tuple(features):
        found, wanted = ", ".join(named), ", ".join(features)
        raise Refused(f"{file.where}: its columns are {found}; the first file's are {wanted}: write the same")
    if features is None:
        features = named or tuple(f"feature_{count}" for count in range(1, len(cells)))
    rows, labels = Rows(features, f"{file.where}: line"), []
    if not named:
        labels.append(_add(rows, number, cells))
    labels.extend(_add(rows, number, cells) for number, cells in file.lines)
    return Table(tuple(features), tuple(labels), rows.table())


def _add(rows: Rows, number: int, cells: list[str]) -> str:
    """Takes a row; returns its label."""
    label = cells[0].strip()
    if not label:
        rows.refuse(number, "has no label; write one in the first column")
    else:
        rows.add(number, cells[1:])
    return label


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
