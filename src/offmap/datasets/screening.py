"""Checks that every crystal must pass to be used; the ones that fail are set aside with a reason.

All of it runs on flat arrays: fifty thousand crystals take a second or two.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offmap.crystals import Crystals

MIN_DISTANCE = 0.5
"""Two atoms closer than this overlap, angstrom (H2, the shortest bond, is 0.74)."""

MIN_VOLUME_PER_ATOM = 1.0
"""Cubic angstrom. Diamond has 5.7; the densest hydrides computed stay above 2."""

MAX_VOLUME_PER_ATOM = 1000.0
"""Cubic angstrom. Solid xenon has 60; a molecule in a box of vacuum passes, garbage does not."""

MAX_SITES = 100_000

MAX_NUMBER = 118
"""Atomic number of oganesson."""

_MAX_IMAGES = 50  # a cell so thin that more images are needed is broken
_MAX_THIN_SITES = 2000  # likewise one so thin with so many atoms


def screen(crystals: Crystals) -> dict[int, str]:
    """Find the crystals that cannot be used.

    Parameters
    ----------
    crystals
        With lattices.

    Returns
    -------
    dict
        Row -> reason, in words.
    """
    reasons: dict[int, str] = {}
    n_sites = crystals.n_sites
    sound = crystals.structure_known & (n_sites > 0)
    known = (crystals.numbers > 0) & (crystals.numbers <= MAX_NUMBER)
    unknown = _per_crystal(crystals, ~known) > 0
    huge = n_sites > MAX_SITES
    with np.errstate(invalid="ignore", over="ignore"):
        per_atom = crystals.volume / np.maximum(n_sites, 1)
    flat = sound & ~(per_atom > 1e-6)
    dense = sound & ~flat & (per_atom < MIN_VOLUME_PER_ATOM)
    empty = sound & ~(per_atom <= MAX_VOLUME_PER_ATOM)
    for rows, words in (
        (~sound, "lattice or coordinates are missing or not finite"),
        (unknown, "unknown element"),
        (huge, f"more than {MAX_SITES:,} sites"),
        (flat, "cell has no volume"),
        (dense, f"volume per atom below {MIN_VOLUME_PER_ATOM:g} Å³"),
        (empty, f"volume per atom above {MAX_VOLUME_PER_ATOM:g} Å³"),
    ):
        for row in np.flatnonzero(rows):
            reasons.setdefault(int(row), words)
    rest = np.setdiff1d(np.arange(len(crystals)), list(reasons))
    for row in rest[overlapping(crystals.take(rest))]:
        reasons[int(row)] = f"atoms closer than {MIN_DISTANCE:g} Å"
    return reasons


def overlapping(crystals: Crystals, min_distance: float = MIN_DISTANCE) -> NDArray[np.bool_]:
    """Whether two atoms of a crystal, periodic images included, are closer than ``min_distance``.

    Sites are sorted along the direction in which the cell is widest and each is compared with the
    next ones while their planes are closer than ``min_distance``: exact, and nearly linear in the
    number of sites. Cells thinner than ``2 * min_distance`` get a search over images instead.

    Parameters
    ----------
    crystals
        Finite, of non-zero volume.
    min_distance
        Angstrom.

    Returns
    -------
    ndarray of shape (n,)
    """
    found = np.zeros(len(crystals), dtype=bool)
    if not len(crystals):
        return found
    # Width of the cell along each axis: atoms closer than r differ by less than r / width.
    widths = 1.0 / np.linalg.norm(np.linalg.inv(crystals.lattice), axis=1)
    thin = widths.min(axis=1) <= 2 * min_distance
    for row in np.flatnonzero(thin):
        found[row] = _overlaps_slowly(crystals.take(np.array([row])), widths[row], min_distance)
    rows = np.flatnonzero(~thin)
    if len(rows):
        found[rows] = _sweep(crystals.take(rows), widths[rows], min_distance)
    return found


def _sweep(
    crystals: Crystals, widths: NDArray[np.float64], min_distance: float
) -> NDArray[np.bool_]:
    found = np.zeros(len(crystals), dtype=bool)
    axis = widths.argmax(axis=1)
    reach = min_distance / widths[np.arange(len(crystals)), axis]
    of = np.repeat(np.arange(len(crystals)), crystals.n_sites)
    coords = crystals.frac_coords - np.floor(crystals.frac_coords)
    phase = coords[np.arange(len(of)), axis[of]] % 1.0
    order = np.lexsort((phase, of))
    coords, phase = coords[order], phase[order]
    start, size = crystals.offsets[of], crystals.n_sites[of]
    active = np.flatnonzero(size > 1)
    step = 0
    while len(active):
        step += 1
        mine = of[active]
        partner = start[active] + (active - start[active] + step) % size[active]
        near = (phase[partner] - phase[active]) % 1.0 < reach[mine]
        near &= (step < size[active]) & ~found[mine]
        active, partner, mine = active[near], partner[near], mine[near]
        difference = coords[partner] - coords[active]
        difference -= np.round(difference)
        vectors = np.einsum("ni,nij->nj", difference, crystals.lattice[mine])
        found[mine[np.einsum("ni,ni->n", vectors, vectors) < min_distance**2]] = True
    return found


def _overlaps_slowly(one: Crystals, widths: NDArray[np.float64], min_distance: float) -> bool:
    """Every pair over every image that can be near: for cells with a very short or skewed axis."""
    spans = np.ceil(min_distance / widths).astype(int)
    if spans.max() > _MAX_IMAGES or len(one.numbers) > _MAX_THIN_SITES:
        return True
    coords = one.frac_coords - np.floor(one.frac_coords)
    for image in product(*(range(-s - 1, s + 2) for s in spans)):
        for k in range(len(coords)):
            vectors = (coords[k:] - coords[k] + image) @ one.lattice[0]
            close = np.einsum("ni,ni->n", vectors, vectors) < min_distance**2
            if image == (0, 0, 0):
                close[0] = False
            if close.any():
                return True
    return False


def _per_crystal(crystals: Crystals, sites: Any) -> NDArray[np.int64]:
    """How many sites of each crystal are marked, shape (n,)."""
    total = np.concatenate([[0], np.cumsum(sites)])
    counted: NDArray[np.int64] = total[crystals.offsets[1:]] - total[crystals.offsets[:-1]]
    return counted
