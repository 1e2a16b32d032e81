"""What a model predicts after each boosting round or epoch: the time curve of one fit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offmap.errors import SettingsError

Array = NDArray[np.float64]

_N_POINTS = 30


def has_rounds(model: Any) -> bool:
    """Whether :func:`fit_by_round` can follow the training of a regressor."""
    return any(
        hasattr(type(model), name)
        for name in ("fit_by_round", "staged_predict", "booster_", "get_booster")
    )


def fit_by_round(model: Any, X: Any, y: Array, X_test: Any) -> Iterator[tuple[int, Array]]:
    """Train a regressor and yield what it predicts as training goes on.

    Three kinds can be followed:

    - those with a method ``fit_by_round(X, y, X_test)`` that yields ``(epoch, y_pred)`` itself and
      has finished training when it ends: how a network logs its epochs;
    - scikit-learn's, with ``staged_predict(X)``, which yields predictions after each round;
    - LightGBM's and XGBoost's, asked for the sum of their first trees.

    The last two are fitted once, as ever, and asked afterwards at some 30 rounds, evenly spaced in
    the logarithm.

    Parameters
    ----------
    model
        A regressor that is not fitted yet.
    X, y
        What it is trained on.
    X_test
        What it predicts; it never learns from it.

    Yields
    ------
    tuple
        Round or epoch, from 1, and predictions, shape (n_test,). The last ones are those of the
        finished model.

    Raises
    ------
    SettingsError
        If its training cannot be followed.
    """
    if not has_rounds(model):
        raise SettingsError(f"{type(model).__name__} has no rounds or epochs that can be followed")
    if hasattr(model, "fit_by_round"):
        for epoch, y_pred in model.fit_by_round(X, y, X_test):
            yield int(epoch), np.asarray(y_pred, dtype=np.float64)
        return
    model.fit(X, y)
    if hasattr(model, "staged_predict"):
        yield from _staged(model, X_test)
        return
    boosted = hasattr(type(model), "booster_")
    n_rounds = model.booster_.num_trees() if boosted else model.get_booster().num_boosted_rounds()
    for n in log_spaced(n_rounds):
        first = {"num_iteration": n} if boosted else {"iteration_range": (0, n)}
        yield n, np.asarray(model.predict(X_test, **first), dtype=np.float64)


def log_spaced(last: int, n_points: int = _N_POINTS) -> list[int]:
    """Whole numbers from 1 to ``last``, about evenly spaced in the logarithm.

    Examples
    --------
    >>> log_spaced(100, 7)
    [1, 2, 5, 10, 22, 46, 100]
    """
    return sorted({round(x) for x in np.geomspace(1, last, n_points).tolist()})


def _staged(model: Any, X_test: Any) -> Iterator[tuple[int, Array]]:
    stages = enumerate(model.staged_predict(X_test), start=1)
    shown: list[int] = []
    last: tuple[int, Array] | None = None
    for n, y_pred in stages:
        last = (n, np.asarray(y_pred, dtype=np.float64))
        # As dense as 30 points over three decades, without knowing where the rounds end.
        if not shown or n >= round(shown[-1] * 1.26) or n <= 4:
            shown.append(n)
            yield last
    if last is not None and shown[-1] != last[0]:
        yield last
