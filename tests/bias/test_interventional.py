"""Interventional SHAP against its definition, by brute force over all coalitions."""

from __future__ import annotations

from itertools import combinations
from math import factorial
from typing import Any

import numpy as np
import pytest
from lightgbm import LGBMRegressor
from xgboost import XGBRegressor

from offmap.bias.interventional import interventional_parts
from offmap.bias.residual_model import by_part, contributions

RNG = np.random.default_rng(3)
X = RNG.normal(size=(300, 5)).astype(np.float32)
Y = X[:, 0] + X[:, 1] * X[:, 2] + np.where(X[:, 3] > 0, X[:, 4], 0)
MODELS = [
    LGBMRegressor(n_estimators=12, num_leaves=12, min_child_samples=5, verbosity=-1, n_jobs=1),
    XGBRegressor(n_estimators=6, num_parallel_tree=2, max_depth=4, subsample=0.8, n_jobs=1),
]


def _by_definition(model: Any, x: np.ndarray, background: np.ndarray) -> np.ndarray:
    p = len(x)
    values = {}
    for size in range(p + 1):
        for known in combinations(range(p), size):
            mixed = background.copy()
            mixed[:, list(known)] = x[list(known)]
            values[frozenset(known)] = model.predict(mixed).mean()
    phi = np.zeros(p)
    for j in range(p):
        for known, value in values.items():
            if j not in known:
                weight = factorial(len(known)) * factorial(p - len(known) - 1) / factorial(p)
                phi[j] += weight * (values[known | {j}] - value)
    return phi


@pytest.mark.parametrize("model", MODELS, ids=["lightgbm", "xgboost"])
def test_values_are_those_of_the_definition(model: Any) -> None:
    model.fit(X, Y)
    background = X[100:120]
    found = interventional_parts(model, X[:4], background, np.arange(5), 5)
    expected = [_by_definition(model, x, background) for x in X[:4]]
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("model", MODELS, ids=["lightgbm", "xgboost"])
def test_parts_are_sums_of_features(model: Any) -> None:
    model.fit(X, Y)
    background = X[100:150]
    part = np.array([0, 1, 1, 2, 0])
    single = interventional_parts(model, X[:50], background, np.arange(5), 5)
    parts = interventional_parts(model, X[:50], background, part, 3)
    np.testing.assert_allclose(parts, by_part(single, part, 3), atol=1e-9)
    lift = model.predict(X[:50]) - model.predict(background).mean()
    np.testing.assert_allclose(parts.sum(axis=1), lift, atol=1e-4)


@pytest.mark.parametrize("model", MODELS, ids=["lightgbm", "xgboost"])
def test_path_dependent_values_sum_to_the_prediction(model: Any) -> None:
    model.fit(X, Y)
    shap, base = contributions(model, X[:50])
    np.testing.assert_allclose(shap.sum(axis=1) + base, model.predict(X[:50]), atol=1e-4)


def test_an_unused_twin_is_credited_nothing() -> None:
    """What the check is for: the model uses one of two equal columns, and only that one counts."""
    twins = np.column_stack([X[:, :1], X[:, :1]])
    model = LGBMRegressor(n_estimators=5, verbosity=-1, n_jobs=1).fit(twins, X[:, 0])
    parts = interventional_parts(model, twins[:20], twins[50:80], np.arange(2), 2)
    used = model.booster_.feature_importance() > 0
    assert used.sum() == 1
    assert np.abs(parts[:, ~used]).max() == 0
