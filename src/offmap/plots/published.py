"""What the published procedure shows: errors of both sides, and the error against the density."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from offmap.columns import CRITERION, HELD_OUT, label
from offmap.plots.base import Drawn
from offmap.plots.marks import legend_below
from offmap.plots.style import INK, layout
from offmap.plots.words import number, percent, plotly_text, shorten, task_key, task_name

SHOWN = (
    "element/O",
    "period/5",
    "n_elements/>4",
    "crystal_system/triclinic",
    "point_group/m-3m",
)
"""Tasks of the study's own figures; they are drawn first."""

_SIDES = {
    "all": ("all test materials", INK, "diamond", "D"),
    "in": ("called in domain", "#0072b2", "circle", "o"),
    "out": ("called out of domain", "#d55e00", "x", "x"),
}
_COLOURS = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#8a6d3b")
_DASHES = ("solid", "dash", "dot", "dashdot")
_LINES = {"solid": "-", "dash": "--", "dot": ":", "dashdot": "-."}
_MOST_TASKS, _MOST_CURVES = 15, 8
_CUT = 1e-3
# Densities fall to zero far from everything: bins below this one are drawn as one point at it.
_FLOOR = 1e-6
_MARK = "Uses test rows: scaler and map were fitted on them too."


@dataclass(frozen=True, eq=False)
class Sides(Drawn):
    """Error of all test materials of a task, and of those called in and out of domain."""

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of the static figure, inches."""
        return 6.4, 1.6 + 0.28 * self.frame["task"].nunique()

    @property
    def margins(self) -> tuple[float, float, float, float]:
        """Space left, right, below and above the axes, inches."""
        return 2.0, 0.15, 0.95, 0.35

    def plotly(self) -> dict[str, Any]:
        """A trace per side, with the number of materials on hovering."""
        traces = []
        for side, (words, colour, symbol, _) in _SIDES.items():
            part = self.frame[self.frame["side"] == side]
            traces.append(
                {
                    "type": "scatter",
                    "mode": "markers",
                    "name": words,
                    "x": part["mae"].tolist(),
                    "y": [plotly_text(task) for task in part["task"]],
                    "customdata": part[["n", "r2"]].to_numpy().tolist(),
                    "marker": {"color": colour, "symbol": symbol, "size": 10},
                    "hovertemplate": f"%{{y}}<br>{words}: %{{x:.3~g}} (R² %{{customdata[1]:.2f}},"
                    " %{customdata[0]:,} materials)<extra></extra>",
                }
            )
        axes = {
            "xaxis": {"title": {"text": label("mae", self.unit)}, "rangemode": "tozero"},
            "yaxis": {"autorange": "reversed", "automargin": True, "title": {"text": ""}},
        }
        height = 160 + 28 * self.frame["task"].nunique()
        return {"data": traces, "layout": layout(height=height, **axes)}

    def draw(self, canvas: Any) -> None:
        """Draw on an empty matplotlib figure."""
        axes = canvas.add_subplot()
        axes.set(title=self.title, xlabel=label("mae", self.unit))
        tasks = self.frame["task"].drop_duplicates().tolist()
        for side, (words, colour, _, marker) in _SIDES.items():
            part = self.frame[self.frame["side"] == side]
            rows = [tasks.index(task) for task in part["task"]]
            axes.scatter(part["mae"], rows, s=34, c=colour, marker=marker, label=words, zorder=3)
        axes.set_yticks(range(len(tasks)), [shorten(task, 26) for task in tasks])
        axes.set_ylim(len(tasks) - 0.5, -0.5)
        axes.set_xlim(left=0)
        legend_below(axes)


@dataclass(frozen=True, eq=False)
class DensityCurves(Drawn):
    """Mean error of materials against the density of training materials around them."""

    def lines(self) -> list[tuple[str, str, str, pd.DataFrame]]:
        """Words, colour, dash and points of each task."""
        found = []
        for i, (task, part) in enumerate(self.frame.groupby("task", sort=False)):
            colour, dash = _COLOURS[i % len(_COLOURS)], _DASHES[i % len(_DASHES)]
            found.append((str(task), colour, dash, part))
        return found

    def plotly(self) -> dict[str, Any]:
        """Lines over a logarithmic axis, with the cut."""
        traces = [
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": plotly_text(words),
                "x": part["drawn"].tolist(),
                "y": part["mae"].tolist(),
                "customdata": part["n"].tolist(),
                "line": {"color": colour, "dash": dash, "width": 2},
                "marker": {"size": 5},
                "hovertemplate": f"{plotly_text(words)}: %{{y:.3~g}} at density %{{x:.2~g}},"
                " %{customdata:,} materials<extra></extra>",
            }
            for words, colour, dash, part in self.lines()
        ]
        axes = {
            "xaxis": {"type": "log", "title": {"text": _AXIS}, "exponentformat": "power"},
            "yaxis": {"title": {"text": label("mae", self.unit)}, "rangemode": "tozero"},
        }
        cut = {"type": "line", "x0": _CUT, "x1": _CUT, "yref": "paper", "y0": 0, "y1": 1}
        cut["line"] = {"color": INK, "width": 1, "dash": "dot"}
        return {"data": traces, "layout": layout(height=420, shapes=[cut], **axes)}

    def draw(self, canvas: Any) -> None:
        """Draw on an empty matplotlib figure."""
        axes = canvas.add_subplot()
        axes.set(title=self.title, xlabel=_AXIS, ylabel=label("mae", self.unit), xscale="log")
        for words, colour, dash, part in self.lines():
            axes.plot(
                part["drawn"], part["mae"], color=colour, linestyle=_LINES[dash], marker=".",
                linewidth=1.2, label=words,
            )  # fmt: skip
        axes.axvline(_CUT, color=INK, linestyle=":", linewidth=0.8)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.set_ylim(bottom=0)
        legend_below(axes)


_AXIS = "Density of training materials on the map"


def sides(tasks: pd.DataFrame, unit: str = "", series: str = "") -> Sides:
    """Errors of all, in-domain and out-of-domain test materials.

    Parameters
    ----------
    tasks
        The table ``domain_faithful`` of one model.
    unit
        Unit of the target.
    series
        The model.
    """
    chosen, left_out = _chosen(tasks, _MOST_TASKS)
    rows = []
    for row in chosen.to_dict("records"):
        for side, suffix in (("all", ""), ("in", "_in"), ("out", "_out")):
            n = row["n_test"] if side == "all" else row[f"n_{side}"]
            names = {CRITERION: row[CRITERION], HELD_OUT: row[HELD_OUT], "task": row["task"]}
            values = {"n": int(n), "mae": row[f"mae{suffix}"], "r2": row[f"r2{suffix}"]}
            rows.append(names | {"side": side} | values)
    worse = float((chosen["mae_out"] > chosen["mae_in"]).mean()) if len(chosen) else 0.0
    first = chosen.iloc[0] if len(chosen) else None
    says = "" if first is None else (
        f" Leaving out {first['task']}: {number(first['mae_in'])} in domain and"
        f" {number(first['mae_out'])} out, {percent(first['coverage'])} in domain."
    )  # fmt: skip
    return Sides(
        name="published-domain",
        title="The published verdict: errors in and out of domain",
        caption=f"Density of training materials on a joint map, in domain above {_CUT:g}. {_MARK}"
        + _more(left_out) + f" Model {series}.",
        alt="Mean absolute error of all test materials and of those called in and out of domain,"
        f" for {len(chosen)} tasks; larger out of domain in {percent(worse)} of them.{says}",
        frame=pd.DataFrame(rows),
        unit=unit,
    )  # fmt: skip


def density_curves(curves: pd.DataFrame, tasks: pd.DataFrame, unit: str = "", series: str = ""
) -> DensityCurves:  # fmt: skip
    """Error against the density of training materials, a line per task.

    Parameters
    ----------
    curves, tasks
        The tables ``domain_faithful_density`` and ``domain_faithful`` of one model.
    unit
        Unit of the target.
    series
        The model.
    """
    chosen, left_out = _chosen(tasks, _MOST_CURVES)
    keys = [CRITERION, HELD_OUT]
    frame = chosen[[*keys, "task"]].merge(curves.astype(dict.fromkeys(keys, str)), on=keys)
    frame["drawn"] = np.maximum(frame["density"], _FLOOR)
    parts = frame.assign(sum=frame["mae"] * frame["n"]).groupby(
        [*keys, "task", "drawn"], sort=False
    )
    frame = parts.agg(density=("density", "max"), sum=("sum", "sum"), n=("n", "sum")).reset_index()
    frame["mae"] = frame.pop("sum") / frame["n"]
    errors = [part["mae"].to_numpy(float) for _, part in frame.groupby("task")]
    falls = sum(float(mae[0]) > float(mae[-1]) for mae in errors)
    return DensityCurves(
        name="error-density",
        title="The published procedure: error against density",
        caption="Test materials in bins of equal number, from the emptiest place to the densest;"
        f" those below {_FLOOR:g} are one point; the dotted line is the cut. {_MARK}"
        + _more(left_out) + f" Model {series}.",
        alt="Mean absolute error against the density of training materials, a line per task; the"
        f" emptiest bin has a larger error than the densest in {falls} of {len(errors)} tasks.",
        frame=frame,
        unit=unit,
    )  # fmt: skip


def _chosen(tasks: pd.DataFrame, most: int) -> tuple[pd.DataFrame, int]:
    """Tasks that are drawn, those of the study first and then the worst; how many are not."""
    found = tasks.astype({CRITERION: str, HELD_OUT: str}).dropna(subset="mae")
    pairs = list(zip(found[CRITERION], found[HELD_OUT], strict=True))
    keys = [task_key(*pair) for pair in pairs]
    found = found.assign(task=[task_name(*pair) for pair in pairs])
    found["place"] = [SHOWN.index(key) if key in SHOWN else len(SHOWN) for key in keys]
    found = found.sort_values(["place", "mae"], ascending=[True, False], kind="stable")
    return found.head(most).reset_index(drop=True), max(len(found) - most, 0)


def _more(left_out: int) -> str:
    if not left_out:
        return ""
    return (
        f" Tasks of the study's figures, then those of largest error; {left_out:,} are not shown."
    )
