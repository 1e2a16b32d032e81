"""The chapter "Which tasks fail?": all tasks at a glance, the maps, the bars and the table."""

from __future__ import annotations

import pandas as pd

from offmap.columns import COLUMNS, CRITERION, N_TEST, N_TRAIN
from offmap.plots import criterion_bars, overview, periodic_table
from offmap.plots.bars import BAR_METRICS
from offmap.plots.periodic import MAP_METRICS
from offmap.plots.words import criteria_in_order, decimals, in_order
from offmap.report.section import Section, choice, per_series, render
from offmap.report.tables import Tables

# Columns of the task table; those after the bar are hidden until they are chosen.
_SHOWN = (N_TEST, "mae", "mae_in_distribution", "mae_ratio", "r2", "bias")
_ON_PHONES = ("mae", "mae_ratio")

# Criteria whose values speak for themselves; a 17 does not, where there is no room for a column.
_NAMED_ALONE = ("element", "crystal_system")
_HIDDEN = (
    N_TRAIN, "mad", "std", "rmse", "mae_over_mad", "mae_increase", "r2_in_distribution",
    "bias_in_distribution", "pearson", "spearman", "kendall", "coverage", "verdict",
)  # fmt: skip


def at_a_glance(tables: Tables) -> Section | None:
    """All tasks by their MAE ratio."""
    if not len(tables.scored):
        return None
    slot = per_series(tables, lambda s: overview(tables.scores, tables.unit, s))
    return Section("glance", "All tasks at a glance", render("slots.html", slots=[slot]), (slot,))


def elements(tables: Tables) -> Section | None:
    """Periodic-table maps of leave-one-element-out."""
    if "element" not in set(tables.scored[CRITERION]):
        return None
    metrics = [m for m in MAP_METRICS if m in tables.scored]
    slot = choice(
        tables,
        ("series", "map"),
        {
            (s, m): periodic_table(tables.scores, m, tables.unit, tables.tasks, tables.verdicts, s)
            for s in tables.series
            for m in metrics
        },
    )
    html = render("elements.html", slot=slot, metrics=metrics)
    return Section("elements", "Leave one element out", html, (slot,))


def criteria(tables: Tables) -> Section | None:
    """Bars for every other criterion, in the order of chemistry and symmetry."""
    names = [c for c in criteria_in_order(tables.scored[CRITERION]) if c != "element"]
    metrics = [m for m in BAR_METRICS if m in tables.scored]
    if not names or not metrics:
        return None
    slots = tuple(
        choice(
            tables,
            ("series", "metric"),
            {
                (s, m): criterion_bars(tables.scores, c, m, tables.unit, s)
                for s in tables.series
                for m in metrics
            },
        )
        for c in names
    )
    html = render("criteria.html", slots=slots, metrics=metrics)
    return Section("criteria", "By chemistry and by symmetry", html, slots)


def task_table(tables: Tables) -> Section | None:
    """Every scored task, to sort, filter, search and download."""
    if not len(tables.scored):
        return None
    tasks = in_order(tables.scored)
    shown = [c for c in _SHOWN if c in tasks]
    hidden = [c for c in _HIDDEN if c in tasks]
    html = render(
        "tasks.html",
        rows=tasks.to_dict("records"),
        shown=shown,
        hidden=hidden,
        on_phones=_ON_PHONES,
        named_alone=_NAMED_ALONE,
        places={name: _places(name, tasks) for name in shown + hidden},
        several=len(tables.series) > 1,
        criteria=criteria_in_order(tasks[CRITERION]),
        unit=tables.unit,
    )
    return Section("every-task", "Every task", html)


def _places(name: str, tasks: pd.DataFrame) -> int:
    """Decimals of a column: as many as the MAE of the median task needs, if it has its unit."""
    if name.startswith("n_") or not pd.api.types.is_numeric_dtype(tasks[name]):
        return 0
    if name in COLUMNS and COLUMNS[name].unit == "target":
        return min(decimals(float(tasks["mae"].median())), 6)
    return 2 if name == "mae_ratio" else 3
