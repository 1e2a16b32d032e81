"""The 128 structural descriptors from Voronoi faces, compiled with numba.

Definitions: L. Ward et al., Phys. Rev. B 96, 024104 (2017), as matminer 0.10 computes them. Every
face is weighted by its area over the largest face area of its cell.
"""

from __future__ import annotations

import numpy as np

from offmap.representations.matminer.compiled import ZERO, Floats, Ints, compiled
from offmap.representations.matminer.lattice import prepare
from offmap.representations.matminer.voronoi import OK, tessellate

FLAT = 3
LEAKING = 4

N_PROPERTIES = 22
N_COLUMNS = 5 + 5 * N_PROPERTIES + 9 + 1 + 3


@compiled
def _statistics(values: Floats, out: Floats, at: int) -> None:
    """Minimum, maximum, range, mean and mean absolute deviation of ``values``."""
    low = high = values[0]
    mean = 0.0
    for v in values:
        low, high = min(low, v), max(high, v)
        mean += v
    mean /= len(values)
    deviation = 0.0
    for v in values:
        deviation += abs(v - mean)
    out[at] = low
    out[at + 1] = high
    out[at + 2] = high - low
    out[at + 3] = mean
    out[at + 4] = deviation / len(values)


@compiled
def _local_environments(
    numbers: Ints,
    starts: Ints,
    ends: Ints,
    sizes: Floats,
    weights: Floats,
    table: Floats,
    out: Floats,
) -> float:
    """Coordination, local property differences, heterogeneity and packing: columns 0 to 124.

    Returns
    -------
    float
        Sum of the volumes of all cells, cubic angstrom.
    """
    n = len(numbers)
    coordination, length, variation, cell = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n)
    differences = np.zeros((N_PROPERTIES, n))
    packed = mean_length = volume = 0.0
    for i in range(n):
        total = squares = 0.0
        nearest = np.inf
        for f in range(starts[i], starts[i + 1]):
            w, distance = weights[f], sizes[f, 1]
            total += w
            squares += w * w
            length[i] += w * distance
            cell[i] += sizes[f, 0] * distance / 6.0
            nearest = min(nearest, distance)
            own, other = numbers[i], numbers[ends[f, 0]]
            if own != other:
                for p in range(N_PROPERTIES):
                    differences[p, i] += w * abs(table[other, p] - table[own, p])
        coordination[i] = total * total / squares
        length[i] /= total
        for f in range(starts[i], starts[i + 1]):
            variation[i] += weights[f] * abs(sizes[f, 1] - length[i])
        variation[i] /= total * length[i]
        for p in range(N_PROPERTIES):
            differences[p, i] /= total
        packed += (0.5 * nearest) ** 3
        mean_length += length[i] / n
        volume += cell[i]
    for i in range(n):
        length[i] /= mean_length
        cell[i] /= volume / n
    _statistics(coordination, out, ZERO)
    for p in range(N_PROPERTIES):
        _statistics(differences[p], out, 5 + 5 * p)
    at = 5 + 5 * N_PROPERTIES
    relative = np.empty(5)
    _statistics(length, relative, ZERO)
    out[at], out[at + 1], out[at + 2] = relative[4], relative[1], relative[0]
    _statistics(variation, out, at + 3)
    _statistics(cell, relative, ZERO)
    out[at + 8] = relative[4]
    out[at + 9] = 4.0 / 3.0 * np.pi * packed / volume
    return volume


@compiled
def _reverse(starts: Ints, ends: Ints, weights: Floats, back: Floats) -> None:
    """Weight of each face as seen from the other side (0 where the other side has none)."""
    for i in range(len(starts) - 1):
        for f in range(starts[i], starts[i + 1]):
            back[f] = 0.0
            j = ends[f, 0]
            for g in range(starts[j], starts[j + 1]):
                if ends[g, 0] == i and ends[g, 1] == -ends[f, 1]:
                    back[f] = weights[g]
                    break


@compiled
def _walks(
    kinds: Ints, starts: Ints, ends: Ints, weights: Floats, back: Floats, shells: Floats
) -> None:
    """Weights of the ends of walks of one, two and three steps, by kind of atom.

    A walk never comes back to a site; its weight is the product of the weights of its steps
    (each step weighted in the cell it leaves). Sums over walks are done with the totals of each
    site, less the walks that come back after two steps or close a triangle.

    Parameters
    ----------
    kinds
        Kind of each site, 0 to n_kinds - 1.
    starts, ends, weights, back
        Faces, their weights and the weights seen from the other side.
    shells
        Written: shape (3, n, n_kinds).
    """
    n_kinds = shells.shape[2]
    for i in range(len(kinds)):
        for f in range(starts[i], starts[i + 1]):
            shells[0, i, kinds[ends[f, 0]]] += weights[f]
    for i in range(len(kinds)):
        for f in range(starts[i], starts[i + 1]):
            for t in range(n_kinds):
                shells[1, i, t] += weights[f] * shells[0, ends[f, 0], t]
            shells[1, i, kinds[i]] -= weights[f] * back[f]
    for i in range(len(kinds)):
        triangles = 0.0
        for f in range(starts[i], starts[i + 1]):
            j, w = ends[f, 0], weights[f]
            for t in range(n_kinds):
                # Walks j - k - l with l not j, less those whose k is i.
                shells[2, i, t] += w * (shells[1, j, t] - back[f] * shells[0, i, t])
            shells[2, i, kinds[j]] += w * back[f] * w
            for g in range(starts[j], starts[j + 1]):
                k, image = ends[g, 0], ends[f, 1] + ends[g, 1]
                for h in range(starts[i], starts[i + 1]):
                    if ends[h, 1] == image and ends[h, 0] == k:
                        triangles += w * weights[g] * back[h]
                        break
        shells[2, i, kinds[i]] -= triangles


@compiled
def _chemical_ordering(
    numbers: Ints, starts: Ints, ends: Ints, weights: Floats, out: Floats
) -> None:
    """Warren-Cowley-like ordering of the first three shells: the last three columns."""
    kind_of = np.full(256, -1)
    kinds = np.empty(len(numbers), np.int64)
    n_kinds = 0
    for i in range(len(numbers)):
        if kind_of[numbers[i]] < 0:
            kind_of[numbers[i]] = n_kinds
            n_kinds += 1
        kinds[i] = kind_of[numbers[i]]
    for shell in range(3):
        out[N_COLUMNS - 3 + shell] = 0.0
    if n_kinds == 1:
        return
    fractions = np.zeros(n_kinds)
    for kind in kinds:
        fractions[kind] += 1.0 / len(kinds)
    back = np.empty(len(weights))
    shells = np.zeros((3, len(kinds), n_kinds))
    _reverse(starts, ends, weights, back)
    _walks(kinds, starts, ends, weights, back, shells)
    for shell in range(3):
        for i in range(len(kinds)):
            total = 0.0
            for t in range(n_kinds):
                total += shells[shell, i, t]
            for t in range(n_kinds):
                ordering = abs(1.0 - shells[shell, i, t] / total / fractions[t])
                out[N_COLUMNS - 3 + shell] += ordering / (len(kinds) * n_kinds)


@compiled
def describe(
    lattices: Floats, numbers: Ints, frac_coords: Floats, offsets: Ints, table: Floats
) -> tuple[Floats, Ints]:
    """Describe a batch of crystals.

    Parameters
    ----------
    lattices, numbers, frac_coords, offsets
        As in :class:`offmap.crystals.Crystals`.
    table
        Element properties by atomic number, shape (119, 22).

    Returns
    -------
    values, statuses
        Shape (n_crystals, 128) and why each crystal failed (0 if it did not), shape (n_crystals,).
    """
    values = np.full((len(lattices), N_COLUMNS), np.nan)
    statuses = np.zeros(len(lattices), np.int64)
    for c in range(len(lattices)):
        here = slice(offsets[c], offsets[c + 1])
        lattice, coords, volume = prepare(lattices[c], frac_coords[here])
        if volume == 0.0:
            statuses[c] = FLAT
            continue
        statuses[c], starts, ends, sizes = tessellate(lattice, coords, volume)
        if statuses[c] != OK:
            continue
        weights = np.empty(starts[-1])
        for i in range(len(coords)):
            largest = 0.0
            for f in range(starts[i], starts[i + 1]):
                largest = max(largest, sizes[f, 0])
            for f in range(starts[i], starts[i + 1]):
                weights[f] = sizes[f, 0] / largest
        out = values[c]
        filled = _local_environments(numbers[here], starts, ends, sizes, weights, table, out)
        _chemical_ordering(numbers[here], starts, ends, weights, out)
        if not abs(filled - volume) <= 1e-6 * volume:
            # The cells must fill the crystal; if rounding ever broke one, say so.
            statuses[c] = LEAKING
            out[:] = np.nan
    return values, statuses
