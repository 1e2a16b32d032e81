"""Where test materials lie, and what is gained by setting the furthest aside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from offmap.columns import FORMULA, MATERIAL_ID, label
from offmap.plots.base import Drawn
from offmap.plots.marks import legend_below
from offmap.plots.style import INK, layout
from offmap.plots.words import number, percent, plotly_text

_HIGHLIGHTS = {
    "expected_error": ("expected error", "#d55e00", "solid"),
    "combined": ("mean standing", "#0072b2", "solid"),
    "error itself": ("ideal: the error itself", INK, "dot"),
}
_QUIET = "#b8c0c8"
_SIDES = {
    "train": ("training", "#c3cad1", "circle", "."),
    "in": ("test, in domain", "#0072b2", "circle", "o"),
    "out": ("test, out of domain", "#d55e00", "x", "x"),
}
_DASHES = {"solid": "-", "dot": ":"}

# Marks per map: the page holds one map per task.
_TRAIN, _TEST = 500, 300


@dataclass(frozen=True, eq=False)
class RiskCurves(Drawn):
    """Error that is left against the share of materials that is kept, a line per detector."""

    @property
    def narrow(self) -> bool:
        """Whether the figure is easier to read when it does not fill a wide page."""
        return True

    def lines(self) -> list[tuple[str, str, str, pd.DataFrame]]:
        """Words, colour, dash and points of each detector; those that matter last, on top."""
        found = []
        for name, part in self.frame.groupby("detector", sort=False):
            words, colour, dash = _HIGHLIGHTS.get(str(name), (str(name), _QUIET, "solid"))
            found.append((words, colour, dash, part))
        return sorted(found, key=lambda one: one[1] != _QUIET)

    def plotly(self) -> dict[str, Any]:
        """Lines with the detector's name on hovering."""
        traces = []
        for words, colour, dash, part in self.lines():
            traces.append(
                {
                    "type": "scatter",
                    "mode": "lines",
                    "name": words,
                    "showlegend": colour != _QUIET,
                    "x": part["share_kept"].tolist(),
                    "y": part["mae"].tolist(),
                    "line": {"color": colour, "dash": dash, "width": 1 if colour == _QUIET else 2},
                    "hovertemplate": f"{plotly_text(words)}: %{{y:.3~g}} at %{{x:.0%}}"
                    "<extra></extra>",
                }
            )
        axes = {
            "xaxis": {"title": {"text": "Share of test materials kept"}, "tickformat": ".0%"},
            "yaxis": {"title": {"text": label("mae", self.unit)}, "rangemode": "tozero"},
        }
        return {"data": traces, "layout": layout(height=380, **axes)}

    def draw(self, canvas: Any) -> None:
        """Draw on an empty matplotlib figure."""
        axes = canvas.add_subplot()
        axes.set(title=self.title, xlabel="Share of test materials kept")
        axes.set_ylabel(label("mae", self.unit))
        for words, colour, dash, part in self.lines():
            style = {"color": colour, "linestyle": _DASHES[dash]}
            named = {} if colour == _QUIET else {"label": words}
            axes.plot(part["share_kept"], part["mae"], linewidth=1.2, **style, **named)
        axes.set_ylim(bottom=0)
        legend_below(axes)


@dataclass(frozen=True, eq=False)
class TaskMap(Drawn):
    """Training and test materials of a task on a flat map; marks grow with the error."""

    kind: str = ""

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of the static figure, inches."""
        return 5.2, 4.6

    def plotly(self) -> dict[str, Any]:
        """A trace per side, with formula, id and error on hovering."""
        traces = []
        for side, (words, colour, symbol, _) in _SIDES.items():
            part = self.frame[self.frame["side"] == side]
            if not len(part):
                continue
            marker = {"color": colour, "symbol": symbol, "size": _sizes(part, 4, 14).tolist()}
            traces.append(
                {
                    "type": "scatter",
                    "mode": "markers",
                    "name": words,
                    "x": part["x"].tolist(),
                    "y": part["y"].tolist(),
                    "marker": marker | {"opacity": 0.5 if side == "train" else 0.8},
                    "hovertext": [self._hover(row) for row in part.to_dict("records")],
                    "hovertemplate": "%{hovertext}<extra></extra>",
                }
            )
        bare = {"showticklabels": False, "title": {"text": ""}}
        return {"data": traces, "layout": layout(height=420, xaxis=bare, yaxis=bare)}

    def draw(self, canvas: Any) -> None:
        """Draw on an empty matplotlib figure."""
        axes = canvas.add_subplot()
        axes.set(title=self.title, xticks=[], yticks=[])
        for side, (words, colour, _, marker) in _SIDES.items():
            part = self.frame[self.frame["side"] == side]
            size = _sizes(part, 1.5, 6) ** 2
            axes.scatter(part["x"], part["y"], s=size, c=colour, marker=marker, label=words)
        legend_below(axes)

    def _hover(self, row: Mapping[Any, Any]) -> str:
        text = f"<b>{plotly_text(row[FORMULA])}</b><br>{plotly_text(row[MATERIAL_ID])}"
        if row["side"] != "train":
            unit = f" {self.unit}" if self.unit else ""
            text += f"<br>error {number(row['error'])}{plotly_text(unit)}"
        return text


def _sizes(part: pd.DataFrame, low: float, high: float) -> np.ndarray:
    """Size of each mark: by the root of the error, training materials small."""
    error = part["error"].abs().fillna(0.0).to_numpy(float)
    largest = max(float(np.quantile(error, 0.98)) if len(error) else 0.0, 1e-12)
    return low + (high - low) * np.sqrt(np.minimum(error / largest, 1.0))


def risk_curves(risk: pd.DataFrame, unit: str = "", series: str = "") -> RiskCurves:
    """Risk against coverage of every detector.

    Parameters
    ----------
    risk
        The table ``risk_coverage`` of one model.
    unit
        Unit of the target.
    series
        The model.
    """
    frame = risk[risk["criterion"].astype(str) == "all"]
    frame = frame[["detector", "share_kept", "mae", "area"]].astype({"detector": str})
    frame = frame.reset_index(drop=True)
    best = frame[frame["detector"] != "error itself"].drop_duplicates("detector")
    best = best.sort_values("area")
    says = "No detector has a curve."
    if len(best):
        says = f"Least area: {best['detector'].iat[0]} ({number(best['area'].iat[0])})."
    return RiskCurves(
        name="risk-coverage",
        title="What is gained by setting materials aside?",
        caption="Materials are kept from the innermost outwards; mean over the tasks. A line that"
        " falls to the left is a detector that knows where errors are large; grey lines are single"
        f" detectors. Model {series}.",
        alt=f"Mean absolute error against the share of test materials kept, per detector. {says}",
        frame=frame,
        unit=unit,
    )


def task_map(
    places: pd.DataFrame, test: pd.DataFrame, unit: str = "", name: str = "map", seed: int = 0
) -> TaskMap:
    """Map one task.

    Parameters
    ----------
    places
        ``material_id``, ``formula``, ``x``, ``y`` and ``kind`` of all materials.
    test
        ``material_id``, ``out_of_domain`` and signed ``error`` of the test materials.
    unit
        Unit of the target.
    name
        Name of the figure.
    seed
        Of the materials that are drawn, where there are many.
    """
    joined = places.merge(test, on=MATERIAL_ID, how="left")
    is_test = joined["out_of_domain"].notna()
    out = joined["out_of_domain"].eq(True)
    joined["side"] = np.where(~is_test, "train", np.where(out, "out", "in"))
    share = float(out[is_test].mean()) if is_test.any() else 0.0
    parts = [
        joined[chosen].sample(min(n, int(chosen.sum())), random_state=seed)
        for chosen, n in ((~is_test, _TRAIN), (is_test, _TEST))
    ]
    frame = pd.concat(parts)[[MATERIAL_ID, FORMULA, "x", "y", "side", "error"]]
    kind = str(places["kind"].iat[0]) if len(places) else ""
    return TaskMap(
        name=name,
        title="Where the test materials lie",
        caption=f"Map: {kind}; it only serves to look, no verdict uses it. Marks grow with the"
        f" error. At most {_TRAIN} training and {_TEST} test materials are drawn.",
        alt=f"Map of training and test materials; {percent(share)} of the test materials are out"
        " of domain.",
        frame=frame.reset_index(drop=True),
        unit=unit,
        kind=kind,
    )
