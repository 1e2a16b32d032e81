"""What R² hides: the error beyond that of a matched control, against R²."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from offmap.columns import CRITERION, HELD_OUT, label
from offmap.plots.base import Drawn
from offmap.plots.marks import legend_below
from offmap.plots.style import INK, layout
from offmap.plots.words import number, plotly_text, task_name

_COLOUR, _QUIET = "#d55e00", "#8a949e"


@dataclass(frozen=True, eq=False)
class MatchedGaps(Drawn):
    """A mark per task: R² across, the gap to the matched control up, with its interval."""

    @property
    def narrow(self) -> bool:
        """Whether the figure is easier to read when it does not fill a wide page."""
        return True

    def sides(self) -> list[tuple[str, str, pd.DataFrame]]:
        """Words, colour and rows of tasks with and without a gap."""
        gap = self.frame["matched_gap_low"] > 0
        return [
            ("worse than its control", _COLOUR, self.frame[gap]),
            ("not told apart from it", _QUIET, self.frame[~gap]),
        ]

    def plotly(self) -> dict[str, Any]:
        """A trace per side, with names and intervals on hovering."""
        traces = []
        for words, colour, part in self.sides():
            gap = part["matched_gap"]
            hover = [
                f"<b>{plotly_text(row.task)}</b><br>R² {number(row.r2)}, of the control"
                f" {number(row.r2_matched)}<br>MAE {number(row.mae)}, of the control"
                f" {number(row.mae_matched)}"
                for row in part.itertuples()
            ]
            traces.append(
                {
                    "type": "scatter",
                    "mode": "markers",
                    "name": words,
                    "x": part["r2"].tolist(),
                    "y": gap.tolist(),
                    "error_y": {
                        "type": "data",
                        "symmetric": False,
                        "array": (part["matched_gap_high"] - gap).tolist(),
                        "arrayminus": (gap - part["matched_gap_low"]).tolist(),
                        "width": 0,
                        "thickness": 1,
                    },
                    "marker": {"color": colour, "size": 7},
                    "hovertext": hover,
                    "hovertemplate": "%{hovertext}<extra></extra>",
                }
            )
        axes = {
            "xaxis": {"title": {"text": label("r2")}},
            "yaxis": {"title": {"text": label("matched_gap", self.unit)}},
        }
        return {"data": traces, "layout": layout(height=400, **axes)}

    def draw(self, canvas: Any) -> None:
        """Draw on an empty matplotlib figure."""
        axes = canvas.add_subplot()
        axes.set(title=self.title, xlabel=label("r2"), ylabel=label("matched_gap", self.unit))
        for words, colour, part in self.sides():
            gap = part["matched_gap"]
            low, high = part["matched_gap_low"], part["matched_gap_high"]
            ends = np.stack([gap - low, high - gap])
            axes.errorbar(
                part["r2"].to_numpy(), gap.to_numpy(), yerr=ends, fmt="o", color=colour,
                markersize=3.5, linewidth=0.7, label=words,
            )  # fmt: skip
        axes.axhline(0, color=INK, linewidth=0.8)
        legend_below(axes)


def matched_gaps(tasks: pd.DataFrame, unit: str = "", series: str = "") -> MatchedGaps:
    """Gap to the matched control against R².

    Parameters
    ----------
    tasks
        Rows of ``verdicts`` of one model, random folds left out.
    unit
        Unit of the target.
    series
        The model.
    """
    names = ["r2", "r2_matched", "mae", "mae_matched", "std", "std_matched"]
    names += ["matched_gap", "matched_gap_low", "matched_gap_high"]
    frame = tasks.astype({CRITERION: str, HELD_OUT: str}).dropna(subset=names)
    words = [task_name(*pair) for pair in zip(frame[CRITERION], frame[HELD_OUT], strict=True)]
    frame = frame.assign(task=words)[[CRITERION, HELD_OUT, "task", *names]].reset_index(drop=True)
    high = frame[(frame["r2"] > 0.95) & (frame["matched_gap_low"] > 0)]
    return MatchedGaps(
        name="matched-gap",
        title="What R² hides",
        caption="Each task beside in-distribution materials with the same number, spread of labels"
        " and families of elements, which the model predicted in the random folds; bars are the"
        f" paired interval of the gap. Model {series}.",
        alt=f"MAE beyond that of a matched control against R², for {len(frame)} tasks;"
        f" {len(high)} tasks with R² above 0.95 are worse than their control.",
        frame=frame,
        unit=unit,
    )
