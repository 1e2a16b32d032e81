"""Probes: every combination of width and order, against the Gaussians of every element."""

from __future__ import annotations

from dataclasses import dataclass
from math import factorial

import numpy as np

from offmap.representations.gmp.densities import Densities, Floats

SIGMAS: tuple[float, ...] = tuple(np.linspace(0.0, 1.5, 41)[1:].tolist())
"""Widths of the study, angstrom: 40, evenly spaced over (0, 1.5]."""

ORDERS = (0, 1, 2, 3, 4)

COLUMNS: tuple[str, ...] = (
    "GMP -1",
    *(f"GMP {order} {sigma:.4f}" for order in ORDERS for sigma in SIGMAS),
)
"""The density at the atom, then each order with rising width: 1 + 5 x 40 names."""

# Norm of the Maxwell-Cartesian harmonics of order l at distance 1: sqrt((2l)! / 2^l).
NORMS: Floats = np.array([np.sqrt(factorial(2 * order) / 2**order) for order in ORDERS])

_FURTHEST = 30.0


@dataclass(frozen=True, eq=False)
class Probes:
    """What a pair of atoms at a distance contributes, term by term.

    The integral of a probe of width s and order l with the Gaussian B exp(-b |r - R|^2) is
    ``scale * exp(-rate * R^2) * ratio^l * H(R)``, with a = 1 / (2 s^2), rate = a b / (a + b) and
    ratio = b / (a + b): the product of two Gaussians is one, and a harmonic polynomial averaged
    over it takes its value at its centre, ratio * R.

    Parameters
    ----------
    scale, rate, ratio
        Shape (119, n_sigmas, n_gaussians).
    cutoff2
        Squared distance beyond which the term is below the tolerance, same shape.
    reach2
        The largest over the Gaussians and over all narrower probes, shape (119, n_sigmas).
    weights, exponents, density_cutoff2
        The density itself, shape (119, n_gaussians).
    """

    scale: Floats
    rate: Floats
    ratio: Floats
    cutoff2: Floats
    reach2: Floats
    weights: Floats
    exponents: Floats
    density_cutoff2: Floats

    @classmethod
    def of(
        cls, atoms: Densities, sigmas: tuple[float, ...] = SIGMAS, tolerance: float = 1e-8
    ) -> Probes:
        """Combine probes and densities.

        Parameters
        ----------
        atoms
            Densities of the elements.
        sigmas
            Rising widths, angstrom.
        tolerance
            Terms below this (electrons per cubic angstrom times angstrom^l) are left out.
        """
        a = 0.5 / np.square(sigmas)[None, :, None]
        b, weights = atoms.exponents[:, None, :], atoms.weights[:, None, :]
        scale = weights * (a / (a + b)) ** 1.5
        rate, ratio = a * b / (a + b), b / (a + b)
        cutoff2 = _cutoff2(scale, rate, ratio, tolerance)
        own = np.zeros_like(atoms.exponents)
        return cls(
            scale,
            rate,
            ratio,
            cutoff2,
            np.maximum.accumulate(cutoff2.max(axis=2), axis=1),
            atoms.weights,
            atoms.exponents,
            _cutoff2(atoms.weights, atoms.exponents, own, tolerance),
        )


def _cutoff2(scale: Floats, rate: Floats, ratio: Floats, tolerance: float) -> Floats:
    """Squared distance beyond which a term of any order stays below the tolerance."""
    found = np.zeros(scale.shape)
    for distance in np.arange(0.1, _FURTHEST, 0.1):
        largest = np.zeros(scale.shape)
        for order, norm in zip(ORDERS, NORMS, strict=True):
            np.maximum(largest, norm * (ratio * distance) ** order, out=largest)
        is_seen = np.abs(scale) * np.exp(-rate * distance**2) * largest > tolerance
        found[is_seen] = (distance + 0.1) ** 2
    return found
