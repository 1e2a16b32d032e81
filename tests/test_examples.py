"""The study files of the examples."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from offmap.attributes import attributes
from offmap.columns import STUDY_CRITERIA
from offmap.datasets.base import Dataset
from offmap.datasets.cards import snapshots
from offmap.models.base import make_model
from offmap.study import Study
from offmap.tasks.membership import find_groups
from tests.report.planted import plant

REPRODUCE = Path(__file__).parents[1] / "examples" / "reproduce"
FILES = sorted(REPRODUCE.glob("*.toml"))
WRITER = REPRODUCE / "write_results.py"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_study_files_are_valid(path: Path) -> None:
    study = Study.from_toml(path)
    assert study.criteria == (*STUDY_CRITERIA, "n_elements")
    assert {"rf", "xgb"} <= set(study.models)
    if not study.dataset.endswith(".parquet"):
        card = snapshots()[study.dataset]
        assert study.target in card.targets
        assert study.cleaning == "study"


def test_the_three_databases_of_the_study_are_there() -> None:
    assert {"jarvis22", "mp21", "oqmd21"} <= {path.stem for path in FILES}


def test_the_results_page_is_written_from_tables(tmp_path: Path) -> None:
    criteria = ("element", "crystal_system")
    study = plant(tmp_path / "study", 300, ("lgbm",), criteria, min_size=30)
    other = plant(tmp_path / "other", 300, ("rf",), criteria, min_size=30, finished=0.7)
    page = tmp_path / "results.md"
    command = [sys.executable, WRITER, study.folder, "--beside", other.folder, "--out", page]
    subprocess.run(command, check=True)
    text = page.read_text(encoding="utf-8")
    scores = study.read_table("scores")
    worst = scores.query("criterion == 'element'").nlargest(1, "mae_ratio").iloc[0]
    assert f"element {worst['held_out']} | {worst['n_test']} | {worst['mae']:.3f}" in text
    both = text.split("## Other models")[1].split("## ")[0]
    assert both.count("\n| element ") == len(
        other.read_table("scores").query("criterion == 'element'")
    )
    assert "the study has no `bias`" in text


def test_the_study_of_networks_finds_its_tasks_and_its_linear_model(
    monkeypatch: pytest.MonkeyPatch, toy_dataset: Dataset
) -> None:
    folder = Path(__file__).parents[1] / "examples" / "networks"
    monkeypatch.syspath_prepend(str(folder))
    study = Study.from_toml(folder / "study.toml")
    assert {"alignn", "gmp"} <= set(study.models)
    few = attributes(toy_dataset.crystals.take(np.arange(0, 792, 9)))
    groups = find_groups(study.criteria[0], few)
    assert groups.labels == ("H", "F", "O", "Ge")
    assert 0 < groups.matrix[:, 1].sum() < len(groups.matrix)
    X = np.random.default_rng(0).normal(size=(60, 4))
    X[3, 1] = np.nan
    model = make_model("networks:ridge", {}, 0, 1).fit(X[:, :], np.arange(60.0))
    assert np.isfinite(model.predict(X)).all()
    for name in ("alignn", "gmp"):
        make_model(name, study.model_settings[name], 0, 1)  # every setting is known
