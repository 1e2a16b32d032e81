"""Flags that several commands share, and how they become a study."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from offmap.study import Study

StudyFile = Annotated[
    Path | None, typer.Argument(metavar="STUDY.toml", help="Settings in a file; flags win.")
]
Folder = Annotated[Path, typer.Argument(metavar="STUDY", help="Study folder, as run wrote it.")]
DatasetName = Annotated[
    str, typer.Argument(metavar="DATASET", help="Name (offmap data ls), file or folder.")
]
DatasetOption = Annotated[
    str | None, typer.Option("--dataset", help="Name (offmap data ls), file or folder.")
]
Target = Annotated[
    str | None, typer.Option("--target", help="Column to predict; default: by its usual name.")
]
Models = Annotated[
    list[str] | None,
    typer.Option("--model", help="Model, or several by commas (offmap ls models)."),
]
Criteria = Annotated[
    list[str] | None,
    typer.Option("--criterion", help="The X of leave-one-X-out (offmap ls criteria)."),
]
Representations = Annotated[
    list[str] | None,
    typer.Option("--representation", "-r", help="Descriptors (offmap ls representations)."),
]
MinSize = Annotated[int | None, typer.Option(help="Fewest materials in train and in test; 200.")]
Seed = Annotated[int | None, typer.Option(help="Seed of everything random.")]
Limit = Annotated[int | None, typer.Option(metavar="N", help="Use a random sample of N materials.")]
Symprec = Annotated[float | None, typer.Option(help="Symmetry tolerance, angstrom; 0.01.")]
Exclude = Annotated[
    list[str] | None, typer.Option(help="Set rows aside where this column is true.")
]
Cleaning = Annotated[str | None, typer.Option(help="none; or study: only targets below 5 eV/atom.")]
Jobs = Annotated[
    int | None, typer.Option("--jobs", "-j", min=1, help="Processes; default: all cores.")
]
Engine = Annotated[str, typer.Option(help="Where cells run: local or dask.")]
Scheduler = Annotated[str, typer.Option(help="Address of a Dask scheduler: tcp://HOST:8786.")]
ShardOption = Annotated[
    str, typer.Option("--shard", metavar="I/N", help="Run only part I of N, for job arrays.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
HeldOut = Annotated[
    str, typer.Option(help="Tasks or criteria, such as element/F,period; default: all.")
]


def make_study(file: Path | None, **given: Any) -> Study:
    """The study of a file, if any, with the flags that were given on top."""
    from offmap.study import Study

    study = Study.from_toml(_study_file(file)) if file else Study()
    changes = {k: v for k, v in given.items() if v is not None}
    for key, value in changes.items():
        if isinstance(value, list):
            changes[key] = [name for listed in value for name in names(listed)]
    return study.replace(**changes)


def _study_file(given: Path) -> Path:
    """The file as given, unless it is something that another flag or command is for."""
    from offmap.errors import OffmapError
    from offmap.registry import names as known

    if given.suffix == ".toml":
        return given
    if (given / "study.toml").is_file():
        raise OffmapError(
            f"{given} is a study folder. To go on with it: offmap evaluate {given}, then offmap"
            f" score and report; to run its settings anew: offmap run {given}/study.toml --out ..."
        )
    if given.exists() or str(given) in known("dataset") or given.suffix:
        raise OffmapError(f"{given} is no study file (.toml); for data, say --dataset {given}")
    return given


def make_engine(name: str, jobs: int, scheduler: str) -> Any:
    """The engine of this name."""
    from offmap import registry

    return registry.load("engine", name)(jobs, scheduler)


def make_shard(text: str) -> Any:
    """The part of a grid that a text such as ``3/20`` stands for; None if it is empty."""
    from offmap.engines import Shard

    return Shard.parse(text) if text else None


def resolved(dataset: str) -> str:
    """A path is kept in full, so that the study folder can be used from anywhere."""
    return str(Path(dataset).resolve()) if Path(dataset).exists() else dataset


def names(listed: str) -> list[str]:
    """Names separated by commas."""
    return [name.strip() for name in listed.split(",") if name.strip()]
