"""Rows of Parquet, CSV, JSON and JSON-lines files, a chunk at a time."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import pandas as pd
import pyarrow as pa

from offmap.datasets import archives, json_stream
from offmap.datasets.files import Bad, Chunk, Source
from offmap.datasets.layout import COLUMNAR
from offmap.errors import DataError

_MAX_FIELD = 2**27
_MAX_COLUMNS = 100_000
_DELIMITERS = ",;\t|"

Item = tuple[int, dict[str, Any] | Bad]
"""Row number, and the cells or why there are none."""


def parquet(source: Source, start: int, size: int) -> Iterator[Chunk]:
    """Rows of a Parquet file."""
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(source.path, page_checksum_verification=True) as file:
            total, row = file.metadata.num_rows, 0
            for batch in file.iter_batches(batch_size=size):
                first, row = row, row + len(batch)
                if row > start:
                    skip = max(start - first, 0)
                    yield _arrow_chunk(batch.slice(skip), first + skip, row, total)
            if not total:
                yield Chunk(file.schema_arrow.empty_table().to_pandas())
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(f"{source.path} is no readable Parquet file: {error}") from error


def _arrow_chunk(batch: pa.RecordBatch, first: int, done: int, total: int) -> Chunk:
    table = pa.Table.from_batches([batch])
    columnar = set(COLUMNAR) <= set(table.column_names)
    flat = table.drop_columns(list(COLUMNAR)) if columnar else table
    # Nested cells become plain dicts and lists; pandas would make arrays of them.
    columns = {
        name: column.to_pylist() if pa.types.is_nested(column.type) else column.to_pandas().array
        for name, column in zip(flat.column_names, flat.columns, strict=True)
    }
    frame = pd.DataFrame(columns, index=range(first, first + len(table)))
    return Chunk(frame, (), table if columnar else None, done, total)


def json_rows(source: Source, start: int, size: int) -> Iterator[Chunk]:
    """Rows of a JSON file, read as a stream."""
    with archives.open_bytes(source.path, source.member) as opened:
        rows = json_stream.rows(opened.file, str(source.path))
        yield from _chunks(islice(enumerate(rows), start, None), size, opened)


def json_lines(source: Source, start: int, size: int) -> Iterator[Chunk]:
    """Rows of a JSON-lines file; a line that is no object is a bad row."""
    with archives.open_bytes(source.path, source.member) as opened:
        head = opened.file.readline(json_stream.MAX_VALUE)
        coding = json_stream.encoding(head)
        if coding.startswith(("utf-16", "utf-32")):
            raise DataError(f"{source.path} is {coding}; JSON lines are read in UTF-8")
        yield from _chunks(islice(_lines(head, opened.file, coding), start, None), size, opened)


def _lines(head: bytes, file: Any, coding: str) -> Iterator[Item]:
    row, line = 0, head
    while line:
        text = line.decode(coding, errors="replace").strip()
        if text:
            yield row, _line(row, text)
            row += 1
        line = file.readline(json_stream.MAX_VALUE)


def _line(row: int, text: str) -> dict[str, Any] | Bad:
    try:
        value = json_stream.loads(text)
    except ValueError as error:
        return Bad(row, "", f"line is not valid JSON: {error}")
    return value if isinstance(value, dict) else Bad(row, "", "line is not a JSON object")


def csv_rows(source: Source, start: int, size: int) -> Iterator[Chunk]:
    """Rows of a CSV file; a row with too many or too few fields is a bad row."""
    csv.field_size_limit(_MAX_FIELD)  # the default is shorter than a CIF of 2000 sites
    with (
        archives.open_bytes(source.path, source.member) as opened,
        text_of(opened.file) as lines,
    ):
        delimiter = "\t" if source.suffix == ".tsv" else ""
        where = str(source.path)
        items = _csv_items(_bounded(lines, where), delimiter, where)
        yield from _chunks(islice(items, start, None), size, opened)


@contextmanager
def text_of(file: Any) -> Iterator[io.TextIOWrapper]:
    """A buffered byte stream as text, whatever its encoding; line ends stay as they are."""
    coding = json_stream.encoding(file.peek(2**16))
    text = io.TextIOWrapper(file, encoding=coding, errors="replace", newline="")
    try:
        yield text
    finally:
        text.detach()  # whoever opened the stream closes it


def _bounded(text: io.TextIOWrapper, where: str) -> Iterator[str]:
    """Lines of a text, none of them longer than can be read into memory."""
    while line := text.readline(_MAX_FIELD):
        if len(line) == _MAX_FIELD:
            raise DataError(f"{where}: one line has more than {_MAX_FIELD:,} characters")
        yield line


def _csv_items(lines: Iterable[str], delimiter: str, where: str) -> Iterator[Item]:
    iterator = iter(lines)
    first = next(iterator, "")
    delimiter = delimiter or max(_DELIMITERS, key=first.count)
    try:
        header = [name.strip() for name in next(csv.reader([first], delimiter=delimiter), [])]
    except csv.Error as error:
        raise DataError(f"{where}: its first line is not valid CSV: {error}") from error
    if len(header) > _MAX_COLUMNS:
        raise DataError(f"{where} has {len(header):,} columns, more than {_MAX_COLUMNS:,}")
    header = [name or f"index_{i}" if i else name or "index" for i, name in enumerate(header)]
    twice = sorted(name for name, times in Counter(header).items() if times > 1)
    if twice:
        raise DataError(f"{where} has more than one column named {', '.join(twice)}")
    reader, row = csv.reader(iterator, delimiter=delimiter), 0
    while True:
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield row, Bad(row, "", f"row is not valid CSV: {error}")
            row += 1
            continue
        if not fields:
            continue
        if len(fields) == len(header):
            yield row, dict(zip(header, fields, strict=True))
        else:
            words = f"row has {len(fields)} fields, the header has {len(header)}"
            yield row, Bad(row, fields[0][:80], words)
        row += 1


def _chunks(items: Iterator[Item], size: int, opened: archives.OpenFile) -> Iterator[Chunk]:
    """Gather items into chunks; the first one comes even if it is empty."""
    first = True
    while True:
        part = list(islice(items, size))
        if not part and not first:
            return
        first = False
        yield chunk_of(part, opened.position(), opened.size)


def chunk_of(part: list[Item], done: int, total: int) -> Chunk:
    """A chunk from rows and bad rows."""
    good = [(row, cells) for row, cells in part if not isinstance(cells, Bad)]
    bad = tuple(cells for _, cells in part if isinstance(cells, Bad))
    frame = pd.DataFrame([cells for _, cells in good], index=[row for row, _ in good], dtype=object)
    return Chunk(frame, bad, None, done, total)
