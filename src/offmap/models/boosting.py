"""LightGBM whose size follows the number of training materials."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from lightgbm import LGBMRegressor


def size_by_rows(n_rows: int) -> dict[str, int | float]:
    """Rounds, leaves and learning rate for a number of training rows.

    ``n_estimators`` = 3.5 sqrt(n), ``num_leaves`` = n / 150, ``learning_rate`` = 0.7 / n^(1/4), each
    within bounds. More rows carry more detail, so trees grow with them; more trees at a smaller step
    then average out what each gets wrong. A fit takes about n^1.5 operations.

    Parameters
    ----------
    n_rows
        Number of training rows; nothing else is looked at.

    Returns
    -------
    dict
        ``n_estimators`` (100 to 1000), ``num_leaves`` (15 to 255), ``learning_rate`` (at most 0.1).

    Examples
    --------
    >>> size_by_rows(10_000)
    {'n_estimators': 350, 'num_leaves': 66, 'learning_rate': 0.07}
    """
    return {
        "n_estimators": int(np.clip(3.5 * n_rows**0.5, 100, 1000)),
        "num_leaves": int(np.clip(n_rows // 150, 15, 255)),
        "learning_rate": min(0.1, round(0.7 / max(n_rows, 1) ** 0.25, 4)),
    }


class BoostedTrees(LGBMRegressor):  # type: ignore[misc]
    """LightGBM regressor; what is ``None`` is set by :func:`size_by_rows` when it is fitted.

    Predictions do not depend on the number of threads: histograms are summed in one fixed order.

    Parameters
    ----------
    n_estimators, num_leaves, learning_rate
        Number of trees, leaves of each and step; ``None``: from the number of training rows.
    max_depth, min_child_samples, reg_alpha, reg_lambda
        Limits on each tree.
    colsample_bytree, max_bin
        Share of the features that a tree sees, and the values told apart in each.
    subsample_for_bin
        Training rows from which the limits of the bins are found.
    **settings
        Any other parameter of ``lightgbm.LGBMRegressor``, and ``path_smooth``.

    References
    ----------
    Ke et al., "LightGBM: a highly efficient gradient boosting decision tree", NeurIPS 30 (2017).
    """

    def __init__(
        self,
        *,
        n_estimators: int | None = None,
        num_leaves: int | None = None,
        learning_rate: float | None = None,
        max_depth: int = -1,
        min_child_samples: int = 5,
        reg_alpha: float = 0.0,
        reg_lambda: float = 0.0,
        colsample_bytree: float = 0.1,
        max_bin: int = 63,
        subsample_for_bin: int = 10_000,
        enable_bundle: bool = False,
        deterministic: bool = True,
        force_row_wise: bool = True,
        verbosity: int = -1,
        **settings: Any,
    ) -> None:
        super().__init__(
            n_estimators=n_estimators,
            num_leaves=num_leaves,
            learning_rate=learning_rate,
            max_depth=max_depth,
            min_child_samples=min_child_samples,
            reg_alpha=reg_alpha,
            reg_lambda=reg_lambda,
            colsample_bytree=colsample_bytree,
            max_bin=max_bin,
            subsample_for_bin=subsample_for_bin,
            enable_bundle=enable_bundle,
            deterministic=deterministic,
            force_row_wise=force_row_wise,
            verbosity=verbosity,
            **settings,
        )

    def fit(self, X: Any, y: Any, **settings: Any) -> Self:
        """Fit on rows of features; see ``lightgbm.LGBMRegressor.fit``."""
        size: Mapping[str, Any] = size_by_rows(len(y))
        by_rule = {name: value for name, value in size.items() if getattr(self, name) is None}
        try:
            self.set_params(**by_rule)
            super().fit(X, y, **settings)
        finally:
            self.set_params(**dict.fromkeys(by_rule))
        return self
