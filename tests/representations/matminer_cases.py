"""Crystals with stored matminer values: simple prototypes and random cells of any shape.

``python -m tests.representations.matminer_cases`` computes the values again with matminer (minutes)
and writes ``matminer_reference.parquet``.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from offmap.crystals import Crystal, Crystals
from offmap.elements import NUMBERS

REFERENCE = Path(__file__).with_name("matminer_reference.parquet")

HEXAGONAL = np.array([[1, 0, 0], [-0.5, np.sqrt(0.75), 0], [0, 0, 1]])
FCC = 0.5 * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]])
BCC = 0.5 * np.array([[-1, 1, 1], [1, -1, 1], [1, 1, -1]])
CUBE = np.eye(3)
FACES = [[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]
CLOSE_PACKED = [[1 / 3, 2 / 3, 0.25], [2 / 3, 1 / 3, 0.75]]
QUARTERS = [[0.25] * 3, [0.5] * 3, [0.75] * 3]
ORIGIN, CENTRE = [0, 0, 0], [0.5, 0.5, 0.5]


def make(name: str, lattice: object, symbols: str, sites: object) -> Crystal:
    """One crystal from the symbols of its sites, ``"Na Cl"``."""
    numbers = np.array([NUMBERS[s] for s in symbols.split()], dtype=np.uint8)
    coords = np.array(sites, dtype=float).reshape(-1, 3)
    return Crystal(name, np.array(lattice, dtype=float), numbers, coords)


def prototypes() -> list[Crystal]:
    """Elements and compounds with atoms where symmetry puts them: many degenerate vertices."""
    rutile = [ORIGIN, CENTRE]
    rutile += [[x, x, 0] for x in (0.305, 0.695)] + [[0.805, 0.195, 0.5], [0.195, 0.805, 0.5]]
    a15 = [ORIGIN, CENTRE]
    a15 += [[0.25, 0, 0.5], [0.75, 0, 0.5], [0.5, 0.25, 0], [0.5, 0.75, 0]]
    a15 += [[0, 0.5, 0.25], [0, 0.5, 0.75]]
    hexaboride = [ORIGIN] + [
        list(np.array(CENTRE) + s * 0.301 * np.eye(3)[axis]) for axis in range(3) for s in (-1, 1)
    ]
    layers = [ORIGIN, [1 / 3, 2 / 3, 0.25], [2 / 3, 1 / 3, 0.75]]
    wurtzite = [[1 / 3, 2 / 3, 0], [2 / 3, 1 / 3, 0.5], [1 / 3, 2 / 3, 0.38], [2 / 3, 1 / 3, 0.88]]
    molybdenite = [[1 / 3, 2 / 3, 0.25], [2 / 3, 1 / 3, 0.75]]
    molybdenite += [[1 / 3, 2 / 3, z] for z in (0.621, 0.879)]
    molybdenite += [[2 / 3, 1 / 3, z] for z in (0.121, 0.379)]
    return [
        make("copper", FCC * 3.61, "Cu", ORIGIN),
        make("iron", BCC * 2.87, "Fe", ORIGIN),
        make("polonium", CUBE * 3.35, "Po", ORIGIN),
        make("magnesium", HEXAGONAL * [[3.2], [3.2], [5.2]], "Mg Mg", CLOSE_PACKED),
        make("silicon", FCC * 5.43, "Si Si", [ORIGIN, [0.25] * 3]),
        make("argon", FCC * 5.3, "Ar", ORIGIN),
        make("rock salt", FCC * 5.64, "Na Cl", [ORIGIN, CENTRE]),
        make("cesium chloride", CUBE * 4.12, "Cs Cl", [ORIGIN, CENTRE]),
        make("zinc blende", FCC * 5.41, "Zn S", [ORIGIN, [0.25] * 3]),
        make("wurtzite", HEXAGONAL * [[3.19], [3.19], [5.19]], "Ga Ga N N", wurtzite),
        make("fluorite", FCC * 5.46, "Ca F F", [ORIGIN, [0.25] * 3, [0.75] * 3]),
        make("half Heusler", FCC * 5.9, "Ni Mn Sb", [ORIGIN, *QUARTERS[:2]]),
        make("Heusler", FCC * 5.95, "Al Cu Mn Cu", [ORIGIN, *QUARTERS]),
        make("gold copper", CUBE * 3.75, "Au Cu Cu Cu", [ORIGIN, *FACES]),
        make("rutile", CUBE * [[4.59], [4.59], [2.96]], "Ti Ti O O O O", rutile),
        make("perovskite", CUBE * 3.9, "Sr Ti O O O", [ORIGIN, CENTRE, *FACES]),
        make("A15", CUBE * 5.29, "Sn Sn Nb Nb Nb Nb Nb Nb", a15),
        make("hexaboride", CUBE * 4.15, "La B B B B B B", hexaboride),
        make("diboride", HEXAGONAL * [[3.09], [3.09], [3.52]], "Mg B B",
             [ORIGIN, [1 / 3, 2 / 3, 0.5], [2 / 3, 1 / 3, 0.5]]),
        make("nickel arsenide", HEXAGONAL * [[3.6], [3.6], [5.0]], "Ni Ni As As",
             [ORIGIN, [0, 0, 0.5], *CLOSE_PACKED]),
        make("cadmium iodide", HEXAGONAL * [[4.24], [4.24], [6.84]], "Cd I I", layers),
        make("molybdenite", HEXAGONAL * [[3.16], [3.16], [12.3]], "Mo Mo S S S S", molybdenite),
        make("graphite", HEXAGONAL * [[2.46], [2.46], [6.71]], "C C C C",
             [[0, 0, 0.25], [0, 0, 0.75], *CLOSE_PACKED]),
        make("urania", FCC * 5.47, "U O O", [ORIGIN, [0.25] * 3, [0.75] * 3]),
        make("xenon fluoride", CUBE * [[4.32], [4.32], [6.99]], "Xe Xe F F F F",
             [ORIGIN, CENTRE, [0, 0, 0.29], [0, 0, 0.71], [0.5, 0.5, 0.79], [0.5, 0.5, 0.21]]),
    ]  # fmt: skip


def random_crystal(seed: int, n_sites: int, symbols: str) -> Crystal:
    """A triclinic cell with atoms kept apart; no symmetry at all."""
    rng = np.random.default_rng(seed)
    lattice = np.eye(3) + rng.uniform(-0.35, 0.35, (3, 3))
    lattice *= (16.0 * n_sites / abs(np.linalg.det(lattice))) ** (1 / 3)
    coords = separated(rng, lattice, n_sites)
    chosen = " ".join(rng.choice(symbols.split(), n_sites))
    return make(f"random {seed}", lattice, chosen, coords)


def separated(
    rng: np.random.Generator, lattice: NDArray[np.float64], n_sites: int
) -> NDArray[np.float64]:
    """Random fractional coordinates no closer than about 1.4 angstrom."""
    images = np.stack(np.meshgrid(*[np.arange(-2, 3)] * 3), -1).reshape(-1, 3)
    sites = [rng.random(3)]
    while len(sites) < n_sites:
        site = rng.random(3)
        gaps = (site - np.array(sites))[:, None] + images
        if np.linalg.norm(gaps @ lattice, axis=-1).min() > 1.4:
            sites.append(site)
    return np.array(sites)


def cases() -> Crystals:
    """All crystals with stored values."""
    mixtures = ["Li Fe P O", "Cs Pb Br", "Np Og", "Ba Y Cu O F", "H C N", "Kr Rn Xe", "Eu Pm Ac Te"]
    disordered = [random_crystal(k, 2 + k % 7, mixtures[k % len(mixtures)]) for k in range(15)]
    return Crystals.from_list(prototypes() + disordered)


def matminer_values(crystals: Crystals) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """Names and values that matminer itself gives, sites wrapped into the cell first."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from matminer.featurizers import composition as of_composition
        from matminer.featurizers import structure as of_structure

        fingerprint = of_structure.SiteStatsFingerprint.from_preset
        structural = [
            fingerprint("CoordinationNumber_ward-prb-2017"),
            fingerprint("LocalPropertyDifference_ward-prb-2017"),
            of_structure.StructuralHeterogeneity(),
            of_structure.MaximumPackingEfficiency(),
            of_structure.ChemicalOrdering(),
        ]
        compositional = [
            of_composition.Stoichiometry(),
            of_composition.ElementProperty.from_preset("magpie"),
            of_composition.ValenceOrbital(props=["frac"]),
            of_composition.IonProperty(fast=True),
        ]
        rows = []
        for structure in crystals.to_pymatgen():
            structure.translate_sites(range(len(structure)), [0, 0, 0], to_unit_cell=True)
            row = [v for f in structural for v in f.featurize(structure)]
            row += [v for f in compositional for v in f.featurize(structure.composition)]
            rows.append(np.array(row, dtype=float))
        names = [name for f in structural + compositional for name in f.feature_labels()]
    return tuple(names), np.array(rows)


def main() -> None:
    """Write the stored values: a row per descriptor, a column per crystal."""
    import pandas as pd

    crystals = cases()
    names, values = matminer_values(crystals)
    frame = pd.DataFrame(values.T, columns=list(crystals.material_id))
    frame.insert(0, "descriptor", names)
    frame.to_parquet(REFERENCE, compression="zstd", index=False)


if __name__ == "__main__":
    main()
