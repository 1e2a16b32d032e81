"""Convert a source of any size into columnar Parquet, in little memory, and go on where it stopped.

Finished parts lie in a hidden folder beside the result; each says which row comes next. A second
start reads the ids of the finished parts and continues behind them.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from offmap.checked_files import CHECKED, read_parquet, to_parquet
from offmap.columns import MATERIAL_ID
from offmap.datasets.base import REJECTED_COLUMNS
from offmap.datasets.converted import rejected_path, to_table
from offmap.datasets.reading import READER_VERSION, Part, Reader, no_usable_row, tidy
from offmap.errors import DataError
from offmap.progress import Progress

PART_ROWS = 10_000

_STATE = b"offmap"


@dataclass(frozen=True)
class Converted:
    """What a conversion wrote: the materials, the rows set aside, and how many of each."""

    path: Path
    rejected: Path
    n_materials: int
    n_rejected: int


def convert(reader: Reader, out: Path, key: str, progress: Progress | None = None) -> Converted:
    """Write a source as one Parquet file in offmap's own columns.

    Parameters
    ----------
    reader
        What to read, and how.
    out
        The file to write; the rows set aside go beside it as ``<stem>.rejected.parquet``.
    key
        Digest of the source: finished parts of another source are not used.
    progress
        Called with how much is done and how much there is, in units of the source.

    Raises
    ------
    DataError
        If the source is damaged or no row of it is usable. Finished parts are kept.
    """
    from filelock import FileLock

    out = out.resolve()
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(out.with_name(f".{out.name}.lock")):
            return _convert(reader, out, f"{key}-v{READER_VERSION}", progress)
    except OSError as error:
        raise DataError(f"cannot write {out}: {error.strerror or error}") from error


def _convert(reader: Reader, out: Path, key: str, progress: Progress | None) -> Converted:
    folder = out.with_name(f".{out.name}-parts")
    parts = _finished(folder, key)
    start = _next_row(parts[-1]) if parts else 0
    for path in parts:
        reader.seen(_ids(path))
    folder.mkdir(exist_ok=True)
    for part, row in _numbered(reader, start, progress):
        parts.append(_write_part(folder / f"{len(parts):06d}.parquet", part, row, key))
    rejected = _merge_rejected(parts)
    if not any(_metadata(path).num_rows for path in parts):
        shutil.rmtree(folder, ignore_errors=True)
        raise no_usable_row(str(reader.source.path), rejected)
    n_materials = _merge(parts, out)
    beside = rejected_path(out)
    to_parquet(rejected, beside)
    shutil.rmtree(folder, ignore_errors=True)
    return Converted(out, beside, n_materials, len(rejected))


def _numbered(reader: Reader, start: int, progress: Progress | None) -> Iterator[tuple[Part, int]]:
    """Parts from a row on, each with the number of the row after it."""
    row = start
    for part in reader.parts(start, PART_ROWS, progress):
        row += len(part.crystals) + len(part.rejected)
        yield part, row


# -- parts -------------------------------------------------------------------------------------


def _write_part(path: Path, part: Part, next_row: int, key: str) -> Path:
    import pyarrow.parquet as pq

    state = {"key": key, "next": next_row, "rejected": part.rejected.to_dict("list")}
    frame = part.frame if len(part.frame) else pd.DataFrame({MATERIAL_ID: [], "formula": []})
    table = to_table(Part(part.crystals, tidy(frame), part.rejected))
    table = pa.table(
        {n: _or_null(c) for n, c in zip(table.column_names, table.columns, strict=True)}
    )
    temporary = path.with_name(f".{path.name}")
    pq.write_table(table.replace_schema_metadata({_STATE: json.dumps(state)}), temporary, **CHECKED)
    os.replace(temporary, path)
    return path


def _or_null(column: pa.ChunkedArray) -> pa.ChunkedArray | pa.Array:
    """A column without any value has no type yet."""
    return pa.nulls(len(column)) if column.null_count == len(column) else column


def _finished(folder: Path, key: str) -> list[Path]:
    """Whole parts of this source, in order; anything else is cleared away."""
    found: list[Path] = []
    for path in sorted(folder.glob("[0-9]*.parquet")):
        try:
            fits = _state(path)["key"] == key and path.name == f"{len(found):06d}.parquet"
        except (pa.ArrowException, OSError, ValueError, KeyError, TypeError):
            fits = False
        if not fits:
            break
        found.append(path)
    for path in sorted(folder.glob("*")):
        if path not in found:
            path.unlink()
    return found


def _metadata(path: Path) -> pa.parquet.FileMetaData:
    import pyarrow.parquet as pq

    return pq.read_metadata(path)


def _state(path: Path) -> dict[str, Any]:
    value = json.loads(_metadata(path).metadata[_STATE])
    return value if isinstance(value, dict) else {}


def _next_row(path: Path) -> int:
    return int(_state(path)["next"])


def _ids(path: Path) -> list[str]:
    import pyarrow.parquet as pq

    ids: list[str] = pq.read_table(path, columns=[MATERIAL_ID])[MATERIAL_ID].to_pylist()
    return ids


# -- the whole ---------------------------------------------------------------------------------


def _merge_rejected(parts: list[Path]) -> pd.DataFrame:
    frames = [pd.DataFrame(_state(path)["rejected"]) for path in parts]
    frames = [frame for frame in frames if len(frame)]
    if not frames:
        return pd.DataFrame(columns=list(REJECTED_COLUMNS))
    return pd.concat(frames, ignore_index=True)


def _merge(parts: list[Path], out: Path) -> int:
    """Copy the parts into one file, a row group each, every column in one type."""
    import pyarrow.parquet as pq

    schema = _common([pq.read_schema(path) for path in parts])
    temporary = out.with_name(f".{out.name}")
    n_rows = 0
    with pq.ParquetWriter(temporary, schema, **CHECKED) as writer:
        for path in parts:
            table = read_parquet(path)
            if len(table):
                writer.write_table(pa.table([_cast(table, f) for f in schema], schema=schema))
                n_rows += len(table)
    os.replace(temporary, out)
    return n_rows


def _common(schemas: list[pa.Schema]) -> pa.Schema:
    """The type of each column that holds its values in every part."""
    kinds: dict[str, list[pa.DataType]] = {}
    for schema in schemas:
        for field in schema:
            kinds.setdefault(field.name, []).append(field.type)
    return pa.schema([(name, _wider(types)) for name, types in kinds.items()])


def _wider(types: list[pa.DataType]) -> pa.DataType:
    seen = [t for t in types if not pa.types.is_null(t)]
    if not seen:
        return pa.string()
    if all(t == seen[0] for t in seen):
        return seen[0]
    numeric = all(pa.types.is_integer(t) or pa.types.is_floating(t) for t in seen)
    return pa.float64() if numeric else pa.string()


def _cast(table: pa.Table, field: pa.Field) -> pa.ChunkedArray | pa.Array:
    if field.name not in table.column_names:
        table = table.append_column(field.name, pa.nulls(len(table)))
    column = table[field.name].cast(field.type)
    return pc.fill_null(column, False) if pa.types.is_boolean(field.type) else column
