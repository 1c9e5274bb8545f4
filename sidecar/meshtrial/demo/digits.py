"""Two models of the same digits: v1 sees every third pixel, v2 all of them."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

SEED = 7
_TRAINING = 900
_PIXELS = {"v1": np.arange(0, 64, 3), "v2": np.arange(64)}
VERSIONS = tuple(_PIXELS)

Rows = npt.NDArray[np.float64]
"""Pixels, shape (rows, 64), 0..16."""
Labels = npt.NDArray[np.int64]
"""Digits, shape (rows,), 0..9."""


@dataclass(frozen=True, slots=True)
class Model:
    """A trained classifier."""

    version: str
    classifier: Pipeline

    def predict(self, row: list[float]) -> int:
        """The digit in one row of 64 pixels."""
        seen = np.asarray(row, dtype=np.float64)[_PIXELS[self.version]]
        return int(self.classifier.predict(seen.reshape(1, -1))[0])


def train(version: str) -> Model:
    """Train one model on the first half of the shuffled data set; the same every time."""
    rows, labels = _shuffled()
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    classifier.fit(rows[:_TRAINING][:, _PIXELS[version]], labels[:_TRAINING])
    return Model(version, classifier)


def held_out() -> tuple[Rows, Labels]:
    """The half that no model saw in training, with its truth."""
    rows, labels = _shuffled()
    return rows[_TRAINING:], labels[_TRAINING:]


def _shuffled() -> tuple[Rows, Labels]:
    rows, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(SEED).permutation(len(labels))
    return rows[order], labels[order]
