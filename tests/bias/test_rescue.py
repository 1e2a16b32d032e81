"""What a few labels mend, on errors that are known to be an offset, a line, or neither."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from lightgbm import LGBMRegressor

from offmap.bias.case import Settings
from offmap.bias.choice import CHOICES, distance_to, diverse_first, furthest_first, standardised
from offmap.bias.remedies import REMEDIES
from offmap.bias.rescue import Plan, rescue
from tests.bias.conftest import Planted

RNG = np.random.default_rng(5)
Z = RNG.normal(size=(120, 6))
Y = RNG.normal(size=120)
SMALL = partial(LGBMRegressor, n_estimators=30, min_child_samples=3, verbosity=-1, n_jobs=1)
PLAN = Plan(sizes=(5, 20), n_draws=4, n_retrained=2)


def _error(remedy: str, y_pred: np.ndarray, n: int = 40) -> float:
    mended = REMEDIES[remedy](Y[:n], y_pred[:n], Z[:n], y_pred[n:], Z[n:])
    return float(np.abs(mended - Y[n:]).mean())


def test_each_remedy_mends_its_own_kind_of_error() -> None:
    assert _error("offset", Y + 0.7) < 1e-9
    assert _error("line", 2 * Y - 0.3) < 1e-9
    varying = Y + np.sin(Z[:, 0])
    assert _error("residual", varying, 80) < 0.7 * _error("offset", varying, 80)


def test_where_residuals_are_noise_the_offset_wins() -> None:
    noisy = Y + 0.5 + 0.1 * RNG.normal(size=120)
    assert _error("residual", noisy) == pytest.approx(_error("offset", noisy), rel=0.1)


@pytest.mark.parametrize("remedy", list(REMEDIES))
@pytest.mark.parametrize("n", [1, 2])
def test_next_to_no_labels_are_no_accident(remedy: str, n: int) -> None:
    assert np.isfinite(_error(remedy, Y + 0.5, n))


def test_most_out_of_domain_and_most_diverse() -> None:
    points = np.zeros((60, 2), dtype=np.float32)
    points[:40] = 0.1 * RNG.normal(size=(40, 2))  # train
    points[40:] = [[i // 5, i % 5] for i in range(20)]
    train, pool = np.arange(40), np.arange(40, 60)
    distance = np.full(60, np.nan)
    distance[pool] = distance_to(points[pool], points[train])
    far = furthest_first(pool, points, distance, RNG)
    assert far[0] == 59  # (3, 4), the corner furthest from the origin
    assert (np.diff(distance[far]) <= 0).all()
    spread = diverse_first(pool, points, distance, RNG)
    assert {tuple(p) for p in points[spread[1:4]]} <= {(0, 0), (0, 4), (3, 0), (3, 4)}
    for order in (far, spread, CHOICES["random"](pool, points, distance, RNG)):
        assert sorted(order) == pool.tolist()


def test_distance_is_that_of_the_ten_nearest() -> None:
    a, b = (RNG.normal(size=(n, 4)).astype(np.float32) for n in (30, 50))
    gaps = np.sqrt(((a[:, None].astype(float) - b[None]) ** 2).sum(axis=2))
    expected = np.sort(gaps, axis=1)[:, :10].mean(axis=1)
    np.testing.assert_allclose(distance_to(a, b), expected, rtol=1e-4)


def test_an_offset_rescues_a_shift(planted: Planted, groups: dict) -> None:
    case = planted(groups["F"], -0.5)
    reference = case.y_true + 0.05
    found = rescue(case, Settings(), PLAN, reference, SMALL)
    row = found.set_index(["choice", "remedy", "n_labelled"]).sort_index()
    assert row.loc[("random", "none", 0), "mae"] == pytest.approx(0.5, abs=0.02)
    assert row.loc[("random", "offset", 5), "mae"] < 0.05
    assert row.loc[("random", "offset", 5), "reached"] == "reached with 5"
    assert row.loc[("random", "none", 0), "reached"] == "not within 0"
    assert row.loc[("random", "retrain", 20), "mae"] < row.loc[("random", "retrain", 0), "mae"]
    assert (row["mae_low"] <= row["mae"]).all()
    assert (row["mae"] <= row["mae_high"]).all()
    assert (found["mae_in_distribution"] - 0.05).abs().max() < 1e-6
    assert set(found["choice"]) == set(CHOICES)
    assert dict(found.groupby("remedy")["n_draws"].first())["retrain"] == 2


def test_sizes_stop_at_half_of_the_group(planted: Planted, groups: dict) -> None:
    case = planted(groups["F"], -0.5)  # 88 fluorides
    plan = replace(PLAN, sizes=(5, 44, 45), n_draws=1, n_retrained=0)
    found = rescue(case, Settings(), plan, np.full(len(case.y_true), np.nan), SMALL)
    assert set(found["n_labelled"]) == {0, 5, 44}
    assert set(found["reached"]) == {"in-distribution error unknown"}
    assert "retrain" not in set(found["remedy"])


def test_standardised_by_the_training_rows() -> None:
    X = np.array([[0.0, 5.0], [2.0, 5.0], [9.0, 5.0]], dtype=np.float32)
    np.testing.assert_allclose(standardised(X, np.array([0, 1])), [[-1, 0], [1, 0], [8, 0]])
