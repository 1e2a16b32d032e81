"""Signed errors of made-up predictions whose error is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from offmap.bias.signed import (
    BIASED,
    IN_LINE,
    SCATTERED,
    SHIFTED,
    TILTED,
    signed_error,
    signed_errors,
)
from offmap.scores import Resamples

RNG = np.random.default_rng(1)
Y = RNG.normal(-1.5, 1.0, 400)
NOISE = RNG.normal(0, 0.1, 400)
SYSTEMS = np.array([f"s{i % 80}" for i in range(400)], dtype=object)


def _signed(y_pred: np.ndarray, y_true: np.ndarray = Y) -> dict[str, float | str]:
    return signed_error(y_true, y_pred, Resamples.draw(SYSTEMS, 200, 0))


@pytest.mark.parametrize(
    ("y_pred", "kind"),
    [
        (Y + NOISE, IN_LINE),
        (Y - 0.3 + NOISE, SHIFTED),
        (0.5 * Y + 0.5 * Y.mean() + NOISE, TILTED),
        (RNG.permutation(Y), SCATTERED),
        (RNG.permutation(Y) + 3, BIASED),
        (np.zeros(400), BIASED),
    ],
)
def test_each_kind_of_error_is_told(y_pred: np.ndarray, kind: str) -> None:
    assert _signed(y_pred)["error_class"] == kind


def test_line_and_shares_are_those_of_numpy() -> None:
    y_pred = 0.8 * Y + 0.4 + NOISE
    found = _signed(y_pred)
    slope, offset = np.polyfit(Y, y_pred, 1)
    assert found["slope"] == pytest.approx(slope)
    assert found["offset"] == pytest.approx(offset)
    assert found["bias"] == pytest.approx(np.mean(y_pred - Y))
    assert found["pearson"] == pytest.approx(np.corrcoef(Y, y_pred)[0, 1])
    shares = [float(found[f"mse_{kind}"]) for kind in ("shift", "tilt", "scatter")]
    assert sum(shares) == pytest.approx(1)
    r, s_t, s_p = np.corrcoef(Y, y_pred)[0, 1], Y.std(), y_pred.std()
    mse = np.mean((y_pred - Y) ** 2)
    assert shares == pytest.approx(
        [np.mean(y_pred - Y) ** 2 / mse, (s_p - r * s_t) ** 2 / mse, (1 - r**2) * s_t**2 / mse]
    )


def test_intervals_hold_the_estimate_and_widen_with_correlated_errors() -> None:
    found = _signed(Y - 0.3 + NOISE)
    for name in ("bias", "pearson", "slope", "offset"):
        assert found[f"{name}_low"] <= found[name] <= found[f"{name}_high"]
    shared = RNG.normal(0, 0.1, 80)[np.arange(400) % 80]  # an error per chemical system
    widths = [f["bias_high"] - f["bias_low"] for f in (found, _signed(Y - 0.3 + shared))]
    assert widths[1] > 1.5 * widths[0]


def test_constant_labels_have_no_line() -> None:
    found = _signed(NOISE, np.ones(400))
    assert np.isnan(found["slope"])
    assert found["bias"] == pytest.approx(NOISE.mean() - 1)
    assert found["error_class"] == BIASED


def test_every_task_is_compared_with_its_folds() -> None:
    ids = [f"m{i:03d}" for i in range(400)]
    keys = {
        "dataset": "d", "target": "t", "representation": "matminer", "model": "lgbm", "seed": 0,
        "n_train": 100, "material_id": ids, "y_true": Y,
    }  # fmt: skip
    inside = pd.DataFrame(
        keys | {"criterion": "in_distribution", "held_out": "fold-1", "y_pred": Y + 0.01}
    )
    task = pd.DataFrame(keys | {"criterion": "element", "held_out": "F", "y_pred": Y - 0.3})
    systems = dict(zip(ids, SYSTEMS, strict=True))
    table = signed_errors(pd.concat([inside, task[:50]]), systems, 20)
    assert table[["criterion", "held_out", "n_test"]].values.tolist() == [["element", "F", 50]]
    row = table.iloc[0]
    assert row["bias"] == pytest.approx(-0.3)
    assert row["bias_in_distribution"] == pytest.approx(0.01)
    assert row["mae_in_distribution"] == pytest.approx(0.01)
