"""Scouts: small models fitted on samples of a training set, to see what any model would look at.

They stand in for the model that is judged: fitting it again for every question would cost as much
as the whole study, and how far apart small models are says much the same. All of a training set's
scouts share one sample, whose features are put into bins once; each learns from two thirds of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offmap.domain.anchor import BINNING, Anchor

Array = NDArray[np.float64]
Rows = NDArray[np.int64]
Features = NDArray[np.floating]

N_SCOUTS, _ROWS, _TREES, _LEAVES = 3, 6000, 40, 31
_SHARE = 2 / 3
_SETTINGS = BINNING | {
    "objective": "regression", "num_leaves": _LEAVES, "learning_rate": 0.15,
    "deterministic": True, "force_row_wise": True,
}  # fmt: skip
# Share of the features that each tree may look at: of all, or of those that an anchor chose.
_TRIED, _TRIED_CHOSEN = 0.2, 0.4


@dataclass(frozen=True, eq=False)
class Binned:
    """Training rows whose features LightGBM has put into bins.

    Parameters
    ----------
    data
        The LightGBM data set; its labels are no labels.
    columns
        The features in it, shape (n_columns,).
    places
        Row of ``data`` for each training row, -1 where there is none, shape (n,).
    """

    data: Any
    columns: Rows
    places: Rows

    @classmethod
    def of(cls, X: Features, rows: Rows, anchor: Anchor | None = None) -> Binned:
        """Put some training rows into bins of their own, or into those of an anchor."""
        import lightgbm

        columns = np.arange(X.shape[1]) if anchor is None else anchor.top
        reference = None if anchor is None else anchor.binned
        data = lightgbm.Dataset(
            X[np.ix_(rows, columns)], np.zeros(len(rows)), reference=reference, params=dict(BINNING)
        ).construct()
        places = np.full(len(X), -1)
        places[rows] = np.arange(len(rows))
        return cls(data, columns, places)

    def subset(self, rows: Rows, label: Array) -> Any:
        """A LightGBM data set of some training rows, ascending, with these labels."""
        return self.data.subset(self.places[rows].tolist()).construct().set_label(label)


class Scouts:
    """Small boosted trees on parts of one random sample of the training rows.

    Parameters
    ----------
    X, y
        Training rows, shapes (n, p) and (n,).
    seed
        Seed of the sample and of its parts.
    n_scouts
        How many; each sees two thirds of a sample of at most 6,000 rows.
    anchor
        Says which features to look at, and in which bins.
    binned
        The training rows in those bins, where they are known.
    """

    def __init__(
        self,
        X: Features,
        y: Array,
        seed: int = 0,
        n_scouts: int = N_SCOUTS,
        anchor: Anchor | None = None,
        binned: Binned | None = None,
    ) -> None:
        self.X, self.y, self.seed = X, np.asarray(y, dtype=np.float64), seed
        rng = np.random.default_rng(seed)
        self.sample: Rows = np.sort(rng.choice(len(X), min(_ROWS, len(X)), replace=False))
        self.binned = binned or Binned.of(X, self.sample, anchor)
        size = max(round(_SHARE * len(self.sample)), 2)
        parts = [
            np.sort(rng.choice(len(self.sample), size, replace=False)) for _ in range(n_scouts)
        ]
        self.parts = [self.sample[part] for part in parts]
        self.trees = [self.fit(part, self.y[part]) for part in self.parts]
        self._known: tuple[Features, tuple[Array, Array]] | None = None

    def fit(self, rows: Rows, label: Array) -> Trees:
        """Trees on some rows of the sample, ascending, for labels of shape (n_rows,)."""
        import lightgbm

        chosen = len(self.binned.columns) < self.X.shape[1]
        share = _TRIED_CHOSEN if chosen else _TRIED
        settings = _SETTINGS | {"seed": self.seed, "feature_fraction": share}
        data = self.binned.subset(rows, label)
        return Trees(lightgbm.train(settings, data, _TREES), self.binned.columns)

    @cached_property
    def importance(self) -> Array:
        """Total gain of each feature, summing to one, shape (p,)."""
        total = np.zeros(self.X.shape[1])
        for trees in self.trees:
            total[self.binned.columns] += trees.booster.feature_importance("gain")
        return normalised(total)

    def predict(self, X: Features) -> Array:
        """Predictions of each scout, shape (n, n_scouts)."""
        return self._look(X)[0]

    def occupancy(self, X: Features) -> Array:
        """Mean logarithm of how many training rows share a leaf with each row, shape (n,).

        A leaf with few rows is a corner of feature space that the model knows little about.
        """
        return self._look(X)[1]

    def _look(self, X: Features) -> tuple[Array, Array]:
        """Predictions and occupancy; the last answer is kept."""
        if self._known is None or self._known[0] is not X:
            found = [trees.look(X) for trees in self.trees]
            predicted = np.stack([values for values, _ in found], axis=1)
            occupancy: Array = np.mean([counts for _, counts in found], axis=0)
            self._known = (X, (predicted, occupancy))
        return self._known[1]

    def errors(self, rows: Rows) -> Array:
        """Absolute error on training rows of the scouts that did not see them, shape (n_rows,).

        NaN where all of them did.
        """
        X = self.X[rows]
        predicted = np.stack([trees.look(X)[0] for trees in self.trees], axis=1)
        for scout, part in enumerate(self.parts):
            predicted[np.isin(rows, part), scout] = np.nan
        unseen = np.isfinite(predicted)
        count = unseen.sum(axis=1)
        total = np.where(unseen, predicted, 0.0).sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            error: Array = np.abs(total / count - self.y[rows])
        return error

    @cached_property
    def _sampled_errors(self) -> Array:
        return self.errors(self.sample)

    @property
    def usual_error(self) -> float:
        """Median error on the sample."""
        return float(np.nanmedian(self._sampled_errors))

    @cached_property
    def difficulty(self) -> Trees:
        """Trees for the logarithm of the scouts' errors on the rows they have not seen."""
        known = np.isfinite(self._sampled_errors)
        floor = 0.1 * self.usual_error + np.finfo(float).tiny
        return self.fit(self.sample[known], np.log(self._sampled_errors[known] + floor))


class Trees:
    """Boosted trees with what their leaves hold.

    Parameters
    ----------
    booster
        Of LightGBM.
    columns
        The features it was given, shape (n_columns,).
    """

    def __init__(self, booster: Any, columns: Rows) -> None:
        self.booster, self.columns = booster, columns
        text = booster.model_to_string()
        self.value = _of_leaves(text, "leaf_value=")
        self.log_count = np.log(np.maximum(_of_leaves(text, "leaf_count="), 1))

    def look(self, X: Features) -> tuple[Array, Array]:
        """Prediction, and mean logarithm of the rows in the leaves, of each row; shapes (n,)."""
        leaves = np.asarray(
            self.booster.predict(
                np.ascontiguousarray(X[:, self.columns]), pred_leaf=True, num_threads=1
            )
        ).reshape(len(X), -1)
        tree = np.arange(leaves.shape[1])
        predicted: Array = self.value[tree, leaves].sum(axis=1)
        occupancy: Array = self.log_count[tree, leaves].mean(axis=1)
        return predicted, occupancy


def normalised(importance: Any) -> Array:
    """Not negative and summing to one; equal where nothing is important."""
    values = np.maximum(np.nan_to_num(np.asarray(importance, dtype=np.float64)), 0.0)
    total = values.sum()
    return values / total if total > 0 else np.full(len(values), 1 / len(values))


def _of_leaves(model: str, key: str) -> Array:
    """What LightGBM's text says of the leaves of each tree, shape (n_trees, n_leaves)."""
    lines = [line.removeprefix(key) for line in model.splitlines() if line.startswith(key)]
    found = np.zeros((len(lines), _LEAVES))
    for tree, line in enumerate(lines):
        values = np.array(line.split(), dtype=np.float64)
        found[tree, : len(values)] = values
    return found
