"""Multipoles of atoms on disk by content of the crystal, so that each is computed once."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from offmap.cache import cache_folder
from offmap.crystals import Crystals
from offmap.progress import Progress
from offmap.representations.array_cache import ArrayCache
from offmap.representations.gmp import atom_features
from offmap.representations.gmp.densities import FORM_FACTORS, Densities, densities
from offmap.representations.gmp.probes import COLUMNS

# Raised whenever the same crystal gets other multipoles.
_VERSION = 1

# Atoms per file: some minutes of one core, what a killed run can lose.
_ATOMS = 1 << 18


@dataclass(frozen=True, eq=False)
class Multipoles:
    """Multipoles of the atoms of crystals, in single precision.

    Parameters
    ----------
    values
        Shape (n_atoms, 201); NaN for a crystal without.
    offsets
        Where the atoms of each crystal begin, and where the last end; shape (n + 1,).
    reasons
        Crystal -> why it has none.
    """

    values: NDArray[np.float32]
    offsets: NDArray[np.int64]
    reasons: dict[int, str]

    def rows(self, chosen: NDArray[np.int64]) -> NDArray[np.int64]:
        """Rows of the atoms of some crystals, in order."""
        sizes = np.diff(self.offsets)[chosen]
        begins = np.cumsum(sizes) - sizes
        rows: NDArray[np.int64] = np.repeat(self.offsets[chosen] - begins, sizes)
        return rows + np.arange(len(rows))


def multipoles(
    crystals: Crystals, density: str = FORM_FACTORS, progress: Progress | None = None
) -> Multipoles:
    """Multipoles of the atoms of crystals, reusing all that were computed before.

    Parameters
    ----------
    crystals
        What to describe.
    density
        Atomic densities; see :func:`offmap.representations.gmp.densities.densities`.
    progress
        Called with crystals done and crystals in all.
    """
    cache = cache_of(densities(density))
    keys = crystals.content_hash().astype("S32")
    offsets = np.asarray(crystals.offsets, np.int64)
    found = Multipoles(np.full((offsets[-1], len(COLUMNS)), np.nan, np.float32), offsets, {})
    missing = np.ones(len(keys), bool)
    for known, arrays, reasons in cache.batches(keys):
        order = np.argsort(known)
        place = order[np.searchsorted(known, keys, sorter=order).clip(max=len(known) - 1)]
        here = np.flatnonzero(missing & (known[place] == keys))
        _take(found, here, Multipoles(**arrays, reasons=reasons), place[here])
        missing[here] = False
    todo = np.flatnonzero(missing)
    n_done = len(keys) - len(todo)
    for part in _parts(todo, np.diff(offsets)):
        if progress:
            progress(n_done, len(keys))
        values, reasons = atom_features(crystals.take(part), density)
        sizes = np.diff(offsets)[part]
        batch = Multipoles(
            values.astype(np.float32), np.concatenate([[0], np.cumsum(sizes)]), reasons
        )
        _take(found, part, batch, np.arange(len(part)))
        cache.add(keys[part], {"values": batch.values, "offsets": batch.offsets}, reasons)
        n_done += len(part)
    if progress:
        progress(len(keys), len(keys))
    return found


def _take(
    to: Multipoles, at: NDArray[np.int64], batch: Multipoles, rows: NDArray[np.int64]
) -> None:
    """Copy crystals of a batch to where they belong."""
    to.values[to.rows(at)] = batch.values[batch.rows(rows)]
    for place, row in zip(at.tolist(), rows.tolist(), strict=True):
        if row in batch.reasons:
            to.reasons[place] = batch.reasons[row]


def _parts(rows: NDArray[np.int64], sizes: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Rows in parts of about as many atoms as a file should hold."""
    if not len(rows):
        return []
    which = (np.cumsum(sizes[rows]) - 1) // _ATOMS
    return np.split(rows, np.flatnonzero(np.diff(which)) + 1)


def cache_of(density: Densities) -> ArrayCache:
    """The cache of one set of atomic densities, whatever it is called."""
    digest = blake2b(digest_size=6)
    for array in (density.weights, density.exponents, density.known):
        digest.update(np.ascontiguousarray(array).tobytes())
    folder = cache_folder("multipoles", f"v{_VERSION}-{digest.hexdigest()}")
    return ArrayCache(folder, ("values", "offsets"))
