"""Numbers to colours: darker is worse (or more), whatever is shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Scale:
    """The colours of one score, between two ends.

    Parameters
    ----------
    low, high
        Ends; what lies beyond takes the colour of the end.
    kind
        ``"linear"`` or ``"log"``.
    dark_is_low
        Whether small numbers are the bad ones, as for R².
    colour_map
        Its name in matplotlib, light to dark.
    """

    low: float
    high: float
    kind: str = "linear"
    dark_is_low: bool = False
    colour_map: str = "YlOrBr"

    @property
    def colours(self) -> str:
        """Name of the colour map in matplotlib; told apart by lightness alone."""
        return self.colour_map + ("_r" if self.dark_is_low else "")

    def place(self, values: Any) -> NDArray[np.float64]:
        """Where values lie between the ends, 0 to 1; NaN stays NaN."""
        x, low, high = np.asarray(values, dtype=float), self.low, self.high
        if self.kind == "log":
            x, low, high = np.log(np.maximum(x, 1e-300)), np.log(low), np.log(high)
        place: NDArray[np.float64] = np.clip((x - low) / (high - low), 0, 1)
        return place

    def hexes(self, values: Any) -> list[str]:
        """Colour of each value, such as ``"#1f77b4"``."""
        import matplotlib
        from matplotlib.colors import to_hex

        return [to_hex(c) for c in matplotlib.colormaps[self.colours](self.place(values))]

    def ticks(self) -> list[float]:
        """A few round values between the ends."""
        from matplotlib.ticker import MaxNLocator

        if self.kind == "log":
            steps = [m * 10.0**e for e in range(-6, 9) for m in (1, 2, 4)]
            return [x for x in steps if self.low <= x <= self.high * 1.0001]
        found = MaxNLocator(5).tick_values(self.low, self.high)
        return [float(x) for x in found if self.low <= x <= self.high]


def ink_on(colour: str) -> str:
    """Black or white, whichever can be read on the colour (WCAG relative luminance)."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#000000" if luminance > 0.179 else "#ffffff"


def scale_of(metric: str, values: Any) -> Scale:
    """The scale on which a score is shown."""
    x = np.asarray(values, dtype=float)
    x = x[np.isfinite(x)]
    top = float(np.quantile(x, 0.97)) if len(x) else 1.0
    if metric == "coverage":
        return Scale(0.0, 1.0, dark_is_low=True, colour_map="Blues")
    if metric in ("r2", "pearson", "spearman", "kendall"):
        return Scale(0.0, 1.0, dark_is_low=True)
    if metric == "mae_ratio":
        return Scale(1.0, max(4.0, top), "log")
    if metric == "bias":
        end = max(float(np.quantile(np.abs(x), 0.97)) if len(x) else 1.0, 1e-12)
        return Scale(-end, end, colour_map="PuOr_r")
    if metric.startswith("n_"):
        low = max(float(x.min()), 1.0) if len(x) else 1.0
        return Scale(low, max(top, 2 * low), "log", colour_map="Blues")
    return Scale(0.0, max(top, 1e-12))
