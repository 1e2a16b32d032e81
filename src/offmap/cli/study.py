"""Commands that make a study, stage by stage."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from offmap.cli import views
from offmap.cli.options import (
    AsJson,
    Cleaning,
    Criteria,
    DatasetOption,
    Engine,
    Exclude,
    Folder,
    HeldOut,
    Jobs,
    Limit,
    MinSize,
    Models,
    Representations,
    Scheduler,
    Seed,
    ShardOption,
    StudyFile,
    Symprec,
    Target,
    make_engine,
    make_shard,
    make_study,
    names,
    resolved,
)


def run(
    file: StudyFile = None,
    dataset: DatasetOption = None,
    target: Target = None,
    model: Models = None,
    criterion: Criteria = None,
    representation: Representations = None,
    min_size: MinSize = None,
    seed: Seed = None,
    limit: Limit = None,
    symprec: Symprec = None,
    exclude: Exclude = None,
    cleaning: Cleaning = None,
    out: Annotated[
        Path | None, typer.Option(help="Study folder to write; default: offmap-<dataset>.")
    ] = None,
    jobs: Jobs = None,
    engine: Engine = "local",
    scheduler: Scheduler = "",
    shard: ShardOption = "",
    held_out: HeldOut = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say how many cells and how long, and stop.")
    ] = False,
) -> None:
    """Run a study from data to report; without arguments, the embedded dataset."""
    from offmap import stages as job
    from offmap.engines import n_cores
    from offmap.terminal import reporter

    cores = jobs or n_cores()
    where, part = make_engine(engine, cores, scheduler), make_shard(shard)
    study = make_study(
        file,
        dataset=resolved(dataset) if dataset else None,
        target=target,
        models=model,
        criteria=criterion,
        representations=representation,
        min_size=min_size,
        seed=seed,
        limit=limit,
        symprec=symprec,
        exclude=exclude,
        cleaning=cleaning,
    )
    if dry_run:
        typer.echo(job.plan(study, out, cores, reporter(), names(held_out)))
        return
    _summarise(job.run(study, out, cores, reporter(), where, part, names(held_out)), part)


def evaluate(
    folder: Folder,
    jobs: Jobs = None,
    engine: Engine = "local",
    scheduler: Scheduler = "",
    shard: ShardOption = "",
    held_out: HeldOut = "",
    model: Models = None,
) -> None:
    """Train and predict what is missing in a study folder."""
    from offmap.engines import n_cores
    from offmap.stages import train
    from offmap.store import Store
    from offmap.terminal import reporter

    store, cores, part = Store.open(folder), jobs or n_cores(), make_shard(shard)
    where, models = make_engine(engine, cores, scheduler), names(",".join(model or []))
    outcomes = train(store, cores, reporter(), where, part, names(held_out), models)
    failed = [outcome for outcome in outcomes if outcome.error]
    for line in views.failures(failed):
        typer.echo(line, err=True)
    if failed:
        raise typer.Exit(1)


def score(folder: Folder, as_json: AsJson = False) -> None:
    """Score every finished cell, with intervals."""
    from offmap.stages import score as job
    from offmap.store import Store
    from offmap.terminal import reporter, show_table

    table = job(Store.open(folder), reporter())
    if as_json:
        show_table(table, as_json)
        return
    show_table(views.scores(table), most=views.MOST, whole=folder / "scores.csv")


def report(folder: Folder) -> None:
    """Build the report from the tables; works for a half-finished study too."""
    from offmap.stages import report as job
    from offmap.store import Store
    from offmap.terminal import reporter

    typer.echo(job(Store.open(folder), reporter()))


def status(folder: Folder, as_json: AsJson = False) -> None:
    """Say which cells of a study are done, failed or missing."""
    from offmap import stages as job
    from offmap.store import Store
    from offmap.terminal import show_table

    store = Store.open(folder)
    show_table(job.status(store), as_json)
    failed = job.failures(store)
    for line in () if as_json else views.alike(zip(failed["cell"], failed["error"], strict=True)):
        typer.echo(line)


def _summarise(done: Any, shard: Any) -> None:
    """The last lines of a run: what failed, what the tasks say, where the report is."""
    from offmap.stages import headline

    if shard:
        typer.echo(f"shard {shard.name} is done; when all are, run once more without --shard")
    else:
        typer.echo(headline(done.store))
    for line in views.failures(done.failed):
        typer.echo(line, err=True)
    if done.report.is_file() and not shard:
        typer.echo(f"report: {done.report}")
    if done.failed:
        raise typer.Exit(1)
