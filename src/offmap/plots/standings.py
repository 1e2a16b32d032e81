"""How far out the audited materials lie, beside held-out materials of the training set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from offmap.plots.base import Drawn
from offmap.plots.marks import draw_line, legend_below, line
from offmap.plots.style import layout
from offmap.plots.words import percent

_SIDES = (("training", "held out of training", "#8a949e"), ("audited", "audited", "#d55e00"))
_N_BINS = 40


@dataclass(frozen=True, eq=False)
class Standings(Drawn):
    """Two histograms on one axis; the dashed line is the threshold."""

    def plotly(self) -> dict[str, Any]:
        """Steps of both shares."""
        return {
            "data": [
                {
                    "type": "scatter",
                    "mode": "lines",
                    "line": {"shape": "hvh", "color": colour},
                    "fill": "tozeroy",
                    "name": words,
                    "x": self.frame["standing"].tolist(),
                    "y": self.frame[name].tolist(),
                }
                for name, words, colour in _SIDES
            ],
            "layout": layout(
                height=320,
                xaxis={"title": {"text": "standing (1: threshold)"}},
                yaxis={"title": {"text": "share of materials"}, "rangemode": "tozero"},
                shapes=[line("x", 1.0)],
            ),
        }

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of the static figure, inches."""
        return 6.4, 3.0

    def draw(self, canvas: Any) -> None:
        """Draw on an empty matplotlib figure."""
        axes = canvas.add_subplot()
        x = self.frame["standing"].to_numpy(float)
        for name, words, colour in _SIDES:
            axes.fill_between(
                x, self.frame[name], step="mid", color=colour, alpha=0.45, linewidth=0, label=words
            )
            axes.step(x, self.frame[name], where="mid", color=colour, linewidth=1)
        draw_line(axes, "x", 1.0)
        axes.set(xlabel="standing (1: threshold)", ylabel="share of materials", title=self.title)
        axes.set_ylim(0)
        legend_below(axes)


def standings(audited: Sequence[float], training: Sequence[float]) -> Standings:
    """Histograms of standings.

    Parameters
    ----------
    audited, training
        Standings of the audited materials, and of held-out training materials.
    """
    sides = {"training": np.asarray(training, float), "audited": np.asarray(audited, float)}
    both = np.concatenate(list(sides.values()))
    low, high = float(np.quantile(both, 0.002)), float(both.max())
    edges = np.linspace(low, max(high, low + 1e-6, 1.2), _N_BINS + 1)
    frame = pd.DataFrame({"standing": (edges[1:] + edges[:-1]) / 2})
    for name, values in sides.items():
        counts = np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0]
        frame[name] = counts / max(len(values), 1)
    out = float((sides["audited"] > 1).mean())
    usual = float((sides["training"] > 1).mean())
    return Standings(
        name="standings",
        title="How far out",
        caption="Standing of each material: 0 is the median of held-out training materials, 1 the"
        " threshold that 5 % of them pass.",
        alt=f"{percent(out)} of the audited materials lie beyond the threshold, and"
        f" {percent(usual)} of held-out training materials.",
        frame=frame,
        unit="",
    )
