"""Crystals as ragged columnar arrays, and their way to and from Arrow, pymatgen and ASE.

One object holds any number of crystals in five flat arrays, so a million of them cost no Python
object each, travel between processes as buffers and feed compiled code directly.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from offmap.elements import FORMULA_ORDER, N_ELEMENTS, SYMBOLS, formula_part, parse_formula

if TYPE_CHECKING:
    import pyarrow as pa

# Lattices and positions are rounded before hashing: a trip through a text file keeps the key,
# but for a number just between two rounded ones, whose crystal is then described once more.
_HASH_DECIMALS = 5

# Most atoms that a bare formula may stand for.
_MOST_ATOMS = 20_000


class Crystal(NamedTuple):
    """One crystal: ``lattice`` (3, 3) in angstrom, ``numbers`` (n,) and ``frac_coords`` (n, 3)."""

    material_id: str
    lattice: NDArray[np.float64]
    numbers: NDArray[np.uint8]
    frac_coords: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Crystals:
    """A table of crystals with ragged columns.

    Parameters
    ----------
    material_id
        Identifier of each crystal, shape (n,).
    lattice
        Cell vectors as rows, angstrom, shape (n, 3, 3); NaN where only a formula is known.
    numbers
        Atomic number of every site of every crystal, shape (total,).
    frac_coords
        Fractional coordinates of every site, shape (total, 3).
    offsets
        Sites of crystal ``i`` are ``offsets[i]:offsets[i + 1]``; shape (n + 1,).

    Raises
    ------
    ValueError
        If the shapes do not fit together, or a number is no atomic number.
    """

    material_id: NDArray[np.object_]
    lattice: NDArray[np.float64]
    numbers: NDArray[np.uint8]
    frac_coords: NDArray[np.float64]
    offsets: NDArray[np.int64]

    def __post_init__(self) -> None:
        n, total = len(self.material_id), len(self.numbers)
        if self.lattice.shape != (n, 3, 3):
            raise ValueError(f"lattice has shape {self.lattice.shape}, expected {(n, 3, 3)}")
        if self.frac_coords.shape != (total, 3):
            raise ValueError(f"frac_coords has shape {self.frac_coords.shape}, not {(total, 3)}")
        if self.offsets.shape != (n + 1,) or self.offsets[0] != 0 or self.offsets[-1] != total:
            raise ValueError(
                "offsets must run from 0 to the number of sites, one per crystal plus one"
            )
        if (np.diff(self.offsets) < 0).any():
            raise ValueError("offsets must not decrease")
        if total and self.numbers.max() >= N_ELEMENTS:
            raise ValueError(f"{self.numbers.max()} is no atomic number")

    def __getstate__(self) -> dict[str, Any]:
        # What was derived is left behind: it is larger than the crystals.
        return {f.name: getattr(self, f.name) for f in fields(self)}

    # -- making ------------------------------------------------------------------------------

    @classmethod
    def from_list(cls, crystals: Iterable[Crystal]) -> Crystals:
        """Join single crystals, in order."""
        items = list(crystals)
        sizes = np.array([len(c.numbers) for c in items], dtype=np.int64)
        return cls(
            material_id=np.array([c.material_id for c in items], dtype=object),
            lattice=np.array([c.lattice for c in items], dtype=np.float64).reshape(-1, 3, 3),
            numbers=_atomic(_joined([c.numbers for c in items], np.int64)),
            frac_coords=_joined([c.frac_coords for c in items], np.float64).reshape(-1, 3),
            offsets=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        )

    @classmethod
    def from_formulas(cls, formulas: Sequence[str], material_id: Sequence[str]) -> Crystals:
        """Crystals of which only the composition is known: lattices and positions are NaN.

        Amounts are scaled to the smallest whole numbers (``"Li0.5CoO2"`` becomes Li1 Co2 O4).

        Raises
        ------
        ValueError
            If a text is no formula, its amounts are no multiples of 1/1000, or it stands for too
            many atoms.
        """
        numbers = [_whole_atoms(formula) for formula in formulas]
        return cls.from_list(
            Crystal(i, np.full((3, 3), np.nan), z, np.full((len(z), 3), np.nan))
            for i, z in zip(material_id, numbers, strict=True)
        )

    @classmethod
    def concat(cls, parts: Sequence[Crystals]) -> Crystals:
        """Join tables of crystals, in order."""
        shifts = np.cumsum([0] + [len(p.numbers) for p in parts])
        return cls(
            material_id=_joined([p.material_id for p in parts], object),
            lattice=_joined([p.lattice for p in parts], np.float64).reshape(-1, 3, 3),
            numbers=_joined([p.numbers for p in parts], np.uint8),
            frac_coords=_joined([p.frac_coords for p in parts], np.float64).reshape(-1, 3),
            offsets=np.concatenate(
                [np.zeros(1, np.int64)]
                + [p.offsets[1:] + s for p, s in zip(parts, shifts[:-1], strict=True)]
            ),
        )

    # -- looking -----------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.material_id)

    def __iter__(self) -> Iterator[Crystal]:
        return (self.crystal(i) for i in range(len(self)))

    def crystal(self, i: int) -> Crystal:
        """The ``i``-th crystal, as views."""
        sites = slice(self.offsets[i], self.offsets[i + 1])
        return Crystal(
            self.material_id[i], self.lattice[i], self.numbers[sites], self.frac_coords[sites]
        )

    def __getitem__(self, rows: Any) -> Crystals:
        """The crystals at ``rows``, as :meth:`take`; the way scikit-learn cuts folds."""
        return self.take(rows[0] if isinstance(rows, tuple) else rows)

    @property
    def shape(self) -> tuple[int]:
        """Number of crystals, as scikit-learn asks for it."""
        return (len(self),)

    def take(self, rows: Any) -> Crystals:
        """The crystals at ``rows`` (integers, a boolean mask or a slice), in that order."""
        rows = np.atleast_1d(np.arange(len(self))[rows])
        sizes = self.n_sites[rows]
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        sites = np.arange(offsets[-1]) + np.repeat(self.offsets[rows] - offsets[:-1], sizes)
        return Crystals(
            self.material_id[rows],
            self.lattice[rows],
            self.numbers[sites],
            self.frac_coords[sites],
            offsets,
        )

    @property
    def n_sites(self) -> NDArray[np.int64]:
        """Number of sites of each crystal, shape (n,)."""
        return np.diff(self.offsets)

    @property
    def volume(self) -> NDArray[np.float64]:
        """Cell volume, cubic angstrom, shape (n,)."""
        volume: NDArray[np.float64] = np.abs(np.linalg.det(self.lattice))
        return volume

    @property
    def has_structure(self) -> bool:
        """Whether lattices and positions are known (False for formula-only tables)."""
        return len(self) == 0 or not bool(np.isnan(self.lattice[:, 0, 0]).all())

    @property
    def structure_known(self) -> NDArray[np.bool_]:
        """Whether the lattice and every position of a crystal are known, shape (n,)."""
        known = np.array(np.isfinite(self.lattice).all(axis=(1, 2)), dtype=bool)
        rows = np.repeat(np.arange(len(self)), self.n_sites)
        known[rows[~np.isfinite(self.frac_coords).all(axis=1)]] = False
        return known

    @cached_property
    def counts(self) -> NDArray[np.int32]:
        """Atoms of each element in each cell, shape (n, 119); column = atomic number."""
        rows = np.repeat(np.arange(len(self)), self.n_sites)
        flat = np.bincount(rows * N_ELEMENTS + self.numbers, minlength=len(self) * N_ELEMENTS)
        return flat.reshape(len(self), N_ELEMENTS).astype(np.int32)

    @cached_property
    def formula(self) -> NDArray[Any]:
        """Reduced formula of each crystal, shape (n,)."""
        counts = self.counts[:, FORMULA_ORDER]
        rows, columns = np.nonzero(counts)
        amounts = counts[rows, columns]
        distinct, starts, n_parts = np.unique(rows, return_index=True, return_counts=True)
        if len(rows):
            amounts = amounts // np.repeat(np.gcd.reduceat(amounts, starts), n_parts)
        parts = list(map(formula_part, FORMULA_ORDER[columns].tolist(), amounts.tolist()))
        text = np.full(len(self), "", dtype=object)
        ends = (starts + n_parts).tolist()
        text[distinct] = ["".join(parts[a:b]) for a, b in zip(starts.tolist(), ends, strict=True)]
        return text

    def content_hash(self) -> NDArray[np.object_]:
        """Digest of each crystal's content (not its id): 32 hexadecimal digits, shape (n,)."""
        lattice = np.round(self.lattice, _HASH_DECIMALS) + 0.0  # + 0.0 turns -0.0 into 0.0
        coords = np.round(self.frac_coords, _HASH_DECIMALS) + 0.0
        digests = []
        for i in range(len(self)):
            sites = slice(self.offsets[i], self.offsets[i + 1])
            digest = hashlib.blake2b(lattice[i].tobytes(), digest_size=16)
            digest.update(self.numbers[sites].tobytes())
            digest.update(coords[sites].tobytes())
            digests.append(digest.hexdigest())
        return np.array(digests, dtype=object)

    # -- Arrow -------------------------------------------------------------------------------

    def to_arrow(self) -> pa.Table:
        """Columns ``material_id``, ``lattice`` (9), ``numbers``, ``frac_coords`` (3 per site)."""
        import pyarrow as pa

        def ragged(values: NDArray[Any], per_site: int) -> pa.Array:
            return pa.LargeListArray.from_arrays(self.offsets * per_site, values.reshape(-1))

        return pa.table(
            {
                "material_id": pa.array(self.material_id, pa.string()),
                "lattice": pa.FixedSizeListArray.from_arrays(self.lattice.reshape(-1), 9),
                "numbers": ragged(self.numbers, 1),
                "frac_coords": ragged(self.frac_coords, 3),
            }
        )

    @classmethod
    def from_arrow(cls, table: pa.Table) -> Crystals:
        """The inverse of :meth:`to_arrow`; any list type and number type is taken."""
        numbers = table["numbers"].combine_chunks()
        sizes = numbers.value_lengths().to_numpy(zero_copy_only=False).astype(np.int64)

        def flat(name: str, dtype: Any) -> NDArray[Any]:
            values = table[name].combine_chunks()
            while hasattr(values, "flatten"):  # lists, and lists of lists
                values = values.flatten()
            array: NDArray[Any] = values.to_numpy(zero_copy_only=False).astype(dtype)
            return array

        return cls(
            material_id=table["material_id"].to_numpy(zero_copy_only=False).astype(object),
            lattice=flat("lattice", np.float64).reshape(-1, 3, 3),
            numbers=_atomic(flat("numbers", np.int64)),
            frac_coords=flat("frac_coords", np.float64).reshape(-1, 3),
            offsets=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        )

    # -- pymatgen and ASE ----------------------------------------------------------------------

    @classmethod
    def from_pymatgen(cls, structures: Iterable[Any], material_id: Sequence[str]) -> Crystals:
        """From ordered ``pymatgen.core.Structure`` objects.

        Raises
        ------
        ValueError
            If a structure is disordered (partial occupancy).
        """
        items = []
        for i, structure in zip(material_id, structures, strict=True):
            if not structure.is_ordered:
                raise ValueError(f"{i}: the structure is disordered (partial occupancy)")
            numbers = np.array(structure.atomic_numbers, dtype=np.uint8)
            items.append(Crystal(i, structure.lattice.matrix, numbers, structure.frac_coords))
        return cls.from_list(items)

    def to_pymatgen(self) -> list[Any]:
        """As ``pymatgen.core.Structure`` objects (needs pymatgen)."""
        from pymatgen.core import Structure

        return [Structure(c.lattice, [SYMBOLS[z] for z in c.numbers], c.frac_coords) for c in self]

    @classmethod
    def from_ase(cls, atoms: Iterable[Any], material_id: Sequence[str]) -> Crystals:
        """From periodic ``ase.Atoms`` objects."""
        return cls.from_list(
            Crystal(i, np.array(a.cell), a.numbers, a.get_scaled_positions(wrap=False))
            for i, a in zip(material_id, atoms, strict=True)
        )

    def to_ase(self) -> list[Any]:
        """As ``ase.Atoms`` objects, periodic in all directions."""
        from ase import Atoms

        return [
            Atoms(numbers=c.numbers, cell=c.lattice, scaled_positions=c.frac_coords, pbc=True)
            for c in self
        ]


def _joined(parts: Sequence[Any], dtype: Any) -> NDArray[Any]:
    return np.concatenate(parts).astype(dtype) if len(parts) else np.empty(0, dtype)


def _atomic(numbers: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Atomic numbers in one byte each, checked before they would wrap around."""
    if len(numbers) and not 0 <= numbers.min() <= numbers.max() < N_ELEMENTS:
        raise ValueError(f"{numbers.min()} or {numbers.max()} is no atomic number")
    return numbers.astype(np.uint8)


def _whole_atoms(formula: str) -> NDArray[np.uint8]:
    amounts = parse_formula(formula)
    numbers, n = np.array(list(amounts), dtype=np.uint8), np.array(list(amounts.values()))
    for scale in (*range(1, 101), 1000):
        if not n.sum() * scale <= _MOST_ATOMS:
            raise ValueError(f"{formula!r:.80} stands for more than {_MOST_ATOMS} atoms")
        whole = np.round(n * scale)
        # 0.333 is meant as a third, 0.37 as nothing but 37/100.
        if (np.abs(whole - n * scale) < 2e-3).all() and (whole > 0).all():
            return np.repeat(numbers, whole.astype(int))
    raise ValueError(f"{formula!r} has amounts that are no multiples of 1/1000")
