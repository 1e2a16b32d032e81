"""Any representation as a scikit-learn transformer."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin

from offmap.crystals import Crystals
from offmap.representations.featurize import featurize, load_representation


class Featurizer(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Crystals to features inside a scikit-learn pipeline.

    Parameters
    ----------
    representation
        Name of a representation, or ``package.module:Class``.
    jobs
        Processes to use.
    """

    def __init__(self, representation: str = "matminer", jobs: int = 1) -> None:
        self.representation = representation
        self.jobs = jobs

    def fit(self, X: Crystals, y: Any = None) -> Featurizer:
        """Nothing is learned; the columns are noted."""
        self.columns_ = load_representation(self.representation).columns
        return self

    def transform(self, X: Crystals) -> NDArray[np.float64]:
        """Features of the crystals, shape (n_crystals, n_columns); NaN rows where it failed."""
        return featurize(X, self.representation, self.jobs).values

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Names of the columns."""
        return np.array(load_representation(self.representation).columns, dtype=object)

    def __sklearn_is_fitted__(self) -> bool:
        return True
