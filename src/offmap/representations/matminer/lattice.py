"""Reduced cells and wrapped coordinates, compiled with numba.

Written with plain loops over three axes: array expressions cost seconds of compilation each.
"""

from __future__ import annotations

import numpy as np

from offmap.representations.matminer.compiled import Floats, compiled

_FLATNESS = 1e-8


@compiled
def invert(a: Floats, inverse: Floats) -> float:
    """Write the inverse of the 3 x 3 matrix ``a`` into ``inverse``; returns the determinant."""
    for i in range(3):
        j, k = (i + 1) % 3, (i + 2) % 3
        for row in range(3):
            second, third = (row + 1) % 3, (row + 2) % 3
            inverse[row, i] = a[j, second] * a[k, third] - a[j, third] * a[k, second]
    determinant: float = a[0, 0] * inverse[0, 0] + a[0, 1] * inverse[1, 0] + a[0, 2] * inverse[2, 0]
    for i in range(3):
        for j in range(3):
            inverse[i, j] /= determinant
    return determinant


@compiled
def _dot(a: Floats, i: int, j: int) -> float:
    product: float = a[i, 0] * a[j, 0] + a[i, 1] * a[j, 1] + a[i, 2] * a[j, 2]
    return product


@compiled
def reduce_lattice(a: Floats) -> None:
    """Replace the rows of ``a`` by short vectors of the same lattice.

    Lagrange-Gauss steps on pairs, then sums of three, until no vector gets shorter. It keeps
    searches over lattice translations short in skewed cells; nothing depends on uniqueness.
    """
    changed = True
    while changed:
        changed = False
        for i in range(3):
            for step in range(1, 3):
                j = (i + step) % 3
                ratio = _dot(a, i, j) / _dot(a, j, j)
                if abs(ratio) > 0.5000001:
                    for axis in range(3):
                        a[i, axis] -= np.rint(ratio) * a[j, axis]
                    changed = True
        for signs in range(0 if changed else 12):
            i, j, k = signs // 4, (signs // 4 + 1) % 3, (signs // 4 + 2) % 3
            s = 1.0 if signs & 1 else -1.0
            t = 1.0 if signs & 2 else -1.0
            gain = 2.0 * (s * _dot(a, i, j) + t * _dot(a, i, k) + s * t * _dot(a, j, k))
            if gain + _dot(a, j, j) + _dot(a, k, k) < -1e-7 * _dot(a, i, i):
                for axis in range(3):
                    a[i, axis] += s * a[j, axis] + t * a[k, axis]
                changed = True


@compiled
def prepare(lattice: Floats, frac_coords: Floats) -> tuple[Floats, Floats, float]:
    """Reduce a cell and wrap its sites into it.

    Parameters
    ----------
    lattice
        Cell vectors as rows, angstrom, shape (3, 3).
    frac_coords
        Fractional coordinates, shape (n, 3).

    Returns
    -------
    reduced, wrapped, volume
        The reduced cell, the coordinates in it, in [0, 1), and the volume of the cell in cubic
        angstrom; 0 if the cell is flat.
    """
    reduced = lattice.copy()
    inverse = np.empty((3, 3))
    change = np.empty((3, 3))
    wrapped = np.empty(frac_coords.shape)
    volume = abs(invert(reduced, inverse))
    box2 = 1.0
    for i in range(3):
        box2 *= _dot(lattice, i, i)
    if not volume > _FLATNESS * np.sqrt(box2):
        return reduced, wrapped, 0.0
    reduce_lattice(reduced)
    invert(reduced, inverse)
    for i in range(3):
        for j in range(3):
            # Whole numbers: the old vectors in terms of the new ones.
            change[i, j] = np.rint(
                lattice[i, 0] * inverse[0, j]
                + lattice[i, 1] * inverse[1, j]
                + lattice[i, 2] * inverse[2, j]
            )
    for i in range(len(frac_coords)):
        for j in range(3):
            x = 0.0
            for k in range(3):
                # Wrapped first, so that far-away coordinates lose no digits in the product.
                x += (frac_coords[i, k] - np.floor(frac_coords[i, k])) * change[k, j]
            wrapped[i, j] = x - np.floor(x)
    return reduced, wrapped, volume
