"""Elemental reference energies: the lowest of several simple structures per element."""

from __future__ import annotations

from collections.abc import Iterator

from decorate import load_elements
from potential import Potential
from prototypes import Crystal, Prototype, ideal_crystal, load_prototypes
from relax import relax_all

FIXED_CELL = "dimer-in-a-box"
NONMETALS = ("H", "C", "N", "O", "F", "P", "S", "Cl", "Br", "I")
NONMETAL_SOLIDS = ("diamond", "arsenic", "gallium")
SMALL_POOL = 6


def structures() -> dict[str, Prototype]:
    """Return the structures that are tried."""
    return load_prototypes("references.toml")


def trials() -> Iterator[tuple[str, str, Crystal]]:
    """Yield (element, structure name, starting crystal) for every pair that makes sense."""
    for element in load_elements():
        for name, structure in structures().items():
            if structure.only is not None and element not in structure.only:
                continue
            if structure.only is None and element in NONMETALS and name not in NONMETAL_SOLIDS:
                continue
            yield element, name, ideal_crystal(structure, {"A": element})


def relax_references(potential: Potential) -> list[dict]:
    """Relax every trial and return one row per trial, unconverged ones included."""
    rows = []
    for boxed in (False, True):
        crystals = (((e, n), c) for e, n, c in trials() if (n == FIXED_CELL) == boxed)
        results = relax_all(potential, crystals, pool=SMALL_POOL, fixed_cell=boxed)
        for (element, name), result in results:
            rows.append(
                {
                    "element": element,
                    "structure": name,
                    "energy_per_atom": result.energy,
                    "volume_per_atom": result.crystal.volume / len(result.crystal.numbers),
                    "reason": result.reason,
                    "evaluations": result.evaluations,
                }
            )
    return rows


def reference_energies(rows: list[dict]) -> dict[str, float]:
    """Return the lowest converged energy per atom of each element in eV."""
    best: dict[str, float] = {}
    for row in rows:
        if row["reason"] == "":
            best[row["element"]] = min(best.get(row["element"], 1e9), row["energy_per_atom"])
    return best
