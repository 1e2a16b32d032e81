"""Which materials of a held-out group to label first: in what order they are taken from a pool."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Rows = NDArray[np.int64]

_NEIGHBOURS = 10
_BLOCK = 1024
_MOST_DIVERSE = 1000


def standardised(X: NDArray[np.float32], train: Rows) -> NDArray[np.float32]:
    """Descriptors in standard deviations of the training materials; constant columns are left."""
    rows = np.asarray(X[train], dtype=np.float64)
    spread = rows.std(axis=0)
    spread[spread == 0] = 1.0
    scaled: NDArray[np.float32] = ((X - rows.mean(axis=0)) / spread).astype(np.float32)
    return scaled


def random_first(
    pool: Rows, Z: NDArray[np.float32], distance: Array, rng: np.random.Generator
) -> Rows:
    """In random order."""
    return rng.permutation(pool)


def furthest_first(
    pool: Rows, Z: NDArray[np.float32], distance: Array, rng: np.random.Generator
) -> Rows:
    """Most out-of-domain first: by mean distance to the 10 nearest training materials."""
    return pool[np.argsort(-distance[pool], kind="stable")]


def diverse_first(
    pool: Rows, Z: NDArray[np.float32], distance: Array, rng: np.random.Generator
) -> Rows:
    """Most diverse first: each is the furthest from those taken before (k-centre, greedy).

    It begins with the material nearest the middle of the pool; after 1,000 the others follow at
    random. (T. Gonzalez, Theor. Comput. Sci. 38, 293, 1985.)
    """
    points = Z[pool]
    taken = [int(np.argmin(((points - points.mean(axis=0)) ** 2).sum(axis=1)))]
    nearest = np.full(len(pool), np.inf)
    while len(taken) < min(_MOST_DIVERSE, len(pool)):
        gap = ((points - points[taken[-1]]) ** 2).sum(axis=1)
        nearest = np.minimum(nearest, gap)
        nearest[taken] = -1.0
        taken.append(int(np.argmax(nearest)))
    others = np.setdiff1d(np.arange(len(pool)), taken)
    return pool[np.concatenate([taken, rng.permutation(others)]).astype(np.int64)]


CHOICES: dict[str, Callable[..., Rows]] = {
    "random": random_first,
    "out_of_domain": furthest_first,
    "diverse": diverse_first,
}
"""Name -> order of a pool of rows, from standardised descriptors and distances of all materials."""


def distance_to(points: NDArray[np.float32], train: NDArray[np.float32]) -> Array:
    """Mean Euclidean distance of each point to its nearest training points, shape (n,)."""
    k = min(_NEIGHBOURS, len(train))
    squares = (train.astype(np.float64) ** 2).sum(axis=1).astype(np.float32)
    found = np.empty(len(points))
    for start in range(0, len(points), _BLOCK):
        block = points[start : start + _BLOCK]
        gap = squares - 2 * block @ train.T  # less the same constant for a row
        nearest = np.partition(gap, k - 1, axis=1)[:, :k] + (block**2).sum(axis=1)[:, None]
        found[start : start + _BLOCK] = np.sqrt(np.maximum(nearest, 0)).mean(axis=1)
    return found
