"""In the chapter "Is that extrapolation?": which detector to trust, how stable, and maps."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from offmap.columns import CRITERION, FORMULA, HELD_OUT, MATERIAL_ID, Y_PRED, Y_TRUE
from offmap.plots.base import Figure
from offmap.plots.domain import risk_curves, task_map
from offmap.plots.outcomes import with_series
from offmap.report.section import Section, Slot, per_series, render
from offmap.report.tables import Tables


def trust(tables: Tables) -> Section | None:
    """The head-to-head of the detectors, and risk against coverage."""
    found, risk = _named(tables, "detectors"), _named(tables, "risk_coverage")
    if found is None:
        return None
    found = found[found[CRITERION].astype(str) == "all"]
    rows = {s: _records(found[found["series"] == s]) for s in tables.series}
    slots: tuple[Slot, ...] = ()
    if risk is not None and set(risk["series"]) >= set(tables.series):
        curves = risk
        slots = (
            per_series(
                tables, lambda s: risk_curves(curves[curves["series"] == s], tables.unit, s)
            ),
        )
    stable = _stability(tables)
    html = render("trust.html", rows=rows, slots=slots, stable=stable)
    return Section("trust", "Which detector to trust?", html, slots)


def _named(tables: Tables, name: str) -> pd.DataFrame | None:
    """A table of the domain stage with ``series``; None if there is nothing about a model."""
    found = tables.get(name)
    if found is None or not len(found):
        return None
    found = with_series(found.astype({"model": str, "representation": str}))
    return found if set(found["series"]) & set(tables.series) else None


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    ordered = frame.sort_values("auroc", ascending=False, na_position="last", kind="stable")
    return [{str(k): v for k, v in row.items()} for row in ordered.to_dict("records")]


def _stability(tables: Tables) -> list[dict[str, Any]]:
    """Range of the coverage of a task over what could have been chosen otherwise, per method."""
    found = tables.get("domain_stability")
    if found is None:
        return []
    spread = found.groupby(["task", "method"], sort=False)["coverage"].agg(["min", "max", "count"])
    return [{str(k): v for k, v in row.items()} for row in spread.reset_index().to_dict("records")]


@dataclass(frozen=True, eq=False)
class Maps:
    """Maps of the tasks, from the tables ``domain`` and ``domain_map``."""

    tables: Tables

    @cached_property
    def _places(self) -> pd.DataFrame | None:
        places, materials = self.tables.get("domain_map"), self.tables.materials
        if places is None or materials is None:
            return None
        formulas = materials.set_index(MATERIAL_ID)[FORMULA]
        return places.assign(**{FORMULA: formulas.reindex(places[MATERIAL_ID]).to_numpy()})

    @cached_property
    def _verdicts(self) -> dict[tuple[str, str, str], pd.DataFrame]:
        found = self.tables.get("domain")
        if found is None:
            return {}
        found = with_series(found)
        keys = ["series", CRITERION, HELD_OUT]
        wanted = found[[*keys, "representation", MATERIAL_ID, "out_of_domain"]]
        parts = wanted.groupby(keys, observed=True, sort=False)
        return {(str(s), str(c), str(h)): part for (s, c, h), part in parts}

    def figure(
        self, series: str, criterion: str, held_out: str, test: pd.DataFrame
    ) -> Figure | None:
        """The map of one task; None if the domain stage has not seen it.

        Parameters
        ----------
        series, criterion, held_out
            Model and task.
        test
            Its materials with ``y_true`` and ``y_pred``.
        """
        verdicts = self._verdicts.get((series, criterion, held_out))
        if verdicts is None or self._places is None:
            return None
        representation = str(verdicts["representation"].iat[0])
        places = self._places[self._places["representation"].astype(str) == representation]
        error = pd.Series(np.asarray(test[Y_PRED] - test[Y_TRUE]), index=test[MATERIAL_ID])
        mine = verdicts[[MATERIAL_ID, "out_of_domain"]]
        mine = mine.assign(error=error.reindex(mine[MATERIAL_ID]).to_numpy())
        return task_map(places, mine, self.tables.unit)
