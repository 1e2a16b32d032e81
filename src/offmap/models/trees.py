"""Boosted and bagged trees: the models of the study at its settings, and a faster one."""

from __future__ import annotations

from typing import Any


def xgb(**settings: Any) -> Any:
    """XGBoost with the settings of Li et al., Commun. Mater. 6, 9 (2025)."""
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
    return XGBRegressor(**study | settings)


def rf(**settings: Any) -> Any:
    """Random forest with the settings of Li et al., Commun. Mater. 6, 9 (2025)."""
    from sklearn.ensemble import RandomForestRegressor

    return RandomForestRegressor(**{"n_estimators": 100, "max_features": 1 / 3} | settings)


def lgbm(**settings: Any) -> Any:
    """LightGBM, the fast default; its size follows the number of training materials."""
    from offmap.models.boosting import BoostedTrees

    return BoostedTrees(**settings)
