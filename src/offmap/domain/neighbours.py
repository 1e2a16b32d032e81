"""Exact nearest neighbours and kernel sums in one pass over the reference materials.

Blocks of squared distances come from one matrix product each; a compiled loop then keeps the
smallest few of every row and adds up the kernels. Nothing of size (queries x references) is stored,
and several bandwidths cost little more than one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from offmap.errors import DataError

Array = NDArray[np.float64]
Points = NDArray[Any]

# Queries and references per block: 4 MB of distances, which stay in the cache of one core.
_QUERIES, _REFERENCES = 256, 4096
# Distances looked at together: most such groups hold none that counts.
_GROUP = 64
# Kernels below exp(-25) of the nearest one are left out: 1e-6 of the sum over 50,000 materials.
_REACH = 25.0


@dataclass(frozen=True, eq=False)
class Neighbours:
    """What lies around each query.

    Parameters
    ----------
    distance
        Distance to the 1st to k-th nearest reference, ascending, shape (n_queries, k).
    index
        Row of that reference, shape (n_queries, k).
    log_density
        Natural logarithm of the Gaussian kernel density, shape (n_queries, n_bandwidths).
    """

    distance: NDArray[np.float64]
    index: NDArray[np.int64]
    log_density: NDArray[np.float64]


def neighbours(
    queries: Points,
    references: Points,
    k: int,
    bandwidths: tuple[float, ...] = (),
    exact: bool = False,
) -> Neighbours:
    """Find the k nearest references of each query, and its kernel densities.

    Parameters
    ----------
    queries, references
        Points, shapes (n_queries, d) and (n_references, d).
    k
        How many neighbours; as many as there are references at most.
    bandwidths
        Widths of Gaussian kernels, in units of the space.
    exact
        Work in double precision: for kernels far narrower than the data are wide.

    Raises
    ------
    DataError
        If there is no reference.
    """
    if not len(references):
        raise DataError("there are no training materials to measure distances from")
    k = min(k, len(references))
    kind = np.float64 if exact else np.float32
    q: Points = np.ascontiguousarray(queries, dtype=kind)
    r: Points = np.ascontiguousarray(references, dtype=kind)
    rates = np.array([0.5 / width**2 for width in bandwidths], dtype=np.float64)
    reach = _REACH / rates.min() if len(rates) else 0.0
    best = np.full((len(q), k), np.inf)
    index = np.zeros((len(q), k), dtype=np.int64)
    sums = np.zeros((len(q), len(rates)))
    left, right = _factors(q, r)
    for i in range(0, len(q), _QUERIES):
        rows = slice(i, i + _QUERIES)
        for j in range(0, len(r), _REFERENCES):
            block = left[rows] @ right[:, j : j + _REFERENCES]
            _scan(block, j, best[rows], index[rows], sums[rows], rates, reach)
    with np.errstate(divide="ignore"):
        density = np.log(sums) - best[:, :1] * rates - np.log(len(r))
    density -= q.shape[1] * np.log(np.array(bandwidths) * np.sqrt(2 * np.pi)) if bandwidths else 0.0
    distance, index = _exact(q, r, index)
    return Neighbours(distance, index, density)


def beyond(queries: Points, references: Points, edge: Array, bandwidth: float) -> Array:
    """Logarithm of the kernel sum over references that lie further away than some distance.

    Parameters
    ----------
    queries, references
        Points, shapes (n_queries, d) and (n_references, d).
    edge
        Squared distance of each query from which references count, shape (n_queries,).
    bandwidth
        Width of the Gaussian kernel.

    Returns
    -------
    ndarray
        Shape (n_queries,); an upper bound, for those at the edge count.
    """
    q: Points = np.ascontiguousarray(queries, dtype=np.float32)
    r: Points = np.ascontiguousarray(references, dtype=np.float32)
    left, right = _factors(q, r)
    rate, sums = 0.5 / bandwidth**2, np.zeros(len(q))
    for i in range(0, len(q), _QUERIES):
        rows = slice(i, i + _QUERIES)
        for j in range(0, len(r), _REFERENCES):
            _add_beyond(left[rows] @ right[:, j : j + _REFERENCES], edge[rows], rate, sums[rows])
    with np.errstate(divide="ignore"):
        outside: Array = np.log(sums) - edge * rate
    return outside


@njit(cache=True, nogil=True)
def _add_beyond(block, edge, rate, sums):  # type: ignore[no-untyped-def]
    for i in range(block.shape[0]):
        low = block.dtype.type(edge[i] * (1 - 1e-5))
        high = block.dtype.type(edge[i] + _REACH / rate)
        for j in range(block.shape[1]):
            if low <= block[i, j] < high:
                sums[i] += np.exp((edge[i] - block[i, j]) * rate)


def _factors(q: Points, r: Points) -> tuple[Points, Points]:
    """Two matrices whose product is the squared distances: |q|^2 - 2 q.r + |r|^2."""
    q_norm, r_norm = (q * q).sum(axis=1), (r * r).sum(axis=1)
    left = np.column_stack([-2.0 * q, q_norm, np.ones_like(q_norm)])
    right = np.column_stack([r, np.ones_like(r_norm), r_norm])
    return left.astype(q.dtype, copy=False), np.ascontiguousarray(right.T, dtype=q.dtype)


def _exact(q: Points, r: Points, index: NDArray[np.int64]) -> tuple[Array, NDArray[np.int64]]:
    """Distances without the rounding of the matrix product, in order."""
    squared = np.zeros(index.shape)
    for column in range(q.shape[1]):
        squared += (q[:, column, None].astype(np.float64) - r[index, column]) ** 2
    order = np.argsort(squared, axis=1, kind="stable")
    return np.sqrt(np.take_along_axis(squared, order, 1)), np.take_along_axis(index, order, 1)


@njit(cache=True, nogil=True)
def _scan(block, offset, best, index, sums, rates, reach):  # type: ignore[no-untyped-def]
    """Merge one block into the best k and the kernel sums (relative to the nearest)."""
    k, n = best.shape[1], block.shape[1]
    for i in range(block.shape[0]):
        row = block[i]
        limit = row.dtype.type(max(best[i, k - 1], best[i, 0] + reach))
        for start in range(0, n, _GROUP):
            stop = min(start + _GROUP, n)
            near = np.int32(0)
            for j in range(start, stop):
                near += np.int32(row[j] < limit)
            if near == 0:
                continue
            for j in range(start, stop):
                if row[j] >= limit:
                    continue
                d = max(np.float64(row[j]), 0.0)
                if d < best[i, 0]:
                    for b in range(rates.shape[0]):
                        sums[i, b] *= np.exp(-(best[i, 0] - d) * rates[b])
                nearest = min(d, best[i, 0])
                for b in range(rates.shape[0]):
                    sums[i, b] += np.exp(-(d - nearest) * rates[b])
                if d < best[i, k - 1]:
                    place = k - 1
                    while place > 0 and best[i, place - 1] > d:
                        best[i, place] = best[i, place - 1]
                        index[i, place] = index[i, place - 1]
                        place -= 1
                    best[i, place] = d
                    index[i, place] = offset + j
                limit = row.dtype.type(max(best[i, k - 1], best[i, 0] + reach))
