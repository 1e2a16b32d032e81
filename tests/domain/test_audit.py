"""Audits of planted splits, of predictions and of candidates; what they refuse and say."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import offmap
from offmap.crystals import Crystal, Crystals
from offmap.datasets.base import Dataset
from offmap.domain import experience
from offmap.domain.audit_result import Audit
from offmap.domain.before_training import before_training
from offmap.domain.detectors import NearestNeighbours
from offmap.domain.finished import reopen
from offmap.elements import NUMBERS
from offmap.errors import DataError, SettingsError, UnknownNameError
from offmap.inputs import Inputs
from offmap.stages import create
from offmap.store import Store

CASES = "tests.domain.audit_cases"


@pytest.fixture(scope="module")
def untrained(inputs: Inputs, tmp_path_factory: pytest.TempPathFactory) -> Store:
    return create(tmp_path_factory.mktemp("untrained") / "study", inputs)


def _alloys(n: int) -> Crystals:
    """Heavy transition-metal alloys, like nothing among the toy crystals."""
    heavy = [NUMBERS[s] for s in "W Re Os Ir Pt Au Ta Hf".split()]
    rng = np.random.default_rng(1)
    sites = np.array([[0, 0, 0], [0.5, 0.5, 0.5]])
    return Crystals.from_list(
        Crystal(
            f"alloy-{i}", np.eye(3) * rng.uniform(2.9, 3.3),
            np.array(rng.choice(heavy, 2, replace=False), dtype=np.uint8), sites,
        )
        for i in range(n)
    )  # fmt: skip


def _split(dataset: Dataset, seed: int = 0) -> tuple[Dataset, Dataset]:
    order = np.random.default_rng(seed).permutation(len(dataset))
    return dataset.take(order[100:]), dataset.take(order[:100])


@pytest.fixture(scope="module")
def sides(toy_dataset: Dataset) -> tuple[Dataset, Dataset]:
    return _split(toy_dataset)


@pytest.fixture(scope="module")
def far(sides: tuple[Dataset, Dataset]) -> Audit:
    return offmap.audit(sides[0], _alloys(60), representation="magpie")


# -- planted splits ----------------------------------------------------------------------------


def test_a_test_set_far_outside_is_extrapolation(far: Audit) -> None:
    assert far.verdict == "extrapolation"
    assert far.coverage < 0.05
    assert far.numbers["sure"]
    assert all(len(new) == 2 for new in far.materials["new_elements"])
    assert "60 materials contain elements that no training material has" in far.reasons[1]
    assert (far.materials["n_out"] >= 5).mean() > 0.9


def test_a_test_set_well_inside_is_interpolation(sides: tuple[Dataset, Dataset]) -> None:
    found = offmap.audit(*sides, representation="magpie")
    assert found.verdict == "interpolation"
    assert found.coverage > 0.85
    assert not any(found.materials["new_elements"])
    # Composition is all that magpie sees: the nearest is the same compound in another prototype.
    same = [row[0]["formula"] == f for row, f in _pairs(found)]
    assert np.mean(same) > 0.9
    assert found.numbers["twins_formula"] > 0.9


def test_half_outside_is_partial(sides: tuple[Dataset, Dataset]) -> None:
    train, test = sides
    half = Crystals.concat([_alloys(50), test.crystals.take(np.arange(50))])
    found = offmap.audit(train, half, representation="magpie")
    assert found.verdict == "partial"
    assert found.coverage == pytest.approx(0.5, abs=0.08)
    out = found.materials.set_index("material_id")["verdict"] == "out_of_domain"
    assert out[out.index.str.startswith("alloy")].mean() > 0.95


def test_the_features_that_put_a_fluoride_outside(toy_dataset: Dataset) -> None:
    fluoride = toy_dataset.frame["formula"].str.contains("F$|F[0-9]").to_numpy()
    assert fluoride.sum() == 88
    found = offmap.audit(
        toy_dataset.take(~fluoride), candidates=toy_dataset.take(fluoride), representation="magpie"
    )
    out = found.materials[found.materials["verdict"] == "out_of_domain"]
    assert (found.materials["new_elements"].map(tuple) == ("F",)).all()
    named = {one["feature"] for row in out["outside"] for one in row if one["beyond_range"]}
    assert any("Electronegativity" in name for name in named)
    for one in out["outside"].iloc[0]:
        assert not one["train_low"] <= one["value"] <= one["train_high"] or not one["beyond_range"]
    assert "y_true" not in found.materials  # labels of candidates are not looked at


def _pairs(found: Audit) -> list[tuple[list[dict[str, object]], str]]:
    return list(zip(found.materials["nearest"], found.materials["formula"], strict=True))


# -- with a study ------------------------------------------------------------------------------


def test_without_a_model_it_agrees_with_the_tasks_of_the_study(
    untrained: Store, inputs: Inputs
) -> None:
    test = inputs.material_id[inputs.membership.test_rows("element", "N")]
    chosen = np.flatnonzero(inputs.membership.held_out == "N")
    table = before_training(
        inputs.__class__(**{**vars(inputs), "membership": inputs.membership.select(chosen)})
    )
    found = offmap.audit(study=untrained.folder, test=pd.DataFrame({"material_id": test}))
    assert found.coverage == pytest.approx(table["coverage"].iat[0], abs=0.03)
    assert found.verdict == table["verdict"].iat[0]
    assert any("no expected error" in note for note in found.notes)


@pytest.fixture(scope="module")
def chlorides(finished: Store, inputs: Inputs) -> Audit:
    test = inputs.material_id[inputs.membership.test_rows("element", "Cl")]
    ids = pd.DataFrame({"material_id": test})
    return offmap.audit(study=finished.folder, test=ids, nominal=0.8)


def test_a_study_gives_expected_errors_and_intervals(chlorides: Audit) -> None:
    rows = chlorides.materials
    assert (rows["expected_error"] > 0).all()
    known = rows["interval_low"].notna()
    assert known.any()
    assert (known == (rows["no_interval"] == "")).all()
    middle = (rows["interval_low"] + rows["interval_high"])[known] / 2
    np.testing.assert_allclose(middle, rows["y_pred"][known])
    np.testing.assert_allclose(rows["error"], rows["y_pred"] - rows["y_true"])
    assert list(chlorides.bins["bin"]) == [
        "well inside", "inside", "outside", "far outside", "all",
    ]  # fmt: skip
    assert chlorides.bins["n_audited"].iloc[-1] == len(rows) == 88
    assert (chlorides.bins["nominal"] == 0.8).all()
    all_bins = chlorides.bins.iloc[-1]
    assert all_bins["interval_coverage"] > 0.75
    checked = chlorides.numbers["expected_error_check"]
    assert checked["n_tasks"] == 11  # all but the task that is asked about
    assert 0 <= checked["within_factor_1.5"] <= 1
    held = (rows["error"].abs() <= (rows["interval_high"] - rows["interval_low"]) / 2)[known]
    assert all_bins["interval_coverage_audited"] == pytest.approx(held.mean())


def test_the_study_s_own_errors_of_the_audited_rows_are_not_used(
    finished: Store, inputs: Inputs, chlorides: Audit
) -> None:
    """Whatever the study knows of chlorides, the audit of chlorides must not change."""
    table = finished.read_table("experience")
    test = inputs.material_id[inputs.membership.test_rows("element", "Cl")]
    spoiled = table.copy()
    mine = spoiled["material_id"].isin(test)
    assert mine.any()
    spoiled.loc[mine, "error"] += 100.0
    finished.write_table("experience", spoiled)
    try:
        ids = pd.DataFrame({"material_id": test})
        again = offmap.audit(study=finished.folder, test=ids, nominal=0.8)
    finally:
        finished.write_table("experience", table)
    assert again.to_json() == chlorides.to_json()


def test_what_other_detectors_found_is_not_used(
    finished: Store, chlorides: Audit, monkeypatch: pytest.MonkeyPatch
) -> None:
    def computed(*given: object) -> None:
        raise RuntimeError("made anew")

    monkeypatch.setattr(experience, "_computed", computed)
    known = experience.experience(finished, reopen(finished))
    assert len(known.error) == len(finished.read_table("experience"))
    detector = experience.make_detector
    monkeypatch.setattr(
        experience, "make_detector",
        lambda name: NearestNeighbours(5) if name == "knn" else detector(name),
    )  # fmt: skip
    with pytest.raises(RuntimeError, match="made anew"):
        experience.experience(finished, reopen(finished))


def test_predictions_of_any_model(finished: Store, inputs: Inputs, tmp_path: Path) -> None:
    rows = inputs.membership.test_rows("element", "N")
    table = pd.DataFrame({"material_id": inputs.material_id[rows], "y_true": inputs.y[rows]})
    table["y_pred"] = table["y_true"] + np.where(np.arange(len(table)) % 2, 0.3, -0.1)
    path = tmp_path / "mine.csv"
    table.to_csv(path, index=False)
    found = offmap.audit(study=finished.folder, predictions=path)
    assert found.numbers["mae"] == pytest.approx(0.2)
    assert found.numbers["n_train"] == 792 - 88
    assert len(found.materials) == 88
    fewer = offmap.audit(
        study=finished.folder, predictions=table[["material_id", "y_pred"]].iloc[:20]
    )
    assert fewer.numbers["mae"] == pytest.approx(0.2)  # the study knows the labels
    assert len(fewer.materials) == 20


def test_another_training_set_with_a_study(finished: Store, sides: tuple[Dataset, Dataset]) -> None:
    """The study lends its errors; its model is trained on what was given."""
    train, test = sides
    found = offmap.audit(train, test, study=finished.folder, nominal=0.8)
    assert found.settings["model"] == "knn"
    assert found.verdict == "interpolation"
    assert found.numbers["mae"] < 2 * found.numbers["expected_error"]
    rows = found.materials
    known = rows["interval_low"].notna()
    assert known.mean() > 0.3
    # Left-out anions are never well inside: only the three folds are, and four tasks are needed.
    why = rows.loc[~known, "no_interval"].groupby(rows["bin"]).unique().map(set).to_dict()
    assert why.pop("well inside") == {
        "only 3 finished tasks that are interpolation or further out have materials well inside; "
        "4 needed"
    }
    for reasons in why.values():  # the anions that were left out err by as much as labels differ
        assert not [reason for reason in reasons if "wider than the labels spread" not in reason]
    low, high = np.quantile(train.frame["energy"], [0.1, 0.9])
    half = (rows["interval_high"] - rows["interval_low"])[known] / 2
    assert half.max() <= (high - low) / 2 + 1e-9


# -- refusals and fallbacks ----------------------------------------------------------------------


def test_overlap_is_an_error_or_is_left_out(sides: tuple[Dataset, Dataset]) -> None:
    train, test = sides
    mixed = test.crystals.take(np.arange(30))
    renamed = Crystal("other-name", *train.crystals.crystal(0)[1:])  # the same structure
    mixed = Crystals.concat(
        [mixed, train.crystals.take(np.arange(4, 9)), Crystals.from_list([renamed])]
    )
    with pytest.raises(DataError, match="6 of 36 test materials are in the training set too"):
        offmap.audit(train, mixed, representation="magpie")
    fewer = offmap.audit(train, mixed, representation="magpie", overlap="test")
    assert fewer.numbers["n_test"] == 30
    assert set(fewer.set_aside["reason"]) == {"also in the training set"}
    learned = offmap.audit(train, mixed, representation="magpie", overlap="train")
    assert learned.numbers["n_train"] == len(train) - 6
    assert any("left out of the training set" in note for note in learned.notes)
    with pytest.raises(DataError, match="nothing is left"):
        offmap.audit(train, train.take(np.arange(5)), representation="magpie", overlap="test")
    with pytest.raises(UnknownNameError, match="overlap"):
        offmap.audit(train, mixed, representation="magpie", overlap="drop")


def test_too_few_rows(sides: tuple[Dataset, Dataset]) -> None:
    train, test = (
        side.take(~side.frame["formula"].str.contains("Se").to_numpy()) for side in sides
    )
    with pytest.raises(DataError, match="99 usable materials; 100 are needed"):
        offmap.audit(train.take(np.arange(99)), test, representation=f"{CASES}:Gaps")
    one = offmap.audit(
        train.take(np.arange(100)), test.take(np.arange(1)), representation=f"{CASES}:Gaps"
    )
    assert one.numbers["n_calibration"] == 40
    assert len(one.materials) == 1


def test_missing_and_constant_features(sides: tuple[Dataset, Dataset]) -> None:
    train, test = sides
    found = offmap.audit(train, test, representation=f"{CASES}:Gaps")
    selenides = test.frame["formula"].str.contains("Se").sum()
    mine = found.set_aside[found.set_aside["side"] == "test"]
    assert len(mine) == selenides > 0
    assert mine["reason"].str.contains("anion is not finite").all()
    assert len(found.materials) == 100 - selenides
    with pytest.raises(DataError, match="every feature is constant"):
        offmap.audit(train, test, representation=f"{CASES}:Constant")


def test_training_without_labels_is_said(sides: tuple[Dataset, Dataset]) -> None:
    found = offmap.audit(sides[0].crystals, sides[1].crystals, representation="magpie")
    assert found.verdict == "interpolation"
    assert "difficulty" not in found.settings["detectors"]
    assert any("--target" in note for note in found.notes)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"material_id": ["toy-0001"], "pred": [1.0]}, "no column 'y_pred'"),
        ({"material_id": ["toy-0001"] * 2, "y_pred": [1.0, 2.0]}, "toy-0001 is there more than"),
        ({"material_id": ["toy-0001"], "y_pred": ["low"]}, "row 0 is not a number: 'low'"),
        ({"material_id": ["toy-0001"], "y_pred": [np.nan]}, "no finite prediction"),
        ({"material_id": ["toy-00001"], "y_pred": [1.0]}, "did you mean toy-0001"),
    ],
)
def test_bad_predictions(finished: Store, table: dict[str, list[object]], words: str) -> None:
    with pytest.raises(DataError, match=words):
        offmap.audit(study=finished.folder, predictions=pd.DataFrame(table))


def test_what_cannot_be_audited(finished: Store, sides: tuple[Dataset, Dataset]) -> None:
    train, test = sides
    with pytest.raises(DataError, match="nothing to audit"):
        offmap.audit(train)
    with pytest.raises(DataError, match="nothing to compare with"):
        offmap.audit(test=test, representation="magpie")
    with pytest.raises(DataError, match="not both"):
        offmap.audit(train, test, candidates=test)
    with pytest.raises(SettingsError, match="nominal"):
        offmap.audit(train, test, nominal=1.0)
    with pytest.raises(DataError, match="ids but no structures"):
        offmap.audit(train, pd.DataFrame({"material_id": ["toy-0001"]}))
    with pytest.raises(UnknownNameError, match="knn"):
        offmap.audit(test=test, study=finished.folder, model="knm")
    with pytest.raises(DataError, match="no id agrees"):
        offmap.audit(
            train, test, representation="magpie",
            predictions=pd.DataFrame({"material_id": ["x"], "y_pred": [0.0]}),
        )  # fmt: skip


# -- how it is shown -----------------------------------------------------------------------------


def test_it_shows_itself(far: Audit) -> None:
    html = far._repr_html_()
    assert "<b>extrapolation: 0% of 60 materials" in html
    assert "alloy-" in html
    assert str(far).startswith("extrapolation")
    table = far.table()
    assert table["nearest"].str.contains("toy-").all()
    assert not table.map(lambda cell: isinstance(cell, (list, dict))).any(axis=None)
    assert json.loads(far.to_json())["materials"][0]["nearest"][0]["material_id"].startswith("toy")
