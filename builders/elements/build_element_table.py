"""Write the table of element facts that the Matminer descriptors need.

Sources:

- the 22 Magpie properties: L. Ward et al., npj Comput. Mater. 2, 16028 (2016), from the tables that
  matminer 0.10 ships (modified BSD licence); empty where the source has no value;
- electronegativity (Pauling) and common oxidation states: pymatgen's periodic table (MIT licence).

Run ``python builders/elements/build_element_table.py`` with matminer installed; the file in the
repository is its output, and a test compares it with matminer.
"""

from __future__ import annotations

import argparse
import csv
import math
import warnings
from pathlib import Path

PACKAGE_FILE = (
    Path(__file__).parents[2] / "src" / "offmap" / "representations" / "data" / "elements.csv"
)


def rows() -> list[list[str]]:
    """Header and one row per element, in order of atomic number."""
    from matminer.utils.data import MagpieData
    from pymatgen.core import Element

    from offmap.representations.matminer.columns import MAGPIE_PROPERTIES

    magpie = MagpieData(impute_nan=False).all_elemental_props
    header = ["atomic_number", "symbol", *MAGPIE_PROPERTIES, "pauling", "oxidation_states"]
    table = [header]
    for z in range(1, 119):
        element = Element.from_Z(z)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pymatgen warns about every missing value
            pauling = element.X
        values = [magpie[name][element.symbol] for name in MAGPIE_PROPERTIES] + [pauling]
        states = " ".join(str(state) for state in element.common_oxidation_states)
        table.append([str(z), element.symbol, *(_text(v) for v in values), states])
    return table


def _text(value: float) -> str:
    if value is None or math.isnan(value):
        return ""
    return str(int(value)) if value == int(value) else repr(float(value))


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=PACKAGE_FILE)
    out = parser.parse_args().out
    with out.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows())


if __name__ == "__main__":
    main()
