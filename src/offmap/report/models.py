"""The chapter "How do the models compare?", for studies with several."""

from __future__ import annotations

from itertools import combinations

import pandas as pd

from offmap.plots import model_against_model
from offmap.plots.outcomes import FAILS, HOLDS, UNDECIDED
from offmap.report.section import Section, Slot, render
from offmap.report.tables import Tables

# Models of which every pair is drawn; of more, each is drawn against the first.
_ALL_PAIRS_UP_TO = 5


def section(tables: Tables) -> Section | None:
    """Side by side, and task by task."""
    scored = [s for s in tables.series if (tables.scored["series"] == s).any()]
    if len(scored) < 2:
        return None
    pairs = list(combinations(scored, 2))
    if len(scored) > _ALL_PAIRS_UP_TO:
        pairs = [(scored[0], other) for other in scored[1:]]
    figures = {}
    if "mae_ratio" in tables.scored:
        figures = {
            f"{x} | {y}": model_against_model(tables.scores, x, y, unit=tables.unit)
            for x, y in pairs
        }
    slots = (Slot(("pair",), figures),) if figures else ()
    html = render(
        "models.html",
        rows=side_by_side(tables).to_dict("records"),
        unit=tables.unit,
        slots=slots,
        pairs=list(figures),
    )
    return Section("models", "", html, slots)


def side_by_side(tables: Tables) -> pd.DataFrame:
    """One row per model: in-distribution scores, and how its tasks went."""
    rows = []
    for series in tables.series:
        tasks = tables.tasks_of(series)
        inside = tables.reference[tables.reference["series"] == series]
        row = inside.iloc[0].to_dict() if len(inside) else {}
        kept = {k: row.get(k, float("nan")) for k in ("mae", "mae_low", "mae_high", "r2")}
        counts = {name: int((tasks["outcome"] == name).sum()) for name in (HOLDS, UNDECIDED, FAILS)}
        ratio = tasks["mae_ratio"].median() if "mae_ratio" in tasks else float("nan")
        rows.append({"series": series, **kept, "n": len(tasks), **counts, "median_ratio": ratio})
    return pd.DataFrame(rows)
