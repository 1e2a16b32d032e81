"""The study folder: this alone, with its study file, knows where things lie and how they get there.

Every file is written under a temporary name and moved into place, so a reader never sees half of
one. A cell is done when its ``_run.json`` exists and its predictions have the size written there.
What is read is compared with the checksum it was written with.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from offmap import locks
from offmap.checked_files import (
    TEMPORARY,
    digest,
    joined,
    matches,
    put,
    read_json,
    read_parquet,
    to_parquet,
    with_categories,
    writing,
)
from offmap.columns import CELL_KEYS
from offmap.errors import StudyError
from offmap.slugs import slug as slug
from offmap.study import Study
from offmap.study_file import StudyFile

if TYPE_CHECKING:
    import pyarrow as pa

State = Literal["done", "failed", "missing"]


@dataclass(frozen=True, order=True)
class Cell:
    """One thing to train and predict: a row of the grid.

    ``n_train`` 0 means every training material of the task.
    """

    dataset: str
    target: str
    representation: str
    model: str
    criterion: str
    held_out: str
    seed: int = 0
    n_train: int = 0

    @property
    def name(self) -> str:
        """Short name for messages, such as ``"lgbm element/F"``."""
        size = f" n_train={self.n_train}" if self.n_train else ""
        return f"{self.model} {self.criterion}/{self.held_out}{size}"

    def keys(self) -> dict[str, Any]:
        """The key columns."""
        return asdict(self)


class Store:
    """A study folder.

    Parameters
    ----------
    folder
        Where it lies; made by :meth:`create`.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._file = StudyFile(self.folder)

    # -- the study -----------------------------------------------------------------------------

    @classmethod
    def create(cls, folder: str | Path, study: Study, provenance: Mapping[str, Any]) -> Store:
        """Open the folder for this study, making it if it is not there.

        Raises
        ------
        StudyError
            If the folder holds a study with other settings or other data, or something else.
        """
        store = cls(folder)
        store.check(study, provenance.get("data_sha256", ""))
        store.folder.mkdir(parents=True, exist_ok=True)
        store._file.write(study, provenance)
        return store

    @classmethod
    def open(cls, folder: str | Path) -> Store:
        """Open an existing study folder, or say that it is none."""
        store = cls(folder)
        if not store._file.exists():
            raise StudyError(f"{folder} is not a study folder: it has no study.toml")
        return store

    @property
    def study_file(self) -> Path:
        """The resolved configuration."""
        return self._file.path

    @property
    def report_file(self) -> Path:
        """The HTML page."""
        return self.folder / "report" / "index.html"

    @property
    def figures(self) -> Path:
        """Folder of static figures, each with its table."""
        return self.folder / "report" / "figures"

    def study(self) -> Study:
        """The configuration, from the twin if the study file is damaged."""
        return self._file.study()

    def provenance(self) -> dict[str, Any]:
        """Where the data came from, what they hashed to, and the versions that were used."""
        return self._file.provenance()

    def check(self, study: Study, data_sha256: str = "") -> None:
        """Raise :class:`StudyError` unless this study can be begun, or gone on with, here."""
        self._file.check(study, data_sha256)

    def check_data(self, data_sha256: str) -> None:
        """Raise :class:`StudyError` if the study was made of other data."""
        before = self.provenance().get("data_sha256", "")
        if before and data_sha256 and before != data_sha256:
            raise StudyError(
                f"the data have changed since {self.folder} was made of them: sha256"
                f" {before[:12]}… -> {data_sha256[:12]}…; put them back, or run them with another"
                " --out"
            )

    # -- tables ----------------------------------------------------------------------------------

    def table_file(self, name: str) -> Path:
        """Where the table ``name`` lies."""
        return self.folder / f"{name}.parquet"

    def write_table(self, name: str, frame: pd.DataFrame, csv: bool = False) -> None:
        """Write a table, with a CSV twin if asked."""
        put(self.table_file(name), lambda path: to_parquet(frame, path))
        if csv:
            put(self.folder / f"{name}.csv", lambda path: frame.to_csv(path, index=False))

    def has_table(self, name: str) -> bool:
        """Whether the table has been written."""
        return self.table_file(name).is_file()

    def read_table(self, name: str) -> pd.DataFrame:
        """Read a table.

        Raises
        ------
        StudyError
            If it is not there or cannot be read; the message says which stage makes it.
        """
        path = self.table_file(name)
        if not path.is_file():
            raise StudyError(f"{self.folder} has no {path.name} yet: run 'offmap {_maker(name)}'")
        try:
            frame: pd.DataFrame = read_parquet(path).to_pandas()
        except (OSError, ValueError) as error:
            raise StudyError(
                f"{path} is damaged ({error}): run 'offmap {_maker(name)}' again"
            ) from error
        return frame

    def write_text(self, relative: str, text: str) -> Path:
        """Write a text file of the report."""
        path = self.folder / relative
        put(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))
        return path

    # -- cells -------------------------------------------------------------------------------------

    def cell_folder(self, cell: Cell) -> Path:
        """Folder of one cell."""
        parts = [slug(value) for value in cell.keys().values()]
        return self.folder.joinpath("runs", *parts)

    def network_file(self, cell: Cell, part: Literal["training", "model"]) -> Path:
        """State of a network in training (gone when the cell is done), or the trained network."""
        return self.cell_folder(cell) / f"_{part}.pt"

    def state(self, cell: Cell) -> State:
        """Whether the cell is done, has failed, or is missing (damaged counts as missing)."""
        folder = self.cell_folder(cell)
        run = read_json(folder / "_run.json")
        predictions = folder / "predictions.parquet"
        if run and predictions.is_file() and predictions.stat().st_size == run.get("n_bytes"):
            return "done"
        return "failed" if (folder / "_error.json").exists() else "missing"

    def save_predictions(
        self,
        cell: Cell,
        frame: pd.DataFrame,
        run: Mapping[str, Any],
        history: pd.DataFrame | None = None,
    ) -> None:
        """Keep a finished cell: ``material_id``, ``y_true``, ``y_pred``, and how it was run.

        ``history`` holds the same after each ``round`` of training.
        """
        folder = self.cell_folder(cell)
        if history is not None:
            past = history.assign(**cell.keys())[[*CELL_KEYS, *history.columns]]
            put(folder / "history.parquet", lambda path: to_parquet(past, path))
        keyed = frame.assign(**cell.keys())[[*CELL_KEYS, *frame.columns]]
        path = folder / "predictions.parquet"
        put(path, lambda temporary: to_parquet(keyed, temporary))
        facts = dict(run) | {"n_bytes": path.stat().st_size, "blake2b": digest(path.read_bytes())}
        put(folder / "_run.json", lambda temporary: temporary.write_text(json.dumps(facts)))
        (folder / "_error.json").unlink(missing_ok=True)
        self.network_file(cell, "training").unlink(missing_ok=True)

    def save_network(self, cell: Cell, content: bytes) -> None:
        """Keep the file of a trained network, before the predictions of its cell."""
        put(self.network_file(cell, "model"), lambda path: path.write_bytes(content))

    def save_error(self, cell: Cell, error: str, message: str, trace: str) -> None:
        """Note why a cell failed. It is tried again at the next start."""
        facts = {"error": error, "message": message, "traceback": trace}
        folder = self.cell_folder(cell)
        put(folder / "_error.json", lambda path: path.write_text(json.dumps(facts)))

    def verify(self, cells: Iterable[Cell]) -> dict[Cell, str]:
        """Compare finished cells with their checksums; those that differ count as missing from now.

        Returns
        -------
        dict of Cell to str
            What was damaged.
        """
        damaged = {}
        for cell in cells:
            folder = self.cell_folder(cell)
            if not (folder / "_run.json").exists():
                continue
            run = self.run_facts(cell)
            if not run:
                damaged[cell] = "its _run.json is damaged"
            elif not matches(folder / "predictions.parquet", run):
                damaged[cell] = "its predictions are damaged or gone"
            if cell in damaged:
                (folder / "_run.json").unlink()
        return damaged

    def run_facts(self, cell: Cell) -> dict[str, Any]:
        """How a finished cell was run (seconds, versions, sizes); empty if it is not."""
        return read_json(self.cell_folder(cell) / "_run.json")

    def error(self, cell: Cell) -> dict[str, str]:
        """Why a cell failed; empty if it did not."""
        return read_json(self.cell_folder(cell) / "_error.json")

    def read_predictions(self, cells: Iterable[Cell]) -> pd.DataFrame:
        """Predictions of finished cells as one table; key columns are categories.

        Raises
        ------
        StudyError
            If a file is damaged.
        """
        return joined([self._read_cell(cell, "predictions") for cell in cells])

    def read_histories(self, cells: Iterable[Cell]) -> pd.DataFrame:
        """Predictions after each ``round``, of finished cells whose training was followed."""
        followed = [c for c in cells if (self.cell_folder(c) / "history.parquet").is_file()]
        return joined([self._read_cell(cell, "history") for cell in followed])

    def _read_cell(self, cell: Cell, name: str) -> pa.Table:
        import pyarrow as pa

        path = self.cell_folder(cell) / f"{name}.parquet"
        try:
            content = path.read_bytes()
            kept = self.run_facts(cell).get("blake2b") if name == "predictions" else None
            if kept not in (None, digest(content)):
                raise ValueError("not what was written")
            return with_categories(read_parquet(pa.BufferReader(content)))
        except (OSError, ValueError, KeyError) as error:
            raise StudyError(
                f"{path} is damaged ({error}): run 'offmap evaluate {self.folder}' to make it again"
            ) from error

    def additions(self, choice: str) -> Store:
        """Further cells of the same study, trained on data that were added by ``choice``."""
        return Store(self.folder / "added" / choice)

    # -- safety ----------------------------------------------------------------------------------

    def lock(self, part: str = "") -> AbstractContextManager[None]:
        """Hold the folder against a second run; see :func:`offmap.locks.hold`."""
        return locks.hold(self.folder, part)

    def lock_briefly(self) -> AbstractContextManager[None]:
        """Hold the folder while a shard makes the study; see :func:`offmap.locks.hold_briefly`."""
        return locks.hold_briefly(self.folder)

    @contextmanager
    def temporary_folder(self) -> Iterator[Path]:
        """A folder that is gone afterwards; what a killed run leaves, :meth:`clean` removes."""
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            folder = tempfile.TemporaryDirectory(prefix=".arrays-", dir=self.folder)
        with folder as name:
            yield Path(name)

    def clean(self) -> list[str]:
        """Remove temporary files that a killed run left behind, and set damaged tables aside.

        Returns
        -------
        list of str
            Tables that were damaged, and how to make them again.
        """
        for path in self.folder.rglob(f"{TEMPORARY}*"):
            path.unlink(missing_ok=True)
        for path in self.folder.glob(".arrays-*"):
            shutil.rmtree(path, ignore_errors=True)
        said = []
        for path in sorted(self.folder.glob("*.parquet")):
            try:
                read_parquet(path)
            except (OSError, ValueError):
                path.replace(path.with_name(f"_damaged-{path.name}"))
                said.append(
                    f"{path.name} was damaged and is set aside; 'offmap {_maker(path.stem)}"
                    f" {self.folder}' makes it again"
                )
        return said


_MAKER = {
    "tasks": "run",
    "members": "run",
    "materials": "run",
    "scores": "score",
    "domain": "domain",
    "verdicts": "domain",
    "bias": "bias",
    "scaling": "scaling",
}


def _maker(name: str) -> str:
    """The command that makes a table."""
    return _MAKER.get(name) or _MAKER.get(name.partition("_")[0], "run")


def states(store: Store, cells: Sequence[Cell]) -> dict[State, list[Cell]]:
    """Sort cells into done, failed and missing."""
    found: dict[State, list[Cell]] = {"done": [], "failed": [], "missing": []}
    for cell in cells:
        found[store.state(cell)].append(cell)
    return found
