"""The main job: data, features, tasks, training, scores, report; only what is missing is done."""

from __future__ import annotations

import platform
import shlex
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd

from offmap.columns import CHEMICAL_SYSTEM, IN_DISTRIBUTION, MATERIAL_ID
from offmap.engines import Local, Outcome, Shard, n_cores
from offmap.engines.dask import Dask
from offmap.errors import OffmapError, StudyError
from offmap.evaluate import (
    cells,
    check_tasks,
    choose,
    estimate_seconds,
    evaluate,
    grid,
    with_folds,
)
from offmap.inputs import Inputs, prepare
from offmap.memory import say_if_short, to_report, to_score
from offmap.models.base import consumes, make_model
from offmap.opening import held
from offmap.progress import Reporter, Silent
from offmap.results import Run
from offmap.scores import POOLED, score_predictions
from offmap.store import Cell, Store, states
from offmap.study import Study

_VERSIONS_OF = "offmap numpy pandas scikit-learn lightgbm xgboost xgboost-cpu moyopy".split()


def run(
    study: Study | None = None,
    out: str | Path | None = None,
    jobs: int | None = None,
    reporter: Reporter | None = None,
    engine: Local | Dask | None = None,
    shard: Shard | None = None,
    held_out: Sequence[str] = (),
) -> Run:
    """Run a study from data to report.

    Parameters
    ----------
    study
        The configuration; by default boosted trees on the embedded dataset, all six criteria.
    out
        Study folder; by default ``offmap-<dataset>``. What is there already is not done again.
    jobs
        Cells to run at once; by default one per core.
    reporter
        Shows progress.
    engine
        Where cells run; by default ``jobs`` processes on this machine. Results do not depend on it.
    shard
        Run only this part of the cells, beside other shards, and leave scores and report to a run
        without shard when all are done.
    held_out
        Run only these tasks now, such as ``"element/F"`` or ``"crystal_system"``, and the random
        folds; by default all.

    Returns
    -------
    Run
        The study folder, and the cells that failed.

    Raises
    ------
    OffmapError
        If the data or the settings cannot be used.
    """
    study, jobs, reporter = study or Study(), jobs or n_cores(), reporter or Silent()
    store = Store(out or study.folder)
    store.check(study)
    if not isinstance(engine, Dask):  # whose workers have what they need
        check_models(study, store)
    inputs = prepare(study, jobs, reporter, store=store)
    check_tasks(inputs.tasks(), held_out)
    with held(store, reporter, shard):
        _create_beside(store, inputs, shard)
        reporter.say(describe(inputs))
        chosen = _chosen(store, held_out)
        outcomes = evaluate(store, inputs, jobs, reporter, chosen, engine, shard)
        if not shard and states(store, cells(store))["done"]:
            score(store, reporter)
            report(store, reporter)
    return Run(store, tuple(outcome for outcome in outcomes if outcome.error))


def train(
    store: Store,
    jobs: int = 1,
    reporter: Reporter | None = None,
    engine: Local | Dask | None = None,
    shard: Shard | None = None,
    held_out: Sequence[str] = (),
    models: Sequence[str] = (),
) -> list[Outcome]:
    """Train and predict what is missing in a study folder; see :func:`offmap.evaluate.evaluate`.

    ``held_out`` and ``models`` restrict it to some tasks, with the random folds, and models.
    """
    reporter = reporter or Silent()
    with held(store, reporter, shard):
        inputs = prepare(store.study(), jobs, reporter, store=store)
        check_tasks(inputs.tasks(), held_out)
        _create_beside(store, inputs, shard)
        chosen = _chosen(store, held_out, models)
        return evaluate(store, inputs, jobs, reporter, chosen, engine, shard)


def check_models(study: Study, store: Store) -> None:
    """Say what a model lacks at once, and not for each cell after hours of describing crystals.

    Raises
    ------
    OffmapError
        If a model with cells to run needs what is not installed, or takes none of its settings.
    """
    found = states(store, cells(store)) if store.has_table("tasks") else {}
    todo = {cell.model for state, mine in found.items() if state != "done" for cell in mine}
    finished = {cell.model for cell in found.get("done", ())} - todo
    for name in set(study.models) - finished:
        try:
            make_model(name, study.model_settings.get(name, {}), study.seed, 1)
        except OffmapError:
            raise
        except Exception:  # of a model of the user's own: its cells will tell
            continue


def _chosen(store: Store, held_out: Sequence[str], models: Sequence[str] = ()) -> list[Cell]:
    """The cells of these tasks and models, and their references."""
    every = cells(store)
    return with_folds(every, choose(every, held_out or None, models or None))


def _create_beside(store: Store, inputs: Inputs, shard: Shard | None) -> None:
    """Write the study; a shard does it while no other one does."""
    with store.lock_briefly() if shard else nullcontext():
        create(store.folder, inputs)


def create(folder: str | Path, inputs: Inputs) -> Store:
    """Write the study file and the tables of materials, tasks and members."""
    store = Store.create(folder, inputs.study, provenance(inputs))
    store.write_table("materials", inputs.materials())
    store.write_table("tasks", inputs.tasks())
    _, kept = inputs.kept()
    store.write_table("members", kept.members(inputs.material_id.tolist()))
    store.write_text("rejected.csv", inputs.dataset.rejected.to_csv(index=False))
    return store


def provenance(inputs: Inputs) -> dict[str, Any]:
    """Where the data came from, what they hash to, and the versions in use."""
    card = inputs.dataset.card
    return {
        "dataset": inputs.dataset.name,
        "target": inputs.target,
        "unit": inputs.dataset.unit(inputs.target),
        "title": card.title,
        "source": card.source,
        "licence": card.licence,
        "citation": card.citation,
        "doi": card.doi,
        "data_sha256": inputs.dataset.sha256,
        "n_materials": len(inputs),
        "n_rejected": len(inputs.dataset.rejected),
        "consumes": {model: consumes(model) for model in inputs.study.models},
        "command": _command(sys.argv),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "versions": {name: found for name in _VERSIONS_OF if (found := _version(name))},
    }


def describe(inputs: Inputs) -> str:
    """One paragraph on what is about to be run."""
    tasks = inputs.tasks()
    tasks = tasks[tasks["criterion"] != IN_DISTRIBUTION]
    rejected = inputs.dataset.rejected
    lines = [
        f"{inputs.dataset.name}: {len(inputs)} materials, target {inputs.target}"
        f" ({inputs.dataset.unit(inputs.target) or 'no unit stated'});"
        f" {len(rejected)} rows set aside",
        f"{int(tasks['kept'].sum())} tasks kept, {int((~tasks['kept']).sum())} skipped as too small"
        f" (train or test under {inputs.study.min_size})",
    ]
    counts = rejected["reason"].value_counts().head(5)
    lines[1:1] = [f"  set aside: {n} x {reason}" for reason, n in counts.items()]
    return "\n".join(lines)


def score(store: Store, reporter: Reporter | None = None) -> pd.DataFrame:
    """Score every finished cell and write ``scores.parquet`` and ``scores.csv``.

    Raises
    ------
    StudyError
        If no cell is finished.
    """
    reporter = reporter or Silent()
    study = store.study()
    done = states(store, cells(store))["done"]
    if not done:
        raise StudyError(f"{store.folder} has no finished cell yet: run 'offmap evaluate'")
    materials = store.read_table("materials")
    systems = dict(zip(materials[MATERIAL_ID], materials[CHEMICAL_SYSTEM], strict=True))
    n_predictions = sum(int(store.run_facts(cell).get("n_test", 0)) for cell in done)
    say_if_short("Score", to_score(n_predictions), reporter)
    with reporter.step("Score") as progress:
        progress(0, len(done))
        table = score_predictions(
            store.read_predictions(done), systems, study.n_bootstrap, study.confidence, study.seed
        )
        progress(len(done), len(done))
    store.write_table("scores", table, csv=True)
    return table


def report(store: Store, reporter: Reporter | None = None) -> Path:
    """Build the HTML page and the static figures from the tables."""
    from offmap.report.build import report as build

    reporter = reporter or Silent()
    if store.has_table("tasks"):
        tasks = store.read_table("tasks")
        planned = int(tasks.loc[tasks["kept"], "n_test"].sum()) * len(store.study().models)
        say_if_short("Report", to_report(planned), reporter)
    with reporter.step("Report") as progress:
        progress(0, 1)
        path: Path = build(store)
        progress(1, 1)
    return path


def status(store: Store) -> pd.DataFrame:
    """Cells by model and state: ``model``, ``done``, ``failed``, ``missing``."""
    known = states(store, cells(store))
    frame = pd.DataFrame(
        [(cell.model, state) for state, found in known.items() for cell in found],
        columns=["model", "state"],
    )
    counted = pd.crosstab(frame["model"], frame["state"]).reindex(columns=list(known), fill_value=0)
    return counted.reset_index().rename_axis(columns=None)


def failures(store: Store) -> pd.DataFrame:
    """Failed cells, named, with the error."""
    failed = states(store, cells(store))["failed"]
    return pd.DataFrame(
        [(cell.name, store.error(cell).get("message", "")) for cell in failed],
        columns=["cell", "error"],
    )


def plan(
    study: Study,
    out: str | Path | None,
    jobs: int,
    reporter: Reporter,
    held_out: Sequence[str] = (),
) -> str:
    """What a run would do and about how long it would take; nothing is trained or written."""
    inputs = prepare(study, jobs, reporter)
    check_tasks(inputs.tasks(), held_out)
    folder = Path(out or study.folder)
    store = Store(folder) if Store(folder).has_table("tasks") else None
    kinds = {model: consumes(model) for model in study.models}
    planned = grid(study, kinds, inputs.dataset.name, inputs.target, inputs.tasks())
    asked = with_folds(planned, choose(planned, held_out or None))
    wanted = [cell for cell in asked if store is None or store.state(cell) != "done"]
    seconds = estimate_seconds(study, inputs, store, wanted) / min(jobs, n_cores())
    return (
        f"{describe(inputs)}\n{len(wanted)} of {len(asked)} cells to run,"
        f" about {seconds / 60:.1f} minutes with {jobs} jobs"
    )


def _command(argv: Sequence[str]) -> str:
    """The command as it was given, ready to be given again; or the script that called."""
    program = Path(argv[0] if argv else "")
    if program.stem == "offmap" or program.parent.name == "offmap":  # or python -m offmap
        return shlex.join(["offmap", *argv[1:]])
    return f"offmap.run(...) in Python{f', called by {program.name}' if program.name else ''}"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def headline(store: Store) -> str:
    """The result of a study in a few lines: the reference, the worst tasks."""
    if not store.has_table("scores"):
        return "no cell was finished"
    table = store.read_table("scores")
    unit = store.provenance().get("unit", "")
    lines = []
    for model, part in table.groupby("model", observed=True):
        reference = part[(part["criterion"] == IN_DISTRIBUTION) & (part["held_out"] == POOLED)]
        tasks = part[part["criterion"] != IN_DISTRIBUTION]
        inside = f"{reference['mae'].iat[0]:.3f} {unit}" if len(reference) else "not run"
        worst = tasks.nlargest(5, "mae")
        named = ", ".join(f"{t.criterion} {t.held_out} {t.mae:.2f}" for t in worst.itertuples())
        lines.append(
            f"{model}: in-distribution MAE {inside}; {len(tasks)} tasks, worst MAE: {named}"
        )
    return "\n".join(lines)
