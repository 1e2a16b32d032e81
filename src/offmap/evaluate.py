"""The grid: for each missing cell fit, predict, save."""

from __future__ import annotations

import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from offmap.columns import (
    CRITERION,
    HELD_OUT,
    MATERIAL_ID,
    N_TRAIN,
    Y_PRED,
    Y_TRUE,
)
from offmap.crystals import Crystals
from offmap.engines import Local, Outcome
from offmap.inputs import CRYSTALS, Inputs, representations_of, save_arrays
from offmap.models.base import make_model
from offmap.progress import Reporter, Silent
from offmap.store import Cell, Store, slug, states
from offmap.study import Study
from offmap.tasks.random import random_order

POOL_SHARE = 0.8
"""Share of a task's training side that cells with fewer materials draw from."""

# Nothing fitted in a cell ever saw its test rows, labels or features; said in every `_run.json`.
_VALIDATION = "none: the settings are fixed, no validation set, no early stopping"


def cells(store: Store) -> list[Cell]:
    """Every cell of a study's grid, in the order they are run."""
    provenance = store.provenance()
    tasks = store.read_table("tasks")
    study, kinds = store.study(), provenance["consumes"]
    return grid(study, kinds, provenance["dataset"], provenance["target"], tasks)


def grid(
    study: Study, kinds: Mapping[str, str], dataset: str, target: str, tasks: pd.DataFrame
) -> list[Cell]:
    """One cell per model, representation and kept task; the random folds of a model come first.

    ``kinds`` says what each model consumes, so that a finished grid needs no model to be imported.
    """
    kept = tasks[tasks["kept"]]
    return [
        Cell(dataset, target, representation, model, criterion, held_out, study.seed, int(n_train))
        for model in study.models
        for representation in representations_of(study, kinds[model])
        for criterion, held_out, n_train in zip(
            kept[CRITERION], kept[HELD_OUT], kept[N_TRAIN], strict=True
        )
    ]


def evaluate(
    store: Store,
    inputs: Inputs,
    jobs: int = 1,
    reporter: Reporter | None = None,
    chosen: Sequence[Cell] | None = None,
) -> list[Outcome]:
    """Run every cell that is missing or failed before.

    Parameters
    ----------
    store
        The study folder; each cell is saved there as soon as it is done.
    inputs
        What :func:`offmap.inputs.prepare` gave for the same study.
    jobs
        Cells to run at once; each gets its share of the cores.
    chosen
        Cells to run; by default the whole grid.

    Returns
    -------
    list of Outcome
        What was run now, failures named.
    """
    reporter = reporter or Silent()
    wanted = list(cells(store) if chosen is None else chosen)
    known = states(store, wanted)
    todo = [cell for cell in wanted if cell not in set(known["done"])]
    outcomes: list[Outcome] = []
    if not todo:
        return outcomes
    engine = Local(min(jobs, len(todo)))
    settings = {name: dict(s) for name, s in inputs.study.model_settings.items()}
    with (
        TemporaryDirectory(prefix=".arrays-", dir=store.folder) as folder,
        reporter.step("Train and predict") as progress,
    ):
        save_arrays(inputs, Path(folder))
        names = (inputs.membership.criterion, inputs.membership.held_out)
        crystals = (
            inputs.dataset.crystals if any(c.representation == CRYSTALS for c in todo) else None
        )
        work = Work(Path(folder), store.folder, *names, settings, engine.threads, crystals)
        progress(0, len(todo))
        for outcome in engine.run(run_cell, todo, start_worker, (work,)):
            outcomes.append(outcome)
            if outcome.error:
                store_crash(store, outcome)
                reporter.say(f"failed: {outcome.cell.name}: {outcome.error}")
            progress(len(outcomes), len(todo))
    return outcomes


@dataclass(frozen=True, eq=False)
class Work:
    """What a worker process needs to run any cell; arrays are mapped, not copied."""

    arrays: Path
    study_folder: Path
    criterion: NDArray[np.object_]
    held_out: NDArray[np.object_]
    settings: Mapping[str, Mapping[str, Any]]
    threads: int
    crystals: Crystals | None = None

    def load(self, name: str) -> NDArray[Any]:
        """One of the shared arrays."""
        array: NDArray[Any] = np.load(self.arrays / f"{name}.npy", mmap_mode="r")
        return array

    def split(self, cell: Cell) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows to train on and rows to predict.

        The whole training side is trained on, and the test side predicted, unless the cell asks for
        fewer materials. Then a fifth of the training side is kept out as an in-distribution test
        (the same for every size and seed) and predicted too, and the first ``n_train`` of the rest,
        in the cell's random order, are trained on: smaller sets are parts of larger ones.
        """
        task = np.flatnonzero((self.criterion == cell.criterion) & (self.held_out == cell.held_out))
        is_test = np.array(self.load("test")[task[0]])
        train = np.flatnonzero(~is_test)
        if cell.n_train < len(train):
            ids = self.load("material_id")[train].tolist()
            order = train[random_order(ids, 0)]
            pool, inside = np.split(order, [int(len(order) * POOL_SHARE)])
            drawn = pool[random_order(self.load("material_id")[pool].tolist(), cell.seed + 1)]
            train = np.sort(drawn[: cell.n_train])
            is_test[inside] = True
        return train, np.flatnonzero(is_test)

    def rows(self, representation: str, rows: NDArray[np.int64]) -> Any:
        """What the model is given for these materials."""
        if representation == CRYSTALS and self.crystals is not None:
            return self.crystals.take(rows)
        return np.asarray(self.load(f"features-{slug(representation)}")[rows])


_WORK: list[Work] = []  # one per worker process, set when it starts


def start_worker(work: Work) -> None:
    """Make a process ready to run cells."""
    from threadpoolctl import threadpool_limits

    threadpool_limits(work.threads)
    _WORK[:] = [work]


def run_cell(cell: Cell) -> Outcome:
    """Fit, predict and save one cell in this process. Errors are saved and returned, not raised."""
    work = _WORK[0]
    store = Store(work.study_folder)
    begun, cpu_begun = time.perf_counter(), time.process_time()
    try:
        frame, facts = fit_predict(work, cell)
        facts["seconds"] = time.perf_counter() - begun
        facts["cpu_seconds"] = time.process_time() - cpu_begun  # of all threads
        store.save_predictions(cell, frame, facts)
        return Outcome(cell, time.perf_counter() - begun)
    except Exception as error:  # any failure of any model is a result of the grid
        store.save_error(cell, error, traceback.format_exc())
        return Outcome(cell, time.perf_counter() - begun, f"{type(error).__name__}: {error}")


def fit_predict(work: Work, cell: Cell) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Train on the task's training rows and predict its test rows."""
    train, test = work.split(cell)
    y = work.load("y")
    model = make_model(cell.model, work.settings.get(cell.model, {}), cell.seed, work.threads)
    fit_begun = time.perf_counter()
    model.fit(work.rows(cell.representation, train), np.asarray(y[train]))
    predict_begun = time.perf_counter()
    y_pred = np.asarray(model.predict(work.rows(cell.representation, test)), dtype=np.float64)
    predicted = time.perf_counter()
    if y_pred.shape != (len(test),) or not np.isfinite(y_pred).all():
        raise ValueError(
            f"the model gave {np.isfinite(y_pred).sum()} numbers for {len(test)} materials"
        )
    frame = pd.DataFrame(
        {MATERIAL_ID: work.load("material_id")[test], Y_TRUE: y[test], Y_PRED: y_pred}
    )
    facts = {
        "fit_seconds": predict_begun - fit_begun,
        "predict_seconds": predicted - predict_begun,
        "threads": work.threads,
        "n_train": len(train),
        "n_test": len(test),
        "validation": _VALIDATION,
        "model": type(model).__module__ + "." + type(model).__qualname__,
        "offmap": version("offmap"),
    }
    return frame, facts


def store_crash(store: Store, outcome: Outcome) -> None:
    """Note a cell whose process died, unless its own error is there already."""
    if not store.error(outcome.cell):
        store.save_error(outcome.cell, RuntimeError(outcome.error), "")


def estimate_seconds(
    study: Study, inputs: Inputs, store: Store | None, todo: Sequence[Cell]
) -> float:
    """Core-seconds that these cells will take.

    From finished cells of the same model where there are any; otherwise from one fit on at most
    2,000 materials, scaled linearly, which is right to a factor of two or so.
    """
    total = 0.0
    for model in {cell.model for cell in todo}:
        mine = [cell for cell in todo if cell.model == model]
        rate = _measured_rate(store, mine[0]) or _pilot_rate(study, inputs, mine[0])
        total += rate * sum(cell.n_train for cell in mine)
    return total


def _measured_rate(store: Store | None, like: Cell) -> float:
    """Core-seconds per training material of finished cells of this model."""
    if store is None:
        return 0.0
    done = [cell for cell in states(store, cells(store))["done"] if cell.model == like.model]
    facts = [store.run_facts(cell) for cell in done]
    rows = sum(f["n_train"] for f in facts)
    return sum(f["cpu_seconds"] for f in facts) / rows if rows else 0.0


def _pilot_rate(study: Study, inputs: Inputs, like: Cell) -> float:
    n = min(len(inputs), 2000)
    model = make_model(like.model, study.model_settings.get(like.model, {}), study.seed, 1)
    X: Any = (
        inputs.dataset.crystals.take(np.arange(n))
        if like.representation == CRYSTALS
        else inputs.features[like.representation].values[:n].astype(np.float32)
    )
    begun = time.process_time()
    model.fit(X, inputs.y[:n])
    return (time.process_time() - begun) / n
