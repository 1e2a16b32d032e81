"""The main job on toy crystals: from file to scores, killed, resumed, failing, repeated."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import offmap
import offmap.columns
from offmap import Study, stages
from offmap.attributes import space_groups
from offmap.crystals import Crystals
from offmap.domain.finished import reopen
from offmap.errors import OffmapError, StudyError, UnknownNameError
from offmap.evaluate import cells
from offmap.inputs import prepare
from offmap.opening import opened
from offmap.store import Store

TOY = {"target": "energy", "min_size": 60, "representations": ("magpie",), "n_bootstrap": 50}
FAST = {"lgbm": {"n_estimators": 60, "num_leaves": 15}}


@pytest.fixture(scope="module")
def study(toy_file: Path) -> Study:
    criteria = ("element", "crystal_system")
    return Study(dataset=str(toy_file), criteria=criteria, model_settings=FAST, **TOY)


@pytest.fixture(scope="module")
def finished(study: Study, tmp_path_factory: pytest.TempPathFactory) -> offmap.Run:
    return offmap.run(study, tmp_path_factory.mktemp("out") / "study", jobs=2)


def _scores(run: offmap.Run) -> pd.DataFrame:
    keys = ["model", "criterion", "held_out"]
    return run.scores.sort_values(keys).reset_index(drop=True)


def test_the_folder_holds_what_the_design_says(finished: offmap.Run) -> None:
    folder = finished.store.folder
    names = "study.toml tasks.parquet members.parquet scores.parquet scores.csv rejected.csv"
    assert not [n for n in names.split() if not (folder / n).is_file()]
    assert finished.store.report_file.is_file()
    assert not list(folder.glob(".arrays-*"))
    runs = pd.read_parquet(folder / "runs")
    assert set(offmap.columns.CELL_KEYS) <= set(runs.columns)
    assert len(runs) == finished.scores.query("held_out != 'all'")["n_test"].sum()


def test_a_planted_shift_is_found(finished: offmap.Run) -> None:
    scores = finished.scores.set_index(["criterion", "held_out"])
    fluorine = scores.loc[("element", "F")]
    assert fluorine["bias"] > 0.7  # predicted minus true: labels are 1 eV/atom lower than thought
    assert fluorine["mae_ratio_low"] > 3
    assert fluorine["pearson"] > 0.8
    easy = scores.loc[("crystal_system", "cubic")]
    assert easy["mae_ratio"] < fluorine["mae_ratio"] / 2


def test_tasks_are_disjoint_and_complete(finished: offmap.Run) -> None:
    members = finished.store.read_table("members")
    tasks = finished.tasks.query("kept")
    counted = members.groupby(["criterion", "held_out"], observed=True).size()
    for task in tasks.itertuples():
        assert counted[task.criterion, task.held_out] == task.n_test
        assert task.n_train + task.n_test == 792


def test_a_second_run_does_nothing_again(study: Study, finished: offmap.Run) -> None:
    store = finished.store
    before = {c: (store.cell_folder(c) / "_run.json").stat().st_mtime_ns for c in cells(store)}
    offmap.run(study, store.folder, jobs=1)
    after = {c: (store.cell_folder(c) / "_run.json").stat().st_mtime_ns for c in cells(store)}
    assert after == before


def test_scores_do_not_depend_on_jobs_or_row_order(
    study: Study, finished: offmap.Run, toy_file: Path, tmp_path: Path
) -> None:
    shuffled = tmp_path / "toy.parquet"
    frame = pd.read_parquet(toy_file).sample(frac=1, random_state=3)
    frame.to_parquet(shuffled, index=False)
    other = offmap.run(study.replace(dataset=str(shuffled)), tmp_path / "out", jobs=1)
    pd.testing.assert_frame_equal(_scores(other), _scores(finished))


def test_symmetry_is_found_once_per_study(
    study: Study, finished: offmap.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched: list[int] = []

    def spy(crystals: Crystals, *arguments: Any) -> Any:
        searched.append(len(crystals))
        return space_groups(crystals, *arguments)

    monkeypatch.setattr("offmap.attributes.space_groups", spy)
    fresh = prepare(study, with_features=False)
    again = prepare(study, with_features=False, store=finished.store)
    assert searched == [792, 0]
    pd.testing.assert_frame_equal(again.materials(), fresh.materials())
    assert (again.membership.matrix == fresh.membership.matrix).all()

    store = Store.create(tmp_path / "s", study, finished.store.provenance())
    materials = finished.store.read_table("materials")
    store.write_table("materials", materials.iloc[5:].sample(frac=1, random_state=0))
    part = prepare(study, with_features=False, store=store)
    assert searched.pop() == 5
    pd.testing.assert_frame_equal(part.materials(), fresh.materials())

    foreign = finished.store.provenance() | {"data_sha256": "0"}
    other = Store.create(tmp_path / "t", study, foreign)
    other.write_table("materials", materials)
    prepare(study, with_features=False, store=other)
    assert searched.pop() == 792  # of other data


def test_other_settings_in_the_same_folder_are_refused(study: Study, finished: offmap.Run) -> None:
    with pytest.raises(StudyError, match="min_size: 60 -> 61"):
        offmap.run(study.replace(min_size=61), finished.store.folder)


def test_an_analysis_on_other_data_is_refused(study: Study, toy_file: Path, tmp_path: Path) -> None:
    data = tmp_path / "toy.parquet"
    data.write_bytes(toy_file.read_bytes())
    store = stages.create(tmp_path / "s", prepare(study.replace(dataset=str(data))))
    frame = pd.read_parquet(data)
    frame.assign(energy=frame["energy"] + 1).to_parquet(data, index=False)
    with pytest.raises(StudyError, match="the data have changed"), opened(store.folder):
        pass
    with pytest.raises(StudyError, match="the data have changed"):
        reopen(store)


def test_models_may_be_added_later(study: Study, tmp_path: Path) -> None:
    small = study.replace(criteria=("crystal_system",), models=("dummy",), model_settings={})
    n_scores = len(offmap.run(small, tmp_path / "s", jobs=1).scores)
    more = offmap.run(small.replace(models=("dummy", "knn")), tmp_path / "s", jobs=1)
    assert set(more.scores["model"]) == {"dummy", "knn"}
    assert len(more.scores) == 2 * n_scores


class Fragile:
    """A model that fails on one task, until told otherwise."""

    def __init__(self, fail: bool = True) -> None:
        self.fail = fail

    def get_params(self, deep: bool = True) -> dict[str, object]:
        return {"fail": self.fail}

    def set_params(self, **params: object) -> Fragile:
        return self

    def fit(self, X: np.ndarray, y: np.ndarray) -> Fragile:
        if self.fail and y.min() > -2.0:  # only without the fluorides
            raise RuntimeError("cannot do this one")
        self.mean = y.mean()
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        return np.full(len(X), self.mean)


def test_some_tasks_first_then_the_rest(study: Study, finished: offmap.Run, tmp_path: Path) -> None:
    some = offmap.run(study, tmp_path / "study", jobs=2, held_out=["element/F", "crystal_system"])
    criteria = some.scores.groupby("criterion")["held_out"].agg(set)
    assert criteria["element"] == {"F"}
    assert some.scores["mae_ratio"].notna().any()
    with pytest.raises(UnknownNameError, match="element/F"):
        stages.train(some.store, held_out=["element/Fe2"])
    assert len(stages.train(some.store, 2, held_out=["element/O"], models=["lgbm"])) == 1
    whole = offmap.run(study, tmp_path / "study", jobs=2)
    pd.testing.assert_frame_equal(_scores(whole), _scores(finished))


def test_what_cannot_be_run_is_said_before_anything_is_written(
    study: Study, tmp_path: Path
) -> None:
    small = study.replace(criteria=("element", "crystal_system"), min_size=80)
    wanted = {
        "element/Fe": (StudyError, r"was skipped \(fewer than 80 test materials\): .*--min-size"),
        "Cl": (UnknownNameError, r"did you mean 'element/Cl'\?.*criterion/held_out"),
        "space_group": (UnknownNameError, r"unknown task 'space_group'\. Known: "),
    }
    for name, (error, message) in wanted.items():
        with pytest.raises(error, match=message):
            offmap.run(small, tmp_path / "s", jobs=1, held_out=[name])
    with pytest.raises(StudyError, match=r"tasks were skipped as too small: use a smaller"):
        offmap.run(study.replace(min_size=700), tmp_path / "s", jobs=1)
    assert not (tmp_path / "s").exists()


def test_a_model_that_cannot_be_made_stops_a_run_at_once(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = study.replace(models=("lgbm", "xgb"), model_settings={})
    monkeypatch.setitem(sys.modules, "xgboost", None)
    monkeypatch.setattr(stages, "prepare", lambda *given, **named: pytest.fail("went on"))
    with pytest.raises(OffmapError, match=r"pip install 'offmap\[xgb\]'"):
        offmap.run(both, tmp_path / "s", jobs=1)


def test_failed_cells_are_named_and_tried_again(study: Study, tmp_path: Path) -> None:
    name = f"{__name__}:Fragile"
    fragile = study.replace(models=(name,), model_settings={}, criteria=("element",))
    first = offmap.run(fragile, tmp_path / "s", jobs=1)
    assert [outcome.cell.held_out for outcome in first.failed] == ["F"]
    assert "cannot do this one" in first.failed[0].error
    assert first.store.error(first.failed[0].cell)["error"] == "RuntimeError"
    assert "F" not in set(first.scores["held_out"])
    Fragile.__init__.__defaults__ = (False,)
    try:
        second = offmap.run(fragile, tmp_path / "s", jobs=1)
    finally:
        Fragile.__init__.__defaults__ = (True,)
    assert not second.failed
    assert "F" in set(second.scores["held_out"])
    assert not second.store.error(first.failed[0].cell)


def test_a_killed_run_goes_on(study: Study, finished: offmap.Run, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    settings = json.dumps(study.to_dict())
    code = (
        "import json, sys, offmap\n"
        "if __name__ == '__main__':\n"
        "    study = offmap.Study.from_dict(json.loads(sys.argv[1]))\n"
        "    offmap.run(study, sys.argv[2], jobs=1)\n"
    )
    script = tmp_path / "go.py"
    script.write_text(code)
    process = subprocess.Popen([sys.executable, str(script), settings, str(folder)])
    deadline = time.monotonic() + 600
    while len(list(folder.glob("runs/**/_run.json"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    store = Store.open(folder)
    done = [c for c in cells(store) if store.state(c) == "done"]
    assert 3 <= len(done) < len(cells(store))
    stamps = {c: (store.cell_folder(c) / "_run.json").stat().st_mtime_ns for c in done}
    resumed = offmap.run(study, folder, jobs=2)
    assert stamps == {c: (store.cell_folder(c) / "_run.json").stat().st_mtime_ns for c in done}
    pd.testing.assert_frame_equal(_scores(resumed), _scores(finished))
    assert not list(folder.rglob(".arrays-*"))


@pytest.mark.parametrize(
    ("argv", "command"),
    [
        (["/usr/bin/offmap", "run", "--out", "my study"], "offmap run --out 'my study'"),
        (["/lib/offmap/__main__.py", "run"], "offmap run"),
        (["study.py", "x"], "offmap.run(...) in Python, called by study.py"),
        ([""], "offmap.run(...) in Python"),
    ],
)
def test_the_command_is_as_it_was_given(argv: list[str], command: str) -> None:
    assert stages._command(argv) == command
