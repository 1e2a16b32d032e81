"""Which column of a foreign table holds what: ids, structures, formulas, targets."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from offmap.datasets.structures import StructureError, to_crystal
from offmap.errors import DataError

ID_NAMES = (
    "material_id",
    "jid",
    "mp_id",
    "mpid",
    "oqmd_id",
    "entry_id",
    "task_id",
    "identifier",
    "mbid",
    "id",
    "_id",
    "index",
    "__index_level_0__",
)
STRUCTURE_NAMES = (
    "structure",
    "atoms",
    "cif",
    "poscar",
    "structure_json",
    "final_structure",
    "relaxed_structure",
    "crystal",
    "crystal_structure",
    "structures",
)
FORMULA_NAMES = (
    "formula",
    "composition",
    "pretty_formula",
    "formula_pretty",
    "reduced_formula",
    "chemical_formula_reduced",
    "chemical_formula",
    "full_formula",
)
COLUMNAR = ("lattice", "numbers", "frac_coords")
"""The columns of offmap's own Parquet files, which need no parsing."""

TARGET_UNITS = {
    "formation_energy_per_atom": "eV/atom",
    "formation_energy_peratom": "eV/atom",
    "e_form": "eV/atom",
    "form_energy_per_atom": "eV/atom",
    "formation_energy": "eV/atom",
    "_oqmd_delta_e": "eV/atom",
    "delta_e": "eV/atom",
    "band_gap": "eV",
    "optb88vdw_bandgap": "eV",
    "mbj_bandgap": "eV",
    "hse_gap": "eV",
    "gap pbe": "eV",
    "energy_above_hull": "eV/atom",
    "e_above_hull": "eV/atom",
    "ehull": "eV/atom",
    "bulk_modulus_kv": "GPa",
    "shear_modulus_gv": "GPa",
    "bulk_modulus": "GPa",
    "shear_modulus": "GPa",
    "volume_per_atom": "Å³",
    "target": "",
}
"""Columns that are targets by their name, the usual ones first, with their units."""


@dataclass(frozen=True)
class Layout:
    """The columns of a table; an empty name means that it is to be found.

    ``columnar`` says that structures lie in offmap's own columns instead of one.
    """

    material_id: str = ""
    structure: str = ""
    formula: str = ""
    columnar: bool = False


def find(layout: Layout, head: pd.DataFrame, where: str, columnar: bool = False) -> Layout:
    """Fill in a layout from the first rows of a table.

    Parameters
    ----------
    layout
        What is already known; its names must exist.
    head
        Some rows.
    where
        The file, for messages.
    columnar
        Whether structures lie in offmap's own columns.

    Raises
    ------
    DataError
        If a stated column is missing, or the table has neither structures nor formulas.
    """
    columns = [str(c) for c in head.columns]
    for name in (layout.material_id, layout.structure, layout.formula):
        if name and name not in columns:
            near = difflib.get_close_matches(name, columns, n=3)
            hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
            raise DataError(f"{where} has no column {name!r}{hint} It has {_listed(columns)}.")
    found = replace(
        layout,
        material_id=layout.material_id or _first(ID_NAMES, columns),
        formula=layout.formula or _first(FORMULA_NAMES, columns),
        columnar=not layout.structure and columnar,
    )
    if found.columnar:
        return found
    structure = layout.structure or _first(STRUCTURE_NAMES, columns) or _sniffed(head)
    if not structure and not found.formula:
        raise DataError(
            f"{where} has neither structures nor formulas. It has {_listed(columns)}. "
            f"Structures are looked for in {', '.join(STRUCTURE_NAMES)} "
            f"and formulas in {', '.join(FORMULA_NAMES)}."
        )
    return replace(found, structure=structure)


def _first(names: Iterable[str], columns: list[str]) -> str:
    by_lower = {c.lower(): c for c in reversed(columns)}
    return next((by_lower[name] for name in names if name in by_lower), "")


def _sniffed(head: pd.DataFrame) -> str:
    """The one column whose cells are structures, whatever its name."""
    found = [str(c) for c in head.columns if any(_is_structure(v) for v in head[c].head(5))]
    return found[0] if len(found) == 1 else ""


def _is_structure(value: Any) -> bool:
    if isinstance(value, (int, float)):
        return False
    try:
        to_crystal(value)
    except StructureError:
        return False
    return True


def _listed(columns: list[str]) -> str:
    shown = ", ".join(columns[:40])
    more = f" and {len(columns) - 40} more" if len(columns) > 40 else ""
    return f"the columns {shown}{more}" if columns else "no columns"
