"""LightGBM whose size follows the number of training materials."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from lightgbm import LGBMRegressor

# Features that a tree is given, if there are so many: fewer make a fit faster and trees less alike.
_FEATURES_PER_TREE = 40


def size_for(n_rows: int, n_features: int) -> dict[str, int | float]:
    """Choose rounds, leaves, learning rate and share of features for a training set.

    More rows carry more detail, so trees grow with them, and more trees at a smaller step average
    out what each gets wrong: ``num_leaves`` = n / 160, ``n_estimators`` = 4.7 sqrt(n) and
    ``learning_rate`` = 0.7 / n^(1/4), each within bounds. A fit takes about n^1.5 operations.

    Parameters
    ----------
    n_rows, n_features
        Shape of the training features; nothing else is looked at.

    Returns
    -------
    dict
        ``n_estimators`` (100 to 1000), ``num_leaves`` (15 to 255), ``learning_rate`` (at most 0.1)
        and ``colsample_bytree`` (a tree sees about 40 features).

    Examples
    --------
    >>> size_for(10_000, 273)
    {'n_estimators': 470, 'num_leaves': 62, 'learning_rate': 0.07, 'colsample_bytree': 0.1465}
    """
    return {
        "n_estimators": int(np.clip(4.7 * n_rows**0.5, 100, 1000)),
        "num_leaves": int(np.clip(n_rows // 160, 15, 255)),
        "learning_rate": min(0.1, round(0.7 / max(n_rows, 1) ** 0.25, 4)),
        "colsample_bytree": min(1.0, round(_FEATURES_PER_TREE / max(n_features, 1), 4)),
    }


class BoostedTrees(LGBMRegressor):  # type: ignore[misc]
    """LightGBM regressor; what is ``None`` is set by :func:`size_for` when it is fitted.

    Predictions do not depend on the number of threads: histograms are summed in one fixed order.

    Parameters
    ----------
    n_estimators, num_leaves, learning_rate, colsample_bytree
        Number of trees, leaves of each, step, and share of the features that a tree sees;
        ``None``: from the shape of the training features.
    max_depth, min_child_samples, reg_alpha, reg_lambda
        Limits on each tree.
    max_bin, subsample_for_bin
        Values told apart in each feature, and the training rows from which their limits are found.
    enable_bundle, deterministic, force_row_wise, verbosity
        How LightGBM works, not what it fits.
    **settings
        Any other parameter of ``lightgbm.LGBMRegressor``.

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
        colsample_bytree: float | None = None,
        max_depth: int = -1,
        min_child_samples: int = 10,
        reg_alpha: float = 0.0,
        reg_lambda: float = 0.0,
        max_bin: int = 31,
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
            colsample_bytree=colsample_bytree,
            max_depth=max_depth,
            min_child_samples=min_child_samples,
            reg_alpha=reg_alpha,
            reg_lambda=reg_lambda,
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
        by_rule = {k: v for k, v in size_for(*np.shape(X)).items() if getattr(self, k) is None}
        try:
            self.set_params(**by_rule)
            super().fit(X, y, **settings)
        finally:
            self.set_params(**dict.fromkeys(by_rule))
        return self
