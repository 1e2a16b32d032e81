"""One index of neighbours for all tasks: whoever is in the test set is passed over.

In a space that is the same for all tasks, each material's nearest ones are listed once. The nearest
training materials of a task are those in the list that are not in its test set, and the kernel sum
is over the same list; a bound on what lies beyond it says whether that is enough. Where it is not,
because the list is mostly test set, the distances to all training materials are computed: the
result is exact either way.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from offmap.domain.leaves import Leaves
from offmap.domain.neighbours import Neighbours, among

Array = NDArray[np.float64]
Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]

_LISTED = 128
# Share of a kernel sum that may lie beyond the list: 0.001 in the log density.
_SLACK = 1e-3
# Logarithm of a share that is nothing, even where a test set takes most of the list.
_NOTHING = np.log(1e-6)
_ROWS = 2048


@dataclass(frozen=True, eq=False)
class SharedNeighbours:
    """Lists of neighbours in one space.

    Parameters
    ----------
    points
        Coordinates of all materials, shape (n, d).
    usable
        Which may be neighbours at all, shape (n,).
    leaves
        The usable ones in boxes, where lists do not suffice.
    distance, index
        Of the nearest usable materials, itself among them, ascending, shape (n, n_listed).
    rest
        Bound of the logarithm of the kernel sum over what is not in the list, shape (n,); empty
        without kernels.
    bandwidth
        Of the kernel; 0 for none.
    """

    points: NDArray[np.float32]
    usable: Mask
    leaves: Leaves
    distance: NDArray[np.float32]
    index: NDArray[np.int32]
    rest: Array
    bandwidth: float

    @classmethod
    def of(
        cls, points: NDArray[np.float32], usable: Mask, bandwidth: float = 0.0, jobs: int = 1
    ) -> SharedNeighbours:
        """List the neighbours of all materials.

        Parameters
        ----------
        points, usable, bandwidth
            As above.
        jobs
            Threads.
        """
        points, rows = np.ascontiguousarray(points), np.flatnonzero(usable)
        leaves = Leaves.of(points[rows], len(points))
        listed = min(_LISTED, len(rows))

        def part(start: int) -> tuple[NDArray[np.float32], NDArray[np.int32], Array]:
            queries = points[start : start + _ROWS]
            distance, index, _ = leaves.search(queries, listed)
            rest = np.zeros(0)
            if bandwidth:
                squared = distance**2
                enough = _NOTHING - squared[:, 0] / (2 * bandwidth**2)
                rest = leaves.beyond(queries, squared[:, -1], bandwidth, enough)
            return distance.astype(np.float32), rows[index].astype(np.int32), rest

        with ThreadPoolExecutor(jobs) as pool:
            parts = list(pool.map(part, range(0, len(points), _ROWS)))
        distance, index, rest = (np.concatenate(column) for column in zip(*parts, strict=True))
        return cls(points, usable, leaves, distance, index, rest, bandwidth)

    def around(self, rows: Rows, held_out: Mask, k: int) -> Neighbours:
        """The nearest training materials of some rows in one task, and the kernel densities there.

        Parameters
        ----------
        rows
            Materials that are asked for, shape (n_rows,).
        held_out
            Test set of the task, shape (n,).
        k
            How many neighbours.

        Returns
        -------
        Neighbours
            ``index`` counts the training materials of the task, in their order.
        """
        learn = np.flatnonzero(self.usable & ~held_out)
        k = min(k, len(learn))
        distance, index = np.zeros((len(rows), k)), np.zeros((len(rows), k), dtype=np.int64)
        sums, complete = np.zeros(len(rows)), np.zeros(len(rows), dtype=np.bool_)
        rate = 0.5 / self.bandwidth**2 if self.bandwidth else 0.0
        rest = self.rest if rate else np.full(len(self.points), -np.inf)
        _pass_over(
            rows, self.index, self.distance, held_out, rest, rate, distance, index, sums, complete
        )
        number = np.cumsum(self.usable & ~held_out) - 1
        index = number[index]
        widths = (self.bandwidth,) if rate else ()
        density = np.zeros((len(rows), len(widths)))
        if rate:
            d = self.points.shape[1]
            scale = np.log(len(learn)) + d * np.log(self.bandwidth * np.sqrt(2 * np.pi))
            with np.errstate(divide="ignore"):
                density[:, 0] = np.log(sums) - distance[:, 0] ** 2 * rate - scale
        lacking = np.flatnonzero(~complete)
        if len(lacking):
            leaves = self.leaves.only(~held_out[self.usable], len(lacking))
            found = among(leaves, self.points[rows[lacking]], k, len(learn), widths)
            usable = np.flatnonzero(self.usable)
            distance[lacking], index[lacking] = found.distance, number[usable[found.index]]
            density[lacking] = found.log_density
        return Neighbours(distance, index, density)


@njit(cache=True, nogil=True)
def _pass_over(  # type: ignore[no-untyped-def]
    rows, listed, listed_distance, held_out, rest, rate, distance, index, sums, complete
):
    """Nearest materials that are not held out, and their kernels relative to the nearest."""
    k = distance.shape[1]
    for r in range(len(rows)):
        i = rows[r]
        found, first, total = 0, 0.0, 0.0
        for place in range(listed.shape[1]):
            j = listed[i, place]
            if held_out[j]:
                continue
            d = np.float64(listed_distance[i, place])
            if found == 0:
                first = d * d
            if found < k:
                distance[r, found] = d
                index[r, found] = j
            elif rate == 0.0:
                break
            found += 1
            total += np.exp((first - d * d) * rate)
        sums[r] = total
        complete[r] = found >= k
        if found and rate > 0.0:
            complete[r] &= rest[i] + first * rate <= np.log(_SLACK * total)
