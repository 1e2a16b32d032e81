"""The dataset card: what the labels are, how they were made, what is wrong with them."""

from __future__ import annotations

from collections import Counter

import numpy as np
from ase.data import chemical_symbols

VERSION = "1.0"
QUANTILES = (0, 0.05, 0.25, 0.5, 0.75, 0.95, 1)

DESCRIPTION = (
    "Small crystals made by decorating crystal prototypes with chemically sensible elements and "
    "relaxing positions and cell with the CHGNet 0.3.0 interatomic potential. The labels are a "
    "surrogate of PBE(+U) density functional theory: they are for learning the tool, for tests "
    "and for method development without a download, not for publishing materials results."
)

HOW = (
    "Prototypes are written as space group, Wyckoff positions and cell shape. Decorations are "
    "drawn with a seed, favouring elements that are rare so far; ionic ones are charge neutral "
    "in common oxidation states with the anion the most electronegative (within 0.3 on the "
    "Pauling scale), others are intermetallics or interstitial compounds of H, B, C, N, O; some "
    "prototypes limit the ratio of radii. Random prototypes place atoms at seeded random "
    "positions of a space group. Cells are scaled to touching atoms and relaxed by BFGS within "
    "the starting symmetry to 0.07 eV/A and 0.4 GPa in at most 80 evaluations. The formation "
    "energy is the energy per atom less that of the elements, each the lowest of several simple "
    "structures relaxed with the same potential. Unconverged and implausible results and "
    "duplicates are dropped and counted."
)

FLAWS = [
    "Labels are predictions of a machine-learning potential, not of DFT or experiment; CHGNet "
    "was fitted to Materials Project relaxations and is least reliable far from them: random "
    "crystals, unusual oxidation states, actinides, short bonds, molecules.",
    "CHGNet was fitted to energies with the Materials Project corrections for anions and for "
    "PBE+U metals, so labels inherit these corrections and their jumps.",
    "CHGNet softens the potential energy surface; energies of strained and high-energy crystals "
    "are too low.",
    "Relaxation keeps the starting symmetry, so many entries are saddle points rather than "
    "minima, and no magnetic order or spin-orbit coupling is described.",
    "Van der Waals interaction is that of PBE as learnt, so the spacing of layers and chains, and "
    "volume_per_atom with it, is unreliable.",
    "Elemental references are the lowest of a short list of simple structures, molecules "
    "included; complex ground states (alpha-Mn, beta-B, S8) are replaced by simpler ones.",
    "Decorations are drawn nearly uniformly over the elements, so most compounds are hypothetical "
    "and many are unstable; the distribution is not that of known materials.",
    "Candidates whose prototype is cheap to relax (few atoms, high symmetry) were relaxed first, "
    "so they are more frequent.",
    "Dimensionality is that of the prototype's bonded network; a relaxed crystal may have become "
    "denser. Layered and chain crystals are bulk stackings, without vacuum.",
    "Prototype names the starting structure; a relaxed crystal can have higher symmetry.",
]


def make_card(
    entries: list[dict], dropped: Counter, n_relaxed: int, n_candidates: int, references: dict
) -> dict:
    """Return the card as a dictionary ready for JSON."""
    return {
        "name": "prototypes",
        "title": "Decorated crystal prototypes relaxed with CHGNet",
        "description": DESCRIPTION,
        "version": VERSION,
        "licence": "CC-BY-4.0",
        "authors": "the offmap developers",
        "citation": (
            "Labels by CHGNet: B. Deng et al., Nat. Mach. Intell. 5, 1031 (2023), "
            "doi:10.1038/s42256-023-00716-3"
        ),
        "source": "builders/prototypes of the offmap repository",
        "targets": {
            "formation_energy_per_atom": {
                "unit": "eV/atom",
                "description": "CHGNet 0.3.0 energy less elemental references of the same model",
            },
            "volume_per_atom": {
                "unit": "angstrom**3/atom",
                "description": "volume of the relaxed cell per atom",
            },
        },
        "n_materials": len(entries),
        "counts": make_counts(entries, dropped, n_relaxed, n_candidates),
        "how_it_was_made": HOW,
        "known_flaws": FLAWS,
        "element_references_ev_per_atom": {
            element: round(energy, 4) for element, energy in references["energies"].items()
        },
    }


def make_counts(entries: list[dict], dropped: Counter, n_relaxed: int, n_candidates: int) -> dict:
    """Count elements, symmetries, prototypes and what was dropped."""
    elements = Counter(chemical_symbols[n] for e in entries for n in set(e["numbers"]))
    groups = Counter(e["space_group"] for e in entries)
    systems = Counter(crystal_system(e["space_group"]) for e in entries)
    energies = np.array([e["formation_energy_per_atom"] for e in entries])
    return {
        "candidates": n_candidates,
        "relaxed": n_relaxed,
        "kept": len(entries),
        "dropped": dict(dropped.most_common()),
        "n_elements": len(elements),
        "n_elements_with_200": sum(n >= 200 for n in elements.values()),
        "n_space_groups": len(groups),
        "n_space_groups_with_200": sum(n >= 200 for n in groups.values()),
        "n_prototypes": len({e["prototype"] for e in entries}),
        "crystal_systems": dict(systems.most_common()),
        "dimensionality": {str(k): n for k, n in _count(entries, "dimensionality")},
        "elements": dict(elements.most_common()),
        "space_groups": {str(g): n for g, n in groups.most_common()},
        "formation_energy_quantiles": {
            str(q): round(float(np.quantile(energies, q)), 3) for q in QUANTILES
        },
    }


def _count(entries: list[dict], column: str) -> list[tuple]:
    return sorted(Counter(e[column] for e in entries).items())


def crystal_system(group: int) -> str:
    """Return the crystal system of a space group number."""
    limits = [
        (2, "triclinic"),
        (15, "monoclinic"),
        (74, "orthorhombic"),
        (142, "tetragonal"),
        (167, "trigonal"),
        (194, "hexagonal"),
        (230, "cubic"),
    ]
    return next(name for last, name in limits if group <= last)
