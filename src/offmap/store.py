"""The study folder: the only module that knows where things lie and how they get there.

Every file is written under a temporary name and moved into place, so a reader never sees half of
one. A cell is done when its ``_run.json`` exists and its predictions have the size written there.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

import pandas as pd

from offmap.columns import CELL_KEYS
from offmap.errors import StudyError
from offmap.study import Study

if TYPE_CHECKING:
    import pyarrow as pa

State = Literal["done", "failed", "missing"]

# File systems take names of 255 bytes; temporary files have somewhat longer ones than their target.
_LONGEST = 200

# Settings that may grow between two runs in one folder: what is there stays valid.
_MAY_GROW = ("models", "criteria", "representations")


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


def slug(value: object) -> str:
    """A path part that any file system takes and that can be read back (percent-encoded).

    Only a long one cannot: its end gives way to a digest.
    """
    text = quote(str(value), safe="+-, ()@", errors="surrogatepass")
    # A dot or underscore in front would hide the folder from table readers; at the end, Windows
    # drops dots and spaces.
    text = re.sub(r"^[._ ]|[. ]$", lambda m: f"%{ord(m[0]):02X}", text) or "%"
    if len(text) > _LONGEST:
        digest = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
        text = f"{text[: _LONGEST - 40]}%%{digest}"
    return text


class Store:
    """A study folder.

    Parameters
    ----------
    folder
        Where it lies; made by :meth:`create`.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

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
        store._write_study(study, provenance)
        return store

    @classmethod
    def open(cls, folder: str | Path) -> Store:
        """Open an existing study folder, or say that it is none."""
        store = cls(folder)
        if not store.study_file.is_file():
            raise StudyError(f"{folder} is not a study folder: it has no study.toml")
        return store

    @property
    def study_file(self) -> Path:
        """The resolved configuration."""
        return self.folder / "study.toml"

    @property
    def report_file(self) -> Path:
        """The HTML page."""
        return self.folder / "report" / "index.html"

    @property
    def figures(self) -> Path:
        """Folder of static figures, each with its table."""
        return self.folder / "report" / "figures"

    def study(self) -> Study:
        """The configuration."""
        return Study.from_toml(self.study_file)

    def provenance(self) -> dict[str, Any]:
        """Where the data came from, what they hashed to, and the versions that were used."""
        try:
            text = self.study_file.read_text(encoding="utf-8")
            provenance: dict[str, Any] = tomllib.loads(text).get("provenance", {})
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise StudyError(f"cannot read {self.study_file}: {error}") from error
        return provenance

    def check(self, study: Study, data_sha256: str = "") -> None:
        """Raise :class:`StudyError` unless this study can be begun, or gone on with, here."""
        if not self.study_file.exists():
            if self.folder.exists() and not _is_empty(self.folder):
                raise StudyError(f"{self.folder} exists and is not a study; choose another --out")
            return
        old = self.study()
        lines = [
            line for line in old.differences(study) if not _grew(old, study, line.partition(":")[0])
        ]
        before = self.provenance().get("data_sha256", "")
        if before and data_sha256 and before != data_sha256:
            lines.append(f"the data themselves: sha256 {before[:12]}… -> {data_sha256[:12]}…")
        if lines:
            raise StudyError(
                f"{self.folder} holds a study with other settings:\n  "
                + "\n  ".join(lines)
                + "\nUse those settings again, or choose another --out."
            )

    def _write_study(self, study: Study, provenance: Mapping[str, Any]) -> None:
        import tomli_w

        settings = study.to_dict() | {"provenance": dict(provenance)}
        self._write(self.study_file, lambda path: path.write_text(tomli_w.dumps(settings), "utf-8"))

    # -- tables ----------------------------------------------------------------------------------

    def table_file(self, name: str) -> Path:
        """Where the table ``name`` lies."""
        return self.folder / f"{name}.parquet"

    def write_table(self, name: str, frame: pd.DataFrame, csv: bool = False) -> None:
        """Write a table, with a CSV twin if asked."""
        self._write(self.table_file(name), lambda path: _to_parquet(frame, path))
        if csv:
            self._write(self.folder / f"{name}.csv", lambda path: frame.to_csv(path, index=False))

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
            raise StudyError(
                f"{self.folder} has no {path.name} yet: run 'offmap {_MAKER.get(name, 'run')}'"
            )
        try:
            return pd.read_parquet(path, partitioning=None)  # folders named a=b mean nothing
        except (OSError, ValueError) as error:
            raise StudyError(f"{path} is damaged ({error}): delete it and run again") from error

    def write_text(self, relative: str, text: str) -> Path:
        """Write a text file of the report."""
        path = self.folder / relative
        self._write(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))
        return path

    # -- cells -------------------------------------------------------------------------------------

    def cell_folder(self, cell: Cell) -> Path:
        """Folder of one cell."""
        parts = [slug(value) for value in cell.keys().values()]
        return self.folder.joinpath("runs", *parts)

    def state(self, cell: Cell) -> State:
        """Whether the cell is done, has failed, or is missing (damaged counts as missing)."""
        folder = self.cell_folder(cell)
        run = _read_json(folder / "_run.json")
        predictions = folder / "predictions.parquet"
        if run and predictions.is_file() and predictions.stat().st_size == run.get("n_bytes"):
            return "done"
        return "failed" if (folder / "_error.json").exists() else "missing"

    def save_predictions(self, cell: Cell, frame: pd.DataFrame, run: Mapping[str, Any]) -> None:
        """Keep a finished cell: ``material_id``, ``y_true``, ``y_pred``, and how it was run."""
        folder = self.cell_folder(cell)
        keyed = frame.assign(**cell.keys())[[*CELL_KEYS, *frame.columns]]
        path = folder / "predictions.parquet"
        self._write(path, lambda temporary: _to_parquet(keyed, temporary))
        facts = dict(run) | {"n_bytes": path.stat().st_size}
        self._write(folder / "_run.json", lambda temporary: temporary.write_text(json.dumps(facts)))
        (folder / "_error.json").unlink(missing_ok=True)

    def save_error(self, cell: Cell, error: BaseException, trace: str) -> None:
        """Note why a cell failed. It is tried again at the next start."""
        facts = {"error": type(error).__name__, "message": str(error), "traceback": trace}
        folder = self.cell_folder(cell)
        self._write(folder / "_error.json", lambda path: path.write_text(json.dumps(facts)))

    def run_facts(self, cell: Cell) -> dict[str, Any]:
        """How a finished cell was run (seconds, versions, sizes); empty if it is not."""
        return _read_json(self.cell_folder(cell) / "_run.json")

    def error(self, cell: Cell) -> dict[str, str]:
        """Why a cell failed; empty if it did not."""
        return _read_json(self.cell_folder(cell) / "_error.json")

    def read_predictions(self, cells: Iterable[Cell]) -> pd.DataFrame:
        """Predictions of finished cells as one table; key columns are categories.

        Raises
        ------
        StudyError
            If a file is damaged.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        tables = []
        for cell in cells:
            path = self.cell_folder(cell) / "predictions.parquet"
            try:
                tables.append(_with_categories(pq.read_table(path, partitioning=None)))
            except (OSError, pa.ArrowInvalid) as error:
                raise StudyError(f"{path} is damaged ({error}): delete it and run again") from error
        if not tables:
            return pd.DataFrame(columns=[*CELL_KEYS, "material_id", "y_true", "y_pred"])
        frame: pd.DataFrame = pa.concat_tables(tables).unify_dictionaries().to_pandas()
        return frame

    # -- safety ----------------------------------------------------------------------------------

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder against a second run; a killed run lets go by itself.

        Raises
        ------
        StudyError
            If another run holds it, or it cannot be made.
        """
        from filelock import FileLock, Timeout

        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StudyError(f"cannot make the folder {self.folder}: {error.strerror}") from error
        held = FileLock(self.folder / ".lock", timeout=0)
        try:
            held.acquire()
        except Timeout as error:
            raise StudyError(
                f"another run is working in {self.folder}; wait for it or stop it"
            ) from error
        try:
            yield
        finally:
            held.release()

    @staticmethod
    def _write(path: Path, write: Callable[[Path], object]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(f".{path.name}", ".writing-", path.parent)
        os.close(handle)
        try:
            write(Path(name))
            os.chmod(name, 0o644)
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    def clean(self) -> None:
        """Remove temporary files that a killed run left behind."""
        for path in self.folder.rglob(".writing-*"):
            path.unlink(missing_ok=True)
        for path in self.folder.glob(".arrays-*"):
            shutil.rmtree(path, ignore_errors=True)


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


def _is_empty(folder: Path) -> bool:
    """Whether nothing is there but the lock and what a killed run left."""
    return folder.is_dir() and all(path.name.startswith(".") for path in folder.iterdir())


def _grew(old: Study, new: Study, name: str) -> bool:
    return name in _MAY_GROW and set(getattr(old, name)) <= set(getattr(new, name))


def _to_parquet(frame: pd.DataFrame, path: Path) -> None:
    frame.to_parquet(path, compression="zstd", index=False)


def _with_categories(table: pa.Table) -> pa.Table:
    """Key columns of text as dictionaries, all of one type, so that tables can be joined."""
    import pyarrow as pa

    for name in CELL_KEYS:
        column = table[name]
        if not pa.types.is_integer(column.type):
            coded = column.cast(pa.string()).combine_chunks().dictionary_encode()
            table = table.set_column(table.schema.get_field_index(name), name, coded)
    return table


def _read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; empty if it is absent or damaged."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def states(store: Store, cells: Sequence[Cell]) -> dict[State, list[Cell]]:
    """Sort cells into done, failed and missing."""
    found: dict[State, list[Cell]] = {"done": [], "failed": [], "missing": []}
    for cell in cells:
        found[store.state(cell)].append(cell)
    return found
