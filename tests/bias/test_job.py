"""The analysis of a toy study from its folder: tables, repetition, parallel runs, errors."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from offmap.bias import Bias, Plan, bias, shifted
from offmap.bias.descriptors import describe
from offmap.bias.job import _check_retrainable
from offmap.columns import CELL_KEYS
from offmap.errors import SettingsError, StudyError, UnknownNameError
from offmap.evaluate import cells, evaluate
from offmap.inputs import Inputs, prepare
from offmap.stages import create
from offmap.store import Cell, Store, states
from offmap.study import Study

SETTINGS = {"lgbm": {"n_estimators": 60, "num_leaves": 15, "learning_rate": 0.1}}
XGB = {"xgb": {"n_estimators": 20, "num_parallel_tree": 1}}
TOY = {"target": "energy", "min_size": 80, "n_folds": 3, "n_bootstrap": 50}
ASKED = ["element/F", "element/Te"]
PLAN = Plan(sizes=(5, 20), n_draws=2, n_retrained=1)


@pytest.fixture(scope="module")
def inputs(toy_file: Path) -> Inputs:
    criteria = ("element", "crystal_system")
    return prepare(Study(str(toy_file), criteria=criteria, model_settings=SETTINGS, **TOY))


@pytest.fixture(scope="module")
def evaluated(inputs: Inputs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = create(tmp_path_factory.mktemp("out") / "study", inputs)
    assert not [outcome for outcome in evaluate(store, inputs) if outcome.error]
    return store.folder


@pytest.fixture
def store(evaluated: Path, tmp_path: Path) -> Store:
    return Store(shutil.copytree(evaluated, tmp_path / "study"))


@pytest.fixture(scope="module")
def found(evaluated: Path, inputs: Inputs) -> Bias:
    return bias(Store(evaluated), inputs, ASKED, rescue=True, plan=PLAN, n_permutations=3)


def test_every_task_has_its_signed_error(found: Bias, inputs: Inputs) -> None:
    tasks = found.tasks
    kept = inputs.tasks().query("kept and criterion != 'in_distribution'")
    assert len(tasks) == len(kept)
    assert tasks[["bias", "bias_low", "slope", "offset", "mae_in_distribution"]].notna().all(None)
    assert set(tasks["method"]) == {"offmap"}
    assert not found.failed


def test_the_chosen_tasks_are_taken_apart(found: Bias) -> None:
    tasks = found.tasks.set_index("held_out")
    assert set(tasks.index[tasks["bias_composition"].notna()]) == {"F", "Te"}
    fluorine = tasks.loc["F"]
    assert fluorine["bias"] > 0.5  # the labels of fluorides are lower than the model can know
    assert fluorine["share_composition"] > 0.5
    assert fluorine["bias_verdict"].startswith("biased by +")
    assert fluorine["n_decomposed"] == fluorine["n_test"] == 88
    checked = ["p_composition", "bias_structure_only", "share_composition_interventional"]
    assert fluorine[checked].notna().all()
    assert "F" in shifted(found.tasks)["held_out"].tolist()


def test_the_parts_of_each_material_add_up(found: Bias) -> None:
    materials = found.materials
    assert materials.groupby("held_out").size().to_dict() == {"F": 88, "Te": 88}
    base = found.tasks.set_index("held_out")["bias_base"]
    parts = materials[["composition", "structure", "local_difference", "rest"]].sum(axis=1)
    total = parts + materials["held_out"].map(base).astype(float)
    np.testing.assert_allclose(total, materials["error"], atol=1e-5)


def test_the_rescue_tells_when_it_is_enough(found: Bias) -> None:
    rescue = found.rescue
    assert set(rescue["remedy"]) == {"none", "offset", "line", "residual", "retrain"}
    fluorine = rescue[rescue["held_out"] == "F"].set_index(["choice", "remedy", "n_labelled"])
    assert (
        fluorine.loc[("random", "offset", 20), "mae"] < fluorine.loc[("random", "none", 0), "mae"]
    )


def test_the_tables_are_on_disk(found: Bias, evaluated: Path) -> None:
    store = Store(evaluated)
    for name, frame in (
        ("bias", found.tasks), ("bias_materials", found.materials), ("rescue", found.rescue),
    ):  # fmt: skip
        read = store.read_table(name)
        assert read.columns.tolist() == frame.columns.tolist()
        assert len(read) == len(frame)
    assert (store.folder / "bias.csv").is_file()
    assert not list(store.folder.glob(".arrays-*"))


def test_what_is_there_is_kept_and_not_done_again(
    found: Bias, store: Store, inputs: Inputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = bias(store, inputs, ["crystal_system/hexagonal"], checks=False)
    apart = more.tasks[more.tasks["bias_composition"].notna()]["held_out"]
    assert set(apart) == {"F", "Te", "hexagonal"}
    assert len(more.rescue) == len(found.rescue)
    monkeypatch.setattr("offmap.bias.job.Local", None)  # nothing may run now
    again = bias(store, inputs, ASKED, rescue=True, plan=PLAN, n_permutations=3)
    pd.testing.assert_frame_equal(again.tasks, more.tasks)


def test_new_predictions_are_analysed_anew(found: Bias, store: Store, inputs: Inputs) -> None:
    cell = next(c for c in cells(store) if c.held_out == "F")
    shutil.rmtree(store.cell_folder(cell))
    evaluate(store, inputs)
    tasks = bias(store, inputs, [], checks=False).tasks.set_index("held_out")
    assert np.isnan(tasks.loc["F", "bias_composition"])
    assert tasks.loc["Te", "bias_composition"] == pytest.approx(
        found.tasks.set_index("held_out").loc["Te", "bias_composition"]
    )


def test_results_do_not_depend_on_jobs(store: Store, inputs: Inputs, found: Bias) -> None:
    for name in ("bias", "bias_materials", "rescue"):
        store.table_file(name).unlink()
    parallel = bias(store, inputs, ASKED, 2, rescue=True, plan=PLAN, n_permutations=3)
    for one, two in (
        (found.tasks, parallel.tasks),
        (found.materials, parallel.materials),
        (found.rescue, parallel.rescue),
    ):
        keys = [
            c for c in [*CELL_KEYS, "material_id", "choice", "remedy", "n_labelled"] if c in one
        ]
        one, two = (t.sort_values(keys).reset_index(drop=True) for t in (one, two))
        pd.testing.assert_frame_equal(one, two)


def test_the_study_method_stands_beside(store: Store, inputs: Inputs) -> None:
    small = inputs.study.replace(models=("lgbm", "xgb"), model_settings=SETTINGS | XGB)
    tasks = bias(
        store, replace(inputs, study=small), ["element/F"], faithful=True, checks=False
    ).tasks
    study = tasks[tasks["method"] == "study"]
    assert study[["model", "held_out"]].values.tolist() == [["xgb", "F"]]
    assert study["bias"].iat[0] > 0.5
    assert "biased by +" in study["bias_verdict"].iat[0]
    assert (tasks["method"] == "offmap").sum() == len(tasks) - 1


def test_errors_in_words(store: Store, inputs: Inputs, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'element/Te'"):
        bias(store, inputs, ["element/te"])
    with pytest.raises(UnknownNameError, match="model 'xgb'"):
        bias(store, inputs, models=["xgb"])
    with pytest.raises(SettingsError, match="faithful"):
        bias(store, inputs, ["element/F"], rescue=True, faithful=True)
    with pytest.raises(SettingsError, match="LocalPropertyDifference"):
        bias(store, inputs, ["element/F"], local_difference="neither")
    with pytest.raises(StudyError, match="offmap evaluate"):
        bias(create(tmp_path / "empty", inputs), inputs)


def test_a_failing_task_is_named_and_the_others_go_on(
    store: Store, inputs: Inputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    import offmap.bias.worker as worker

    real = worker.decompose

    def sometimes(case: object, settings: object) -> object:
        if len(case.test) == 198:  # type: ignore[attr-defined]
            raise ValueError("no such luck")
        return real(case, settings)  # type: ignore[arg-type]

    monkeypatch.setattr(worker, "decompose", sometimes)
    asked = ["crystal_system/hexagonal", "element/O"]
    done = bias(store, inputs, asked, checks=False)
    assert [(o.cell.held_out, o.error) for o in done.failed] == [
        ("hexagonal", "ValueError: no such luck")
    ]
    tasks = done.tasks.set_index("held_out")
    assert np.isfinite(tasks.loc["O", "bias_composition"])


def test_the_model_itself_can_be_retrained(store: Store, inputs: Inputs) -> None:
    plan = Plan(sizes=(5,), n_draws=1, n_retrained=1, own_model=True)
    own = bias(store, inputs, ["element/Te"], rescue=True, checks=False, plan=plan).rescue
    row = own[(own["held_out"] == "Te") & (own["remedy"] == "retrain")].iloc[0]
    untouched = own[(own["held_out"] == "Te") & (own["remedy"] == "none")].iloc[0]
    assert row["n_labelled"] == untouched["n_labelled"] == 0
    assert row["mae"] == pytest.approx(untouched["mae"], abs=1e-9)  # as it was trained before

    other = replace(inputs, features={})  # then the model was given what is not there
    chosen = [replace(c, representation="graph") for c in _done(store)]
    with pytest.raises(SettingsError, match="cannot be retrained"):
        _check_retrainable(chosen, describe(other))


def test_models_without_trees_are_explained_by_matminer(toy_file: Path, tmp_path: Path) -> None:
    """Neighbours in composition: no tree to read, and no column that knows of structure."""
    like = {"criteria": ("element",), "models": ("knn",), "representations": ("magpie",)}
    inputs = prepare(Study(str(toy_file), **like, **TOY))
    store = create(tmp_path / "study", inputs)
    evaluate(store, inputs)
    found = bias(store, inputs, ["element/F"], checks=False)
    fluorine = found.tasks.set_index("held_out").loc["F"]
    assert fluorine[["model", "representation"]].tolist() == ["knn", "magpie"]
    assert json.loads(fluorine["settings"])["descriptors"] == "matminer"
    assert fluorine["bias"] > 0.5
    assert fluorine["share_composition"] > 0.5
    assert found.materials["structure"].abs().max() > 0


def test_without_folds_it_says_so(store: Store, inputs: Inputs) -> None:
    for cell in _done(store):
        if cell.criterion == "in_distribution":
            shutil.rmtree(store.cell_folder(cell))
    failed = bias(store, inputs, ["element/Te"], checks=False).failed
    assert [o.cell.held_out for o in failed] == ["Te"]
    assert "random folds of its model are missing" in failed[0].error


def _done(store: Store) -> list[Cell]:
    return states(store, cells(store))["done"]
