"""Write the table of element facts that graph networks are told about atoms.

Sources:

- covalent radius (pm) and electrons of the s, p, d and f shells: the Magpie tables that matminer
  ships (L. Ward et al., npj Comput. Mater. 2, 16028, 2016; modified BSD licence);
- electronegativity (Pauling), first ionization energy (eV), electron affinity (eV), molar volume
  (cm3/mol) and block: pymatgen's periodic table (MIT licence).

Run ``python builders/elements/build_atom_table.py`` with matminer installed; the file in the
repository is its output, and a test compares them.
"""

from __future__ import annotations

import argparse
import csv
import math
import warnings
from pathlib import Path

PACKAGE_FILE = (
    Path(__file__).parents[2] / "src" / "offmap" / "representations" / "data" / "atoms.csv"
)

HEADER = [
    "atomic_number",
    "symbol",
    "electronegativity",
    "covalent_radius",
    "n_valence",
    "first_ionization_energy",
    "electron_affinity",
    "molar_volume",
    "block",
]


def rows() -> list[list[str]]:
    """Header and one row per element, in order of atomic number."""
    from matminer.utils.data import MagpieData
    from pymatgen.core import Element

    magpie = MagpieData(impute_nan=False).all_elemental_props
    table = [HEADER]
    for z in range(1, 119):
        element = Element.from_Z(z)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pymatgen warns about every missing value
            ionization = element.ionization_energies
            values = [
                element.X,
                magpie["CovalentRadius"][element.symbol],
                _valence(*(magpie[f"N{shell}Valence"][element.symbol] for shell in "spdf")),
                ionization[0] if ionization else None,
                element.data.get("Electron affinity"),
                element.molar_volume,
            ]
        # pymatgen writes the block of helium as p
        block = "s" if element.symbol == "He" else element.block
        table.append([str(z), element.symbol, *(_text(v) for v in values), block])
    return table


def _valence(s: float, p: float, d: float, f: float) -> float:
    """Electrons outside of the noble gas, without a filled d or f shell below an open one."""
    return s + p + (0 if d == 10 and p else d) + (0 if f == 14 and (d or p) else f)


def _text(value: float | None) -> str:
    if value is None or math.isnan(value):
        return ""
    value = round(float(value), 6)
    return str(int(value)) if value == int(value) else repr(value)


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=PACKAGE_FILE)
    out = parser.parse_args().out
    with out.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows())


if __name__ == "__main__":
    main()
