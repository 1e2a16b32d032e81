"""The training set of one task, seen through what all tasks share."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from offmap.domain.anchor import Anchor
from offmap.domain.moments import Moments
from offmap.domain.neighbours import Neighbours
from offmap.domain.reference import K, Reference
from offmap.domain.scouts import Binned, Scouts
from offmap.domain.shared_neighbours import SharedNeighbours

Array = NDArray[np.float64]
Rows = NDArray[np.int64]


class Shared:
    """What is computed once for all tasks: neighbours and bins in terms of the anchor.

    Parameters
    ----------
    X
        Features of all materials, shape (n, p).
    usable
        Which may be in a training set, shape (n,).
    anchor
        Materials outside the study.
    jobs
        Threads.
    """

    def __init__(
        self, X: NDArray[np.float32], usable: NDArray[np.bool_], anchor: Anchor, jobs: int = 1
    ) -> None:
        self.anchor = anchor
        self.neighbours: dict[str, SharedNeighbours] = {}
        for name, space in anchor.spaces.items():
            width = anchor.bandwidth(name) if name == "whitened" else 0.0
            self.neighbours[name] = SharedNeighbours.of(space(X), usable, width, jobs)
        self.binned = Binned.of(X, np.arange(len(X)), anchor)


class TaskReference(Reference):
    """The training rows of a task; rows of the study are asked for by number.

    Parameters
    ----------
    X, y, moments, seed
        As in :class:`~offmap.domain.reference.Reference`.
    shared
        What all tasks share.
    learn
        Rows to learn from, shape (n,).
    held_out
        Test set, shape (n_materials,).
    asked, queries
        The rows that will be scored, shape (n_queries,), and their features.
    """

    def __init__(
        self,
        X: NDArray[np.float32],
        y: Array,
        moments: Moments | None,
        seed: int,
        shared: Shared,
        learn: Rows,
        held_out: NDArray[np.bool_],
        asked: Rows,
        queries: NDArray[np.float32],
    ) -> None:
        super().__init__(X, y, None, moments, seed, shared.anchor)
        self.shared, self.learn, self.held_out = shared, learn, held_out
        self.asked, self.queries = asked, queries

    @cached_property
    def scouts(self) -> Scouts:
        """Small models fitted on samples of the rows, whose bins are known."""
        whole = self.shared.binned
        binned = Binned(whole.data, whole.columns, whole.places[self.learn])
        return Scouts(self.X, np.asarray(self.y), self.seed, anchor=self.anchor, binned=binned)

    def coordinates(self, name: str) -> NDArray[np.float32]:
        """The training rows in a space, shape (n, d)."""
        if name in self.shared.neighbours:
            return self.shared.neighbours[name].points[self.learn]
        return super().coordinates(name)

    def around(self, name: str, X: NDArray[np.floating]) -> Neighbours:
        """Neighbours of rows; of those that will be scored, from the lists."""
        known = self._around.get(name)
        if name not in self.shared.neighbours or X is not self.queries or known is not None:
            return super().around(name, X)
        found = self.shared.neighbours[name].around(self.asked, self.held_out, K)
        self._around[name] = (X, found)
        return found

    def spacing(self, name: str, rows: Rows, k: int) -> Array:
        """Distance from training rows to their k-th nearest other one, shape (n_rows,)."""
        if name not in self.shared.neighbours:
            return super().spacing(name, rows, k)
        lists = self.shared.neighbours[name]
        return lists.around(self.learn[rows], self.held_out, k + 1).distance[:, -1]
