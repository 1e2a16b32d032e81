"""What one convolution on the line graph is made of, and how its pairs are cut into parts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

EPS = 1e-6
"""Added to a sum of gates before it divides, as in ALIGNN."""


@dataclass(frozen=True)
class Chunk:
    """Some atoms of one degree: their pairs and edges as slices, and the shape of their blocks."""

    pairs: slice
    edges: slice
    n: int
    degree: int

    def rows(self, edges: Tensor) -> Tensor:
        """The edges of each atom, shape (n, degree, features)."""
        return edges[self.edges].view(self.n, self.degree, -1)

    def block(self, pairs: Tensor) -> Tensor:
        """Features of pairs as blocks, shape (n, degree out, degree in, features)."""
        return pairs.view(self.n, self.degree, self.degree, -1)


def chunks(groups: tuple[tuple[int, int], ...], at_once: int) -> Iterator[Chunk]:
    """Cut the pairs of a batch into parts of about ``at_once`` pairs, whole atoms each."""
    pair = edge = 0
    for degree, n_atoms in groups:
        most = max(1, at_once // max(degree * degree, 1))
        for begin in range(0, n_atoms if degree else 0, most):
            n = min(most, n_atoms - begin)
            yield Chunk(
                slice(pair, pair + n * degree * degree), slice(edge, edge + n * degree), n, degree
            )
            pair += n * degree * degree
            edge += n * degree


@dataclass(eq=False)
class Terms:
    """Inputs of a convolution and what its forward pass leaves behind; h is the width.

    Parameters
    ----------
    z, weight, bias
        Features of the pairs (n_pairs, h), and the map G of them; or ``None``, with
    table, place
        z and G z on a grid (grid, 2h), and where each pair lies in it (n_pairs,).
    into, value, out
        ``A y`` and ``V y`` of the incoming edges, ``B y`` of the outgoing ones, (n_edges, h).
    scale, shift
        Of the norm, (h,).
    groups
        Degree and number of atoms of each group.
    keep_z
        Whether z' is wanted.
    low
        Number type of the products.
    h, total
        Messages, and sums of gates; (n_edges, h), in the order of the outgoing edges.
    z_new
        z', (n_pairs, h) or (0, h).
    kept
        m, for the backward pass: (n_pairs, h), or (0, h) if it is made again from the table.
    """

    z: Tensor | None
    weight: Tensor | None
    bias: Tensor | None
    table: Tensor | None
    place: Tensor | None
    into: Tensor
    value: Tensor
    out: Tensor
    scale: Tensor
    shift: Tensor
    groups: tuple[tuple[int, int], ...]
    keep_z: bool
    low: torch.dtype
    h: Tensor
    total: Tensor
    z_new: Tensor
    kept: Tensor


@dataclass(eq=False)
class Gradients:
    """Gradients of the :class:`Terms` of the same names; all begin at zero."""

    z: Tensor | None
    weight: Tensor | None
    table: Tensor | None
    into: Tensor
    value: Tensor
    out: Tensor
    scale: Tensor
    shift: Tensor

    @classmethod
    def of(cls, terms: Terms) -> Self:
        """Zeros, but for ``z``, of which every row is written."""
        weight, table = (
            None if given is None else torch.zeros_like(given)
            for given in (terms.weight, terms.table)
        )
        into, value, out, scale, shift = (
            torch.zeros_like(given)
            for given in (terms.into, terms.value, terms.out, terms.scale, terms.shift)
        )
        z = None if terms.z is None else torch.empty_like(terms.z)
        return cls(z, weight, table, into, value, out, scale, shift)
