"""What a run left behind, and what can be asked of it: commands on a finished study in Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from offmap.engines import Outcome
from offmap.errors import UnknownNameError
from offmap.opening import opened
from offmap.progress import Reporter
from offmap.store import Store

if TYPE_CHECKING:
    from offmap.bias import Bias
    from offmap.domain.audit_result import Audit
    from offmap.domain.tables import Domain
    from offmap.plots.base import Figure
    from offmap.scaling.job import Scaling


@dataclass(frozen=True)
class Run:
    """What a run left behind. In a notebook it shows itself, and so does what its methods return.

    ``domain``, ``bias``, ``scaling`` and ``audit`` do what the commands of these names do, and take
    what the functions of these names take; their tables go into the study folder.

    Parameters
    ----------
    store
        The study folder.
    failed
        Outcomes of cells that failed; empty if all went well.
    """

    store: Store
    failed: tuple[Outcome, ...] = ()

    @classmethod
    def open(cls, folder: str | Path) -> Run:
        """What an earlier run left in a folder.

        Raises
        ------
        StudyError
            If there is no study in it.
        """
        return cls(Store.open(folder))

    @property
    def scores(self) -> pd.DataFrame:
        """One row per cell."""
        return self.store.read_table("scores")

    @property
    def tasks(self) -> pd.DataFrame:
        """Kept and skipped tasks."""
        return self.store.read_table("tasks")

    @property
    def report(self) -> Path:
        """Path of the HTML page."""
        return self.store.report_file

    @property
    def figures(self) -> Mapping[str, Figure]:
        """The figures of the report, by name, made from the tables as they are now."""
        from offmap.report.page import figures, sections
        from offmap.report.tables import Tables

        return figures(sections(Tables(self.store)))

    def figure(self, name: str) -> Figure:
        """One figure of the report, such as ``"elements-mae_ratio"`` or ``"coverages"``.

        Raises
        ------
        UnknownNameError
            If the report has no such figure (yet): some need :meth:`domain` or :meth:`bias` first.
        """
        known = self.figures
        if name not in known:
            raise UnknownNameError("figure", name, known)
        return known[name]

    def domain(
        self, *, jobs: int | None = None, reporter: Reporter | None = None, **given: Any
    ) -> Domain:
        """In or out of the domain, task by task: see :func:`offmap.domain.analysis.domain`."""
        from offmap.domain.analysis import domain

        with opened(self.store.folder, jobs, reporter) as study:
            return domain(*study, **given)

    def bias(
        self,
        held_out: str | Sequence[str] | None = None,
        *,
        jobs: int | None = None,
        reporter: Reporter | None = None,
        **given: Any,
    ) -> Bias:
        """Where the error of ``"element/F"`` and the like comes from: see :func:`offmap.bias.bias`.

        Uses test labels. All finished tasks if none is named.
        """
        from offmap.bias import bias

        with opened(self.store.folder, jobs, reporter) as study:
            return bias(study.store, study.inputs, _several(held_out), *study[2:], **given)

    def scaling(
        self,
        held_out: str | Sequence[str] = (),
        *,
        jobs: int | None = None,
        reporter: Reporter | None = None,
        **given: Any,
    ) -> Scaling:
        """Whether more data would help: see :func:`offmap.scaling.job.scaling`.

        Trains on growing parts of the data; all kept tasks if none is named.
        """
        from offmap.scaling.job import scaling

        with opened(self.store.folder, jobs, reporter) as study:
            return scaling(study.store, study.inputs, _several(held_out) or (), *study[2:], **given)

    def audit(self, test: Any = None, **given: Any) -> Audit:
        """Hold materials against the domain of this study: see :func:`offmap.audit`."""
        from offmap.domain.audit import audit

        return audit(test=test, study=self.store.folder, **given)

    def _repr_html_(self) -> str:
        from offmap.report import Report

        return Report(self.store.folder)._repr_html_()


def _several(held_out: str | Sequence[str] | None) -> Sequence[str] | None:
    return [held_out] if isinstance(held_out, str) else held_out
