"""Crystal graphs: atoms, edges to their neighbours, and pairs of edges, for batches of crystals.

The rule of ALIGNN (Choudhary and DeCost, npj Comput. Mater. 7, 185, 2021, doi
10.1038/s41524-021-00650-1): each atom has edges to its 12 nearest neighbours and to all others as
far as the twelfth; every edge is there in both directions. Their radius of 8 angstrom, which grows
where it holds fewer than 12, does not change which those are, so there is none here. Distances
that differ by less than a tolerance count as equal: exact comparison, as in the original, cuts a
shell of equal neighbours at random, by rounding.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from offmap.errors import SettingsError
from offmap.representations.base import NO_ATOMS, NO_STRUCTURE

if TYPE_CHECKING:
    from offmap.crystals import Crystals

_REASONS = {
    1: "two of its atoms overlap (closer than 0.01 angstrom)",
    2: "its cell has no volume",
    3: "its atoms have too many neighbours",
}


@dataclass(frozen=True)
class GraphRule:
    """Which atoms of a crystal are joined.

    Parameters
    ----------
    neighbours
        Each atom is joined to so many nearest ones, and to all as far as the last of them; 0: to
        all within ``radius``.
    radius
        Angstrom; used where ``neighbours`` is 0.
    tolerance
        Distances that differ by less, in angstrom, are equal.
    own_images
        How often an edge between an atom and its own image is there. Once, a graph says the same
        of a cell and of its supercell. Twice is what ALIGNN's code makes, which writes such an edge
        down from both of its ends.
    """

    neighbours: int = 12
    radius: float = 5.0
    tolerance: float = 1e-4
    own_images: int = 1

    def __post_init__(self) -> None:
        if self.neighbours < 0 or self.own_images < 1:
            raise SettingsError("neighbours must be at least 0, and own_images at least 1")
        if not (self.radius > 0 and self.tolerance >= 0):
            raise SettingsError("radius must be above 0, and tolerance not below")


@dataclass(frozen=True, eq=False)
class Graphs:
    """Graphs of many crystals as ragged columns.

    Parameters
    ----------
    numbers
        Atomic number of every atom, shape (n_atoms,).
    atoms
        Atoms of crystal ``i`` are ``atoms[i]:atoms[i + 1]``; shape (n + 1,).
    source, target
        Ends of every edge, counted within its crystal; sorted by target; shape (n_edges,).
    vector
        From source to target, angstrom, shape (n_edges, 3).
    edges
        Edges of crystal ``i`` are ``edges[i]:edges[i + 1]``; shape (n + 1,).
    reasons
        Crystal -> why it has no edges.
    """

    numbers: NDArray[np.uint8]
    atoms: NDArray[np.int64]
    source: NDArray[np.int32]
    target: NDArray[np.int32]
    vector: NDArray[np.float32]
    edges: NDArray[np.int64]
    reasons: dict[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.atoms) - 1

    def take(self, rows: NDArray[np.int64]) -> Graphs:
        """The graphs at ``rows``, in that order."""
        atom, atoms = _ragged(self.atoms, rows)
        edge, edges = _ragged(self.edges, rows)
        known = self.reasons
        reasons = {i: known[r] for i, r in enumerate(rows.tolist()) if r in known} if known else {}
        return Graphs(
            self.numbers[atom],
            atoms,
            self.source[edge],
            self.target[edge],
            self.vector[edge],
            edges,
            reasons,
        )

    @classmethod
    def concat(cls, parts: list[Graphs]) -> Graphs:
        """All graphs of the parts, in order."""
        shifts = np.cumsum([0] + [len(p) for p in parts])
        reasons = {
            i + int(shift): why
            for p, shift in zip(parts, shifts[:-1], strict=True)
            for i, why in p.reasons.items()
        }
        return cls(
            np.concatenate([p.numbers for p in parts]),
            _joined([p.atoms for p in parts]),
            np.concatenate([p.source for p in parts]),
            np.concatenate([p.target for p in parts]),
            np.concatenate([p.vector for p in parts]),
            _joined([p.edges for p in parts]),
            reasons,
        )

    def united(self) -> Graphs:
        """One graph of all the crystals side by side: what a batch of them is to a network."""
        shift = np.repeat(self.atoms[:-1], np.diff(self.edges)).astype(np.int32)
        ends = np.array([0, len(self.source)])
        return replace(
            self,
            source=self.source + shift,
            target=self.target + shift,
            atoms=np.array([0, len(self.numbers)]),
            edges=ends,
        )

    def with_own_images(self, times: int) -> Graphs:
        """The graphs with each edge between an atom and its own image so many times."""
        if times == 1:
            return self
        repeats = np.where(self.source == self.target, times, 1)
        ends = np.concatenate([[0], np.cumsum(repeats)])
        return replace(
            self,
            source=np.repeat(self.source, repeats),
            target=np.repeat(self.target, repeats),
            vector=np.repeat(self.vector, repeats, axis=0),
            edges=ends[self.edges],
        )

    @property
    def n_pairs(self) -> NDArray[np.int64]:
        """Pairs of edges that follow each other in each crystal, shape (n,)."""
        shift = np.repeat(self.atoms[:-1], np.diff(self.edges))
        n_atoms = len(self.numbers)
        out = np.bincount(self.source + shift, minlength=n_atoms)
        into = np.bincount(self.target + shift, minlength=n_atoms)
        total = np.concatenate([[0], np.cumsum(out * into)])
        return np.diff(total[self.atoms]).astype(np.int64)


@dataclass(frozen=True, eq=False)
class LineGraph:
    """Pairs of edges a -> b -> c of one graph.

    Parameters
    ----------
    first, second
        The edges, sorted by the second, shape (n_pairs,).
    cosine
        Of the angle at b between the directions to a and to c, shape (n_pairs,).
    starts
        Pairs of second edge ``e`` are ``starts[e]:starts[e + 1]``; shape (n_edges + 1,).
    """

    first: NDArray[np.int32]
    second: NDArray[np.int32]
    cosine: NDArray[np.float32]
    starts: NDArray[np.int64]


def build_graphs(crystals: Crystals, rule: GraphRule | None = None) -> Graphs:
    """Graphs of crystals; those without a structure have no edges, and a reason.

    Every array of the result is a function of each crystal alone, so graphs of parts of a table,
    joined, are those of the whole.
    """
    from offmap.representations.graph.kernels import edges_of_all

    rule = rule or GraphRule()
    reasons = _unusable(crystals)
    good = np.setdiff1d(np.arange(len(crystals)), list(reasons))
    kept = crystals.take(good) if reasons else crystals
    ends, vector, edges, status = edges_of_all(
        np.require(kept.lattice, np.float64, ["C", "W"]),
        np.require(kept.frac_coords, np.float64, ["C", "W"]),
        np.require(kept.offsets, np.int64, ["C", "W"]),
        rule.neighbours,
        float(rule.radius),
        float(rule.tolerance),
    )
    reasons |= {int(good[i]): _REASONS[int(status[i])] for i in np.flatnonzero(status)}
    n_edges = np.zeros(len(crystals), np.int64)
    n_edges[good] = np.diff(edges)
    found = Graphs(
        crystals.numbers,
        crystals.offsets,
        np.ascontiguousarray(ends[:, 0]),
        np.ascontiguousarray(ends[:, 1]),
        vector,
        np.concatenate([[0], np.cumsum(n_edges)]),
        dict(sorted(reasons.items())),
    )
    return found.with_own_images(rule.own_images)


def line_graph(graph: Graphs) -> LineGraph:
    """Pairs of edges of a graph that is :meth:`~Graphs.united`."""
    from offmap.representations.graph.kernels import pairs_of_edges

    return LineGraph(*pairs_of_edges(graph.source, graph.target, graph.vector, len(graph.numbers)))


def _unusable(crystals: Crystals) -> dict[int, str]:
    reasons = {int(row): NO_STRUCTURE for row in np.flatnonzero(~crystals.structure_known)}
    return reasons | {int(row): NO_ATOMS for row in np.flatnonzero(crystals.n_sites == 0)}


def _ragged(
    offsets: NDArray[np.int64], rows: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Items of these rows of a ragged column, and where each row begins among them."""
    sizes = offsets[rows + 1] - offsets[rows]
    starts = np.concatenate([[0], np.cumsum(sizes)])
    return np.arange(starts[-1]) + np.repeat(offsets[rows] - starts[:-1], sizes), starts


def _joined(offsets: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    sizes = np.concatenate([np.diff(each) for each in offsets])
    return np.concatenate([[0], np.cumsum(sizes)])
