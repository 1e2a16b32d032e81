"""Parts that several figures share: tasks as marks, and reference lines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from offmap.plots.outcomes import OUTCOMES
from offmap.plots.style import INK, REFERENCE
from offmap.plots.words import plotly_text

Hover = Callable[[Mapping[Any, Any]], str]

_MATPLOTLIB_SYMBOLS = {"circle": "o", "diamond": "D", "x": "x", "square": "s"}


def task_traces(tasks: pd.DataFrame, hover: Hover) -> list[dict[str, Any]]:
    """Tasks as plotly marks, a trace per outcome.

    Parameters
    ----------
    tasks
        ``x``, ``y``, ``outcome``, ``task`` (its key, for clicks) and ``named`` (text beside it).
    hover
        A row to what is shown on hovering.
    """
    traces = []
    for name, outcome in OUTCOMES.items():
        part = tasks[tasks["outcome"] == name]
        if not len(part):
            continue
        marker = {"color": outcome.colour, "symbol": outcome.symbol, "size": 8}
        traces.append(
            {
                "type": "scatter",
                "mode": "markers+text",
                "name": outcome.label,
                "x": part["x"].tolist(),
                "y": part["y"].tolist(),
                "marker": marker | {"opacity": 0.85},
                "text": [plotly_text(text) for text in part["named"]],
                "textposition": "top center",
                "textfont": {"size": 11},
                "customdata": part["task"].tolist(),
                "hovertext": [hover(row) for row in part.to_dict("records")],
                "hovertemplate": "%{hovertext}<extra></extra>",
            }
        )
    return traces


def draw_tasks(axes: Any, tasks: pd.DataFrame) -> None:
    """The same marks on matplotlib axes, with a legend below."""
    for name, outcome in OUTCOMES.items():
        part = tasks[tasks["outcome"] == name]
        if not len(part):
            continue
        marker = _MATPLOTLIB_SYMBOLS[outcome.symbol]
        style = {"s": 18, "marker": marker, "color": outcome.colour, "alpha": 0.85}
        axes.scatter(part["x"], part["y"], label=outcome.label, **style)
        for x, y, text in zip(part["x"], part["y"], part["named"], strict=True):
            if text:
                place = {"textcoords": "offset points", "ha": "center", "size": 7, "color": INK}
                axes.annotate(text, (x, y), (0, 4), **place)
    legend_below(axes)


def mae_whiskers(part: pd.DataFrame) -> dict[str, Any]:
    """Whiskers of ``mae`` from ``mae_low`` to ``mae_high``, for plotly."""
    return {
        "type": "data",
        "symmetric": False,
        "array": (part["mae_high"] - part["mae"]).tolist(),
        "arrayminus": (part["mae"] - part["mae_low"]).tolist(),
        "thickness": 1,
    }


def label_width(labels: Iterable[str]) -> float:
    """About how wide the longest of some labels is, inches."""
    return 0.25 + 0.075 * min(max((len(text) for text in labels), default=0), 32)


def legend_below(axes: Any) -> None:
    """A legend under the axes, if there is anything to explain."""
    if axes.get_legend_handles_labels()[0]:
        axes.figure.legend(loc="lower center", ncols=4, fontsize=8)


def log_ticks(values: Any) -> list[float]:
    """Round places on a logarithmic axis around some positive values."""
    x = np.asarray(values, dtype=float)
    x = x[np.isfinite(x)]
    if not len(x):
        return [1.0, 2.0]
    steps = (1, 1.5, 2, 3, 4, 5, 7) if x.max() < 8 * x.min() else (1, 2, 5)
    places = [m * 10.0**e for e in range(-6, 9) for m in steps]
    return [p for p in places if x.min() * 0.8 <= p <= x.max() * 1.25]


def draw_log_axis(axis: Any, ticks: list[float]) -> None:
    """Plain numbers on a logarithmic matplotlib axis."""
    from matplotlib.ticker import NullFormatter

    axis.set_ticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.set_minor_formatter(NullFormatter())


def plotly_log_axis(ticks: list[float]) -> dict[str, Any]:
    """The same for plotly."""
    return {"type": "log", "tickvals": ticks, "ticktext": [f"{tick:g}" for tick in ticks]}


def line(axis: str, at: float, dash: str = "dash", colour: str = REFERENCE) -> dict[str, Any]:
    """A plotly line across the whole plot at one place of an axis (``"x"`` or ``"y"``)."""
    across = "y" if axis == "x" else "x"
    return {
        "type": "line",
        f"{axis}0": at,
        f"{axis}1": at,
        f"{across}ref": "paper",
        f"{across}0": 0,
        f"{across}1": 1,
        "line": {"color": colour, "width": 1, "dash": dash},
    }


def draw_line(axes: Any, axis: str, at: float, dash: str = "dash", colour: str = REFERENCE) -> None:
    """The same line on matplotlib axes."""
    style = {"color": colour, "linewidth": 0.9, "linestyle": {"dash": "--", "dot": ":"}[dash]}
    (axes.axvline if axis == "x" else axes.axhline)(at, **style)
