"""The model of the error: boosted trees fitted to residuals, read by their own SHAP values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offmap.models.base import make_model

Array = NDArray[np.float64]

FAST: dict[str, Any] = {
    "n_estimators": 200,
    "num_leaves": 31,
    "max_depth": 6,
    "learning_rate": 0.1,
    "colsample_bytree": 0.3,
    "min_child_samples": 5,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}
"""LightGBM small enough that its SHAP values are cheap: they cost rows x trees x leaves x depth
squared (Lundberg et al., Nat. Mach. Intell. 2, 56, 2020, doi 10.1038/s42256-019-0138-9)."""


def fast_trees(seed: int, threads: int) -> Any:
    """The residual model by default; also what the checks and the rescue retrain."""
    from lightgbm import LGBMRegressor

    return LGBMRegressor(**FAST, random_state=seed, n_jobs=threads)


def study_trees(settings: Mapping[str, Any], seed: int) -> Any:
    """The study's XGBoost, on one thread: the order of its sums depends on threads."""
    return make_model("xgb", settings, seed, 1)


def contributions(model: Any, X: NDArray[np.float32], threads: int = 1) -> tuple[Array, float]:
    """Path-dependent tree SHAP values by the trees' own library.

    They say what the model makes of each feature when unknown features follow the training rows
    down the tree (Lundberg & Lee, NeurIPS 2017; Lundberg et al. 2020); this is what shap's
    TreeExplainer gives without background data, as in the study.

    Parameters
    ----------
    model
        A fitted ``LGBMRegressor`` or ``XGBRegressor``.
    X
        Rows to explain, shape (n, n_columns).

    Returns
    -------
    array, float
        Values of shape (n, n_columns), and the base value: with them it sums to the prediction.
    """
    if hasattr(model, "booster_"):
        raw = model.booster_.predict(X, pred_contrib=True, num_threads=threads)
    else:
        from xgboost import DMatrix

        raw = model.get_booster().predict(DMatrix(X, nthread=threads), pred_contribs=True)
    found = np.asarray(raw, dtype=np.float64)
    return found[:, :-1], float(found[0, -1])


def by_part(values: Array, part: NDArray[np.int64], n_parts: int) -> Array:
    """Sums of SHAP values over the columns of each part, shape (n, n_parts)."""
    sums: Array = values @ (part[:, None] == np.arange(n_parts)).astype(np.float64)
    return sums
