"""How the parts of the error spread over the materials of each held-out group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from offmap.columns import CRITERION, HELD_OUT
from offmap.plots.base import Drawn
from offmap.plots.marks import draw_line, label_width, legend_below, line
from offmap.plots.style import REFERENCE, layout
from offmap.plots.words import (
    counted,
    in_order,
    listed,
    plotly_text,
    shorten,
    signed,
    task_key,
    task_name,
)

# Part, colour, side of the middle of its row (plotly and matplotlib count rows downward).
_PARTS = (("composition", "#0072b2", -1), ("structure", "#e69f00", 1))

# Tasks that are drawn, materials a density is estimated from, places it is drawn at.
_MOST, _SAMPLE, _PLACES = 30, 2000, 41

_HALF = 0.42  # height of one side, rows


@dataclass(frozen=True, eq=False)
class BiasViolins(Drawn):
    """A row per task: composition above its middle, structure below, with their means.

    ``frame`` has a row per task, part and place: ``x``, ``density`` (1 at its highest), ``mean``.
    """

    @property
    def tasks(self) -> pd.DataFrame:
        """The tasks in the order they are drawn."""
        return self.frame.drop_duplicates("task").reset_index(drop=True)

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of the static figure, inches."""
        return 6.4, 1.3 + 0.34 * max(len(self.tasks), 1)

    @property
    def margins(self) -> tuple[float, float, float, float]:
        """Space left, right, below and above the axes, inches."""
        return label_width(self.tasks["label"]), 0.15, 0.85, 0.35

    def plotly(self) -> dict[str, Any]:
        """Filled outlines, a trace per part, and marks at the means."""
        data: list[dict[str, Any]] = []
        for part, colour, side in _PARTS:
            x: list[float | None] = []
            y: list[float | None] = []
            for row, found in self._outlines(part):
                x += [*found["x"], found["x"].iloc[-1], found["x"].iloc[0], None]
                y += [*(row + side * _HALF * found["density"]), row, row, None]
            outline = {"type": "scatter", "mode": "lines", "fill": "toself", "hoverinfo": "skip"}
            data.append(
                outline | {"name": part, "x": x, "y": y, "line": {"color": colour, "width": 1}}
            )
            means = [found.iloc[0].to_dict() for _, found in self._outlines(part)]
            data.append(
                {
                    "type": "scatter",
                    "mode": "markers",
                    "showlegend": False,
                    "x": [float(mean["mean"]) for mean in means],
                    "y": [row + side * 0.12 for row, _ in self._outlines(part)],
                    "marker": {"symbol": "diamond", "size": 7, "color": REFERENCE},
                    "customdata": [mean["task"] for mean in means],
                    "hovertext": [_hover(mean, self.unit) for mean in means],
                    "hovertemplate": "%{hovertext}<extra></extra>",
                }
            )
        tasks = self.tasks
        return {
            "data": data,
            "layout": layout(
                height=96 + 34 * max(len(tasks), 3),
                xaxis={"title": {"text": _axis(self.unit)}},
                yaxis={
                    "tickvals": list(range(len(tasks))),
                    "ticktext": [plotly_text(text) for text in tasks["label"]],
                    "range": [len(tasks) - 0.4, -0.6],
                    "showgrid": False,
                    "zeroline": False,
                },
                shapes=[line("x", 0.0, "dot")],
            ),
        }

    def draw(self, canvas: Any) -> None:
        """Draw on an empty matplotlib figure."""
        axes = canvas.add_subplot()
        for part, colour, side in _PARTS:
            name = part
            for row, found in self._outlines(part):
                edge = row + side * _HALF * found["density"]
                axes.fill_between(found["x"], row, edge, color=colour, linewidth=0, label=name)
                mean = {"s": 14, "marker": "D", "color": REFERENCE, "zorder": 3}
                axes.scatter([found["mean"].iloc[0]], [row + side * 0.12], **mean)
                name = "_"
        draw_line(axes, "x", 0.0, "dot")
        tasks = self.tasks
        axes.set(ylim=(len(tasks) - 0.4, -0.6), title=self.title)
        axes.set_yticks(range(len(tasks)), tasks["label"])
        axes.set_xlabel(_axis(self.unit))
        axes.grid(visible=False, axis="y")
        legend_below(axes)

    def _outlines(self, part: str) -> Iterator[tuple[int, pd.DataFrame]]:
        place = {task: row for row, task in enumerate(self.tasks["task"])}
        mine = self.frame[self.frame["part"] == part]
        for task, found in mine.groupby("task", sort=False):
            yield place[task], found


def bias_violins(materials: pd.DataFrame, unit: str = "") -> BiasViolins:
    """Violins of the parts of the error, a row per task.

    Parameters
    ----------
    materials
        Rows of the table ``bias_materials`` of one model and method, LocalPropertyDifference
        already added to the part it counts as. The 30 tasks whose error is largest on average are
        drawn.
    unit
        Unit of the target.
    """
    keys = [CRITERION, HELD_OUT]
    materials = materials.astype(dict.fromkeys(keys, str))
    groups = dict(list(materials.groupby(keys, sort=False)))
    tasks = pd.DataFrame(list(groups), columns=keys)
    tasks["size"] = np.array([abs(part["error"].mean()) for part in groups.values()], float)
    rows: list[dict[str, Any]] = []
    for criterion, held_out in in_order(tasks.nlargest(_MOST, "size"))[keys].to_numpy():
        group = groups[criterion, held_out]
        named = {CRITERION: criterion, HELD_OUT: held_out, "n_materials": len(group)}
        named["label"] = shorten(task_name(criterion, held_out))
        named["task"] = task_key(criterion, held_out)
        for part, *_ in _PARTS:
            values = group[part].to_numpy(float)
            common = named | {"part": part, "mean": float(values.mean())}
            rows += [
                common | {"x": float(x), "density": float(d)}
                for x, d in zip(*_density(values), strict=True)
            ]
    columns = [*keys, "n_materials", "label", "task", "part", "mean", "x", "density"]
    frame = pd.DataFrame(rows, columns=columns)
    shown = frame.drop_duplicates("task")["label"]
    return BiasViolins(
        name="bias-violins",
        title="Material by material",
        caption="What a model of the residuals credits to composition (above) and to structure"
        " (below), over the materials of each held-out group. Diamonds: means. From the 1st to the"
        " 99th percentile; each side is as high as every other. Fitted to the test labels.",
        alt=f"Violins of the parts of the error of {counted(len(shown), 'task')}"
        + (f": {listed(shown.head(8))}." if len(shown) else "."),
        frame=frame,
        unit=unit,
    )


def _density(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Places and the density there, 1 at its highest; Gaussian kernels of Scott's width."""
    from scipy.stats import gaussian_kde

    share = np.linspace(0.01, 0.99, min(len(values), _SAMPLE))
    sample = np.quantile(values, share)
    low, high = sample[0], sample[-1]
    if not high - low > 1e-9:
        return np.array([low, high]), np.ones(2)
    places = np.linspace(low, high, _PLACES)
    density = gaussian_kde(sample)(places)
    return places, density / density.max()


def _axis(unit: str) -> str:
    return "Part of predicted minus true" + (f" ({unit})" if unit else "")


def _hover(row: Mapping[Any, Any], unit: str) -> str:
    name = plotly_text(task_name(str(row[CRITERION]), str(row[HELD_OUT])))
    mean = f"{signed(row['mean'])} {plotly_text(unit)}".strip()
    return f"<b>{name}</b> held out<br>{row['part']}: {mean}<br>{row['n_materials']} materials"
