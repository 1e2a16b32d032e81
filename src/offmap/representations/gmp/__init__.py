"""Gaussian multipoles (GMP): how the electrons around each atom lie, in 201 numbers.

Probes are Gaussians of 40 widths times solid harmonics of order 0 to 4, centred on the atom; each
feature is the norm, over the components of an order, of their integrals with the electron density
of all atoms. Order -1 is the density at the atom itself. Densities of free atoms are sums of
Gaussians, so every integral is exact.

References
----------
Lei & Medford, J. Phys. Chem. Lett. 13, 7911 (2022), doi 10.1021/acs.jpclett.2c02100; Lei & Montoya,
JOSS 8, 5476 (2023), doi 10.21105/joss.05476.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from offmap.crystals import Crystals
from offmap.representations.base import NO_STRUCTURE, Features
from offmap.representations.gmp.densities import FORM_FACTORS, densities
from offmap.representations.gmp.probes import COLUMNS, NORMS, Probes

NO_DENSITY = "no atomic density is known for an element"
NO_VOLUME = "the cell has no volume"


@functools.cache
def probes(name: str = FORM_FACTORS, tolerance: float = 1e-8) -> Probes:
    """Probes of the study's widths and orders against the densities of this name."""
    return Probes.of(densities(name), tolerance=tolerance)


def atom_features(
    crystals: Crystals, density: str = FORM_FACTORS, tolerance: float = 1e-8
) -> tuple[NDArray[np.float64], dict[int, str]]:
    """Multipoles of every atom.

    Parameters
    ----------
    crystals
        What to describe.
    density
        Atomic densities; see :func:`offmap.representations.gmp.densities.densities`.
    tolerance
        Terms below this are left out.

    Returns
    -------
    values, reasons
        Shape (n_atoms, 201), atoms in the order of ``crystals.numbers``, NaN where a crystal could
        not be described; crystal -> why not.
    """
    from offmap.representations.gmp.kernel import multipoles

    known, p = densities(density).known, probes(density, tolerance)
    values = np.full((len(crystals.numbers), len(COLUMNS)), np.nan)
    reasons: dict[int, str] = {}
    numbers = np.require(crystals.numbers, np.uint8, ["C"])
    structure_known = crystals.structure_known
    for i in range(len(crystals)):
        rows = slice(int(crystals.offsets[i]), int(crystals.offsets[i + 1]))
        if not structure_known[i]:
            reasons[i] = NO_STRUCTURE
            continue
        if not known[numbers[rows]].all():
            reasons[i] = NO_DENSITY
            continue
        done = multipoles(
            np.require(crystals.lattice[i], np.float64, ["C", "W"]),
            numbers[rows].copy(),
            np.require(crystals.frac_coords[rows], np.float64, ["C", "W"]),
            p.scale, p.rate, p.ratio, p.cutoff2, p.reach2,
            p.weights, p.exponents, p.density_cutoff2, NORMS, values[rows],
        )  # fmt: skip
        if not done:
            reasons[i] = NO_VOLUME
    return values, reasons


class GMP:
    """Mean and standard deviation over the atoms of a crystal, for models of fixed length."""

    name = "gmp"
    version = 1
    columns = (*(f"mean {c}" for c in COLUMNS), *(f"std {c}" for c in COLUMNS))
    needs_structure = True
    blocks = {"structure": columns}

    def featurize(self, crystals: Crystals) -> Features:
        """Describe a batch of crystals in this process, on one core."""
        atoms, reasons = atom_features(crystals)
        values = np.full((len(crystals), len(self.columns)), np.nan)
        for i in range(len(crystals)):
            mine = atoms[int(crystals.offsets[i]) : int(crystals.offsets[i + 1])]
            if len(mine) and i not in reasons:
                values[i] = np.concatenate([mine.mean(axis=0), mine.std(axis=0)])
        return Features(values, self.columns, reasons)
