"""The sections on more data, longer training and other data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from offmap.report import scaling
from offmap.report.tables import Tables
from offmap.scaling.curves import fitted
from offmap.scaling.verdicts import exponents, with_domain
from offmap.store import Store
from tests.report.planted import plant

KEYS = {"dataset": "planted", "target": "e_form", "representation": "matminer"}
TASK = {"criterion": "crystal_system", "held_out": "cubic", "seed": 0}


def measured(model: str, over: str) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        [
            KEYS | TASK | {"model": model, "seed": seed, "n_train": n, over: n, "test": test,
                           "n_test": 50, "mae": float(n**slope * np.exp(0.003 * rng.normal()))}
            for test, slope in (("in_distribution", -0.3), ("held_out", 0.2))
            for n in (40, 120, 400, 1200)
            for seed in range(3)
        ]
    )  # fmt: skip


@pytest.fixture(scope="module", params=[1, 2], ids=["one model", "two models"])
def tables(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Tables:
    models = ("lgbm", "rf")[: request.param]
    store: Store = plant(
        tmp_path_factory.mktemp("study") / "study", n=200, min_size=20, models=models,
        criteria=("crystal_system",), n_bootstrap=10,
    )  # fmt: skip
    size = pd.concat([measured(m, "n_train") for m in models])
    time = pd.concat([measured(m, "round") for m in models])
    found = [fitted(part, n_bootstrap=20) for part in (size, time)]
    laws = with_domain(pd.concat([laws for laws, _ in found], ignore_index=True), None)
    choice = size[size["test"] == "held_out"].assign(choice="random")
    better = choice[choice["n_train"].isin((120, 400))].assign(choice="nearest", mae_ratio=0.8)
    written = {
        "scaling": size,
        "scaling_time": time,
        "scaling_laws": laws,
        "scaling_bands": pd.concat([bands for _, bands in found]),
        "scaling_exponents": exponents(laws),
        "scaling_added": pd.concat(
            [choice, better.assign(mae_ratio_low=0.7, mae_ratio_high=0.9)], ignore_index=True
        ),
    }
    for name, table in written.items():
        store.write_table(name, table)
    return Tables(store)


def test_every_question_has_its_section(tables: Tables) -> None:
    makers = (scaling.section, scaling.exponents, scaling.time, scaling.added)
    made = [maker(tables) for maker in makers]
    assert [section.id for section in made if section] == [
        "scaling", "exponents", "scaling-time", "scaling-added",
    ]  # fmt: skip
    html = "".join(section.html for section in made if section)
    assert "more of the same data makes it worse" in html
    assert "longer training makes it worse" in html
    assert "nearest to the gap" in html
    assert "0.80 [0.70, 0.90]" in html
    curves = 2 * len(tables.series)
    assert f"of {curves} curves" in html
    slots = [slot for section in made if section for slot in section.slots]
    names = [figure.name for slot in slots for figure in slot.figures.values()]
    assert len(names) == len(set(names)) == 5 * len(tables.series)


def test_without_tables_there_is_no_section(tmp_path: Path) -> None:
    store = plant(tmp_path / "study", n=120, min_size=20, models=("lgbm",), n_bootstrap=5)
    tables = Tables(store)
    makers = (scaling.section, scaling.exponents, scaling.time, scaling.added)
    assert all(maker(tables) is None for maker in makers)
