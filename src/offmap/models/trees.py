"""Boosted and bagged trees: the models of the study at its settings, and a faster one."""

from __future__ import annotations

from typing import Any

from offmap.models.base import check_settings


def lgbm(**settings: Any) -> Any:
    """LightGBM, the fast default; its size follows the number of training materials.

    Parameters
    ----------
    **settings
        Parameters of :class:`offmap.models.boosting.BoostedTrees`, which says what they are.

    Raises
    ------
    UnknownNameError
        If a setting is not one of LightGBM's scikit-learn parameters.
    """
    from offmap.models.boosting import OTHER_SETTINGS, BoostedTrees

    check_settings("lgbm", settings, [*BoostedTrees().get_params(), *OTHER_SETTINGS])
    return BoostedTrees(**settings)


def xgb(**settings: Any) -> Any:
    """XGBoost with the settings of Li et al., Commun. Mater. 6, 9 (2025): 4000 trees of depth 6.

    Each of 1000 rounds fits four trees to the same residuals, each on 85 % of the materials, 30 %
    of the features, and half of those at each depth.

    Parameters
    ----------
    **settings
        Parameters of ``xgboost.XGBRegressor`` that replace the study's.

    Raises
    ------
    UnknownNameError
        If a setting is not a parameter of ``xgboost.XGBRegressor``.

    References
    ----------
    Chen and Guestrin, "XGBoost: a scalable tree boosting system", KDD 2016,
    doi 10.1145/2939672.2939785. Settings: doi 10.1038/s43246-024-00731-w.
    """
    from xgboost import XGBRegressor

    study = {
        "n_estimators": 1000,
        "num_parallel_tree": 4,
        "learning_rate": 0.25,
        "reg_lambda": 0.01,
        "reg_alpha": 0.1,
        "subsample": 0.85,
        "colsample_bytree": 0.3,
        "colsample_bylevel": 0.5,
        "max_depth": 6,
        "tree_method": "hist",
    }
    check_settings("xgb", settings, XGBRegressor().get_params())
    return XGBRegressor(**study | settings)


def rf(**settings: Any) -> Any:
    """Random forest with the settings of Li et al., Commun. Mater. 6, 9 (2025).

    100 trees grown to the end, each on a bootstrap of the materials, with a third of the features
    at each split.

    Parameters
    ----------
    **settings
        Parameters of ``sklearn.ensemble.RandomForestRegressor`` that replace the study's.

    References
    ----------
    Breiman, "Random forests", Machine Learning 45, 5 (2001), doi 10.1023/A:1010933404324.
    Settings: doi 10.1038/s43246-024-00731-w.
    """
    from offmap.models.forest import Forest

    return Forest(**{"n_estimators": 100, "max_features": 1 / 3} | settings)
