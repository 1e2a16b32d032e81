"""Predictions to scores: one row per cell, each score with a bootstrap interval.

Resampling is by chemical system, because materials of one system (Li-Fe-O, say) are no independent
draws: intervals that resample single materials are too narrow. Everything is a sum over materials,
so a resample is a weighted sum over chemical systems and all resamples are one matrix product.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit

from offmap.columns import (
    CELL_KEYS,
    CRITERION,
    HELD_OUT,
    IN_DISTRIBUTION,
    MATERIAL_ID,
    METRICS,
    N_TEST,
    N_TRAIN,
    Y_PRED,
    Y_TRUE,
)

Array = NDArray[np.float64]

POOLED = "all"
"""``held_out`` of the in-distribution row over all folds together."""

_LOW_HIGH = ("low", "high")

# Reference points against which every material's share of Kendall's tau is estimated.
_KENDALL_REFERENCES = 500


@dataclass(frozen=True, eq=False)
class Resamples:
    """How often each chemical system is drawn in each bootstrap resample.

    Parameters
    ----------
    system
        Chemical system of each material, as an integer code, shape (n,).
    weights
        Draws of each system, shape (n_bootstrap, n_systems).
    """

    system: NDArray[np.int64]
    weights: Array

    @classmethod
    def draw(cls, systems: NDArray[Any], n_bootstrap: int, seed: int) -> Resamples:
        """Draw systems with replacement, ``n_bootstrap`` times, whatever the order of the rows.

        With a single system there is nothing to draw from, and no resample is made.
        """
        codes, distinct = pd.factorize(systems, sort=True)
        n = len(distinct)
        shape = (n_bootstrap if n > 1 else 0, n)
        drawn = np.random.default_rng(seed).integers(max(n, 1), size=shape)
        flat = (drawn + n * np.arange(shape[0])[:, None]).ravel()
        weights = np.bincount(flat, minlength=shape[0] * n).reshape(shape)
        return cls(codes, weights.astype(np.float64))

    def sums(self, values: Array) -> Array:
        """Sums over each resample of columns of per-material values: (n_bootstrap, n_columns)."""
        n = self.weights.shape[1]
        columns = [np.bincount(self.system, weights=v, minlength=n) for v in values.T]
        per_system = np.stack(columns, axis=1)
        sums: Array = self.weights @ per_system
        return sums


def scores(y_true: Array, y_pred: Array) -> dict[str, float]:
    """The scores of one test set.

    Parameters
    ----------
    y_true, y_pred
        Labels and predictions, shape (n,).

    Returns
    -------
    dict
        ``n_test``, ``mad``, ``std``, ``mae``, ``rmse``, ``r2``, ``pearson``, ``spearman``,
        ``kendall`` (tau-b), ``bias`` (mean of predicted minus true) and ``mae_over_mad``. NaN where
        a score is undefined (fewer than two materials, constant labels or predictions).
    """
    from scipy.stats import kendalltau

    ones = np.ones((1, len(y_true)))
    values = _moment_scores(ones @ _moments(y_true, y_pred), len(y_true))
    found = {name: float(value[0]) for name, value in values.items()}
    error = y_pred - y_true
    ranks = _ranks(y_true), _ranks(y_pred)
    ranked = _moment_scores(ones @ _moments(*ranks), len(y_true))
    constant = len(y_true) < 2 or np.ptp(y_true) == 0 or np.ptp(y_pred) == 0
    return {
        "n_test": len(y_true),
        "mad": float(np.abs(y_true - y_true.mean()).mean()) if len(y_true) else np.nan,
        "std": float(y_true.std()) if len(y_true) else np.nan,
        "mae": float(np.abs(error).mean()) if len(y_true) else np.nan,
        "rmse": found["rmse"],
        "r2": found["r2"],
        "pearson": found["pearson"],
        "spearman": float(ranked["pearson"][0]),
        "kendall": np.nan if constant else float(kendalltau(y_true, y_pred).statistic),
        "bias": found["bias"],
        "mae_over_mad": found["mae_over_mad"],
    }


def intervals(
    y_true: Array, y_pred: Array, resamples: Resamples, confidence: float = 0.95
) -> dict[str, tuple[float, float]]:
    """Percentile bootstrap interval of each score.

    Spearman's correlation resamples the ranks of the full test set, and Kendall's tau its
    first-order (Hoeffding) projection, estimated against 500 materials evenly spaced in the order
    of their labels: exact resampling of either would sort every resample anew. NaN where all
    materials are of one chemical system.
    """
    n = len(y_true)
    values = _moment_scores(resamples.sums(_moments(y_true, y_pred)), n)
    ranked = _moments(_ranks(y_true), _ranks(y_pred))
    values["spearman"] = _moment_scores(resamples.sums(ranked), n)["pearson"]
    values["kendall"] = _kendall_resampled(y_true, y_pred, resamples)
    n_systems = resamples.weights.shape[1]
    return {name: percentile_interval(values[name], confidence, n_systems) for name in METRICS}


def percentile_interval(
    values: Array, confidence: float, n_systems: int = 0
) -> tuple[float, float]:
    """The middle ``confidence`` of resampled values; NaN if there are none.

    With the number of systems that were resampled, the interval is widened for there being few of
    them (expanded percentile interval: T. C. Hesterberg, Am. Stat. 69, 371, 2015).
    """
    finite = values[np.isfinite(values)]
    if not len(finite):
        return np.nan, np.nan
    tail = (1 - confidence) / 2
    if n_systems > 1:
        tail = float(ndtr(np.sqrt(n_systems / (n_systems - 1)) * stdtrit(n_systems - 1, tail)))
    low, high = np.quantile(finite, [tail, 1 - tail])
    return float(low), float(high)


def score_predictions(
    predictions: pd.DataFrame,
    systems: Mapping[str, str],
    n_bootstrap: int = 200,
    confidence: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Score every cell, and compare each task with the random folds over the same materials.

    Parameters
    ----------
    predictions
        Keys of the cells, ``material_id``, ``y_true``, ``y_pred``.
    systems
        Chemical system of each material id.
    n_bootstrap, confidence, seed
        Resamples behind each interval, its nominal coverage, and the seed of the draws.

    Returns
    -------
    DataFrame
        The table ``scores``. For each task also ``mae_in_distribution``, ``r2_in_distribution``
        and ``bias_in_distribution`` over the ``n_in_distribution`` test materials that the random
        folds predicted, ``mae_increase`` with a paired interval, and ``mae_ratio``.
    """
    codes, material_id = pd.factorize(predictions[MATERIAL_ID])
    known = np.array([systems.get(i, i) for i in material_id], dtype=object)
    system = pd.factorize(known, sort=True)[0][codes]
    y_true, y_pred = (predictions[c].to_numpy(np.float64) for c in (Y_TRUE, Y_PRED))
    rows = []
    for cells in _cells_by_model(predictions):
        y_reference = np.full(len(material_id), np.nan)
        folds = [cell for cell in cells if cell.keys[CRITERION] == IN_DISTRIBUTION]
        for cell in folds:
            y_reference[codes[cell.rows]] = y_pred[cell.rows]
        for cell in [*cells, *_pooled(folds)]:
            chosen = cell.rows
            drawn = Resamples.draw(system[chosen], n_bootstrap, seed)
            row = cell.keys | scores(y_true[chosen], y_pred[chosen])
            row |= _ends(intervals(y_true[chosen], y_pred[chosen], drawn, confidence))
            if folds and cell.keys[CRITERION] != IN_DISTRIBUTION:
                inside = y_reference[codes[chosen]]
                row |= _compare(y_true[chosen], y_pred[chosen], inside, drawn, confidence)
            rows.append(row)
    return pd.DataFrame(rows, columns=None if rows else [*CELL_KEYS, N_TEST])


class _Rows(NamedTuple):
    """A cell: its keys, and the rows of the predictions that are its own."""

    keys: dict[str, Any]
    rows: NDArray[np.int64]


def _cells_by_model(predictions: pd.DataFrame) -> list[list[_Rows]]:
    """Cells that differ in task alone, list by list, in the order in which they first appear."""
    number = predictions.groupby([*CELL_KEYS], observed=True, sort=False).ngroup().to_numpy()
    order = np.argsort(number, kind="stable")
    pieces = np.split(order, np.flatnonzero(np.diff(number[order])) + 1) if len(order) else []
    firsts = [int(rows[0]) for rows in pieces]
    columns = {key: predictions[key].iloc[firsts].tolist() for key in CELL_KEYS}
    found: dict[tuple[Any, ...], list[_Rows]] = {}
    for i, rows in enumerate(pieces):
        keys = {key: values[i] for key, values in columns.items()}
        same = tuple(v for k, v in keys.items() if k not in (CRITERION, HELD_OUT, N_TRAIN))
        found.setdefault(same, []).append(_Rows(keys, rows))
    return list(found.values())


def _pooled(folds: list[_Rows]) -> list[_Rows]:
    """The random folds as one cell; nothing if there are none."""
    if not folds:
        return []
    n_train = int(np.mean([fold.keys[N_TRAIN] for fold in folds]))
    keys = folds[0].keys | {HELD_OUT: POOLED, N_TRAIN: n_train}
    return [_Rows(keys, np.concatenate([fold.rows for fold in folds]))]


def _ends(found: dict[str, tuple[float, float]]) -> dict[str, float]:
    """Columns ``<name>_low`` and ``<name>_high``."""
    return {
        f"{k}_{end}": v for k, ends in found.items() for end, v in zip(_LOW_HIGH, ends, strict=True)
    }


def _compare(
    y_true: Array, y_pred: Array, y_reference: Array, resamples: Resamples, confidence: float
) -> dict[str, float]:
    """The task against the random folds, over the materials that both predicted."""
    both = np.isfinite(y_reference)
    if not both.any():
        return {"n_in_distribution": 0}
    ones = np.ones((1, both.sum()))
    inside = _moment_scores(ones @ _moments(y_true[both], y_reference[both]), int(both.sum()))
    error = np.where(both, np.abs(y_pred - y_true), 0.0)
    error_inside = np.where(both, np.abs(np.where(both, y_reference, 0.0) - y_true), 0.0)
    sums = resamples.sums(np.stack([both.astype(float), error, error_inside], axis=1))
    with np.errstate(divide="ignore", invalid="ignore"):
        increase = (sums[:, 1] - sums[:, 2]) / sums[:, 0]
        ratio = sums[:, 1] / sums[:, 2]
    n, total, total_inside = both.sum(), error.sum(), error_inside.sum()
    found = {
        "n_in_distribution": int(n),
        **{f"{k}_in_distribution": float(inside[k][0]) for k in ("mae", "r2", "bias")},
        "mae_increase": float((total - total_inside) / n),
        "mae_ratio": float(total / total_inside) if total_inside else np.nan,
    }
    n_systems = resamples.weights.shape[1]
    return found | _ends(
        {
            "mae_increase": percentile_interval(increase, confidence, n_systems),
            "mae_ratio": percentile_interval(ratio, confidence, n_systems),
        }
    )


def _moments(y_true: Array, y_pred: Array) -> Array:
    """Per-material terms of which all moment scores are sums, shape (n, 10).

    Labels and predictions are centred on the mean label first: sums of squares then lose no digits.
    """
    mean = y_true.mean() if len(y_true) else 0.0
    t, p = y_true - mean, y_pred - mean
    error = p - t
    return np.stack(
        [np.ones_like(t), np.abs(error), error**2, error, t, t**2, p, p**2, t * p, np.abs(t)],
        axis=1,
    )


def _moment_scores(sums: Array, n: int) -> dict[str, Array]:
    with np.errstate(divide="ignore", invalid="ignore"):
        means = sums[:, 1:] / sums[:, :1]
        mae, squared, error, t, tt, p, pp, tp, deviation = means.T
        var_t, var_p = tt - t**2, pp - p**2
        tiny = 1e-14 * np.maximum(tt, 1e-300)
        undefined = (var_t <= tiny) | (n < 2)
        r2 = np.where(undefined, np.nan, 1 - squared / var_t)
        flat = undefined | (var_p <= 1e-14 * np.maximum(pp, 1e-300))
        pearson = np.where(flat, np.nan, (tp - t * p) / np.sqrt(np.maximum(var_t * var_p, 0)))
        return {
            "mae": mae,
            "rmse": np.sqrt(squared),
            "r2": r2,
            "pearson": np.clip(pearson, -1, 1),
            "bias": error,
            "mae_over_mad": np.where(undefined, np.nan, mae / deviation),
        }


def _ranks(values: Array) -> Array:
    from scipy.stats import rankdata

    ranks: Array = rankdata(values)
    return ranks


def _kendall_resampled(y_true: Array, y_pred: Array, resamples: Resamples) -> Array:
    from scipy.stats import kendalltau

    n = len(y_true)
    if n < 2 or np.ptp(y_true) == 0 or np.ptp(y_pred) == 0:
        return np.full(len(resamples.weights), np.nan)
    order = np.lexsort((y_pred, y_true))
    chosen = order[np.linspace(0, n - 1, min(n, _KENDALL_REFERENCES)).round().astype(int)]
    share = np.zeros(n)
    for j in chosen:
        share += np.sign(y_true - y_true[j]) * np.sign(y_pred - y_pred[j])
    share /= len(chosen)
    sums = resamples.sums(np.stack([np.ones(n), share], axis=1))
    shift = sums[:, 1] / sums[:, 0] - share.mean()
    tau = float(kendalltau(y_true, y_pred).statistic)
    resampled: Array = np.clip(tau + 2 * shift, -1.0, 1.0)
    return resampled
