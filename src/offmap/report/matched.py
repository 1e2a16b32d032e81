"""In the chapter "Is that extrapolation?": each task beside its matched control; what R² hides."""

from __future__ import annotations

from typing import Any

import pandas as pd

from offmap.columns import CRITERION, IN_DISTRIBUTION
from offmap.plots.matched import matched_gaps
from offmap.plots.outcomes import with_series
from offmap.report.section import Section, per_series, render
from offmap.report.tables import Tables

_HIGH_R2 = 0.95
_MOST = 5


def section(tables: Tables) -> Section | None:
    """Tasks whose R² misleads, either way; nothing before the domain stage."""
    found = tables.verdicts
    needed = {"matched_gap", "matched_gap_low", "matched_gap_high", "r2", "mae_matched"}
    if found is None or not needed <= set(found):
        return None
    found = with_series(found.astype({"model": str, "representation": str}))
    found = found[found[CRITERION].astype(str) != IN_DISTRIBUTION].dropna(subset=sorted(needed))
    parts = {s: found[found["series"] == s] for s in tables.series}
    if not parts or not all(len(part) for part in parts.values()):
        return None
    slot = per_series(tables, lambda s: matched_gaps(parts[s], tables.unit, s))
    rows = {s: _misled(part) for s, part in parts.items()}
    html = render("matched.html", slot=slot, rows=rows, high=_HIGH_R2)
    return Section("matched", "What R² hides", html, (slot,))


def _misled(part: pd.DataFrame) -> dict[str, Any]:
    """Tasks of high R² that err more than their control, and of low R² that do not."""
    worse = part["matched_gap_low"] > 0
    high = part[worse & (part["r2"] > _HIGH_R2)].sort_values("matched_gap", ascending=False)
    low = part[~worse].sort_values("r2")
    return {
        "n": len(part),
        "n_high": int((part["r2"] > _HIGH_R2).sum()),
        "n_hidden": len(high),
        "n_alike": len(low),
        "hidden": high.head(_MOST).to_dict("records"),
        "alike": low.head(_MOST).to_dict("records"),
    }
