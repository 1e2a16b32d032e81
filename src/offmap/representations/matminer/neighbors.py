"""Periodic neighbours of a site, nearest first, compiled with numba."""

from __future__ import annotations

import numpy as np

from offmap.representations.matminer.compiled import ZERO, Floats, Ints, compiled

OVERLAP_DISTANCE = 0.01
"""Atoms closer than this (angstrom) are the same atom written twice."""

IMAGE_BASE = 1 << 16
"""Lattice translations (t0, t1, t2) are packed as (t0 * base + t1) * base + t2: sums stay sums."""


@compiled
def gather(
    lattice: Floats,
    reach: Floats,
    frac_coords: Floats,
    i: int,
    inner: float,
    outer: float,
    vectors: Floats,
    labels: Ints,
    n_known: int,
) -> int:
    """Append the neighbours of site ``i`` farther than ``inner`` and not farther than ``outer``.

    Parameters
    ----------
    lattice, frac_coords
        Cell vectors as rows (angstrom) and fractional coordinates.
    reach
        Length of each reciprocal vector (no factor of two pi), shape (3,).
    i, inner, outer
        Central site and the two radii, angstrom.
    vectors, labels
        Written from row ``n_known`` on: x, y, z and squared length; site and packed translation.

    Returns
    -------
    int
        Number of known neighbours now; more than ``len(vectors)`` if the arrays are too short
        (then what was written is incomplete), -1 if a neighbour overlaps with the site.
    """
    inner2 = inner * abs(inner)  # a negative radius excludes nothing
    outer2 = outer * outer
    h0, h1, h2 = outer * reach[0], outer * reach[1], outer * reach[2]
    n = n_known
    for j in range(len(frac_coords)):
        d0 = frac_coords[j, 0] - frac_coords[i, 0]
        d1 = frac_coords[j, 1] - frac_coords[i, 1]
        d2 = frac_coords[j, 2] - frac_coords[i, 2]
        for t0 in range(int(np.ceil(-h0 - d0)), int(np.floor(h0 - d0)) + 1):
            x0 = (d0 + t0) * lattice[0, 0]
            y0 = (d0 + t0) * lattice[0, 1]
            z0 = (d0 + t0) * lattice[0, 2]
            for t1 in range(int(np.ceil(-h1 - d1)), int(np.floor(h1 - d1)) + 1):
                x1 = x0 + (d1 + t1) * lattice[1, 0]
                y1 = y0 + (d1 + t1) * lattice[1, 1]
                z1 = z0 + (d1 + t1) * lattice[1, 2]
                for t2 in range(int(np.ceil(-h2 - d2)), int(np.floor(h2 - d2)) + 1):
                    x = x1 + (d2 + t2) * lattice[2, 0]
                    y = y1 + (d2 + t2) * lattice[2, 1]
                    z = z1 + (d2 + t2) * lattice[2, 2]
                    r2 = x * x + y * y + z * z
                    if r2 > outer2 or r2 <= inner2 or (j == i and t0 == 0 and t1 == 0 and t2 == 0):
                        continue
                    if r2 < OVERLAP_DISTANCE * OVERLAP_DISTANCE:
                        return -1
                    if n < len(vectors):
                        vectors[n, 0] = x
                        vectors[n, 1] = y
                        vectors[n, 2] = z
                        vectors[n, 3] = r2
                        labels[n, 0] = j
                        labels[n, 1] = (t0 * IMAGE_BASE + t1) * IMAGE_BASE + t2
                    n += 1
    return n


@compiled
def sift_down(vectors: Floats, heap: Ints, at: int, size: int) -> None:
    """Let the item at place ``at`` sink to its place in the heap (nearest neighbour on top)."""
    item = heap[at]
    key = vectors[item, 3]
    child = 2 * at + 1
    while child < size:
        if child + 1 < size and vectors[heap[child + 1], 3] < vectors[heap[child], 3]:
            child += 1
        if vectors[heap[child], 3] >= key:
            break
        heap[at] = heap[child]
        at = child
        child = 2 * at + 1
    heap[at] = item


@compiled
def make_heap(vectors: Floats, heap: Ints, first: int, last: int) -> int:
    """Put the neighbours ``first`` to ``last`` (not included) on the heap; returns its size."""
    size = last - first
    for c in range(size):
        heap[c] = first + c
    for c in range(size // 2 - 1, -1, -1):
        sift_down(vectors, heap, c, size)
    return size


@compiled
def pop(vectors: Floats, heap: Ints, size: int) -> int:
    """Take the nearest neighbour off the heap (read it from ``heap[0]`` before)."""
    heap[0] = heap[size - 1]
    if size > 1:
        sift_down(vectors, heap, ZERO, size - 1)
    return size - 1
