"""Isolation trees, grown and walked in compiled code: a study grows a forest for each of its tasks.

The forest of scikit-learn takes a quarter of a second to set up and grow 100 trees of 256 rows,
most of it in checks; over several hundred tasks that is a minute.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[np.float64]
Features = NDArray[np.float32]

_ROWS = 256


@dataclass(frozen=True, eq=False)
class Forest:
    """Isolation trees (Liu, Ting & Zhou, 2008, doi 10.1109/ICDM.2008.17).

    Parameters
    ----------
    feature
        Feature that each node cuts, -1 in a leaf, shape (n_trees, n_nodes).
    cut
        Where; rows at most as large go left, shape (n_trees, n_nodes).
    left
        Number of the left child; the right one follows, shape (n_trees, n_nodes).
    path
        In a leaf, cuts that lead there and those expected to part its rows, same shape.
    usual
        Expected cuts to isolate a row among as many as each tree was grown from.
    """

    feature: NDArray[np.int32]
    cut: Features
    left: NDArray[np.int32]
    path: Array
    usual: float

    @classmethod
    def grow(cls, X: Features, n_trees: int, rng: np.random.Generator) -> Forest:
        """Grow trees from 256 random rows each."""
        size = min(_ROWS, len(X))
        depth = max(int(np.ceil(np.log2(max(size, 2)))), 1)
        shape = (n_trees, 2 ** (depth + 1))
        feature = np.full(shape, -1, dtype=np.int32)
        cut, left, path = np.zeros(shape, np.float32), np.zeros(shape, np.int32), np.zeros(shape)
        parting = np.array([_cuts(n) for n in range(size + 1)])
        for tree in range(n_trees):
            rows = np.sort(rng.choice(len(X), size, replace=False, shuffle=False))
            _grow(X[rows], depth, parting, rng, feature[tree], cut[tree], left[tree], path[tree])
        return cls(feature, cut, left, path, float(max(parting[-1], 1.0)))

    def score(self, X: Features) -> Array:
        """Anomaly score, 0 to 1: near 1 for rows that few cuts isolate; shape (n,)."""
        total = np.zeros(len(X))
        _walk(np.ascontiguousarray(X), self.feature, self.cut, self.left, self.path, total)
        score: Array = 2.0 ** (-total / (len(self.feature) * self.usual))
        return score


def _cuts(n: int) -> float:
    """Expected number of cuts that isolate one of n rows (their eq. 1)."""
    if n < 2:
        return 0.0
    return 1.0 if n == 2 else 2.0 * (np.log(n - 1.0) + np.euler_gamma) - 2.0 * (n - 1.0) / n


@njit(cache=True, nogil=True)
def _grow(X, depth, parting, rng, feature, cut, left, path):  # type: ignore[no-untyped-def]
    n, p = X.shape
    order, columns = np.arange(n), np.arange(p)
    start, stop = np.zeros(len(feature), np.int64), np.zeros(len(feature), np.int64)
    level = np.zeros(len(feature), np.int64)
    stop[0], nodes, node = n, 1, 0
    while node < nodes:
        a, b = start[node], stop[node]
        low = high = np.float32(0)
        chosen = -1
        if b - a > 1 and level[node] < depth:
            for tried in range(p):  # features in random order, until one varies here
                other = rng.integers(tried, p)
                columns[tried], columns[other] = columns[other], columns[tried]
                f = columns[tried]
                low = high = X[order[a], f]
                for i in range(a + 1, b):
                    value = X[order[i], f]
                    low, high = min(low, value), max(high, value)
                if low < high:
                    chosen = f
                    break
        if chosen < 0:
            path[node] = level[node] + parting[b - a]
        else:
            at = np.float32(low + rng.random() * (high - low))
            at = low if at >= high else at
            middle = a
            for i in range(a, b):
                if X[order[i], chosen] <= at:
                    order[i], order[middle] = order[middle], order[i]
                    middle += 1
            feature[node], cut[node], left[node] = chosen, at, nodes
            start[nodes], stop[nodes], level[nodes] = a, middle, level[node] + 1
            start[nodes + 1], stop[nodes + 1], level[nodes + 1] = middle, b, level[node] + 1
            nodes += 2
        node += 1


@njit(cache=True, nogil=True)
def _walk(X, feature, cut, left, path, total):  # type: ignore[no-untyped-def]
    for i in range(X.shape[0]):
        for tree in range(feature.shape[0]):
            node = 0
            while feature[tree, node] >= 0:
                right = X[i, feature[tree, node]] > cut[tree, node]
                node = left[tree, node] + right
            total[i] += path[tree, node]
