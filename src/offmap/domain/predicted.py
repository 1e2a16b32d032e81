"""Predictions of any model, from a table: ``material_id``, ``y_pred`` and, if known, ``y_true``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from offmap.columns import MATERIAL_ID, Y_PRED, Y_TRUE
from offmap.errors import DataError

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Predicted:
    """What a model predicted.

    Parameters
    ----------
    material_id
        Shape (n,), distinct.
    y_pred, y_true
        Shape (n,); ``y_true`` is NaN where it is not known.
    dropped
        Ids of rows without a finite prediction.
    """

    material_id: NDArray[np.object_]
    y_pred: Array
    y_true: Array
    dropped: tuple[str, ...] = ()

    def of(self, ids: NDArray[np.object_]) -> tuple[Array, Array]:
        """Prediction and true value of these materials, NaN where there is none."""
        rows = pd.Index(self.material_id).get_indexer(pd.Index(ids))
        values = [
            np.where(rows >= 0, column[rows], np.nan) for column in (self.y_pred, self.y_true)
        ]
        return values[0], values[1]


def read(given: str | Path | pd.DataFrame) -> Predicted:
    """Read a table of predictions.

    Raises
    ------
    DataError
        If a column is missing, a cell is no number, an id is there twice, or nothing is left.
    """
    where = "the table of predictions" if isinstance(given, pd.DataFrame) else str(given)
    table = given if isinstance(given, pd.DataFrame) else _table(Path(given))
    missing = [name for name in (MATERIAL_ID, Y_PRED) if name not in table]
    if missing:
        raise DataError(
            f"{where} has no column {' or '.join(map(repr, missing))}; predictions have the columns"
            f" material_id, y_pred and, if known, y_true. It has {', '.join(map(str, table))}"
        )
    ids = table[MATERIAL_ID].astype(str).str.strip()
    if ids.duplicated().any():
        raise DataError(f"{where}: the id {ids[ids.duplicated()].iat[0]} is there more than once")
    y_pred = _numbers(table, Y_PRED, where)
    y_true = _numbers(table, Y_TRUE, where) if Y_TRUE in table else np.full(len(table), np.nan)
    usable = np.isfinite(y_pred)
    if not usable.any():
        raise DataError(f"{where} holds no finite prediction")
    names = ids.to_numpy(object)
    y_true = np.where(np.isfinite(y_true), y_true, np.nan)
    return Predicted(names[usable], y_pred[usable], y_true[usable], tuple(names[~usable]))


def _table(path: Path) -> pd.DataFrame:
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            return pd.read_parquet(path)
        separator = "\t" if path.suffix.lower() == ".tsv" else ","
        return pd.read_csv(path, sep=separator, dtype={MATERIAL_ID: str})
    except FileNotFoundError as error:
        raise DataError(f"there is no file {path}") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as a table of predictions: {error}") from error


def _numbers(table: pd.DataFrame, name: str, where: str) -> Array:
    values = pd.to_numeric(table[name], errors="coerce")
    wrong = values.isna() & table[name].notna()
    if wrong.any():
        row = int(np.argmax(wrong.to_numpy()))
        raise DataError(f"{where}: {name} of row {row} is not a number: {table[name].iat[row]!r}")
    return values.to_numpy(np.float64)
