"""Exact nearest neighbours and kernel sums in one pass over the reference materials."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offmap.domain.leaves import Leaves
from offmap.errors import DataError

Points = NDArray[Any]


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
    kind = np.float64 if exact else np.float32
    if not len(references):
        raise DataError("there are no training materials to measure distances from")
    leaves = Leaves.of(np.ascontiguousarray(references, dtype=kind), len(queries))
    q = np.ascontiguousarray(queries, dtype=kind)
    return among(leaves, q, min(k, len(references)), len(references), bandwidths)


def among(
    leaves: Leaves, queries: Points, k: int, n: int, bandwidths: tuple[float, ...] = ()
) -> Neighbours:
    """The same, where the ``n`` references are in leaves already."""
    distance, index, log_sums = leaves.search(queries, k, bandwidths)
    scale = queries.shape[1] * np.log(np.array(bandwidths) * np.sqrt(2 * np.pi))
    return Neighbours(distance, index, log_sums - np.log(n) - scale)
