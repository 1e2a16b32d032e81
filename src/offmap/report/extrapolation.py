"""The chapter "Is that extrapolation?": the verdicts of the domain analysis, once there are any."""

from __future__ import annotations

import pandas as pd

from offmap.columns import CRITERION, HELD_OUT
from offmap.plots import coverages
from offmap.plots.outcomes import FAILS, HOLDS, OUTCOMES, UNDECIDED
from offmap.report.section import Section, Slot, per_series, render
from offmap.report.summary import links
from offmap.report.tables import Tables

_VERDICTS = ("interpolation", "partial", "extrapolation")


def section(tables: Tables) -> Section:
    """How outcome and verdict go together; without verdicts, how to get them."""
    folder = tables.store.folder.name
    if tables.verdicts is None or "verdict" not in tables.scored:
        return Section("verdicts", "", render("no_domain.html", folder=folder))
    counts = {s: cross_table(tables.tasks_of(s)) for s in tables.series}
    surprising = {s: _surprising(tables.tasks_of(s)) for s in tables.series}
    slots: tuple[Slot, ...] = ()
    if "coverage" in tables.scored and "mae_ratio" in tables.scored:
        verdicts = tables.verdicts
        slots = (per_series(tables, lambda s: coverages(tables.scores, verdicts, tables.unit, s)),)
    html = render("verdicts.html", counts=counts, surprising=surprising, links=links, slots=slots)
    return Section("verdicts", "Verdict and outcome", html, slots)


def cross_table(tasks: pd.DataFrame) -> pd.DataFrame:
    """Number of tasks by verdict (rows) and outcome (columns)."""
    found = pd.crosstab(tasks["verdict"].fillna("no verdict"), tasks["outcome"])
    order = [name for name in (HOLDS, UNDECIDED, FAILS) if name in found]
    known = [name for name in _VERDICTS if name in found.index]
    found = found.reindex([*known, *(name for name in found.index if name not in known)])
    return found[order].rename(columns={name: OUTCOMES[name].label for name in order})


def _surprising(tasks: pd.DataFrame) -> pd.DataFrame:
    """Failing tasks most of whose materials are in the domain."""
    if "coverage" not in tasks:
        return tasks.iloc[:0]
    found = tasks[(tasks["outcome"] == FAILS) & (tasks["coverage"] > 0.5)]
    return found[[c for c in (CRITERION, HELD_OUT, "mae_ratio", "coverage") if c in found]]
