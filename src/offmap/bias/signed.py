"""Signed error: how far off on average, along which line, and of what kind the error is."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from offmap.columns import CELL_KEYS, CRITERION, IN_DISTRIBUTION, MATERIAL_ID, Y_PRED, Y_TRUE
from offmap.scores import Resamples, percentile_interval

Array = NDArray[np.float64]

CORRELATED = 0.9
"""Pearson correlation from which predictions count as well correlated."""

SHIFT_SHARE = 0.5
"""Share of the MAE that the bias must make up for an error to be called a shift."""

TILT_SHARE = 0.5
"""Share of the mean squared error that a wrong slope must make up to be called a tilt."""

SHIFTED, BIASED, TILTED, SCATTERED, IN_LINE = "shifted", "biased", "tilted", "scattered", "in line"

CLASSES = {
    SHIFTED: "well correlated but shifted: an offset would mend most of it",
    BIASED: "shifted, and weakly correlated besides",
    TILTED: "well correlated, but along a line of another slope",
    SCATTERED: "neither shifted nor well correlated",
    IN_LINE: "well correlated, without a shift that matters",
}
"""Kinds of error, and what each means."""

_INTERVALS = ("bias", "pearson", "slope", "offset")


def signed_error(
    y_true: Array, y_pred: Array, resamples: Resamples, confidence: float = 0.95
) -> dict[str, float | str]:
    r"""The signed error of one test set.

    The line is the best one through the parity plot, ``y_pred = offset + slope * y_true``.
    The mean squared error falls into three shares that add up to one (H. Theil, Applied Economic
    Forecasting, 1966): shift, tilt and scatter,

    .. math:: \mathrm{MSE} = \bar e^2 + (s_p - r s_t)^2 + (1 - r^2) s_t^2

    with the error :math:`e` = predicted minus true, the standard deviations :math:`s_p, s_t` of
    predictions and labels, and their correlation :math:`r`.

    Parameters
    ----------
    y_true, y_pred
        Labels and predictions, shape (n,), in the unit of the target.
    resamples
        Draws of their chemical systems.
    confidence
        Nominal coverage of the intervals.

    Returns
    -------
    dict
        ``n_test``, ``bias`` (mean of predicted minus true), ``mae``, ``pearson``, ``slope``,
        ``offset``, intervals of bias, Pearson and line, ``mse_shift``, ``mse_tilt``,
        ``mse_scatter``, and ``error_class``, a key of :data:`CLASSES`.
    """
    centre = float(y_true.mean())
    t, p = y_true - centre, y_pred - centre
    terms = np.stack([np.ones_like(t), t, p, t * t, p * p, t * p], axis=1)
    found = {k: float(v[0]) for k, v in _line(terms.sum(axis=0)[None], centre).items()}
    drawn = _line(resamples.sums(terms), centre)
    n_systems = resamples.weights.shape[1]
    row: dict[str, float | str] = {"n_test": len(t), "mae": float(np.abs(p - t).mean())}
    for name in _INTERVALS:
        row[name] = found[name]
        low, high = percentile_interval(drawn[name], confidence, n_systems)
        row[f"{name}_low"], row[f"{name}_high"] = low, high
    row |= {name: found[name] for name in ("mse_shift", "mse_tilt", "mse_scatter")}
    row["error_class"] = classify(row)
    return row


def classify(row: dict[str, float | str]) -> str:
    """What kind of error it is, from the numbers of :func:`signed_error`."""
    bias, mae, pearson = float(row["bias"]), float(row["mae"]), float(row["pearson"])
    certain = float(row["bias_low"]) > 0 or float(row["bias_high"]) < 0
    correlated = pearson >= CORRELATED
    if certain and abs(bias) >= SHIFT_SHARE * mae:
        return SHIFTED if correlated else BIASED
    if not correlated:  # NaN included: constant labels or predictions have no correlation
        return SCATTERED
    return TILTED if float(row["mse_tilt"]) >= TILT_SHARE else IN_LINE


def signed_errors(
    predictions: pd.DataFrame,
    systems: dict[str, str],
    n_bootstrap: int = 200,
    confidence: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """The signed error of every task and model, the random folds left out.

    Parameters
    ----------
    predictions
        Keys of the cells, ``material_id``, ``y_true``, ``y_pred``; the random folds among them
        give ``bias_in_distribution`` and ``mae_in_distribution`` over the same test materials.
    systems
        Chemical system of each material id.
    """
    rows = []
    grid = ["dataset", "target", "representation", "model", "seed"]
    for _, part in predictions.groupby(grid, observed=True, sort=False):
        inside = (part[CRITERION] == IN_DISTRIBUTION).to_numpy()
        reference = part[inside].drop_duplicates(MATERIAL_ID).set_index(MATERIAL_ID)[Y_PRED]
        for keys, cell in part[~inside].groupby([*CELL_KEYS], observed=True, sort=False):
            y_true, y_pred = cell[Y_TRUE].to_numpy(float), cell[Y_PRED].to_numpy(float)
            ids = cell[MATERIAL_ID]
            resamples = Resamples.draw(ids.map(systems).to_numpy(object), n_bootstrap, seed)
            row = dict(zip(CELL_KEYS, keys, strict=True))
            row |= signed_error(y_true, y_pred, resamples, confidence)
            rows.append(row | in_distribution(y_true, ids.map(reference).to_numpy(float)))
    return pd.DataFrame(rows, columns=None if rows else [*CELL_KEYS, "bias", "error_class"])


def in_distribution(y_true: Array, y_reference: Array) -> dict[str, float]:
    """Bias and MAE of the random folds over the same materials; NaN where they were not run."""
    error = (y_reference - y_true)[np.isfinite(y_reference)]
    if not len(error):
        return {"bias_in_distribution": np.nan, "mae_in_distribution": np.nan}
    return {
        "bias_in_distribution": float(error.mean()),
        "mae_in_distribution": float(np.abs(error).mean()),
    }


def _line(sums: Array, centre: float) -> dict[str, Array]:
    """Line and shares of squared error from sums of (1, t, p, tt, pp, tp), a row per resample."""
    with np.errstate(divide="ignore", invalid="ignore"):
        t, p, tt, pp, tp = (sums[:, 1:] / sums[:, :1]).T
        var_t, var_p, cov = tt - t * t, pp - p * p, tp - t * p
        var_t = np.where(var_t > 1e-14 * np.maximum(tt, 1e-300), var_t, np.nan)
        flat = var_p <= 1e-14 * np.maximum(pp, 1e-300)
        slope = cov / var_t
        pearson = np.clip(np.where(flat, np.nan, cov / np.sqrt(var_t * var_p)), -1, 1)
        bias = p - t
        mse = tt - 2 * tp + pp
        covariance_share = np.where(flat, 0.0, cov**2 / np.where(flat, 1.0, var_p))  # (r s_t)^2
        scatter = var_t - covariance_share
        return {
            "bias": bias,
            "slope": slope,
            "offset": p + centre - slope * (t + centre),
            "pearson": pearson,
            "mse_shift": bias**2 / mse,
            "mse_tilt": np.maximum(mse - bias**2 - scatter, 0) / mse,
            "mse_scatter": scatter / mse,
        }
