"""In the chapter "Is that extrapolation?": the published verdict, its errors and its curves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from offmap.columns import CRITERION, HELD_OUT, MODEL, REPRESENTATION
from offmap.plots.published import density_curves, sides
from offmap.plots.words import in_order
from offmap.report.section import Section, Slot, per_series, render
from offmap.report.tables import Tables

_MOST_ROWS = 30


def section(tables: Tables) -> Section | None:
    """The published procedure, where it was run; every number of it used test rows."""
    found = tables.get("domain_faithful")
    if found is None or not len(found):
        return None
    each = found.drop_duplicates([CRITERION, HELD_OUT])
    counts = {"n": len(each), "inside": int((each["coverage"] > 2 / 3).sum())}
    slots, rows, left_out = _of_models(tables, found)
    html = render(
        "faithful.html", slots=slots, rows=rows, counts=counts, left_out=left_out,
        pruned=bool(found["pruned"].any()),
    )  # fmt: skip
    return Section("published-procedure", "What the published procedure says", html, slots)


def _of_models(
    tables: Tables, found: pd.DataFrame
) -> tuple[tuple[Slot, ...], dict[str, list[dict[str, Any]]], int]:
    """Figures and rows of each model; nothing where a model has no published verdict."""
    mine = {s: _rows(tables, found, s) for s in tables.series}
    curves = tables.get("domain_faithful_density")
    if curves is None or not mine or not all(len(part) for part in mine.values()):
        return (), {}, 0
    points = {s: _rows(tables, curves, s) for s in tables.series}
    slots = (
        per_series(tables, lambda s: sides(mine[s], tables.unit, s)),
        per_series(tables, lambda s: density_curves(points[s], mine[s], tables.unit, s)),
    )
    rows = {s: _records(tables.tasks_of(s), part) for s, part in mine.items()}
    return slots, rows, max(max(map(len, mine.values())) - _MOST_ROWS, 0)


def _rows(tables: Tables, found: pd.DataFrame, series: str) -> pd.DataFrame:
    """Rows of one model on its features, or on its embeddings if there are no others."""
    scored = tables.scored[tables.scored["series"] == series]
    if not len(scored):
        return found.iloc[:0]
    part = found[found[MODEL].astype(str) == str(scored[MODEL].iat[0])]
    part = part.astype({CRITERION: str, HELD_OUT: str, REPRESENTATION: str})
    own = part[REPRESENTATION] == str(scored[REPRESENTATION].iat[0])
    part = part[own] if own.any() else part
    return part[part[REPRESENTATION] == part[REPRESENTATION].iat[0]] if len(part) else part


def _records(tasks: pd.DataFrame, part: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of the table, beside the coverage that was found without test rows."""
    rows = in_order(part).assign(coverage_offmap=np.nan)
    if "coverage" in tasks:
        known = tasks.astype({CRITERION: str, HELD_OUT: str}).set_index([CRITERION, HELD_OUT])
        names = pd.MultiIndex.from_frame(rows[[CRITERION, HELD_OUT]])
        rows["coverage_offmap"] = known["coverage"].reindex(names).to_numpy(float)
    records = rows.head(_MOST_ROWS).to_dict("records")
    return [{str(k): v for k, v in row.items()} for row in records]
