"""Nearest neighbours whose choice among equally near ones does not depend on threads."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import KNeighborsRegressor

# scikit-learn searches the rows of X in parallel from so many rows per thread on, and parts of the
# training rows below that; then the thread that is first decides between equal distances.
_ROWS_PER_THREAD = 1024


class Neighbours(KNeighborsRegressor):  # type: ignore[misc]
    """Nearest-neighbour regressor that gives the same, to the last bit, on any number of threads.

    Polymorphs have equal compositional descriptors, so equal distances are common.
    """

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Mean of the neighbours of each row, shape (n,)."""
        from joblib import effective_n_jobs
        from threadpoolctl import threadpool_limits

        most = max(1, (len(X) - 1) // _ROWS_PER_THREAD)
        with threadpool_limits(min(most, effective_n_jobs(self.n_jobs)), user_api="openmp"):
            mean: NDArray[np.float64] = super().predict(X)
        return mean
