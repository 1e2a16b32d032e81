"""``offmap data``: list, fetch, describe, import, check."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from offmap.cli.options import AsJson, DatasetName, Target, resolved

AllowPickle = Annotated[
    bool,
    typer.Option("--allow-pickle", help="Read a pickled table, with a reader that runs no code."),
]

Published = Annotated[str, typer.Argument(metavar="NAME", help="A name of offmap data ls.")]

app = typer.Typer(help="Datasets: list, fetch, describe, import, check.", no_args_is_help=True)


@app.command("ls")
def data_ls(as_json: AsJson = False) -> None:
    """List the datasets that can be named."""
    from offmap import datasets
    from offmap.terminal import show_table

    known = datasets.ls()
    show_table(
        known if as_json else known[["name", "materials", "state", "title", "targets"]], as_json
    )


@app.command("info")
def data_info(name: DatasetName, as_json: AsJson = False) -> None:
    """Print a dataset's card: source, licence, targets, known flaws."""
    import json

    from offmap import datasets

    card = datasets.info(resolved(name))
    if as_json:
        typer.echo(json.dumps(card, indent=1, default=str))
        return
    for key, value in card.items():
        typer.echo(f"{key}: {value}")


@app.command("fetch")
def data_fetch(name: Published, allow_pickle: AllowPickle = False) -> None:
    """Download and convert a named dataset once."""
    from offmap import datasets
    from offmap.terminal import reporter

    with reporter().step(f"Fetch {name}") as progress:
        path = datasets.fetch(name, progress, allow_pickle)
    typer.echo(path)


@app.command("import")
def data_import(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="File, folder, optimade:... or mp:...")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Parquet file to write.")],
    allow_pickle: AllowPickle = False,
) -> None:
    """Convert a file or folder of crystals to columnar Parquet, bad rows set aside."""
    from offmap import datasets
    from offmap.datasets.web import public
    from offmap.terminal import reporter

    with reporter().step(f"Import {public(source)}") as progress:
        path = datasets.import_file(resolved(source), out, progress, allow_pickle)
    typer.echo(path)


@app.command("check")
def data_check(
    dataset: DatasetName,
    target: Target = None,
    against: Annotated[
        str, typer.Option(help="Another dataset: compare its labels and references.")
    ] = "",
    study: Annotated[
        Path | None, typer.Option(help="Study folder: near twins across its splits.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder for the tables.")] = None,
    as_json: AsJson = False,
) -> None:
    """Look for blown-up cells, near twins and conflicting labels; nothing is dropped."""
    from offmap.datasets import checks, load
    from offmap.store import Store
    from offmap.terminal import reporter, show_table

    loaded = load(resolved(dataset), target or "")
    other = load(resolved(against), target or "") if against else None
    members = Store.open(study).read_table("members") if study else None
    with reporter().step("Compare structures") as progress:
        tables = checks.check(loaded, target or "", other, members, progress)
    if out:
        out.mkdir(parents=True, exist_ok=True)
        for name, table in tables.items():
            table.to_csv(out / f"{name}.csv", index=False)
    show_table(checks.summary(tables), as_json)
