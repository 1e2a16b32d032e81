"""Scouts: small models fitted on samples of a training set, to see what any model would look at.

They stand in for the model that is judged: fitting it again for every question would cost as much
as the whole study, and how far apart small models are says much the same. All of a training set's
scouts share one sample, whose features are put into bins once; each learns from two thirds of it.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Rows = NDArray[np.int64]
Features = NDArray[np.floating]

N_SCOUTS, _ROWS, _TREES, _LEAVES, _BINS = 3, 6000, 40, 31, 31
_SHARE = 2 / 3
_SETTINGS = {
    "objective": "regression", "num_leaves": _LEAVES, "learning_rate": 0.15, "max_bin": _BINS,
    "feature_fraction": 0.2, "min_data_in_leaf": 3, "num_threads": 1,
    "deterministic": True, "force_row_wise": True, "verbosity": -1,
}  # fmt: skip


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
    """

    def __init__(self, X: Features, y: Array, seed: int = 0, n_scouts: int = N_SCOUTS) -> None:
        import lightgbm

        self.X, self.y, self.seed = X, y, seed
        rng = np.random.default_rng(seed)
        self.sample: Rows = np.sort(rng.choice(len(X), min(_ROWS, len(X)), replace=False))
        settings = _SETTINGS | {"seed": seed}
        self._binned: Any = lightgbm.Dataset(
            X[self.sample], np.asarray(y)[self.sample], params=settings, free_raw_data=False
        ).construct()
        size = max(round(_SHARE * len(self.sample)), 2)
        self.parts = [
            np.sort(rng.choice(len(self.sample), size, replace=False)) for _ in range(n_scouts)
        ]
        self.boosters = [self._fit(part) for part in self.parts]

    def _fit(self, part: Rows, label: Array | None = None) -> Any:
        """Trees on some rows of the sample, for ``y`` or another label of those rows."""
        import lightgbm

        data = self._binned.subset(part).construct()
        if label is not None:
            data.set_label(label)
        return lightgbm.train(_SETTINGS | {"seed": self.seed}, data, _TREES)

    @cached_property
    def importance(self) -> Array:
        """Total gain of each feature, summing to one, shape (p,)."""
        return normalised(sum(b.feature_importance("gain") for b in self.boosters))

    def predict(self, X: Features) -> Array:
        """Predictions of each scout, shape (n, n_scouts)."""
        return np.stack([b.predict(X, num_threads=1) for b in self.boosters], axis=1)

    def errors(self, rows: Rows) -> Array:
        """Absolute error on training rows of the scouts that did not see them, shape (n_rows,).

        NaN where all of them did.
        """
        predicted = self.predict(self.X[rows])
        for scout, part in enumerate(self.parts):
            predicted[np.isin(rows, self.sample[part]), scout] = np.nan
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
    def difficulty(self) -> Any:
        """A booster for the logarithm of the scouts' errors on the rows they have not seen."""
        part = np.flatnonzero(np.isfinite(self._sampled_errors))
        floor = 0.1 * self.usual_error + np.finfo(float).tiny
        return self._fit(part, np.log(self._sampled_errors[part] + floor))

    def occupancy(self, X: Features) -> Array:
        """Mean logarithm of how many training rows share a leaf with each row, shape (n,).

        A leaf with few rows is a corner of feature space that the model knows little about.
        """
        total = np.zeros(len(X))
        for booster in self.boosters:
            leaves = np.asarray(booster.predict(X, pred_leaf=True, num_threads=1))
            for tree, counts in enumerate(_leaf_counts(booster)):
                total += np.log(counts[leaves[:, tree]])
        mean: Array = total / sum(b.num_trees() for b in self.boosters)
        return mean


def normalised(importance: Any) -> Array:
    """Not negative and summing to one; equal where nothing is important."""
    values = np.maximum(np.nan_to_num(np.asarray(importance, dtype=np.float64)), 0.0)
    total = values.sum()
    return values / total if total > 0 else np.full(len(values), 1 / len(values))


def _leaf_counts(booster: Any) -> list[Array]:
    """Training rows in each leaf of each tree."""
    counts = []
    for tree in booster.dump_model()["tree_info"]:
        found = np.ones(max(tree["num_leaves"], 1))
        waiting = [tree["tree_structure"]]
        while waiting:
            node = waiting.pop()
            if "split_index" in node:
                waiting += [node["left_child"], node["right_child"]]
            elif "leaf_index" in node:
                found[node["leaf_index"]] = max(node.get("leaf_count", 1), 1)
        counts.append(found)
    return counts
