"""The study's decomposition: a model of the residuals, and what its SHAP values add up to by part.

It uses the labels of the test materials. It explains an error afterwards; it is no correction that
could have been made without them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from offmap.bias.case import Array, Case, Rows, Settings
from offmap.bias.descriptors import COMPOSITION, PARTS, STRUCTURE
from offmap.bias.residual_model import by_part, contributions, fast_trees, study_trees
from offmap.scores import Resamples, percentile_interval, scores

CAVEAT = (
    "The decomposition and the corrected scores use the labels of the test materials: they explain"
    " an error, they do not predict it. Only 'corrected, kept out' is scored on materials that the"
    " residual model has not seen, and it too has seen the rest of the held-out group."
)
"""To be said wherever these numbers are shown."""

_FIFTH = 0.2


def decompose(case: Case, settings: Settings) -> tuple[dict[str, Any], pd.DataFrame, Any]:
    """Take the error of one task apart.

    Parameters
    ----------
    case
        The task, the labels of its test materials included.

    Returns
    -------
    row : dict
        Columns of the table ``bias``.
    materials : DataFrame
        One row per test row: ``row``, ``error`` (predicted minus true) and what it is made of:
        ``composition``, ``structure``, ``local_difference``, ``rest``, with the constant
        ``bias_base`` they add up to the error.
    model
        The residual model.
    """
    rows = np.concatenate([case.known, case.test])
    model = fit_residuals(case, settings, rows)
    shap, base = contributions(model, case.X[case.test], case.threads)
    parts = -by_part(shap, case.part, len(PARTS))  # of predicted minus true, offmap's sign
    materials = pd.DataFrame(parts, columns=list(PARTS))
    error = -case.residual[case.test]
    materials.insert(0, "row", case.test)
    materials.insert(1, "error", error)
    materials["rest"] = error + base - parts.sum(axis=1)
    row: dict[str, Any] = {"n_decomposed": len(case.test), "bias_base": -base}
    row["bias_rest"] = float(materials["rest"].mean())
    row |= shares(parts, case, settings)
    row |= corrected(case, settings, base + shap.sum(axis=1))
    return row, materials, model


def fit_residuals(case: Case, settings: Settings, rows: Rows) -> Any:
    """Fit the residual model on some rows."""
    if settings.faithful:
        model = study_trees(case.xgb_settings, settings.seed)
    else:
        model = fast_trees(settings.seed, case.threads)
    return model.fit(case.X[rows], case.residual[rows])


def refit(case: Case, settings: Settings) -> Case:
    """The case with the study's first model: XGBoost on the pruned descriptors, fitted on train.

    As in the study, the predictions of the training materials are then in-sample.
    """
    model = study_trees(case.xgb_settings, settings.seed)
    model.fit(case.X[case.train], case.y_true[case.train])
    y_pred = np.full(len(case.y_true), np.nan)
    rows = np.concatenate([case.train, case.test])
    y_pred[rows] = model.predict(case.X[rows])
    return replace(case, y_pred=y_pred)


def shares(parts: Array, case: Case, settings: Settings) -> dict[str, float]:
    """Mean of each block over the test materials and its share, with bootstrap intervals.

    The intervals resample chemical systems and keep the residual model as it is.

    Parameters
    ----------
    parts
        Summed SHAP values, sign of predicted minus true, shape (n_test, 3).
    """
    draws = Resamples.draw(case.system[case.test], settings.n_bootstrap, settings.seed)
    sums = draws.sums(np.column_stack([np.ones(len(parts)), parts]))
    drawn = block_means(sums[:, 1:] / sums[:, :1], settings)
    row = {}
    for name, value in block_means(parts.mean(axis=0)[None], settings).items():
        row[name] = float(value[0])
        row[f"{name}_low"], row[f"{name}_high"] = percentile_interval(
            drawn[name], settings.confidence, draws.weights.shape[1]
        )
    row["bias_local_difference"] = float(parts[:, PARTS.index("local_difference")].mean())
    return row


def block_means(means: Array, settings: Settings) -> dict[str, Array]:
    """Means of the parts, shape (k, 3), to means of the blocks and the share of composition."""
    blocks = {name: means[:, list(parts)].sum(axis=1) for name, parts in settings.blocks.items()}
    size = np.abs(blocks[COMPOSITION]) + np.abs(blocks[STRUCTURE])
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.abs(blocks[COMPOSITION]) / size
    return {
        "bias_composition": blocks[COMPOSITION],
        "bias_structure": blocks[STRUCTURE],
        "share_composition": share,
    }


def corrected(case: Case, settings: Settings, learned: Array) -> dict[str, float]:
    """Scores of prediction plus learned residual: in-sample, and on a fifth that is kept out.

    Parameters
    ----------
    learned
        Residual of the test materials as the residual model has it, shape (n_test,).
    """
    y_true, y_pred = case.y_true[case.test], case.y_pred[case.test]
    row = _named(scores(y_true, y_pred + learned), "corrected")
    fifth = kept_out(case.system[case.test], case.rng(settings, 1), settings.faithful)
    if not (fifth.any() and (~fifth).any()):
        return row
    model = fit_residuals(case, settings, np.concatenate([case.known, case.test[~fifth]]))
    mended = y_pred[fifth] + np.asarray(model.predict(case.X[case.test[fifth]]), dtype=np.float64)
    row["n_kept_out"] = int(fifth.sum())
    row |= _named(scores(y_true[fifth], y_pred[fifth]), "kept_out")
    return row | _named(scores(y_true[fifth], mended), "corrected_kept_out")


def _named(found: dict[str, float], suffix: str) -> dict[str, float]:
    return {f"{name}_{suffix}": found[name] for name in ("mae", "r2", "bias")}


def kept_out(
    systems: NDArray[np.object_], rng: np.random.Generator, materials: bool
) -> NDArray[np.bool_]:
    """About a fifth of the materials, as a mask: single materials, or whole chemical systems.

    With whole systems, no material that is kept out has a polymorph among those that are learned
    from. A group of too few systems falls back on single materials.
    """
    n = len(systems)
    chosen = np.zeros(n, dtype=bool)
    distinct, code = np.unique(systems.astype(str), return_inverse=True)
    if not materials and len(distinct) >= 5:
        order = rng.permutation(len(distinct))
        counts = np.bincount(code)[order].cumsum()
        n_systems = int(np.searchsorted(counts, _FIFTH * n)) + 1
        chosen = np.isin(code, order[:n_systems])
    if not 0 < chosen.sum() <= n / 2:
        chosen[:] = False
        chosen[rng.permutation(n)[: round(_FIFTH * n)]] = True
    return chosen
