"""``offmap data``: list, fetch, describe, import."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from offmap.cli.options import AsJson, resolved

AllowPickle = Annotated[
    bool,
    typer.Option("--allow-pickle", help="Read a pickled table, with a reader that runs no code."),
]

app = typer.Typer(help="Datasets: list, fetch, describe, import.", no_args_is_help=True)


@app.command("ls")
def data_ls(as_json: AsJson = False) -> None:
    """List the datasets that can be named."""
    from offmap import datasets
    from offmap.terminal import show_table

    show_table(datasets.ls(), as_json)


@app.command("info")
def data_info(name: str, as_json: AsJson = False) -> None:
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
def data_fetch(name: str, allow_pickle: AllowPickle = False) -> None:
    """Download and convert a named dataset once."""
    from offmap import datasets
    from offmap.terminal import reporter

    with reporter().step(f"Fetch {name}") as progress:
        path = datasets.fetch(name, progress, allow_pickle)
    typer.echo(path)


@app.command("import")
def data_import(
    source: Annotated[str, typer.Argument(help="File, folder, optimade:... or mp:...")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Parquet file to write.")],
    allow_pickle: AllowPickle = False,
) -> None:
    """Convert a file or folder of crystals to columnar Parquet, bad rows set aside."""
    from offmap import datasets
    from offmap.terminal import reporter

    with reporter().step(f"Import {source}") as progress:
        path = datasets.import_file(resolved(source), out, progress, allow_pickle)
    typer.echo(path)
