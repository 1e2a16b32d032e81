"""Tasks as points: whether a failure is a shift, and whether two models fail on the same tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from offmap.columns import CRITERION, HELD_OUT, SPACE_GROUP, label
from offmap.plots.base import Drawn
from offmap.plots.marks import (
    draw_line,
    draw_log_axis,
    draw_tasks,
    line,
    log_ticks,
    plotly_log_axis,
    task_traces,
)
from offmap.plots.outcomes import (
    FAILS,
    RATIO_LIMIT,
    SHIFT_PEARSON,
    SHIFT_SHARE,
    is_shifted,
    of_series,
    task_scores,
)
from offmap.plots.style import REFERENCE, layout
from offmap.plots.words import (
    counted,
    criterion_name,
    in_order,
    listed,
    number,
    percent,
    plotly_text,
    shorten,
    task_key,
    task_name,
)

# Points that are written out, if there is room; of an axis, what a letter and a line take.
_NAMED, _LETTER, _LINE = 14, 0.015, 0.05


@dataclass(frozen=True, eq=False)
class TaskScatter(Drawn):
    """One point per task; ``frame`` has ``x``, ``y``, ``outcome``, ``task`` and ``named``.

    Parameters
    ----------
    x_label, y_label
        Axis titles.
    log
        Logarithmic axes: ``""``, ``"y"``, or ``"xy"`` with one range and a diagonal.
    lines
        Reference lines as (``"x"`` or ``"y"``, place).
    """

    x_label: str
    y_label: str
    log: str = ""
    lines: tuple[tuple[str, float], ...] = ()

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of the static figure, inches."""
        return 5.6, 4.8

    @property
    def narrow(self) -> bool:
        """Whether the figure is easier to read when it does not fill a wide page."""
        return True

    @property
    def ends(self) -> tuple[float, float]:
        """Common range of two logarithmic axes."""
        both = self.frame[["x", "y"]].to_numpy(float)
        if not both.size:
            return 0.5, 5.0
        return float(np.nanmin(both)) * 0.85, float(np.nanmax(both)) * 1.15

    def plotly(self) -> dict[str, Any]:
        """One trace per outcome."""
        shapes = [line(axis, at) for axis, at in self.lines]
        kinds: dict[str, Any] = {"x": {}, "y": {}}
        if self.log == "y":
            kinds["y"] = plotly_log_axis(log_ticks(self.frame["y"]))
        elif self.log:
            low, high = self.ends
            ends = {"x0": low, "x1": high, "y0": low, "y1": high}
            dotted = {"color": REFERENCE, "width": 1, "dash": "dot"}
            shapes.append({"type": "line", "line": dotted, **ends})
            both = plotly_log_axis(log_ticks(self.ends)) | {"constrain": "domain"}
            kinds["x"] = kinds["y"] = both | {"range": np.log10(self.ends).tolist()}
            kinds["y"] = kinds["y"] | {"scaleanchor": "x"}
        return {
            "data": task_traces(self.frame, self._hover),
            "layout": layout(
                height=460,
                shapes=shapes,
                xaxis=kinds["x"] | {"title": {"text": plotly_text(self.x_label)}},
                yaxis=kinds["y"] | {"title": {"text": plotly_text(self.y_label)}},
            ),
        }

    def _hover(self, row: Mapping[Any, Any]) -> str:
        name = plotly_text(task_name(row[CRITERION], row[HELD_OUT]))
        values = ((self.x_label, row["x"]), (self.y_label, row["y"]))
        lines = [f"{plotly_text(axis)}: {number(value)}" for axis, value in values]
        return "<br>".join([f"<b>{name}</b> held out", *lines])

    def draw(self, canvas: Any) -> None:
        """Draw on an empty matplotlib figure."""
        axes = canvas.add_subplot()
        for axis, at in self.lines:
            draw_line(axes, axis, at)
        if self.log == "y":
            axes.set(yscale="log")
            draw_log_axis(axes.yaxis, log_ticks(self.frame["y"]))
        elif self.log:
            axes.plot(self.ends, self.ends, ":", color=REFERENCE, linewidth=0.8)
            axes.set(xscale="log", yscale="log", xlim=self.ends, ylim=self.ends, aspect="equal")
            for axis_drawn in (axes.xaxis, axes.yaxis):
                draw_log_axis(axis_drawn, log_ticks(self.ends))
        axes.set(xlabel=self.x_label, ylabel=self.y_label, title=self.title)
        draw_tasks(axes, self.frame)


def shifts(scores: pd.DataFrame, unit: str = "", series: str = "") -> TaskScatter:
    """How well tasks are ranked, against how much of their error is one common shift.

    Parameters
    ----------
    scores
        The table ``scores``.
    unit
        Unit of the target.
    series
        Model to show; by default the first.
    """
    found, series = task_scores(scores).pipe(of_series, series)
    found = in_order(found.dropna(subset=["pearson", "bias", "mae"]))
    found = found.assign(x=found["pearson"], y=found["bias"] / found["mae"])
    fails = found[found["outcome"] == FAILS]
    shifted = fails[is_shifted(fails)]
    names = [task_name(c, h) for c, h in zip(shifted[CRITERION], shifted[HELD_OUT], strict=True)]
    return TaskScatter(
        name="shifts",
        title="Scattered, or shifted?",
        caption="Right: predictions are in the right order. Top: nearly all of the error is one"
        " common shift upward; bottom: downward. The corners on the right"
        f" (r ≥ {SHIFT_PEARSON}, |bias| ≥ {percent(SHIFT_SHARE)} of the MAE) may be mended by"
        f" an offset. Model {series}.",
        alt=f"Scatter of bias over MAE against Pearson r for {counted(len(found), 'task')}."
        f" Of {counted(len(fails), 'failing task')}, {len(shifted)} are well ordered but shifted"
        + (f": {listed(names[:8])}." if names else "."),
        frame=_points(found, found["mae_ratio"] if "mae_ratio" in found else found["mae"]),
        unit=unit,
        x_label="Pearson r of prediction and label",
        y_label="Bias / MAE",
        lines=(("y", 0.0), ("x", SHIFT_PEARSON)),
    )


def coverages(
    scores: pd.DataFrame, verdicts: pd.DataFrame, unit: str = "", series: str = ""
) -> TaskScatter:
    """How much worse a task is, against how much of its test set lies in the domain.

    Parameters
    ----------
    scores, verdicts
        The tables of these names.
    unit
        Unit of the target.
    series
        Model to show; by default the first.
    """
    found, series = task_scores(scores, verdicts).pipe(of_series, series)
    found = in_order(found.dropna(subset=["coverage", "mae_ratio"]))
    found = found.assign(x=found["coverage"], y=found["mae_ratio"])
    rank = _rank_correlation(found["x"], found["y"])
    fails = int((found["outcome"] == FAILS).sum())
    return TaskScatter(
        name="coverages",
        title="In the domain, and still wrong?",
        caption="Left: test sets outside the training data. Top left is failure by extrapolation;"
        " top right fails for another reason; bottom right was never put to the test."
        f" Model {series}.",
        alt=f"Scatter of MAE ratio against coverage for {counted(len(found), 'task')},"
        f" {fails} of which {'fails' if fails == 1 else 'fail'};"
        f" rank correlation {number(rank, 2)}.",
        frame=_points(found, found["mae_ratio"], log="y"),
        unit=unit,
        x_label="Coverage: share of the test set in domain",
        y_label=label("mae_ratio"),
        log="y",
        lines=(("y", RATIO_LIMIT),),
    )


def model_against_model(
    scores: pd.DataFrame, x: str, y: str, metric: str = "mae_ratio", unit: str = ""
) -> TaskScatter:
    """One model against another, task by task.

    Parameters
    ----------
    scores
        The table ``scores``.
    x, y
        Names of two series.
    metric
        A positive score.
    unit
        Unit of the target.
    """
    found = task_scores(scores)
    left, right = (found[found["series"] == s].set_index([CRITERION, HELD_OUT]) for s in (x, y))
    both = left.join(right[[metric, "outcome"]], rsuffix="_y", how="inner").reset_index()
    both = both[both[metric].gt(0) & both[f"{metric}_y"].gt(0)]
    both = in_order(both.assign(x=both[metric], y=both[f"{metric}_y"]))
    fail_x, fail_y = both["outcome"] == FAILS, both["outcome_y"] == FAILS
    rank = _rank_correlation(both["x"], both["y"])
    return TaskScatter(
        name=f"models-{metric}-{x}-{y}",
        title=f"{y} against {x}",
        caption=f"Each mark is a task, drawn by its outcome for {x}."
        f" Below the dotted diagonal {y} does better.",
        alt=f"{counted(len(both), 'task')} of {x} and {y}: both fail on {(fail_x & fail_y).sum()},"
        f" only one on {(fail_x != fail_y).sum()}; rank correlation {number(rank, 2)}.",
        frame=_points(both, both["x"], log="xy"),
        unit=unit,
        x_label=f"{label(metric, unit)}, {x}",
        y_label=f"{label(metric, unit)}, {y}",
        log="xy",
        lines=(("x", RATIO_LIMIT), ("y", RATIO_LIMIT)) if metric == "mae_ratio" else (),
    )


def _rank_correlation(x: pd.Series, y: pd.Series) -> float:
    """Spearman's correlation; NaN where it is undefined."""
    x, y = x.rank(), y.rank()
    return float(x.corr(y)) if x.nunique() > 1 and y.nunique() > 1 else float("nan")


def _mark_name(criterion: str, held_out: str) -> str:
    """What is written beside a mark: a 17 alone could be a group or a space group."""
    if criterion == SPACE_GROUP:  # its symbol takes too much room
        return f"{criterion_name(criterion).lower()} {held_out}"
    return task_name(criterion, held_out)


def _points(found: pd.DataFrame, badness: pd.Series, log: str = "") -> pd.DataFrame:
    """The points, with names on the worst of those that fail, as far as there is room."""
    frame = found[[CRITERION, HELD_OUT, "x", "y", "outcome"]].reset_index(drop=True)
    fails = (frame["outcome"] == FAILS).to_numpy()
    worst = badness.reset_index(drop=True)[fails].nlargest(_NAMED).index
    keys = list(zip(frame[CRITERION], frame[HELD_OUT], strict=True))
    frame["task"] = [task_key(*key) for key in keys]
    names = {i: shorten(_mark_name(*keys[i]), 20) for i in worst}
    x, y = _share(frame["x"], "x" in log), _share(frame["y"], "y" in log)
    kept = _apart(names, {i: (x[i], y[i]) for i in worst})
    frame["named"] = [kept.get(i, "") for i in range(len(frame))]
    return frame


def _share(values: pd.Series, log: bool) -> np.ndarray:
    """Where values lie along their axis, from 0 to 1."""
    x = values.to_numpy(float)
    x = np.log(x) if log else x
    return (x - np.nanmin(x)) / (np.ptp(x) or 1.0) if len(x) else x


def _apart(names: Mapping[int, str], at: Mapping[int, tuple[float, float]]) -> dict[int, str]:
    """The names, first come first served, that cover none of those before."""
    kept: dict[int, str] = {}
    for i, name in names.items():
        free = all(
            abs(at[i][0] - at[j][0]) > _LETTER * (len(name) + len(other)) / 2
            or abs(at[i][1] - at[j][1]) > _LINE
            for j, other in kept.items()
        )
        if free:
            kept[i] = name
    return kept
