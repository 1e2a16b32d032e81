"""The domain chapter on the planted study: head-to-head, curves, maps, words."""

import numpy as np
import pandas as pd
import pytest

from offmap.plots.domain import risk_curves, task_map
from offmap.report.domain import Maps, trust
from offmap.report.summary import summarise
from offmap.report.tables import Tables
from offmap.store import Store

UNIT = "eV/atom"


@pytest.fixture
def judged(planted: Store, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The planted study with the tables of the domain stage: F is outside, the rest within."""
    import shutil

    folder = tmp_path_factory.mktemp("judged") / "study"
    shutil.copytree(planted.folder, folder)
    store = Store(folder)
    keys = {"representation": "matminer", "model": "lgbm"}
    members, materials = store.read_table("members"), store.read_table("materials")
    domain = members.assign(out_of_domain=members["held_out"].astype(str) == "F", **keys)
    store.write_table("domain", domain)
    coverage = domain.groupby(["criterion", "held_out"], observed=True)["out_of_domain"].mean()
    verdicts = (1 - coverage).rename("coverage").reset_index().assign(**keys)
    verdicts["verdict"] = np.where(verdicts["coverage"] > 0.5, "interpolation", "extrapolation")
    store.write_table("verdicts", verdicts)
    row = {"criterion": "all", "n_tasks": 20, "auroc": 0.7, "excess_area": 0.6}
    row |= {"mae_rank_correlation": 0.5, "mae_rank_correlation_mean": 0.8}
    row |= {"error_rank_correlation": 0.4, "false_alarms": 0.05}
    names = ("knn", "combined", "expected_error")
    store.write_table("detectors", pd.DataFrame([keys | row | {"detector": n} for n in names]))
    shares = np.linspace(0.1, 1, 10)
    curves = [
        pd.DataFrame({"share_kept": shares, "mae": 0.1 + slope * shares, "detector": name})
        for name, slope in (("knn", 0.1), ("expected_error", 0.2), ("error itself", 0.4))
    ]
    risk = pd.concat(curves).assign(criterion="all", **keys)
    risk["area"] = risk.groupby("detector")["mae"].transform("mean")
    store.write_table("risk_coverage", risk)
    ids = materials["material_id"]
    places = pd.DataFrame({"material_id": ids, "representation": "matminer", "kind": "test"})
    places["x"] = np.arange(len(ids), dtype=float)
    store.write_table("domain_map", places.assign(y=0.0))
    return store


def test_the_head_to_head_is_shown(judged: Store) -> None:
    section = trust(Tables(judged))
    assert section is not None
    assert "expected error" in section.html
    assert "0.70" in section.html


def test_nothing_is_shown_before_the_domain_stage(planted: Store) -> None:
    assert trust(Tables(planted)) is None


def test_a_map_knows_in_from_out(judged: Store) -> None:
    tables = Tables(judged)
    series = tables.series[0]
    members = judged.read_table("members").astype(str).query("criterion == 'element'")
    test = members.query("held_out == 'F'").assign(y_true=0.0, y_pred=0.5)
    figure = Maps(tables).figure(series, "element", "F", test)
    assert figure is not None
    assert set(figure.frame["side"]) == {"train", "out"}
    assert (figure.frame.query("side == 'out'")["error"] == 0.5).all()
    hovers = [text for trace in figure.plotly()["data"] for text in trace["hovertext"]]
    assert any("error 0.5" in text for text in hovers)
    assert "<script>" not in "".join(hovers)
    assert figure.svg().startswith("<?xml")
    assert Maps(tables).figure("no such model", "element", "F", test) is None


def test_a_map_of_many_materials_is_thinned() -> None:
    n = 5000
    ids = np.array([f"m-{i}" for i in range(n)])
    places = pd.DataFrame({"material_id": ids, "formula": "NaCl", "x": 0.0, "y": 0.0, "kind": "k"})
    test = pd.DataFrame({"material_id": ids[:2000], "out_of_domain": False, "error": 0.1})
    assert task_map(places, test).frame["side"].value_counts().to_dict() == {
        "train": 500,
        "in": 300,
    }


def test_the_best_detector_is_named_in_words(judged: Store) -> None:
    figure = risk_curves(judged.read_table("risk_coverage"), UNIT, "lgbm")
    assert "Least area: knn" in figure.alt
    assert len(figure.plotly()["data"]) == 3
    assert "ideal" in figure.svg()


def test_the_words_say_what_share_of_the_error_is_left(judged: Store) -> None:
    tables = Tables(judged)
    series = tables.series[0]
    text = str(summarise(tables.tasks_of(series), tables.reference, tables.unit))
    assert "interpolation by name only" in text
