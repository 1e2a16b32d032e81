"""An anchor: materials outside the study, in whose terms all of its tasks are measured.

Whitening and weights that are fitted on each training set differ from task to task, and with them
every distance. Fitted once on materials that no task tests, they are the same for all tasks: one
index of neighbours serves several hundred, and nothing is fitted on a test row. The anchor is the
embedded dataset of prototypes, in the representation of the study.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offmap.datasets import prototypes
from offmap.domain import spaces
from offmap.domain.moments import Moments
from offmap.errors import OffmapError
from offmap.inputs import Inputs
from offmap.representations.featurize import featurize

Array = NDArray[np.float64]

FEWEST_MATERIALS = 5000
"""Materials from which a study is measured in terms of the anchor."""
N_COMPONENTS = 24
"""Dimensions of the whitened space: enough for 80-90 % of the variance of the 273 descriptors."""
N_FEATURES = 32
"""Features in the weighted space."""
N_COLUMNS = 64
"""Features that small models look at, where the anchor says which matter."""

BINNING = {
    "max_bin": 31, "min_data_in_leaf": 3, "feature_pre_filter": False, "num_threads": 1,
    "verbosity": -1,
}  # fmt: skip
"""How LightGBM puts features into bins."""

_TREES = 150


@dataclass(frozen=True, eq=False)
class Anchor:
    """Materials that are in no task, and what is fitted on them.

    Parameters
    ----------
    X
        Features, shape (m, p).
    y
        Labels of the kind that the study predicts, shape (m,); None if there are none.
    """

    X: NDArray[np.float32]
    y: Array | None = None

    def columns(self, chosen: NDArray[np.int64]) -> Anchor:
        """The same materials with some of the features."""
        return Anchor(np.ascontiguousarray(self.X[:, chosen]), self.y)

    @cached_property
    def moments(self) -> Moments:
        """Count, mean and covariance of the features."""
        return Moments.of(self.X)

    @cached_property
    def gain(self) -> Array:
        """Total gain of each feature in boosted trees for the labels, shape (p,)."""
        import lightgbm

        settings = {
            "num_leaves": 31, "learning_rate": 0.1, "max_bin": 63, "feature_fraction": 0.2,
            "bagging_fraction": 0.7, "bagging_freq": 1, "num_threads": 1, "seed": 0,
            "deterministic": True, "force_row_wise": True, "verbosity": -1,
        }  # fmt: skip
        data = lightgbm.Dataset(self.X, self.y)
        found = lightgbm.train(settings, data, _TREES).feature_importance("gain")
        return np.asarray(found, dtype=np.float64)

    @cached_property
    def spaces(self) -> dict[str, spaces.Space]:
        """``whitened`` and, with labels, ``weighted``."""
        found = {"whitened": spaces.whitened(self.moments, N_COMPONENTS)}
        if self.y is not None:
            found["weighted"] = spaces.weighted(self.moments, self.gain, N_FEATURES)
        return found

    def bandwidth(self, name: str) -> float:
        """Half of Scott's rule for as many rows as the anchor has, of unit variance."""
        d = self.spaces[name].axes.shape[1]
        return 0.5 * float(len(self.X) ** (-1 / (d + 4)))

    @cached_property
    def top(self) -> NDArray[np.int64]:
        """The features that matter most, shape (n_columns,); all without labels."""
        p = self.X.shape[1]
        if self.y is None:
            return np.arange(p)
        return np.sort(np.argsort(-self.gain, kind="stable")[:N_COLUMNS])

    @cached_property
    def binned(self) -> Any:
        """The bins of those features, for LightGBM to put other rows into."""
        import lightgbm

        X = self.X[:, self.top]
        return lightgbm.Dataset(X, np.zeros(len(X)), params=dict(BINNING)).construct()


def anchor_of(inputs: Inputs, representation: str) -> Anchor | None:
    """The anchor of a study.

    None for a study of the embedded prototypes themselves, and for one that is small enough for
    spaces of its own in each task.
    """
    if len(inputs) < FEWEST_MATERIALS or inputs.dataset.card.name == prototypes.NAME:
        return None
    return prototypes_as(representation, inputs.features[representation].columns, inputs.target)


def prototypes_as(representation: str, columns: tuple[str, ...], target: str) -> Anchor | None:
    """The embedded prototypes in a representation; None where they cannot be described so.

    Parameters
    ----------
    representation, columns
        Its name, and the features that are expected of it.
    target
        What is predicted; the prototypes may or may not have labels of that name.
    """
    dataset = prototypes.load()
    try:
        features = featurize(dataset.crystals, representation)
    except (OffmapError, ImportError):
        return None
    if features.columns != columns:
        return None
    usable = np.isfinite(features.values).all(axis=1)
    y = None
    if target in dataset.frame:
        y = dataset.frame[target].to_numpy(np.float64)
        usable &= np.isfinite(y)
        y = y[usable]
    return Anchor(features.values[usable].astype(np.float32), y)
