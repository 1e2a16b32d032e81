"""The scaling stage of a study: train what the curves need, fit their laws, compare them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

from offmap.engines import Outcome
from offmap.errors import StudyError
from offmap.evaluate import evaluate
from offmap.inputs import Inputs
from offmap.models.base import make_model
from offmap.models.rounds import has_rounds
from offmap.notebook import tables_html
from offmap.progress import Reporter, Silent
from offmap.scaling.added import added
from offmap.scaling.curves import Sides, curve, fitted
from offmap.scaling.grid import curve_cells, time_cells
from offmap.scaling.verdicts import exponents, with_domain
from offmap.store import Cell, Store, states
from offmap.study import Study


@dataclass(frozen=True, eq=False)
class Scaling:
    """The tables of the scaling stage, and the cells that failed.

    Parameters
    ----------
    curves
        Table ``scaling``: scores of each size, seed and test.
    laws
        Table ``scaling_laws``: the law of each curve, its exponent, extrapolations, verdicts.
    exponents
        Table ``scaling_exponents``: how exponents are distributed over tasks.
    time
        Table ``scaling_time``: scores after each round, with ``round``.
    bands
        Table ``scaling_bands``: each law along its sizes, with its interval.
    added
        Table ``scaling_added``: errors at equal size by choice of data.
    failed
        Outcomes of cells that failed.
    """

    curves: pd.DataFrame
    laws: pd.DataFrame
    exponents: pd.DataFrame
    time: pd.DataFrame = field(default_factory=pd.DataFrame)
    bands: pd.DataFrame = field(default_factory=pd.DataFrame)
    added: pd.DataFrame = field(default_factory=pd.DataFrame)
    failed: tuple[Outcome, ...] = ()

    def _repr_html_(self) -> str:
        return tables_html(vars(self))


def scaling(
    store: Store,
    inputs: Inputs,
    held_out: Sequence[str] = (),
    jobs: int = 1,
    reporter: Reporter | None = None,
    *,
    time: bool = True,
    which_data: bool = False,
) -> Scaling:
    """Train on growing parts of the pool, follow training, and say whether more would help.

    Parameters
    ----------
    store
        The study folder; tables ``scaling``, ``scaling_laws``, ``scaling_bands``,
        ``scaling_exponents``, ``scaling_time`` and ``scaling_added`` are written there. They hold
        every curve that is finished, whichever call trained it.
    inputs
        What :func:`offmap.inputs.prepare` gave for the same study.
    held_out
        Tasks, such as ``element/H``, or whole criteria; all kept tasks if none is named.
    jobs
        Cells to run at once.
    time
        Also time curves, of models that have rounds or epochs: one more fit per task.
    which_data
        Also compare choices of the materials that are added (:mod:`offmap.scaling.additions`).

    Raises
    ------
    StudyError
        If no cell of any curve could be run.
    """
    reporter = reporter or Silent()
    study = store.study()
    outcomes = evaluate(store, inputs, jobs, reporter, curve_cells(store, held_out))
    if time:
        known = {name: followed(study, name, reporter) for name in study.models}
        wanted = [cell for cell in time_cells(store, held_out) if known[cell.model]]
        outcomes += evaluate(store, inputs, jobs, reporter, wanted, by_round=True)
    domain = store.read_table("domain") if store.has_table("domain") else None
    sides = Sides(store.read_table("members"), domain)
    compared = pd.DataFrame()
    if which_data:
        compared, more = added(store, inputs, held_out, sides, jobs, reporter)
        store.write_table("scaling_added", compared, csv=True)
        outcomes += more
    found = analyse(store, sides, reporter)
    failed = tuple(outcome for outcome in outcomes if outcome.error)
    return Scaling(*found, added=compared, failed=failed)


def analyse(
    store: Store, sides: Sides, reporter: Reporter | None = None
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Score and fit every finished curve of a study, and write the tables.

    Returns
    -------
    tuple of DataFrame
        ``scaling``, ``scaling_laws``, ``scaling_exponents``, ``scaling_time``, ``scaling_bands``.

    Raises
    ------
    StudyError
        If no curve has a finished cell.
    """
    reporter, study = reporter or Silent(), store.study()
    tables: list[pd.DataFrame] = []
    parts: list[tuple[pd.DataFrame, pd.DataFrame]] = []
    readers = ((curve_cells, store.read_predictions), (time_cells, store.read_histories))
    for cells, read in readers:
        done = states(store, cells(store, ()))["done"]
        found = []
        with reporter.step("Fit scaling laws") as progress:
            tasks = _by_task(done)
            progress(0, len(tasks))
            for i, mine in enumerate(tasks, start=1):
                found.append(curve(read(mine), sides))
                parts.append(fitted(found[-1], study.confidence, study.n_bootstrap))
                progress(i, len(tasks))
        tables.append(pd.concat(found, ignore_index=True) if found else pd.DataFrame())
    if not len(tables[0]):
        raise StudyError(f"no size curve of {store.folder} could be trained")
    laws, bands = (pd.concat(found, ignore_index=True) for found in zip(*parts, strict=True))
    verdicts = store.read_table("verdicts") if store.has_table("verdicts") else None
    laws = with_domain(laws, verdicts)
    compared = exponents(laws, study.confidence, study.n_bootstrap, study.seed)
    written = {
        "scaling": tables[0],
        "scaling_laws": laws,
        "scaling_exponents": compared,
        "scaling_time": tables[1],
        "scaling_bands": bands,
    }
    for name, table in written.items():
        store.write_table(name, table, csv=True)
    return tables[0], laws, compared, tables[1], bands


def followed(study: Study, model: str, reporter: Reporter) -> bool:
    """Whether the training of a model can be followed; says so if it cannot."""
    made = make_model(model, study.model_settings.get(model, {}), study.seed, 1)
    if not has_rounds(made):
        reporter.say(f"{model} has no rounds or epochs to follow: it gets no time curve")
        return False
    return True


def _by_task(done: Sequence[Cell]) -> list[list[Cell]]:
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in done:
        groups.setdefault((cell.criterion, cell.held_out), []).append(cell)
    return list(groups.values())
