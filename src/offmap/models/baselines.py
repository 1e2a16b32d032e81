"""Floors that any model should beat."""

from __future__ import annotations

from typing import Any


def dummy(**settings: Any) -> Any:
    """Mean of the training labels, whatever the material.

    Parameters
    ----------
    **settings
        Parameters of ``sklearn.dummy.DummyRegressor``, such as ``strategy="median"``.
    """
    from sklearn.dummy import DummyRegressor

    return DummyRegressor(**settings)


def knn(n_neighbors: int = 5, weights: str = "distance", **settings: Any) -> Any:
    """Mean of the nearest training materials in standardised features.

    Scaling, and the mean that stands in for a missing value, come from the training materials.

    Parameters
    ----------
    n_neighbors
        How many neighbours are averaged.
    weights
        ``"distance"``: nearer ones count more; ``"uniform"``: all alike.
    **settings
        Other parameters of ``sklearn.neighbors.KNeighborsRegressor``.
    """
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from offmap.models.neighbours import Neighbours

    neighbours = Neighbours(n_neighbors=n_neighbors, weights=weights, **settings)
    impute = SimpleImputer(keep_empty_features=True)
    return make_pipeline(impute, StandardScaler(), neighbours)
