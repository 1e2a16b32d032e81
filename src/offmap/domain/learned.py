"""Detectors that look at the labels of the training set, because a model does.

Plain distances miss the point: a fluoride has close neighbours among chlorides in structure, and
the model is wrong about it all the same. These ask what the model would make of the place: how
labels scatter around it, how well small models do there, and how much they differ.
"""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import NDArray

from offmap.domain.reference import Reference

Array = NDArray[np.float64]
Features = NDArray[np.floating]


class _Fitted:
    train: Reference

    def fit(self, train: Reference) -> Self:
        """Learn the domain of a training set with labels."""
        self.train = train
        return self

    def _labels(self) -> Array:
        if self.train.y is None:
            _ = self.train.scouts  # says what is missing
        y: Array = np.asarray(self.train.y, dtype=np.float64)
        return y


class LabelSpread(_Fitted):
    """Standard deviation of the labels of the nearest training materials, in the weighted space.

    Parameters
    ----------
    k
        How many neighbours.
    """

    def __init__(self, k: int = 10) -> None:
        self.k = k

    def score(self, X: Features) -> Array:
        """Spread in units of the label, shape (n,)."""
        y = self._labels()
        spread: Array = y[self.train.around("weighted", X).index[:, : self.k]].std(axis=1)
        return spread


class NeighbourError(_Fitted):
    """Mean error that the scouts make on the nearest training materials that they have not seen.

    Parameters
    ----------
    k
        How many neighbours.
    """

    def __init__(self, k: int = 10) -> None:
        self.k = k

    def score(self, X: Features) -> Array:
        """Error in units of the label, shape (n,)."""
        nearest = self.train.around("weighted", X).index[:, : self.k]
        rows, which = np.unique(nearest, return_inverse=True)
        error = self.train.scouts.errors(rows)
        error = np.where(np.isfinite(error), error, self.train.scouts.usual_error)
        mean: Array = error[which.reshape(nearest.shape)].mean(axis=1)
        return mean


class LeafOccupancy(_Fitted):
    """How empty the leaves are into which a material falls, in the trees of the scouts."""

    def score(self, X: Features) -> Array:
        """Minus the mean log number of training rows per leaf, shape (n,)."""
        return -self.train.scouts.occupancy(X)


class ModelSpread(_Fitted):
    """Standard deviation of the scouts' predictions: models of equal right that disagree."""

    def score(self, X: Features) -> Array:
        """Spread in units of the label, shape (n,)."""
        spread: Array = self.train.scouts.predict(X).std(axis=1)
        return spread


class GroupSpread(_Fitted):
    """Standard deviation of the predictions of models that each lack some regions of the data.

    A bootstrap of groups: drawn row by row, every sample has near twins of the rows that it lacks,
    and models agree where all of them are wrong. Regions are clusters in whitened components.

    Parameters
    ----------
    n_models
        How many; each lacks a random third of the regions.
    n_regions
        How many clusters.
    """

    def __init__(self, n_models: int = 6, n_regions: int = 12) -> None:
        self.n_models, self.n_regions = n_models, n_regions

    def fit(self, train: Reference) -> Self:
        """Fit the models."""
        from sklearn.cluster import KMeans

        scouts = train.scouts
        points = train.space("whitened")(scouts.X[scouts.sample])
        n_regions = min(self.n_regions, len(points))
        region = KMeans(n_regions, n_init=1, random_state=train.seed).fit_predict(points)
        rng, self.trees = np.random.default_rng(train.seed), []
        for _ in range(self.n_models):
            drawn = rng.choice(n_regions, max(round(2 / 3 * n_regions), 1), replace=False)
            rows = scouts.sample[np.isin(region, drawn)]
            self.trees.append(scouts.fit(rows, scouts.y[rows]))
        return super().fit(train)

    def score(self, X: Features) -> Array:
        """Spread in units of the label, shape (n,)."""
        said = np.stack([trees.look(X)[0] for trees in self.trees])
        spread: Array = said.std(axis=0)
        return spread


class Difficulty(_Fitted):
    """Expected error of the scouts, learned from the features of training rows they have not seen.

    Some materials are hard for any model: rare elements, low symmetry, noisy labels. Trees fitted
    on the scouts' errors know which, without a label of the test set.
    """

    def fit(self, train: Reference) -> Self:
        """Fit the trees on the logarithm of the errors."""
        self.trees = train.scouts.difficulty
        return super().fit(train)

    def score(self, X: Features) -> Array:
        """Expected logarithm of the error, shape (n,)."""
        return self.trees.look(X)[0]


def opinions(train: Reference, X: Features) -> dict[str, Array]:
    """What simple models say of the label of each row, to be compared with the judged model.

    Trees cannot extrapolate and a linear model does little else: where they part, one is wrong.

    Returns
    -------
    dict
        ``trees``: mean of the scouts; ``linear``: ridge regression on standardised features;
        ``neighbours``: mean label of the 10 nearest materials in the weighted space, weighted by
        inverse distance. Each of shape (n,), in units of the label.
    """
    if train.y is None:
        return {}
    y, space = np.asarray(train.y, dtype=np.float64), train.space("mahalanobis")
    # In the ridge-whitened space the normal equations are the identity.
    slope = ((y - y.mean()).astype(np.float32) @ train.X) @ space.axes / len(y)
    found = train.around("weighted", X)
    distance = found.distance[:, :10]
    weight = 1 / (distance + 0.1 * np.median(distance) + np.finfo(float).tiny)
    return {
        "trees": train.scouts.predict(X).mean(axis=1),
        "linear": y.mean() + space(X).astype(np.float64) @ slope,
        "neighbours": (y[found.index[:, :10]] * weight).sum(axis=1) / weight.sum(axis=1),
    }
