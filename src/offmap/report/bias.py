"""In the chapter "Why do they fail?": what the bias comes from, and what a few labels mend.

From the tables ``bias``, ``bias_materials`` and ``rescue``.
"""

from __future__ import annotations

import json
from typing import Any

import pandas as pd

from offmap.bias.decompose import CAVEAT
from offmap.bias.words import shifted
from offmap.columns import CRITERION, HELD_OUT, MODEL, REPRESENTATION
from offmap.plots.outcomes import with_series
from offmap.plots.parts import bias_parts
from offmap.plots.remedies import CHOICES, NOTHING, rescue_curves
from offmap.plots.violins import bias_violins
from offmap.plots.words import in_order, task_key, task_name
from offmap.report.section import Section, Slot, per_series, render
from offmap.report.tables import Tables

# Of the two procedures of the analysis, the one that explains the study's own predictions.
_METHOD = "offmap"

_TOLD = 40


def section(tables: Tables) -> Section | None:
    """Parts of the bias of each task, the verdict in words, and which tasks are but shifted."""
    found = tables.get("bias")
    if found is None or not len(found):
        return None
    own = found["method"].astype(str) == _METHOD
    bias, study = with_series(found[own]), found[~own]
    slots = [per_series(tables, lambda s: bias_parts(_of(bias, s), tables.unit))]
    materials = _materials(tables, bias)
    if materials is not None:
        slots.append(per_series(tables, lambda s: bias_violins(_of(materials, s), tables.unit)))
    html = render(
        "bias.html",
        caveat=CAVEAT,
        slots=slots,
        told={s: _told(_of(bias, s)) for s in tables.series},
        shifted={s: _rows(shifted(_of(bias, s))) for s in tables.series}
        if "error_class" in bias
        else {},
        study=_rows(in_order(study)) if len(study) else [],
        unit=tables.unit,
    )
    return Section("parts", "Composition, or structure?", html, tuple(slots))


def rescue(tables: Tables) -> Section | None:
    """What a few labelled materials of each group mend."""
    found, bias = tables.get("rescue"), tables.get("bias")
    if found is None or bias is None or not len(found):
        return None
    found = _named(found, bias)
    several = found["series"].nunique() > 1
    figures = {}
    keys = found[["series", CRITERION, HELD_OUT, "choice"]].astype(str).drop_duplicates()
    for series, criterion, held_out, choice in keys.to_numpy():
        name = f"rescue-{task_key(criterion, held_out).replace('/', '-')}-{choice}-{series}"
        words = f"{task_name(criterion, held_out)}, {CHOICES[choice]}"
        words += f", {series}" if several else ""
        mine = _of(found, series)
        figures[words] = rescue_curves(mine, criterion, held_out, choice, tables.unit, name)
    slot = Slot(("rescue",), figures)
    html = render("rescue.html", slot=slot, rows=_reached(found), choices=CHOICES, several=several)
    return Section("rescue", "What would a few labels mend?", html, (slot,))


def _of(frame: pd.DataFrame, series: str) -> pd.DataFrame:
    return frame[frame["series"] == series]


def _named(frame: pd.DataFrame, bias: pd.DataFrame) -> pd.DataFrame:
    """Add ``series``, named as over all analysed tasks."""
    keys = [MODEL, REPRESENTATION]
    names = with_series(bias).astype(dict.fromkeys(keys, str))[[*keys, "series"]]
    plain = frame.astype(dict.fromkeys(keys, str))
    return plain.merge(names.drop_duplicates(), on=keys, how="inner")


def _materials(tables: Tables, bias: pd.DataFrame) -> pd.DataFrame | None:
    """Parts of the error of each material of the held-out elements; other tasks if there is none.

    LocalPropertyDifference is added to the part it counts as in the last analysis.
    """
    found = tables.get("bias_materials")
    if found is None or not len(found):
        return None
    found = _named(found[found["method"].astype(str) == _METHOD], bias)
    if not len(found):
        return None
    is_element = found[CRITERION].astype(str) == "element"
    found = found[is_element] if is_element.any() else found
    settings = bias["settings"].dropna()
    counts_as = json.loads(settings.iloc[-1])["local_difference"]
    return found.assign(**{counts_as: found[counts_as] + found["local_difference"]})


def _told(bias: pd.DataFrame) -> list[dict[str, Any]]:
    """Verdicts of the most biased tasks."""
    worst = bias.loc[bias["bias"].abs().nlargest(_TOLD).index]
    return _rows(in_order(worst))


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    plain = frame.astype({CRITERION: str, HELD_OUT: str})
    return [{str(k): v for k, v in row.items()} for row in plain.to_dict("records")]


def _reached(found: pd.DataFrame) -> list[dict[str, Any]]:
    """One row per task, choice and remedy: with how many labels it is as good as in distribution.

    The MAE is that with most labels.
    """
    tried = found[found["remedy"].astype(str) != NOTHING]
    keys = ["series", CRITERION, HELD_OUT, "choice", "remedy"]
    most = tried.sort_values("n_labelled", kind="stable").drop_duplicates(keys, keep="last")
    return _rows(most.sort_values(keys, kind="stable"))
