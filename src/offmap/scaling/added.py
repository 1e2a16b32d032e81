"""Train on data chosen in several ways and compare the errors at equal size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from offmap.columns import (
    CELL_KEYS,
    CHEMICAL_SYSTEM,
    MATERIAL_ID,
    N_TRAIN,
    SEED,
    Y_PRED,
    Y_TRUE,
)
from offmap.elements import NUMBERS
from offmap.engines import Outcome
from offmap.evaluate import evaluate
from offmap.inputs import Inputs
from offmap.progress import Reporter
from offmap.scaling.additions import (
    DIVERSE,
    NEAREST,
    NEIGHBOURING,
    RANDOM,
    Addition,
    elements_beside,
)
from offmap.scaling.curves import TEST, Sides
from offmap.scaling.grid import added_cells, base_size, curve_cells
from offmap.scores import Resamples, percentile_interval
from offmap.store import Cell, Store, states

_TASK = [key for key in CELL_KEYS if key not in (SEED, N_TRAIN)]

# Fewer materials out of the domain are no gap to come near to: the whole group is taken.
_FEWEST_IN_GAP = 20


def added(
    store: Store,
    inputs: Inputs,
    held_out: Sequence[str],
    sides: Sides,
    jobs: int,
    reporter: Reporter,
) -> tuple[pd.DataFrame, list[Outcome]]:
    """Compare choices of the materials that are added to a small random training set.

    Parameters
    ----------
    store, inputs, held_out, jobs, reporter
        See :func:`offmap.scaling.job.scaling`; the cells of the size curves are finished.
    sides
        Who is held out, and who of them is out of the domain.

    Returns
    -------
    DataFrame
        Table ``scaling_added``: per task, model, ``n_train``, ``choice`` and ``test`` the ``mae``
        over all seeds, and ``mae_ratio`` to random data of the same size, on the same materials,
        with its interval (chemical systems are resampled).
    list of Outcome
        Of the cells that were run.
    """
    wanted = added_cells(store, held_out)
    outcomes = []
    for choice in (NEAREST, DIVERSE, NEIGHBOURING):
        draw = addition(choice, wanted, inputs, sides)
        mine = [cell for cell in wanted if _applies(draw, cell)]
        outcomes += evaluate(store.additions(choice), inputs, jobs, reporter, mine, draw=draw)
    with reporter.step("Compare choices of data") as progress:
        progress(0, 1)
        table = compare(store, inputs, sides)
        progress(1, 1)
    return table, outcomes


def addition(choice: str, wanted: Sequence[Cell], inputs: Inputs, sides: Sides) -> Addition:
    """How the pool of each task is ordered for one choice."""
    rows = pd.Index(inputs.material_id)
    base, gap, related = {}, {}, {}
    present = inputs.dataset.crystals.counts > 0
    for cell in wanted:
        task = (cell.criterion, cell.held_out)
        if task not in base:
            base[task] = base_size(int((~inputs.membership.test_rows(*task)).sum()))
            numbers = [NUMBERS[symbol] for symbol in elements_beside(*task)]
            if choice == NEIGHBOURING and numbers:
                related[task] = np.asarray(present[:, numbers].any(axis=1))
        key = (*task, cell.representation, cell.model)
        if choice == NEAREST and key not in gap:
            gap[key] = np.flatnonzero(rows.isin(_gap(sides, cell)))
    first = next(iter(inputs.features), "")
    known = {cell.representation for cell in wanted}
    described = {name: name if name in inputs.features else first for name in known}
    return Addition(choice, base, gap, related, described)


def compare(store: Store, inputs: Inputs, sides: Sides) -> pd.DataFrame:
    """The table of :func:`added` from all that is finished, whichever call trained it."""
    frame = inputs.attributes.frame
    system = pd.Series(frame[CHEMICAL_SYSTEM].to_numpy(object), index=frame[MATERIAL_ID])
    random = _grouped(states(store, curve_cells(store, ()))["done"])
    wanted = added_cells(store, ())
    chosen = {
        choice: _grouped(states(store.additions(choice), wanted)["done"])
        for choice in (NEAREST, DIVERSE, NEIGHBOURING)
    }
    rows: list[dict[str, object]] = []
    tasks = {key[:-1] for found in chosen.values() for key in found}
    for key, cells in sorted(random.items()):
        first = cells[0]
        is_test = inputs.membership.test_rows(first.criterion, first.held_out)
        if key[:-1] in tasks and first.n_train >= base_size(int((~is_test).sum())):
            others = {choice: found[key] for choice, found in chosen.items() if key in found}
            rows += _compared(store, key, cells, others, sides, system, inputs)
    return pd.DataFrame(rows)


def _compared(
    store: Store,
    key: tuple[Any, ...],
    cells: list[Cell],
    others: dict[str, list[Cell]],
    sides: Sides,
    system: pd.Series,
    inputs: Inputs,
) -> Iterator[dict[str, object]]:
    """Rows of one task, model and size."""
    named = dict(zip([*_TASK, N_TRAIN], key, strict=True))
    cell, study = cells[0], inputs.study
    ids, reference = mean_error(store, cells)
    errors = {c: mean_error(store.additions(c), found) for c, found in others.items()}
    tests = sides.tests(
        pd.Series(ids), cell.criterion, cell.held_out, cell.representation, cell.model
    )
    for test, mask in tests.items():
        told = named | {TEST: test, "n_test": int(mask.sum())}
        yield told | {"choice": RANDOM, "n_seeds": len(cells), "mae": float(reference[mask].mean())}
        systems = system.reindex(ids[mask]).to_numpy(object)
        resamples = Resamples.draw(systems, study.n_bootstrap, study.seed)
        for choice, (_, error) in errors.items():
            both = np.column_stack([error[mask], reference[mask]])
            sums = resamples.sums(both)
            low, high = percentile_interval(sums[:, 0] / sums[:, 1], study.confidence)
            mae, mae_random = both.mean(axis=0)
            yield told | {
                "choice": choice,
                "n_seeds": len(others[choice]),
                "mae": float(mae),
                "mae_ratio": float(mae / mae_random),
                "mae_ratio_low": low,
                "mae_ratio_high": high,
            }


def mean_error(store: Store, cells: Sequence[Cell]) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Ids of the test materials, and the absolute error of each, averaged over seeds."""
    frame = store.read_predictions(cells)
    error = (frame[Y_PRED] - frame[Y_TRUE]).abs().to_numpy(float).reshape(len(cells), -1)
    ids = frame[MATERIAL_ID].to_numpy(object).reshape(len(cells), -1)
    assert (ids == ids[0]).all()  # every size and seed of a task has one test
    return ids[0], error.mean(axis=0)


def _gap(sides: Sides, cell: Cell) -> pd.Series:
    task = (cell.criterion, cell.held_out)
    out = sides.out_of_domain(*task, cell.representation, cell.model)
    return sides.group(*task) if out is None or len(out) < _FEWEST_IN_GAP else out


def _applies(draw: Addition, cell: Cell) -> bool:
    if draw.choice == NEIGHBOURING:
        return (cell.criterion, cell.held_out) in draw.related
    return bool(draw.representation[cell.representation])


def _grouped(cells: Sequence[Cell]) -> dict[tuple[Any, ...], list[Cell]]:
    """Cells by task, model and size."""
    groups: dict[tuple[Any, ...], list[Cell]] = {}
    for cell in cells:
        keys = cell.keys()
        groups.setdefault(tuple(keys[name] for name in (*_TASK, N_TRAIN)), []).append(cell)
    return groups
