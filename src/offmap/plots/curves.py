"""Error against training size, training time or choice of data, with the laws fitted to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from offmap.columns import CRITERION, HELD_OUT, N_TRAIN, ROUND, label
from offmap.plots.base import Drawn
from offmap.plots.marks import (
    draw_log_axis,
    legend_below,
    log_ticks,
    mae_whiskers,
    plotly_log_axis,
)
from offmap.plots.style import INK, layout
from offmap.plots.words import listed, number, task_name


class Style(NamedTuple):
    """How one line is drawn: its name in the table, in words, colour, symbols, dash."""

    key: str
    words: str
    colour: str
    symbol: str
    marker: str
    dash: str


TESTS = (
    Style("in_distribution", "in distribution", INK, "diamond-open", "D", "dot"),
    Style("held_out", "held out", "#d55e00", "circle", "o", "solid"),
    Style("held_out_in_domain", "held out, in domain", "#0072b2", "triangle-up", "^", "dash"),
    Style("held_out_out_of_domain", "held out, out of domain", "#cc79a7", "square", "s", "dash"),
)
CHOICES = (
    Style("random", "random", INK, "diamond-open", "D", "dot"),
    Style("nearest", "nearest to the gap", "#d55e00", "circle", "o", "solid"),
    Style("diverse", "most diverse", "#0072b2", "triangle-up", "^", "dash"),
    Style("neighbouring_elements", "neighbouring elements", "#009e73", "square", "s", "dash"),
)
_DASHES = {"dot": ":", "solid": "-", "dash": "--"}

MEASURED, LAW = "measured", "law"

# Bands of more than two laws hide each other.
_WITH_BAND = ("in_distribution", "held_out")


@dataclass(frozen=True, eq=False)
class Curves(Drawn):
    """Lines on logarithmic axes: means with the ends over seeds, and bands of laws.

    Parameters
    ----------
    styles
        Lines, in the order of the legend.
    by, x
        Columns of the frame that tell lines apart and place their marks. ``what`` parts the
        ``measured`` from the ``law``.
    x_label
        Words of the axis.
    """

    styles: tuple[Style, ...] = TESTS
    by: str = "test"
    x: str = N_TRAIN
    x_label: str = "Training materials"

    @property
    def narrow(self) -> bool:
        """Whether the figure is easier to read when it does not fill a wide page."""
        return True

    def parts(self, what: str) -> list[tuple[Style, pd.DataFrame]]:
        """Each line that has some marks, with them."""
        mine = self.frame[self.frame["what"] == what]
        found = [(style, mine[mine[self.by].astype(str) == style.key]) for style in self.styles]
        return [(style, part) for style, part in found if len(part)]

    def plotly(self) -> dict[str, Any]:
        """A line per test or choice, over the bands of their laws."""
        traces: list[dict[str, Any]] = []
        for style, part in self.parts(LAW):
            x = part[self.x].tolist()
            shared: dict[str, Any] = {"type": "scatter", "mode": "lines"}
            shared |= {"hoverinfo": "skip", "showlegend": False, "legendgroup": style.key}
            edge = part["mae_high"].tolist() + part["mae_low"].tolist()[::-1]
            area = {"x": x + x[::-1], "y": edge, "fill": "toself", "line": {"width": 0}}
            traces.append(shared | area | {"fillcolor": style.colour, "opacity": 0.13})
            line = {"color": style.colour, "width": 1, "dash": "longdash"}
            traces.append(shared | {"x": x, "y": part["mae"].tolist(), "line": line})
        for style, part in self.parts(MEASURED):
            words = f"{style.words}<br>%{{x}} {self.x_label.lower()}: %{{y:.3~g}}<extra></extra>"
            traces.append(
                {
                    "type": "scatter",
                    "mode": "lines+markers",
                    "name": style.words,
                    "legendgroup": style.key,
                    "x": part[self.x].tolist(),
                    "y": part["mae"].tolist(),
                    "error_y": mae_whiskers(part),
                    "line": {"color": style.colour, "dash": style.dash, "width": 1.8},
                    "marker": {"symbol": style.symbol, "size": 8},
                    "hovertemplate": words,
                }
            )
        axes = {"xaxis": self._x_ticks(), "yaxis": log_ticks(self._values())}
        titles = {"xaxis": self.x_label, "yaxis": label("mae", self.unit)}
        drawn = {
            axis: plotly_log_axis(ticks) | {"title": {"text": titles[axis]}}
            for axis, ticks in axes.items()
        }
        return {"data": traces, "layout": layout(height=380, **drawn)}

    def draw(self, canvas: Any) -> None:
        """Draw on an empty matplotlib figure."""
        axes = canvas.add_subplot()
        axes.set(xscale="log", yscale="log", title=self.title)
        axes.set(xlabel=self.x_label, ylabel=label("mae", self.unit))
        for style, part in self.parts(LAW):
            n = part[self.x]
            axes.fill_between(
                n, part["mae_low"], part["mae_high"], color=style.colour, alpha=0.13, linewidth=0
            )
            axes.plot(n, part["mae"], color=style.colour, linewidth=0.8, linestyle=(0, (6, 3)))
        for style, part in self.parts(MEASURED):
            x, y, ends = part[self.x].to_numpy(), part["mae"].to_numpy(), arms(part, "mae")
            look = {"color": style.colour, "marker": style.marker, "linestyle": _DASHES[style.dash]}
            hollow = {"markerfacecolor": "white"} if style.symbol.endswith("open") else {}
            size = {"markersize": 4, "linewidth": 1.4, "elinewidth": 0.8}
            axes.errorbar(x, y, ends, label=style.words, **look, **hollow, **size)
        draw_log_axis(axes.xaxis, self._x_ticks())
        draw_log_axis(axes.yaxis, log_ticks(self._values()))
        legend_below(axes)

    def _values(self) -> Any:
        """What the axis of errors must show: all that was measured, and the laws themselves."""
        return self.frame["mae"].to_numpy(float)

    def _x_ticks(self) -> list[float]:
        """Powers of ten, and a few steps between them where there are few."""
        x = self.frame[self.x].to_numpy(float)
        ticks = log_ticks(x)
        if len(x) and x.max() > 300 * x.min():
            ticks = [tick for tick in ticks if np.isclose(np.log10(tick) % 1, [0, 1]).any()]
        return ticks


def arms(part: pd.DataFrame, name: str) -> NDArray[np.float64]:
    """Lengths of the interval of a column below and above its value, shape (2, n)."""
    value = part[name].to_numpy(float)
    below, above = part[f"{name}_low"].to_numpy(float), part[f"{name}_high"].to_numpy(float)
    return np.stack([value - below, above - value])


def size_curves(
    scaling: pd.DataFrame,
    criterion: str,
    held_out: str,
    unit: str = "",
    name: str = "scaling",
    bands: pd.DataFrame | None = None,
) -> Curves:
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
    bands
        Rows of the table ``scaling_bands`` of the same model and of size curves.
    """
    frame = _measured(_of_task(scaling, criterion, held_out), "test", N_TRAIN)
    frame = _with_bands(frame, bands, criterion, held_out, N_TRAIN)
    law = " Shaded: the fitted law to ten times the data, with its interval." * (
        bands is not None and len(bands) > 0
    )
    task = task_name(criterion, held_out)
    return Curves(
        name=name,
        title=f"{task} held out: error against training size",
        caption="Means over seeds; whiskers: smallest and largest seed. Logarithmic axes: a"
        f" straight line downward is a power law.{law}",
        alt=f"MAE against training size with {task} held out: {_ends(frame, TESTS, 'test')}.",
        frame=frame,
        unit=unit,
    )


def time_curves(
    scaling_time: pd.DataFrame,
    criterion: str,
    held_out: str,
    unit: str = "",
    name: str = "scaling-time",
    bands: pd.DataFrame | None = None,
) -> Curves:
    """Error after each boosting round or epoch for one task; see :func:`size_curves`."""
    frame = _measured(_of_task(scaling_time, criterion, held_out), "test", ROUND)
    frame = _with_bands(frame, bands, criterion, held_out, ROUND)
    task = task_name(criterion, held_out)
    return Curves(
        name=name,
        title=f"{task} held out: error against training time",
        caption="One training, asked after its rounds or epochs. Trained on nine tenths of the"
        " materials outside the group; in distribution: the last tenth.",
        alt=f"MAE against training time with {task} held out: {_ends(frame, TESTS, 'test')}.",
        frame=frame,
        unit=unit,
        x=ROUND,
        x_label="Rounds or epochs",
    )


def added_curves(
    scaling_added: pd.DataFrame,
    criterion: str,
    held_out: str,
    unit: str = "",
    name: str = "scaling-added",
    test: str = "held_out",
) -> Curves:
    """Error on the held-out group against training size, by choice of the data that were added.

    Parameters
    ----------
    scaling_added
        Rows of the table ``scaling_added`` of one model.
    test
        On which test.
    """
    mine = _of_task(scaling_added, criterion, held_out)
    frame = _measured(mine[mine["test"].astype(str) == test], "choice", N_TRAIN)
    frame = _between_shared_ends(frame)
    task = task_name(criterion, held_out)
    return Curves(
        name=name,
        title=f"{task} held out: which data would help?",
        caption="Each curve begins with the same random materials and ends with the whole pool;"
        " between, as many materials are chosen in another way. Means over seeds. No choice looks"
        " at labels; nearest looks at the descriptors of the held-out materials.",
        alt=f"MAE on {task} by choice of data: {_ends(frame, CHOICES, 'choice')}.",
        frame=frame,
        unit=unit,
        styles=CHOICES,
        by="choice",
    )


def _of_task(table: pd.DataFrame, criterion: str, held_out: str) -> pd.DataFrame:
    is_criterion = table[CRITERION].astype(str) == criterion
    return table[is_criterion & (table[HELD_OUT].astype(str) == held_out)]


def _measured(mine: pd.DataFrame, by: str, x: str) -> pd.DataFrame:
    """Mean, smallest and largest over seeds of each mark."""
    if not len(mine):
        columns = [by, x, "mae", "mae_low", "mae_high", "n_seeds", "what"]
        return pd.DataFrame(columns=columns).astype({"mae": float, x: float})
    found = mine.astype({by: str}).groupby([by, x], observed=True)["mae"]
    frame = found.agg(mae="mean", mae_low="min", mae_high="max", n_seeds="size").reset_index()
    return frame.assign(what=MEASURED)


def _with_bands(
    frame: pd.DataFrame, bands: pd.DataFrame | None, criterion: str, held_out: str, x: str
) -> pd.DataFrame:
    if bands is None or not len(bands) or not len(frame):
        return frame
    mine = _of_task(bands, criterion, held_out)
    mine = mine[mine["test"].astype(str).isin(_WITH_BAND)]
    law = mine.rename(columns={"n": x})[["test", x, "mae", "mae_low", "mae_high"]]
    both = [frame, law.assign(what=LAW)] if len(law) else [frame]
    return pd.concat(both, ignore_index=True)


def _between_shared_ends(frame: pd.DataFrame) -> pd.DataFrame:
    """Begin and end every choice where the random curve does."""
    random = frame[frame["choice"] == "random"]
    others = [c for c in frame["choice"].unique() if c != "random"]
    if not len(random) or not others:
        return frame
    low, high = (
        frame.loc[frame["choice"].isin(others), N_TRAIN].agg(end) for end in ("min", "max")
    )
    ends = random[(random[N_TRAIN] < low) | (random[N_TRAIN] > high)]
    shared = [ends.assign(choice=choice) for choice in others]
    whole: pd.DataFrame = pd.concat([frame, *shared])
    return whole.sort_values(["choice", N_TRAIN], ignore_index=True)


def _ends(frame: pd.DataFrame, styles: Sequence[Style], by: str) -> str:
    """From where to where each line goes, in words."""
    ends = []
    measured = frame[frame["what"] == MEASURED]
    for style in styles:
        mae = measured.loc[measured[by].astype(str) == style.key, "mae"]
        if len(mae):
            ends.append(f"{style.words} from {number(mae.iloc[0])} to {number(mae.iloc[-1])}")
    return listed(ends) or "no curve"
