"""Floors that any model should beat."""

from __future__ import annotations

from typing import Any


def dummy(**settings: Any) -> Any:
    """The mean of the training labels."""
    from sklearn.dummy import DummyRegressor

    return DummyRegressor(**settings)


def knn(n_neighbors: int = 5, weights: str = "distance", **settings: Any) -> Any:
    """Mean of the nearest training materials in standardised features (scaled on train only)."""
    from sklearn.impute import SimpleImputer
    from sklearn.neighbors import KNeighborsRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    neighbours = KNeighborsRegressor(n_neighbors=n_neighbors, weights=weights, **settings)
    return make_pipeline(SimpleImputer(), StandardScaler(), neighbours)
