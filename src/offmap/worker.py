"""What a worker does with one cell: split, fit, predict; and how that is kept."""

from __future__ import annotations

import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from offmap.columns import MATERIAL_ID, ROUND, Y_PRED, Y_TRUE
from offmap.crystals import Crystals
from offmap.engines.base import Outcome
from offmap.inputs import GIVEN_CRYSTALS
from offmap.models.base import make_model
from offmap.models.rounds import fit_by_round
from offmap.store import Cell, Store, slug
from offmap.tasks.random import random_order

POOL_SHARE = 0.8
"""Share of a task's training side that cells with fewer materials draw from."""

# Nothing fitted in a cell ever saw its test rows, labels or features; said in every `_run.json`.
_VALIDATION = "none: the settings are fixed, no validation set, no early stopping"


@dataclass(frozen=True, eq=False)
class Work:
    """What a worker process needs to run any cell.

    Parameters
    ----------
    arrays
        The shared arrays (:func:`offmap.inputs.shared_arrays`) by name, or the folder of their
        files, which are mapped and not copied.
    study_folder
        Where finished cells are kept.
    criterion, held_out
        Names of the tasks, in the order of the rows of the array ``test``.
    settings
        Model -> keyword arguments.
    threads
        Threads that a cell may use.
    crystals
        The materials themselves, for models that are given them.
    draw
        Puts the pool of a cell with fewer materials, given in random order, in another.
    by_round
        Follow the training of each model and keep its history.
    """

    arrays: Path | Mapping[str, NDArray[Any]]
    study_folder: Path
    criterion: NDArray[np.object_]
    held_out: NDArray[np.object_]
    settings: Mapping[str, Mapping[str, Any]]
    threads: int
    crystals: Crystals | None = None
    draw: Callable[[Work, Cell, NDArray[np.int64]], NDArray[np.int64]] | None = None
    by_round: bool = False

    def load(self, name: str) -> NDArray[Any]:
        """One of the shared arrays."""
        if not isinstance(self.arrays, Path):
            return self.arrays[name]
        array: NDArray[Any] = np.load(self.arrays / f"{name}.npy", mmap_mode="r")
        return array

    def split(self, cell: Cell) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows to train on and rows to predict.

        The whole training side is trained on, and the test side predicted, unless the cell asks for
        fewer materials. Then a fifth of the training side is kept out as an in-distribution test
        (the same for every size and seed) and predicted too, and the first ``n_train`` of the rest,
        in the cell's random order, are trained on: smaller sets are parts of larger ones. Of a cell
        that asks for more than the rest, less than a fifth is kept out.
        """
        task = np.flatnonzero((self.criterion == cell.criterion) & (self.held_out == cell.held_out))
        is_test = np.array(self.load("test")[task[0]])
        train = np.flatnonzero(~is_test)
        if cell.n_train < len(train):
            ids = self.load("material_id")[train].tolist()
            order = train[random_order(ids, 0)]
            share = max(cell.n_train, int(len(order) * POOL_SHARE))
            pool, inside = np.split(order, [share])
            drawn = pool[random_order(self.load("material_id")[pool].tolist(), cell.seed + 1)]
            if self.draw is not None:
                drawn = self.draw(self, cell, drawn)
            train = np.sort(drawn[: cell.n_train])
            is_test[inside] = True
        return train, np.flatnonzero(is_test)

    def rows(self, representation: str, rows: NDArray[np.int64]) -> Any:
        """What the model is given for these materials."""
        if representation in GIVEN_CRYSTALS and self.crystals is not None:
            return self.crystals.take(rows)
        return np.asarray(self.load(features_array(representation))[rows])


def features_array(representation: str) -> str:
    """Name of the shared array that holds the features of a representation."""
    return f"features-{slug(representation)}"


def arrays_of(cell: Cell) -> list[str]:
    """Names of the shared arrays that a cell needs."""
    given = [] if cell.representation in GIVEN_CRYSTALS else [features_array(cell.representation)]
    return ["y", "material_id", "test", *given]


@dataclass(frozen=True, eq=False)
class Fitted:
    """What came of one cell, before it is kept: predictions, or an error with its traceback.

    ``network`` is the file of a trained network.
    """

    cell: Cell
    seconds: float
    frame: pd.DataFrame | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    history: pd.DataFrame | None = None
    error: str = ""
    message: str = ""
    trace: str = ""
    network: bytes = b""


def fit_cell(work: Work, cell: Cell) -> Fitted:
    """Fit and predict one cell. Errors are returned, not raised."""
    begun, cpu_begun = time.perf_counter(), time.process_time()
    try:
        frame, facts, history, network = fit_predict(work, cell)
    except Exception as error:  # any failure of any model is a result of the grid
        seconds = time.perf_counter() - begun
        kind, trace = type(error).__name__, traceback.format_exc()
        return Fitted(cell, seconds, error=kind, message=str(error), trace=trace)
    facts["seconds"] = time.perf_counter() - begun
    facts["cpu_seconds"] = time.process_time() - cpu_begun  # of all threads
    return Fitted(cell, facts["seconds"], frame, facts, history, network=network)


def keep(store: Store, fitted: Fitted) -> Outcome:
    """Write down what came of a cell.

    Raises
    ------
    StudyError
        If the study folder cannot be written to.
    """
    if fitted.frame is None:
        store.save_error(fitted.cell, fitted.error, fitted.message, fitted.trace)
        return Outcome(fitted.cell, fitted.seconds, f"{fitted.error}: {fitted.message}")
    if fitted.network:
        store.save_network(fitted.cell, fitted.network)
    store.save_predictions(fitted.cell, fitted.frame, fitted.facts, fitted.history)
    return Outcome(fitted.cell, fitted.seconds)


_WORK: list[Work] = []  # one per worker process, set when it starts


def start_worker(work: Work) -> None:
    """Make a process ready to run cells."""
    _WORK[:] = [work]


def run_cell(cell: Cell) -> Outcome:
    """Fit, predict and save one cell in this process, unless somebody else has by now."""
    work = _WORK[0]
    store = Store(work.study_folder)
    if store.state(cell) == "done":
        return Outcome(cell, 0.0)
    return keep(store, fit_cell(work, cell))


def fit_predict(
    work: Work, cell: Cell
) -> tuple[pd.DataFrame, dict[str, Any], pd.DataFrame | None, bytes]:
    """Train on the task's training rows and predict its test rows.

    Returns
    -------
    DataFrame
        ``material_id``, ``y_true``, ``y_pred``.
    dict
        How it was run.
    DataFrame or None
        The same after each ``round``, where the work follows training.
    bytes
        The file of the trained network, if it is one.
    """
    train, test = work.split(cell)
    y = work.load("y")
    model = make_model(cell.model, work.settings.get(cell.model, {}), cell.seed, work.threads)
    store, network = Store(work.study_folder), "checkpoint" in model.get_params()
    here = isinstance(work.arrays, Path) or store.study_file.is_file()
    if network and here:  # on a cluster, not every worker sees the study folder
        model.set_params(checkpoint=str(store.network_file(cell, "training")))
    X, X_test = (work.rows(cell.representation, rows) for rows in (train, test))
    fit_begun = time.perf_counter()
    if work.by_round:
        rounds = dict(fit_by_round(model, X, np.asarray(y[train]), X_test))
    else:
        model.fit(X, np.asarray(y[train]))
    predict_begun = time.perf_counter()
    found = rounds[max(rounds)] if work.by_round else model.predict(X_test)
    y_pred = np.asarray(found, dtype=np.float64)
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
    if network:
        facts |= model.facts()
    history = _history(frame, rounds) if work.by_round else None
    return frame, facts, history, _file_of(model) if network else b""


def _file_of(network: Any) -> bytes:
    """A trained network as it is kept."""
    with tempfile.TemporaryDirectory() as folder:
        network.save(Path(folder) / "network")
        return (Path(folder) / "network").read_bytes()


def _history(frame: pd.DataFrame, rounds: Mapping[int, NDArray[np.float64]]) -> pd.DataFrame:
    """Predictions after each round, one below the other, in single precision."""
    parts = [
        pd.DataFrame({ROUND: n, **frame, Y_PRED: y_pred.astype(np.float32)})
        for n, y_pred in sorted(rounds.items())
    ]
    return pd.concat(parts, ignore_index=True)
