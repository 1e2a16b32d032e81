"""How the errors of one test set are distributed, beside its in-distribution control."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from offmap.columns import Y_PRED, Y_TRUE
from offmap.plots.base import Drawn
from offmap.plots.marks import draw_line, line
from offmap.plots.style import INK, MUTED, layout
from offmap.plots.words import counted, signed

_MARKED = "#d55e00"

# Column, name, colour, dash, fill.
_CURVES = (
    ("held_out_share", "held out", _MARKED, "solid", "tozeroy"),
    ("in_distribution_share", "in distribution", INK, "dot", "none"),
)


@dataclass(frozen=True, eq=False)
class ErrorDistribution(Drawn):
    """Share of test materials per error, held out and in distribution.

    Parameters
    ----------
    bias
        Mean signed error of the task.
    """

    bias: float

    @property
    def margins(self) -> tuple[float, float, float, float]:
        """Space left, right, below and above the axes, inches."""
        return 0.6, 0.15, 0.5, 0.35

    def plotly(self) -> dict[str, Any]:
        """Two stepped lines and the bias."""
        traces = [
            {
                "type": "scatter",
                "mode": "lines",
                "name": name,
                "x": self.frame["error"].tolist(),
                "y": (100 * self.frame[column]).tolist(),
                "fill": fill,
                "fillcolor": "rgba(213,94,0,0.18)",
                "line": {"shape": "hvh", "color": colour, "dash": dash, "width": 1.8},
                "hovertemplate": "error %{x:.3f}: %{y:.1f} %<extra>" + name + "</extra>",
            }
            for column, name, colour, dash, fill in _CURVES
            if column in self.frame
        ]
        note = {
            "x": self.bias,
            "y": 1,
            "yref": "paper",
            "text": f"bias {signed(self.bias)}",
            "showarrow": False,
            "xanchor": "left",
            "yanchor": "top",
            "font": {"size": 11, "color": INK},
        }
        known = math.isfinite(self.bias)
        return {
            "data": traces,
            "layout": layout(
                height=280,
                xaxis={"title": {"text": _with_unit("Error, predicted − reference", self.unit)}},
                yaxis={"title": {"text": "Share of materials (%)"}, "rangemode": "tozero"},
                shapes=[line("x", 0.0, "dot", MUTED)]
                + ([line("x", self.bias, "dash", _MARKED)] if known else []),
                annotations=[note] if known else [],
            ),
        }

    def draw(self, canvas: Any) -> None:
        """Draw on an empty matplotlib figure."""
        axes = canvas.add_subplot()
        x = self.frame["error"]
        for column, name, colour, dash, fill in _CURVES:
            if column in self.frame:
                y = 100 * self.frame[column]
                axes.step(
                    x,
                    y,
                    where="mid",
                    color=colour,
                    label=name,
                    linestyle={"dot": ":"}.get(dash, "-"),
                )
                if fill != "none":
                    axes.fill_between(x, y, step="mid", color=colour, alpha=0.18)
        draw_line(axes, "x", 0.0, "dot", MUTED)
        if math.isfinite(self.bias):
            draw_line(axes, "x", self.bias, "dash", _MARKED)
        axes.set(xlabel=_with_unit("Error, predicted − reference", self.unit))
        axes.set(ylabel="Share of materials (%)", title=self.title, ylim=(0, None))
        axes.legend(fontsize=8)


def error_distribution(
    predictions: pd.DataFrame,
    reference: pd.DataFrame | None = None,
    unit: str = "",
    title: str = "Errors",
    name: str = "errors",
) -> ErrorDistribution:
    """How errors are distributed, held out and (where it is given) in distribution.

    Parameters
    ----------
    predictions
        ``y_true`` and ``y_pred`` of the task.
    reference
        The same of the random folds, over the same materials.
    unit
        Unit of the target.
    title, name
        Heading and file name.
    """
    errors = {"held_out_share": (predictions[Y_PRED] - predictions[Y_TRUE]).to_numpy(float)}
    if reference is not None and len(reference):
        inside = (reference[Y_PRED] - reference[Y_TRUE]).to_numpy(float)
        errors["in_distribution_share"] = inside
    joined = np.concatenate([e[np.isfinite(e)] for e in errors.values()])
    edges = _edges(joined)
    frame = pd.DataFrame({"error": (edges[:-1] + edges[1:]) / 2})
    for column, values in errors.items():
        frame[column] = np.histogram(values, edges)[0] / max(len(values), 1)
    held_out = errors["held_out_share"]
    outside = int(((held_out < edges[0]) | (held_out > edges[-1])).sum())
    beyond = f" {counted(outside, 'held-out error')} outside the axis." if outside else ""
    bias = float(held_out.mean()) if len(held_out) else math.nan
    return ErrorDistribution(
        name=name,
        title=title,
        caption=f"Dashed: bias of the task. Dotted line: in-distribution control.{beyond}",
        alt=f"Distribution of {counted(len(held_out), 'error')}: bias {signed(bias)} {unit}.",
        frame=frame,
        unit=unit,
        bias=bias,
    )


def _edges(errors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bins over the middle 99 % of the errors, zero always inside."""
    if not len(errors):
        return np.linspace(-1, 1, 41)
    low, high = np.quantile(errors, [0.005, 0.995])
    low, high = min(low, 0.0), max(high, 0.0)
    pad = 0.02 * (high - low) or 1.0
    edges: NDArray[np.float64] = np.linspace(low - pad, high + pad, 41)
    return edges


def _with_unit(text: str, unit: str) -> str:
    return f"{text} ({unit})" if unit else text
