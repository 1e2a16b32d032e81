"""What a study folder holds so far, read once and shared by every section of the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from offmap.columns import CELL_KEYS, METRICS, N_TEST
from offmap.errors import StudyError
from offmap.plots.outcomes import in_distribution_scores, of_series, task_scores
from offmap.store import Cell, State, Store, states
from offmap.study import Study


@dataclass(frozen=True, eq=False)
class Tables:
    """The tables of one study; what is not there yet is ``None`` or empty.

    Parameters
    ----------
    store
        The study folder.
    beside
        Further studies to show beside it.
    """

    store: Store
    beside: tuple[Store, ...] = ()

    @cached_property
    def study(self) -> Study:
        """The configuration."""
        return self.store.study()

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """Where the data came from, and with what they were run."""
        return self.store.provenance()

    @property
    def unit(self) -> str:
        """Unit of the target; empty if it is not stated."""
        return str(self.provenance.get("unit", ""))

    @property
    def target(self) -> str:
        """Column that is predicted."""
        return str(self.provenance.get("target", self.study.target))

    def get(self, name: str) -> pd.DataFrame | None:
        """A table, or ``None`` if it has not been made yet."""
        return self.store.read_table(name) if self.store.has_table(name) else None

    @cached_property
    def scores(self) -> pd.DataFrame:
        """The table ``scores``; without rows if nothing is scored."""
        found = self.get("scores")
        if found is None or not len(found):
            empty = pd.DataFrame(columns=[*CELL_KEYS, N_TEST, "mad", "std", *METRICS])
            return empty.astype({name: float for name in empty if name not in CELL_KEYS})
        return found

    @cached_property
    def scored(self) -> pd.DataFrame:
        """Scored tasks with ``series``, ``outcome`` and, once there are any, domain verdicts."""
        return task_scores(self.scores, self.verdicts)

    @cached_property
    def reference(self) -> pd.DataFrame:
        """Pooled in-distribution scores of each series."""
        return in_distribution_scores(self.scores)

    @cached_property
    def series(self) -> list[str]:
        """Models in the order of the study, those of tasks and those of references alone."""
        return list(dict.fromkeys([*self.scored["series"], *self.reference["series"]]))

    def tasks_of(self, series: str) -> pd.DataFrame:
        """Scored tasks of one series."""
        return of_series(self.scored, series)[0]

    @cached_property
    def tasks(self) -> pd.DataFrame | None:
        """The table ``tasks``: kept and skipped."""
        return self.get("tasks")

    @cached_property
    def materials(self) -> pd.DataFrame | None:
        """The table ``materials``."""
        return self.get("materials")

    @cached_property
    def verdicts(self) -> pd.DataFrame | None:
        """The table ``verdicts`` of the domain analysis."""
        return self.get("verdicts")

    @cached_property
    def rejected(self) -> pd.DataFrame:
        """Rows of the dataset that were set aside, with reasons."""
        try:
            return pd.read_csv(self.store.folder / "rejected.csv", dtype=str, keep_default_na=False)
        except (OSError, ValueError):
            return pd.DataFrame(columns=["material_id", "row", "reason"])

    @cached_property
    def cells(self) -> dict[State, list[Cell]]:
        """Cells that are done, failed and missing."""
        from offmap.evaluate import cells

        try:
            return states(self.store, cells(self.store) if self.tasks is not None else [])
        except KeyError as error:
            raise StudyError(
                f"{self.store.study_file} does not say {error} under [provenance]: it is of another"
                " version; run the study again, which keeps what is done"
            ) from error

    @cached_property
    def unscored(self) -> int:
        """Finished cells that have no row in ``scores`` yet."""
        known = set(self.scores[list(CELL_KEYS)].astype(str).itertuples(index=False, name=None))
        return sum(tuple(map(str, c.keys().values())) not in known for c in self.cells["done"])

    @property
    def missing(self) -> list[str]:
        """What an unfinished study lacks, in words; empty if it is complete."""
        counts: Mapping[str, int] = Counter({s: len(found) for s, found in self.cells.items()})
        total, folder = sum(counts.values()), self.store.folder.name
        notes = []
        if not total:
            notes.append(f"No task is laid out yet: run 'offmap run --out {folder}'.")
        if counts["missing"]:
            notes.append(
                f"{counts['missing']:,} of {total:,} cells (a model on a task) have not been run:"
                " run the study again to go on where it stopped."
            )
        if counts["failed"]:
            notes.append(
                f"{counts['failed']:,} of {total:,} cells failed; they are named at the end."
            )
        if self.unscored:
            notes.append(
                f"{self.unscored:,} finished cells are not scored: run 'offmap score {folder}'."
            )
        return notes
