"""What a few labelled materials of a held-out group mend: error against number of labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from offmap.columns import CRITERION, HELD_OUT, label
from offmap.plots.base import Drawn
from offmap.plots.marks import (
    draw_line,
    draw_log_axis,
    legend_below,
    line,
    mae_whiskers,
    plotly_log_axis,
)
from offmap.plots.style import INK, layout
from offmap.plots.words import listed, number, task_name

NOTHING = "none"

# Remedy, words, colour, symbol of plotly and of matplotlib.
_REMEDIES = (
    ("offset", "offset", "#d55e00", "circle", "o"),
    ("line", "line", "#e69f00", "triangle-up", "^"),
    ("residual", "residual model", "#0072b2", "square", "s"),
    ("retrain", "retrained", "#009e73", "diamond", "D"),
)

CHOICES = {
    "random": "labelled at random",
    "out_of_domain": "most out-of-domain first",
    "diverse": "most diverse first",
}
"""Which materials are labelled first, in words."""


@dataclass(frozen=True, eq=False)
class RescueCurves(Drawn):
    """A line per remedy, with the middle of the draws; what nothing and what the folds give.

    Parameters
    ----------
    untouched
        MAE without labels.
    inside
        MAE in distribution over the same materials; NaN where unknown.
    """

    untouched: float = float("nan")
    inside: float = float("nan")

    @property
    def narrow(self) -> bool:
        """Whether the figure is easier to read when it does not fill a wide page."""
        return True

    @property
    def levels(self) -> list[tuple[float, str, str]]:
        """Horizontal lines: where, how dashed, in words."""
        both = ((self.untouched, "dot", "without labels"), (self.inside, "dash", "in distribution"))
        return [level for level in both if level[0] == level[0]]

    def plotly(self) -> dict[str, Any]:
        """A trace per remedy; labels on a logarithmic axis."""
        traces = []
        for remedy, name, colour, symbol, _ in _REMEDIES:
            part = self.frame[self.frame["remedy"] == remedy]
            if not len(part):
                continue
            traces.append(
                {
                    "type": "scatter",
                    "mode": "lines+markers",
                    "name": name,
                    "x": part["n_labelled"].tolist(),
                    "y": part["mae"].tolist(),
                    "error_y": mae_whiskers(part),
                    "line": {"color": colour, "width": 1.8},
                    "marker": {"symbol": symbol, "size": 8},
                    "hovertemplate": f"{name}<br>%{{x}} labels: %{{y:.3~g}}<extra></extra>",
                }
            )
        note = {"xref": "paper", "x": 1, "xanchor": "right", "yanchor": "bottom"}
        note |= {"showarrow": False, "font": {"size": 11}}
        return {
            "data": traces,
            "layout": layout(
                height=380,
                shapes=[line("y", at, dash) for at, dash, _ in self.levels],
                annotations=[note | {"y": at, "text": text} for at, _, text in self.levels],
                xaxis=plotly_log_axis(self._ticks)
                | {"title": {"text": "Labelled materials of the group"}},
                yaxis={"title": {"text": label("mae", self.unit)}, "rangemode": "tozero"},
            ),
        }

    def draw(self, canvas: Any) -> None:
        """Draw on an empty matplotlib figure."""
        axes = canvas.add_subplot()
        axes.set(xscale="log", title=self.title)
        axes.set(xlabel="Labelled materials of the group", ylabel=label("mae", self.unit))
        for remedy, name, colour, _, marker in _REMEDIES:
            part = self.frame[self.frame["remedy"] == remedy]
            if not len(part):
                continue
            ends = [part["mae"] - part["mae_low"], part["mae_high"] - part["mae"]]
            style = {"color": colour, "marker": marker, "markersize": 4}
            axes.errorbar(part["n_labelled"], part["mae"], ends, label=name, **style)
        for at, dash, text in self.levels:
            draw_line(axes, "y", at, dash)
            place = {"textcoords": "offset points", "ha": "right", "size": 7, "color": INK}
            axes.annotate(text, (1, at), (0, 2), xycoords=("axes fraction", "data"), **place)
        draw_log_axis(axes.xaxis, self._ticks)
        axes.set_ylim(bottom=0)
        legend_below(axes)

    @property
    def _ticks(self) -> list[float]:
        return sorted({float(n) for n in self.frame["n_labelled"]})


def rescue_curves(
    rescue: pd.DataFrame,
    criterion: str,
    held_out: str,
    choice: str = "random",
    unit: str = "",
    name: str = "rescue",
) -> RescueCurves:
    """Error on the untouched half of a group against how many of the other half are labelled.

    Parameters
    ----------
    rescue
        Rows of the table ``rescue`` of one model.
    criterion, held_out
        The task.
    choice
        Which materials are labelled first, a key of :data:`CHOICES`.
    unit
        Unit of the target.
    name
        File name.
    """
    mine = rescue[
        (rescue[CRITERION].astype(str) == criterion)
        & (rescue[HELD_OUT].astype(str) == held_out)
        & (rescue["choice"].astype(str) == choice)
    ]
    nothing = mine[mine["remedy"] == NOTHING]
    columns = ["choice", "remedy", "n_labelled", "mae", "mae_low", "mae_high", "n_draws", "reached"]
    frame = mine.loc[mine["n_labelled"] > 0, columns].reset_index(drop=True)
    task = task_name(criterion, held_out)
    known = dict(zip(frame["remedy"], frame["reached"], strict=True))
    ends = [f"{words} {known[r]}" for r, words, *_ in _REMEDIES if r in known]
    untouched = float(nothing["mae"].iloc[0]) if len(nothing) else float("nan")
    inside = float(nothing["mae_in_distribution"].iloc[0]) if len(nothing) else float("nan")
    return RescueCurves(
        name=name,
        title=f"{task} held out: what labels mend, {CHOICES[choice]}",
        caption="Error on the half of the group that is never labelled; means over draws, whiskers"
        " the middle of them. Dashed: the error of the random folds over the same materials.",
        alt=f"MAE with {task} held out against labelled materials, {CHOICES[choice]}: without"
        f" labels {number(untouched)}, in distribution {number(inside)}; {listed(ends)}.",
        frame=frame,
        unit=unit,
        untouched=untouched,
        inside=inside,
    )
