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
    """LightGBM, the fast default: as accurate as ``xgb`` on the 273 descriptors in a fraction of the time.

    Histograms are built row-wise and deterministically, so that scores do not depend on threads.
    """
    from lightgbm import LGBMRegressor

    defaults = {
        "n_estimators": 1000,
        "num_leaves": 127,
        "learning_rate": 0.05,
        "colsample_bytree": 0.3,
        "min_child_samples": 5,
        "max_bin": 255,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }
    return LGBMRegressor(**defaults | settings)
