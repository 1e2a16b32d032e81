"""In the chapter "Why do they fail?": whether more data would help, from the table ``scaling``."""

from __future__ import annotations

from typing import Any

import pandas as pd

from offmap.columns import CRITERION, HELD_OUT
from offmap.plots.curves import size_curves
from offmap.plots.outcomes import with_series
from offmap.plots.words import task_key, task_name
from offmap.report.section import Section, Slot, render
from offmap.report.tables import Tables

_HELD_OUT_TEST = "held_out"


def section(tables: Tables) -> Section | None:
    """Size curves of the tasks that have some, and the verdict on each."""
    curves, laws = tables.get("scaling"), tables.get("scaling_laws")
    if curves is None or not len(curves):
        return None
    curves = with_series(curves)
    several = curves["series"].nunique() > 1
    figures = {}
    for series, criterion, held_out in _tasks(curves):
        name = f"scaling-{task_key(criterion, held_out).replace('/', '-')}-{series}"
        words = task_name(criterion, held_out) + (f", {series}" if several else "")
        mine = curves[curves["series"] == series]
        figures[words] = size_curves(mine, criterion, held_out, tables.unit, name)
    slot = Slot(("curve",), figures)
    html = render("scaling.html", slot=slot, rows=_verdicts(laws), several=several)
    return Section("scaling", "Would more data help?", html, (slot,))


def _tasks(curves: pd.DataFrame) -> list[tuple[str, str, str]]:
    keys = curves[["series", CRITERION, HELD_OUT]].astype(str).drop_duplicates()
    return [(str(s), str(c), str(h)) for s, c, h in keys.to_numpy()]


def _verdicts(laws: pd.DataFrame | None) -> list[dict[str, Any]]:
    if laws is None or "verdict" not in laws:
        return []
    mine = with_series(laws[laws["test"].astype(str) == _HELD_OUT_TEST])
    rows = mine.astype({CRITERION: str, HELD_OUT: str}).to_dict("records")
    return [{str(k): v for k, v in row.items()} for row in rows]
