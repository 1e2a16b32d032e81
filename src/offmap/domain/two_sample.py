"""Can a classifier tell test from train? An area of 0.5 says the two are drawn alike."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.floating]

# Rows of either side, and folds of the cross-fit.
_ROWS, _FOLDS = 600, 2


def two_sample_auc(
    train: Features,
    test: Features,
    seed: int = 0,
    threads: int = 1,
    columns: NDArray[np.integer] | None = None,
) -> float:
    """Area under the ROC curve of boosted trees that tell test from train, cross-fitted.

    It says that the two differ, not that it matters: leaving one element out always gives 1,
    because the features name the element. It is therefore reported and takes no part in verdicts.

    Parameters
    ----------
    train, test
        Features, shapes (n_train, p) and (n_test, p); at most 600 rows of each are used.
    columns
        Features to look at; by default all.

    Returns
    -------
    float
        0.5 to 1, or NaN if a side has fewer than 10 rows.

    References
    ----------
    Lopez-Paz & Oquab, "Revisiting classifier two-sample tests", ICLR 2017, arXiv 1610.06545.
    """
    import lightgbm
    from scipy.stats import rankdata

    rng = np.random.default_rng(seed)
    n = min(len(train), len(test), _ROWS)
    if n < 10:
        return float("nan")
    sides = [side[np.sort(rng.choice(len(side), n, replace=False))] for side in (train, test)]
    X, is_test = np.concatenate(sides), np.repeat([0, 1], n)
    X = X if columns is None else np.ascontiguousarray(X[:, columns])
    fold = rng.permutation(2 * n) % _FOLDS
    settings = {
        "objective": "binary", "num_leaves": 15, "learning_rate": 0.2, "max_bin": 31,
        "feature_fraction": 0.3, "min_data_in_leaf": 5, "num_threads": threads, "seed": seed,
        "deterministic": True, "force_row_wise": True, "verbosity": -1,
    }  # fmt: skip
    score = np.zeros(2 * n)
    for f in range(_FOLDS):
        data = lightgbm.Dataset(X[fold != f], is_test[fold != f])
        booster = lightgbm.train(settings, data, 20)
        # LightGBM's number of threads is one for the whole process: a call that leaves it out
        # changes it under trees that another task is growing, which then read past their arrays.
        score[fold == f] = rankdata(booster.predict(X[fold == f], num_threads=threads))
        score[fold == f] /= (fold == f).sum()
    return max(area(score, is_test == 1), 0.5)


def area(score: NDArray[np.floating], positive: NDArray[np.bool_]) -> float:
    """Area under the ROC curve (probability that a positive scores higher); NaN if undefined."""
    from scipy.stats import rankdata

    n_positive = int(positive.sum())
    n_negative = len(positive) - n_positive
    if not n_positive or not n_negative:
        return float("nan")
    ranks = rankdata(score)[positive].sum()
    return float((ranks - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative))
