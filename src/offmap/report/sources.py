"""The chapter "Where do these numbers come from?"."""

from __future__ import annotations

import shlex
from typing import Any

import pandas as pd

from offmap.columns import CRITERION, HELD_OUT, IN_DISTRIBUTION, N_TEST, N_TRAIN
from offmap.plots.words import in_order
from offmap.report.section import Section, render
from offmap.report.tables import Tables

STUDY_CITATION = (
    "K. Li, A. N. Rubungo, X. Lei, D. Persaud, K. Choudhary, B. DeCost, A. B. Dieng and"
    " J. Hattrick-Simpers, Probing out-of-distribution generalization in machine learning for"
    " materials, Communications Materials 6, 9 (2025)"
)
STUDY_DOI = "10.1038/s43246-024-00731-w"

# Rejected rows that are named one by one; all are counted, and all are in rejected.csv.
_NAMED = 100

_DATA = {
    "title": "Title",
    "source": "Source",
    "licence": "Licence",
    "citation": "Please cite",
    "doi": "DOI",
    "data_sha256": "SHA-256 of the data",
    "n_materials": "Materials",
    "n_rejected": "Rows set aside",
}
_RUN = {"command": "Command", "created": "Started", "python": "Python"}


def section(tables: Tables) -> Section:
    """Data, settings, versions, what was left out and why, how to cite."""
    provenance, folder = tables.provenance, tables.store.folder.name
    html = render(
        "sources.html",
        data={name: _grouped(provenance.get(key, "")) for key, name in _DATA.items()},
        run={name: provenance.get(key, "") for key, name in _RUN.items()},
        again=shlex.join(["offmap", "run", f"{folder}/study.toml", "--out", f"{folder}-again"]),
        versions=provenance.get("versions", {}),
        settings={k: _shown(v) for k, v in tables.study.to_dict().items()},
        rejected=tables.rejected.head(_NAMED).to_dict("records"),
        rejected_counts=_counts(tables.rejected),
        n_rejected=len(tables.rejected),
        skipped=_skipped(tables.tasks),
        failed=_failed(tables),
        missing=tables.cells["missing"],
        citation=STUDY_CITATION,
        doi=STUDY_DOI,
    )
    return Section("sources", "", html)


def _failed(tables: Tables) -> list[tuple[str, list[str]]]:
    """Messages of failed cells, the most frequent first, with the cells that each befell."""
    named: dict[str, list[str]] = {}
    for cell in tables.cells["failed"]:
        named.setdefault(tables.store.error(cell).get("message", ""), []).append(cell.name)
    return sorted(named.items(), key=lambda item: -len(item[1]))


def _counts(rejected: pd.DataFrame) -> list[tuple[str, int]]:
    counts = rejected["reason"].value_counts()
    return [(str(reason), int(n)) for reason, n in counts.items()]


def _skipped(tasks: pd.DataFrame | None) -> list[dict[str, Any]]:
    if tasks is None:
        return []
    left_out = tasks[~tasks["kept"].astype(bool) & (tasks[CRITERION] != IN_DISTRIBUTION)]
    columns = [CRITERION, HELD_OUT, N_TRAIN, N_TEST, "reason"]
    return [dict(zip(columns, row, strict=True)) for row in in_order(left_out)[columns].to_numpy()]


def _grouped(value: Any) -> Any:
    """A count with its thousands set apart."""
    return f"{value:,}" if isinstance(value, int) else value


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, dict):
        return "; ".join(f"{k}: {v}" for k, v in value.items()) or "defaults"
    return str(value)
