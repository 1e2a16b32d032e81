"""Commands that explain a finished study."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from offmap.cli import views
from offmap.cli.options import AsJson, Folder, HeldOut, Jobs, names

if TYPE_CHECKING:
    import pandas as pd

    from offmap.engines import Outcome

_NO_MAP = "without the published procedure, which needs umap: pip install 'offmap[domain]'"

Folders = Annotated[list[Path], typer.Argument(metavar="STUDY...", help="Study folders.")]
Faithful = Annotated[
    bool,
    typer.Option("--faithful", help="Also as Li et al. (2025) did it, which uses test rows."),
]


def domain(
    folder: Folder,
    faithful: Faithful = False,
    detector: Annotated[
        list[str] | None,
        typer.Option(help="Detector that votes; repeat for several. Default: seven of them."),
    ] = None,
    pruned: Annotated[
        bool, typer.Option("--pruned", help="With --faithful: without correlated features.")
    ] = False,
    embedded: Annotated[
        str,
        typer.Option(
            help="With --faithful: on embeddings of this network, one of the study's models."
        ),
    ] = "",
    held_out: Annotated[
        str, typer.Option(help="Only these tasks, such as element/O,period/5; others stay.")
    ] = "",
    stability: Annotated[
        str, typer.Option(help="A task such as element/F: how far its verdict depends on choices.")
    ] = "",
    jobs: Jobs = None,
    as_json: AsJson = False,
) -> None:
    """Say of each task whether it is interpolation or extrapolation, and which measure to trust."""
    from offmap.domain.analysis import domain as job
    from offmap.domain.stability import summary, task_stability
    from offmap.opening import opened
    from offmap.terminal import reporter, show_table

    with opened(folder, jobs, reporter()) as study:
        if stability:
            with_map = find_spec("umap") is not None
            if not with_map:
                study.reporter.say(_NO_MAP)
            found = task_stability(
                *study[:2], stability, study.jobs, study.reporter, with_published=with_map
            )
            show_table(found if as_json else summary(found), as_json)
            return
        tables = job(
            *study, faithful, detector, pruned=pruned, held_out=names(held_out), embedded=embedded
        )
    if as_json:
        show_table(tables.verdicts if tables.faithful is None else tables.faithful, as_json)
        return
    show_table(views.verdicts(tables.verdicts), most=views.MOST, whole=folder / "verdicts.csv")
    if tables.faithful is not None:
        typer.echo("\nas published, test rows used:")
        whole = folder / "domain_faithful.csv"
        show_table(views.published_domains(tables.faithful), most=views.MOST, whole=whole)
    _report_next(folder)


def bias(
    folder: Folder,
    held_out: HeldOut = "",
    rescue: Annotated[
        bool, typer.Option("--rescue", help="Also measure what a few labels of each group mend.")
    ] = False,
    faithful: Faithful = False,
    local_difference: Annotated[
        str,
        typer.Option(help="Count matminer's LocalPropertyDifference as structure or composition."),
    ] = "structure",
    jobs: Jobs = None,
    as_json: AsJson = False,
) -> None:
    """Take the bias of each task apart into composition and structure. Uses test labels."""
    from offmap.bias import CAVEAT
    from offmap.bias import bias as job
    from offmap.opening import opened
    from offmap.terminal import reporter, show_table

    with opened(folder, jobs, reporter()) as study:
        found = job(
            study.store, study.inputs, names(held_out) or None, study.jobs, study.reporter,
            rescue=rescue, faithful=faithful, local_difference=local_difference,
        )  # fmt: skip
        study.reporter.say(CAVEAT)
    if as_json:
        show_table(found.tasks, as_json)
    else:
        show_table(views.biases(found.tasks), most=views.MOST, whole=folder / "bias.csv")
        _say(views.in_words(found.tasks, "bias_verdict", names(held_out)))
        _report_next(folder)
    _finish(found.failed)


def scaling(
    folder: Folder,
    held_out: HeldOut = "",
    time: Annotated[
        bool, typer.Option(help="Also follow one training over its rounds or epochs.")
    ] = True,
    which_data: Annotated[
        bool,
        typer.Option(
            "--which-data", help="Also compare choices of what to add: nearest, diverse, ..."
        ),
    ] = False,
    jobs: Jobs = None,
    as_json: AsJson = False,
) -> None:
    """Train on growing parts of the data and say whether more of them would help."""
    from offmap.opening import opened
    from offmap.scaling.job import scaling as job
    from offmap.terminal import reporter, show_table

    with opened(folder, jobs, reporter()) as study:
        found = job(
            study.store, study.inputs, names(held_out), study.jobs, study.reporter,
            time=time, which_data=which_data,
        )  # fmt: skip
    if as_json:
        show_table(found.laws, as_json)
    else:
        show_table(views.laws(found.laws), most=views.MOST, whole=folder / "scaling_laws.csv")
        _say(views.in_words(found.laws, "verdict", names(held_out)))
        _report_next(folder)
    _finish(found.failed)


def compare(
    folders: Folders,
    with_published: Annotated[
        bool, typer.Option("--published", help="Beside the published numbers and findings.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Lay studies side by side: scores in distribution, and which tasks fail in each."""
    from offmap.report.compare import compare as side_by_side
    from offmap.report.published import published
    from offmap.store import Store
    from offmap.terminal import show_tables

    stores = [Store.open(folder) for folder in folders]
    found = published(stores) if with_published else side_by_side(stores)
    tables: dict[str, pd.DataFrame] = found._asdict()
    if as_json:
        show_tables(tables, as_json)
        return
    shown = {name: views.first(table) for name, table in tables.items() if len(table)}
    show_tables(shown)
    if "tasks" in tables and "tasks" not in shown:
        typer.echo("no task was run by two of these studies or models, so none is compared")


def _say(sentences: Iterable[str]) -> None:
    """At most as many sentences as there are rows in a printed table."""
    for sentence in islice(sentences, views.MOST):
        typer.echo(sentence)


def _report_next(folder: Path) -> None:
    typer.echo(f"on the page: offmap report {folder}")


def _finish(failed: tuple[Outcome, ...]) -> None:
    for line in views.failures(failed):
        typer.echo(line, err=True)
    if failed:
        raise typer.Exit(1)
