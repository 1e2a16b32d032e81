"""Study folder to one self-contained page."""

from __future__ import annotations

from offmap.report.build import report
from offmap.report.notebook import Report, show

__all__ = ["Report", "report", "show"]
