"""R² beside the gap to a matched control: what is hidden is found, and nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from offmap.plots.matched import matched_gaps
from offmap.report.matched import section
from offmap.report.tables import Tables
from offmap.store import Store


@pytest.fixture
def verdicts() -> pd.DataFrame:
    """F is worse than its control although R² is high; O is as good although R² is low."""
    rows = []
    for held_out, r2, gap in (("F", 0.98, 0.2), ("O", 0.3, 0.0), ("Cl", 0.5, 0.3)):
        row = {"criterion": "element", "held_out": held_out, "r2": r2, "r2_matched": 0.9}
        row |= {"mae": 0.1 + gap, "mae_matched": 0.1, "std": 1.0, "std_matched": 1.0}
        row |= {"matched_gap": gap, "matched_gap_low": gap - 0.02, "matched_gap_high": gap + 0.02}
        rows.append(row)
    return pd.DataFrame(rows).assign(
        representation="matminer", model="lgbm", coverage=0.5, verdict="partial"
    )


def test_the_figure_parts_tasks_by_the_interval(verdicts: pd.DataFrame) -> None:
    figure = matched_gaps(verdicts, "eV/atom", "lgbm")
    worse, alike = figure.sides()
    assert set(worse[2]["held_out"]) == {"F", "Cl"}
    assert set(alike[2]["held_out"]) == {"O"}
    assert "1 tasks with R² above 0.95" in figure.alt
    errors = figure.plotly()["data"][0]["error_y"]
    assert errors["array"] == pytest.approx(errors["arrayminus"])
    assert figure.svg().startswith("<?xml")


def test_the_section_names_what_r2_hides(
    planted: Store, verdicts: pd.DataFrame, tmp_path: Path
) -> None:
    shutil.copytree(planted.folder, tmp_path / "study")
    store = Store(tmp_path / "study")
    assert section(Tables(store)) is None
    store.write_table("verdicts", pd.concat([verdicts, verdicts.assign(model="rf")]))
    found = section(Tables(store))
    assert found is not None
    text = " ".join(found.html.split())
    assert "Of the 1 tasks with R² above 0.95, 1 err more than their control" in text
    hidden = text[text.index("these most") : text.index("cannot be told")]
    assert "element/F" in hidden
    assert "element/O" not in hidden
    assert "1 of 3 tasks cannot be told from their control" in text
