"""Crystals in words: Robocrystallographer's descriptions, made here or read from a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from offmap.columns import MATERIAL_ID
from offmap.errors import DataError
from offmap.processes import each
from offmap.progress import Progress
from offmap.registry import missing_extra
from offmap.representations.base import NO_STRUCTURE, Features
from offmap.representations.text.cache import TextCache
from offmap.representations.text.robocrys import describe, start, tidy

if TYPE_CHECKING:
    from offmap.crystals import Crystals

DESCRIPTION = "description"

SECONDS = 300.0
"""What a crystal is given before its description is given up."""

# Raised whenever the same crystal gets another description from the same package.
_VERSION = 1

# Descriptions per file of the cache: what a killed run can lose.
_BATCH = 64


@dataclass(frozen=True, eq=False)
class Descriptions:
    """Texts of materials, shape (n,), empty where there is none; row -> why not."""

    texts: NDArray[np.object_]
    reasons: dict[int, str] = field(default_factory=dict)


class Description:
    """The words themselves, as ``offmap featurize`` writes them and ``llm_prop`` reads them."""

    name = DESCRIPTION
    version = _VERSION
    columns = (DESCRIPTION,)
    needs_structure = True
    blocks: dict[str, tuple[str, ...]] = {}
    is_text = True

    def featurize(self, crystals: Crystals) -> Features:
        """Words are no features: there is nothing for trees in them."""
        raise DataError(
            "the representation 'description' is words: use --model llm_prop, or write the words"
            " with offmap featurize; other models take matminer, magpie or gmp"
        )


def descriptions(
    crystals: Crystals,
    file: str | Path | None = None,
    jobs: int = 1,
    progress: Progress | None = None,
    seconds: float = SECONDS,
) -> Descriptions:
    """Describe crystals, reusing every description that was made before.

    Parameters
    ----------
    crystals
        What to describe.
    file
        Table (Parquet or CSV) of ``material_id`` and ``description``, to read them from instead.
    jobs
        Processes to use.
    progress
        Called with crystals done and crystals in all.
    seconds
        What each crystal is given; one that takes longer, or brings its process down, is set aside
        with that reason, and tried again only where it is given more.

    Raises
    ------
    DataError
        If the table cannot be used.
    OffmapError
        If Robocrystallographer is needed and not installed.
    """
    if file:
        return _from_table(Path(file), crystals.material_id.tolist())
    cache = TextCache.of(f"v{_VERSION}-robocrys-{_robocrys()}")
    keys = crystals.content_hash().astype(str)
    _make_missing(crystals, keys, cache, jobs, progress, seconds)
    found = cache.read(seconds).reindex(keys)
    reasons = {
        row: why for row, why in enumerate(found["reason"].fillna("unknown").tolist()) if why
    }
    texts = found["description"].fillna("").to_numpy(dtype=object)
    return Descriptions(texts, reasons)


def _make_missing(
    crystals: Crystals,
    keys: NDArray[np.str_],
    cache: TextCache,
    jobs: int,
    progress: Progress | None,
    seconds: float,
) -> None:
    """Describe and keep what the cache does not hold."""
    _, first = np.unique(keys, return_index=True)
    missing = np.sort(first[~np.isin(keys[first], cache.read(seconds).index.to_numpy(dtype=str))])
    bare = ~crystals.structure_known[missing]
    cache.add([(keys[row], "", NO_STRUCTURE, np.inf) for row in missing[bare]])
    missing = missing[~bare]
    done, made = len(crystals) - len(missing), list[tuple[str, str, str, float]]()
    if progress:
        progress(done, len(crystals))
    if not len(missing):
        return
    items = (crystals.crystal(int(row)) for row in missing)
    try:
        for answer in each(describe, items, min(jobs, len(missing)), seconds, start):
            tried = np.inf if answer.settled else seconds
            text, why = answer.value or "", answer.reason
            made.append((keys[missing[answer.place]], text, why or _unless(text), tried))
            done += 1
            if progress:
                progress(done, len(crystals))
            if len(made) == _BATCH:
                cache.add(made)
                made = []
    finally:
        cache.add(made)


def _unless(text: str) -> str:
    return "" if text else "Robocrystallographer has no words for it"


def _robocrys() -> str:
    """Release of the package."""
    try:
        return version("robocrys")
    except PackageNotFoundError as error:
        wanted = ModuleNotFoundError("No module named 'robocrys'", name="robocrys")
        raise missing_extra("making descriptions", "llm", wanted) from error


def _from_table(path: Path, material_id: Sequence[str]) -> Descriptions:
    """Descriptions of these materials from a table."""
    try:
        csv = path.suffix.lower() == ".csv"
        table = pd.read_csv(path, dtype=str) if csv else pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise DataError(f"the descriptions in {path} cannot be read: {error}") from error
    for column in (MATERIAL_ID, DESCRIPTION):
        if column not in table.columns:
            raise DataError(f"{path} has no column {column!r}; it has {', '.join(table.columns)}")
    table = table[[MATERIAL_ID, DESCRIPTION]].dropna().astype(str).drop_duplicates()
    twice = table[MATERIAL_ID][table[MATERIAL_ID].duplicated()]
    if len(twice):
        raise DataError(f"{path} has several descriptions of {twice.iloc[0]}")
    known = dict(zip(table[MATERIAL_ID], table[DESCRIPTION].map(tidy), strict=True))
    texts = np.array([known.get(str(name), "") for name in material_id], dtype=object)
    lacking = np.flatnonzero(texts == "")
    return Descriptions(texts, {int(row): f"{path.name} has no description" for row in lacking})
