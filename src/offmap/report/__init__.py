"""Study folder to one self-contained page."""

from __future__ import annotations

from offmap.report.build import Report, report, show

__all__ = ["Report", "report", "show"]
