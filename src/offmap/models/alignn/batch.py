"""Crystal graphs as tensors, in the order that makes every sum over neighbours a dense one."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from offmap.representations.graph import Graphs
from offmap.representations.graph.kernels import blocks_of_pairs


@dataclass(frozen=True, eq=False)
class Blocks:
    """A batch of crystals, its atoms sorted by how many edges they have.

    Every edge has its way back, so an atom with d incoming edges has d outgoing ones, and the pairs
    of edges that meet at it are a block of d times d. Atoms of like d lie together: what is summed
    over edges or pairs are the axes of a few dense arrays, and nothing is scattered.

    Parameters
    ----------
    numbers
        Atomic number of each atom, shape (n_atoms,).
    crystal
        Crystal of each atom, shape (n_atoms,).
    sizes
        Atoms of each crystal, shape (n_crystals,).
    source, target
        Atoms at the ends of each edge, shape (n_edges,). Edges lie in the order of their targets.
    outgoing, leaving
        The edges in the order of their sources, and the place of each edge in that order; shape
        (n_edges,).
    kind
        Kind of each edge, shape (n_edges,): edges of one kind have the same length, and atoms of
        the same elements at their ends. As yet nothing tells them apart.
    kind_source, kind_target
        Atoms at the ends of one edge of each kind, shape (n_kinds,).
    length
        Of each kind of edge, angstrom, shape (n_kinds,).
    cosine
        Of the angle between the edges of each pair, shape (n_pairs,): for each atom, a row for
        each outgoing edge and a column for each incoming one.
    groups
        Degree and number of atoms of each group.
    """

    numbers: torch.Tensor
    crystal: torch.Tensor
    sizes: torch.Tensor
    source: torch.Tensor
    target: torch.Tensor
    outgoing: torch.Tensor
    leaving: torch.Tensor
    kind: torch.Tensor
    kind_source: torch.Tensor
    kind_target: torch.Tensor
    length: torch.Tensor
    cosine: torch.Tensor
    groups: tuple[tuple[int, int], ...]

    def to(self, device: torch.device | str) -> Self:
        """The same on another device."""
        moved = {
            f.name: getattr(self, f.name).to(device, non_blocking=True)
            for f in fields(self)
            if f.name != "groups"
        }
        return replace(self, **moved)

    @classmethod
    def of(cls, graphs: Graphs) -> Self:
        """The blocks of some graphs."""
        whole = graphs.united()
        n_atoms = len(whole.numbers)
        atoms, degrees, come, go, cosine = blocks_of_pairs(
            whole.source, whole.target, whole.vector, n_atoms
        )
        sizes = np.diff(graphs.atoms)
        place, edge_place = _inverse(atoms), _inverse(come)
        outgoing = edge_place[go]
        degree, count = np.unique(degrees, return_counts=True)
        source, target = place[whole.source[come]], place[whole.target[come]]
        length = np.linalg.norm(whole.vector[come], axis=1)
        numbers = whole.numbers[atoms].astype(np.int64)
        first, kind = _kinds(numbers[source], numbers[target], length)
        return cls(
            _tensor(numbers),
            _tensor(np.repeat(np.arange(len(graphs)), sizes)[atoms]),
            _tensor(sizes),
            _tensor(source),
            _tensor(target),
            _tensor(outgoing),
            _tensor(_inverse(outgoing)),
            _tensor(kind),
            _tensor(source[first]),
            _tensor(target[first]),
            _tensor(length[first]),
            _tensor(cosine),
            tuple(zip(degree.tolist(), count.tolist(), strict=True)),
        )


@dataclass(frozen=True, eq=False)
class GraphData:
    """Graphs as :class:`~offmap.models.batching.Batches`."""

    graphs: Graphs

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """Pairs of edges, which nearly all the work is on."""
        return self.graphs.n_pairs

    def __len__(self) -> int:
        return len(self.graphs)

    def batch(self, rows: NDArray[np.int64]) -> Blocks:
        """Some crystals as one graph."""
        return Blocks.of(self.graphs.take(rows))


def _kinds(
    start: NDArray[np.int64], end: NDArray[np.int64], length: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """One edge of each kind, shape (n_kinds,), and the kind of each edge, shape (n_edges,)."""
    bits = np.ascontiguousarray(length, np.float32).view(np.uint32)
    key = (start * 256 + end).astype(np.uint64) << np.uint64(32) | bits
    _, first, kind = np.unique(key, return_index=True, return_inverse=True)
    return first, kind


def _inverse(order: NDArray[np.int64]) -> NDArray[np.int64]:
    """Place of each item in an order."""
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return place


def _tensor(values: NDArray[Any]) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values))
