"""Commands that print or write what is known before a study: tasks, splits, features, names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from offmap.cli.options import (
    AsJson,
    Criteria,
    DatasetName,
    Jobs,
    Limit,
    MinSize,
    Representations,
    Symprec,
    Target,
    make_study,
    resolved,
)


def tasks(
    dataset: DatasetName = "prototypes",
    criterion: Criteria = None,
    min_size: MinSize = None,
    symprec: Symprec = None,
    limit: Limit = None,
    representation: Representations = None,
    target: Target = None,
    domain: Annotated[
        bool, typer.Option("--domain", help="Say how far off each test set is, before training.")
    ] = False,
    jobs: Jobs = None,
    as_json: AsJson = False,
) -> None:
    """Print the tasks of a dataset, kept and skipped, with the reason."""
    from offmap.engines import n_cores
    from offmap.inputs import prepare
    from offmap.terminal import reporter, show_table

    study = make_study(
        None,
        dataset=resolved(dataset),
        criteria=criterion,
        min_size=min_size,
        representations=representation,
        symprec=symprec,
        limit=limit,
        target=target,
    )
    cores, shown = jobs or n_cores(), reporter()
    # What lies where is a matter of features alone; the signals also look at training labels.
    inputs = prepare(study, cores, shown, with_features=domain, labelled=domain)
    if domain:
        from offmap.domain.before_training import before_training

        show_table(before_training(inputs, jobs=cores, reporter=shown), as_json)
        return
    show_table(inputs.tasks(), as_json)


def export(
    dataset: DatasetName,
    out: Annotated[Path, typer.Option("--out", "-o", help="File or folder to write.")],
    format: Annotated[str, typer.Option(help="Without --hard: csv, matbench or matfold.")] = "csv",
    criterion: Criteria = None,
    min_size: MinSize = None,
    hard: Annotated[
        bool, typer.Option("--hard", help="Only tasks that lie out of domain, pinned by digest.")
    ] = False,
    min_out: Annotated[float, typer.Option(help="With --hard: share out of domain.")] = 0.5,
    check: Annotated[
        Path | None, typer.Option(help="With --hard: a manifest that must come out again.")
    ] = None,
    model: Annotated[str, typer.Option(help="With --hard and a study: whose verdicts.")] = "",
    target: Target = None,
    representation: Representations = None,
    limit: Limit = None,
    jobs: Jobs = None,
    as_json: AsJson = False,
) -> None:
    """Write the splits of a dataset, or of a study with --hard, for other tools."""
    if hard:
        from offmap.cli.hard import export_hard

        given = {"criteria": criterion, "min_size": min_size, "target": target,
                 "representations": representation, "limit": limit}  # fmt: skip
        export_hard(dataset, out, min_out, check, model, jobs, given, as_json)
        return
    from offmap.engines import n_cores
    from offmap.inputs import prepare
    from offmap.tasks.export import check_format
    from offmap.tasks.export import export as job
    from offmap.terminal import reporter

    check_format(format)

    study = make_study(
        None, dataset=resolved(dataset), criteria=criterion, min_size=min_size, limit=limit
    )
    inputs = prepare(study, jobs or n_cores(), reporter(), with_features=False, labelled=False)
    paths = list(map(str, job(inputs, format, out)))
    typer.echo(json.dumps(paths, indent=1) if as_json else "\n".join(paths))


def featurize(
    dataset: DatasetName,
    out: Annotated[Path, typer.Option("--out", "-o", help="Parquet file to write.")],
    representation: Annotated[
        str, typer.Option("--representation", "-r", help="Which (offmap ls representations).")
    ] = "matminer",
    jobs: Jobs = None,
) -> None:
    """Write the features of a dataset: material_id and a column per feature."""
    from offmap import datasets
    from offmap.engines import n_cores
    from offmap.representations.files import write_features
    from offmap.terminal import reporter

    shown = reporter()
    loaded = datasets.load(resolved(dataset), target=None)
    with shown.step(f"Describe crystals ({representation})") as progress:
        written = write_features(loaded, representation, out, jobs or n_cores(), progress)
    for reason, count in written.reasons.items():
        shown.say(f"set aside: {count} x {reason}")
    typer.echo(f"{out}: {written.n_materials} materials x {written.n_columns} columns")


def ls(
    kind: Annotated[
        str,
        typer.Argument(
            metavar="KIND", help="datasets, representations, models, criteria, engines, detectors."
        ),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """List what can be named in a study."""
    from offmap.registry import listing

    rows = listing(kind)
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    width = max(len(row["name"]) for row in rows)
    for heading in dict.fromkeys(row["kind"] for row in rows):
        typer.echo(heading)
        for row in rows:
            if row["kind"] == heading:
                typer.echo(f"  {row['name']:<{width}}  {row['summary']}")
