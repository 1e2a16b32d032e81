"""Verdicts in words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from offmap.bias.words import shifted, verdict

ROW: dict[str, Any] = {
    "bias": -0.31, "bias_low": -0.35, "bias_high": -0.27, "mae": 0.35,
    "bias_composition": -0.25, "bias_structure": -0.048, "share_composition": 0.84,
    "null_composition": 0.02, "null_structure": 0.02, "share_composition_interventional": 0.8,
    "bias_rest": 0.0, "bias_base": -0.01, "mae_kept_out": 0.35, "mae_corrected_kept_out": 0.1,
    "bias_in_distribution": 0.0,
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "biased by -0.31 eV/atom [-0.35, -0.27], 84 % of it composition"),
        ({"share_composition": 0.2}, "80 % of it structure"),
        (
            {"bias_composition": -0.5, "bias_structure": 0.2, "share_composition": 0.71},
            "composition -0.50 against structure +0.20",
        ),
        ({"bias_high": 0.01}, "not biased: -0.31 eV/atom [-0.35, +0.01]"),
        ({"mae": 2.0}, "hardly biased: -0.31 eV/atom [-0.35, -0.27] beside an MAE of 2.00"),
        ({"null_composition": 0.3, "null_structure": 0.3}, "shuffled residuals give as much"),
        ({"share_composition_interventional": 0.5}, "interventional SHAP says 50 % composition"),
        ({"bias_base": -0.1}, "-0.10 of it is the mean error of all materials, in neither part"),
        ({"bias_low": np.nan, "bias_high": np.nan}, "off by -0.31 eV/atom, of one chemical system"),
        (
            {"bias_composition_only": -0.3, "bias_structure_only": -0.28},
            "a model that sees structure alone is biased as much (-0.28)",
        ),
        ({"bias_rest": -0.2}, "-0.20 of it is in no part"),
        ({"bias_in_distribution": -0.3}, "much the same in distribution (-0.30)"),
        ({"mae_corrected_kept_out": 0.34}, "does not carry over"),
    ],
)
def test_verdict(changes: dict[str, float], words: str) -> None:
    assert words in verdict(ROW | changes, "eV/atom")


def test_a_clear_case_has_no_ifs() -> None:
    assert ";" not in verdict(ROW)


def test_a_blind_model_that_is_not_biased_is_no_doubt() -> None:
    for blind in (-0.1, 0.4):
        row = ROW | {"bias_composition_only": -0.3, "bias_structure_only": blind}
        assert ";" not in verdict(row)


def test_without_decomposition_only_the_bias_is_told() -> None:
    bare = {k: ROW[k] for k in ("bias", "bias_low", "bias_high", "mae")}
    assert verdict(bare) == "biased by -0.31 [-0.35, -0.27]"
    assert verdict(ROW | dict.fromkeys(set(ROW) - set(bare), np.nan)) == verdict(bare)


def test_shifted_tasks_come_largest_first() -> None:
    table = pd.DataFrame(
        {"bias": [0.1, -0.9, 0.5, 2.0], "error_class": ["shifted", "shifted", "shifted", "biased"]}
    )
    assert shifted(table)["bias"].tolist() == [-0.9, 0.5, 0.1]
