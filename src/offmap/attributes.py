"""What the criteria look at: the elements and the symmetry of each material."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from offmap.columns import (
    CHEMICAL_SYSTEM,
    CRYSTAL_SYSTEM,
    FORMULA,
    MATERIAL_ID,
    N_ELEMENTS,
    N_SITES,
    POINT_GROUP,
    SPACE_GROUP,
)
from offmap.crystals import Crystals
from offmap.elements import SYMBOLS
from offmap.processes import pool
from offmap.progress import Progress

# First space group of each point group, in order (International Tables for Crystallography A).
_POINT_GROUPS = {
    1: "1", 2: "-1", 3: "2", 6: "m", 10: "2/m", 16: "222", 25: "mm2", 47: "mmm", 75: "4",
    81: "-4", 83: "4/m", 89: "422", 99: "4mm", 111: "-42m", 123: "4/mmm", 143: "3", 147: "-3",
    149: "32", 156: "3m", 162: "-3m", 168: "6", 174: "-6", 175: "6/m", 177: "622", 183: "6mm",
    187: "-6m2", 191: "6/mmm", 195: "23", 200: "m-3", 207: "432", 215: "-43m", 221: "m-3m",
}  # fmt: skip
_CRYSTAL_SYSTEMS = {
    1: "triclinic", 3: "monoclinic", 16: "orthorhombic", 75: "tetragonal", 143: "trigonal",
    168: "hexagonal", 195: "cubic",
}  # fmt: skip

POINT_GROUPS = tuple(_POINT_GROUPS.values())
"""The 32 point groups in order of the space groups."""

CRYSTAL_SYSTEMS = tuple(_CRYSTAL_SYSTEMS.values())
"""The 7 crystal systems, lowest symmetry first."""

# Below this many crystals, starting processes costs more than it saves.
_PARALLEL_FROM = 4000
_CHUNK = 1000


@dataclass(frozen=True, eq=False)
class Attributes:
    """Chemistry and symmetry of a table of materials.

    Parameters
    ----------
    frame
        One row per material: ``material_id``, ``formula``, ``chemical_system``, ``n_elements``,
        ``n_sites``, ``space_group`` (0 where unknown), ``point_group``, ``crystal_system`` (empty
        where unknown).
    has_element
        Shape (n_materials, 119), bool; column = atomic number.
    """

    frame: pd.DataFrame
    has_element: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.frame)

    def __getitem__(self, rows: Any) -> Attributes:
        """The attributes of some rows (slice, integers or boolean mask)."""
        return Attributes(self.frame.iloc[rows].reset_index(drop=True), self.has_element[rows])

    @property
    def has_symmetry(self) -> bool:
        """Whether space groups are known."""
        return bool((self.frame[SPACE_GROUP] > 0).any())


def attributes(
    crystals: Crystals,
    symprec: float = 0.01,
    jobs: int = 1,
    progress: Progress | None = None,
    known: NDArray[np.int16] | None = None,
) -> Attributes:
    """Find the elements and the symmetry of each crystal.

    Parameters
    ----------
    crystals
        The materials; where only formulas are known, symmetry is left unknown.
    symprec
        Distance within which atoms count as symmetry-equivalent, angstrom.
    jobs
        Processes to use.
    progress
        Called with crystals done and crystals in all.
    known
        Space groups that were found before, 0 where they are to be found; shape (n,).
    """
    numbers = np.zeros(len(crystals), dtype=np.int16) if known is None else known.copy()
    if crystals.has_structure:
        new = np.flatnonzero(numbers == 0)
        numbers[new] = space_groups(crystals.take(new), symprec, jobs, progress)
    has_element = crystals.counts > 0
    frame = pd.DataFrame(
        {
            MATERIAL_ID: crystals.material_id,
            FORMULA: crystals.formula,
            CHEMICAL_SYSTEM: chemical_systems(has_element),
            N_ELEMENTS: has_element.sum(axis=1),
            N_SITES: crystals.n_sites,
            SPACE_GROUP: numbers,
            POINT_GROUP: _lookup(_POINT_GROUPS)[numbers],
            CRYSTAL_SYSTEM: _lookup(_CRYSTAL_SYSTEMS)[numbers],
        }
    )
    return Attributes(frame, has_element)


def from_frame(frame: pd.DataFrame) -> Attributes:
    """Attributes from their table (as a study keeps it), without looking at structures."""
    codes, systems = pd.factorize(frame[CHEMICAL_SYSTEM])
    index = {symbol: z for z, symbol in enumerate(SYMBOLS)}
    present = np.zeros((len(systems), len(SYMBOLS)), dtype=bool)
    for row, system in zip(present, systems, strict=True):
        row[[index[symbol] for symbol in system.split("-")]] = True
    return Attributes(frame, present[codes])


def chemical_systems(has_element: NDArray[np.bool_]) -> NDArray[np.object_]:
    """Sorted symbols joined by a dash, such as ``"Li-O"``; shape (n,)."""
    packed, which = np.unique(np.packbits(has_element, axis=1), axis=0, return_inverse=True)
    bits = np.unpackbits(packed, axis=1, count=has_element.shape[1]).astype(bool)
    names = ["-".join(sorted(SYMBOLS[z] for z in np.flatnonzero(row))) for row in bits]
    return np.array(names, dtype=object)[which.reshape(-1)]


def space_groups(
    crystals: Crystals, symprec: float = 0.01, jobs: int = 1, progress: Progress | None = None
) -> NDArray[np.int16]:
    """International number of each crystal's space group, 0 where none was found; shape (n,).

    Uses moyo, a symmetry finder after the algorithm of spglib (Togo, Shinohara & Tanaka, Sci.
    Technol. Adv. Mater. Meth. 4, 2384822, 2024).
    """
    n = len(crystals)
    chunks = (crystals.take(np.arange(i, min(i + _CHUNK, n))) for i in range(0, n, _CHUNK))
    if jobs == 1 or n < _PARALLEL_FROM:
        found = _collect((_space_groups(chunk, symprec) for chunk in chunks), n, progress)
    else:
        with pool(jobs) as workers:
            results = workers.map(_space_groups, chunks, [symprec] * (n // _CHUNK + 1))
            found = _collect(results, n, progress)
    return found


def _collect(
    results: Iterable[NDArray[np.int16]], total: int, progress: Progress | None
) -> NDArray[np.int16]:
    parts: list[NDArray[np.int16]] = [np.empty(0, np.int16)]
    done = 0
    for part in results:
        parts.append(part)
        done += len(part)
        if progress:
            progress(done, total)
    return np.concatenate(parts)


def _space_groups(crystals: Crystals, symprec: float) -> NDArray[np.int16]:
    import moyopy

    logging.getLogger("moyo").setLevel(logging.ERROR)  # it tells of cells that are no concern here
    numbers = np.zeros(len(crystals), dtype=np.int16)
    for i, crystal in enumerate(crystals):
        lattice, coords = crystal.lattice, crystal.frac_coords
        if not (len(coords) and np.isfinite(lattice).all() and np.isfinite(coords).all()):
            continue
        cell = moyopy.Cell(lattice.tolist(), coords.tolist(), crystal.numbers.tolist())
        try:
            numbers[i] = moyopy.MoyoDataset(cell, symprec=symprec).number
        except ValueError:  # no symmetry found at any tolerance it tried
            continue
    return numbers


def _lookup(firsts: dict[int, str]) -> NDArray[np.object_]:
    """Name by space group number, from the first number of each class."""
    names = np.full(231, "", dtype=object)
    for first, name in firsts.items():
        names[first:] = name
    return names
