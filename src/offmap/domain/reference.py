"""A training set as detectors see it: rows, and what several detectors share about them."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from offmap.domain import spaces
from offmap.domain.anchor import N_COMPONENTS, N_FEATURES, Anchor
from offmap.domain.moments import Moments
from offmap.domain.neighbours import Neighbours, neighbours
from offmap.domain.scouts import Scouts, normalised
from offmap.errors import DataError

Array = NDArray[np.float64]

K = 20
"""Neighbours kept per material and space."""
RIDGE = 1e-2
"""Variance added to every principal component, in units of a standardised feature."""


class Reference:
    """Training materials, and the spaces fitted on them.

    Parameters
    ----------
    X
        Features, shape (n, p).
    y
        Labels, shape (n,); only detectors that learn from labels need them.
    weights
        Importance of each feature to the model that is judged, shape (p,); by default that of the
        anchor or of the scouts, or equal where there are no labels.
    moments
        Moments of ``X`` where they are known already (by subtraction, say).
    seed
        Seed of everything random.
    anchor
        Materials on which spaces are fitted, instead of the training rows.

    Raises
    ------
    DataError
        If there are fewer than two rows, or a value is not finite.
    """

    def __init__(
        self,
        X: NDArray[np.floating],
        y: Array | None = None,
        weights: Array | None = None,
        moments: Moments | None = None,
        seed: int = 0,
        anchor: Anchor | None = None,
    ) -> None:
        self.X = np.ascontiguousarray(X, dtype=np.float32)
        if self.X.ndim != 2 or len(self.X) < 2:
            raise DataError(f"a domain needs at least 2 training materials, not {len(self.X)}")
        if moments is None:
            check_finite(self.X, "training")
        self.y, self.seed, self.anchor = y, seed, anchor
        self._weights = weights
        self._moments = moments
        self._spaces: dict[str, spaces.Space] = {}
        self._coordinates: dict[str, NDArray[np.float32]] = {}
        self._around: dict[str, tuple[NDArray[np.floating], Neighbours]] = {}

    def __len__(self) -> int:
        return len(self.X)

    @cached_property
    def moments(self) -> Moments:
        """Count, mean and covariance of the rows."""
        return Moments.of(self.X) if self._moments is None else self._moments

    @cached_property
    def scouts(self) -> Scouts:
        """Small models fitted on samples of the rows.

        Raises
        ------
        DataError
            If there are no labels.
        """
        if self.y is None:
            raise DataError("this detector learns from labels, and the training set has none")
        return Scouts(self.X, self.y, self.seed, anchor=self.anchor)

    @cached_property
    def weights(self) -> Array:
        """Importance of each feature, summing to one, shape (p,)."""
        if self._weights is None and self.anchor is not None and self.anchor.y is not None:
            return normalised(self.anchor.gain)
        if self._weights is None and self.y is not None:
            return self.scouts.importance
        return normalised(np.ones(self.X.shape[1]) if self._weights is None else self._weights)

    @cached_property
    def limits(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Smallest and largest value of each feature, shapes (p,)."""
        return self.X.min(axis=0), self.X.max(axis=0)

    def space(self, name: str) -> spaces.Space:
        """The space ``whitened``, ``mahalanobis`` or ``weighted``."""
        if self.anchor is not None and name in self.anchor.spaces:
            return self.anchor.spaces[name]
        if name not in self._spaces:
            self._spaces[name] = {
                "whitened": lambda: spaces.whitened(self.moments, N_COMPONENTS),
                "mahalanobis": lambda: spaces.ridge_whitened(self.moments, RIDGE),
                "weighted": lambda: spaces.weighted(self.moments, self.weights, N_FEATURES),
            }[name]()
        return self._spaces[name]

    def coordinates(self, name: str) -> NDArray[np.float32]:
        """The training rows in a space, shape (n, d)."""
        if name not in self._coordinates:
            self._coordinates[name] = self.space(name)(self.X)
        return self._coordinates[name]

    def bandwidth(self, name: str) -> float:
        """Half of Scott's rule: n ** (-1 / (d + 4)) standard deviations (Scott, 1992)."""
        if self.anchor is not None and name in self.anchor.spaces:
            return self.anchor.bandwidth(name)
        d = self.coordinates(name).shape[1]
        scale = float(np.sqrt(self.coordinates(name).var(axis=0).mean()))
        return 0.5 * scale * float(len(self) ** (-1 / (d + 4)))

    def around(self, name: str, X: NDArray[np.floating]) -> Neighbours:
        """Neighbours of rows and, in the whitened space, their kernel density.

        The last answer is kept: detectors that ask for the same rows share one pass.
        """
        known = self._around.get(name)
        if known is None or known[0] is not X:
            widths = (self.bandwidth(name),) if name == "whitened" else ()
            found = neighbours(self.space(name)(X), self.coordinates(name), K, widths)
            self._around[name] = (X, found)
        return self._around[name][1]

    def spacing(self, name: str, rows: NDArray[np.int64], k: int) -> Array:
        """Distance from training rows to their k-th nearest other one, shape (n_rows,)."""
        points = self.coordinates(name)
        # A training row is its own nearest neighbour, hence the k + 1st.
        return neighbours(points[rows], points, k + 1).distance[:, -1]


def check_finite(X: NDArray[np.floating], what: str) -> None:
    """Raise :class:`DataError`, naming columns, where features are missing or infinite."""
    bad = ~np.isfinite(X)
    if bad.any():
        columns = ", ".join(map(str, np.flatnonzero(bad.any(axis=0))[:5]))
        raise DataError(
            f"{int(bad.any(axis=1).sum())} of {len(X)} {what} materials have a missing or infinite "
            f"feature (columns {columns}): leave them out, or fill them from the training set"
        )
