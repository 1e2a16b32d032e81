"""Study folder to report: one page, and the same figures as files with their tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from offmap.plots.base import Figure
from offmap.plots.outcomes import FAILS
from offmap.plots.words import task_key
from offmap.progress import Progress
from offmap.report.details import Detail, details
from offmap.report.page import figures, page, sections
from offmap.report.tables import Tables
from offmap.store import Store, slug

# Failing tasks whose parity plots are also written as files; the page has every task.
_FILED = 24


def report(store: Store, progress: Progress | None = None, beside: Sequence[Store] = ()) -> Path:
    """Build the report of a study from its tables, finished or not.

    Parameters
    ----------
    store
        The study folder.
    progress
        Called with tasks done and tasks in all.
    beside
        Further studies to compare with, such as the same tasks on another dataset.

    Returns
    -------
    Path
        The page. Beside it, ``figures/`` holds each figure as SVG with a CSV of its numbers.
    """
    tables = Tables(store, tuple(beside))
    made = sections(tables)
    for figure in figures(made).values():
        write_figure(store, figure, figure.name)
    found = _filing(tables, details(tables, progress))
    name = store.report_file.relative_to(store.folder).as_posix()
    return store.write_text(name, page(tables, made, found))


def write_figure(store: Store, figure: Figure, name: str) -> None:
    """Write a figure as ``<name>.svg`` and ``<name>.csv``."""
    folder = store.figures.relative_to(store.folder).as_posix()
    name = slug(name, one_case=False)
    store.write_text(f"{folder}/{name}.svg", figure.svg())
    store.write_text(f"{folder}/{name}.csv", figure.csv())


def _filing(tables: Tables, found: Iterator[Detail]) -> Iterator[Detail]:
    """Pass details on, writing the figures of the worst failing tasks on the way."""
    failing = tables.scored[tables.scored["outcome"] == FAILS]
    worst = failing.nlargest(_FILED, "mae_ratio") if len(failing) else failing
    wanted = {
        f"{row['series']}|{task_key(row['criterion'], row['held_out'])}"
        for row in worst.to_dict("records")
    }
    for detail in found:
        if detail.key in wanted:
            series, _, task = detail.key.partition("|")
            ending = f"-{series}" if len(tables.series) > 1 else ""
            for figure in detail.figures:
                name = f"task-{task.replace('/', '-')}-{figure.name}{ending}"
                write_figure(tables.store, figure, name)
        yield detail
