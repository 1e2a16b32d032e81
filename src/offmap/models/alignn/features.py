"""What the network is told about each element: nine properties, cut into 92 bins.

The scheme of CGCNN (T. Xie and J. C. Grossman, Phys. Rev. Lett. 120, 145301, 2018, supplementary
table II), which ALIGNN uses; computed here from tables with known sources, not copied. A property
that an element does not have, or that lies outside of the bins, leaves its bins empty.
"""

from __future__ import annotations

import csv
from functools import cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from offmap.elements import GROUP, N_ELEMENTS, PERIOD


class Scale(NamedTuple):
    """Equal bins from ``low`` to ``high``, of the value or of its natural logarithm."""

    low: float
    high: float
    bins: int
    logarithmic: bool = False

    def place(self, values: NDArray[np.float64]) -> NDArray[np.int64]:
        """Bin of each value; -1 where there is none."""
        with np.errstate(divide="ignore", invalid="ignore"):
            x = np.log(values) if self.logarithmic else values
            place = np.floor((x - self.low) / (self.high - self.low) * self.bins)
        inside = (x >= self.low) & (x <= self.high)
        return np.where(inside, np.minimum(place, self.bins - 1), -1).astype(np.int64)


SCALES: dict[str, Scale] = {
    "electronegativity": Scale(0.5, 4.0, 10),
    "covalent_radius": Scale(25, 250, 10),
    "n_valence": Scale(0.5, 12.5, 12),
    "first_ionization_energy": Scale(1.3, 3.3, 10, logarithmic=True),
    "electron_affinity": Scale(-3, 3.7, 10),
    "molar_volume": Scale(1.5, 4.3, 10, logarithmic=True),
}
"""Bins of the continuous properties: Pauling's scale, pm, count, eV, eV and cm3/mol."""

_BLOCKS = "spdf"


@cache
def atom_features() -> NDArray[np.float32]:
    """Features of each atomic number, shape (119, 92): group, period, then the rest, then block."""
    facts = _facts()
    z = np.arange(N_ELEMENTS)
    f_block = np.isin(z, np.r_[57:71, 89:103])
    group = np.where(f_block, 0, GROUP.astype(np.int64))  # La to Yb and Ac to No have none
    columns = [_one_hot(group, 19), _one_hot(PERIOD.astype(np.int64) - 1, 7)]
    columns += [_one_hot(scale.place(facts[name]), scale.bins) for name, scale in SCALES.items()]
    columns.insert(-1, _one_hot(facts["block"].astype(np.int64), len(_BLOCKS)))
    features = np.concatenate(columns, axis=1)
    features[0] = 0
    return features


def _one_hot(place: NDArray[np.int64], n: int) -> NDArray[np.float32]:
    return np.asarray(place[:, None] == np.arange(n), np.float32)


def _facts() -> dict[str, NDArray[np.float64]]:
    """Properties by atomic number, NaN where unknown."""
    names = [*SCALES, "block"]
    facts = {name: np.full(N_ELEMENTS, np.nan) for name in names}
    facts["block"][:] = -1
    text = (files("offmap.representations") / "data" / "atoms.csv").read_text("utf-8")
    for row in csv.DictReader(text.splitlines()):
        z = int(row["atomic_number"])
        for name in SCALES:
            facts[name][z] = float(row[name] or "nan")
        facts["block"][z] = _BLOCKS.index(row["block"])
    return facts
