"""What every figure is: numbers, words, and two ways to be drawn."""

from __future__ import annotations

import io
import json
import math
import warnings
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import pandas as pd

from offmap.plots.style import MATPLOTLIB


@dataclass(frozen=True, eq=False)
class Figure(ABC):
    """A figure and the table it shows. In a notebook it shows itself.

    Parameters
    ----------
    name
        File name without ending.
    title, caption, alt
        Heading; what is shown and how it was reduced; what it says, for those who cannot see it.
    frame
        The numbers that are drawn, one row per mark.
    unit
        Unit of the target.
    """

    name: str
    title: str
    caption: str
    alt: str
    frame: pd.DataFrame
    unit: str

    @property
    def narrow(self) -> bool:
        """Whether the figure is easier to read when it does not fill a wide page."""
        return False

    @abstractmethod
    def plotly(self) -> dict[str, Any]:
        """The interactive figure: ``data`` and ``layout`` for plotly."""

    @abstractmethod
    def svg(self) -> str:
        """The static figure; the same numbers always give the same file."""

    def csv(self) -> str:
        """The numbers as comma-separated text."""
        return self.frame.to_csv(index=False)

    def payload(self) -> dict[str, Any]:
        """What the page needs to draw the figure and to show its numbers; plain JSON values."""
        return {
            "name": self.name,
            "title": self.title,
            "caption": self.caption,
            "alt": self.alt,
            "plotly": plain(self.plotly()),
            "columns": [str(column) for column in self.frame],
            "rows": plain(self.frame.to_numpy(dtype=object).tolist()),
        }

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return {
            "text/plain": f"{self.title}\n{self.alt}",
            "image/svg+xml": self.svg(),
            "application/vnd.plotly.v1+json": plain(self.plotly()),
        }


@dataclass(frozen=True, eq=False)
class Drawn(Figure):
    """A figure whose static form matplotlib draws."""

    @abstractmethod
    def draw(self, canvas: Any) -> None:
        """Draw on an empty matplotlib figure."""

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of the static figure, inches."""
        return 6.4, 4.0

    @property
    def margins(self) -> tuple[float, float, float, float]:
        """Space left, right, below and above the axes, inches."""
        return 0.75, 0.15, 0.85, 0.35

    def svg(self) -> str:
        """The static figure; the same numbers always give the same file."""
        import matplotlib
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure as Canvas

        with matplotlib.rc_context(MATPLOTLIB), warnings.catch_warnings():
            # Text stays text in the file: whoever opens it has fonts that matplotlib has not.
            warnings.filterwarnings("ignore", "Glyph .* missing from font")
            # Margins are given: finding them by trial would lay everything out twice.
            (width, height), (left, right, bottom, top) = self.size, self.margins
            canvas = Canvas(figsize=(width, height))
            canvas.subplots_adjust(
                left / width, bottom / height, 1 - right / width, 1 - top / height
            )
            self.draw(canvas)
            text = io.StringIO()
            about = {"Title": self.title, "Description": self.alt, "Date": None}
            FigureCanvasSVG(canvas).print_svg(text, metadata=about)
        return text.getvalue()


def plain(value: Any) -> Any:
    """Plain JSON values: numbers to six digits, ``None`` for what is no number."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    return value if isinstance(value, (bool, int, str)) else str(value)


def to_json(value: Any) -> str:
    """Compact JSON that can also stand inside a page."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text
