"""Which cells curves need: sizes, seeds, and the splits that they share.

As in Li et al., Commun. Mater. 6, 9 (2025), the materials outside the held-out group are split
80/20 into a pool to train on and an in-distribution test; models are trained on fractions of the
pool and tested on the in-distribution test and on the group. For time curves the split is 90/10.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from offmap.columns import CRITERION, HELD_OUT, N_TRAIN
from offmap.evaluate import cells, choose
from offmap.scaling.additions import BASE_SHARE
from offmap.store import Cell, Store
from offmap.worker import POOL_SHARE

FRACTIONS = (1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.33, 1.0)
"""Fractions of the pool (Li et al. 2025)."""

SEEDS = ((0.003, 10), (0.03, 5), (0.33, 3), (1.0, 2))
"""Seeds per size: up to this fraction of the pool, so many; small sets differ most."""

ADDED = (0.1, 0.33)
"""Fractions of the pool at which choices of data are compared."""

TIME_SHARE = 0.9
"""Share of the materials outside the group that a time curve trains on (Li et al. 2025)."""

MIN_TRAIN = 20
"""Fewer materials train nothing that could be called a model."""


def sizes(n_outside: int) -> list[tuple[int, int]]:
    """Training sizes, and how many seeds each gets; ``n_outside`` lie outside the group."""
    pool = int(n_outside * POOL_SHARE)
    found = {}
    for fraction in FRACTIONS:
        n = round(pool * fraction)
        if n >= MIN_TRAIN:
            found[n] = next(seeds for limit, seeds in SEEDS if fraction <= limit)
    return sorted(found.items())


def base_size(n_outside: int) -> int:
    """How many random materials every choice of data begins with."""
    return max(MIN_TRAIN, round(int(n_outside * POOL_SHARE) * BASE_SHARE))


def curve_cells(store: Store, held_out: Sequence[str]) -> list[Cell]:
    """Every cell of the size curves of some tasks, largest first: they take longest."""
    grid = [
        replace(cell, n_train=n, seed=cell.seed + k)
        for cell, n_outside in _whole(store, held_out)
        for n, seeds in sizes(n_outside)
        for k in range(seeds)
    ]
    return sorted(grid, key=lambda cell: -cell.n_train)


def time_cells(store: Store, held_out: Sequence[str]) -> list[Cell]:
    """One cell per task and model, whose training is followed."""
    grid = [
        replace(cell, n_train=int(n_outside * TIME_SHARE))
        for cell, n_outside in _whole(store, held_out)
    ]
    return sorted(grid, key=lambda cell: -cell.n_train)


def added_cells(store: Store, held_out: Sequence[str]) -> list[Cell]:
    """Cells that compare choices of data: the sizes and seeds of random ones between two ends."""
    grid = []
    for cell, n_outside in _whole(store, held_out):
        seeds, base = dict(sizes(n_outside)), base_size(n_outside)
        compared = [round(int(n_outside * POOL_SHARE) * fraction) for fraction in ADDED]
        grid += [
            replace(cell, n_train=n, seed=cell.seed + k)
            for n in compared
            if n > base and n in seeds
            for k in range(seeds[n])
        ]
    return sorted(grid, key=lambda cell: -cell.n_train)


def _whole(store: Store, held_out: Sequence[str]) -> Iterator[tuple[Cell, int]]:
    """Cells of the study's grid on some tasks, with the number of materials outside the group."""
    tasks = store.read_table("tasks")
    names = zip(tasks[CRITERION], tasks[HELD_OUT], strict=True)
    n_outside = dict(zip(names, tasks[N_TRAIN].astype(int), strict=True))
    for cell in choose(cells(store), held_out or None):
        yield cell, int(n_outside[cell.criterion, cell.held_out])
