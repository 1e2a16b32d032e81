"""The published procedure on the toy crystals: marked, on chosen tasks, beside what is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from offmap.columns import IN_DISTRIBUTION
from offmap.domain import faithful_study as published
from offmap.domain.analysis import domain
from offmap.domain.faithful import CUT
from offmap.errors import SettingsError, UnknownNameError
from offmap.inputs import Inputs
from offmap.store import Store

TWO = ("element/F", "element/Cl")


@pytest.fixture(scope="module")
def found(finished: Store, inputs: Inputs) -> published.Faithful:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(published, "joint_map", _two_components)
        return published.faithful_study(finished, inputs, pruned=True, held_out=TWO)


def test_each_row_says_that_test_rows_were_used(found: published.Faithful) -> None:
    assert found.tasks["uses_test_rows"].all()
    assert found.curves["uses_test_rows"].all()
    assert found.tasks["pruned"].all()


def test_both_sides_make_up_the_whole(found: published.Faithful) -> None:
    rows = found.tasks
    assert (rows["n_in"] + rows["n_out"] == rows["n_test"]).all()
    np.testing.assert_allclose(rows["coverage"], rows["n_in"] / rows["n_test"])
    parts = rows["mae_in"].fillna(0) * rows["n_in"] + rows["mae_out"].fillna(0) * rows["n_out"]
    np.testing.assert_allclose(rows["mae"], parts / rows["n_test"])
    assert set(rows["criterion"] + "/" + rows["held_out"]) == set(TWO)


def test_the_curve_has_every_material_once(found: published.Faithful) -> None:
    for _, part in found.curves.groupby("held_out"):
        row = found.tasks.set_index("held_out").loc[part["held_out"].iat[0]]
        assert part["n"].sum() == row["n_test"]
        assert part["density"].is_monotonic_increasing
        assert (part["mae"] * part["n"]).sum() / part["n"].sum() == pytest.approx(row["mae"])


def test_chosen_tasks_are_added_and_the_others_stay(
    finished: Store, inputs: Inputs, found: published.Faithful, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(published, "joint_map", _two_components)
    first = domain(finished, inputs, faithful=True, held_out=["element/F"])
    assert set(first.verdicts["held_out"]) == {"F"}
    assert set(first.verdicts["decided_by"]) == {"mean_standing"}
    second = domain(finished, inputs, faithful=True, held_out=["element/Cl"])
    assert second.faithful is not None
    assert set(second.faithful["held_out"]) == {"Cl"}
    for name in ("domain_faithful", "domain_faithful_density", "verdicts", "domain"):
        assert set(finished.read_table(name)["held_out"].astype(str)) == {"F", "Cl"}
    there = finished.read_table("verdicts").set_index("held_out")
    before = first.verdicts.set_index("held_out")
    assert there.loc["F", "coverage"] == before.loc["F", "coverage"]
    again = domain(finished, inputs, faithful=True, held_out=["element/Cl"])  # verdicts are there
    pd.testing.assert_frame_equal(
        again.verdicts.astype({"held_out": str}), second.verdicts.astype({"held_out": str}),
        check_categorical=False, check_dtype=False,
    )  # fmt: skip
    assert len(finished.read_table("verdicts")) == 2


def test_random_folds_are_no_task_of_the_procedure(finished: Store, inputs: Inputs) -> None:
    with pytest.raises(UnknownNameError, match="kept task"):
        published.faithful_study(finished, inputs, held_out=["element/Xx"])
    with pytest.raises(SettingsError, match="faithful"):
        domain(finished, inputs, pruned=True)
    with pytest.raises(UnknownNameError, match="finished task of alignn"):
        published.faithful_study(finished, inputs, held_out=TWO, embedded="alignn")


def test_on_embeddings_each_task_has_a_map_of_its_own(
    finished: Store, inputs: Inputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def embed(store: Store, cell: object, X: np.ndarray) -> np.ndarray:
        asked.append(cell)
        return X[:, :8] * len(asked)

    monkeypatch.setattr(published, "embeddings", embed)
    monkeypatch.setattr(published, "joint_map", _two_components)
    found = published.faithful_study(finished, inputs, held_out=["element"], embedded="knn")
    tasks = inputs.tasks()
    n_tasks = int((tasks["kept"] & (tasks["criterion"] != IN_DISTRIBUTION)).sum())
    assert [cell.held_out for cell in asked] == found.tasks["held_out"].tolist()
    assert len(found.tasks) == n_tasks
    assert set(found.tasks["representation"]) == {"knn embedding"}
    assert found.maps == []


def test_a_group_far_away_is_out_and_one_inside_is_in() -> None:
    from offmap.domain.faithful import density, joint_map

    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 6))
    far, inside = np.arange(600) < 60, (np.arange(600) >= 60) & (np.arange(600) < 120)
    X[far] += 40
    points = joint_map(X, seed=0)
    assert (density(points[~far], points[far], 0.05) > CUT).mean() < 0.05
    assert (density(points[~inside], points[inside], 0.05) > CUT).mean() > 0.8


def _two_components(X: np.ndarray, seed: int | None = None) -> np.ndarray:
    centred = X - X.mean(axis=0)
    return centred @ np.linalg.svd(centred, full_matrices=False)[2][:2].T
