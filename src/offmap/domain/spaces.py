"""Spaces in which distances mean something: whitened, or weighted by what the model looks at.

Each is one affine map fitted on training rows, so that all of them share one matrix product.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from offmap.domain.moments import Moments
from offmap.errors import DataError

Array = NDArray[np.float64]

# A feature or direction whose spread is below this share of the largest is constant.
_FLAT = 1e-7


@dataclass(frozen=True, eq=False)
class Space:
    """An affine map from features to coordinates.

    Parameters
    ----------
    centre
        Shape (p,).
    axes
        Shape (p, d).
    """

    centre: Array
    axes: Array

    def __call__(self, X: NDArray[np.floating]) -> NDArray[np.float32]:
        """Coordinates of rows, shape (n, d)."""
        shift = (self.centre @ self.axes).astype(np.float32)
        moved: NDArray[np.float32] = X.astype(np.float32, copy=False) @ self.axes.astype(np.float32)
        moved -= shift
        return moved


def spread(moments: Moments) -> tuple[Array, NDArray[np.bool_]]:
    """Standard deviation of each feature, and which vary at all; shapes (p,).

    Raises
    ------
    DataError
        If none does.
    """
    variance = np.diag(moments.covariance).copy()
    size = np.maximum((moments.mean - moments.origin) ** 2, variance)
    varies = variance > _FLAT**2 * np.maximum(size, np.finfo(float).tiny)
    varies &= variance > 1e-12 * np.diag(moments.outer) / max(moments.n, 1)
    if not varies.any():
        raise DataError("every feature is constant over the training materials")
    return np.sqrt(np.where(varies, variance, 1.0)), varies


def whitened(moments: Moments, n_components: int) -> Space:
    """Principal components of standardised features, each scaled to unit variance."""
    scale, vectors, values = _components(moments)
    keep = values > max(_FLAT, 1e-6 * values[0])
    keep[n_components:] = False
    return Space(moments.mean, vectors[:, keep] / np.sqrt(values[keep]) / scale[:, None])


def ridge_whitened(moments: Moments, ridge: float) -> Space:
    """All components, with ``ridge`` added to their variance: distances are Mahalanobis's."""
    scale, vectors, values = _components(moments)
    return Space(moments.mean, vectors / np.sqrt(np.maximum(values, 0) + ridge) / scale[:, None])


def weighted(moments: Moments, weights: Array, n_features: int) -> Space:
    """The features of largest weight, standardised and multiplied by the root of their weight.

    Parameters
    ----------
    moments
        Of the training rows.
    weights
        Importance of each feature, not negative, shape (p,).
    n_features
        How many to keep; their weights are scaled to sum to one.
    """
    scale, varies = spread(moments)
    useful = np.where(varies, weights, 0.0)
    if useful.sum() <= 0:
        useful = varies.astype(float)
    chosen = np.sort(np.argsort(-useful, kind="stable")[:n_features])
    chosen = chosen[useful[chosen] > 0]
    axes = np.zeros((len(useful), len(chosen)))
    axes[chosen, np.arange(len(chosen))] = (
        np.sqrt(useful[chosen] / useful[chosen].sum()) / scale[chosen]
    )
    return Space(moments.mean, axes)


def _components(moments: Moments) -> tuple[Array, Array, Array]:
    """Scale of each feature; eigenvectors (p, p) and -values (p,) of the correlations."""
    from scipy.linalg import eigh

    scale, varies = spread(moments)
    correlation = moments.covariance / np.outer(scale, scale)
    correlation[~varies] = correlation[:, ~varies] = 0.0
    values, vectors = eigh(correlation, driver="evd")
    vectors[~varies] = 0.0
    return scale, vectors[:, ::-1], values[::-1]
