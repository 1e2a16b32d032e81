"""The bias analysis on the page: figures with numbers, shifted tasks, what labels mend."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from offmap.report import report
from offmap.store import Store
from tests.report.planted import plant

KEYS = {
    "dataset": "planted", "target": "e_form", "representation": "matminer", "model": "lgbm",
    "seed": 0, "n_train": 0, "criterion": "element",
}  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("bias") / "study"
    found = plant(folder, n=200, models=("lgbm",), criteria=("element",), min_size=20)
    found.write_table("bias", _bias())
    found.write_table("bias_materials", _materials())
    found.write_table("rescue", _rescue())
    return found


@pytest.fixture(scope="module")
def page(store: Store) -> str:
    return report(store).read_text(encoding="utf-8")


def _bias() -> pd.DataFrame:
    shifted = {
        "bias": 0.6, "bias_low": 0.55, "bias_high": 0.65, "mae": 0.62, "pearson": 0.97,
        "slope": 1.0, "slope_low": 0.9, "slope_high": 1.1, "offset": 0.6, "offset_low": 0.5,
        "offset_high": 0.7, "bias_composition": 0.5, "bias_structure": 0.1,
        "share_composition": 0.83, "settings": json.dumps({"local_difference": "structure"}),
    }  # fmt: skip
    rows = [
        {"held_out": "F", "method": "offmap", "error_class": "shifted"} | shifted
        | {"bias_verdict": "biased by +0.60, 83 % of it composition"},
        {"held_out": "H", "method": "offmap", "error_class": "scattered"} | shifted
        | {"bias_verdict": "not biased: H"},
        {"held_out": "F", "method": "study", "error_class": "shifted"} | shifted
        | {"bias_verdict": "biased by +0.70 as the study finds"},
    ]  # fmt: skip
    return pd.DataFrame([KEYS | row for row in rows])


def _materials() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    parts = pd.DataFrame(rng.normal([0.5, 0.0, 0.1], 0.05, (80, 3)))
    parts.columns = ["composition", "structure", "local_difference"]
    frames = [
        parts.assign(**KEYS, held_out="F", method=method, error=parts.sum(axis=1))
        for method in ("offmap", "study")
    ]
    return pd.concat(frames, ignore_index=True)


def _rescue() -> pd.DataFrame:
    rows = [
        KEYS | {"held_out": "F", "choice": choice, "remedy": remedy, "n_labelled": n, "mae": mae,
                "mae_low": mae, "mae_high": mae, "n_draws": 2, "mae_in_distribution": 0.1,
                "reached": reached}
        for choice in ("random", "diverse")
        for remedy, n, mae, reached in (
            ("none", 0, 0.62, "not within 0"), ("offset", 5, 0.2, "reached with 50"),
            ("offset", 50, 0.1, "reached with 50"),
        )
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_figures_come_with_their_numbers(store: Store, page: str) -> None:
    for name in ("bias-parts", "bias-violins", "rescue-element-F-random-lgbm", "elements-bias"):
        assert (store.figures / f"{name}.svg").is_file()
        assert name in page
    violins = pd.read_csv(store.figures / "bias-violins.csv")
    means = violins.drop_duplicates("part").set_index("part")["mean"]
    assert violins["n_materials"].eq(80).all()  # those of the study's method are not among them
    assert means["composition"] == pytest.approx(0.5, abs=0.02)
    assert means["structure"] == pytest.approx(0.1, abs=0.02)  # LocalPropertyDifference included
    rescue = pd.read_csv(store.figures / "rescue-element-F-random-lgbm.csv")
    assert rescue["n_labelled"].tolist() == [5, 50]


def test_shifted_tasks_are_listed(page: str) -> None:
    table = page.split("Well correlated but shifted: 1 task")[1].split("</table>")[0]
    assert "element/F" in table
    assert "element/H" not in table
    assert "0.970" in table


def test_it_says_that_test_labels_are_used(page: str) -> None:
    assert "use the labels of the test materials" in page
    assert "83 % of it composition" in page
    assert "as the study finds" in page.split("As the study does it")[1]


def test_the_number_of_labels_that_is_enough(page: str) -> None:
    table = page.split("How many labels are enough")[1].split("</table>")[0]
    assert table.count("reached with 50") == 2  # one row per choice, at its most labels
    assert "not within 0" not in table
