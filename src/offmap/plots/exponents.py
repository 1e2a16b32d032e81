"""Scaling exponents of many tasks: each with its interval, and how they are distributed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from offmap.columns import CRITERION, HELD_OUT
from offmap.plots.base import Drawn
from offmap.plots.curves import TESTS, Style, arms
from offmap.plots.marks import draw_line, label_width, legend_below, line
from offmap.plots.style import MUTED, layout
from offmap.plots.words import listed, plotly_text, signed, task_name

AXIS = "Exponent"
_MEANS = "Exponent: slope of log error against log size; negative is better."

# A page is long enough for so many tasks.
_MOST = 60
_FOREST = ("in_distribution", "held_out")
_ROW = 0.19  # inches
_VERDICTS = ("interpolation", "partial", "extrapolation")


@dataclass(frozen=True, eq=False)
class Forest(Drawn):
    """A row per task; in distribution and held out side by side, each with its interval."""

    @property
    def rows(self) -> list[str]:
        """Names of the tasks, from the bottom up."""
        return list(dict.fromkeys(self.frame["task"]))[::-1]

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of the static figure, inches."""
        return 6.4, 1.3 + _ROW * max(len(self.rows), 4)

    @property
    def margins(self) -> tuple[float, float, float, float]:
        """Space left, right, below and above the axes, inches."""
        return max(0.75, label_width(self.rows)), 0.15, 0.85, 0.35

    def plotly(self) -> dict[str, Any]:
        """Marks with intervals, tasks as categories."""
        traces = []
        for style, part in _styled(self.frame):
            below, above = arms(part, "exponent")
            traces.append(
                {
                    "type": "scatter",
                    "mode": "markers",
                    "name": style.words,
                    "x": part["exponent"].tolist(),
                    "y": [plotly_text(task) for task in part["task"]],
                    "error_x": {
                        "type": "data",
                        "symmetric": False,
                        "array": above.tolist(),
                        "arrayminus": below.tolist(),
                        "thickness": 1.2,
                    },
                    "marker": {"color": style.colour, "symbol": style.symbol, "size": 8},
                    "hovertext": [plotly_text(text) for text in part["verdict"]],
                    "hovertemplate": "%{y}: %{x:.2f}<br>%{hovertext}<extra></extra>",
                }
            )
        order = {"categoryorder": "array", "categoryarray": [plotly_text(r) for r in self.rows]}
        return {
            "data": traces,
            "layout": layout(
                height=120 + 20 * max(len(self.rows), 4),
                xaxis={"title": {"text": AXIS}, "zeroline": False},
                yaxis=order | {"type": "category"},
                shapes=[line("x", 0.0)],
            ),
        }

    def draw(self, canvas: Any) -> None:
        """Draw on an empty matplotlib figure."""
        axes = canvas.add_subplot()
        place = {task: i for i, task in enumerate(self.rows)}
        for shift, (style, part) in zip((0.14, -0.14), _styled(self.frame), strict=False):
            y = part["task"].map(place).to_numpy(float) + shift
            ends = arms(part, "exponent")
            hollow = {"markerfacecolor": "white"} if style.symbol.endswith("open") else {}
            look = {"color": style.colour, "marker": style.marker, "markersize": 4, "elinewidth": 1}
            axes.errorbar(
                part["exponent"].to_numpy(),
                y,
                xerr=ends,
                linestyle="none",
                label=style.words,
                **look,
                **hollow,
            )
        axes.set(title=self.title, xlabel=AXIS, ylim=(-0.7, max(len(self.rows), 1) - 0.3))
        axes.set_yticks(range(len(self.rows)), self.rows)
        axes.grid(axis="y", visible=False)
        draw_line(axes, "x", 0.0)
        legend_below(axes)


@dataclass(frozen=True, eq=False)
class Distribution(Drawn):
    """A row per verdict and test: a mark per task, and the median with its interval."""

    @property
    def rows(self) -> list[str]:
        """Names of the rows, from the bottom up."""
        return list(dict.fromkeys(self.frame["row"]))[::-1]

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of the static figure, inches."""
        return 6.4, 1.3 + 0.42 * max(len(self.rows), 2)

    @property
    def margins(self) -> tuple[float, float, float, float]:
        """Space left, right, below and above the axes, inches."""
        return max(0.75, label_width(self.rows)), 0.15, 0.6, 0.35

    @property
    def _places(self) -> list[float]:
        """Height of each mark, spread within its row."""
        at = {row: i for i, row in enumerate(self.rows)}
        order = self.frame.groupby("row")["exponent"].rank(method="first").to_numpy(int)
        spread = np.array([-0.2, 0.2, -0.07, 0.13, 0.0])[order % 5]
        heights: list[float] = (self.frame["row"].map(at).to_numpy(float) + spread).tolist()
        return heights

    def _medians(self) -> pd.DataFrame:
        medians = self.frame.drop_duplicates("row")
        at = {row: i for i, row in enumerate(self.rows)}
        return medians.assign(at=medians["row"].map(at).astype(float))

    def plotly(self) -> dict[str, Any]:
        """Marks over rows that are named on the axis."""
        frame = self.frame.assign(at=self._places)
        traces: list[dict[str, Any]] = []
        for style, part in _styled(frame, TESTS):
            marker = {"color": style.colour, "symbol": style.symbol, "size": 7, "opacity": 0.75}
            traces.append(
                {
                    "type": "scatter",
                    "mode": "markers",
                    "name": style.words,
                    "showlegend": False,
                    "x": part["exponent"].tolist(),
                    "y": part["at"].tolist(),
                    "marker": marker,
                    "hovertext": [plotly_text(task) for task in part["task"]],
                    "hovertemplate": "%{hovertext}: %{x:.2f}<extra></extra>",
                }
            )
        medians = self._medians()
        below, above = arms(medians, "median")
        spread = {"type": "data", "symmetric": False, "thickness": 2, "width": 6}
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": "median",
                "showlegend": False,
                "x": medians["median"].tolist(),
                "y": medians["at"].tolist(),
                "error_x": spread | {"array": above.tolist(), "arrayminus": below.tolist()},
                "marker": {"symbol": "line-ns-open", "size": 22, "color": "black"},
                "hovertemplate": "median %{x:.2f}<extra></extra>",
            }
        )
        ticks = {"tickvals": list(range(len(self.rows))), "ticktext": self.rows}
        return {
            "data": traces,
            "layout": layout(
                height=110 + 46 * max(len(self.rows), 2),
                xaxis={"title": {"text": AXIS}, "zeroline": False},
                yaxis=ticks | {"zeroline": False},
                shapes=[line("x", 0.0)],
            ),
        }

    def draw(self, canvas: Any) -> None:
        """Draw on an empty matplotlib figure."""
        axes = canvas.add_subplot()
        frame = self.frame.assign(at=self._places)
        for style, part in _styled(frame, TESTS):
            look = {"color": style.colour, "marker": style.marker, "s": 16, "alpha": 0.75}
            hollow = {"facecolors": "white"} if style.symbol.endswith("open") else {}
            axes.scatter(part["exponent"], part["at"], linewidths=0.8, **look, **hollow)
        medians = self._medians()
        ends = arms(medians, "median")
        look = {"color": "black", "marker": "|", "markersize": 16, "markeredgewidth": 2}
        axes.errorbar(
            medians["median"].to_numpy(),
            medians["at"].to_numpy(),
            xerr=ends,
            linestyle="none",
            **look,
        )
        axes.set(title=self.title, xlabel=AXIS, ylim=(-0.6, max(len(self.rows), 1) - 0.4))
        axes.set_yticks(range(len(self.rows)), self.rows)
        axes.tick_params(axis="y", colors=MUTED)
        axes.grid(axis="y", visible=False)
        draw_line(axes, "x", 0.0)


def exponent_forest(laws: pd.DataFrame, name: str = "exponents", curve: str = "size") -> Forest:
    """Exponents of each task in distribution and held out, the least helped first.

    Parameters
    ----------
    laws
        Rows of the table ``scaling_laws`` of one model.
    name
        File name.
    curve
        ``size`` or ``time``.
    """
    mine = laws[(laws["curve"] == curve) & laws["test"].isin(_FOREST)]
    mine = mine.assign(task=_tasks(mine))
    out = mine[mine["test"] == "held_out"].sort_values("exponent", ascending=False)
    shown = list(dict.fromkeys(out["task"]))[:_MOST]
    rank = {task: i for i, task in enumerate(shown)}
    mine = mine[mine["task"].isin(shown)]
    order = mine["task"].map(rank).sort_values(kind="stable").index
    columns = ["task", CRITERION, HELD_OUT, "test", "law", "exponent", "exponent_low",
               "exponent_high", "verdict"]  # fmt: skip
    frame = mine.loc[order, columns].reset_index(drop=True)
    rising = frame[(frame["test"] == "held_out") & (frame["exponent_low"] > 0)]["task"]
    left_out = out["task"].nunique() - len(shown)
    more = f" The {len(shown)} tasks that are helped least are shown." if left_out > 0 else ""
    what = "training materials" if curve == "size" else "rounds or epochs"
    return Forest(
        name=name,
        title=f"Scaling exponents over {what}",
        caption=f"{_MEANS} Over the last factor of ten, with its interval (resampled seeds, scatter"
        f" about the law, choice of law).{more}",
        alt=f"Exponents of {len(shown)} tasks; the error on the held-out group rises for"
        f" {listed(list(rising)) or 'none'}.",
        frame=frame,
        unit="",
    )


def exponent_distribution(
    laws: pd.DataFrame, exponents: pd.DataFrame, name: str = "exponents-all", curve: str = "size"
) -> Distribution:
    """How exponents are distributed over tasks, by domain verdict and test.

    Parameters
    ----------
    laws
        Rows of the table ``scaling_laws`` of one model, each with the domain verdict of its task
        (column ``domain``; empty where it is not known).
    exponents
        Rows of the table ``scaling_exponents`` of the same model.
    """
    words = {style.key: style.words for style in TESTS}
    parts = []
    for verdict in ("all", *_VERDICTS):
        mine = laws[laws["curve"] == curve]
        mine = mine if verdict == "all" else mine[mine["domain"] == verdict]
        parts.append(mine.assign(domain=verdict))
    frame = pd.concat(parts)
    order = {test: i for i, test in enumerate(words)}
    frame = frame.assign(task=_tasks(frame), rank=frame["test"].map(order))
    keys = ["curve", "domain", "test"]
    medians = exponents[[*keys, "median", "median_low", "median_high", "n_tasks"]]
    frame = frame.merge(medians, on=keys, how="inner")
    place = {verdict: i for i, verdict in enumerate(("all", *_VERDICTS))}
    frame = frame.assign(place=frame["domain"].map(place)).sort_values(["place", "rank"])
    named = [
        f"{'all tasks' if verdict == 'all' else verdict}: {words[test]}"
        for verdict, test in zip(frame["domain"], frame["test"], strict=True)
    ]
    frame = frame.assign(row=named)
    columns = ["row", "domain", "test", "task", "exponent", "exponent_low", "exponent_high",
               "median", "median_low", "median_high", "n_tasks"]  # fmt: skip
    frame = frame[columns].reset_index(drop=True)
    said = [
        f"{row['row']} {signed(row['median'])} ({row['n_tasks']} tasks)"
        for row in frame.drop_duplicates("row").to_dict("records")
    ]
    return Distribution(
        name=name,
        title="Scaling exponents over all tasks",
        caption=f"{_MEANS} A mark per task; bar: median with its interval (tasks resampled). Tasks"
        " are parted by their domain verdict; rows with fewer than 20 materials have no curve.",
        alt=f"Median exponents: {listed(said) or 'none'}.",
        frame=frame,
        unit="",
    )


def _styled(
    frame: pd.DataFrame, styles: tuple[Style, ...] = TESTS[:2]
) -> list[tuple[Style, pd.DataFrame]]:
    found = [(style, frame[frame["test"] == style.key]) for style in styles]
    return [(style, part) for style, part in found if len(part)]


def _tasks(frame: pd.DataFrame) -> list[str]:
    pairs = zip(frame[CRITERION].astype(str), frame[HELD_OUT].astype(str), strict=True)
    return [task_name(criterion, held_out) for criterion, held_out in pairs]
