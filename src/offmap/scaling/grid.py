"""Which cells a size curve needs: sizes, seeds, and the split that every one of them shares.

As in Li et al., Commun. Mater. 6, 9 (2025), the materials outside the held-out group are split
80/20 into a pool to train on and an in-distribution test; models are trained on fractions of the
pool and tested on the in-distribution test and on the group.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from offmap.columns import CRITERION, HELD_OUT, IN_DISTRIBUTION, N_TRAIN
from offmap.errors import UnknownNameError
from offmap.evaluate import POOL_SHARE, cells
from offmap.store import Cell, Store

FRACTIONS = (1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.33, 1.0)
"""Fractions of the pool (Li et al. 2025)."""

SEEDS = ((0.003, 10), (0.03, 5), (0.33, 3), (1.0, 2))
"""Seeds per size: up to this fraction of the pool, so many; small sets differ most."""

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


def chosen_tasks(store: Store, held_out: Sequence[str]) -> pd.DataFrame:
    """Kept tasks by name (``element/H``); all of them if none is named.

    Raises
    ------
    UnknownNameError
        If a task is not one of the study's.
    """
    tasks = store.read_table("tasks")
    tasks = tasks[tasks["kept"] & (tasks[CRITERION] != IN_DISTRIBUTION)]
    names = tasks[CRITERION] + "/" + tasks[HELD_OUT]
    for name in held_out:
        if name not in set(names):
            raise UnknownNameError("task", name, names)
    return tasks[names.isin(held_out)] if held_out else tasks


def curve_cells(store: Store, held_out: Sequence[str]) -> list[Cell]:
    """Every cell of the size curves of some tasks, largest first: they take longest."""
    tasks = chosen_tasks(store, held_out)
    n_outside = {
        (row[CRITERION], row[HELD_OUT]): int(row[N_TRAIN]) for row in tasks.to_dict("records")
    }
    grid = [
        replace(cell, n_train=n, seed=cell.seed + k)
        for cell in cells(store)
        if (cell.criterion, cell.held_out) in n_outside
        for n, seeds in sizes(n_outside[cell.criterion, cell.held_out])
        for k in range(seeds)
    ]
    return sorted(grid, key=lambda cell: -cell.n_train)
