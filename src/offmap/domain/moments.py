"""Means and covariances that add up, so that those of every training set follow by subtraction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Rows per matrix product in double precision.
_CHUNK = 4096


@dataclass(frozen=True, eq=False)
class Moments:
    """Count, sum and sum of outer products of rows, measured from a common origin.

    The moments of a training set are those of all materials minus those of the test set: the
    result is the same as a computation from the training rows alone, to rounding.

    Parameters
    ----------
    origin
        Any point near the data, shape (p,); it keeps the digits of small variances.
    n
        Number of rows.
    total
        Sum of rows minus the origin, shape (p,).
    outer
        Sum of outer products of the same, shape (p, p).
    """

    origin: Array
    n: int
    total: Array
    outer: Array

    @classmethod
    def of(cls, values: NDArray[np.floating], origin: Array | None = None) -> Moments:
        """The moments of rows, shape (n, p)."""
        p = values.shape[1]
        if origin is None:
            origin = values.mean(axis=0, dtype=np.float64) if len(values) else np.zeros(p)
        total, outer = np.zeros(p), np.zeros((p, p))
        for i in range(0, len(values), _CHUNK):
            shifted = values[i : i + _CHUNK].astype(np.float64) - origin
            total += shifted.sum(axis=0)
            outer += shifted.T @ shifted
        return cls(origin, len(values), total, outer)

    def __sub__(self, other: Moments) -> Moments:
        """Leave rows out."""
        return Moments(
            self.origin, self.n - other.n, self.total - other.total, self.outer - other.outer
        )

    @property
    def mean(self) -> Array:
        """Mean of the rows, shape (p,)."""
        mean: Array = self.origin + self.total / self.n
        return mean

    @property
    def covariance(self) -> Array:
        """Covariance (divided by n), shape (p, p)."""
        shift = self.total / self.n
        covariance: Array = self.outer / self.n - np.outer(shift, shift)
        return covariance
