"""Converted copies of datasets, keyed by the digest of what they were read from."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any, TypeGuard

import pandas as pd
import pyarrow as pa

from offmap.cache import cache_folder
from offmap.checked_files import CHECKED, read_parquet, to_parquet
from offmap.columns import FORMULA, MATERIAL_ID
from offmap.crystals import Crystals
from offmap.datasets.layout import COLUMNAR
from offmap.datasets.reading import READER_VERSION, Part
from offmap.errors import OffmapError

MATERIALS = "materials.parquet"
DIGEST = "digest.txt"
"""Written last: the digest of what the copy was made from."""


def rejected_path(path: Path) -> Path:
    """Where the rows set aside lie, beside a file of materials."""
    return path.with_name(f"{path.stem}.rejected.parquet")


def place(name: str, key: str) -> Path | None:
    """Folder of the converted copy of a dataset whose bytes have the digest ``key``.

    None if there is nowhere to keep one; that costs time, not results.
    """
    safe = re.sub(r"[^A-Za-z0-9._+-]", "_", name).lstrip(".") or "dataset"
    try:
        return cache_folder() / safe / f"{key[:16]}-v{READER_VERSION}"
    except OffmapError:
        return None


def key_of(digest: str, variant: str) -> str:
    """Key of the same bytes read with other settings: another table."""
    return hashlib.sha256(f"{digest}{variant}".encode()).hexdigest() if variant else digest


def to_table(part: Part) -> pa.Table:
    """One Arrow table: ids, structures, and every column of the frame."""
    table = part.crystals.to_arrow()
    others = part.frame.drop(columns=[MATERIAL_ID])
    for name in others:
        table = table.append_column(str(name), pa.array(others[name], from_pandas=True))
    return table


def from_table(table: pa.Table, rejected: pd.DataFrame) -> Part:
    """The inverse of :func:`to_table`."""
    crystals = Crystals.from_arrow(table.select([MATERIAL_ID, *COLUMNAR]))
    frame = table.drop_columns(list(COLUMNAR)).to_pandas()
    frame = frame.astype({c: object for c in (MATERIAL_ID, FORMULA) if c in frame})
    return Part(crystals, frame, rejected)


def load(where: Path | None) -> Part | None:
    """The converted copy in a folder; None if there is none or it is damaged."""
    if where is None:
        return None
    try:
        rejected = read_parquet(rejected_path(where / MATERIALS)).to_pandas()
        return from_table(read_parquet(where / MATERIALS), rejected)
    except (OSError, pa.ArrowException, KeyError, ValueError):
        return None


def is_writable(where: Path | None) -> TypeGuard[Path]:
    """Whether a copy can be kept in this folder, which is made if need be."""
    if where is None:
        return False
    try:
        where.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(where, os.W_OK)


def save(where: Path | None, part: Part) -> bool:
    """Keep a converted copy; False if the folder cannot be written (then nothing is kept)."""
    import pyarrow.parquet as pq

    if where is None:
        return False

    def write(target: Path) -> None:
        pq.write_table(to_table(part), target / MATERIALS, **CHECKED)
        to_parquet(part.rejected, rejected_path(target / MATERIALS))

    return _put(where, write)


def _put(where: Path, write: Any) -> bool:
    """Fill a new folder and move it into place, so that nobody sees half of it."""
    try:
        where.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".new-", dir=where.parent))
    except OSError:
        return False
    try:
        write(temporary)
        temporary.chmod(0o755)
        if where.exists():
            shutil.rmtree(where, ignore_errors=True)
        os.replace(temporary, where)
    except (OSError, pa.ArrowException):
        return False
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return True
