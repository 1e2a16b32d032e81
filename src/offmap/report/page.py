"""The page: chapters of sections, and everything they need packed into one file."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from markupsafe import Markup

from offmap import __version__
from offmap.plots.base import Figure, to_json
from offmap.plots.words import counted
from offmap.report import (
    advice,
    bias,
    domain,
    extrapolation,
    failures,
    faithful,
    matched,
    models,
    scaling,
    sources,
    why,
)
from offmap.report.details import Detail
from offmap.report.section import Maker, Section, render
from offmap.report.summary import definition, summarise
from offmap.report.tables import Tables


@dataclass(frozen=True)
class Chapter:
    """A question of the reader and the sections that answer it."""

    id: str
    short: str
    title: str
    makers: tuple[Maker, ...]


CHAPTERS: tuple[Chapter, ...] = (
    Chapter(
        "fails",
        "Failures",
        "Which tasks fail?",
        (failures.at_a_glance, failures.elements, failures.criteria, failures.task_table),
    ),
    Chapter(
        "extrapolation",
        "Extrapolation?",
        "Is that extrapolation?",
        (extrapolation.section, matched.section, domain.trust, faithful.section),
    ),
    Chapter(
        "why",
        "Why",
        "Why do they fail?",
        (
            why.section,
            bias.section,
            bias.rescue,
            scaling.section,
            scaling.exponents,
            scaling.time,
            scaling.added,
        ),
    ),
    Chapter("do", "What to do", "What should I do?", (advice.section,)),
    Chapter(
        "models", "Models", "How do the models compare?", (models.section, models.other_studies)
    ),
    Chapter("sources", "Sources", "Where do these numbers come from?", (sources.section,)),
)
"""The report, in order. A further section is a function of the tables, and its name here."""


def sections(tables: Tables) -> dict[str, list[Section]]:
    """Sections of each chapter; those whose tables are not there are left out."""
    made = {c.id: [maker(tables) for maker in c.makers] for c in CHAPTERS}
    return {id: [s for s in found if s is not None] for id, found in made.items()}


def figures(made: dict[str, list[Section]]) -> dict[str, Figure]:
    """Every figure of the sections, by name."""
    slots = [slot for found in made.values() for section in found for slot in section.slots]
    return {figure.name: figure for slot in slots for figure in slot.figures.values()}


def page(tables: Tables, made: dict[str, list[Section]], details: Iterable[Detail]) -> str:
    """The whole page as HTML."""
    summaries = {
        series: summarise(
            tables.tasks_of(series),
            tables.reference[tables.reference["series"] == series],
            tables.unit,
            tables.target,
            series,
        )
        for series in tables.series or [""]
    }
    provenance = tables.provenance
    return render(
        "page.html",
        chapters=[(chapter, made[chapter.id]) for chapter in CHAPTERS if made[chapter.id]],
        summaries=summaries,
        series=tables.series,
        definition=definition(tables.unit),
        missing=tables.missing,
        title=provenance.get("title") or provenance.get("dataset", "study"),
        dataset=provenance.get("dataset", ""),
        target=tables.target,
        unit=tables.unit,
        n_materials=counted(int(provenance.get("n_materials", 0)), "material"),
        created=str(provenance.get("created", ""))[:10],
        version=__version__,
        style=_own("report.css"),
        table_style=_packed_table("css"),
        script=_own("report.js"),
        plotly=_packed_plotly(),
        datatables=_packed_table("js"),
        figures=pack(to_json({n: f.payload() for n, f in figures(made).items()})),
        details=pack("\n".join(_line(detail) for detail in details)),
    )


def pack(text: str) -> Markup:
    """Text as compressed base64: small, and nothing in it can end a script element."""
    packed = gzip.compress(text.encode("utf-8", "surrogatepass"), 6, mtime=0)
    return Markup(base64.b64encode(packed).decode("ascii"))


def _line(detail: Detail) -> str:
    """A detail as its key, a tab and JSON: the page reads only the line that is opened."""
    payloads = {figure.name: figure.payload() for figure in detail.figures}
    return f"{to_json(detail.key)}\t{to_json({'html': detail.html, 'figures': payloads})}"


def _own(name: str) -> Markup:
    return Markup((files("offmap.report") / "templates" / name).read_text(encoding="utf-8"))


@cache
def _packed_plotly() -> Markup:
    """plotly.js (MIT) as the plotly package ships it."""
    from plotly.offline import get_plotlyjs

    return pack(get_plotlyjs())


@cache
def _packed_table(ending: str) -> Markup:
    """DataTables with its extensions (MIT) as the itables package ships them."""
    return pack((files("itables") / "html" / f"dt_bundle.{ending}").read_text(encoding="utf-8"))
