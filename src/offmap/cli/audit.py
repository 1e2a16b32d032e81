"""``offmap audit``: a split, a model's predictions or a candidate list, held against its domain."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from offmap.cli import views
from offmap.cli.options import AsJson, Jobs, Target

StudyFolder = Annotated[
    Path | None,
    typer.Argument(metavar="STUDY", help="Finished study to learn expected errors from."),
]


def audit(
    study: StudyFolder = None,
    train: Annotated[
        str | None, typer.Option(help="Training materials, or their ids; default: the study's.")
    ] = None,
    test: Annotated[
        str | None, typer.Option(help="Test materials: file, folder, or their ids in the study.")
    ] = None,
    candidates: Annotated[
        str | None, typer.Option(help="New structures without labels: file or folder.")
    ] = None,
    predictions: Annotated[
        Path | None, typer.Option(help="CSV of any model: material_id, y_pred and y_true if known.")
    ] = None,
    target: Target = None,
    representation: Annotated[
        str, typer.Option("--representation", "-r", help="How crystals are described.")
    ] = "",
    model: Annotated[str, typer.Option(help="Model of the study; default: its first.")] = "",
    overlap: Annotated[
        str, typer.Option(help="Materials on both sides: error; or leave out of train, or of test.")
    ] = "error",
    nominal: Annotated[
        float, typer.Option(help="Share of true values that intervals are to hold.")
    ] = 0.9,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for audit.html, .json and .csv.")
    ] = None,
    most: Annotated[
        int, typer.Option("--show", help="How many materials to print, furthest out first.")
    ] = 10,
    rehearse: Annotated[
        bool,
        typer.Option(
            "--rehearse",
            help="Without STUDY: learn errors from groups left out of the training set.",
        ),
    ] = False,
    jobs: Jobs = None,
    as_json: AsJson = False,
) -> None:
    """Say which materials are off the map of a training set, why, and what error to expect."""
    from offmap.domain.audit import audit as job
    from offmap.domain.audit_words import TASKS
    from offmap.engines import n_cores
    from offmap.report.audit import write
    from offmap.terminal import reporter, show_table

    found = job(
        train,
        test,
        study=study,
        predictions=predictions,
        candidates=candidates,
        target=target or "",
        representation=representation,
        model=model,
        overlap=overlap,
        nominal=nominal,
        rehearse=rehearse,
        jobs=jobs or n_cores(),
        reporter=reporter(),
    )
    written = [] if out is None else write(found, out)
    if as_json:
        typer.echo(found.to_json())
        return
    typer.echo(str(found))
    if len(found.bins):
        tasks = TASKS[found.learned_from]
        typer.echo(f"\nintervals of {nominal:.0%}, and what they held on {tasks}:")
        show_table(views.intervals(found.bins))
    typer.echo("")
    typer.echo("furthest out first; a standing above 1 is out of domain:")
    show_table(views.furthest_out(found.short(most)))
    for path in written:
        typer.echo(path)
