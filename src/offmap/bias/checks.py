"""Honesty checks beside the decomposition: whether it is real, and another way says the same."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from offmap.bias.case import Array, Case, Rows, Settings
from offmap.bias.decompose import block_means, fit_residuals
from offmap.bias.descriptors import COMPOSITION, PARTS, STRUCTURE
from offmap.bias.residual_model import by_part, contributions, fast_trees

# What keeps the checks cheap beside the decomposition itself; all are random samples.
_NULL_TRAIN, _NULL_TEST = 1000, 200
_EXPLAINED = 500
_ABLATION_TRAIN = 10_000


def checks(case: Case, settings: Settings, row: dict[str, Any], model: Any) -> dict[str, Any]:
    """All checks of one task, as columns of the table ``bias``.

    Parameters
    ----------
    row
        What :func:`offmap.bias.decompose.decompose` found.
    model
        Its residual model.
    """
    found = interventional(case, settings, model)
    if settings.n_permutations:
        found |= permutation_null(case, settings, row)
    return found | ablation(case, settings)


def interventional(case: Case, settings: Settings, model: Any) -> dict[str, float]:
    """Block means of the same residual model by interventional SHAP.

    At most 500 test materials are explained against ``n_background`` training materials.
    """
    from offmap.bias.interventional import interventional_parts  # compiles when imported

    rng = case.rng(settings, 2)
    background = case.X[_sample(case.known, settings.n_background, rng)]
    X = case.X[_sample(case.test, _EXPLAINED, rng)]
    parts = -interventional_parts(model, X, background, case.part, len(PARTS))
    means = block_means(parts.mean(axis=0)[None], settings)
    return {f"{name}_interventional": float(value[0]) for name, value in means.items()}


def permutation_null(case: Case, settings: Settings, row: dict[str, Any]) -> dict[str, float]:
    """The same decomposition of residuals that are shuffled over train and test.

    Shuffling cuts every tie between residual and material, so what is then found is what the
    procedure finds in nothing. It is done on at most 1,000 training and 200 test materials, whose
    means scatter more than those of all: the null is wider than it need be, not narrower.

    Returns
    -------
    dict
        ``null_composition`` and ``null_structure``, the size that a block mean reaches under the
        null at the study's confidence, and ``p_composition``, ``p_structure``, the share of
        shuffles that reach the size found, (1 + k) / (1 + n).
    """
    rng = case.rng(settings, 3)
    train, test = _sample(case.known, _NULL_TRAIN, rng), _sample(case.test, _NULL_TEST, rng)
    rows = np.concatenate([train, test])
    drawn = []
    for _ in range(settings.n_permutations):
        y_pred = case.y_pred.copy()
        y_pred[rows] = case.y_true[rows] - rng.permutation(case.residual[rows])
        shuffled = replace(case, y_pred=y_pred)
        model = fit_residuals(shuffled, settings, rows)
        shap, _ = contributions(model, case.X[test], case.threads)
        drawn.append(-by_part(shap, case.part, len(PARTS)).mean(axis=0))
    null = block_means(np.array(drawn), settings)
    found = {}
    for block in (COMPOSITION, STRUCTURE):
        size = np.abs(null[f"bias_{block}"])
        reached = int((size >= abs(row[f"bias_{block}"])).sum())
        found[f"null_{block}"] = float(np.quantile(size, settings.confidence))
        found[f"p_{block}"] = (1 + reached) / (1 + len(size))
    return found


def ablation(case: Case, settings: Settings) -> dict[str, float]:
    """Bias and MAE of models that see one block only, and of one that sees both.

    All three are the fast trees, trained on the same sample of at most 10,000 training materials
    of the task, and see no test label. A bias that the composition-only model shares and the
    structure-only model does not comes with the composition, whatever SHAP says.
    """
    train = _sample(case.train, _ABLATION_TRAIN, case.rng(settings, 4))
    blocks = settings.blocks
    sights: dict[str, tuple[int, ...]] = {"both": blocks[COMPOSITION] + blocks[STRUCTURE]}
    sights |= {f"{block}_only": parts for block, parts in blocks.items()}
    found = {}
    for name, parts in sights.items():
        columns = np.flatnonzero(np.isin(case.part_all, parts))
        if not len(columns):
            continue
        error = _retrained(case, settings, train, columns) - case.y_true[case.test]
        found[f"bias_{name}"] = float(error.mean())
        found[f"mae_{name}"] = float(np.abs(error).mean())
    return found


def _retrained(case: Case, settings: Settings, train: Rows, columns: Rows) -> Array:
    model = fast_trees(settings.seed, case.threads)
    model.fit(case.X_all[np.ix_(train, columns)], case.y_true[train])
    y_pred = model.predict(case.X_all[np.ix_(case.test, columns)])
    return np.asarray(y_pred, dtype=np.float64)


def _sample(rows: Rows, n: int, rng: np.random.Generator) -> Rows:
    """At most ``n`` of the rows, in order."""
    if len(rows) <= n:
        return rows
    return np.sort(rng.choice(rows, n, replace=False))
