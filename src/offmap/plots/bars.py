"""Bars of a score over the tasks of one criterion, in the order of chemistry or symmetry."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from offmap.columns import COLUMNS, CRITERION, HELD_OUT, N_TEST, label
from offmap.plots.base import Drawn
from offmap.plots.marks import draw_line, label_width, legend_below, line
from offmap.plots.outcomes import OUTCOMES, RATIO_LIMIT, Outcome, of_series, task_scores
from offmap.plots.style import REFERENCE, layout
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

BAR_METRICS = ("mae_ratio", "mae", "r2", "bias")

_REFERENCES = {
    "mae": "mae_in_distribution",
    "r2": "r2_in_distribution",
    "bias": "bias_in_distribution",
}


@dataclass(frozen=True, eq=False)
class Bars(Drawn):
    """One bar per task, with its interval and its in-distribution reference.

    Parameters
    ----------
    metric
        Column that is shown.
    """

    metric: str

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of the static figure, inches."""
        return 6.4, 1.3 + 0.2 * max(len(self.frame), 1)

    @property
    def margins(self) -> tuple[float, float, float, float]:
        """Space left, right, below and above the axes, inches."""
        return label_width(self.frame["label"]), 0.15, 0.85, 0.35

    @property
    def range(self) -> tuple[float, float]:
        """Ends of the axis. A few extreme bars are cut off (and say so), or all others are lost."""
        names = [self.metric, self.reference, f"{self.metric}_low", f"{self.metric}_high"]
        columns = [self.frame[c].to_numpy(float) for c in names if c in self.frame]
        x = np.concatenate([c[np.isfinite(c)] for c in columns]) if columns else np.zeros(0)
        if self.metric == "r2":
            return max(min([0.0, *x]), -0.5), 1.02
        if not len(x):
            return 0.0, 1.0
        middle = float(np.nanmedian(np.abs(self.frame[self.metric])))
        end = 12 * middle if middle > 0 else math.inf
        low, high = max(min(0.0, x.min()), -end), min(max(0.0, x.max()), end)
        if self.metric == "mae_ratio":
            high = max(high, 1.2 * RATIO_LIMIT)
        pad = 0.03 * (high - low) or 1.0
        return low - pad * (low < 0), high + pad * (high > 0)

    def plotly(self) -> dict[str, Any]:
        """Horizontal bars: their labels stay readable on a phone."""
        low, high = self.range
        labels = [plotly_text(text) for text in self.frame["label"]]
        rows = list(range(len(labels)))
        traces = [
            self._trace(self.frame[self.frame["outcome"] == name], outcome)
            for name, outcome in OUTCOMES.items()
            if (self.frame["outcome"] == name).any()
        ]
        if self.reference in self.frame:
            marker = {
                "symbol": "diamond-open",
                "size": 7,
                "color": REFERENCE,
                "line": {"width": 1.5},
            }
            traces.append(
                {
                    "type": "scatter",
                    "mode": "markers",
                    "name": "in distribution",
                    "x": self.frame[self.reference].tolist(),
                    "y": rows,
                    "marker": marker,
                    "hoverinfo": "skip",
                }
            )
        return {
            "data": traces,
            "layout": layout(
                height=96 + 21 * max(len(labels), 1),
                bargap=0.28,
                xaxis={"title": {"text": label(self.metric, self.unit)}, "range": [low, high]},
                yaxis={
                    "tickvals": rows,
                    "ticktext": labels,
                    "range": [len(labels) - 0.4, -0.6],
                    "zeroline": False,
                    "showgrid": False,
                },
                shapes=[line("x", at, dash) for at, dash in self._lines()],
                annotations=[
                    {
                        "x": place,
                        "y": row,
                        "text": text,
                        "showarrow": False,
                        "xanchor": side,
                        "bgcolor": "rgba(255,255,255,0.85)",
                        "font": {"size": 11},
                    }
                    for row, place, side, text in self._cut()
                ],
            ),
        }

    def _trace(self, part: pd.DataFrame, outcome: Outcome) -> dict[str, Any]:
        pattern = {"///": "/", "..": "."}.get(outcome.hatch, "")
        return {
            "type": "bar",
            "orientation": "h",
            "name": outcome.label,
            "x": part[self.metric].tolist(),
            "y": part.index.tolist(),
            "error_x": self._whiskers(part),
            "marker": {
                "color": outcome.colour,
                "pattern": {
                    "shape": pattern,
                    "bgcolor": outcome.colour,
                    "fgcolor": "#fff",
                    "solidity": 0.25,
                    "size": 6,
                },
            },
            "customdata": part["task"].tolist(),
            "hovertext": [self._hover(row) for row in part.to_dict("records")],
            "hovertemplate": "%{hovertext}<extra></extra>",
        }

    def draw(self, canvas: Any) -> None:
        """Draw on an empty matplotlib figure."""
        axes = canvas.add_subplot()
        place = np.arange(len(self.frame))
        for name, outcome in OUTCOMES.items():
            mask = (self.frame["outcome"] == name).to_numpy()
            if not mask.any():
                continue
            part = self.frame[mask]
            ends = self._whiskers(part)
            axes.barh(
                place[mask],
                part[self.metric],
                xerr=np.nan_to_num([ends["arrayminus"], ends["array"]]) if ends else None,
                color=outcome.colour,
                hatch=outcome.hatch,
                edgecolor="white",
                linewidth=0,
                height=0.72,
                label=outcome.label,
                error_kw={"elinewidth": 0.9, "ecolor": REFERENCE},
            )
        if self.reference in self.frame:
            style = {
                "marker": "D",
                "facecolors": "none",
                "edgecolors": REFERENCE,
                "linewidths": 0.9,
            }
            x = self.frame[self.reference]
            axes.scatter(x, place, s=16, label="in distribution", zorder=3, **style)
        for x_line, dash in self._lines():
            draw_line(axes, "x", x_line, dash)
        for row, at, side, text in self._cut():
            axes.text(at, row, text, ha=side, va="center", size=7)
        axes.set(xlim=self.range, ylim=(len(self.frame) - 0.4, -0.6), title=self.title)
        axes.set_yticks(place, self.frame["label"])
        axes.set_xlabel(label(self.metric, self.unit))
        axes.grid(visible=False, axis="y")
        legend_below(axes)

    @property
    def reference(self) -> str:
        """Column of the in-distribution reference; empty if there is none."""
        return _REFERENCES.get(self.metric, "")

    def _cut(self) -> list[tuple[int, float, str, str]]:
        """Bars that leave the axis: row, place of the note, its side, and the note."""
        low, high = self.range
        found = []
        for row, value in enumerate(self.frame[self.metric]):
            if value < low:
                found.append((row, low, "left", f"◂ {number(value)}"))
            elif value > high:
                found.append((row, high, "right", f"{number(value)} ▸"))
        return found

    def _lines(self) -> list[tuple[float, str]]:
        if self.metric == "mae_ratio":
            return [(1.0, "dot"), (RATIO_LIMIT, "dash")]
        return [(0.0, "dot")] if self.metric == "bias" else []

    def _whiskers(self, part: pd.DataFrame) -> dict[str, Any]:
        low, high = f"{self.metric}_low", f"{self.metric}_high"
        if low not in part or part[low].isna().all():
            return {}
        return {
            "type": "data",
            "symmetric": False,
            "thickness": 1.2,
            "width": 2,
            "color": REFERENCE,
            "array": (part[high] - part[self.metric]).clip(lower=0).tolist(),
            "arrayminus": (part[self.metric] - part[low]).clip(lower=0).tolist(),
        }

    def _hover(self, row: Mapping[Any, Any]) -> str:
        unit = self.unit if COLUMNS[self.metric].unit == "target" else ""
        low, high = row.get(f"{self.metric}_low"), row.get(f"{self.metric}_high")
        found = estimate(row[self.metric], low, high, plotly_text(unit))
        lines = [
            f"<b>{plotly_text(task_name(row[CRITERION], row[HELD_OUT]))}</b> held out",
            f"{COLUMNS[self.metric].label} {found}",
            f"{counted(int(row[N_TEST]), 'test material')}, {OUTCOMES[row['outcome']].label}",
        ]
        return "<br>".join(lines)


def criterion_bars(
    scores: pd.DataFrame,
    criterion: str,
    metric: str = "mae_ratio",
    unit: str = "",
    series: str = "",
) -> Bars:
    """Bars of a score over the tasks of one criterion.

    Parameters
    ----------
    scores
        The table ``scores``.
    criterion, metric
        Which tasks, and which column.
    unit
        Unit of the target.
    series
        Model to show; by default the first.
    """
    found, series = task_scores(scores).pipe(of_series, series)
    found = in_order(found[found[CRITERION] == criterion])
    interval = [f"{metric}_low", f"{metric}_high"]
    reference = _REFERENCES.get(metric, "")
    wanted = [CRITERION, HELD_OUT, metric, *interval, reference, N_TEST, "outcome"]
    frame = found[[c for c in wanted if c in found]].reset_index(drop=True)
    if metric not in frame:
        frame[metric] = math.nan
    frame["label"] = [shorten(short_name(criterion, h)) for h in frame[HELD_OUT]]
    frame["task"] = [task_key(criterion, h) for h in frame[HELD_OUT]]
    name = criterion_name(criterion)
    return Bars(
        name=f"bars-{criterion}-{metric}",
        title=f"{name}: {COLUMNS[metric].label}",
        caption=_caption(metric, series),
        alt=_says(frame, name, metric, unit),
        frame=frame,
        unit=unit,
        metric=metric,
    )


def _caption(metric: str, series: str) -> str:
    readings = {
        "mae_ratio": " Dotted line: as good as in distribution; dashed line: the limit"
        f" ({RATIO_LIMIT:g}).",
        "bias": " Right of zero is predicted too high, left too low.",
    }
    diamonds = " Diamonds: the same materials when they were in the random folds."
    return (
        f"Model {series}. Whiskers: bootstrap interval over chemical systems."
        f"{readings.get(metric, '')}{diamonds if metric in _REFERENCES else ''}"
    )


def _says(frame: pd.DataFrame, name: str, metric: str, unit: str) -> str:
    known = frame[frame[metric].notna()]
    if not len(known):
        return f"Bars of {label(metric, unit)} by {name.lower()}: no task has a value."
    worst = known.reindex(known[metric].abs().sort_values(ascending=metric == "r2").index).head(3)
    fails = int((known["outcome"] == "fails").sum())
    ends = [f"{t} ({number(v)})" for t, v in zip(worst["label"], worst[metric], strict=True)]
    return (
        f"Bars of {label(metric, unit)} for {counted(len(known), 'task')} by {name.lower()};"
        f" {fails} of them {'fails' if fails == 1 else 'fail'}. Most extreme: {listed(ends)}."
    )
