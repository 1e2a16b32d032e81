"""A matched control: in-distribution materials with the number, labels and make-up of a test set.

A small R2 can mean a bad model or a narrow test set. The control has the same number of materials,
the same spread of labels and the same mix of chemistry, and differs only in that materials like it
were in the training set; what remains of the gap is extrapolation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from offmap.attributes import Attributes
from offmap.columns import CHEMICAL_SYSTEM, N_ELEMENTS
from offmap.elements import FAMILIES, GROUP
from offmap.errors import DataError
from offmap.inputs import Inputs
from offmap.scores import Resamples, percentile_interval, scores

if TYPE_CHECKING:
    from offmap.domain.judge import Judged, Predictions

Array = NDArray[np.float64]

# How much a label counts against make-up when pairing (both in standard deviations).
_LABEL_WEIGHT = 2.0
# Pairs per task, at most, and controls to choose from, at least.
_MOST, _FEWEST = 2000, 50


def match(
    y: Array, make_up: NDArray[np.floating], test: NDArray[np.int64], pool: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Pair each test material with a different one of the pool that resembles it.

    Parameters
    ----------
    y
        Labels of all materials, shape (n,).
    make_up
        What else should agree, such as the number of elements and chemistry, shape (n, q); scaled
        by the spread within the pool.
    test, pool
        Rows; the pool holds materials of the training side with in-distribution predictions.

    Returns
    -------
    ndarray
        Rows of the pool, one per test material, shape (n_test,). If the pool is smaller than the
        test set, rows repeat as rarely as possible.

    Raises
    ------
    DataError
        If the pool is empty.
    """
    from sklearn.neighbors import NearestNeighbors

    if not len(pool):
        raise DataError("no material outside the test set has an in-distribution prediction")
    what = np.column_stack([y * _LABEL_WEIGHT, make_up])
    scale = what[pool].std(axis=0)
    scale[0] = max(scale[0] / _LABEL_WEIGHT, np.finfo(float).tiny)
    what = what / np.where(scale > 0, scale, 1.0)
    k = min(len(pool), 30)
    index = (
        NearestNeighbors(n_neighbors=k)
        .fit(what[pool])
        .kneighbors(what[test], return_distance=False)
    )
    used = np.zeros(len(pool), dtype=np.int64)
    chosen = np.empty(len(test), dtype=np.int64)
    for i, candidates in enumerate(index):
        best = candidates[np.argmin(used[candidates])]
        used[best] += 1
        chosen[i] = pool[best]
    return chosen


def make_up(attributes: Attributes) -> NDArray[np.float32]:
    """Number of elements, and which families of elements a material contains; shape (n, 9).

    A family stands in for a left-out element: chlorides are the controls of fluorides.
    """
    groups = np.asarray(GROUP)
    families = [np.isin(groups, members) for members in FAMILIES]
    has = attributes.has_element.astype(np.float32) @ np.stack(families, axis=1).astype(np.float32)
    n_elements = attributes.frame[N_ELEMENTS].to_numpy(np.float32)
    return np.column_stack([n_elements, (has > 0).astype(np.float32)])


def control_rows(
    inputs: Inputs, judged: Sequence[Judged], predictions: Predictions
) -> dict[int, dict[str, float]]:
    """The matched control of each task whose errors are known.

    Returns
    -------
    dict
        Task number -> ``mae_matched``, ``r2_matched``, ``std_matched`` of the control, ``r2`` and
        ``std`` of the task, and ``matched_gap`` of the mean absolute error with its interval.
    """
    y, study = inputs.y, inputs.study
    what = make_up(inputs.attributes)
    systems = inputs.attributes.frame[CHEMICAL_SYSTEM].to_numpy(dtype=object)
    known = np.isfinite(predictions.in_distribution)
    found = {}
    for one in judged:
        task = one.scores.task
        pool = np.setdiff1d(np.flatnonzero(known), one.scores.test)
        if one.error is None or len(pool) < _FEWEST:
            continue
        rng = np.random.default_rng(study.seed)
        some = rng.permutation(len(one.scores.test))[:_MOST]
        test = one.scores.test[some]
        control = match(y, what, test, pool)
        y_pred = predictions.y_pred[task][some]
        resamples = Resamples.draw(systems[test], study.n_bootstrap, study.seed)
        mine = scores(y[test], y_pred)
        theirs = scores(y[control], predictions.in_distribution[control])
        gap = np.abs(y_pred - y[test]) - np.abs(predictions.in_distribution[control] - y[control])
        sums = resamples.sums(np.column_stack([np.ones_like(gap), gap]))
        drawn = sums[:, 1] / np.maximum(sums[:, 0], 1)
        low, high = percentile_interval(drawn, study.confidence, resamples.weights.shape[1])
        found[task] = {
            "r2": mine["r2"],
            "std": mine["std"],
            "mae_matched": theirs["mae"],
            "r2_matched": theirs["r2"],
            "std_matched": theirs["std"],
            "matched_gap": float(gap.mean()),
            "matched_gap_low": low,
            "matched_gap_high": high,
        }
    return found
