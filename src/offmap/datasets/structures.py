"""One structure in any of the forms it is published in, read into a :class:`Crystal`.

The form is recognised from the value itself, so one column may mix them: CIF or POSCAR text,
JSON text, the dicts of pymatgen, JARVIS, OPTIMADE and ASE, ``{lattice, species, frac_coords}``,
or pymatgen and ASE objects.
"""

from __future__ import annotations

import ast
import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offmap.crystals import Crystal
from offmap.elements import NUMBERS, parse_formula

_OCCUPANCY_TOLERANCE = 1e-3
_CHARGE = re.compile(r"[+-]?\d*\.?\d*[+-]?$")


class StructureError(ValueError):
    """Why a cell of a structure column is no crystal, in words for ``rejected.csv``."""


def to_crystal(cell: Any, material_id: str = "") -> Crystal:
    """Read one structure.

    Parameters
    ----------
    cell
        A structure in any known form.
    material_id
        Identifier to carry along.

    Returns
    -------
    Crystal
        ``lattice`` (3, 3) in angstrom, ``numbers`` (n,), ``frac_coords`` (n, 3).

    Raises
    ------
    StructureError
        If it is no structure, or a disordered one; the message says why.
    """
    if cell is None or (isinstance(cell, float) and np.isnan(cell)):
        raise StructureError("no structure")
    try:
        lattice, numbers, coords = _read(cell)
    except StructureError:
        raise
    except RecursionError as error:
        raise StructureError("structure is nested too deeply") from error
    except Exception as error:  # parsers of other packages raise whatever they like
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise StructureError(f"structure cannot be read: {reason}") from error
    return _checked(material_id, lattice, numbers, coords)


_Parts = tuple[Any, Sequence[int] | NDArray[Any], Any]


def _read(cell: Any) -> _Parts:
    if isinstance(cell, bytes):
        cell = cell.decode("utf-8", errors="replace")
    if isinstance(cell, str):
        return _from_text(cell)
    if isinstance(cell, Mapping):
        return _from_dict(cell)
    if hasattr(cell, "lattice") and hasattr(cell, "is_ordered"):
        if not cell.is_ordered:
            raise StructureError("disordered structure (partial occupancy)")
        return cell.lattice.matrix, cell.atomic_numbers, cell.frac_coords
    if hasattr(cell, "get_scaled_positions"):
        return np.array(cell.cell), cell.numbers, cell.get_scaled_positions(wrap=False)
    raise StructureError(f"no structure but a value of type {type(cell).__name__}")


def _checked(material_id: str, lattice: Any, numbers: Any, coords: Any) -> Crystal:
    try:
        cell = np.asarray(lattice, dtype=np.float64).reshape(3, 3)
    except (ValueError, TypeError, OverflowError) as error:
        raise StructureError("lattice is not three vectors of three numbers") from error
    n = len(numbers)
    if n == 0:
        raise StructureError("structure has no sites")
    try:
        sites = np.asarray(coords, dtype=np.float64)
    except (ValueError, TypeError, OverflowError) as error:
        raise StructureError("coordinates are not three numbers per site") from error
    if sites.shape != (n, 3):
        raise StructureError(f"{n} species but coordinates of shape {sites.shape}")
    return Crystal(material_id, cell, np.asarray(numbers, dtype=np.uint8), sites)


# -- text --------------------------------------------------------------------------------------


def _from_text(text: str) -> _Parts:
    text = text.lstrip("\ufeff \t\r\n") if text[:1] in "\ufeff{[ \t\r\n" else text
    if text[:1] in ("{", "["):
        value = _object(text)
        if isinstance(value, Mapping):
            return _from_dict(value)
        raise StructureError("structure is a JSON list, not an object")
    if not text.strip():
        raise StructureError("no structure")
    if "_atom_site" in text or "_cell_length_a" in text or text.lstrip()[:5].lower() == "data_":
        return _from_cif(text)
    if text.count("\n") >= 6:
        return _from_poscar(text)
    raise StructureError(f"text is neither CIF, POSCAR nor JSON: {text[:40]!r}")


def _object(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        if text[1:2] != "'":
            raise
        return ast.literal_eval(text)  # a dict as Python prints it, as in tables made with str()


def _from_cif(text: str) -> _Parts:
    import gemmi

    for block in gemmi.cif.read_string(text):
        small = gemmi.make_small_structure_from_block(block)
        if len(small.sites):
            break
    else:
        raise StructureError("CIF has no atom sites")
    if not small.cell.is_crystal():
        raise StructureError("CIF has no unit cell")
    # The sites of the asymmetric unit say what is disordered; symmetry then repeats them.
    for site in small.sites:
        if not site.element.atomic_number:
            raise StructureError(f"unknown element {site.type_symbol or site.label!r}")
        if abs(site.occ - 1) > _OCCUPANCY_TOLERANCE:
            raise StructureError(f"partial occupancy {site.occ:g} of site {site.label}")
    sites = small.get_all_unit_cell_sites()
    numbers = [site.element.atomic_number for site in sites]
    _check_formula(block.find_value("_chemical_formula_sum"), numbers)
    lattice = np.array(small.cell.orth.mat.tolist()).T
    return lattice, numbers, [site.fract.tolist() for site in sites]


def _check_formula(stated: str | None, numbers: list[int]) -> None:
    """Sites that lack atoms which the formula names (hydrogens, often) are not that material."""
    try:
        amounts = parse_formula((stated or "").strip("'\" \n;"))
    except ValueError:
        return
    missing = set(amounts) - set(numbers)
    if missing:
        symbols = [s for s, z in NUMBERS.items() if z in missing and s not in "DT"]
        raise StructureError(f"CIF names {', '.join(symbols)} in its formula but has no such site")


def _from_poscar(text: str) -> _Parts:
    from ase.io.vasp import read_vasp

    atoms = read_vasp(io.StringIO(text))
    return np.array(atoms.cell), atoms.numbers, atoms.get_scaled_positions(wrap=False)


# -- dicts -------------------------------------------------------------------------------------


def _from_dict(cell: Mapping[str, Any]) -> _Parts:
    for keys, read in _FORMS:
        if all(key in cell and cell[key] is not None for key in keys):
            return read(cell)
    for key in ("atoms", "structure", "attributes"):
        if isinstance(cell.get(key), Mapping):
            return _from_dict(cell[key])
    raise StructureError(f"unknown form of structure with keys {', '.join(map(str, cell))[:120]}")


def _jarvis(cell: Mapping[str, Any]) -> _Parts:
    coords = cell["coords"]
    if _truth(cell.get("cartesian")):
        coords = _fractional(coords, cell["lattice_mat"])
    return cell["lattice_mat"], _numbers(cell["elements"]), coords


def _pymatgen(cell: Mapping[str, Any]) -> _Parts:
    lattice = cell["lattice"]
    matrix = lattice["matrix"] if isinstance(lattice, Mapping) else lattice
    symbols = []
    for site in cell["sites"]:
        species = site["species"]
        if len(species) != 1:
            shared = "/".join(str(s.get("element")) for s in species)
            raise StructureError(f"disordered structure (one site holds {shared or 'nothing'})")
        if abs(float(species[0].get("occu", 1)) - 1) > _OCCUPANCY_TOLERANCE:
            raise StructureError(f"partial occupancy {species[0]['occu']:g} of a site")
        symbols.append(species[0]["element"])
    return matrix, _numbers(symbols), [site["abc"] for site in cell["sites"]]


def _plain(cell: Mapping[str, Any]) -> _Parts:
    return cell["lattice"], _numbers(cell["species"]), cell["frac_coords"]


def _columnar(cell: Mapping[str, Any]) -> _Parts:
    coords = np.asarray(cell["frac_coords"], dtype=np.float64).reshape(-1, 3)
    return cell["lattice"], _numbers(cell["numbers"]), coords


def _optimade(cell: Mapping[str, Any]) -> _Parts:
    lattice = cell["lattice_vectors"]
    symbols: dict[str, str] = {}
    for kind in cell.get("species") or ():
        elements, shares = kind["chemical_symbols"], kind.get("concentration") or [1]
        if len(elements) != 1 or abs(shares[0] - 1) > _OCCUPANCY_TOLERANCE:
            raise StructureError(f"disordered structure (species {kind['name']} is mixed)")
        symbols[kind["name"]] = elements[0]
    names = [symbols.get(name, name) for name in cell["species_at_sites"]]
    return lattice, _numbers(names), _fractional(cell["cartesian_site_positions"], lattice)


def _ase(cell: Mapping[str, Any]) -> _Parts:
    numbers = _numbers(cell["numbers"] if "numbers" in cell else cell["symbols"])
    if "scaled_positions" in cell:
        return cell["cell"], numbers, cell["scaled_positions"]
    return cell["cell"], numbers, _fractional(cell["positions"], cell["cell"])


_FORMS: tuple[tuple[tuple[str, ...], Callable[[Mapping[str, Any]], _Parts]], ...] = (
    (("lattice", "species", "frac_coords"), _plain),
    (("lattice_mat", "elements", "coords"), _jarvis),
    (("lattice", "sites"), _pymatgen),
    (("lattice", "numbers", "frac_coords"), _columnar),
    (("lattice_vectors", "species_at_sites", "cartesian_site_positions"), _optimade),
    (("cell", "numbers", "positions"), _ase),
    (("cell", "symbols", "positions"), _ase),
    (("cell", "numbers", "scaled_positions"), _ase),
)
"""Keys that tell a form apart -> its reader; the first match wins."""


def _fractional(positions: Any, lattice: Any) -> NDArray[np.float64]:
    try:
        return np.linalg.solve(np.array(lattice, float).T, np.array(positions, float).T).T
    except np.linalg.LinAlgError as error:
        raise StructureError("cell has no volume") from error


def _truth(value: Any) -> bool:
    return value.strip().lower() == "true" if isinstance(value, str) else bool(value)


def _numbers(species: Sequence[Any]) -> list[int]:
    try:
        return [NUMBERS[s] for s in species]
    except (KeyError, TypeError):
        return [_number(str(s)) for s in species]


@lru_cache(maxsize=4096)
def _number(species: str) -> int:
    """Atomic number of ``"Fe"``, ``"Fe3+"`` or ``"26"``."""
    species = species.strip()
    if species.isdecimal() and 0 < int(species) < 119:
        return int(species)
    symbol = _CHARGE.sub("", species, count=1)
    if symbol not in NUMBERS:
        raise StructureError(f"unknown element {species[:20]!r}")
    return NUMBERS[symbol]
