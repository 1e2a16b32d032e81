"""Studies side by side."""

from __future__ import annotations

from pathlib import Path

import pytest

from offmap.report.compare import compare
from offmap.store import Store
from tests.report.planted import plant


def test_models_and_studies_lie_side_by_side(planted: Store, tmp_path: Path) -> None:
    other = plant(tmp_path / "other", n=300, models=("lgbm",), criteria=("element",), min_size=30)
    inside, tasks = compare([planted, other])
    assert inside["metric"].tolist() == ["mae", "mae", "r2", "r2"]
    assert inside["dataset"].tolist() == ["planted (study)", "planted (other)"] * 2
    assert set(inside) >= {"lgbm", "rf", "unit", "target"}
    assert inside.loc[0, "lgbm"] < inside.loc[0, "rf"]
    fluorine = tasks.set_index(["criterion", "held_out"]).loc[("element", "F")]
    assert fluorine["n"] == fluorine["n_fail"] == 3
    assert fluorine["same_outcome"]
    assert fluorine["same_sign"]
    assert fluorine["planted (study)/rf outcome"] == "fails"
    assert tasks["held_out"].tolist()[:3] == ["H", "Li", "N"]


def test_one_study_compares_its_models(planted: Store) -> None:
    _, tasks = compare([planted])
    assert {"lgbm bias", "rf bias"} <= set(tasks)


@pytest.mark.parametrize("n", [0, 1])
def test_unscored_studies_give_empty_tables(n: int, tmp_path: Path) -> None:
    stores = [
        plant(tmp_path / str(i), n=150, models=("lgbm",), criteria=("element",), finished=0.0)
        for i in range(n)
    ]
    inside, tasks = compare(stores)
    assert len(tasks) == 0
    assert len(inside) == 2 * n
