"""Studies side by side: how good in distribution, and whether the same tasks fail in each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from offmap.columns import CRITERION, DATASET, HELD_OUT, TARGET
from offmap.notebook import tables_html
from offmap.plots.outcomes import FAILS, UNKNOWN
from offmap.plots.words import in_order
from offmap.report.tables import Tables
from offmap.store import Store

# Rows of the table of in-distribution scores, in its published order.
_METRICS = ("mae", "r2")

_SHOWN = ("outcome", "mae_ratio", "bias")


class Comparison(NamedTuple):
    """Two tables.

    Parameters
    ----------
    in_distribution
        Rows: metric, dataset, target (of the random folds); a column per model. The layout of
        Table 1 of Li et al., Commun. Mater. 6, 9 (2025).
    tasks
        One row per task that at least two of the studies and models share: how many fail
        (``n_fail`` of ``n``), whether all have the same outcome, whether biases that differ from
        zero have the same sign (``None`` if fewer than two do), then outcome, MAE ratio and bias
        of each.
    """

    in_distribution: pd.DataFrame
    tasks: pd.DataFrame

    def _repr_html_(self) -> str:
        return tables_html(self._asdict())


def compare(stores: Sequence[Store]) -> Comparison:
    """Lay studies side by side.

    Parameters
    ----------
    stores
        Study folders; two of the same dataset are told apart by their folders.

    Returns
    -------
    Comparison
        In-distribution scores, and the replication of each task.
    """
    studies = list(zip(study_names(stores), map(Tables, stores), strict=True))
    return Comparison(in_distribution(studies), replication(studies))


def in_distribution(studies: Sequence[tuple[str, Tables]]) -> pd.DataFrame:
    """In-distribution scores: metric and dataset down, models across."""
    rows = []
    for name, tables in studies:
        for metric in _METRICS:
            row: dict[str, object] = {"metric": metric, DATASET: name, TARGET: tables.target}
            row["unit"] = tables.unit if metric == "mae" else ""
            scores = tables.reference
            rows.append(row | dict(zip(scores["series"], scores[metric], strict=True)))
    keys = ["metric", DATASET, TARGET, "unit"]
    found = pd.DataFrame(rows, columns=None if rows else keys)
    order = {metric: i for i, metric in enumerate(_METRICS)}
    return found.sort_values("metric", key=lambda m: m.map(order), kind="stable", ignore_index=True)


def replication(studies: Sequence[tuple[str, Tables]]) -> pd.DataFrame:
    """Whether the same task fails everywhere, with the same sign of bias."""
    parts = []
    for name, tables in studies:
        for series in tables.series:
            column = f"{name}/{series}" if len(studies) > 1 else series
            parts.append(tables.tasks_of(series).assign(column=column))
    both = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    summary = ["n", "n_fail", "same_outcome", "same_sign"]
    if not len(both):
        return pd.DataFrame(columns=[CRITERION, HELD_OUT, *summary])
    rows = []
    for (criterion, held_out), part in both.groupby([CRITERION, HELD_OUT], sort=False):
        known = part[part["outcome"] != UNKNOWN]
        if len(known) < 2:
            continue
        row = {
            CRITERION: criterion,
            HELD_OUT: held_out,
            "n": len(known),
            "n_fail": int((known["outcome"] == FAILS).sum()),
            "same_outcome": known["outcome"].nunique() == 1,
            "same_sign": _same_sign(known),
        }
        for one in known.to_dict("records"):
            row |= {f"{one['column']} {name}": one[name] for name in _SHOWN}
        rows.append(row)
    found = pd.DataFrame(rows, columns=None if rows else [CRITERION, HELD_OUT, *summary])
    return in_order(found).reset_index(drop=True)


def _same_sign(tasks: pd.DataFrame) -> bool | None:
    """Whether biases whose interval excludes zero agree in sign; unknown if under two do."""
    bias = tasks["bias"]
    if "bias_low" in tasks:
        bias = bias[(tasks["bias_low"] > 0) | (tasks["bias_high"] < 0)]
    return bool(np.sign(bias).nunique() == 1) if len(bias) > 1 else None


def study_names(stores: Sequence[Store]) -> list[str]:
    """Dataset of each study, with its folder where two have the same."""
    names = [str(store.provenance().get(DATASET, store.folder.name)) for store in stores]
    return [
        f"{name} ({store.folder.name})" if names.count(name) > 1 else name
        for name, store in zip(names, stores, strict=True)
    ]
