"""Voronoi tessellation of a periodic crystal, one cell after the other, compiled with numba.

Each cell is cut out of a cube by the bisecting planes of its neighbours, nearest first, until the
next neighbour is farther than twice the farthest vertex and can cut no more. The cube contains the
Voronoi cell of the bare lattice, so every cell is finite whatever the crystal: no cutoff radius, no
"infinite vertex".
"""

from __future__ import annotations

from typing import Any

import numpy as np

from offmap.representations.matminer.compiled import ZERO, Floats, Ints, compiled
from offmap.representations.matminer.lattice import invert
from offmap.representations.matminer.neighbors import gather, make_heap, pop
from offmap.representations.matminer.polyhedron import (
    FULL,
    MAX_FACES,
    MAX_LOOP,
    MAX_VERTICES,
    cut,
    face_area,
    largest_radius,
    make_cube,
)

OK = 0
OVERLAP = 1
TOO_COMPLEX = 2

# A first sphere that holds about this many atoms is enough for most cells.
_FIRST_ATOMS = 48.0
# Tolerance of the cuts, as a fraction of the mean distance between atoms.
_TOLERANCE = 1e-10


@compiled
def tessellate(
    lattice: Floats, frac_coords: Floats, volume: float
) -> tuple[int, Ints, Ints, Floats]:
    """Voronoi tessellation of one crystal.

    Parameters
    ----------
    lattice
        Reduced cell vectors as rows, angstrom, shape (3, 3).
    frac_coords
        Fractional coordinates in that cell, within [0, 1), shape (n, 3).
    volume
        Volume of the cell, cubic angstrom.

    Returns
    -------
    status
        ``OK``, or why it failed.
    starts
        Faces of site ``i`` are ``starts[i]:starts[i + 1]``, shape (n + 1,).
    ends
        Site on the other side of each face and its packed lattice translation, shape (faces, 2).
    sizes
        Area of each face (square angstrom) and distance between its two sites (angstrom), shape
        (faces, 2).
    """
    n = len(frac_coords)
    inverse = np.empty((3, 3))
    reach = np.empty(3)
    invert(lattice, inverse)
    half_width = 0.0
    for k in range(3):
        reach[k] = np.sqrt(inverse[0, k] ** 2 + inverse[1, k] ** 2 + inverse[2, k] ** 2)
        half_width += np.sqrt(lattice[k, 0] ** 2 + lattice[k, 1] ** 2 + lattice[k, 2] ** 2)
    # Any point is within half the sum of the cell vectors of a lattice point.
    half_width *= 0.51
    spacing = (volume / n) ** (1.0 / 3.0)
    first_radius = spacing * (_FIRST_ATOMS * 0.75 / np.pi) ** (1.0 / 3.0)

    vertices = np.empty((3, MAX_VERTICES))
    loops = np.empty((MAX_FACES, MAX_LOOP), np.int32)
    loop_sizes = np.empty(MAX_FACES, np.int32)
    counts = np.empty(3, np.int32)
    free = np.empty(MAX_VERTICES, np.int32)
    heights = np.empty(MAX_VERTICES)
    work = np.empty((5, MAX_LOOP), np.int32)
    neighbor_of = np.empty(MAX_FACES, np.int64)
    vectors = np.empty((256, 4))
    labels = np.empty((256, 2), np.int64)
    heap = np.empty(256, np.int64)

    status = OK
    starts = np.zeros(n + 1, np.int64)
    ends = np.empty((32 * n + MAX_FACES, 2), np.int64)
    sizes = np.empty((32 * n + MAX_FACES, 2))
    for i in range(n):
        make_cube(half_width, vertices, loops, loop_sizes, counts)
        radius = 2.0 * half_width
        inner, outer = -1.0, first_radius
        n_known = ZERO
        while inner < 2.0 * radius:
            n_found = gather(lattice, reach, frac_coords, i, inner, outer, vectors, labels, n_known)
            if n_found < 0:
                return OVERLAP, starts, ends, sizes
            if n_found > len(vectors):
                vectors = _longer(vectors, 2 * n_found)
                labels = _longer(labels, 2 * n_found)
                heap = np.empty(2 * n_found, np.int64)
                continue
            size = make_heap(vectors, heap, n_known, n_found)
            while size > 0:
                neighbor = heap[0]
                r = np.sqrt(vectors[neighbor, 3])
                if r >= 2.0 * radius:
                    break
                size = pop(vectors, heap, size)
                face = cut(
                    vectors[neighbor, 0] / r, vectors[neighbor, 1] / r, vectors[neighbor, 2] / r,
                    0.5 * r, _TOLERANCE * spacing,
                    vertices, loops, loop_sizes, counts, free, heights, work,
                )  # fmt: skip
                if face == FULL:
                    return TOO_COMPLEX, starts, ends, sizes
                if face >= 0:
                    neighbor_of[face] = neighbor
                    radius = largest_radius(vertices, counts[0])
            n_known = n_found
            inner = outer
            outer = min(2.000001 * radius, 1.5 * outer)

        total = starts[i]
        if total + MAX_FACES > len(ends):
            ends = _longer(ends, 2 * len(ends))
            sizes = _longer(sizes, 2 * len(sizes))
        for face in range(counts[1]):
            if loop_sizes[face] > 0:
                neighbor = neighbor_of[face]
                ends[total, 0] = labels[neighbor, 0]
                ends[total, 1] = labels[neighbor, 1]
                sizes[total, 0] = face_area(vertices, loops, loop_sizes[face], face)
                sizes[total, 1] = np.sqrt(vectors[neighbor, 3])
                total += 1
        starts[i + 1] = total
    return status, starts, ends, sizes


@compiled
def _longer(rows: Any, size: int) -> Any:
    longer = np.empty((size, rows.shape[1]), rows.dtype)
    for k in range(len(rows)):
        for column in range(rows.shape[1]):
            longer[k, column] = rows[k, column]
    return longer
