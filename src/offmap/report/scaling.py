"""In the chapter "Why do they fail?": on more data, longer training, and other data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

from offmap.columns import CRITERION, HELD_OUT
from offmap.plots.base import Figure
from offmap.plots.curves import CHOICES, TESTS, added_curves, size_curves, time_curves
from offmap.plots.exponents import exponent_distribution, exponent_forest
from offmap.plots.outcomes import with_series
from offmap.plots.words import task_key, task_name
from offmap.report.section import Section, Slot, render
from offmap.report.tables import Tables

_HELD_OUT_TEST = "held_out"

_WORDS = {style.key: style.words for style in (*TESTS, *CHOICES)}


def section(tables: Tables) -> Section | None:
    """Size curves of the tasks that have some, and the verdict on each."""
    curves, laws = _table(tables, "scaling"), _table(tables, "scaling_laws")
    if curves is None:
        return None
    bands = _table(tables, "scaling_bands")

    def make(mine: pd.DataFrame, criterion: str, held_out: str, name: str) -> Figure:
        band = _of(bands, str(mine["series"].iat[0]), "size")
        return size_curves(mine, criterion, held_out, tables.unit, name, band)

    slot = _per_task(curves, "scaling", make)
    several = curves["series"].nunique() > 1
    held_back = _held_back(laws)
    rows = _verdicts(laws, "size")
    html = render("scaling.html", slot=slot, rows=rows, several=several, held_back=held_back)
    return Section("scaling", "Would more data help?", html, (slot,))


def exponents(tables: Tables) -> Section | None:
    """Exponents of every task, in and out of distribution, by domain verdict."""
    laws, table = _table(tables, "scaling_laws"), _table(tables, "scaling_exponents")
    if laws is None or table is None or "domain" not in laws:
        return None
    table = table[table["curve"] == "size"]
    every, forest = {}, {}
    for series in laws["series"].unique():
        mine, known = laws[laws["series"] == series], table[table["series"] == series]
        end = f"-{series}" if laws["series"].nunique() > 1 else ""
        forest[series] = exponent_forest(mine, f"exponents{end}")
        every[series] = exponent_distribution(mine, known, f"exponents-all{end}")
    slots = (Slot(("exponents",), every), Slot(("exponents",), forest))
    rows = [row | {"test": _WORDS[row["test"]]} for row in _records(table)]
    several = table["series"].nunique() > 1
    html = render("exponents.html", slots=slots, rows=rows, several=several)
    return Section("exponents", "Over all tasks: does more data help?", html, slots)


def time(tables: Tables) -> Section | None:
    """Time curves of the tasks that have some, and the verdict on each."""
    curves, laws = _table(tables, "scaling_time"), _table(tables, "scaling_laws")
    if curves is None:
        return None
    bands = _table(tables, "scaling_bands")

    def make(mine: pd.DataFrame, criterion: str, held_out: str, name: str) -> Figure:
        band = _of(bands, str(mine["series"].iat[0]), "time")
        return time_curves(mine, criterion, held_out, tables.unit, name, band)

    slot = _per_task(curves, "scaling-time", make)
    several = curves["series"].nunique() > 1
    html = render("scaling_time.html", slot=slot, rows=_verdicts(laws, "time"), several=several)
    return Section("scaling-time", "Would longer training help?", html, (slot,))


def added(tables: Tables) -> Section | None:
    """Choices of the data that are added, compared at equal size."""
    table = _table(tables, "scaling_added")
    if table is None:
        return None

    def make(mine: pd.DataFrame, criterion: str, held_out: str, name: str) -> Figure:
        return added_curves(mine, criterion, held_out, tables.unit, name)

    slot = _per_task(table, "scaling-added", make)
    ratio = table[table["mae_ratio"].notna() & (table["test"].astype(str) == _HELD_OUT_TEST)]
    rows = [row | {"choice": _WORDS[row["choice"]]} for row in _records(ratio)]
    html = render("scaling_added.html", slot=slot, rows=rows, several=table["series"].nunique() > 1)
    return Section("scaling-added", "Which data would help?", html, (slot,))


def _table(tables: Tables, name: str) -> pd.DataFrame | None:
    """A table with ``series``; None if it is not there or empty."""
    found = tables.get(name)
    return None if found is None or not len(found) else with_series(found)


def _of(bands: pd.DataFrame | None, series: str, curve: str) -> pd.DataFrame | None:
    if bands is None:
        return None
    return bands[(bands["series"] == series) & (bands["curve"] == curve)]


def _per_task(
    table: pd.DataFrame, prefix: str, make: Callable[[pd.DataFrame, str, str, str], Figure]
) -> Slot:
    """A figure per model and task, with a list to choose from."""
    several = table["series"].nunique() > 1
    keys = table[["series", CRITERION, HELD_OUT]].astype(str).drop_duplicates()
    figures = {}
    for series, criterion, held_out in keys.to_numpy():
        name = f"{prefix}-{task_key(criterion, held_out).replace('/', '-')}-{series}"
        words = task_name(criterion, held_out) + (f", {series}" if several else "")
        mine = table[table["series"] == series]
        figures[words] = make(mine, criterion, held_out, name)
    return Slot((prefix,), figures)


def _verdicts(laws: pd.DataFrame | None, curve: str) -> list[dict[str, Any]]:
    if laws is None or "verdict" not in laws:
        return []
    mine = laws[laws["test"].astype(str) == _HELD_OUT_TEST]
    return _records(mine[mine["curve"] == curve] if "curve" in mine else mine)


def _held_back(laws: pd.DataFrame | None) -> tuple[int, int]:
    """Curves whose smaller sizes foretold the largest, and how many were asked."""
    if laws is None or "covers" not in laws:
        return 0, 0
    known = laws["covers"].dropna().astype(bool)
    return int(known.sum()), len(known)


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    named = {name: str for name in (CRITERION, HELD_OUT, "test", "choice") if name in table}
    rows = table.astype(named).to_dict("records")
    return [{str(k): v for k, v in row.items()} for row in rows]
