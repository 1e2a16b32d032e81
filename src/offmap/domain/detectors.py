"""Detectors: fitted on training materials, they score how far out any material lies.

All have the grammar ``fit(train).score(X)``; larger is further out, and only the order matters, for
thresholds are calibrated afterwards (:mod:`offmap.domain.calibration`). ``train`` is a
:class:`~offmap.domain.reference.Reference`, so that detectors share spaces and neighbours.
"""

from __future__ import annotations

from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from offmap import registry
from offmap.domain.isolation import Forest
from offmap.domain.neighbours import neighbours
from offmap.domain.reference import Reference

Array = NDArray[np.float64]
Features = NDArray[np.floating]


DETECTORS = (
    "knn",
    "kde",
    "mahalanobis",
    "local_density",
    "isolation_forest",
    "feature_range",
    "knn_weighted",
)
"""Where a material lies: these vote on the verdict."""

SIGNALS = ("label_spread", "neighbour_error", "leaf_occupancy", "model_spread", "difficulty")
"""What the training labels say of the place: part of the combined verdict, but without a vote."""


class Detector(Protocol):
    """What every detector offers."""

    def fit(self, train: Reference) -> Self:
        """Learn the domain of a training set."""
        ...

    def score(self, X: Features) -> Array:
        """How far out each row lies, shape (n,)."""
        ...


class _Fitted:
    train: Reference

    def fit(self, train: Reference) -> Self:
        """Learn the domain of a training set."""
        self.train = train
        return self


class NearestNeighbours(_Fitted):
    """Distance to the k-th nearest training material.

    Parameters
    ----------
    k
        Which neighbour (Ramaswamy, Rastogi & Shim, SIGMOD 2000, doi 10.1145/342009.335437).
    space
        ``"whitened"``, or ``"weighted"`` by the importance of each feature to the model.
    """

    def __init__(self, k: int = 10, space: str = "whitened") -> None:
        self.k, self.space = k, space

    def score(self, X: Features) -> Array:
        """Distance in units of the space, shape (n,)."""
        distance = self.train.around(self.space, X).distance
        return distance[:, min(self.k, distance.shape[1]) - 1]


class KernelDensity(_Fitted):
    """Minus the logarithm of a Gaussian kernel density in whitened principal components.

    Parameters
    ----------
    width
        Bandwidth in units of half of Scott's rule.
    """

    def __init__(self, width: float = 1.0) -> None:
        self.width = width

    def score(self, X: Features) -> Array:
        """Minus log density, shape (n,)."""
        if self.width == 1.0:
            return -self.train.around("whitened", X).log_density[:, 0]
        points, space = self.train.coordinates("whitened"), self.train.space("whitened")
        h = self.width * self.train.bandwidth("whitened")
        return -neighbours(space(X), points, 1, (h,)).log_density[:, 0]


class Mahalanobis(_Fitted):
    """Leverage: Mahalanobis distance to the mean, over all components of standardised features.

    Directions in which the training set hardly varies have a ridge added to their variance.
    """

    def score(self, X: Features) -> Array:
        """Distance, shape (n,)."""
        coordinates = self.train.space("mahalanobis")(X).astype(np.float64)
        distance: Array = np.sqrt((coordinates**2).sum(axis=1))
        return distance


class LocalDensityRatio(_Fitted):
    """Distance to the k-th neighbour, relative to what is usual for the nearest materials.

    The local outlier factor without smoothing (Breunig et al., SIGMOD 2000; Schubert, Zimek &
    Kriegel, Data Min. Knowl. Disc. 28, 190, 2014, doi 10.1007/s10618-012-0300-z).

    Parameters
    ----------
    k
        Which neighbour.
    peers
        How many of the nearest materials say what is usual.
    """

    def __init__(self, k: int = 10, peers: int = 1) -> None:
        self.k, self.peers = k, peers

    def score(self, X: Features) -> Array:
        """Ratio of distances, shape (n,)."""
        found = self.train.around("whitened", X)
        k = min(self.k, found.distance.shape[1])
        nearest = found.index[:, : self.peers]
        rows, which = np.unique(nearest, return_inverse=True)
        own = self.train.spacing("whitened", rows, k)
        usual = own[which.reshape(nearest.shape)].mean(axis=1)
        floor = max(float(np.median(own)) * 1e-3, np.finfo(float).tiny)
        ratio: Array = (found.distance[:, k - 1] + floor) / (usual + floor)
        return ratio


class IsolationForest(_Fitted):
    """How few random cuts isolate a material (Liu, Ting & Zhou, 2008, doi 10.1109/ICDM.2008.17).

    Parameters
    ----------
    n_estimators
        Trees, each on 256 training materials.
    """

    def __init__(self, n_estimators: int = 100) -> None:
        self.n_estimators = n_estimators

    def fit(self, train: Reference) -> Self:
        """Grow the trees."""
        rng = np.random.default_rng(train.seed)
        self.forest = Forest.grow(train.X, self.n_estimators, rng)
        return super().fit(train)

    def score(self, X: Features) -> Array:
        """The forest's score, shape (n,)."""
        return self.forest.score(X.astype(np.float32, copy=False))


class FeatureRange(_Fitted):
    """How far features leave the range of the training set, in standard deviations, weighted.

    Parameters
    ----------
    weighted
        Whether features count by their importance to the model, or all alike.
    """

    def __init__(self, weighted: bool = True) -> None:
        self.weighted = weighted

    def score(self, X: Features) -> Array:
        """Root of the weighted mean square excess, shape (n,)."""
        return np.sqrt((excess(self.train, X) ** 2) @ self._weights())

    def _weights(self) -> Array:
        weights = self.train.weights if self.weighted else np.ones(self.train.X.shape[1])
        total: Array = weights / max(weights.sum(), np.finfo(float).tiny)
        return total


class UmapDensity(_Fitted):
    """Kernel density in a UMAP of the training set; test materials are placed afterwards.

    Parameters
    ----------
    n_neighbours
        As in the study: 50.
    width
        Bandwidth relative to half of Scott's rule.

    References
    ----------
    McInnes, Healy & Melville, arXiv 1802.03426 (2018).
    """

    def __init__(self, n_neighbours: int = 50, width: float = 1.0) -> None:
        self.n_neighbours, self.width = n_neighbours, width

    def fit(self, train: Reference) -> Self:
        """Fit the map, which takes a minute per 10,000 materials or so."""
        from offmap.domain.faithful import quiet_umap

        self.map = quiet_umap(n_neighbors=self.n_neighbours, random_state=train.seed)
        self.points = np.asarray(self.map.fit_transform(train.coordinates("whitened")))
        return super().fit(train)

    def score(self, X: Features) -> Array:
        """Minus log density in the map, shape (n,)."""
        from offmap.domain.faithful import quietly

        with quietly():
            placed = self.map.transform(self.train.space("whitened")(X))
        scale = float(np.sqrt(self.points.var(axis=0).mean()))
        h = 0.5 * self.width * scale * len(self.points) ** (-1 / 6)
        return -neighbours(np.asarray(placed), self.points, 1, (h,)).log_density[:, 0]


def excess(train: Reference, X: Features) -> Array:
    """Distance of each feature to the training range, in training standard deviations, (n, p).

    A feature that is constant in training counts in its own unit; each counts 10 at most.
    """
    from offmap.domain.spaces import spread

    low, high = train.limits
    scale, varies = spread(train.moments)
    scale = np.where(varies, scale, 1.0)
    outside: Array = np.maximum(np.maximum(low - X, X - high), 0) / scale
    return np.minimum(outside, 10.0)


def nearest(**settings: Any) -> Detector:
    """The one nearest neighbour in whitened principal components."""
    return NearestNeighbours(**{"k": 1} | settings)


def knn(**settings: Any) -> Detector:
    """Nearest neighbours in whitened principal components."""
    return NearestNeighbours(**settings)


def knn_weighted(**settings: Any) -> Detector:
    """Nearest neighbours in features weighted by importance."""
    return NearestNeighbours(**{"space": "weighted"} | settings)


def make_detector(name: str) -> Detector:
    """A new detector of this name, or ``package.module:Class``."""
    detector: Detector = registry.load("detector", name)()
    return detector
