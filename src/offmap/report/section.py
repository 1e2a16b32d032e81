"""What a section of the report is. A new one is a function and a row in :data:`page.SECTIONS`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from offmap.columns import COLUMNS, label
from offmap.plots.base import Figure, to_json
from offmap.plots.outcomes import OUTCOMES
from offmap.plots.words import (
    counted,
    criterion_name,
    estimate,
    fixed,
    number,
    percent,
    short_name,
    signed,
    task_key,
    task_name,
)
from offmap.report.tables import Tables


@dataclass(frozen=True, eq=False)
class Slot:
    """A place on the page that shows one of several figures, by what the reader has chosen.

    Parameters
    ----------
    by
        Names of the choices (``"series"``, ``"metric"``), or nothing for a single figure.
    figures
        Values of the choices, joined by ``|``, to the figure they show.
    """

    by: tuple[str, ...]
    figures: Mapping[str, Figure]

    @property
    def names(self) -> str:
        """Values of the choices to names of figures, as JSON."""
        return to_json({key: figure.name for key, figure in self.figures.items()})

    def __html__(self) -> str:
        first = next(iter(self.figures.values()))
        return render("slot.html", first=first, names=self.names, by=" ".join(self.by))


@dataclass(frozen=True, eq=False)
class Section:
    """One part of a chapter.

    Parameters
    ----------
    id, title
        Anchor and heading.
    html
        Its body; slots are put in by ``{{ slot }}``.
    slots
        The figures it shows: written to the folder of figures and packed into the page.
    """

    id: str
    title: str
    html: Markup
    slots: tuple[Slot, ...] = ()


Maker = Callable[[Tables], Section | None]


def one(figure: Figure) -> Slot:
    """A slot with a single figure."""
    return Slot((), {"": figure})


def per_series(tables: Tables, make: Callable[[str], Figure]) -> Slot:
    """A slot that follows the chosen model."""
    return choice(tables, ("series",), {(s,): make(s) for s in tables.series})


def choice(tables: Tables, by: tuple[str, ...], figures: Mapping[tuple[str, ...], Figure]) -> Slot:
    """A slot that follows several choices, the first of which is the model.

    Names of figures get the name of the model where there are several.
    """
    named = {}
    for key, figure in figures.items():
        name = f"{figure.name}-{key[0]}" if len(tables.series) > 1 else figure.name
        named["|".join(key)] = replace(figure, name=name)
    return Slot(by, named)


def render(template: str, **values: Any) -> Markup:
    """Fill in a template; every value is escaped unless it is markup already."""
    return Markup(environment().get_template(template).render(**values))


@cache
def environment() -> Environment:
    """The templates of the report, with the words of the figures as filters."""
    found = Environment(
        loader=PackageLoader("offmap.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {"number": number, "percent": percent}
    found.globals |= {
        "columns": COLUMNS,
        "outcomes": OUTCOMES,
        "counted": counted,
        "criterion_name": criterion_name,
        "estimate": estimate,
        "fixed": fixed,
        "formula": formula,
        "label": label,
        "material": material,
        "short_name": short_name,
        "signed": signed,
        "task_href": task_href,
        "task_key": task_key,
        "task_link": task_link,
        "task_name": task_name,
    }
    return found


def task_href(criterion: str, held_out: str) -> str:
    """Address of a task within the page."""
    return "#task=" + quote(task_key(criterion, held_out), safe="/")


def task_link(criterion: str, held_out: str) -> Markup:
    """A link that opens the task."""
    words = Markup('<a href="{}">{}</a>')
    return words.format(task_href(criterion, held_out), task_name(criterion, held_out))


def formula(text: str) -> Markup:
    """A formula with its amounts as subscripts."""
    parts: list[Markup] = []
    previous = ""
    for char in str(text):
        below = char.isdecimal() and (previous.isalnum() or previous in ")]") and previous != ""
        parts.append(Markup("<sub>{}</sub>").format(char) if below else escape(char))
        previous = char
    return Markup("").join(parts).replace(Markup("</sub><sub>"), Markup(""))


_DATABASES = {
    "mp-": "https://next-gen.materialsproject.org/materials/",
    "JVASP-": "https://www.ctcms.nist.gov/~knc6/static/JARVIS-DFT/",
}


def material(material_id: str) -> Markup:
    """A material's id, linked to its database where the id tells it."""
    text = str(material_id)
    for prefix, address in _DATABASES.items():
        if text.startswith(prefix) and text.removeprefix(prefix).isdecimal():
            page = text + (".xml" if prefix == "JVASP-" else "")
            link = Markup('<a href="{}{}" rel="noreferrer" target="_blank">{}</a>')
            return link.format(address, page, text)
    return escape(text)
