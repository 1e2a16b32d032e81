"""From the rows of a file to a dataset: structures parsed, bad rows set aside with a reason."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from offmap.columns import FORMULA, MATERIAL_ID
from offmap.crystals import Crystal, Crystals
from offmap.datasets.base import REJECTED_COLUMNS
from offmap.datasets.files import CHUNK_ROWS, Chunk, Source
from offmap.datasets.layout import COLUMNAR, FORMULA_NAMES, Layout, find
from offmap.datasets.screening import MAX_NUMBER, screen
from offmap.datasets.structures import StructureError, to_crystal
from offmap.elements import parse_formula
from offmap.errors import DataError
from offmap.progress import Progress

READER_VERSION = 2
"""Raise it when the same file would be read differently: cached copies are then made anew."""

MISSING = frozenset(("", "na", "n/a", "nan", "none", "null", "-", "?"))
"""What stands for a missing value, in lower case.

Among numbers, in any case; among words only as it is written here: ``Na`` is sodium, ``NaN`` its
nitride.
"""


@dataclass(frozen=True)
class Part:
    """The usable rows of a chunk, and the ones set aside."""

    crystals: Crystals
    frame: pd.DataFrame
    rejected: pd.DataFrame


@dataclass
class Reader:
    """Turns chunks into parts; remembers the layout and the ids seen so far.

    Parameters
    ----------
    source
        What is read.
    layout
        Columns that are known beforehand.
    rename
        Columns to rename.
    """

    source: Source
    layout: Layout = field(default_factory=Layout)
    rename: dict[str, str] = field(default_factory=dict)
    _found: Layout | None = None
    _structured: bool = False
    _ids: set[str] = field(default_factory=set)

    def parts(
        self, start: int = 0, size: int = CHUNK_ROWS, progress: Progress | None = None
    ) -> Iterator[Part]:
        """Read the source from row ``start`` on.

        Raises
        ------
        DataError
            If the file is damaged or has neither structures nor formulas.
        """
        total = 0
        for chunk in self.source.chunks(start, size):
            yield self.part(chunk)
            total = chunk.total
            if progress:
                progress(chunk.done, total)
        if progress and total:
            progress(total, total)

    def seen(self, ids: Iterable[str]) -> None:
        """Note ids of rows that were read before."""
        self._ids.update(ids)

    def part(self, chunk: Chunk) -> Part:
        """Convert one chunk."""
        bad = [(b.row, b.material_id, b.reason) for b in chunk.bad]
        if not len(chunk.frame):
            return _part(Crystals.from_list([]), pd.DataFrame(), bad)
        frame = chunk.frame.rename(columns=str)
        if self._found is None:
            where, columnar = str(self.source.path), chunk.table is not None
            self._found = find(self.layout, frame, where, columnar)
        layout, rows = self._found, frame.index.to_numpy()
        ids = _ids(frame, layout.material_id)
        if layout.columnar and chunk.table is not None:
            crystals, kept, reasons = _columnar(chunk.table, ids)
        elif layout.structure and layout.structure in frame:
            crystals, kept, reasons = _parsed(frame[layout.structure], ids)
        else:
            crystals, kept, reasons = _composed(frame.get(layout.formula), ids)
        bad += [(rows[i], ids[i], why) for i, why in reasons.items()]
        self._structured |= bool(layout.structure) or (len(kept) > 0 and crystals.has_structure)
        if self._structured:
            kept, crystals = self._screened(crystals, kept, rows, ids, bad)
        kept, crystals = self._unique(crystals, kept, rows, ids, bad)
        others = self._others(frame, layout).iloc[kept].reset_index(drop=True)
        keys = pd.DataFrame({MATERIAL_ID: crystals.material_id, FORMULA: crystals.formula})
        return _part(crystals, pd.concat([keys, others], axis=1), bad)

    def _screened(
        self, crystals: Crystals, kept: NDArray[Any], rows: Any, ids: Any, bad: list[Any]
    ) -> tuple[NDArray[Any], Crystals]:
        reasons = screen(crystals)
        bad += [(rows[kept[i]], ids[kept[i]], why) for i, why in reasons.items()]
        fine = np.setdiff1d(np.arange(len(crystals)), list(reasons))
        return kept[fine], crystals.take(fine)

    def _unique(
        self, crystals: Crystals, kept: NDArray[Any], rows: Any, ids: Any, bad: list[Any]
    ) -> tuple[NDArray[Any], Crystals]:
        first = np.ones(len(kept), dtype=bool)
        for i, material_id in enumerate(crystals.material_id):
            if material_id in self._ids:
                first[i] = False
                bad.append((rows[kept[i]], material_id, "duplicate id"))
            self._ids.add(material_id)
        return kept[first], crystals if first.all() else crystals.take(first)

    def _others(self, frame: pd.DataFrame, layout: Layout) -> pd.DataFrame:
        """Every plain column that is not the id, the formula or the structure."""
        used = {layout.material_id, layout.structure, *COLUMNAR, MATERIAL_ID, FORMULA}
        plain = [str(c) for c in frame if c not in used and not _nested(frame[c])]
        new = {old: name for old, name in self.rename.items() if name not in plain}
        return frame[plain].rename(columns=new)


def _part(crystals: Crystals, frame: pd.DataFrame, bad: list[Any]) -> Part:
    rejected = pd.DataFrame(
        [(str(i), int(row), why) for row, i, why in sorted(bad, key=lambda b: b[0])],
        columns=list(REJECTED_COLUMNS),
    )
    return Part(crystals, frame, rejected)


def _ids(frame: pd.DataFrame, column: str) -> list[str]:
    """Ids as text; a row without one is named by its number."""
    rows = frame.index.to_numpy()
    if not column or column not in frame:
        return [f"row-{row:05d}" for row in rows]
    return [_id(value) or f"row-{row:05d}" for value, row in zip(frame[column], rows, strict=True)]


def _id(value: Any) -> str:
    if value is None or value is pd.NA or (isinstance(value, float) and not np.isfinite(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, dict):  # MongoDB's {"$oid": "..."}
        return str(value.get("$oid", ""))
    return str(value).strip()


_Converted = tuple[Crystals, NDArray[Any], dict[int, str]]


def _parsed(cells: pd.Series[Any], ids: list[str]) -> _Converted:
    crystals: list[Crystal] = []
    kept: list[int] = []
    reasons: dict[int, str] = {}
    for i, cell in enumerate(cells.array):
        try:
            crystals.append(to_crystal(cell, ids[i]))
            kept.append(i)
        except StructureError as error:
            reasons[i] = str(error)
    return Crystals.from_list(crystals), np.array(kept, dtype=np.int64), reasons


def _composed(cells: pd.Series[Any] | None, ids: list[str]) -> _Converted:
    formulas: list[str] = []
    kept: list[int] = []
    reasons: dict[int, str] = {}
    for i, cell in enumerate([None] * len(ids) if cells is None else cells.array):
        text = cell.strip() if isinstance(cell, str) else ""
        try:
            if not text:
                raise ValueError("no formula")
            if sum(parse_formula(text).values()) > 10_000:
                raise ValueError(f"{text[:40]!r} has more than 10,000 atoms")
            Crystals.from_formulas([text], [ids[i]])
            formulas.append(text)
            kept.append(i)
        except ValueError as error:
            reasons[i] = str(error)
    chosen = [ids[i] for i in kept]
    return Crystals.from_formulas(formulas, chosen), np.array(kept, dtype=np.int64), reasons


def _columnar(table: pa.Table, ids: list[str]) -> _Converted:
    """Crystals of offmap's own columns, without looking at single rows."""
    lengths = {name: pc.list_value_length(table[name]).to_numpy() for name in COLUMNAR}
    sizes = np.nan_to_num(lengths["numbers"].astype(float), nan=-1)
    whole = (lengths["lattice"] == 9) & (sizes > 0) & (lengths["frac_coords"] == 3 * sizes)
    kept = np.flatnonzero(whole)
    reasons = {
        int(i): "lattice, numbers and frac_coords do not fit" for i in np.flatnonzero(~whole)
    }
    named = pa.table(
        {MATERIAL_ID: pa.array(ids, pa.string()), **{name: table[name] for name in COLUMNAR}}
    ).take(pa.array(kept))
    strange = _strange_numbers(named["numbers"])
    if strange.any():
        reasons |= dict.fromkeys(kept[strange].tolist(), "unknown element")
        named, kept = named.filter(pa.array(~strange)), kept[~strange]
    return Crystals.from_arrow(named), kept, reasons


def _strange_numbers(column: pa.ChunkedArray) -> NDArray[np.bool_]:
    """Which rows hold something that is no atomic number, shape (n,)."""
    lists = column.combine_chunks()
    values = pc.fill_null(lists.flatten(), 0).to_numpy(zero_copy_only=False)
    wrong = ~((values >= 1) & (values <= MAX_NUMBER))
    rows = np.repeat(np.arange(len(lists)), pc.list_value_length(lists).to_numpy())
    strange: NDArray[np.bool_] = np.bincount(rows[wrong], minlength=len(lists)) > 0
    return strange


def _nested(column: pd.Series[Any]) -> bool:
    if column.dtype != object:
        return False
    return any(isinstance(v, (dict, list, tuple, np.ndarray)) for v in column.array)


# -- putting together --------------------------------------------------------------------------


def joined(parts: list[Part], where: str) -> Part:
    """All parts as one, columns in their proper types.

    Raises
    ------
    DataError
        If no row is usable; the message says why the first ones are not.
    """
    reports = [p.rejected for p in parts if len(p.rejected)]
    columns = list(REJECTED_COLUMNS)
    rejected = pd.concat(reports, ignore_index=True) if reports else pd.DataFrame(columns=columns)
    frames = [p.frame for p in parts if len(p.frame)]
    if not frames:
        raise no_usable_row(where, rejected)
    frame = _stacked(frames)
    crystals = Crystals.concat([p.crystals for p in parts if len(p.crystals)])
    return Part(crystals, tidy(frame), rejected)


def _stacked(frames: list[pd.DataFrame]) -> pd.DataFrame:
    """One frame; a column that is missing or of another type somewhere is joined as objects."""
    kinds: dict[Any, set[Any]] = {}
    for frame in frames:
        for name, kind in frame.dtypes.items():
            kinds.setdefault(name, set()).add(kind)
    mixed = [n for n, k in kinds.items() if len(k) > 1 or any(n not in f for f in frames)]
    return pd.concat(
        [f.astype({n: object for n in mixed if n in f}) for f in frames], ignore_index=True
    )


def no_usable_row(where: str, rejected: pd.DataFrame) -> DataError:
    """The error for a file of which nothing is left."""
    if not len(rejected):
        return DataError(f"{where} has no rows")
    counts = rejected["reason"].value_counts().head(4)
    words = "; ".join(f"{n} x {why}" for why, n in counts.items())
    return DataError(f"{where} has no usable row of {len(rejected):,}: {words}")


def tidy(frame: pd.DataFrame) -> pd.DataFrame:
    """Columns of plain objects in their proper types: numbers, booleans or text."""
    names = [c for c in frame if c not in (MATERIAL_ID, FORMULA)]
    changed = {
        c: _text(frame[c]) if str(c).lower() in FORMULA_NAMES else _typed(frame[c])
        for c in names
        if frame[c].dtype == object
    }
    return frame.assign(**{str(k): v for k, v in changed.items()})


def _typed(column: pd.Series[Any]) -> pd.Series[Any]:
    missing = column.isna() | column.map(_says_missing).astype(bool)
    present = column[~missing]
    kinds = set(present.map(type))
    booleans = present.map(lambda v: str(v).lower() in ("true", "false")).astype(bool)
    if len(present) and booleans.all():
        return column.where(~missing, False).map(lambda v: str(v).lower() == "true").astype(bool)
    if bool in kinds or np.bool_ in kinds:
        return _text(column)
    numbers = pd.to_numeric(present, errors="coerce")
    if len(present) == 0 and (column == "Na").any():
        return _text(column)
    if not numbers.isna().any():
        whole = len(present) == len(column) and all(issubclass(k, (int, np.integer)) for k in kinds)
        filled = numbers.reindex(column.index)
        return filled if whole else filled.astype(np.float64)
    return _text(column)


def _text(column: pd.Series[Any]) -> pd.Series[Any]:
    words = column.where(column.notna(), None).map(lambda v: v if v is None else str(v))
    return words.where(~words.map(lambda v: v is None or v.strip() in MISSING).astype(bool), None)


def _says_missing(value: Any) -> bool:
    return isinstance(value, str) and value.strip().lower() in MISSING
