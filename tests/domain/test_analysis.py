"""The domain stage on the toy crystals, whose fluorides no other compound can teach."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from offmap.columns import COLUMNS, IN_DISTRIBUTION
from offmap.domain.analysis import domain
from offmap.domain.before_training import before_training, twin_rate
from offmap.domain.choices import of_materials, otherwise, stability
from offmap.domain.detectors import DETECTORS
from offmap.domain.from_study import materials_of
from offmap.domain.tables import Domain
from offmap.domain.verdicts import long_form
from offmap.errors import DataError, UnknownNameError
from offmap.inputs import Inputs
from offmap.stages import create
from offmap.store import Store


@pytest.fixture(scope="module")
def before(inputs: Inputs, tmp_path_factory: pytest.TempPathFactory) -> Domain:
    few = replace(inputs, membership=inputs.membership.select(np.arange(5)))
    return domain(create(tmp_path_factory.mktemp("before") / "study", few), few)


@pytest.fixture(scope="module")
def after(finished: Store, inputs: Inputs) -> Domain:
    return domain(finished, inputs)


def test_it_works_before_any_model_is_trained(before: Domain) -> None:
    assert set(before.verdicts["model"]) == {""}
    assert before.verdicts["coverage"].between(0, 1).all()
    assert before.materials["expected_error"].isna().all()
    assert len(before.detectors) == 0


def test_the_tables_are_written_and_fit_together(
    after: Domain, finished: Store, inputs: Inputs
) -> None:
    for name, table in (("domain", after.materials), ("verdicts", after.verdicts)):
        assert len(finished.read_table(name)) == len(table)
    assert len(after.materials) == after.verdicts["n_test"].sum()
    share = after.materials.groupby(["criterion", "held_out"], observed=True)[
        "out_of_domain"
    ].mean()
    rows = after.verdicts.set_index(["criterion", "held_out"])["coverage"]
    np.testing.assert_allclose(1 - share.reindex(rows.index).to_numpy(), rows.to_numpy())
    scores = after.verdicts.set_index(["criterion", "held_out"])["mae"]
    assert scores.idxmax() == ("element", "F")
    assert set(inputs.material_id) == set(after.materials["material_id"])


def test_false_alarms_and_the_head_to_head(after: Domain) -> None:
    table = after.detectors.query("criterion == 'all'").set_index("detector")
    assert set(DETECTORS) < set(table.index)
    assert (table["false_alarms"].drop("expected_mae") < 0.12).all()
    assert {"mae_rank_correlation", "auroc", "excess_area"} <= set(table)
    assert table["n_tasks"].nunique() == 1


def test_errors_of_tasks_are_foretold(after: Domain) -> None:
    rows = after.verdicts.set_index(["criterion", "held_out"])
    assert rows["expected_mae"].gt(0).all()
    found = after.detectors.query("criterion == 'all'").set_index("detector")
    assert "expected_mae" in found.index


def test_setting_materials_aside_lowers_the_risk(after: Domain, finished: Store) -> None:
    assert len(finished.read_table("risk_coverage")) == len(after.risk)
    curves = after.risk.query("criterion == 'all'").pivot(
        index="share_kept", columns="detector", values="mae"
    )
    np.testing.assert_allclose(curves.iloc[-1], curves.iloc[-1, 0])
    assert (curves["error itself"] <= curves["expected_error"] + 1e-9).all()
    assert set(DETECTORS) < set(curves)


def test_the_map_places_every_material(after: Domain, finished: Store, inputs: Inputs) -> None:
    places = finished.read_table("domain_map")
    assert places["material_id"].tolist() == inputs.material_id.tolist()
    assert np.isfinite(places[["x", "y"]]).all(axis=None)


def test_every_column_has_a_label(after: Domain) -> None:
    unlabelled = [c for c in after.verdicts if c not in COLUMNS]
    ends = ("_low", "_high")
    assert not [c for c in unlabelled if not c.startswith("coverage_") and not c.endswith(ends)]


def test_matched_controls_show_what_r2_hides(after: Domain) -> None:
    rows = after.verdicts[after.verdicts["criterion"] != IN_DISTRIBUTION].set_index("held_out")
    assert rows.loc["F", "matched_gap_low"] > 0.1
    assert (rows["std_matched"] / rows["std"]).median() == pytest.approx(1, abs=0.4)


def test_long_form(after: Domain) -> None:
    long = long_form(after.materials, DETECTORS)
    assert len(long) == len(after.materials) * len(DETECTORS)
    np.testing.assert_array_equal(long["out_of_domain"], long["score"] > long["threshold"])


def test_before_training(inputs: Inputs) -> None:
    few = inputs.membership.select(np.arange(2, 6))
    table = before_training(replace(inputs, membership=few))
    assert (table["criterion"] == "element").all()
    assert table[["distance_q10", "distance_q50", "distance_q90"]].diff(axis=1).min().min() >= 0
    # Leaving an element out leaves no formula on both sides, and every prototype is on both.
    assert (table["twins_formula"] == 0).all()
    assert (table["twins_prototype"] == 1).all()
    assert (table["two_sample_auc"] > 0.9).all()


def test_twins_need_a_code() -> None:
    codes, test = np.array([0, 0, -1, -1, 2]), np.array([True, False, True, False, True])
    assert twin_rate(codes, test) == pytest.approx(1 / 3)


def test_the_verdict_does_not_swing_with_its_knobs(inputs: Inputs) -> None:
    materials, tasks = materials_of(inputs, "magpie")
    materials = replace(materials, X=materials.X[:, ::3])
    fold = int(np.flatnonzero(tasks["criterion"] == IN_DISTRIBUTION)[0])
    found = list(otherwise(materials, fold, ("knn", "kde", "mahalanobis")))
    table = stability(found, len(materials.y))
    each = of_materials(found, inputs.material_id[materials.test[:, fold]])
    assert each["stable"].mean() > 0.75
    assert (each["share_out"] == each["out_of_domain"])[each["stable"]].all()
    assert isinstance(table, pd.DataFrame)
    assert table["setting"].iloc[0] == "default"
    assert np.ptp(table["coverage"]) < 0.15


def test_bad_input_is_named(finished: Store, inputs: Inputs) -> None:
    with pytest.raises(UnknownNameError, match="knn"):
        domain(finished, inputs, detectors=["knm"])
    bare = Inputs(
        inputs.study, inputs.dataset, inputs.target, inputs.attributes, inputs.membership, {}
    )
    with pytest.raises(DataError, match="needs features"):
        domain(finished, bare)
    with pytest.raises(DataError, match="false-alarm rate"):
        domain(finished, inputs, rate=0)
