"""The analysis of a study: chosen tasks in parallel, tables that grow, nothing done twice."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from time import monotonic

import numpy as np
import pandas as pd

from offmap.bias.case import Settings
from offmap.bias.descriptors import Descriptors, describe, prune
from offmap.bias.grid import (
    Work,
    as_study_cells,
    digest,
    finished,
    reference_of,
    share_arrays,
)
from offmap.bias.rescue import Plan
from offmap.bias.signed import signed_errors
from offmap.bias.tables import BiasTables, as_text
from offmap.bias.words import verdict
from offmap.bias.worker import decompose_cell, rescue_cell, start_worker
from offmap.columns import CHEMICAL_SYSTEM, MATERIAL_ID
from offmap.engines import Local, Outcome
from offmap.errors import SettingsError
from offmap.evaluate import choose
from offmap.inputs import Inputs
from offmap.memory import say_if_short, to_decompose
from offmap.notebook import tables_html
from offmap.progress import Reporter, Silent
from offmap.store import Cell, Store

_SAVE_EVERY = 120.0  # seconds between two writings of the tables: what a killed run can lose


@dataclass(frozen=True)
class Bias:
    """What the analysis found.

    Parameters
    ----------
    tasks
        The table ``bias``: one row per task, model and method.
    materials
        The table ``bias_materials``: one row per decomposed test material.
    rescue
        The table ``rescue``; empty if none was asked for.
    failed
        Tasks that could not be analysed, with the error.
    """

    tasks: pd.DataFrame
    materials: pd.DataFrame
    rescue: pd.DataFrame
    failed: tuple[Outcome, ...] = ()

    def _repr_html_(self) -> str:
        return tables_html(vars(self))


def bias(
    store: Store,
    inputs: Inputs,
    held_out: Sequence[str] | None = None,
    jobs: int = 1,
    reporter: Reporter | None = None,
    rescue: bool = False,
    faithful: bool = False,
    models: Sequence[str] | None = None,
    local_difference: str = "structure",
    checks: bool = True,
    n_permutations: int = 19,
    plan: Plan | None = None,
) -> Bias:
    """Say how biased each finished task is, and take the bias of chosen tasks apart.

    The signed error is told for every finished task and model. Chosen tasks are decomposed, unless
    the tables already hold that decomposition of the same predictions.

    Parameters
    ----------
    store
        The study folder, held by the caller; the tables are written there.
    inputs
        What :func:`offmap.inputs.prepare` gave for the same study.
    held_out
        Tasks to decompose, such as ``["element/H", "element/F"]``, or whole criteria,
        ``["element"]``; by default all.
    jobs
        Tasks to work on at once. Results do not depend on it.
    reporter
        Shows progress.
    rescue
        Also find out what a few labelled materials of each chosen group would mend.
    faithful
        The study's own procedure and its XGBoost, in place of the models of this study; its rows
        have ``method`` ``"study"`` and stand beside the others.
    models
        Models whose tasks are chosen; by default all.
    local_difference
        What LocalPropertyDifference counts as, ``"structure"`` (the study) or ``"composition"``.
    checks
        Make the honesty checks: permutation null, ablation, interventional SHAP.
    n_permutations
        Shuffles behind the permutation null.
    plan
        Numbers of labels and draws of the rescue.

    Raises
    ------
    StudyError
        If no task is finished.
    UnknownNameError
        If a task or model is not among the finished ones.
    SettingsError
        If a setting cannot be used.
    """
    if rescue and faithful:
        raise SettingsError("a rescue is of the models of the study: ask for it without faithful")
    reporter, study, plan = reporter or Silent(), inputs.study, plan or Plan()
    settings = Settings(
        faithful=faithful,
        local_difference=local_difference,
        checks=checks,
        n_permutations=n_permutations,
        n_bootstrap=study.n_bootstrap,
        confidence=study.confidence,
        seed=study.seed,
    )
    _ = settings.blocks  # says at once if local_difference cannot be used
    done = finished(store)
    chosen = choose(done, held_out, models, "Only finished tasks can be analysed.")
    predictions = store.read_predictions(done)
    digests = {cell: digest(store, cell, done) for cell in done}
    tell = partial(verdict, unit=inputs.dataset.unit(inputs.target))
    tables = BiasTables(store, _signed(inputs, predictions, reporter), digests, tell)
    described = describe(inputs, jobs, reporter)
    n, n_columns = described.values.shape
    say_if_short("Decompose errors", to_decompose(n, n_columns, jobs), reporter)
    rests_on = {} if faithful else digests
    if faithful:
        chosen = as_study_cells(chosen, described.representation)
    elif rescue and plan.own_model:
        _check_retrainable(chosen, described)
    made_with = as_text(asdict(settings) | {"descriptors": described.representation})
    todo = [
        c for c in chosen if not tables.has(c, settings.method, made_with, rests_on.get(c, "-"))
    ]
    tried = as_text(asdict(plan) | {"made_with": made_with})
    to_rescue = [c for c in chosen if rescue and not tables.has_rescue(c, tried)]
    failed: list[Outcome] = []
    with _shared(
        store, inputs, settings, plan, described, predictions, list(dict.fromkeys(todo + to_rescue))
    ) as work:
        each = partial(_each, jobs=jobs, reporter=reporter, tables=tables, failed=failed)
        for cell in each("Decompose errors", decompose_cell, todo, work):
            row = json.loads(work.result(cell, "json").read_text())
            row |= {"settings": made_with, "digest": rests_on.get(cell, "-")}
            materials = pd.read_parquet(work.result(cell, "parquet"))
            tables.add(cell, settings.method, row, materials)
        for cell in each("Try remedies", rescue_cell, to_rescue, work):
            rows = pd.read_parquet(work.result(cell, "rescue"))
            tables.add_rescue(cell, rows.assign(settings=tried, digest=digests[cell]))
    tables.save()
    return Bias(tables.tasks, tables.materials, tables.rescue, tuple(failed))


def _signed(inputs: Inputs, predictions: pd.DataFrame, reporter: Reporter) -> pd.DataFrame:
    study = inputs.study
    frame = inputs.attributes.frame
    systems = dict(zip(frame[MATERIAL_ID], frame[CHEMICAL_SYSTEM], strict=True))
    with reporter.step("Signed errors") as progress:
        progress(0, 1)
        found = signed_errors(predictions, systems, study.n_bootstrap, study.confidence, study.seed)
        progress(1, 1)
    return found


def _check_retrainable(chosen: Sequence[Cell], described: Descriptors) -> None:
    for cell in chosen:
        if cell.representation != described.representation:
            raise SettingsError(
                f"model {cell.model!r} is given {cell.representation}, not"
                f" {described.representation}: it cannot be retrained here"
            )


@contextmanager
def _shared(
    store: Store,
    inputs: Inputs,
    settings: Settings,
    plan: Plan,
    described: Descriptors,
    predictions: pd.DataFrame,
    todo: Sequence[Cell],
) -> Iterator[Work]:
    """What workers share, laid out in a folder that is gone afterwards."""
    with store.temporary_folder() as folder:
        if todo:
            pruned = prune(described, settings.correlation, across=settings.faithful)
            share_arrays(inputs, described, pruned, todo, folder)
        references: dict[tuple[str, str], str] = {}
        for cell in () if settings.faithful else todo:
            like = (cell.model, cell.representation)
            if like not in references:
                references[like] = f"reference-{len(references)}"
                found = reference_of(predictions, cell, inputs.material_id)
                np.save(folder / f"{references[like]}.npy", found)
        by_cell = {c: references.get((c.model, c.representation), "") for c in todo}
        index = {cell: i for i, cell in enumerate(todo)}
        own = {name: dict(s) for name, s in inputs.study.model_settings.items()}
        yield Work(folder, store.folder, index, by_cell, settings, plan, own)


def _each(
    title: str,
    analyse: Callable[[Cell], Outcome],
    todo: Sequence[Cell],
    work: Work,
    jobs: int,
    reporter: Reporter,
    tables: BiasTables,
    failed: list[Outcome],
) -> Iterator[Cell]:
    """Analyse cells in parallel; give each that went well, and keep the tables written."""
    if not todo:
        return
    engine = Local(min(jobs, len(todo)))
    saved = monotonic()
    with reporter.step(title) as progress:
        progress(0, len(todo))
        outcomes = engine.run(analyse, todo, start_worker, (work, engine.threads))
        for done, outcome in enumerate(outcomes, 1):
            if outcome.error:
                failed.append(outcome)
                reporter.say(f"failed: {outcome.cell.name}: {outcome.error}")
            else:
                yield outcome.cell
            if monotonic() - saved > _SAVE_EVERY:
                tables.save()
                saved = monotonic()
            progress(done, len(todo))
