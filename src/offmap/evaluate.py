"""The grid: for each missing cell fit, predict, save."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from offmap.checked_files import writing
from offmap.columns import CRITERION, HELD_OUT, IN_DISTRIBUTION, N_TRAIN
from offmap.engines import Local, Outcome, Shard
from offmap.engines.dask import Dask
from offmap.errors import StudyError, UnknownNameError
from offmap.inputs import (
    CRYSTALS,
    GIVEN_CRYSTALS,
    Inputs,
    representations_of,
    save_arrays,
    shared_arrays,
)
from offmap.memory import say_if_short, to_train
from offmap.models.base import make_model, needs_gpu
from offmap.progress import Reporter, Silent
from offmap.store import Cell, Store, states
from offmap.study import Study
from offmap.worker import Fitted, Work, arrays_of, fit_cell, keep, run_cell, start_worker

# Crystals on which the time of a network is tried, if that many are not in one step.
_FEWEST_IN_PILOT = 64


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


def check_tasks(tasks: pd.DataFrame, held_out: Sequence[str] = ()) -> None:
    """Say that something cannot be run, before anything is.

    Parameters
    ----------
    tasks
        The table of tasks, kept and skipped.
    held_out
        Tasks or criteria that are asked for, as for :func:`choose`.

    Raises
    ------
    StudyError
        If no task is large enough, or one that is asked for is not.
    UnknownNameError
        If there is no such task.
    """
    tasks = tasks[tasks[CRITERION] != IN_DISTRIBUTION]
    reasons = dict(zip(tasks[CRITERION] + "/" + tasks[HELD_OUT], tasks["reason"], strict=True))
    for criterion, mine in tasks.groupby(CRITERION):
        reasons[str(criterion)] = "" if mine["kept"].any() else mine["reason"].mode().iat[0]
    advice = "use a smaller --min-size, or more materials"
    if not tasks["kept"].any():
        raise StudyError(f"all {len(tasks)} tasks were skipped as too small: {advice}")
    for name in held_out:
        if name not in reasons:
            known = [name for name, why in reasons.items() if not why]
            hint = "A task is written criterion/held_out, such as element/F."
            raise UnknownNameError("task", name, known, hint)
        if reasons[name]:
            raise StudyError(f"{name} was skipped ({reasons[name]}): {advice}")


def choose(
    candidates: Sequence[Cell],
    held_out: Sequence[str] | None = None,
    models: Sequence[str] | None = None,
    hint: str = "",
) -> list[Cell]:
    """The cells of some tasks and models, random folds left out.

    Parameters
    ----------
    candidates
        Cells to choose from.
    held_out
        Tasks as ``criterion/held_out``, such as ``"element/F"``; a criterion alone means all of its
        tasks; None means all tasks.
    models
        Names of models; None means all.
    hint
        What else to tell those who name a task that is not there.

    Raises
    ------
    UnknownNameError
        If a task or model is not among them.
    """
    tasks = [cell for cell in candidates if cell.criterion != IN_DISTRIBUTION]
    trained = {cell.model for cell in tasks}
    for model in models or ():
        if model not in trained:
            raise UnknownNameError("model", model, trained)
    names = {f"{cell.criterion}/{cell.held_out}" for cell in tasks}
    known = names | {cell.criterion for cell in tasks}
    for name in held_out or ():
        if name not in known:
            raise UnknownNameError("task", name, names, hint)
    wanted = known if held_out is None else set(held_out)
    return [
        cell
        for cell in tasks
        if (models is None or cell.model in models)
        and wanted & {cell.criterion, f"{cell.criterion}/{cell.held_out}"}
    ]


def with_folds(candidates: Sequence[Cell], chosen: Sequence[Cell]) -> list[Cell]:
    """Some cells, and the random folds of their models, without which they have no reference."""
    wanted = set(chosen)
    series = {(cell.model, cell.representation) for cell in chosen}
    folds = {
        cell
        for cell in candidates
        if cell.criterion == IN_DISTRIBUTION and (cell.model, cell.representation) in series
    }
    return [cell for cell in candidates if cell in wanted | folds]


def evaluate(
    store: Store,
    inputs: Inputs,
    jobs: int = 1,
    reporter: Reporter | None = None,
    chosen: Sequence[Cell] | None = None,
    engine: Local | Dask | None = None,
    shard: Shard | None = None,
    **how: Any,
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
    engine
        Where cells run; by default ``jobs`` processes on this machine. Results do not depend on it.
    shard
        Run only this part of the cells.
    **how
        ``draw`` and ``by_round`` of :class:`offmap.worker.Work`.

    Returns
    -------
    list of Outcome
        What was run now, failures named.

    Raises
    ------
    StudyError
        If the study folder cannot be written to.
    """
    reporter = reporter or Silent()
    wanted = list(cells(store) if chosen is None else chosen)
    if shard:
        wanted = shard.of(wanted)
    for cell, why in store.verify(wanted).items():
        reporter.say(f"to be done again: {cell.name}: {why}")
    done = set(states(store, wanted)["done"])
    todo = [cell for cell in wanted if cell not in done]
    outcomes: list[Outcome] = []
    if not todo:
        return outcomes
    engine = engine or Local(jobs)
    columns = max([values.values.shape[1] for values in inputs.features.values()], default=0)
    at_once = min(engine.jobs, len(todo)) if isinstance(engine, Local) else 0
    settings = inputs.study.model_settings
    needed = [
        to_train(len(inputs), columns, at_once, model, settings.get(model))
        for model in {cell.model for cell in todo}
    ]
    say_if_short("Train and predict", max(needed), reporter)
    where = (store, inputs, todo, how)
    results = (
        _on_cluster(engine, *where, reporter.say)
        if isinstance(engine, Dask)
        else _on_this_machine(engine, *where)
    )
    with reporter.step("Train and predict") as progress:
        progress(0, len(todo))
        for outcome in results:
            outcomes.append(outcome)
            if outcome.error:
                if not store.error(outcome.cell):  # its process died before it could
                    store.save_error(outcome.cell, "RuntimeError", outcome.error, "")
                reporter.say(f"failed: {outcome.cell.name}: {outcome.error}")
            progress(len(outcomes), len(todo))
    return outcomes


def _on_this_machine(
    engine: Local, store: Store, inputs: Inputs, todo: Sequence[Cell], how: Mapping[str, Any]
) -> Iterator[Outcome]:
    """Workers map the arrays from a temporary folder, and save what they did themselves."""
    engine = Local(min(engine.jobs, len(todo)))
    with store.temporary_folder() as folder:
        with writing(folder):
            save_arrays(inputs, folder)
        with_crystals = any(cell.representation in GIVEN_CRYSTALS for cell in todo)
        work = replace(_work(inputs, store, folder, engine.threads), **how)
        if with_crystals:
            work = replace(work, crystals=inputs.dataset.crystals)
        yield from engine.run(run_cell, todo, start_worker, (work,))


def _on_cluster(
    engine: Dask,
    store: Store,
    inputs: Inputs,
    todo: Sequence[Cell],
    how: Mapping[str, Any],
    say: Callable[[str], None],
) -> Iterator[Outcome]:
    """Workers are sent the arrays and send back what they did; it is saved here."""
    work = replace(_work(inputs, store, {}, 1), **how)
    shared = {_WORK: work, CRYSTALS: inputs.dataset.crystals, **shared_arrays(inputs)}
    settings = inputs.study.model_settings
    gpu = {name: needs_gpu(name, settings.get(name, {})) for name in {c.model for c in todo}}
    results = engine.run(_fit_there, todo, shared, _needs, lambda cell: gpu[cell.model], say)
    for cell, result in results:
        yield Outcome(cell, 0.0, result) if isinstance(result, str) else keep(store, result)


_WORK = "work"  # the name under which what is no array is shared


def _work(inputs: Inputs, store: Store, arrays: Any, threads: int) -> Work:
    settings = {name: dict(s) for name, s in inputs.study.model_settings.items()}
    names = (inputs.membership.criterion, inputs.membership.held_out)
    return Work(arrays, store.folder.resolve(), *names, settings, threads)


def _needs(cell: Cell) -> list[str]:
    crystals = [CRYSTALS] if cell.representation in GIVEN_CRYSTALS else []
    return [_WORK, *crystals, *arrays_of(cell)]


def _fit_there(cell: Cell, shared: Mapping[str, Any], threads: int) -> Fitted:
    work = replace(shared[_WORK], arrays=shared, crystals=shared.get(CRYSTALS), threads=threads)
    return fit_cell(work, cell)


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
    model = make_model(like.model, study.model_settings.get(like.model, {}), study.seed, 1)
    if "checkpoint" in model.get_params():
        return _pilot_rate_of_network(model, inputs)
    n = min(len(inputs), 2000)
    X: Any = (
        inputs.dataset.crystals.take(np.arange(n))
        if like.representation in GIVEN_CRYSTALS
        else inputs.features[like.representation].values[:n].astype(np.float32)
    )
    begun = time.process_time()
    model.fit(X, inputs.y[:n])
    return (time.process_time() - begun) / n


def _pilot_rate_of_network(model: Any, inputs: Inputs) -> float:
    """By the second epoch: what is compiled, read and cached in the first is done once."""
    recipe = model.make_recipe()
    n = min(len(inputs), max(recipe.batch_size, _FEWEST_IN_PILOT))
    crystals = inputs.dataset.crystals.take(np.arange(n))
    epochs = model.set_params(epochs=2).fit_by_round(crystals, inputs.y[:n], crystals.take([0]))
    next(epochs)
    begun = time.process_time()
    next(epochs)
    return float(recipe.epochs * (time.process_time() - begun) / n)
