"""The published procedure in figures and in the report: its marks, its numbers, its order."""

from __future__ import annotations

import shutil

import numpy as np
import pandas as pd
import pytest

from offmap.plots.published import DensityCurves, Sides, density_curves, sides
from offmap.report.faithful import section
from offmap.report.tables import Tables
from offmap.store import Store

NAMES = [("element", "F"), ("element", "O"), ("period", "5")]


@pytest.fixture
def tasks() -> pd.DataFrame:
    rows = []
    for i, (criterion, held_out) in enumerate(NAMES):
        row = {"criterion": criterion, "held_out": held_out, "n_test": 100, "n_in": 60, "n_out": 40}
        row |= {"coverage": 0.6, "mae": 0.3 - i / 10, "mae_in": 0.2, "mae_out": 0.4}
        rows.append(row | {"r2": 0.5, "r2_in": 0.6, "r2_out": np.nan})
    keys = {"representation": "matminer", "model": "lgbm", "uses_test_rows": True, "pruned": False}
    return pd.DataFrame(rows).assign(**keys)


@pytest.fixture
def curves(tasks: pd.DataFrame) -> pd.DataFrame:
    points = pd.DataFrame({"density": [0.0, 1e-3, 0.5], "mae": [0.6, 0.3, 0.1], "n": [34, 33, 33]})
    names = ["representation", "model", "criterion", "held_out", "uses_test_rows", "pruned"]
    return tasks[names].merge(points, how="cross")


@pytest.fixture
def store(
    planted: Store,
    tasks: pd.DataFrame,
    curves: pd.DataFrame,
    tmp_path_factory: pytest.TempPathFactory,
) -> Store:
    folder = tmp_path_factory.mktemp("published") / "study"
    shutil.copytree(planted.folder, folder)
    found = Store(folder)
    for name, table in (("domain_faithful", tasks), ("domain_faithful_density", curves)):
        both = pd.concat([table, table.assign(model="rf")], ignore_index=True)
        found.write_table(name, both)
    return found


def test_the_sides_of_each_task(tasks: pd.DataFrame) -> None:
    figure = sides(tasks, "eV/atom", "lgbm")
    assert isinstance(figure, Sides)
    assert figure.frame["task"].drop_duplicates().tolist() == ["O", "period 5", "F"]
    by_side = figure.frame.query("held_out == 'F'").set_index("side")
    assert by_side["mae"].to_dict() == {"all": 0.3, "in": 0.2, "out": 0.4}
    assert by_side["n"].to_dict() == {"all": 100, "in": 60, "out": 40}
    assert "Uses test rows" in figure.caption
    assert "100" in figure.alt
    assert [len(trace["x"]) for trace in figure.plotly()["data"]] == [3, 3, 3]
    assert figure.svg().count("period 5") >= 1


def test_the_curve_falls_with_density_and_zero_is_drawn(
    curves: pd.DataFrame, tasks: pd.DataFrame
) -> None:
    figure = density_curves(curves, tasks, "eV/atom", "lgbm")
    assert isinstance(figure, DensityCurves)
    assert "3 of 3 tasks" in figure.alt
    assert figure.frame["drawn"].gt(0).all()
    assert figure.frame["density"].min() == 0
    assert figure.plotly()["layout"]["shapes"][0]["x0"] == 1e-3
    assert len(figure.csv().splitlines()) == 1 + 9
    assert figure.svg().startswith("<?xml")


def test_many_tasks_are_not_all_drawn(tasks: pd.DataFrame) -> None:
    many = pd.concat([tasks.assign(held_out=f"{i}", mae=i / 100) for i in range(20)])
    figure = sides(many.assign(criterion="group"))
    assert figure.frame["held_out"].iat[0] == "19"
    assert "not shown" in figure.caption


def test_the_section_is_marked_and_has_both_figures(store: Store) -> None:
    found = section(Tables(store))
    assert found is not None
    assert "Uses test rows" in found.html
    assert [figure.name for slot in found.slots for figure in slot.figures.values()] == [
        "published-domain-lgbm", "published-domain-rf", "error-density-lgbm", "error-density-rf",
    ]  # fmt: skip
    assert "at least two thirds of the\ntest set in domain in 0 of 3 tasks" in found.html


def test_no_section_without_the_published_procedure(planted: Store) -> None:
    assert section(Tables(planted)) is None


def test_a_study_without_models_has_no_figures(store: Store, tasks: pd.DataFrame) -> None:
    bare = tasks.drop(columns=["mae", "mae_in", "mae_out", "r2", "r2_in", "r2_out"])
    store.write_table("domain_faithful", bare.assign(model=""))
    found = section(Tables(store))
    assert found is not None
    assert found.slots == ()
