"""Scouts: small models fitted on samples of a training set, to see what any model would look at.

They stand in for the model that is judged: fitting it again for every question would cost as much
as the whole study, and how far apart small models are says much the same.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Features = NDArray[np.floating]

N_SCOUTS, _ROWS, _TREES, _LEAVES = 3, 4000, 60, 31


class Scouts:
    """Small boosted trees on random samples of the training rows.

    Parameters
    ----------
    X, y
        Training rows, shapes (n, p) and (n,).
    seed
        Seed of the samples.
    n_scouts
        How many; each sees at most 4,000 rows, and at most two thirds of them.
    """

    def __init__(self, X: Features, y: Array, seed: int = 0, n_scouts: int = N_SCOUTS) -> None:
        self.X, self.y = X, y
        rng = np.random.default_rng(seed)
        size = min(_ROWS, max(2 * len(X) // 3, 2))
        self.samples = [np.sort(rng.choice(len(X), size, replace=False)) for _ in range(n_scouts)]
        self.boosters = [fit_trees(X[rows], y[rows], seed) for rows in self.samples]

    @cached_property
    def importance(self) -> Array:
        """Total gain of each feature, summing to one, shape (p,)."""
        return normalised(sum(b.feature_importance("gain") for b in self.boosters))

    def predict(self, X: Features) -> Array:
        """Predictions of each scout, shape (n, n_scouts)."""
        return np.stack([b.predict(X, num_threads=1) for b in self.boosters], axis=1)

    @cached_property
    def surprise(self) -> Array:
        """Absolute error on each training row of the scouts that did not see it, shape (n,).

        NaN where all of them did.
        """
        predicted = self.predict(self.X)
        for scout, rows in enumerate(self.samples):
            predicted[rows, scout] = np.nan
        unseen = np.isfinite(predicted)
        count = unseen.sum(axis=1)
        total = np.where(unseen, predicted, 0.0).sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            surprise: Array = np.abs(total / count - self.y)
        return surprise

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


def fit_trees(X: Features, y: Array, seed: int) -> Any:
    """A LightGBM booster of 60 small trees, fast and reproducible."""
    import lightgbm

    settings = {
        "objective": "regression", "num_leaves": _LEAVES, "learning_rate": 0.1, "max_bin": 63,
        "feature_fraction": 0.3, "min_data_in_leaf": 3, "num_threads": 1, "seed": seed,
        "deterministic": True, "force_row_wise": True, "verbosity": -1,
    }  # fmt: skip
    return lightgbm.train(settings, lightgbm.Dataset(X, y), _TREES)


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
