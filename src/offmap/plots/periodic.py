"""The periodic table, coloured by a score of leave-one-element-out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from typing import Any

import pandas as pd

from offmap.columns import COLUMNS, CRITERION, HELD_OUT, N_TEST, label
from offmap.elements import GROUP, N_ELEMENTS, PERIOD, SYMBOLS
from offmap.plots.base import Figure, plain
from offmap.plots.outcomes import FAILS, OUTCOMES, of_series, task_scores
from offmap.plots.scales import Scale, ink_on, scale_of
from offmap.plots.style import GRID, MUTED, SANS, layout
from offmap.plots.words import (
    MINUS,
    counted,
    estimate,
    in_order,
    listed,
    number,
    plotly_text,
    task_key,
)

MAP_METRICS = ("mae_ratio", "mae", "r2", "bias", N_TEST, "coverage")
"""What can be shown on the map; coverage once the domain analysis exists."""

# f elements stand below the table, as in print.
_F_BLOCK = {57 + i: (9, 3 + i) for i in range(15)} | {89 + i: (10, 3 + i) for i in range(15)}
_PLACES = {z: _F_BLOCK.get(z, (int(PERIOD[z]), int(GROUP[z]))) for z in range(1, N_ELEMENTS)}
_BLOCKS = {(6, 3): "57–71", (7, 3): "89–103"}

_EMPTY = "#ffffff"

_READING = {
    N_TEST: "Darker is more",
    "bias": "Orange is predicted too high, purple too low",
}


@dataclass(frozen=True, eq=False)
class PeriodicTable(Figure):
    """A score on the periodic table. Elements without a task stay white.

    Parameters
    ----------
    metric
        Column that is shown.
    scale
        Its colours.
    skipped
        Elements that are there but have no task, with the reason.
    """

    metric: str
    scale: Scale
    skipped: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def tiles(self) -> dict[str, dict[str, str]]:
        """What each element shows: ``colour``, ``ink``, ``text``, ``says``, ``task``, ``mark``."""
        tiles = {}
        for symbol in SYMBOLS[1:]:
            says = f"{symbol}: {self.skipped.get(symbol, 'not in the data')}"
            tiles[symbol] = {"colour": _EMPTY, "ink": MUTED, "text": "", "says": says}
        name = label(self.metric, self.unit)
        colours = self.scale.hexes(self.frame[self.metric])
        for row, shade in zip(self.frame.to_dict("records"), colours, strict=True):
            symbol, value = row[HELD_OUT], row[self.metric]
            colour = shade if pd.notna(value) else _EMPTY
            outcome = OUTCOMES[str(row["outcome"])]
            found = estimate(value, row.get(f"{self.metric}_low"), row.get(f"{self.metric}_high"))
            tiles[symbol] = {
                "colour": colour,
                "ink": ink_on(colour),
                "text": _short(value),
                "says": f"{symbol}: {name} {found}; {counted(int(row[N_TEST]), 'material')};"
                f" {outcome.label}",
                "task": task_key("element", symbol),
                "mark": outcome.mark if row["outcome"] == FAILS else "",
            }
        return tiles

    def legend(self) -> dict[str, Any]:
        """The colour bar: colours from low to high, and ticks as (place from 0 to 1, text)."""
        ends, n = (self.scale.low, self.scale.high), 24
        if self.scale.kind == "log":
            steps = [ends[0] * (ends[1] / ends[0]) ** (i / n) for i in range(n + 1)]
        else:
            steps = [ends[0] + (ends[1] - ends[0]) * i / n for i in range(n + 1)]
        ticks = self.scale.ticks()
        places = self.scale.place(ticks).tolist() if ticks else []
        return {
            "label": label(self.metric, self.unit),
            "colours": self.scale.hexes(steps),
            "ticks": [(p, _tick(t)) for p, t in zip(places, ticks, strict=True)],
        }

    def payload(self) -> dict[str, Any]:
        """What the page needs; it draws the tiles itself, as links."""
        drawn = {"plotly": None, "tiles": self.tiles, "legend": plain(self.legend())}
        drawn["svg"] = self.svg()
        return super().payload() | drawn

    def html(self) -> str:
        """The table as links, so that it can be used by keyboard and read aloud."""
        parts = [
            f'<span class="block" style="grid-area:{row}/{column}">{text}</span>'
            for (row, column), text in _BLOCKS.items()
        ]
        for z, (row, column) in _PLACES.items():
            tile = self.tiles[SYMBOLS[z]]
            task, says = escape(tile.get("task", "")), escape(tile["says"])
            tag, link = ("a", f' href="#task={task}"') if task else ("span", "")
            style = f"grid-area:{row}/{column};background:{tile['colour']};color:{tile['ink']}"
            parts.append(
                f'<{tag}{link} class="tile" data-element="{SYMBOLS[z]}" title="{says}"'
                f' aria-label="{says}" style="{style}"><small>{z}</small><b>{SYMBOLS[z]}</b>'
                f'<i>{tile["text"]}</i><em aria-hidden="true">{tile.get("mark", "")}</em></{tag}>'
            )
        return "".join(parts)

    def plotly(self) -> dict[str, Any]:
        """The table as coloured boxes."""
        shapes, notes = [], []
        for z, (row, column) in _PLACES.items():
            tile = self.tiles[SYMBOLS[z]]
            box = {"x0": column - 0.48, "x1": column + 0.48, "y0": row - 0.48, "y1": row + 0.48}
            line = {"color": OUTCOMES[FAILS].colour if tile.get("mark") else GRID, "width": 1}
            shapes.append({"type": "rect", "fillcolor": tile["colour"], "line": line, **box})
            notes.append(
                {
                    "x": column,
                    "y": row,
                    "text": f"<b>{SYMBOLS[z]}</b><br>{tile['text']}",
                    "hovertext": plotly_text(tile["says"]),
                    "font": {"size": 11, "color": tile["ink"]},
                    "showarrow": False,
                }
            )
        title = plotly_text(f"Leave one element out: {label(self.metric, self.unit)}")
        changes = {
            "title": {"text": title},
            "xaxis": {"visible": False, "range": [0.4, 18.6]},
            "yaxis": {"visible": False, "range": [10.6, 0.4], "scaleanchor": "x"},
        }
        size = {"width": 980, "height": 600}
        return {
            "data": [],
            "layout": layout(shapes=shapes, annotations=notes, **changes, **size),
        }

    def svg(self) -> str:
        """The static table, written out: boxes and text need no drawing library."""
        side = 50
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {19 * side} {11 * side}"'
            f' font-family="{escape(SANS)}" text-anchor="middle">'
            f"<title>{escape(self.title)}</title><desc>{escape(self.alt)}</desc>"
        ]
        for z, (row, column) in _PLACES.items():
            tile = self.tiles[SYMBOLS[z]]
            x, y = column * side, row * side
            edge = OUTCOMES[FAILS].colour if tile.get("mark") else GRID
            parts.append(
                f'<g fill="{tile["ink"]}"><title>{escape(tile["says"])}</title>'
                f'<rect x="{x - 23}" y="{y - 23}" width="46" height="46" rx="3"'
                f' fill="{tile["colour"]}" stroke="{edge}" stroke-width="2"/>'
                + _text(x, y + 3, 17, SYMBOLS[z], "bold")
                + _text(x, y + 18, 12, tile["text"])
                + _text(x + 16, y - 12, 10, tile.get("mark", ""))
                + "</g>"
            )
        for (row, column), text in _BLOCKS.items():
            parts.append(_text(column * side, row * side + 4, 11, text))
        return "".join([*parts, *self._svg_legend(3.2 * side, 9.2 * side, side), "</svg>"])

    def _svg_legend(self, left: float, width: float, top: float) -> list[str]:
        """A colour bar in the gap above the d block."""
        legend = self.legend()
        step = width / len(legend["colours"])
        boxes = [
            f'<rect x="{left + i * step:.1f}" y="{top}" width="{step + 0.5:.1f}" height="16"'
            f' fill="{colour}"/>'
            for i, colour in enumerate(legend["colours"])
        ]
        ticks = [_text(left + p * width, top + 32, 13, text) for p, text in legend["ticks"]]
        return [_text(left + width / 2, top - 8, 15, legend["label"]), *boxes, *ticks]


def periodic_table(
    scores: pd.DataFrame,
    metric: str = "mae_ratio",
    unit: str = "",
    tasks: pd.DataFrame | None = None,
    verdicts: pd.DataFrame | None = None,
    series: str = "",
) -> PeriodicTable:
    """Map a score of leave-one-element-out on the periodic table.

    Parameters
    ----------
    scores
        The table ``scores``.
    metric
        A column of it, or ``"coverage"`` with the table ``verdicts``.
    unit
        Unit of the target.
    tasks
        The table ``tasks``; says why elements have no task.
    verdicts
        The table ``verdicts`` of the domain analysis.
    series
        Model to show; by default the first.
    """
    found, series = task_scores(scores, verdicts).pipe(of_series, series)
    found = found[found[CRITERION] == "element"]
    if metric not in found:
        found = found.assign(**{metric: float("nan")})
    wanted = dict.fromkeys([HELD_OUT, metric, f"{metric}_low", f"{metric}_high", N_TEST, "outcome"])
    frame = in_order(found[found[HELD_OUT].isin(SYMBOLS)])[[c for c in wanted if c in found]]
    frame = frame.reset_index(drop=True)
    return PeriodicTable(
        name=f"elements-{metric}",
        title=f"Leave one element out: {COLUMNS[metric].label if metric in COLUMNS else metric}",
        caption=f"Each tile is the task that holds out every material containing the element"
        f" (model {series}). {_READING.get(metric, 'Darker is worse')};"
        f" {OUTCOMES[FAILS].mark} marks tasks that fail.",
        alt=_says(frame, metric, unit),
        frame=frame,
        unit=unit,
        metric=metric,
        scale=scale_of(metric, frame[metric]),
        skipped=_skipped(tasks),
    )


def _skipped(tasks: pd.DataFrame | None) -> dict[str, str]:
    if tasks is None or not len(tasks):
        return {}
    mine = tasks[(tasks[CRITERION].astype(str) == "element") & ~tasks["kept"].astype(bool)]
    return {
        str(row[HELD_OUT]): f"{counted(int(row[N_TEST]), 'material')}; {row['reason']}"
        for _, row in mine.iterrows()
    }


def _says(frame: pd.DataFrame, metric: str, unit: str) -> str:
    known = frame[frame[metric].notna()]
    if not len(known):
        return f"Periodic table of {label(metric, unit)}: no element has a value."
    ranked = known.reindex(known[metric].abs().sort_values(ascending=metric == "r2").index).head(5)
    ends = [f"{h} ({number(v)})" for h, v in zip(ranked[HELD_OUT], ranked[metric], strict=True)]
    return (
        f"Periodic table of {label(metric, unit)} for {counted(len(known), 'element')},"
        f" from {number(known[metric].min())} to {number(known[metric].max())}."
        f" Most extreme: {listed(ends)}."
    )


def _text(x: float, y: float, size: int, text: str, weight: str = "normal") -> str:
    if not text:
        return ""
    style = f'font-size="{size}" font-weight="{weight}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(text)}</text>'


def _short(value: Any) -> str:
    """A value that fits on a tile."""
    if pd.isna(value):
        return ""
    if abs(value) >= 1000:
        return f"{value / 1000:.0f}k" if abs(value) >= 10_000 else f"{value / 1000:.1f}k"
    if abs(value) >= 100 or float(value).is_integer():
        return number(round(float(value)))
    return f"{value:.3f}".replace("-", MINUS) if abs(value) < 0.1 else number(value, 2)


def _tick(value: float) -> str:
    return _short(value) if abs(value) >= 1000 else f"{value:g}".replace("-", MINUS)
