"""An audit as files: a page for people, JSON for programs, a table for spreadsheets."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

from markupsafe import Markup

from offmap import __version__
from offmap.domain.audit_result import Audit, feature_words
from offmap.domain.audit_words import TASKS
from offmap.plots.standings import standings
from offmap.plots.words import estimate, percent
from offmap.report.section import render
from offmap.store import Store

# Materials on the page; the table beside it has all.
_SHOWN = 200


def write(audit: Audit, folder: str | Path) -> list[Path]:
    """Write ``audit.html``, ``audit.json`` and ``audit.csv`` into a folder.

    Returns
    -------
    list of Path
        The files, the page first.
    """
    store = Store(folder)
    return [
        store.write_text("audit.html", page(audit)),
        store.write_text("audit.json", audit.to_json() + "\n"),
        store.write_text("audit.csv", audit.table().to_csv(index=False)),
    ]


def page(audit: Audit) -> str:
    """The audit as one self-contained HTML page; it needs no script."""
    shown = audit.materials.head(_SHOWN)
    style = (files("offmap.report") / "templates" / "report.css").read_text(encoding="utf-8")
    figure = standings(audit.materials["combined"].tolist(), audit.calibration)
    svg = figure.svg()
    settings = {k: _words(v) for k, v in audit.settings.items() if v not in ("", None)}
    return render(
        "audit.html",
        audit=audit,
        version=__version__,
        style=Markup(style),
        figure=figure,
        svg=Markup(svg[svg.index("<svg") :]),
        rows=shown.to_dict("records"),
        n_rows=len(audit.materials),
        has=set(audit.materials),
        bins=audit.bins.to_dict("records"),
        set_aside=audit.set_aside.groupby("reason").size().to_dict()
        if len(audit.set_aside)
        else {},
        settings=settings,
        feature_words=feature_words,
        tasks_words=TASKS.get(audit.learned_from, ""),
        estimate=estimate,
        percent=percent,
    )


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k} {v}" for k, v in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
