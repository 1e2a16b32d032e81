"""The scaling stage of a study: train the size curves, fit their laws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from offmap.engines import Outcome
from offmap.errors import StudyError
from offmap.evaluate import evaluate
from offmap.inputs import Inputs
from offmap.progress import Reporter, Silent
from offmap.scaling.curves import curve, laws
from offmap.scaling.grid import curve_cells
from offmap.store import Store, states


@dataclass(frozen=True, eq=False)
class Scaling:
    """The tables of the scaling stage, and the cells that failed.

    Parameters
    ----------
    curves
        Table ``scaling``: scores of each size, seed and test.
    laws
        Table ``scaling_laws``: the law of each curve, its exponent, extrapolations, verdicts.
    failed
        Outcomes of cells that failed.
    """

    curves: pd.DataFrame
    laws: pd.DataFrame
    failed: tuple[Outcome, ...] = ()


def scaling(
    store: Store,
    inputs: Inputs,
    held_out: Sequence[str] = (),
    jobs: int = 1,
    reporter: Reporter | None = None,
) -> Scaling:
    """Train on growing parts of the pool and say whether more data would help.

    Parameters
    ----------
    store
        The study folder; tables ``scaling`` and ``scaling_laws`` are written there.
    inputs
        What :func:`offmap.inputs.prepare` gave for the same study.
    held_out
        Tasks, such as ``element/H``; all kept tasks if none is named.
    jobs
        Cells to run at once.

    Raises
    ------
    StudyError
        If no cell of any curve could be run.
    """
    reporter = reporter or Silent()
    study = store.study()
    wanted = curve_cells(store, held_out)
    outcomes = evaluate(store, inputs, jobs, reporter, wanted)
    done = states(store, wanted)["done"]
    if not done:
        raise StudyError(f"no size curve of {store.folder} could be trained")
    domain = store.read_table("domain") if store.has_table("domain") else None
    members = store.read_table("members")
    with reporter.step("Fit scaling laws") as progress:
        progress(0, 1)
        curves = curve(store.read_predictions(done), members, domain)
        found = laws(curves, study.confidence, study.n_bootstrap)
        progress(1, 1)
    store.write_table("scaling", curves, csv=True)
    store.write_table("scaling_laws", found, csv=True)
    return Scaling(curves, found, tuple(outcome for outcome in outcomes if outcome.error))
