"""Element facts behind the descriptors, read once from the table that ships with the package."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from offmap.elements import N_ELEMENTS
from offmap.representations.matminer.columns import MAGPIE_PROPERTIES


@dataclass(frozen=True, eq=False)
class ElementTable:
    """Facts by atomic number; row 0 is unused.

    Parameters
    ----------
    magpie
        The 22 Magpie properties, shape (119, 22). Where the source has none, the mean over the
        elements that have one, as matminer imputes.
    electronegativity
        Pauling's scale, shape (119,); imputed likewise.
    oxidation_states
        Common oxidation states of each element; empty for most noble gases.
    """

    magpie: NDArray[np.float64]
    electronegativity: NDArray[np.float64]
    oxidation_states: tuple[tuple[int, ...], ...]


@cache
def element_table() -> ElementTable:
    """The table of ``representations/data/elements.csv`` (written by ``builders/elements``)."""
    text = (files("offmap.representations") / "data" / "elements.csv").read_text("utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    names = (*MAGPIE_PROPERTIES, "pauling")
    values = np.full((N_ELEMENTS, len(names)), np.nan)
    for row in rows:
        values[int(row["atomic_number"])] = [float(row[name] or "nan") for name in names]
    known = np.where(np.isnan(values[1:]), np.nanmean(values[1:], axis=0), values[1:])
    values[1:] = known
    states = tuple(tuple(int(s) for s in row["oxidation_states"].split()) for row in rows)
    return ElementTable(values[:, :-1].copy(), values[:, -1].copy(), ((), *states))
