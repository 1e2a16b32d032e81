"""Predictions to scores: one row per cell, each score with a bootstrap interval.

Resampling is by chemical system, because materials of one system (Li-Fe-O, say) are no independent
draws: intervals that resample single materials are too narrow. Everything is a sum over materials,
so a resample is a weighted sum over chemical systems and all resamples are one matrix product.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from offmap.columns import (
    CELL_KEYS,
    CHEMICAL_SYSTEM,
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
    def draw(cls, systems: NDArray[np.object_], n_bootstrap: int, seed: int) -> Resamples:
        """Draw systems with replacement, ``n_bootstrap`` times, whatever the order of the rows."""
        codes, distinct = pd.factorize(systems, sort=True)
        rng = np.random.default_rng(seed)
        n = max(len(distinct), 1)
        return cls(codes, rng.multinomial(n, np.full(n, 1 / n), size=n_bootstrap).astype(float))

    def sums(self, values: Array) -> Array:
        """Sums over each resample of columns of per-material values: (n_bootstrap, n_columns)."""
        per_system = np.zeros((self.weights.shape[1], values.shape[1]))
        np.add.at(per_system, self.system, values)
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
    y_true: Array, y_pred: Array, resamples: Resamples, confidence: float = 0.95, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """Percentile bootstrap interval of each score.

    Spearman's correlation resamples the ranks of the full test set, and Kendall's tau its
    first-order (Hoeffding) projection, estimated against 500 random materials: exact resampling of
    either would sort every resample anew.
    """
    n = len(y_true)
    values = _moment_scores(resamples.sums(_moments(y_true, y_pred)), n)
    ranked = _moments(_ranks(y_true), _ranks(y_pred))
    values["spearman"] = _moment_scores(resamples.sums(ranked), n)["pearson"]
    values["kendall"] = _kendall_resampled(y_true, y_pred, resamples, seed)
    return {name: percentile_interval(values[name], confidence) for name in METRICS}


def percentile_interval(values: Array, confidence: float) -> tuple[float, float]:
    """The middle ``confidence`` of resampled values; NaN if there are none."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return np.nan, np.nan
    tail = (1 - confidence) / 2
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
    rows = []
    grid = [k for k in CELL_KEYS if k not in (CRITERION, HELD_OUT, N_TRAIN)]
    for _, part in predictions.groupby(grid, observed=True, sort=False):
        is_reference = (part[CRITERION] == IN_DISTRIBUTION).to_numpy()
        reference = part[is_reference].set_index(MATERIAL_ID)[Y_PRED]
        reference = reference[~reference.index.duplicated()]
        cells = [cell for _, cell in part.groupby([*CELL_KEYS], observed=True, sort=False)]
        if is_reference.any():
            pooled = part[is_reference]
            n_train = int(pooled[N_TRAIN].astype(float).mean())
            cells.append(pooled.assign(**{HELD_OUT: POOLED, N_TRAIN: n_train}))
        for cell in cells:
            systems_of = cell[MATERIAL_ID].map(systems).to_numpy(dtype=object)
            resamples = Resamples.draw(systems_of, n_bootstrap, seed)
            rows.append(_score_cell(cell, reference, resamples, confidence))
    return pd.DataFrame(rows, columns=None if rows else [*CELL_KEYS, N_TEST])


def _score_cell(
    cell: pd.DataFrame, reference: pd.Series, resamples: Resamples, confidence: float
) -> dict[str, object]:
    y_true, y_pred = cell[Y_TRUE].to_numpy(float), cell[Y_PRED].to_numpy(float)
    row: dict[str, object] = {key: cell[key].iat[0] for key in CELL_KEYS}
    row |= scores(y_true, y_pred)
    for name, (low, high) in intervals(y_true, y_pred, resamples, confidence).items():
        row |= {f"{name}_low": low, f"{name}_high": high}
    if row[CRITERION] != IN_DISTRIBUTION and len(reference):
        y_reference = cell[MATERIAL_ID].map(reference).to_numpy(float)
        row |= _compare(y_true, y_pred, y_reference, resamples, confidence)
    return row


def _compare(
    y_true: Array, y_pred: Array, y_reference: Array, resamples: Resamples, confidence: float
) -> dict[str, float]:
    """The task against the random folds, over the materials that both predicted."""
    both = np.isfinite(y_reference)
    if not both.any():
        return {"n_in_distribution": 0}
    inside = scores(y_true[both], y_reference[both])
    error = np.where(both, np.abs(y_pred - y_true), 0.0)
    error_inside = np.where(both, np.abs(np.where(both, y_reference, 0.0) - y_true), 0.0)
    sums = resamples.sums(np.stack([both.astype(float), error, error_inside], axis=1))
    with np.errstate(divide="ignore", invalid="ignore"):
        increase = (sums[:, 1] - sums[:, 2]) / sums[:, 0]
        ratio = sums[:, 1] / sums[:, 2]
    n, total, total_inside = both.sum(), error.sum(), error_inside.sum()
    found = {
        "n_in_distribution": int(n),
        "mae_in_distribution": inside["mae"],
        "r2_in_distribution": inside["r2"],
        "bias_in_distribution": inside["bias"],
        "mae_increase": float((total - total_inside) / n),
        "mae_ratio": float(total / total_inside) if total_inside else np.nan,
    }
    for name, values in (("mae_increase", increase), ("mae_ratio", ratio)):
        found[f"{name}_low"], found[f"{name}_high"] = percentile_interval(values, confidence)
    return found


def _moments(y_true: Array, y_pred: Array) -> Array:
    """Per-material terms of which all moment scores are sums, shape (n, 8).

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


def _kendall_resampled(y_true: Array, y_pred: Array, resamples: Resamples, seed: int) -> Array:
    from scipy.stats import kendalltau

    n = len(y_true)
    if n < 2 or np.ptp(y_true) == 0 or np.ptp(y_pred) == 0:
        return np.full(len(resamples.weights), np.nan)
    chosen = np.random.default_rng(seed).choice(n, min(n, _KENDALL_REFERENCES), replace=False)
    share = np.zeros(n)
    for j in chosen:
        share += np.sign(y_true - y_true[j]) * np.sign(y_pred - y_pred[j])
    share /= len(chosen)
    sums = resamples.sums(np.stack([np.ones(n), share], axis=1))
    shift = sums[:, 1] / sums[:, 0] - share.mean()
    return np.clip(float(kendalltau(y_true, y_pred).statistic) + 2 * shift, -1.0, 1.0)
