"""Points in small boxes: a search looks into a box only if something in it can be near enough.

Leaves of a k-d tree (Bentley, Commun. ACM 18, 509, 1975, doi 10.1145/361002.361007), cut at the
median along the axis of largest variance, all full but the last. There are too few to need the
nodes above them. Distances inside a leaf are summed axis by axis over all its members at once, and
given up where none of them can count any more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[np.float64]
Rows = NDArray[np.int64]
Points = NDArray[Any]

_WIDTH = 128
# Axes between two looks at whether a leaf is worth the rest of them.
_AXES = 4
# The bound and the distances are rounded differently.
_SURE = 1 - 1e-5
# From so many queries on it pays to cut along the axes instead of as the points come.
_WORTHWHILE = 1000
# Kernels below exp(-25) of the nearest one are left out: 1e-6 of the sum over 50,000 materials.
REACH = 25.0


@dataclass(frozen=True, eq=False)
class Leaves:
    """Points in leaves of 128.

    Parameters
    ----------
    ids
        Which point each place holds, -1 for none, shape (n_leaves, 128).
    members
        Coordinates, shape (n_leaves, d, 128).
    low, high
        Sides of each box, shape (d, n_leaves).
    penalty
        Added to squared distances: infinite for places that do not count, shape (n_leaves, 128).
    """

    ids: Rows
    members: Points
    low: Points
    high: Points
    penalty: Points

    @classmethod
    def of(cls, points: Points, n_queries: int) -> Self:
        """Cut points, shape (n, d), for so many queries."""
        ids = np.arange(len(points))
        if n_queries >= _WORTHWHILE:
            ids = _cut(points)
        return cls._filled(ids, points[ids])

    @classmethod
    def _filled(cls, ids: Rows, points: Points) -> Self:
        """Leaves of points that are in order already."""
        n_leaves, d = -(-len(ids) // _WIDTH), points.shape[1]
        empty = n_leaves * _WIDTH - len(ids)
        # Empty places of the last leaf repeat a point of it, so that its box stays as it is.
        padded = np.concatenate([points, np.repeat(points[-1:], empty, axis=0)])
        members = padded.reshape(n_leaves, _WIDTH, d).transpose(0, 2, 1).copy()
        low, high = (np.ascontiguousarray(side(axis=2).T) for side in (members.min, members.max))
        ids = np.append(ids, np.full(empty, -1)).reshape(n_leaves, _WIDTH)
        return cls(ids, members, low, high, _infinite(ids < 0, points.dtype))

    def only(self, chosen: NDArray[np.bool_], n_queries: int) -> Self:
        """Some of the points, for so many queries.

        The others are passed over, or left out where that is soon worth new boxes.

        Parameters
        ----------
        chosen
            Which points, shape (n,).
        n_queries
            How many queries there will be.
        """
        held = (self.ids >= 0) & chosen[self.ids]
        if n_queries * (1 - held.mean()) < _WORTHWHILE / 2:
            return replace(self, penalty=_infinite(~held, self.members.dtype))
        return self._filled(self.ids[held], self.members.transpose(0, 2, 1)[held])

    def search(
        self, queries: Points, k: int, bandwidths: tuple[float, ...] = ()
    ) -> tuple[Array, Rows, Array]:
        """Nearest points and kernel sums.

        Parameters
        ----------
        queries
            Shape (n_queries, d), of the type of the points.
        k
            How many neighbours; at most as many as there are points.
        bandwidths
            Widths of Gaussian kernels.

        Returns
        -------
        distance, index
            Ascending, shape (n_queries, k); ``index`` says which point.
        log_sums
            Logarithm of each kernel sum, shape (n_queries, n_bandwidths).
        """
        rates = np.array([0.5 / width**2 for width in bandwidths], dtype=np.float64)
        reach = REACH / rates.min() if len(rates) else 0.0
        squared = np.full((len(queries), k), np.inf)
        place = np.zeros((len(queries), k), dtype=np.int64)
        sums = np.zeros((len(queries), len(rates)))
        boxes = (self.low, self.high, self.members, self.penalty)
        _search(queries, *boxes, rates, reach, squared, place, sums)
        with np.errstate(divide="ignore"):
            log_sums = np.log(sums) - squared[:, :1] * rates
        _refine(queries, self.members, squared, place)
        return np.sqrt(squared), self.ids.ravel()[place], log_sums

    def beyond(self, queries: Points, edge: Array, bandwidth: float, enough: Array) -> Array:
        """Upper bound of the logarithm of the kernel sum over points further away than an edge.

        Parameters
        ----------
        queries
            Shape (n_queries, d).
        edge
            Squared distance of each query from which points count, shape (n_queries,).
        bandwidth
            Width of the Gaussian kernel.
        enough
            A bound below this will do, and boxes alone may give it, shape (n_queries,). Others are
            the sum, over points within reach.

        Returns
        -------
        ndarray
            Shape (n_queries,).
        """
        rate, sums = 0.5 / bandwidth**2, np.zeros(len(queries))
        boxes = (self.low, self.high, self.members, self.penalty)
        with np.errstate(divide="ignore", over="ignore"):
            _beyond(queries, *boxes, edge, rate, np.exp(enough + edge * rate), sums)
            outside: Array = np.log(sums) - edge * rate
        return outside


def _infinite(where: NDArray[np.bool_], kind: np.dtype[Any]) -> Points:
    return np.where(where, np.inf, 0).astype(kind)


def _cut(points: Points) -> Rows:
    """All rows, in an order of which every 128 lie close together."""
    leaves: list[Rows] = []
    stack = [np.arange(len(points))]
    while stack:
        rows = stack.pop()
        if len(rows) <= _WIDTH:
            leaves.append(rows)
            continue
        some = points[rows]
        axis = int(np.argmax(some.var(axis=0)))
        half = _WIDTH * (-(-len(rows) // _WIDTH) // 2)
        order = np.argpartition(some[:, axis], half)
        stack += [rows[order[half:]], rows[order[:half]]]
    return np.concatenate(leaves)


@njit(cache=True, nogil=True)
def _bound(query, low, high, bound):  # type: ignore[no-untyped-def]
    """Squared distance to each box; the number of the nearest."""
    zero = bound.dtype.type(0)
    bound[:] = zero
    for axis in range(low.shape[0]):
        below, above, x = low[axis], high[axis], query[axis]
        for leaf in range(len(bound)):
            left, right = below[leaf] - x, x - above[leaf]
            # Not max(), which numba does not turn into vector instructions.
            outside = left if left > right else right
            outside = outside if outside > zero else zero
            bound[leaf] += outside * outside
    return np.argmin(bound)


@njit(cache=True, nogil=True, fastmath={"contract"})
def _away(query, members, penalty, limit, squared):  # type: ignore[no-untyped-def]
    """Squared distances to the members of a leaf; whether one is below the limit."""
    n_axes = members.shape[0]
    for j in range(_WIDTH):
        squared[j] = penalty[j]
    for begin in range(0, n_axes, _AXES):
        for axis in range(begin, min(begin + _AXES, n_axes)):
            x, coordinate = query[axis], members[axis]
            for j in range(_WIDTH):
                difference = x - coordinate[j]
                squared[j] += difference * difference
        near = np.int32(0)
        for j in range(_WIDTH):
            near += np.int32(squared[j] < limit)
        if near == 0:
            return False
    return True


@njit(cache=True, nogil=True)
def _search(  # type: ignore[no-untyped-def]
    queries, low, high, members, penalty, rates, reach, best, place, sums
):
    """Fill the best k (as squared distances and places) and sums relative to the nearest."""
    n_leaves, k = len(members), best.shape[1]
    bound = np.empty(n_leaves, members.dtype)
    squared = np.empty(_WIDTH, members.dtype)
    for i in range(len(queries)):
        right = _bound(queries[i], low, high, bound)
        left, turn, limit = right - 1, 0, np.inf
        # Leaves near in order are mostly near in space, so that the limit falls soon.
        while left >= 0 or right < n_leaves:
            turn += 1
            if left < 0 or (turn % 2 and right < n_leaves):
                leaf, right = right, right + 1
            else:
                leaf, left = left, left - 1
            if bound[leaf] * _SURE >= limit:
                continue
            bar = members.dtype.type(limit)
            if not _away(queries[i], members[leaf], penalty[leaf], bar, squared):
                continue
            for j in range(_WIDTH):
                d = np.float64(squared[j])
                if d >= limit:
                    continue
                if d < best[i, 0]:
                    for b in range(len(rates)):
                        sums[i, b] *= np.exp(-(best[i, 0] - d) * rates[b])
                nearest = min(d, best[i, 0])
                for b in range(len(rates)):
                    sums[i, b] += np.exp(-(d - nearest) * rates[b])
                if d < best[i, k - 1]:
                    _insert(best[i], place[i], d, leaf * _WIDTH + j)
                limit = max(best[i, k - 1], best[i, 0] + reach)


@njit(cache=True, nogil=True)
def _insert(best, place, d, where):  # type: ignore[no-untyped-def]
    at = len(best) - 1
    while at > 0 and best[at - 1] > d:
        best[at], place[at] = best[at - 1], place[at - 1]
        at -= 1
    best[at], place[at] = d, where


@njit(cache=True, nogil=True)
def _refine(queries, members, best, place):  # type: ignore[no-untyped-def]
    """The distances of the best in double precision, in order."""
    n_axes, k = members.shape[1], best.shape[1]
    old = np.empty(k, np.int64)
    for i in range(len(queries)):
        old[:] = place[i]
        best[i] = np.inf
        for at in range(k):
            leaf, j, total = old[at] // _WIDTH, old[at] % _WIDTH, 0.0
            for axis in range(n_axes):
                difference = np.float64(queries[i, axis]) - np.float64(members[leaf, axis, j])
                total += difference * difference
            _insert(best[i], place[i], total, old[at])


@njit(cache=True, nogil=True)
def _beyond(  # type: ignore[no-untyped-def]
    queries, low, high, members, penalty, edge, rate, enough, sums
):
    bound = np.empty(len(members), members.dtype)
    squared = np.empty(_WIDTH, members.dtype)
    for i in range(len(queries)):
        _bound(queries[i], low, high, bound)
        for leaf in range(len(members)):
            sums[i] += _WIDTH * np.exp(min(edge[i] - bound[leaf] * _SURE, 0.0) * rate)
        if sums[i] < enough[i]:
            continue
        sums[i] = 0.0
        nearest, limit = edge[i] * _SURE, edge[i] + REACH / rate
        bar = members.dtype.type(limit)
        for leaf in range(len(members)):
            if bound[leaf] * _SURE >= limit:
                continue
            if not _away(queries[i], members[leaf], penalty[leaf], bar, squared):
                continue
            for j in range(_WIDTH):
                if nearest <= squared[j] < limit:
                    sums[i] += np.exp((edge[i] - squared[j]) * rate)
