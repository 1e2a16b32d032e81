"""The tables of the analysis, which grow from call to call: what is there stays until redone."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, cast

import pandas as pd

from offmap.columns import CELL_KEYS
from offmap.store import Cell, Store

METHOD = "method"
_KEYS = [*CELL_KEYS, METHOD]
_MADE_WITH = ["settings", "digest"]

Key = tuple[Any, ...]


class BiasTables:
    """``bias``, ``bias_materials`` and ``rescue`` of one study.

    Parameters
    ----------
    store
        The study folder; tables that are there already are read.
    signed
        Signed errors of every finished task, a row per cell.
    digests
        Digest of the predictions of each finished cell. What rests on others is dropped.
    tell
        Puts a row of ``bias`` into words.
    """

    def __init__(
        self,
        store: Store,
        signed: pd.DataFrame,
        digests: Mapping[Cell, str],
        tell: Callable[[Mapping[str, Any]], str],
    ) -> None:
        self._store = store
        self._tell = tell
        self._signed = signed.assign(**{METHOD: "offmap"})
        self._current = {_key(cell, "offmap"): digest for cell, digest in digests.items()}
        self._rows: dict[Key, dict[str, Any]] = {}
        self._materials: dict[Key, pd.DataFrame] = {}
        self._rescues: dict[Key, pd.DataFrame] = {}
        self._read()

    def _read(self) -> None:
        if self._store.has_table("bias") and self._store.has_table("bias_materials"):
            old = self._store.read_table("bias")
            parts = _split(self._store.read_table("bias_materials"), _KEYS)
            for row in old[old["digest"].fillna("") != ""].to_dict("records"):
                key = tuple(row[k] for k in _KEYS)
                if key in parts and self._is_current(key, str(row["digest"])):
                    self._rows[key] = {str(k): v for k, v in row.items() if k not in _KEYS}
                    self._materials[key] = parts[key]
        if self._store.has_table("rescue"):
            for key, part in _split(self._store.read_table("rescue"), [*CELL_KEYS]).items():
                if self._is_current((*key, "offmap"), str(part["digest"].iat[0])):
                    self._rescues[key] = part

    def _is_current(self, key: Key, digest: str) -> bool:
        """The study's own method rests on no predictions of this study."""
        return key[-1] == "study" or self._current.get(key) == digest

    def has(self, cell: Cell, method: str, settings: str, digest: str) -> bool:
        """Whether this decomposition is there."""
        row = self._rows.get(_key(cell, method), {})
        return (row.get("settings"), row.get("digest")) == (settings, digest)

    def has_rescue(self, cell: Cell, settings: str) -> bool:
        """Whether this rescue is there."""
        part = self._rescues.get(_key(cell))
        return part is not None and bool(part["settings"].iat[0] == settings)

    def add(self, cell: Cell, method: str, row: dict[str, Any], materials: pd.DataFrame) -> None:
        """Put in a decomposition, in place of an earlier one."""
        key = _key(cell, method)
        self._rows[key] = row
        self._materials[key] = materials.assign(**dict(zip(_KEYS, key, strict=True)))

    def add_rescue(self, cell: Cell, rows: pd.DataFrame) -> None:
        """Put in a rescue, in place of an earlier one."""
        self._rescues[_key(cell)] = rows.assign(**cell.keys())

    @property
    def tasks(self) -> pd.DataFrame:
        """The table ``bias``: every finished task, then the study's method."""
        rows: list[dict[str, Any]] = []
        for row in self._signed.to_dict("records"):
            found = self._rows.get(tuple(row[k] for k in _KEYS), {})
            rows.append(found | {str(k): v for k, v in row.items()})
        study = [
            dict(zip(_KEYS, key, strict=True)) | row
            for key, row in self._rows.items()
            if key[-1] == "study"
        ]
        frame = pd.DataFrame([row | {"bias_verdict": self._tell(row)} for row in rows + study])
        last = [c for c in ("bias_verdict", *_MADE_WITH) if c in frame]
        middle = [c for c in frame if c not in {*_KEYS, *last}]
        return frame[[*_KEYS, *middle, *last]]

    @property
    def materials(self) -> pd.DataFrame:
        """The table ``bias_materials``."""
        return _joined(list(self._materials.values()), _KEYS)

    @property
    def rescue(self) -> pd.DataFrame:
        """The table ``rescue``."""
        return _joined(list(self._rescues.values()), [*CELL_KEYS])

    def save(self) -> None:
        """Write the tables; ``bias`` last, since it says what there is."""
        if self._materials:
            self._store.write_table("bias_materials", self.materials)
        if self._rescues:
            self._store.write_table("rescue", self.rescue, csv=True)
        self._store.write_table("bias", self.tasks, csv=True)


def as_text(settings: Mapping[str, Any]) -> str:
    """Settings as text that two runs can be compared by."""
    return json.dumps(dict(settings), sort_keys=True)


def _key(cell: Cell, *more: str) -> Key:
    return (*cell.keys().values(), *more)


def _split(frame: pd.DataFrame, keys: list[str]) -> dict[Key, pd.DataFrame]:
    groups = frame.groupby(keys, observed=True, sort=False)
    return {cast(Key, key): part for key, part in groups}


def _joined(parts: list[pd.DataFrame], keys: list[str]) -> pd.DataFrame:
    if not parts:
        return pd.DataFrame(columns=keys)
    plain = [
        part.astype({k: object for k in keys if part[k].dtype == "category"}) for part in parts
    ]
    frame = pd.concat(plain, ignore_index=True)
    return frame[[*keys, *[c for c in frame if c not in keys]]]
