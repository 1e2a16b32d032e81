"""Gaussian multipoles of the atoms of one crystal, compiled with numba."""

from __future__ import annotations

import numpy as np

from offmap.representations.gmp.harmonics import N_HARMONICS, solid_harmonics
from offmap.representations.matminer.compiled import Floats, Ints, compiled
from offmap.representations.matminer.lattice import invert, prepare

_N_ORDERS = 5


@compiled
def _radial(
    r2: float, scale: Floats, rate: Floats, ratio: Floats, cutoff2: Floats, reach2: Floats,
    radial: Floats,
) -> int:  # fmt: skip
    """Write the radial part of each order and width; returns the narrowest width that sees it."""
    s = len(reach2)
    while s > 0 and r2 <= reach2[s - 1]:
        s -= 1
        for order in range(_N_ORDERS):
            radial[order, s] = 0.0
        for k in range(scale.shape[1]):
            if r2 <= cutoff2[s, k]:
                term = scale[s, k] * np.exp(-rate[s, k] * r2)
                for order in range(_N_ORDERS):
                    radial[order, s] += term
                    term *= ratio[s, k]
    return s


@compiled
def _add(
    x: float, y: float, z: float, first: int, radial: Floats, angular: Floats, moments: Floats
) -> None:
    """Add a neighbour to the moments, shape (25, n_sigmas)."""
    solid_harmonics(x, y, z, angular)
    for order in range(_N_ORDERS):
        for m in range(order * order, (order + 1) * (order + 1)):
            value = angular[m]
            for s in range(first, moments.shape[1]):
                moments[m, s] += value * radial[order, s]


@compiled
def _density(r2: float, weights: Floats, exponents: Floats, cutoff2: Floats) -> float:
    total = 0.0
    for k in range(len(weights)):
        if r2 <= cutoff2[k]:
            total += weights[k] * np.exp(-exponents[k] * r2)
    return total


@compiled
def _write(moments: Floats, norms: Floats, out: Floats) -> None:
    """Norm over the components of each order: what no rotation changes."""
    n_sigmas = moments.shape[1]
    for order in range(_N_ORDERS):
        for s in range(n_sigmas):
            total = 0.0
            for m in range(order * order, (order + 1) * (order + 1)):
                total += moments[m, s] * moments[m, s]
            out[1 + order * n_sigmas + s] = norms[order] * np.sqrt(total)


@compiled
def multipoles(
    lattice: Floats, numbers: Ints, frac_coords: Floats,
    scale: Floats, rate: Floats, ratio: Floats, cutoff2: Floats, reach2: Floats,
    weights: Floats, exponents: Floats, density_cutoff2: Floats, norms: Floats, out: Floats,
) -> bool:  # fmt: skip
    """Write the features of every atom of a crystal.

    Parameters
    ----------
    lattice, numbers, frac_coords
        The crystal: shapes (3, 3), (n,), (n, 3).
    scale, rate, ratio, cutoff2, reach2, weights, exponents, density_cutoff2
        What :class:`offmap.representations.gmp.probes.Probes` holds.
    norms
        Factor of each order, shape (5,).
    out
        Shape (n, 1 + 5 * n_sigmas).

    Returns
    -------
    bool
        Whether the cell has a volume.
    """
    cell, wrapped, volume = prepare(lattice, frac_coords)
    if volume == 0.0:
        return False
    n, n_sigmas = len(numbers), reach2.shape[1]
    inverse = np.empty((3, 3))
    invert(cell, inverse)
    reach = 0.0
    for j in range(n):
        widest = reach2[numbers[j], n_sigmas - 1]
        for k in range(density_cutoff2.shape[1]):
            widest = max(widest, density_cutoff2[numbers[j], k])
        reach = max(reach, np.sqrt(widest))
    images = np.empty(3, dtype=np.int64)
    for axis in range(3):
        # Distance between lattice planes is one over the length of the reciprocal vector.
        length = 0.0
        for row in range(3):
            length += inverse[row, axis] * inverse[row, axis]
        images[axis] = np.int64(np.ceil(reach * np.sqrt(length))) + 1
    moments = np.empty((N_HARMONICS, n_sigmas))
    radial = np.empty((_N_ORDERS, n_sigmas))
    angular = np.empty(N_HARMONICS)
    shift = np.empty(3)
    for i in range(n):
        moments[:] = 0.0
        density = 0.0
        for j in range(n):
            element = numbers[j]
            furthest = reach2[element, n_sigmas - 1]
            for p in range(-images[0], images[0] + 1):
                for q in range(-images[1], images[1] + 1):
                    for r in range(-images[2], images[2] + 1):
                        shift[0] = wrapped[j, 0] - wrapped[i, 0] + p
                        shift[1] = wrapped[j, 1] - wrapped[i, 1] + q
                        shift[2] = wrapped[j, 2] - wrapped[i, 2] + r
                        x = shift[0] * cell[0, 0] + shift[1] * cell[1, 0] + shift[2] * cell[2, 0]
                        y = shift[0] * cell[0, 1] + shift[1] * cell[1, 1] + shift[2] * cell[2, 1]
                        z = shift[0] * cell[0, 2] + shift[1] * cell[1, 2] + shift[2] * cell[2, 2]
                        r2 = x * x + y * y + z * z
                        if r2 > furthest:
                            continue
                        first = _radial(
                            r2, scale[element], rate[element], ratio[element], cutoff2[element],
                            reach2[element], radial,
                        )  # fmt: skip
                        _add(x, y, z, first, radial, angular, moments)
                        density += _density(
                            r2, weights[element], exponents[element], density_cutoff2[element]
                        )
        out[i, 0] = density
        _write(moments, norms, out[i])
    return True
