"""Tables to figures: each knows its numbers, draws itself, and shows itself in a notebook."""

from __future__ import annotations

from offmap.plots.bars import criterion_bars
from offmap.plots.base import Figure
from offmap.plots.curves import added_curves, size_curves, time_curves
from offmap.plots.errors import error_distribution
from offmap.plots.exponents import exponent_distribution, exponent_forest
from offmap.plots.overview import overview
from offmap.plots.parity import parity
from offmap.plots.parts import bias_parts
from offmap.plots.periodic import periodic_table
from offmap.plots.remedies import rescue_curves
from offmap.plots.scatter import coverages, model_against_model, shifts
from offmap.plots.violins import bias_violins

__all__ = [
    "Figure",
    "added_curves",
    "bias_parts",
    "bias_violins",
    "coverages",
    "criterion_bars",
    "error_distribution",
    "exponent_distribution",
    "exponent_forest",
    "model_against_model",
    "overview",
    "parity",
    "periodic_table",
    "rescue_curves",
    "shifts",
    "size_curves",
    "time_curves",
]
