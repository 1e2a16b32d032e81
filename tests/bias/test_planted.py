"""Planted truths: what was put into composition or structure is found there and nowhere else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from offmap.bias.case import Case, Settings
from offmap.bias.checks import ablation, checks
from offmap.bias.decompose import decompose, kept_out, refit
from offmap.bias.words import verdict
from offmap.bias.worker import signed_of
from tests.bias.conftest import Planted

SETTINGS = Settings(n_permutations=3, n_background=40, n_bootstrap=100)
XGB = {"n_estimators": 30, "num_parallel_tree": 1}


def _analysed(case: Case, settings: Settings = SETTINGS) -> dict[str, Any]:
    row, materials, model = decompose(case, settings)
    assert len(materials) == len(case.test)
    return row | signed_of(case, settings) | checks(case, settings, row, model)


def test_a_shift_on_one_element_is_compositional(planted: Planted, groups: dict) -> None:
    row = _analysed(planted(groups["F"], -0.5))
    assert row["bias"] == pytest.approx(-0.5, abs=0.02)
    assert row["share_composition"] > 0.75
    assert row["share_composition_interventional"] > 0.75
    assert abs(row["bias_composition"]) > 5 * row["null_composition"]
    assert row["mae_corrected_kept_out"] < 0.3 * row["mae_kept_out"]
    said = verdict(row, "eV/atom")
    assert said.startswith("biased by -0.5")
    assert "% of it composition" in said
    assert "shuffled" not in said


def test_a_shift_on_one_coordination_is_structural(planted: Planted, groups: dict) -> None:
    row = _analysed(planted(groups["wurtzite"], 0.5))
    assert row["bias"] == pytest.approx(0.5, abs=0.02)
    assert row["share_composition"] < 0.1
    assert row["share_composition_interventional"] < 0.1
    assert abs(row["bias_structure"]) > 5 * row["null_structure"]
    assert "% of it structure" in verdict(row)


def test_an_untouched_group_is_not_biased(planted: Planted, groups: dict) -> None:
    row = _analysed(planted(groups["Te"], 0.0))
    assert abs(row["bias_composition"]) < 0.01
    assert abs(row["bias_structure"]) < 0.01
    assert verdict(row, "eV/atom").startswith("not biased: ")


def test_opposite_shifts_are_told_apart(planted: Planted, groups: dict) -> None:
    """Fluorides are predicted too low; fluoride wurtzites less so."""
    case = planted(groups["F"], -0.5)
    case.y_pred[groups["wurtzite"] & groups["F"]] += 1.0
    _, materials, _ = decompose(case, SETTINGS)
    fourfold = groups["wurtzite"][case.test]
    structure = materials["structure"] + materials["local_difference"]
    assert structure[fourfold].mean() > 0.3
    assert structure[~fourfold].mean() < structure[fourfold].mean() - 0.3
    assert materials["composition"].mean() < -0.1


def test_the_parts_add_up_to_the_error(planted: Planted, groups: dict) -> None:
    case = planted(groups["F"], -0.5)
    row, materials, _ = decompose(case, SETTINGS)
    parts = materials[["composition", "structure", "local_difference", "rest"]].sum(axis=1)
    np.testing.assert_allclose(parts + row["bias_base"], materials["error"], atol=1e-9)
    blocks = row["bias_composition"] + row["bias_structure"]
    bias = case.y_pred[case.test].mean() - case.y_true[case.test].mean()
    assert blocks + row["bias_base"] + row["bias_rest"] == pytest.approx(bias)
    for name in ("bias_composition", "bias_structure", "share_composition"):
        assert row[f"{name}_low"] <= row[name] <= row[f"{name}_high"]


def test_local_difference_moves_with_the_switch(planted: Planted, groups: dict) -> None:
    case = planted(groups["wurtzite"], 0.5)
    as_structure, _, _ = decompose(case, SETTINGS)
    as_composition, _, _ = decompose(case, replace(SETTINGS, local_difference="composition"))
    moved = as_structure["bias_local_difference"]
    assert as_composition["bias_composition"] == pytest.approx(
        as_structure["bias_composition"] + moved
    )
    assert as_composition["bias_structure"] == pytest.approx(as_structure["bias_structure"] - moved)


def test_ablation_shows_what_each_block_sees(planted: Planted, groups: dict) -> None:
    """The toy labels follow composition alone, so a model of the structure alone is worse."""
    found = ablation(planted(groups["wurtzite"], 0.0), SETTINGS)
    assert found["mae_composition_only"] < found["mae_structure_only"]
    assert set(found) == {
        f"{what}_{sight}"
        for what in ("bias", "mae")
        for sight in ("both", "composition_only", "structure_only")
    }


def test_the_study_method_finds_the_shift_too(planted: Planted, groups: dict) -> None:
    """XGBoost 1 and 2, in-sample residuals; fluorides are 1 eV/atom below what it can know."""
    settings = replace(SETTINGS, faithful=True)
    case = refit(replace(planted(groups["F"], 0.0), xgb_settings=XGB), settings)
    assert np.abs(case.residual[case.train]).mean() < 0.1
    row, _, _ = decompose(case, settings)
    assert row["bias_composition"] + row["bias_structure"] > 0.5
    assert row["mae_corrected"] < 0.5 * np.abs(case.residual[case.test]).mean()


def test_nothing_depends_on_threads(planted: Planted, groups: dict) -> None:
    case = planted(groups["F"], -0.5)
    rows = [decompose(replace(case, threads=threads), SETTINGS)[0] for threads in (1, 2)]
    assert rows[0] == rows[1]


def test_chemical_systems_are_kept_out_whole() -> None:
    systems = np.repeat([f"s{i}" for i in range(50)], 4).astype(object)
    rng = np.random.default_rng(0)
    fifth = kept_out(systems, rng, materials=False)
    assert 0.15 < fifth.mean() < 0.3
    assert not set(systems[fifth]) & set(systems[~fifth])
    assert kept_out(systems, rng, materials=True).sum() == 40
    assert kept_out(np.array(["one"] * 20, dtype=object), rng, materials=False).sum() == 4
