"""Which data would help? What is left of the pool, in the order in which it would be added.

Every curve begins with the same random materials and ends with the whole pool; between, the same
number of materials is chosen in another way. Choices look at descriptors, and ``nearest`` at those
of the held-out materials, which are known before any label is: it says what to compute or measure
next for a group of candidates. No choice looks at a label.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numba import njit
from numpy.typing import NDArray

from offmap.domain.neighbours import neighbours
from offmap.domain.reference import Reference
from offmap.elements import GROUP, NUMBERS, PERIOD, SYMBOLS
from offmap.store import Cell
from offmap.worker import Work, features_array

Rows = NDArray[np.int64]
Points = NDArray[np.float32]

RANDOM, NEAREST, DIVERSE, NEIGHBOURING = "random", "nearest", "diverse", "neighbouring_elements"

BASE_SHARE = 0.03
"""Share of the pool that every choice begins with, drawn at random."""

# Neighbours that each material of the gap asks for, one after another, and most such materials.
_ASKED, _MOST_ASKING = 16, 1500


@dataclass(frozen=True, eq=False)
class Addition:
    """An order of the pool: a random base, then one choice of the rest.

    Parameters
    ----------
    choice
        ``nearest``, ``diverse`` or ``neighbouring_elements``.
    base
        Number of materials drawn at random first, by task (criterion, held_out).
    gap
        Rows of the held-out materials to come near to, by task, representation and model: those out
        of the domain where there are any.
    related
        Materials with an element beside a held-out one, by task; shape (n_materials,), bool.
    representation
        Descriptors in which distances are measured, by representation of the model.
    """

    choice: str
    base: Mapping[tuple[str, str], int]
    gap: Mapping[tuple[str, str, str, str], Rows] = field(default_factory=dict)
    related: Mapping[tuple[str, str], NDArray[np.bool_]] = field(default_factory=dict)
    representation: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, work: Work, cell: Cell, pool: Rows) -> Rows:
        """Order a pool that is in the cell's random order already."""
        task = (cell.criterion, cell.held_out)
        base, rest = np.split(pool, [self.base[task]])
        if self.choice == NEIGHBOURING:
            chosen = related_first(self.related[task][rest])
        else:
            features = work.load(features_array(self.representation[cell.representation]))
            outside = self.gap.get((*task, cell.representation, cell.model), rest[:0])
            space = Reference(features[np.sort(pool)]).space("whitened")
            points = (space(features[rows]) for rows in (base, rest, outside))
            chosen = _ORDERS[self.choice](*points, cell.n_train - len(base))
        return np.concatenate([base, rest[chosen]])


def related_first(related: NDArray[np.bool_]) -> Rows:
    """Materials with a neighbouring element first; both parts stay in random order."""
    return np.argsort(~related, kind="stable")


def nearest_first(base: Points, rest: Points, gap: Points, n: int) -> Rows:
    """Nearest to the gap first: its materials ask in turn for their nearest, then second nearest.

    Taking turns keeps one crowded corner of the gap from claiming everything. Whoever nobody asks
    for within 16 turns comes last, by distance to the gap.
    """
    gap = gap[:: max(1, len(gap) // _MOST_ASKING)]
    found = neighbours(gap, rest, _ASKED)
    turn = np.argsort(found.distance, axis=0, kind="stable")  # within a turn, the nearest first
    asked = np.take_along_axis(found.index, turn, 0).T.ravel()
    _, first = np.unique(asked, return_index=True)
    chosen = asked[np.sort(first)]
    if len(chosen) < min(n, len(rest)):
        others = np.setdiff1d(np.arange(len(rest)), chosen)
        far = neighbours(rest[others], gap, 1).distance[:, 0]
        chosen = np.concatenate([chosen, others[np.argsort(far, kind="stable")]])
    return np.asarray(chosen, dtype=np.int64)


def diverse_first(base: Points, rest: Points, gap: Points, n: int) -> Rows:
    """Most diverse first: each is the furthest from all that was taken before (k-centre, greedy).

    T. Gonzalez, Theor. Comput. Sci. 38, 293 (1985), doi 10.1016/0304-3975(85)90224-5.
    """
    nearest = neighbours(rest, base, 1).distance[:, 0] ** 2
    points = np.ascontiguousarray(rest, dtype=np.float32)
    taken: Rows = _furthest(points, nearest.astype(np.float32), min(n, len(rest)))
    return taken


_ORDERS: dict[str, Callable[..., Rows]] = {NEAREST: nearest_first, DIVERSE: diverse_first}


@njit(cache=True, nogil=True, fastmath=True)
def _furthest(points, nearest, n):  # type: ignore[no-untyped-def]
    """Take the row of largest squared distance, and lower those of the others; n times."""
    taken = np.empty(n, dtype=np.int64)
    at = int(np.argmax(nearest))
    for i in range(n):
        taken[i] = at
        chosen = points[at]
        nearest[at] = -1.0
        furthest = np.float32(-1.0)
        at = 0
        for j in range(len(points)):
            if nearest[j] < 0:
                continue
            gap = np.float32(0.0)
            for k in range(points.shape[1]):
                step = points[j, k] - chosen[k]
                gap += step * step
            nearest[j] = min(nearest[j], gap)
            if nearest[j] > furthest:
                furthest, at = nearest[j], j
    return taken


def beside(symbol: str) -> set[str]:
    """Elements beside, above and below one in the periodic table.

    La-Lu and Ac-Lr stand in rows of their own: Ce is beside La and Pr and above Th.

    Examples
    --------
    >>> sorted(beside("F")), sorted(beside("Ce"))
    (['Cl', 'Ne', 'O'], ['La', 'Pr', 'Th'])
    """
    z = NUMBERS[symbol]
    known = range(1, len(SYMBOLS))
    found = {z + step for step in (-1, 1) if z + step in known and PERIOD[z + step] == PERIOD[z]}
    found |= {o for o in known if _column(o) == _column(z) and abs(PERIOD[o] - PERIOD[z]) == 1}
    return {SYMBOLS[other] for other in found}


def _column(z: int) -> float:
    """Column of an element; each lanthanide shares one with its actinide."""
    inner = 57 < z <= 71 or 89 < z <= 103
    return 100 + z - (32 if z > 71 else 0) if inner else float(GROUP[z])


def elements_beside(criterion: str, held_out: str) -> set[str]:
    """Elements beside those that a task holds out; empty if it holds out no elements."""
    if criterion == "element":
        mine = {held_out}
    elif criterion in ("period", "group"):
        table = PERIOD if criterion == "period" else GROUP
        mine = {SYMBOLS[z] for z in range(1, len(SYMBOLS)) if str(table[z]) == held_out}
    else:
        return set()
    return set().union(*(beside(symbol) for symbol in mine)) - mine
