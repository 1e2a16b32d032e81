"""Figures of curves, their laws and the exponents of many tasks."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from offmap import plots
from offmap.plots.base import to_json
from offmap.scaling.curves import fitted
from offmap.scaling.verdicts import exponents, with_domain

N = np.array([40, 120, 400, 1200, 4000])
TASK = {"dataset": "toy", "target": "e", "representation": "magpie", "model": "lgbm"}


def curves(over: str = "n_train") -> pd.DataFrame:
    """Error falls in distribution; held out it falls for H, stays for F and rises for O."""
    rng = np.random.default_rng(0)
    rows = []
    for held_out, slope in (("H", -0.25), ("F", 0.0), ("O", 0.15)):
        for test, b in (("in_distribution", -0.3), ("held_out", slope)):
            for n in N:
                for seed in range(3):
                    mae = 2.0 * n**b * np.exp(0.02 * rng.normal())
                    key = TASK | {"criterion": "element", "held_out": held_out, "seed": seed}
                    size = {"n_train": n} | {over: n}
                    rows.append(key | size | {"test": test, "n_test": 100, "mae": mae})
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def tables() -> dict[str, pd.DataFrame]:
    measured = curves()
    laws, bands = fitted(measured, n_bootstrap=20)
    verdicts = pd.DataFrame(
        [TASK | {"criterion": "element", "held_out": "O", "verdict": "extrapolation"}]
    )
    laws = with_domain(laws, verdicts)
    return {"curves": measured, "laws": laws, "bands": bands, "all": exponents(laws, 0.95, 20)}


def drawn(figure: plots.Figure) -> str:
    json.loads(to_json(figure.payload()))
    svg = figure.svg()
    assert svg == figure.svg()
    assert figure.title in svg
    return svg


def test_a_law_is_drawn_to_ten_times_the_data(tables: dict[str, pd.DataFrame]) -> None:
    figure = plots.size_curves(tables["curves"], "element", "O", "eV", bands=tables["bands"])
    drawn(figure)
    law = figure.frame[figure.frame["what"] == "law"]
    assert law["n_train"].max() == pytest.approx(40_000)
    assert set(law["test"]) == {"in_distribution", "held_out"}
    assert (law["mae_low"] <= law["mae"]).all()
    assert (law["mae"] <= law["mae_high"]).all()
    areas = [t for t in figure.plotly()["data"] if t.get("fill") == "toself"]
    assert len(areas) == 2


def test_time_is_another_axis(tables: dict[str, pd.DataFrame]) -> None:
    figure = plots.time_curves(curves("round"), "element", "H", "eV")
    drawn(figure)
    assert figure.frame["round"].tolist() == [*N, *N]
    assert figure.plotly()["layout"]["xaxis"]["title"]["text"] == "Rounds or epochs"


def test_the_forest_begins_with_the_task_that_data_help_least(
    tables: dict[str, pd.DataFrame],
) -> None:
    figure = plots.exponent_forest(tables["laws"])
    drawn(figure)
    assert list(dict.fromkeys(figure.frame["task"])) == ["O", "F", "H"]
    assert "rises for O." in figure.alt
    drawn(plots.exponent_forest(tables["laws"].iloc[:0]))


def test_exponents_are_parted_by_verdict(tables: dict[str, pd.DataFrame]) -> None:
    figure = plots.exponent_distribution(tables["laws"], tables["all"])
    drawn(figure)
    rows = figure.frame.drop_duplicates("row").set_index("row")
    assert rows.index.tolist() == [
        "all tasks: in distribution",
        "all tasks: held out",
        "extrapolation: in distribution",
        "extrapolation: held out",
    ]
    assert rows.loc["all tasks: in distribution", "median"] == pytest.approx(-0.3, abs=0.03)
    assert rows.loc["extrapolation: held out", "median"] == pytest.approx(0.15, abs=0.03)
    drawn(plots.exponent_distribution(tables["laws"].iloc[:0], tables["all"]))


def test_choices_share_both_ends() -> None:
    rows = [
        TASK | {"criterion": "element", "held_out": "F", "test": "held_out", "choice": choice,
                "n_train": n, "mae": mae}
        for choice, points in {
            "random": {40: 0.5, 120: 0.4, 400: 0.3, 1200: 0.2},
            "nearest": {120: 0.3, 400: 0.25},
        }.items()
        for n, mae in points.items()
    ]  # fmt: skip
    figure = plots.added_curves(pd.DataFrame(rows), "element", "F", "eV")
    drawn(figure)
    nearest = figure.frame[figure.frame["choice"] == "nearest"]
    assert dict(zip(nearest["n_train"], nearest["mae"], strict=True)) == {
        40: 0.5, 120: 0.3, 400: 0.25, 1200: 0.2,
    }  # fmt: skip
    drawn(plots.added_curves(pd.DataFrame(rows), "element", "nothing", "eV"))
