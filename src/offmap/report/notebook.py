"""A report that shows itself in a notebook."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from markupsafe import Markup

from offmap.columns import CRITERION
from offmap.plots import overview, periodic_table
from offmap.plots.base import Figure
from offmap.report.build import report
from offmap.report.summary import summarise
from offmap.report.tables import Tables
from offmap.store import Store
from offmap.study import Study

_FIGURE = Markup('<figure style="max-width:62rem">{}</figure>')


@dataclass(frozen=True)
class Report:
    """The page of a study; in a notebook its first words, its overview and a link.

    Parameters
    ----------
    folder
        The study folder.
    """

    folder: Path

    @property
    def path(self) -> Path:
        """The page."""
        return Store(self.folder).report_file

    def _repr_html_(self) -> str:
        tables = Tables(Store.open(self.folder))
        parts = [Markup("<p><b>{}</b></p>").format(note) for note in tables.missing]
        for series in tables.series:
            parts += _told(tables, series)
            parts += [_FIGURE.format(Markup(figure.svg())) for figure in _figures(tables, series)]
        if self.path.is_file():
            link = Markup('<p><a href="{}" target="_blank">Open the full report</a> ({})</p>')
            parts.append(link.format(_address(self.path), self.path))
        return str(Markup("\n").join(parts))


def show(study_folder: str | Path, study: Study | None = None) -> Report:
    """Build the report of a study and give back something that shows itself in a notebook.

    Parameters
    ----------
    study_folder
        Where it was run.
    study
        The configuration, if it is known: the folder must hold this study.

    Raises
    ------
    StudyError
        If the folder holds no study, or another one.
    """
    store = Store.open(study_folder)
    if study is not None:
        store.check(study)
    report(store)
    return Report(Path(study_folder))


def unlinked(words: Markup) -> Markup:
    """Words without their links: the tasks they open are on the page, not in a notebook."""
    return Markup(re.sub(r"</?a\b[^>]*>", "", words))


def _told(tables: Tables, series: str) -> list[Markup]:
    """The summary of one model, and what not to conclude."""
    inside = tables.reference[tables.reference["series"] == series]
    words = summarise(tables.tasks_of(series), inside, tables.unit, tables.target, series)
    parts = [Markup("<p>{}</p>").format(unlinked(p)) for p in words.paragraphs]
    if words.cautions:
        items = Markup("").join(Markup("<li>{}</li>").format(unlinked(c)) for c in words.cautions)
        parts.append(Markup("<p>What not to conclude:</p><ul>{}</ul>").format(items))
    return parts


def _figures(tables: Tables, series: str) -> list[Figure]:
    tasks = tables.tasks_of(series)
    found: list[Figure] = [overview(tables.scores, tables.unit, series)] if len(tasks) else []
    if (tasks[CRITERION] == "element").any():
        map_ = periodic_table(tables.scores, "mae_ratio", tables.unit, tables.tasks, series=series)
        found.append(map_)
    return found


def _address(path: Path) -> str:
    """Relative where it can be, for a notebook server shows no other files."""
    full, here = path.resolve(), Path.cwd()
    if full.is_relative_to(here):
        return quote(full.relative_to(here).as_posix())
    return f"file://{quote(full.as_posix())}"
