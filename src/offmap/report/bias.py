"""In the chapter "Why do they fail?": what the table ``bias`` credits the bias to."""

from __future__ import annotations

import pandas as pd

from offmap.columns import CRITERION, HELD_OUT
from offmap.plots.outcomes import with_series
from offmap.plots.parts import bias_parts
from offmap.plots.words import in_order
from offmap.report.section import Section, per_series, render
from offmap.report.tables import Tables

# Of the two procedures of the analysis, the one that explains the study's own predictions.
_METHOD = "offmap"

_TOLD = 40


def section(tables: Tables) -> Section | None:
    """Parts of the bias of each task, and the verdict in words."""
    found = tables.get("bias")
    if found is None or not len(found):
        return None
    found = with_series(found[found["method"].astype(str) == _METHOD])
    slot = per_series(tables, lambda s: bias_parts(found[found["series"] == s], tables.unit))
    told = {s: _told(found[found["series"] == s]) for s in tables.series}
    html = render("bias.html", slot=slot, told=told)
    return Section("parts", "Composition, or structure?", html, (slot,))


def _told(bias: pd.DataFrame) -> list[dict[str, str]]:
    """Verdicts of the most biased tasks."""
    worst = bias.loc[bias["bias"].abs().nlargest(_TOLD).index]
    return [
        {"criterion": str(c), "held_out": str(h), "verdict": str(verdict)}
        for c, h, verdict in in_order(worst)[[CRITERION, HELD_OUT, "bias_verdict"]].to_numpy()
    ]
