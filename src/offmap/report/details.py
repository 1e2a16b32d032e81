"""What a click on a task opens: its figures, its control, its test set, its worst materials."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from offmap.columns import (
    CHEMICAL_SYSTEM,
    CRITERION,
    CRYSTAL_SYSTEM,
    FORMULA,
    HELD_OUT,
    IN_DISTRIBUTION,
    MATERIAL_ID,
    Y_PRED,
    Y_TRUE,
)
from offmap.plots.base import Figure
from offmap.plots.errors import error_distribution
from offmap.plots.outcomes import with_series
from offmap.plots.parity import parity, parity_limits
from offmap.plots.words import task_key, task_name
from offmap.progress import Progress
from offmap.report.domain import Maps
from offmap.report.section import render
from offmap.report.tables import Tables
from offmap.store import Cell

_WORST = 20
_COMMON = 8

_CONTROL = "y_pred_in_distribution"


@dataclass(frozen=True, eq=False)
class Detail:
    """One task of one model.

    Parameters
    ----------
    key
        ``series|criterion/held_out``.
    row
        Its scores and outcome.
    html
        Body of the panel.
    figures
        Parity of the task, parity of the control, distribution of errors, map.
    """

    key: str
    row: dict[str, Any]
    html: str
    figures: tuple[Figure, ...]


def details(tables: Tables, progress: Progress | None = None) -> Iterator[Detail]:
    """Every scored task whose predictions are there, one at a time."""
    materials = tables.materials
    if materials is None or not len(tables.scored):
        return
    materials = materials.set_index(MATERIAL_ID)
    found, maps = _cells(tables), Maps(tables)
    total, done = len(tables.scored), 0
    for series in tables.series:
        control = _control(tables, found, series)
        rows: list[dict[str, Any]] = [
            {str(k): v for k, v in row.items()}
            for row in tables.tasks_of(series).to_dict("records")
        ]
        for row in rows:
            cell = found.get((series, row[CRITERION], row[HELD_OUT]))
            done += 1
            if progress:
                progress(done, total)
            if cell is not None:
                frame = tables.store.read_predictions([cell])
                joined = _joined(frame, materials, control)
                drawn = maps.figure(series, row[CRITERION], row[HELD_OUT], joined)
                yield detail(tables, series, row, joined, materials, drawn)


def detail(
    tables: Tables,
    series: str,
    row: dict[str, Any],
    test: pd.DataFrame,
    materials: pd.DataFrame,
    drawn: Figure | None = None,
) -> Detail:
    """Make the panel of one task.

    Parameters
    ----------
    tables
        The study.
    series, row
        The model, and the scores of the task.
    test
        Its materials with ``y_true``, ``y_pred`` and, where the folds predicted them,
        ``y_pred_in_distribution``.
    materials
        All materials of the study, by id.
    drawn
        Its map, where the domain stage has seen it.
    """
    name = task_name(row[CRITERION], row[HELD_OUT])
    control = test.dropna(subset=[_CONTROL]).assign(**{Y_PRED: lambda f: f[_CONTROL]})
    limits = parity_limits(test[Y_TRUE], test[Y_PRED], control[Y_PRED])
    unit, place = tables.unit, (f"{name} held out", "in distribution")
    figures: list[Figure] = [parity(test, unit, place[0], limits, "parity")]
    if len(control):
        figures.append(parity(control, unit, place[1], limits, "control"))
    figures.append(error_distribution(test, control, unit, "Errors", "errors"))
    figures += [drawn] if drawn else []
    error = test[Y_PRED] - test[Y_TRUE]
    worst = test.assign(error=error).loc[error.abs().nlargest(_WORST).index]
    html = render(
        "detail.html",
        row=row,
        series=series,
        several=len(tables.series) > 1,
        name=name,
        unit=unit,
        figures=figures,
        facts=facts(test, materials, tables.target, row),
        worst=worst.to_dict("records"),
        has_control=len(control) > 0,
    )
    key = f"{series}|{task_key(row[CRITERION], row[HELD_OUT])}"
    return Detail(key, row, html, tuple(figures))


def facts(
    test: pd.DataFrame, materials: pd.DataFrame, target: str, row: dict[str, Any]
) -> dict[str, Any]:
    """What the test set is made of, and how its labels lie to those of training."""
    mine = materials.reindex(test[MATERIAL_ID])
    trained = materials[~materials.index.isin(test[MATERIAL_ID])]
    systems = mine[CHEMICAL_SYSTEM].dropna().astype(str)
    elements = Counter(symbol for system in systems for symbol in system.split("-"))
    if row[CRITERION] == "element":
        elements.pop(row[HELD_OUT], None)
    crystal = mine[CRYSTAL_SYSTEM].astype(str).value_counts()
    labels = pd.DataFrame()
    if target in trained and len(trained):
        labels = pd.DataFrame(
            {"test": test[Y_TRUE].describe(), "train": trained[target].describe()}
        )
    return {
        "n_systems": int(systems.nunique()),
        "elements": [(e, n / max(len(mine), 1)) for e, n in elements.most_common(_COMMON)],
        "crystal_systems": [(s, n / max(len(mine), 1)) for s, n in crystal.items() if s],
        "labels": labels.to_dict(),
        "outside": _outside(test[Y_TRUE], trained.get(target)),
    }


def _outside(labels: pd.Series, trained: pd.Series | None) -> float:
    """Share of test labels beyond the middle 98 % of the training labels."""
    if trained is None or not len(trained) or not len(labels):
        return float("nan")
    low, high = np.nanquantile(trained, [0.01, 0.99])
    return float(((labels < low) | (labels > high)).mean())


def _cells(tables: Tables) -> dict[tuple[str, str, str], Cell]:
    done = tables.cells["done"]
    if not done:
        return {}
    named = with_series(pd.DataFrame([cell.keys() for cell in done]))
    keys = zip(named["series"], named[CRITERION], named[HELD_OUT], strict=True)
    return dict(zip(keys, done, strict=True))


def _control(tables: Tables, found: dict[tuple[str, str, str], Cell], series: str) -> pd.Series:
    """Prediction of each material by the random fold that held it out."""
    folds = [
        c for (s, criterion, _), c in found.items() if (s, criterion) == (series, IN_DISTRIBUTION)
    ]
    control = tables.store.read_predictions(folds).set_index(MATERIAL_ID)[Y_PRED]
    return control[~control.index.duplicated()].astype(float)


def _joined(frame: pd.DataFrame, materials: pd.DataFrame, control: pd.Series) -> pd.DataFrame:
    test = frame[[MATERIAL_ID, Y_TRUE, Y_PRED]].astype({Y_TRUE: float, Y_PRED: float})
    formulas = materials[FORMULA].reindex(test[MATERIAL_ID]).fillna("").to_numpy()
    inside = control.reindex(test[MATERIAL_ID]).to_numpy(dtype=float)
    return test.assign(**{FORMULA: formulas, _CONTROL: inside})
