"""Error against training size: whether more data helps the held-out group as it helps others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from offmap.columns import CRITERION, HELD_OUT, N_TRAIN, label
from offmap.plots.base import Drawn
from offmap.plots.marks import (
    draw_log_axis,
    legend_below,
    log_ticks,
    plotly_log_axis,
)
from offmap.plots.style import INK, layout
from offmap.plots.words import listed, number, task_name

# Name of the test, words, colour, symbol of plotly and of matplotlib, dash.
_TESTS = (
    ("in_distribution", "in distribution", INK, "diamond-open", "D", "dot"),
    ("held_out", "held out", "#d55e00", "circle", "o", "solid"),
    ("held_out_in_domain", "held out, in domain", "#0072b2", "triangle-up", "^", "dash"),
    ("held_out_out_of_domain", "held out, out of domain", "#cc79a7", "square", "s", "dash"),
)
_DASHES = {"dot": ":", "solid": "-", "dash": "--"}


@dataclass(frozen=True, eq=False)
class SizeCurves(Drawn):
    """Mean over seeds at each size, with the smallest and largest seed."""

    @property
    def narrow(self) -> bool:
        """Whether the figure is easier to read when it does not fill a wide page."""
        return True

    def plotly(self) -> dict[str, Any]:
        """A line per test on logarithmic axes."""
        traces = []
        for test, name, colour, symbol, _, dash in _TESTS:
            part = self.frame[self.frame["test"] == test]
            if not len(part):
                continue
            spread = {
                "type": "data",
                "symmetric": False,
                "array": (part["mae_high"] - part["mae"]).tolist(),
                "arrayminus": (part["mae"] - part["mae_low"]).tolist(),
                "thickness": 1,
            }
            traces.append(
                {
                    "type": "scatter",
                    "mode": "lines+markers",
                    "name": name,
                    "x": part[N_TRAIN].tolist(),
                    "y": part["mae"].tolist(),
                    "error_y": spread,
                    "line": {"color": colour, "dash": dash, "width": 1.8},
                    "marker": {"symbol": symbol, "size": 8},
                    "hovertemplate": f"{name}<br>%{{x}} materials: %{{y:.3~g}}<extra></extra>",
                }
            )
        return {
            "data": traces,
            "layout": layout(
                height=380,
                xaxis=plotly_log_axis(log_ticks(self.frame[N_TRAIN]))
                | {"title": {"text": "Training materials"}},
                yaxis=plotly_log_axis(log_ticks(self.frame["mae"]))
                | {"title": {"text": label("mae", self.unit)}},
            ),
        }

    def draw(self, canvas: Any) -> None:
        """Draw on an empty matplotlib figure."""
        axes = canvas.add_subplot()
        axes.set(xscale="log", yscale="log", title=self.title)
        axes.set(xlabel="Training materials", ylabel=label("mae", self.unit))
        for test, name, colour, _, marker, dash in _TESTS:
            part = self.frame[self.frame["test"] == test]
            if not len(part):
                continue
            ends = [part["mae"] - part["mae_low"], part["mae_high"] - part["mae"]]
            style = {"color": colour, "marker": marker, "linestyle": _DASHES[dash]}
            axes.errorbar(part[N_TRAIN], part["mae"], ends, label=name, markersize=4, **style)
        draw_log_axis(axes.xaxis, log_ticks(self.frame[N_TRAIN]))
        draw_log_axis(axes.yaxis, log_ticks(self.frame["mae"]))
        legend_below(axes)


def size_curves(
    scaling: pd.DataFrame, criterion: str, held_out: str, unit: str = "", name: str = "scaling"
) -> SizeCurves:
    """Error against training size for one task.

    Parameters
    ----------
    scaling
        Rows of the table ``scaling`` of one model.
    criterion, held_out
        The task.
    unit
        Unit of the target.
    name
        File name.
    """
    mine = scaling[
        (scaling[CRITERION].astype(str) == criterion) & (scaling[HELD_OUT].astype(str) == held_out)
    ]
    by_size = mine.groupby(["test", N_TRAIN], observed=True)["mae"]
    frame = by_size.agg(mae="mean", mae_low="min", mae_high="max", n_seeds="size").reset_index()
    ends = []
    for test, words, *_ in _TESTS:
        mae = frame.loc[frame["test"].astype(str) == test, "mae"]
        if len(mae):
            ends.append(f"{words} from {number(mae.iloc[0])} to {number(mae.iloc[-1])}")
    task = task_name(criterion, held_out)
    return SizeCurves(
        name=name,
        title=f"{task} held out: error against training size",
        caption="Means over seeds; whiskers: smallest and largest seed. Logarithmic axes: a"
        " straight line downward is a power law.",
        alt=f"MAE against training size with {task} held out: {listed(ends) or 'no curve'}.",
        frame=frame,
        unit=unit,
    )
