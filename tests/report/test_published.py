"""Published numbers beside measured ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from offmap.report.published import published
from offmap.store import Store
from tests.report import planted as module
from tests.report.planted import plant
from tests.test_cli import offmap


def test_nothing_is_filled_in_that_was_not_run(planted: Store) -> None:
    scores, _ = published([planted])
    assert (scores["status"] == "not yet").all()
    assert scores["measured"].isna().all()
    table_1 = scores[scores["source"].str.contains("Table 1")]
    assert len(table_1) == 3 * 5 * 2
    values = table_1.set_index(["dataset", "model", "metric"])["published"]
    assert values["mp21", "rf", "mae"] == 0.09


def test_scores_of_the_same_dataset_are_set_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = module.provenance
    monkeypatch.setattr(module, "provenance", lambda *a: facts(*a) | {"dataset": "jarvis22"})
    store = plant(tmp_path / "jarvis", n=300, models=("rf",), criteria=("element",), min_size=30)
    scores, _ = published([store])
    measured = scores[scores["status"] == "measured"].set_index("metric")
    assert measured["model"].tolist() == ["rf", "rf"]
    pooled = store.read_table("scores").query("criterion == 'in_distribution' & held_out == 'all'")
    assert measured.loc["mae", "measured"] == pooled["mae"].iat[0]


def test_findings_follow_from_the_tasks(planted: Store) -> None:
    _, findings = published([planted])
    mine = findings[findings["model"] == "lgbm"].set_index("finding")
    # Planted: F and O are shifted, H is scattered, so not all three are shifted.
    assert not mine.loc["H, F, O: well correlated but shifted", "holds"]
    assert mine.loc["leaving out H, F or O fails", "holds"]
    assert mine.loc["structure tasks are harder than chemistry", "holds"] in (True, False)


def test_a_study_without_symmetry_tasks_says_not_yet(tmp_path: Path) -> None:
    store = plant(tmp_path / "s", n=300, models=("lgbm",), criteria=("element",), min_size=30)
    _, findings = published([store])
    rows = findings.set_index("finding")
    assert rows.loc["triclinic is the hardest crystal system", "measured"] == "not yet"
    assert rows.loc["triclinic is the hardest crystal system", "holds"] is None


def test_some_tasks_of_a_criterion_say_nothing_of_most_of_them(tmp_path: Path) -> None:
    store = plant(tmp_path / "s", 300, ("lgbm",), ("element",), min_size=30, finished=0.6)
    _, findings = published([store])
    rows = findings.set_index("finding")
    assert rows.loc["most leave-one-element-out tasks go well", "measured"] == "not yet"


def test_the_command_prints_both_tables(planted: Store) -> None:
    done = offmap("compare", planted.folder, "--published", "--json")
    found = json.loads(done.stdout)
    assert len(found["scores"]) >= 30
    assert {row["model"] for row in found["findings"]} == {"lgbm", "rf"}
