"""The command line: one command per stage, each a few lines around one public function."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from offmap import __version__
from offmap.errors import OffmapError

if TYPE_CHECKING:
    from offmap.study import Study

app = typer.Typer(
    help="Is a test set really off the map of the training data?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
data_app = typer.Typer(help="Datasets: list, fetch, describe, import.", no_args_is_help=True)
app.add_typer(data_app, name="data")

StudyFile = Annotated[Path | None, typer.Argument(metavar="[STUDY.toml]", help="Study file.")]
Folder = Annotated[Path, typer.Argument(metavar="STUDY", help="Study folder.")]
DatasetName = Annotated[str, typer.Argument(metavar="DATASET", help="Name, file or folder.")]
DatasetOption = Annotated[str | None, typer.Option("--dataset", help="Name, file or folder.")]
Target = Annotated[str | None, typer.Option("--target", help="Column to predict.")]
Models = Annotated[list[str] | None, typer.Option("--model", help="Model; may be repeated.")]
Criteria = Annotated[list[str] | None, typer.Option("--criterion", help="Criterion; repeatable.")]
Representations = Annotated[
    list[str] | None, typer.Option("--representation", "-r", help="Representation; repeatable.")
]
MinSize = Annotated[int | None, typer.Option(help="Fewest materials in train and in test.")]
Seed = Annotated[int | None, typer.Option(help="Seed of everything random.")]
Limit = Annotated[int | None, typer.Option(help="Use a random sample of N materials.")]
Symprec = Annotated[float | None, typer.Option(help="Symmetry tolerance, angstrom.")]
Exclude = Annotated[
    list[str] | None, typer.Option(help="Set rows aside where this column is true.")
]
Cleaning = Annotated[str | None, typer.Option(help="none, or study: target below 5 eV/atom.")]
Jobs = Annotated[int | None, typer.Option("--jobs", "-j", help="Processes; default: all cores.")]
Engine = Annotated[str, typer.Option(help="Where cells run: local.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.callback(invoke_without_command=True)
def _main(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        typer.echo(f"offmap {__version__}")
        raise typer.Exit


@app.command()
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
        Path | None, typer.Option(help="Study folder; default: offmap-<dataset>.")
    ] = None,
    jobs: Jobs = None,
    engine: Engine = "local",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done.")] = False,
) -> None:
    """Run a study from data to report; without arguments, the embedded dataset."""
    from offmap import stages as job
    from offmap.engines import n_cores
    from offmap.registry import check
    from offmap.terminal import reporter

    check("engine", engine)
    study = _study(
        file,
        dataset=_resolved(dataset) if dataset else None,
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
        typer.echo(job.plan(study, out, jobs or n_cores(), reporter()))
        return
    done = job.run(study, out, jobs, reporter())
    _summarise(done)


@app.command()
def tasks(
    dataset: DatasetName = "prototypes",
    criterion: Criteria = None,
    min_size: MinSize = None,
    symprec: Symprec = None,
    limit: Limit = None,
    jobs: Jobs = None,
    as_json: AsJson = False,
) -> None:
    """Print the tasks of a dataset, kept and skipped, with the reason."""
    from offmap.engines import n_cores
    from offmap.inputs import prepare
    from offmap.terminal import reporter, show_table

    study = _study(
        None,
        dataset=_resolved(dataset),
        criteria=criterion,
        min_size=min_size,
        symprec=symprec,
        limit=limit,
    )
    inputs = prepare(study, jobs or n_cores(), reporter(), with_features=False)
    show_table(inputs.tasks(), as_json)


@app.command()
def featurize(
    dataset: DatasetName,
    out: Annotated[Path, typer.Option("--out", "-o", help="Parquet file to write.")],
    representation: Annotated[str, typer.Option("--representation", "-r")] = "matminer",
    jobs: Jobs = None,
) -> None:
    """Write the features of a dataset: material_id and a column per feature."""
    from offmap import datasets
    from offmap.engines import n_cores
    from offmap.representations.files import write_features
    from offmap.terminal import reporter

    shown = reporter()
    loaded = datasets.load(_resolved(dataset))
    with shown.step(f"Describe crystals ({representation})") as progress:
        written = write_features(loaded, representation, out, jobs or n_cores(), progress)
    for reason, count in written.reasons.items():
        shown.say(f"set aside: {count} x {reason}")
    typer.echo(f"{out}: {written.n_materials} materials x {written.n_columns} columns")


@app.command()
def evaluate(folder: Folder, jobs: Jobs = None) -> None:
    """Train and predict what is missing in a study folder."""
    from offmap.engines import n_cores
    from offmap.evaluate import evaluate as job
    from offmap.inputs import prepare
    from offmap.stages import create
    from offmap.store import Store
    from offmap.terminal import reporter

    store, cores, shown = Store.open(folder), jobs or n_cores(), reporter()
    with store.lock():
        store.clean()
        inputs = prepare(store.study(), cores, shown)
        create(folder, inputs)
        failed = [outcome for outcome in job(store, inputs, cores, shown) if outcome.error]
    if failed:
        raise typer.Exit(1)


@app.command()
def score(folder: Folder, as_json: AsJson = False) -> None:
    """Score every finished cell, with intervals."""
    from offmap.stages import score as job
    from offmap.store import Store
    from offmap.terminal import reporter, show_table

    show_table(job(Store.open(folder), reporter()), as_json)


@app.command()
def report(folder: Folder) -> None:
    """Build the report from the tables; works for a half-finished study too."""
    from offmap.stages import report as job
    from offmap.store import Store
    from offmap.terminal import reporter

    typer.echo(job(Store.open(folder), reporter()))


@app.command()
def compare(
    folders: Annotated[list[Path], typer.Argument(metavar="STUDY...")], as_json: AsJson = False
) -> None:
    """Lay studies side by side: scores in distribution, and which tasks fail in each."""
    from offmap.report.compare import compare as job
    from offmap.store import Store
    from offmap.terminal import show_table

    for table in job([Store.open(folder) for folder in folders]):
        show_table(table, as_json)


@app.command()
def status(folder: Folder, as_json: AsJson = False) -> None:
    """Say which cells of a study are done, failed or missing."""
    from offmap import stages as job
    from offmap.store import Store
    from offmap.terminal import show_table

    store = Store.open(folder)
    show_table(job.status(store), as_json)
    failed = job.failures(store)
    if len(failed) and not as_json:
        show_table(failed)


@app.command()
def export(
    dataset: DatasetName,
    out: Annotated[Path, typer.Option("--out", "-o", help="File or folder to write.")],
    format: Annotated[str, typer.Option(help="csv, matbench or matfold.")] = "csv",
    criterion: Criteria = None,
    min_size: MinSize = None,
    jobs: Jobs = None,
) -> None:
    """Write the splits of a dataset for other tools."""
    from offmap.engines import n_cores
    from offmap.inputs import prepare
    from offmap.tasks.export import export as job
    from offmap.terminal import reporter

    study = _study(None, dataset=_resolved(dataset), criteria=criterion, min_size=min_size)
    inputs = prepare(study, jobs or n_cores(), reporter(), with_features=False)
    for path in job(inputs, format, out):
        typer.echo(path)


@app.command()
def ls(
    kind: Annotated[str, typer.Argument(help="models, criteria, representations, ...")] = "",
    as_json: AsJson = False,
) -> None:
    """List what can be named in a study."""
    from offmap.registry import listing

    rows = listing(kind)
    if as_json:
        import json

        typer.echo(json.dumps(rows, indent=1))
        return
    width = max(len(row["name"]) for row in rows)
    for heading in dict.fromkeys(row["kind"] for row in rows):
        typer.echo(heading)
        for row in rows:
            if row["kind"] == heading:
                typer.echo(f"  {row['name']:<{width}}  {row['summary']}")


@data_app.command("ls")
def data_ls(as_json: AsJson = False) -> None:
    """List the datasets that can be named."""
    from offmap import datasets
    from offmap.terminal import show_table

    show_table(datasets.ls(), as_json)


@data_app.command("info")
def data_info(name: str, as_json: AsJson = False) -> None:
    """Print a dataset's card: source, licence, targets, known flaws."""
    import json

    from offmap import datasets

    card = datasets.info(_resolved(name))
    if as_json:
        typer.echo(json.dumps(card, indent=1, default=str))
        return
    for key, value in card.items():
        typer.echo(f"{key}: {value}")


@data_app.command("fetch")
def data_fetch(name: str) -> None:
    """Download and convert a named dataset once."""
    from offmap import datasets
    from offmap.terminal import reporter

    with reporter().step(f"Fetch {name}") as progress:
        path = datasets.fetch(name, progress=progress)
    typer.echo(path)


@data_app.command("import")
def data_import(
    source: Path, out: Annotated[Path, typer.Option("--out", "-o", help="Parquet file to write.")]
) -> None:
    """Convert a file or folder of crystals to columnar Parquet, bad rows set aside."""
    from offmap import datasets
    from offmap.terminal import reporter

    with reporter().step(f"Import {source.name}") as progress:
        path = datasets.import_file(source, out, progress=progress)
    typer.echo(path)


def _study(file: Path | None, **given: Any) -> Study:
    """The study of a file, if any, with the flags that were given on top."""
    from offmap.study import Study

    study = Study.from_toml(file) if file else Study()
    return study.replace(**{k: v for k, v in given.items() if v is not None})


def _resolved(dataset: str) -> str:
    """A path is kept in full, so that the study folder can be used from anywhere."""
    return str(Path(dataset).resolve()) if Path(dataset).exists() else dataset


def _summarise(done: Any) -> None:
    """The last lines of a run: what failed, what the tasks say, where the report is."""
    from offmap.stages import headline

    typer.echo(headline(done.store))
    for outcome in done.failed:
        typer.echo(f"failed: {outcome.cell.name}: {outcome.error}", err=True)
    typer.echo(f"report: {done.report}")
    if done.failed:
        raise typer.Exit(1)


def main() -> None:
    """Entry point: errors for people, exit code 2 for bad usage or input."""
    try:
        app()
    except OffmapError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("stopped; run the same command again to go on", file=sys.stderr)
        sys.exit(130)
