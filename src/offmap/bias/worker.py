"""What a worker process does with one task: take its error apart, or try what mends it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from offmap.bias.case import Case, Settings
from offmap.bias.checks import checks
from offmap.bias.decompose import decompose, refit
from offmap.bias.grid import Work
from offmap.bias.rescue import rescue
from offmap.bias.residual_model import fast_trees
from offmap.bias.signed import signed_error
from offmap.engines import Outcome
from offmap.models.base import make_model
from offmap.scores import Resamples
from offmap.store import Cell

_WORK: list[tuple[Work, int]] = []  # one per worker process, set when it starts


def start_worker(work: Work, threads: int) -> None:
    """Make a process ready for any task, each with so many threads."""
    _WORK[:] = [(work, threads)]


def decompose_cell(cell: Cell) -> Outcome:
    """Decompose one task; what was found is left in the shared folder."""
    return _attempt(cell, _decompose)


def rescue_cell(cell: Cell) -> Outcome:
    """Try every remedy on one task; what was found is left in the shared folder."""
    return _attempt(cell, _rescue)


def _attempt(cell: Cell, analyse: Callable[[Work, Cell, int], None]) -> Outcome:
    begun = time.perf_counter()
    try:
        work, threads = _WORK[0]
        analyse(work, cell, threads)
        return Outcome(cell, time.perf_counter() - begun)
    except Exception as error:  # it concerns this task alone
        return Outcome(cell, time.perf_counter() - begun, f"{type(error).__name__}: {error}")


def _decompose(work: Work, cell: Cell, threads: int) -> None:
    settings, case = work.settings, work.case(cell, threads)
    if settings.faithful:
        case = refit(case, settings)
    row, materials, model = decompose(case, settings)
    if settings.faithful:
        row |= signed_of(case, settings)
    if settings.checks:
        row |= checks(case, settings, row, model)
    found = pd.DataFrame({"material_id": work.load("material_id")[materials["row"]]})
    parts = materials.drop(columns="row").astype(np.float32)
    found.join(parts).to_parquet(work.result(cell, "parquet"), index=False)
    work.result(cell, "json").write_text(json.dumps(row))


def signed_of(case: Case, settings: Settings) -> dict[str, Any]:
    """The signed error of a case."""
    systems = case.system[case.test]
    resamples = Resamples.draw(systems, settings.n_bootstrap, settings.seed)
    y_true, y_pred = case.y_true[case.test], case.y_pred[case.test]
    return signed_error(y_true, y_pred, resamples, settings.confidence)


def _rescue(work: Work, cell: Cell, threads: int) -> None:
    case = work.case(cell, threads)
    make: Callable[[], Any] = partial(fast_trees, work.settings.seed, threads)
    if work.plan.own_model:
        own = work.model_settings.get(cell.model, {})
        make = partial(make_model, cell.model, own, work.settings.seed, threads)
    reference = np.asarray(work.load(work.reference[cell]))
    found = rescue(case, work.settings, work.plan, reference, make)
    found.to_parquet(work.result(cell, "rescue"), index=False)
