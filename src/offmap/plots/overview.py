"""All tasks at a glance: how many times worse than in distribution, criterion by criterion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from offmap.columns import CRITERION, HELD_OUT, N_TEST, label
from offmap.plots.base import Drawn
from offmap.plots.marks import (
    draw_line,
    draw_log_axis,
    draw_tasks,
    label_width,
    line,
    log_ticks,
    plotly_log_axis,
    task_traces,
)
from offmap.plots.outcomes import FAILS, OUTCOMES, RATIO_LIMIT, of_series, task_scores
from offmap.plots.style import layout
from offmap.plots.words import (
    counted,
    criterion_name,
    estimate,
    in_order,
    listed,
    number,
    plotly_text,
    short_name,
    shorten,
    task_key,
    task_name,
)

_METRIC = "mae_ratio"
_LINES = ((1.0, "dot"), (RATIO_LIMIT, "dash"))

# Worst tasks that are written out.
_NAMED = 12


@dataclass(frozen=True, eq=False)
class Overview(Drawn):
    """One mark per task on a logarithmic axis of the MAE ratio, a band per criterion."""

    @property
    def bands(self) -> list[str]:
        """Criteria from top to bottom."""
        return list(dict.fromkeys(self.frame[CRITERION]))

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of the static figure, inches."""
        return 7.2, 1.4 + 0.55 * max(len(self.bands), 1)

    @property
    def margins(self) -> tuple[float, float, float, float]:
        """Space left, right, below and above the axes, inches."""
        return label_width(map(criterion_name, self.bands)), 0.15, 0.85, 0.35

    def plotly(self) -> dict[str, Any]:
        """One trace per outcome, the worst tasks named."""
        names = [plotly_text(shorten(criterion_name(c))) for c in self.bands]
        ticks = log_ticks(self.frame["x"])
        return {
            "data": task_traces(self.frame, _hover),
            "layout": layout(
                height=110 + 62 * max(len(names), 1),
                xaxis=plotly_log_axis(ticks) | {"title": {"text": label(_METRIC)}},
                yaxis={
                    "tickvals": list(range(len(names))),
                    "ticktext": names,
                    "showgrid": False,
                    "range": [len(names) - 0.4, -0.7],
                    "zeroline": False,
                },
                shapes=[line("x", at, dash) for at, dash in _LINES],
            ),
        }

    def draw(self, canvas: Any) -> None:
        """Draw on an empty matplotlib figure."""
        axes = canvas.add_subplot()
        for at, dash in _LINES:
            draw_line(axes, "x", at, dash)
        axes.set(xscale="log", xlabel=label(_METRIC), title=self.title)
        axes.set(ylim=(max(len(self.bands), 1) - 0.4, -0.7))
        axes.set_yticks(range(len(self.bands)), [shorten(criterion_name(c)) for c in self.bands])
        draw_log_axis(axes.xaxis, log_ticks(self.frame["x"]))
        axes.grid(visible=False, axis="y")
        draw_tasks(axes, self.frame)


def overview(scores: pd.DataFrame, unit: str = "", series: str = "") -> Overview:
    """All tasks of a model by their MAE ratio.

    Parameters
    ----------
    scores
        The table ``scores``.
    unit
        Unit of the target.
    series
        Model to show; by default the first.
    """
    found, series = task_scores(scores).pipe(of_series, series)
    found = in_order(found[found[_METRIC].gt(0)] if _METRIC in found else found.iloc[:0])
    columns = [CRITERION, HELD_OUT, _METRIC, f"{_METRIC}_low", f"{_METRIC}_high", N_TEST, "outcome"]
    frame = found.reindex(columns=columns).reset_index(drop=True)
    keys = list(zip(frame[CRITERION], frame[HELD_OUT], strict=True))
    worst = frame[frame["outcome"] == FAILS].nlargest(_NAMED, _METRIC).index
    frame["x"], frame["y"] = frame[_METRIC].astype(float), _spread(frame)
    frame["task"] = [task_key(*key) for key in keys]
    frame["named"] = [
        shorten(short_name(*key), 20) if i in worst else "" for i, key in enumerate(keys)
    ]
    return Overview(
        name="overview",
        title="Every task against its in-distribution reference",
        caption=f"Each mark is a task of model {series}: its MAE over the MAE on the same"
        " materials in the random folds. Dotted line: no worse; dashed line:"
        f" {RATIO_LIMIT:g} times. Heights within a band only keep marks apart.",
        alt=_says(frame),
        frame=frame,
        unit=unit,
    )


def _spread(frame: pd.DataFrame) -> NDArray[np.float64]:
    """Heights within each band that keep near marks apart: neighbours take turns."""
    y = np.zeros(len(frame))
    steps = np.array([0.0, 0.24, -0.24, 0.12, -0.12, 0.33, -0.33])
    for band, criterion in enumerate(dict.fromkeys(frame[CRITERION])):
        rows = np.flatnonzero(frame[CRITERION] == criterion)
        order = rows[np.argsort(frame[_METRIC].to_numpy()[rows], kind="stable")]
        y[order] = band + steps[np.arange(len(order)) % len(steps)] * (len(order) > 3)
    return y


def _hover(row: Mapping[Any, Any]) -> str:
    ratio = estimate(row[_METRIC], row[f"{_METRIC}_low"], row[f"{_METRIC}_high"])
    name = plotly_text(task_name(row[CRITERION], row[HELD_OUT]))
    size = counted(int(row[N_TEST]), "test material")
    outcome = OUTCOMES[row["outcome"]].label
    return f"<b>{name}</b> held out<br>MAE ratio {ratio}<br>{size}, {outcome}"


def _says(frame: pd.DataFrame) -> str:
    if not len(frame):
        return "No task has an in-distribution reference yet."
    worst = frame.nlargest(5, _METRIC)
    named = [
        f"{task_name(c, h)} ({number(r, 2)})"
        for c, h, r in zip(worst[CRITERION], worst[HELD_OUT], worst[_METRIC], strict=True)
    ]
    fails = int((frame["outcome"] == FAILS).sum())
    return (
        f"MAE ratio of {counted(len(frame), 'task')}: median {number(frame[_METRIC].median(), 2)},"
        f" {fails} {'fails' if fails == 1 else 'fail'}. Largest: {listed(named)}."
    )
