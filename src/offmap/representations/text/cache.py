"""Descriptions on disk by content of the crystal."""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from pyarrow import ArrowInvalid

from offmap.cache import cache_folder
from offmap.checked_files import read_parquet, to_parquet

COLUMNS = ("key", "description", "reason", "seconds")


@dataclass(frozen=True)
class TextCache:
    """Files of descriptions that are never changed; a damaged one does not count.

    Columns: ``key`` (hash of the crystal), ``description`` (empty if there is none), ``reason``,
    and ``seconds``: what a crystal was given that could not be described in it (infinite where
    another try would end the same).
    """

    folder: Path

    @classmethod
    def of(cls, source: str) -> TextCache:
        """The cache of one source of descriptions, such as a release of a package."""
        return cls(cache_folder("descriptions", source))

    def read(self, seconds: float) -> pd.DataFrame:
        """All that need not be tried again in ``seconds`` each, indexed by key."""
        parts = []
        for path in sorted(self.folder.glob("*.parquet")):
            try:
                parts.append(read_parquet(path).select(list(COLUMNS)).to_pandas())
            except (OSError, ArrowInvalid, KeyError):
                continue
        if not parts:
            return pd.DataFrame({name: [] for name in COLUMNS}).set_index("key")
        found = pd.concat(parts, ignore_index=True).sort_values("seconds", kind="stable")
        found = found.drop_duplicates("key", keep="last").set_index("key")
        recent: pd.DataFrame = found[found["seconds"] >= seconds]
        return recent

    def add(self, rows: list[tuple[str, str, str, float]]) -> None:
        """Keep rows of these columns."""
        if not rows:
            return
        name = f"{uuid.uuid4().hex}.parquet"
        temporary = self.folder / f".{name}"
        to_parquet(pd.DataFrame(rows, columns=list(COLUMNS)), temporary)
        os.replace(temporary, self.folder / name)
