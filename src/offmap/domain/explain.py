"""Why a material is off the map: its nearest training materials, and the features that differ."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from offmap.domain.detectors import excess
from offmap.domain.reference import Reference
from offmap.domain.spaces import spread
from offmap.elements import SYMBOLS

_NEAREST, _FEATURES, _PEERS, _CHUNK = 3, 3, 10, 512


def nearest(
    train: Reference,
    queries: NDArray[np.floating],
    n: int,
    material_id: NDArray[np.object_],
    formula: NDArray[np.object_],
) -> list[list[dict[str, Any]]]:
    """The three nearest training materials of the first ``n`` queries.

    Parameters
    ----------
    train
        The training materials; distances are in features weighted by importance.
    material_id, formula
        Of the training materials.

    Returns
    -------
    list
        Per query, ``material_id``, ``formula`` and ``distance`` of each neighbour.
    """
    found = train.around("weighted", queries)
    rows, distances = found.index[:n, :_NEAREST], found.distance[:n, :_NEAREST]
    return [
        [
            {"material_id": str(material_id[j]), "formula": str(formula[j]), "distance": float(d)}
            for j, d in zip(row, distance, strict=True)
        ]
        for row, distance in zip(rows, distances, strict=True)
    ]


def outside(
    train: Reference,
    queries: NDArray[np.floating],
    wanted: NDArray[np.int64],
    columns: tuple[str, ...],
) -> dict[int, list[dict[str, Any]]]:
    """The features that put materials outside.

    Features beyond the range of the training set come first; where none is, those in which the
    material differs most from its ten nearest training materials. Both are weighted by importance.

    Parameters
    ----------
    wanted
        Rows of the queries.
    columns
        Names of the features.

    Returns
    -------
    dict
        Row -> up to three features: ``feature``, ``value``, ``train_low`` and ``train_high`` (the
        range of the training set), ``neighbours`` (mean of the ten nearest), ``beyond_range``.
    """
    low, high = train.limits
    scale, varies = spread(train.moments)
    scale = np.where(varies, scale, 1.0)
    index = train.around("weighted", queries).index
    found = {}
    for start in range(0, len(wanted), _CHUNK):
        rows = wanted[start : start + _CHUNK]
        X = queries[rows]
        usual = train.X[index[rows, :_PEERS]].mean(axis=1)
        beyond = train.weights * excess(train, X) ** 2
        # A feature that never varied has no weight, and says most when it does.
        beyond += 1e-9 * excess(train, X) ** 2
        differs = train.weights * np.minimum(((X - usual) / scale) ** 2, 100.0)
        for i, row in enumerate(rows.tolist()):
            is_beyond = bool((beyond[i] > 0).any())
            size = beyond[i] if is_beyond else differs[i]
            chosen = np.argsort(-size, kind="stable")[:_FEATURES]
            found[row] = [
                {
                    "feature": columns[j],
                    "value": float(X[i, j]),
                    "train_low": float(low[j]),
                    "train_high": float(high[j]),
                    "neighbours": float(usual[i, j]),
                    "beyond_range": is_beyond,
                }
                for j in chosen.tolist()
                if size[j] > 0
            ]
    return found


def new_elements(test: NDArray[np.bool_], train: NDArray[np.bool_]) -> list[list[str]]:
    """Elements of each test material that no training material contains.

    Parameters
    ----------
    test, train
        Which elements they contain, shapes (n, 119) and (m, 119).
    """
    missing = test & ~train.any(axis=0)
    return [[SYMBOLS[z] for z in np.flatnonzero(row)] for row in missing]
