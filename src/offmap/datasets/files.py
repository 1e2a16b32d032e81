"""Find the format of a file or folder of materials and read its rows, a few thousand at a time.

Parquet, CSV, JSON and JSON lines (also gz, bz2, xz, zip), extended XYZ, and folders or zip archives
of CIF and POSCAR files with an ``id_prop.csv``. What one row holds is not looked at here, except
that a row which cannot be told apart as a row is noted as bad.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import pandas as pd
import pyarrow as pa

from offmap.datasets import archives
from offmap.errors import DataError

CHUNK_ROWS = 5000

SUFFIXES = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".tsv": "csv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".extxyz": "extxyz",
    ".xyz": "extxyz",
    ".cif": "structure",
    ".vasp": "structure",
    ".poscar": "structure",
}
_PACKED = (".gz", ".zip", ".bz2", ".xz")
_PICKLES = (".pkl", ".pickle", ".p", ".joblib", ".dat")
ID_PROP = "id_prop.csv"


class Bad(NamedTuple):
    """A row that could not even be taken apart."""

    row: int
    material_id: str
    reason: str


@dataclass(frozen=True)
class Chunk:
    """Some rows of a source.

    Parameters
    ----------
    frame
        The cells, as they are; the index holds the row numbers in the source.
    bad
        Rows that could not be taken apart.
    table
        The same rows in Arrow, for files in offmap's own columns.
    done, total
        How far this is through the source, bytes.
    """

    frame: pd.DataFrame
    bad: tuple[Bad, ...] = ()
    table: pa.Table | None = None
    done: int = 0
    total: int = 0


@dataclass(frozen=True)
class Source:
    """A file or folder and its format; ``member`` is the file inside a zip archive."""

    path: Path
    format: str
    member: str = ""
    suffix: str = field(default="", repr=False)

    def chunks(self, start: int = 0, size: int = CHUNK_ROWS) -> Iterator[Chunk]:
        """Read the rows from number ``start`` on, ``size`` at a time.

        Raises
        ------
        DataError
            If the file is damaged.
        """
        from offmap.datasets import structure_files, tables

        readers = {
            "parquet": tables.parquet,
            "csv": tables.csv_rows,
            "json": tables.json_rows,
            "jsonl": tables.json_lines,
            "extxyz": structure_files.extxyz,
            "folder": structure_files.folder,
            "structure": structure_files.single,
        }
        return readers[self.format](self, start, size)

    @property
    def stem(self) -> str:
        """Name without suffixes: ``"mp2018"`` of ``mp2018.json.gz``."""
        name = self.path.name
        while (suffix := Path(name).suffix.lower()) in SUFFIXES or suffix in _PACKED:
            name = name[: -len(suffix)]
        return name or self.path.name

    def sha256(self) -> str:
        """Digest of the bytes of the file; of a folder, of its sorted names and contents."""
        if self.path.is_file():
            return digest(self.path)
        total = hashlib.sha256()
        for path in sorted(p for p in self.path.iterdir() if p.is_file()):
            total.update(f"{path.name}\0{digest(path)}\n".encode())
        return total.hexdigest()


def digest(path: Path, algorithm: str = "sha256") -> str:
    """Digest of the bytes of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def find_source(path: str | Path) -> Source:
    """Find out what a path holds.

    Raises
    ------
    DataError
        If it cannot be read or its format is unknown; the message says what was found.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        return _folder(path)
    try:
        packed = archives.compression(path)
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    if not head:
        raise DataError(f"{path} is empty")
    if head.startswith(b"PAR1"):
        return Source(path, "parquet")
    if head.startswith(b"version https://git-lfs"):
        raise DataError(f"{path} is a Git LFS pointer, not the file itself: run 'git lfs pull'")
    if packed == ".zip":
        return _zip(path)
    name = path.name
    if Path(name).suffix.lower() in _PACKED:
        name = Path(name).stem
    return _named(path, name, "")


def _folder(path: Path) -> Source:
    names = [p.name for p in path.iterdir() if p.is_file()]
    if ID_PROP in names or any(is_structure_file(name) for name in names):
        return Source(path, "folder")
    shown = ", ".join(sorted(names)[:8]) or "nothing"
    raise DataError(
        f"{path} is a folder without {ID_PROP}, CIF or POSCAR files; it holds {shown}. "
        "Name one file of it, or add the table."
    )


def is_structure_file(name: str) -> bool:
    """Whether a file is a CIF or POSCAR by its name."""
    name = PurePosixPath(name).name
    by_suffix = SUFFIXES.get(Path(name).suffix.lower()) == "structure"
    return by_suffix or name.upper().startswith(("POSCAR", "CONTCAR"))


def _zip(path: Path) -> Source:
    names = archives.members(path)
    if any(PurePosixPath(name).name == ID_PROP for name in names):
        return Source(path, "folder")
    tables = [name for name in names if Path(name).suffix.lower() in SUFFIXES]
    tables = [name for name in tables if not is_structure_file(name)]
    if len(tables) == 1:
        if SUFFIXES[Path(tables[0]).suffix.lower()] == "parquet":
            raise DataError(f"{path} holds a Parquet file ({tables[0]}): unpack it first")
        return _named(path, tables[0], tables[0])
    if not tables and any(is_structure_file(name) for name in names):
        return Source(path, "folder")
    if not tables:
        raise DataError(f"{path} holds no file of a known format, but {', '.join(names[:8])}")
    raise DataError(
        f"{path} holds several tables ({', '.join(tables[:8])}): unpack the one you want"
    )


def _named(path: Path, name: str, member: str) -> Source:
    suffix = Path(name).suffix.lower()
    known = SUFFIXES.get(suffix) or ("structure" if is_structure_file(name) else "")
    if suffix in _PICKLES:
        raise DataError(
            f"{path} looks like a pickle ({suffix}). Loading one can run any program, so it is not "
            "done: save the table as Parquet, CSV or JSON. See 'Pickles' in docs/datasets.md."
        )
    with archives.open_bytes(path, member) as opened:
        head = opened.file.read(4096)
    if known == "parquet":
        raise DataError(
            f"{path} is named {suffix} but is no Parquet file; it starts with {head[:12]!r}"
        )
    if known in ("", "json") and head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"["):
        known = "jsonl" if _is_json_lines(path, member) else "json"
    if not known:
        raise DataError(
            f"unknown format of {path} (suffix {suffix or 'none'}; it starts with {head[:16]!r}). "
            f"Known: {', '.join(SUFFIXES)}, each also {', '.join(_PACKED)}, "
            f"and a folder with {ID_PROP}."
        )
    return Source(path, known, member, suffix)


def _is_json_lines(path: Path, member: str) -> bool:
    """Whether the first line is a whole object and the second begins another."""
    from offmap.datasets.json_stream import loads

    with archives.open_bytes(path, member) as opened:
        first = opened.file.readline(2**24)
        second = opened.file.read(64)
    try:
        whole = isinstance(loads(first.decode("utf-8-sig")), dict)
    except ValueError:
        return False
    return whole and second.lstrip()[:1] == b"{"
