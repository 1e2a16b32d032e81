"""The chapter "How do the models compare?", for studies with several."""

from __future__ import annotations

from itertools import combinations

import pandas as pd

from offmap.columns import MODEL
from offmap.plots import model_against_model
from offmap.plots.outcomes import FAILS, HOLDS, UNDECIDED
from offmap.report.compare import compare, study_names
from offmap.report.section import Section, Slot, one, render
from offmap.report.tables import Tables

# Models of which every pair is drawn; of more, each is drawn against the first.
_ALL_PAIRS_UP_TO = 5
_METRICS = ("mae", "mae_ratio", "rmse")


def section(tables: Tables) -> Section | None:
    """Side by side, and task by task."""
    scored = [s for s in tables.series if (tables.scored["series"] == s).any()]
    if len(scored) < 2:
        return None
    pairs = list(combinations(scored, 2))
    if len(scored) > _ALL_PAIRS_UP_TO:
        pairs = [(scored[0], other) for other in scored[1:]]
    metrics = [m for m in _METRICS if m in tables.scored]
    figures = {
        f"{x} | {y}|{metric}": model_against_model(tables.scores, x, y, metric, tables.unit)
        for x, y in pairs
        for metric in metrics
    }
    slot = Slot(("pair", "against"), figures)
    html = render(
        "models.html",
        rows=side_by_side(tables).to_dict("records"),
        unit=tables.unit,
        slot=slot,
        metrics=metrics,
        pairs=[f"{x} | {y}" for x, y in pairs],
    )
    return Section("models", "", html, (slot,))


def other_studies(tables: Tables) -> Section | None:
    """The study beside others: in-distribution scores, and which failures are the same."""
    if not tables.beside or not tables.series:
        return None
    stores = [tables.store, *tables.beside]
    comparison = compare(stores)
    studies = dict(zip(study_names(stores), [tables, *map(Tables, tables.beside)], strict=True))
    named = {name: t.scores[MODEL].astype(str) for name, t in studies.items()}
    parts = [t.scores.assign(**{MODEL: f"{n}/" + named[n]}) for n, t in studies.items()]
    mine, *others = [f"{name}/{t.series[0]}" for name, t in studies.items() if t.series]
    scores = pd.concat(parts, ignore_index=True)
    slots = tuple(one(model_against_model(scores, mine, other)) for other in others)
    html = render("studies.html", **comparison._asdict(), slots=slots)
    return Section("studies", "Beside other studies", html, slots)


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
