"""The bias of each task as parts that add up: composition, structure, and what is in neither."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from offmap.columns import CRITERION, HELD_OUT, label
from offmap.plots.base import Drawn
from offmap.plots.marks import draw_line, label_width, legend_below, line
from offmap.plots.style import REFERENCE, layout
from offmap.plots.words import (
    counted,
    in_order,
    listed,
    percent,
    plotly_text,
    shorten,
    signed,
    task_key,
    task_name,
)

# Column, name, colour, pattern of plotly and of matplotlib.
_PARTS = (
    ("composition", "composition", "#0072b2", "", ""),
    ("structure", "structure", "#e69f00", "/", "///"),
    ("rest", "in neither", "#bdbdbd", ".", ".."),
)

# Tasks that are drawn, those with the largest bias.
_MOST = 40


@dataclass(frozen=True, eq=False)
class BiasParts(Drawn):
    """Stacked bars, positive parts to the right and negative ones to the left, and their sum."""

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of the static figure, inches."""
        return 6.4, 1.3 + 0.22 * max(len(self.frame), 2)

    @property
    def margins(self) -> tuple[float, float, float, float]:
        """Space left, right, below and above the axes, inches."""
        return label_width(self.frame["label"]), 0.15, 0.85, 0.35

    def plotly(self) -> dict[str, Any]:
        """Horizontal bars, in the order of chemistry and symmetry."""
        rows = list(range(len(self.frame)))
        hover = [_hover(row, self.unit) for row in self.frame.to_dict("records")]
        common = {
            "y": rows,
            "customdata": self.frame["task"].tolist(),
            "hovertext": hover,
            "hovertemplate": "%{hovertext}<extra></extra>",
        }
        bars = [
            {
                "type": "bar",
                "orientation": "h",
                "name": name,
                "x": self.frame[column].tolist(),
                "marker": {
                    "color": colour,
                    "pattern": {"shape": shape, "bgcolor": colour, "fgcolor": "#fff", "size": 6},
                },
            }
            | common
            for column, name, colour, shape, _ in _PARTS
        ]
        total = {
            "type": "scatter",
            "mode": "markers",
            "name": "bias",
            "x": self.frame["bias"].tolist(),
            "marker": {"symbol": "diamond", "size": 8, "color": REFERENCE},
        }
        return {
            "data": [*bars, total | common],
            "layout": layout(
                height=96 + 23 * max(len(rows), 4),
                barmode="relative",
                bargap=0.28,
                xaxis={"title": {"text": label("bias", self.unit)}},
                yaxis={
                    "tickvals": rows,
                    "ticktext": [plotly_text(text) for text in self.frame["label"]],
                    "range": [len(rows) - 0.4, -0.6],
                    "showgrid": False,
                    "zeroline": False,
                },
                shapes=[line("x", 0.0, "dot")],
            ),
        }

    def draw(self, canvas: Any) -> None:
        """Draw on an empty matplotlib figure."""
        axes = canvas.add_subplot()
        place = np.arange(len(self.frame))
        ends = {True: np.zeros(len(place)), False: np.zeros(len(place))}
        for column, name, colour, _, hatch in _PARTS:
            x = self.frame[column].fillna(0).to_numpy(float)
            left = np.where(x > 0, ends[True], ends[False])
            style = {"color": colour, "hatch": hatch, "edgecolor": "white", "linewidth": 0}
            axes.barh(place, x, left=left, height=0.72, label=name, **style)
            for positive in (True, False):
                ends[positive] += np.where((x > 0) == positive, x, 0)
        axes.scatter(self.frame["bias"], place, s=18, marker="D", color=REFERENCE, label="bias")
        draw_line(axes, "x", 0.0, "dot")
        axes.set(ylim=(len(place) - 0.4, -0.6), title=self.title)
        axes.set_yticks(place, self.frame["label"])
        axes.set_xlabel(label("bias", self.unit))
        axes.grid(visible=False, axis="y")
        legend_below(axes)


def bias_parts(bias: pd.DataFrame, unit: str = "") -> BiasParts:
    """Bars of the parts of the bias.

    Parameters
    ----------
    bias
        Rows of the table ``bias`` of one model, a row per task.
    unit
        Unit of the target.
    """
    found = (
        bias[bias["share_composition"].notna()] if "share_composition" in bias else bias.iloc[:0]
    )
    found = in_order(found.loc[found["bias"].abs().nlargest(_MOST).index])
    keys = list(zip(found[CRITERION].astype(str), found[HELD_OUT].astype(str), strict=True))
    frame = pd.DataFrame(keys, columns=[CRITERION, HELD_OUT])
    frame["bias"] = found["bias"].to_numpy(float)
    for part in ("composition", "structure"):
        values = found[f"bias_{part}"] if len(found) else pd.Series(dtype=float)
        frame[part] = values.to_numpy(float)
    frame["rest"] = frame["bias"] - frame["composition"] - frame["structure"]
    share = found["share_composition"] if len(found) else pd.Series(dtype=float)
    frame["share_composition"] = share.to_numpy(float)
    frame["label"] = [shorten(task_name(*key)) for key in keys]
    frame["task"] = [task_key(*key) for key in keys]
    largest = frame.reindex(frame["bias"].abs().nlargest(5).index).to_dict("records")
    named = [f"{row['label']} {signed(row['bias'])}" for row in largest]
    return BiasParts(
        name="bias-parts",
        title="Composition or structure",
        caption="Parts of the bias that a model of the residuals credits to descriptors of"
        " composition and of structure (mean SHAP values over the test materials). It is fitted to"
        " the test labels: an explanation, not a correction.",
        alt=f"Parts of the bias of {counted(len(frame), 'task')}."
        + (f" Largest: {listed(named)}." if named else ""),
        frame=frame,
        unit=unit,
    )


def _hover(row: Mapping[Any, Any], unit: str) -> str:
    name = plotly_text(task_name(row[CRITERION], row[HELD_OUT]))
    parts = [f"{words} {signed(row[column])}" for column, words, *_ in _PARTS]
    total = f"bias {signed(row['bias'])} {plotly_text(unit)}"
    share = f"{percent(row['share_composition'])} composition"
    return "<br>".join([f"<b>{name}</b> held out", total, *parts, share])
