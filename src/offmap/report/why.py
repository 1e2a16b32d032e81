"""The chapter "Why do they fail?": what the scores alone say about the kind of error."""

from __future__ import annotations

from offmap.plots import shifts
from offmap.report.section import Section, per_series, render
from offmap.report.tables import Tables


def section(tables: Tables) -> Section | None:
    """Whether the error of a task is scatter or one common shift."""
    if not len(tables.scored):
        return None
    slot = per_series(tables, lambda s: shifts(tables.scores, tables.unit, s))
    folder = tables.store.folder.name
    hints = [f"offmap {name} {folder}" for name in ("bias", "scaling") if tables.get(name) is None]
    html = render("why.html", slot=slot, hints=hints)
    return Section("shifts", "Scattered, or shifted?", html, (slot,))
