"""A random forest whose predictions do not depend on threads, to the last bit."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor


class Forest(RandomForestRegressor):  # type: ignore[misc]
    """Random forest regressor that sums its trees in their own order.

    With several threads, scikit-learn adds the predictions of trees as they come, so the last bits
    change from call to call. Here one thread predicts; trees are still grown by all.
    """

    n_jobs: int | None

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Mean prediction of the trees, shape (n,)."""
        threads, self.n_jobs = self.n_jobs, 1
        try:
            mean: NDArray[np.float64] = super().predict(X)
        finally:
            self.n_jobs = threads
        return mean
