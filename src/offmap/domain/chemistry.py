"""What materials are made of, as far as it bears on the error of a model that lacks some elements.

How wrong a model is about a new element depends on the company: silicon among metals is like
germanium, silicon with oxygen is not. Distances in features do not say so, but the finished tasks
do: what other new elements did in like company.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from offmap.crystals import Crystals
from offmap.domain.judge import Context, Judged, Predictions
from offmap.domain.scoring import TaskScores
from offmap.domain.substitution import CHI, Compositions, properties
from offmap.elements import NUMBERS
from offmap.inputs import Inputs

Array = NDArray[np.float64]
Rows = NDArray[np.int64]

CHEMICAL = ("element", "period", "group")
"""Criteria that leave elements out."""

_ANIONS = tuple(NUMBERS[symbol] for symbol in ("H", "C", "N", "O", "F", "S", "Cl"))
_NEW, _COMPANY, _REPLACED = 6, 5 + len(_ANIONS), 5
N_NUMBERS = _NEW + _COMPANY + _REPLACED
"""Numbers per material: of its new elements, of their company, of what replacements say."""


def describe(
    compositions: Compositions, test: NDArray[np.bool_], rows: Rows, y_pred: Array, chemical: bool
) -> Array:
    """Numbers of some materials of a task; NaN where they mean nothing.

    Parameters
    ----------
    compositions
        Of all materials of the study.
    test
        Test set of the task, shape (n,).
    rows, y_pred
        Which materials, and what the model predicts of them, shapes (n_rows,).
    chemical
        Whether the task leaves elements out.

    Returns
    -------
    ndarray
        Shape (n_rows, :data:`N_NUMBERS`): amount and mean properties of new elements (group,
        period, electronegativity, melting point) and ionic character of their bonds; number of
        elements, largest and least electronegativity of the known ones and the mean difference from
        them, prediction, amounts of anions; mean, spread and largest size of the change when the
        nearest known elements take the place of the new ones, and that of the first two.
    """
    fractions = compositions.fractions[rows].astype(np.float64)
    new = compositions.new_elements(test) if chemical else np.zeros(0, dtype=np.int64)
    rest = fractions.copy()
    rest[:, new] = 0
    amount = fractions[:, new].sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        place = fractions[:, new] @ properties()[new] / amount[:, None]
        own = fractions[:, new] @ CHI[new] / amount
        others = (rest @ CHI) / rest.sum(axis=1)
    most = np.where(rest > 0, CHI, -np.inf).max(axis=1, initial=-np.inf)
    least = np.where(rest > 0, CHI, np.inf).min(axis=1, initial=np.inf)
    ionic = np.nan_to_num(np.abs(own - others)) * amount * (1 - amount)
    company = np.column_stack([
        (fractions > 0).sum(axis=1), most - own, least - own, own - others, y_pred,
        rest[:, list(_ANIONS)],
    ])  # fmt: skip
    company[~np.isfinite(company)] = np.nan
    replaced = np.full((len(rows), _REPLACED), np.nan)
    if len(new) and len(compositions.used) > len(new) + 1:
        change = compositions.replaced(test, rows) - y_pred[:, None]
        replaced = np.column_stack(
            [change.mean(axis=1), change.std(axis=1), np.abs(change).max(axis=1), change[:, :2]]
        )
    return np.column_stack([amount, place, ionic, company, replaced])


def gaps(context: Array) -> Array:
    """How far the prediction lies from what replacements give: the largest difference, (n,)."""
    largest: Array = context[:, _NEW + _COMPANY + 2]
    return largest


def contexts(
    inputs: Inputs,
    compositions: Compositions,
    judged: Sequence[Judged],
    model: Predictions,
    criterion: Sequence[str],
) -> Mapping[int, Context]:
    """The numbers of the test and calibration rows of each task that the model has finished."""
    test = inputs.kept()[1].matrix
    found = {}
    for one in (j for j in judged if j.error is not None):
        task = one.scores.task
        chemical, inside = criterion[task] in CHEMICAL, model.in_distribution
        found[task] = context_of(
            compositions, test[:, task], one.scores, model.y_pred[task], inside, chemical
        )
    return found


def context_of(
    compositions: Compositions,
    test: NDArray[np.bool_],
    scores: TaskScores,
    y_pred: Array,
    in_distribution: Array,
    chemical: bool = True,
) -> Context:
    """The numbers of the rows of one task that were scored.

    Parameters
    ----------
    compositions, test, chemical
        As for :func:`describe`.
    scores
        Says which rows.
    y_pred
        Predictions of the scored test rows, shape (n_test,).
    in_distribution
        Those of all materials in the random folds, shape (n,).
    """
    mine, held_out = scores.test, scores.calibration
    rows = np.concatenate([mine, held_out])
    said = np.concatenate([y_pred, in_distribution[held_out]])
    numbers = describe(compositions, test, rows, said, chemical)
    return Context(numbers[: len(mine)], numbers[len(mine) :])


def compositions_of(inputs: Inputs) -> Compositions:
    """The atomic fractions of all materials with their labels."""
    return Compositions(fractions_of(inputs.dataset.crystals), inputs.y)


def fractions_of(crystals: Crystals) -> NDArray[np.float32]:
    """Atomic fractions, shape (n, 119)."""
    counts = np.asarray(crystals.counts, dtype=np.float32)
    fractions: NDArray[np.float32] = counts / counts.sum(axis=1, keepdims=True)
    return fractions
