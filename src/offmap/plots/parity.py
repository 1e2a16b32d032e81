"""Predictions of one test set against its labels, as points or as a density."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from offmap.columns import FORMULA, MATERIAL_ID, Y_PRED, Y_TRUE, label
from offmap.plots.base import Drawn, plain
from offmap.plots.style import REFERENCE, layout
from offmap.plots.words import counted, number, plotly_text

POINTS_UP_TO = 400
"""Test sets up to this size are drawn point by point, larger ones as a density."""

_BINS = 48
_WORST = 10
_POINT, _RING = "#0072b2", "#d55e00"


@dataclass(frozen=True, eq=False)
class Parity(Drawn):
    """Predicted against reference values.

    ``frame`` holds single materials (``count`` 1, with id and formula) or bins of a density, and in
    that case also the worst materials (``count`` 0).

    Parameters
    ----------
    limits
        Ends of both axes.
    width
        Width of a bin; 0 if points are drawn.
    """

    limits: tuple[float, float]
    width: float

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of the static figure, inches."""
        return 4.4, 3.8

    @property
    def margins(self) -> tuple[float, float, float, float]:
        """Space left, right, below and above the axes, inches."""
        return 0.7, 0.15, 0.5, 0.35

    def plotly(self) -> dict[str, Any]:
        """Points, or a heat map of counts with the worst materials marked."""
        low, high = self.limits
        single = self.frame[self.frame[MATERIAL_ID] != ""]
        names = zip(single[FORMULA], single[MATERIAL_ID], strict=True)
        ring = {"color": _RING, "size": 7, "symbol": "circle-open"}
        diagonal = {
            "type": "scatter",
            "mode": "lines",
            "x": [low, high],
            "y": [low, high],
            "line": {"color": REFERENCE, "width": 1},
            "hoverinfo": "skip",
        }
        materials = {
            "type": "scatter",
            "mode": "markers",
            "x": single[Y_TRUE].tolist(),
            "y": single[Y_PRED].tolist(),
            "marker": ring if self.width else {"color": _POINT, "size": 6, "opacity": 0.65},
            "hovertext": [f"<b>{plotly_text(f)}</b> {plotly_text(i)}" for f, i in names],
            "hovertemplate": "%{hovertext}<br>reference %{x}<br>predicted %{y}<extra></extra>",
        }
        axis = {"range": [low, high], "constrain": "domain", "zeroline": False}
        return {
            "data": [*([self._density()] if self.width else []), diagonal, materials],
            "layout": layout(
                height=360,
                showlegend=False,
                margin={"t": 10},
                xaxis=axis | {"title": {"text": label(Y_TRUE, self.unit)}},
                yaxis=axis | {"title": {"text": label(Y_PRED, self.unit)}, "scaleanchor": "x"},
            ),
        }

    def _density(self) -> dict[str, Any]:
        counts = self._counts()
        centres = self.limits[0] + self.width * (np.arange(_BINS) + 0.5)
        with np.errstate(divide="ignore"):
            shade = np.where(counts > 0, np.log10(counts), np.nan)
        top = float(counts.max())
        ticks = [10**k for k in range(int(math.log10(max(top, 1))) + 1)]
        return {
            "type": "heatmap",
            "x": centres.tolist(),
            "y": centres.tolist(),
            "z": [[None if math.isnan(v) else round(v, 2) for v in row] for row in shade.T],
            "colorscale": "Blues",
            "zmin": -0.6,
            "hoverongaps": False,
            "text": [[int(v) for v in row] for row in counts.T],
            "hovertemplate": "reference %{x:.3f}<br>predicted %{y:.3f}<br>%{text} materials"
            "<extra></extra>",
            "colorbar": {
                "title": {"text": "materials", "side": "right"},
                "thickness": 10,
                "len": 0.8,
                "tickvals": [math.log10(t) for t in ticks],
                "ticktext": [str(t) for t in ticks],
            },
        }

    def payload(self) -> dict[str, Any]:
        """What the page needs: each number once. The page lays out points and bins from them."""
        found = super().payload()
        traces = found["plotly"]["data"]
        del traces[-1]["x"], traces[-1]["y"], traces[-1]["hovertext"]
        found["points"] = True
        if self.width:
            del traces[0]["z"], traces[0]["text"]
            found["rows"] = [row for row in found["rows"] if row[0]]
            found["bins"] = self._bins().ravel().tolist()
            found["grid"] = plain({"low": self.limits[0], "width": self.width, "n": _BINS})
        return found

    def _bins(self) -> NDArray[np.int64]:
        """Column, row and count of each bin that is not empty."""
        bins = self.frame[self.frame["count"] > 0]
        values = (bins[[Y_TRUE, Y_PRED]].to_numpy(float) - self.limits[0]) / self.width
        return np.column_stack([values.astype(np.int64), bins["count"].to_numpy(np.int64)])

    def _counts(self) -> NDArray[np.float64]:
        column, row, count = self._bins().T
        counts = np.zeros((_BINS, _BINS))
        counts[column, row] = count
        return counts

    def draw(self, canvas: Any) -> None:
        """Draw on an empty matplotlib figure."""
        from matplotlib.colors import LogNorm

        axes = canvas.add_subplot()
        single = self.frame[self.frame[MATERIAL_ID] != ""]
        if self.width:
            counts = np.ma.masked_equal(self._counts().T, 0)
            edges = self.limits[0] + self.width * np.arange(_BINS + 1)
            mesh = axes.pcolormesh(edges, edges, counts, cmap="Blues", norm=LogNorm(0.3, None))
            bar = canvas.colorbar(mesh, label="materials per bin", shrink=0.8)
            bar.ax.yaxis.set_major_formatter("{x:g}")
            style: dict[str, Any] = {"s": 18, "facecolors": "none", "edgecolors": _RING}
        else:
            style = {"s": 12, "color": _POINT, "alpha": 0.65, "linewidths": 0}
        axes.scatter(single[Y_TRUE], single[Y_PRED], **style)
        axes.plot(self.limits, self.limits, color=REFERENCE, linewidth=0.8)
        axes.set(xlim=self.limits, ylim=self.limits, aspect="equal", title=self.title)
        axes.set(xlabel=label(Y_TRUE, self.unit), ylabel=label(Y_PRED, self.unit))


def parity(
    predictions: pd.DataFrame,
    unit: str = "",
    title: str = "Parity",
    limits: tuple[float, float] | None = None,
    name: str = "parity",
) -> Parity:
    """Predicted against reference values; a density where there are more than 400 materials.

    Parameters
    ----------
    predictions
        ``material_id``, ``y_true``, ``y_pred`` and, if known, ``formula``.
    unit
        Unit of the target.
    title, name
        Heading and file name.
    limits
        Ends of both axes; by default those of :func:`parity_limits`.
    """
    limits = limits or parity_limits(predictions[Y_TRUE], predictions[Y_PRED])
    if FORMULA not in predictions:
        predictions = predictions.assign(**{FORMULA: ""})
    columns = [MATERIAL_ID, FORMULA, Y_TRUE, Y_PRED]
    materials = predictions[columns].astype({MATERIAL_ID: str, FORMULA: str}).reset_index(drop=True)
    outside = ~materials[Y_PRED].between(*limits)
    caption = f"{counted(len(materials), 'material')}. Line: perfect prediction."
    width = 0.0
    frame = materials.assign(count=1)
    if len(materials) > POINTS_UP_TO:
        width = (limits[1] - limits[0]) / _BINS
        frame = _binned(materials[~outside], limits[0], width)
        caption += f" Counted in {_BINS} × {_BINS} bins, logarithmic shade;"
        caption += f" rings: the {_WORST} largest errors."
    if outside.any():
        caption += f" {counted(int(outside.sum()), 'material')} outside the axes."
    error = (materials[Y_PRED] - materials[Y_TRUE]).abs()
    return Parity(
        name=name,
        title=title,
        caption=caption,
        alt=f"Parity plot of {counted(len(materials), 'material')}: mean absolute error"
        f" {number(error.mean())} {unit}".rstrip()
        + ".",
        frame=frame,
        unit=unit,
        limits=limits,
        width=width,
    )


def parity_limits(*values: Any) -> tuple[float, float]:
    """Ends of a parity plot: the first values (the labels) and most of the others."""
    first = np.asarray(values[0], dtype=float)
    first = first[np.isfinite(first)]
    if not len(first):
        return 0.0, 1.0
    low, high = float(first.min()), float(first.max())
    span = high - low or max(abs(high), 1.0)
    for other in values[1:]:
        x = np.asarray(other, dtype=float)
        x = x[np.isfinite(x)]
        if len(x):
            low, high = min(low, float(x.min())), max(high, float(x.max()))
    low = max(low, float(first.min()) - 0.6 * span)
    high = min(high, float(first.max()) + 0.6 * span)
    return low - 0.03 * span, high + 0.03 * span


def _binned(materials: pd.DataFrame, start: float, width: float) -> pd.DataFrame:
    place = ((materials[[Y_TRUE, Y_PRED]].to_numpy(float) - start) / width).astype(int)
    cells, count = np.unique(np.minimum(place, _BINS - 1), axis=0, return_counts=True)
    centres = start + width * (cells + 0.5)
    bins = pd.DataFrame(
        {MATERIAL_ID: "", FORMULA: "", Y_TRUE: centres[:, 0], Y_PRED: centres[:, 1], "count": count}
    )
    error = (materials[Y_PRED] - materials[Y_TRUE]).abs()
    worst = materials.loc[error.nlargest(_WORST).index].assign(count=0)
    return pd.concat([bins, worst], ignore_index=True)
