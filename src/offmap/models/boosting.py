"""LightGBM with a rising step, whose size follows the number of training materials."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
from lightgbm import LGBMRegressor, reset_parameter

# Features that a tree is given, fewest and most: fewer make a fit faster and trees less alike.
_FEATURES_PER_TREE = 16, 32

OTHER_SETTINGS = (
    "alpha bagging_seed boosting cat_smooth data_sample_strategy drop_rate extra_seed extra_trees"
    " fair_c feature_fraction_bynode feature_fraction_seed feature_pre_filter force_row_wise"
    " interaction_constraints linear_lambda linear_tree max_bin_by_feature max_delta_step max_drop"
    " min_data_in_bin monotone_constraints monotone_constraints_method monotone_penalty other_rate"
    " path_smooth quant_train_renew_leaf num_grad_quant_bins skip_drop top_rate use_missing"
    " use_quantized_grad zero_as_missing"
).split()
"""What LightGBM takes besides the parameters of its scikit-learn interface."""


def size_for(n_rows: int, n_features: int) -> dict[str, int | float]:
    """Choose the number of trees, their leaves and their share of features for a training set.

    More rows carry more detail, so trees grow with them: ``num_leaves`` = n / 160 and
    ``n_estimators`` = 19 n^(1/3), within bounds, and so does the number of features that each tree
    is given, n / 1000. A fit then takes about n^1.5 operations.

    Parameters
    ----------
    n_rows, n_features
        Shape of the training features; nothing else is looked at.

    Returns
    -------
    dict
        ``n_estimators`` (200 to 2000), ``num_leaves`` (24 to 255), ``min_child_samples`` (10, less
        below 200 rows) and ``colsample_bytree`` (a tree sees about 16 to 32 features).

    Examples
    --------
    >>> size_for(10_000, 273)
    {'n_estimators': 409, 'num_leaves': 62, 'min_child_samples': 10, 'colsample_bytree': 0.0586}
    """
    per_tree = np.clip(n_rows / 1000, *_FEATURES_PER_TREE)
    return {
        "n_estimators": int(np.clip(19 * n_rows ** (1 / 3), 200, 2000)),
        "num_leaves": int(np.clip(n_rows // 160, 24, 255)),
        "min_child_samples": int(np.clip(n_rows // 20, 1, 10)),
        "colsample_bytree": min(1.0, round(float(per_tree) / max(n_features, 1), 4)),
    }


def rising_steps(n_rounds: int, last: float, rise: float) -> list[float]:
    """Learning rate of each round: from ``last / rise`` to ``last``, with the square of the round.

    Examples
    --------
    >>> [round(step, 3) for step in rising_steps(5, last=0.4, rise=20)]
    [0.02, 0.044, 0.115, 0.234, 0.4]
    """
    first = last / rise
    steps: list[float] = (first + (last - first) * np.linspace(0, 1, n_rounds) ** 2).tolist()
    return steps


class BoostedTrees(LGBMRegressor):  # type: ignore[misc]
    """LightGBM regressor; what is ``None`` is set by :func:`size_for` when it is fitted.

    The step grows from round to round: small first steps average many trees where the labels are
    still coarse, and large last ones reach the detail in fewer rounds than a constant step.
    Predictions do not depend on the number of threads, to the last bit: one thread sums the whole
    histogram of a feature (``force_col_wise``; with ``force_row_wise`` threads share the rows, and
    sums of many rows depend on how).

    Parameters
    ----------
    n_estimators, num_leaves, min_child_samples, colsample_bytree
        Number of trees, leaves of each, least materials in a leaf, and share of the features that a
        tree sees; ``None``: from the shape of the training features.
    learning_rate, learning_rate_rise
        Step of the last round, and how many times it is that of the first (1: a constant step).
    max_depth, reg_alpha, reg_lambda
        Limits on each tree.
    max_bin, subsample_for_bin
        Values told apart in each feature, and the training rows from which their limits are found.
    enable_bundle, deterministic, force_col_wise, verbosity
        How LightGBM works, not what it fits.
    **settings
        Any other parameter of ``lightgbm.LGBMRegressor``, or of :data:`OTHER_SETTINGS`.

    References
    ----------
    Ke et al., "LightGBM: a highly efficient gradient boosting decision tree", NeurIPS 30 (2017).
    """

    def __init__(
        self,
        *,
        n_estimators: int | None = None,
        num_leaves: int | None = None,
        min_child_samples: int | None = None,
        colsample_bytree: float | None = None,
        learning_rate: float = 0.4,
        learning_rate_rise: float = 20.0,
        max_depth: int = 10,
        reg_alpha: float = 0.0,
        reg_lambda: float = 3.0,
        max_bin: int = 31,
        subsample_for_bin: int = 10_000,
        enable_bundle: bool = False,
        deterministic: bool = True,
        force_col_wise: bool = True,
        verbosity: int = -1,
        **settings: Any,
    ) -> None:
        super().__init__(
            n_estimators=n_estimators,
            num_leaves=num_leaves,
            min_child_samples=min_child_samples,
            colsample_bytree=colsample_bytree,
            learning_rate=learning_rate,
            max_depth=max_depth,
            reg_alpha=reg_alpha,
            reg_lambda=reg_lambda,
            max_bin=max_bin,
            subsample_for_bin=subsample_for_bin,
            enable_bundle=enable_bundle,
            deterministic=deterministic,
            force_col_wise=force_col_wise,
            verbosity=verbosity,
            **settings,
        )
        self.learning_rate_rise = learning_rate_rise

    def fit(
        self, X: Any, y: Any, callbacks: Sequence[Callable[..., Any]] = (), **settings: Any
    ) -> Self:
        """Fit on rows of features; see ``lightgbm.LGBMRegressor.fit``."""
        by_rule = {k: v for k, v in size_for(*np.shape(X)).items() if getattr(self, k) is None}
        try:
            self.set_params(**by_rule)
            steps = rising_steps(self.n_estimators, self.learning_rate, self.learning_rate_rise)
            rising = reset_parameter(learning_rate=steps)
            super().fit(X, y, callbacks=[rising, *callbacks], **settings)
        finally:
            self.set_params(**dict.fromkeys(by_rule))
        return self
