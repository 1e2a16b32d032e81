"""Small crystals that every check can be tried on."""

from __future__ import annotations

import itertools

import numpy as np

from offmap.crystals import Crystal, Crystals
from offmap.elements import NUMBERS


def example_crystals() -> Crystals:
    """Give 72 binary crystals of three kinds: rock salt, caesium chloride, and a triclinic one."""
    halves = np.array([[0.0, 0, 0], [0.5, 0.5, 0.5]])
    low = np.array([[1.0, 0, 0], [0.11, 1.07, 0], [0.05, 0.13, 1.19]])
    prototypes = (
        (0.5 - 0.5 * np.eye(3), halves, 5.2),
        (np.eye(3), halves, 3.3),
        (low, np.array([[0.02, 0.01, 0.03], [0.48, 0.55, 0.53]]), 3.2),
    )
    crystals = []
    pairs = itertools.product("Li Na K Mg Ca Ti Fe Zn".split(), "O S Cl".split())
    for i, ((metal, anion), (cell, sites, size)) in enumerate(itertools.product(pairs, prototypes)):
        numbers = np.array([NUMBERS[metal], NUMBERS[anion]], dtype=np.uint8)
        lattice = cell * size * (1 + 0.004 * float(numbers.sum()) ** 0.5)
        crystals.append(Crystal(f"example-{i:02d}", lattice, numbers, sites))
    return Crystals.from_list(crystals)
