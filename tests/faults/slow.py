"""A model that takes its time."""

from __future__ import annotations

import time
from typing import Self

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin


class SlowMean(RegressorMixin, BaseEstimator):
    """The mean, after ten minutes."""

    def fit(self, X: np.ndarray, y: np.ndarray) -> Self:
        time.sleep(600)
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        return np.zeros(len(X))
