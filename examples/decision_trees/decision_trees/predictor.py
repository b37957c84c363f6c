"""A trained tree: what training leaves in /opt/ml/model, and what serving asks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import joblib

from .errors import Refused

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

FILE = "model.joblib"
_UNFINISHED = f".{FILE}"


@dataclass(frozen=True)
class Predictor:
    """A DecisionTreeClassifier that was trained on labels, so that it answers with them.

    Attributes:
        tree: its ``classes_`` are the labels.
        features: the names of the columns that it takes, in this order.
    """

    tree: Any
    features: tuple[str, ...]

    @classmethod
    def load(cls, folder: Path) -> Predictor:
        """Loads what `save` wrote. Loading runs what the file says: load only what you have trained.

        Raises:
            Refused: there is no model.
        """
        file = folder / FILE
        if not file.is_file():
            there = ", ".join(sorted(path.name for path in folder.glob("*"))) or "nothing"
            raise Refused(f"{file}: is not there, but {there}; serve what `train` left in {folder}")
        saved = joblib.load(file)
        return cls(saved["tree"], tuple(saved["features"]))

    def save(self, folder: Path) -> None:
        """Writes the model; it is there wholly or not at all."""
        folder.mkdir(parents=True, exist_ok=True)
        joblib.dump({"tree": self.tree, "features": list(self.features)}, folder / _UNFINISHED)
        (folder / _UNFINISHED).replace(folder / FILE)

    @staticmethod
    def clear_unfinished(folder: Path) -> None:
        """Removes what an interrupted `save` has left."""
        (folder / _UNFINISHED).unlink(missing_ok=True)

    def predict(self, rows: NDArray[np.float32]) -> list[str]:
        """The class of each row; rows × features."""
        return [str(label) for label in self.tree.predict(rows)]
