"""Scores against scikit-learn and SciPy, and what the intervals promise."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import sklearn.metrics

from offmap.columns import CELL_KEYS, IN_DISTRIBUTION, METRICS
from offmap.scores import (
    POOLED,
    Resamples,
    intervals,
    percentile_interval,
    score_predictions,
    scores,
)


def random_labels(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y_true = rng.normal(-1.5, 2, n).round(2)  # with ties
    return y_true, (0.8 * y_true + rng.normal(0.3, 0.5, n)).round(2)


@pytest.mark.parametrize("n", [2, 3, 17, 400])
@pytest.mark.parametrize("shift", [0.0, 1e6])
def test_scores_agree_with_scikit_learn_and_scipy(n: int, shift: float) -> None:
    y_true, y_pred = random_labels(n, n)
    y_true, y_pred = y_true + shift, y_pred + shift
    found = scores(y_true, y_pred)
    mad = np.abs(y_true - y_true.mean()).mean()
    mae = sklearn.metrics.mean_absolute_error(y_true, y_pred)
    expected = {
        "n_test": n,
        "mad": mad,
        "std": y_true.std(),
        "mae": mae,
        "rmse": sklearn.metrics.root_mean_squared_error(y_true, y_pred),
        "r2": sklearn.metrics.r2_score(y_true, y_pred),
        "pearson": scipy.stats.pearsonr(y_true, y_pred).statistic,
        "spearman": scipy.stats.spearmanr(y_true, y_pred).statistic,
        "kendall": scipy.stats.kendalltau(y_true, y_pred).statistic,
        "bias": (y_pred - y_true).mean(),
        "mae_over_mad": mae / mad,
    }
    assert found.keys() == expected.keys()
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_bias_is_predicted_minus_true() -> None:
    assert scores(np.array([0.0, 1.0]), np.array([0.5, 1.5]))["bias"] == pytest.approx(0.5)


UNDEFINED = {"r2", "pearson", "spearman", "kendall", "mae_over_mad"}


@pytest.mark.parametrize("n", [1, 2, 3, 7, 10])
def test_constant_labels_have_no_correlation(n: int) -> None:
    found = scores(np.full(n, 0.1), np.linspace(0, 1, n))
    assert {k for k, v in found.items() if np.isnan(v)} == UNDEFINED
    assert found["mad"] == pytest.approx(0)
    assert found["mae"] == pytest.approx(np.abs(np.linspace(0, 1, n) - 0.1).mean())


def test_constant_predictions_have_no_correlation_but_r2() -> None:
    found = scores(np.array([0.1, 0.2, 0.6]), np.full(3, 0.3))
    assert {k for k, v in found.items() if np.isnan(v)} == {"pearson", "spearman", "kendall"}
    assert found["r2"] == pytest.approx(0)
    assert found["mae_over_mad"] == pytest.approx(1)


def test_intervals_of_what_is_undefined_are_nan() -> None:
    systems = np.array(["a", "b", "c"], dtype=object)
    drawn = Resamples.draw(systems, 50, 0)
    found = intervals(np.full(3, 0.1), np.array([0.1, 0.2, 0.3]), drawn)
    assert {k for k, (low, _) in found.items() if np.isnan(low)} == UNDEFINED
    one = Resamples.draw(np.full(3, "Li-O", dtype=object), 50, 0)
    found = intervals(*random_labels(3), one)
    assert all(np.isnan(ends).all() for ends in found.values())
    assert np.isnan(percentile_interval(np.array([]), 0.9)).all()


def test_intervals_hold_the_score_and_do_not_depend_on_the_order() -> None:
    y_true, y_pred = random_labels(600, 1)
    systems = np.random.default_rng(2).integers(0, 150, 600).astype(str).astype(object)
    order = np.random.default_rng(3).permutation(600)
    found = intervals(y_true, y_pred, Resamples.draw(systems, 200, 0))
    shuffled = intervals(y_true[order], y_pred[order], Resamples.draw(systems[order], 200, 0))
    point = scores(y_true, y_pred)
    assert tuple(found) == METRICS
    for name, (low, high) in found.items():
        assert low < point[name] < high, name
        assert shuffled[name] == pytest.approx((low, high), rel=1e-9), name
    wide = intervals(y_true, y_pred, Resamples.draw(systems, 200, 0), confidence=0.99)
    assert wide["mae"][0] < found["mae"][0] < found["mae"][1] < wide["mae"][1]


def test_few_systems_widen_the_interval() -> None:
    values = np.random.default_rng(0).normal(size=20_000)
    low, high = percentile_interval(values, 0.95)
    assert (low, high) == pytest.approx((-1.96, 1.96), abs=0.05)
    few = percentile_interval(values, 0.95, n_systems=10)
    expanded = scipy.stats.t.ppf(0.975, 9) * np.sqrt(10 / 9)
    assert few == pytest.approx((-expanded, expanded), abs=0.1)
    assert percentile_interval(values, 0.95, 10**6) == pytest.approx((low, high), abs=1e-3)


def test_kendall_is_resampled_almost_exactly() -> None:
    y_true, y_pred = random_labels(120, 4)
    systems = np.arange(120).astype(str).astype(object)
    drawn = Resamples.draw(systems, 200, 0)
    low, high = intervals(y_true, y_pred, drawn)["kendall"]
    exact = []
    for weights in drawn.weights.astype(int):
        rows = np.repeat(np.arange(120), weights[drawn.system])
        rows = rows[np.random.default_rng(0).permutation(len(rows))]
        exact.append(scipy.stats.kendalltau(y_true[rows], y_pred[rows]).statistic)
    assert (low, high) == pytest.approx(np.quantile(exact, [0.025, 0.975]), abs=0.03)


def test_intervals_cover_the_truth_on_clustered_data() -> None:
    """Nominal 95 %: chemical systems share most of their error, as in real data."""
    rng = np.random.default_rng(0)
    covered, alone = [], []
    for _ in range(200):
        system = np.repeat(np.arange(60), rng.integers(1, 12, 60))
        shared = rng.normal(0.0, 0.3, 60)[system]
        error = 0.1 + shared + rng.normal(0.0, 0.1, len(system))
        y_true = rng.normal(size=len(system))
        named = system.astype(str).astype(object)
        low, high = intervals(y_true, y_true + error, Resamples.draw(named, 150, 0))["bias"]
        covered.append(low < 0.1 < high)
        single = Resamples.draw(np.arange(len(system)), 100, 0)
        low, high = intervals(y_true, y_true + error, single)["bias"]
        alone.append(low < 0.1 < high)
    assert 0.90 <= np.mean(covered) <= 0.98
    assert np.mean(alone) < 0.75  # what resampling single materials would have claimed


# -- the table -------------------------------------------------------------------------------------

KEYS = {"dataset": "d", "target": "t", "representation": "r", "model": "m", "seed": 0}


def _cell(
    criterion: str, held_out: str, ids: list[str], error: float, **keys: object
) -> pd.DataFrame:
    y_true = np.array([float(i.removeprefix("m-")) for i in ids])
    sign = np.where(np.arange(len(ids)) % 2, 1.0, -1.0)
    frame = pd.DataFrame({"material_id": ids, "y_true": y_true, "y_pred": y_true + error * sign})
    keys = KEYS | {"criterion": criterion, "held_out": held_out, "n_train": 90} | keys
    return frame.assign(**keys)


IDS = [f"m-{i}" for i in range(100)]
SYSTEMS = {i: f"s-{k // 3}" for k, i in enumerate(IDS)}


def _predictions(model: str = "m", worse: float = 1.0) -> pd.DataFrame:
    parts = [
        *(_cell(IN_DISTRIBUTION, f"fold-{k + 1}", IDS[k::5], 0.5, model=model) for k in range(5)),
        _cell("element", "F", IDS[10:50], 0.5 + worse, model=model),
    ]
    return pd.concat(parts, ignore_index=True)


def test_tasks_are_compared_with_the_folds_over_the_same_materials() -> None:
    table = score_predictions(_predictions(), SYSTEMS, 100).set_index("held_out")
    assert table.index.tolist() == [*(f"fold-{k}" for k in range(1, 6)), "F", POOLED]
    pooled, task = table.loc[POOLED], table.loc["F"]
    assert (pooled["criterion"], pooled["n_test"], pooled["n_train"]) == (IN_DISTRIBUTION, 100, 90)
    assert pooled["mae"] == pytest.approx(0.5)
    assert np.isnan(pooled["mae_increase"])
    assert task["n_in_distribution"] == 40
    assert task["mae_in_distribution"] == pytest.approx(0.5)
    assert task["mae_increase"] == pytest.approx(1.0)
    # Every material is worse by exactly 1: a paired interval has no width.
    assert (task["mae_increase_low"], task["mae_increase_high"]) == pytest.approx((1.0, 1.0))
    assert task["mae_ratio"] == pytest.approx(3.0)
    inside = scores(np.arange(10.0, 50.0), np.arange(10.0, 50.0))
    assert task["r2_in_distribution"] < inside["r2"]


def test_materials_that_the_folds_lack_are_left_out_of_the_comparison() -> None:
    predictions = _predictions()
    lacking = (predictions["criterion"] == IN_DISTRIBUTION) & predictions["material_id"].isin(
        IDS[10:20]
    )
    task = score_predictions(predictions[~lacking], SYSTEMS, 50).set_index("held_out").loc["F"]
    assert task["n_test"] == 40
    assert task["n_in_distribution"] == 30
    assert task["mae_increase"] == pytest.approx(1.0)
    everything = predictions["criterion"] == IN_DISTRIBUTION
    none = score_predictions(predictions[~everything], SYSTEMS, 50)
    assert "mae_increase" not in none
    elsewhere = everything & predictions["material_id"].isin(IDS[10:50])
    apart = score_predictions(predictions[~elsewhere], SYSTEMS, 50).set_index("held_out")
    assert apart.loc["F", "n_in_distribution"] == 0


def test_models_are_compared_with_their_own_folds() -> None:
    both = pd.concat([_predictions("a", 1.0), _predictions("b", 2.0)], ignore_index=True)
    both = both.astype({k: "category" for k in CELL_KEYS if both[k].dtype == object})
    table = score_predictions(both, SYSTEMS, 20)
    increase = table[table["criterion"] == "element"].set_index("model")["mae_increase"]
    assert increase.to_dict() == pytest.approx({"a": 1.0, "b": 2.0})
    assert table["model"].tolist() == ["a"] * 7 + ["b"] * 7


def test_order_of_the_rows_does_not_matter() -> None:
    predictions = _predictions()
    shuffled = predictions.sample(frac=1, random_state=0)
    tables = [
        score_predictions(p, SYSTEMS, 50).sort_values(["criterion", "held_out"], ignore_index=True)
        for p in (predictions, shuffled)
    ]
    pd.testing.assert_frame_equal(*tables, rtol=1e-9)


def test_materials_of_no_known_system_stand_alone() -> None:
    table = score_predictions(_predictions(), {}, 50)
    known = score_predictions(_predictions(), {i: i for i in IDS}, 50)
    pd.testing.assert_frame_equal(table, known)


def test_no_predictions() -> None:
    empty = _predictions().iloc[:0]
    table = score_predictions(empty, SYSTEMS)
    assert len(table) == 0
    assert set(CELL_KEYS) <= set(table)


def test_speed() -> None:
    rng = np.random.default_rng(0)
    ids = np.array([f"mp-{i}" for i in range(20_000)], dtype=object)
    systems = dict(zip(ids, rng.integers(0, 6000, len(ids)).astype(str), strict=True))
    parts = [
        pd.DataFrame({"material_id": ids[rows], "y_true": rng.normal(size=len(rows))}).assign(
            **KEYS,
            criterion="element",
            held_out=f"E{k}",
            n_train=9,
            y_pred=rng.normal(size=len(rows)),
        )
        for k in range(10)
        for rows in [rng.choice(len(ids), 5000, replace=False)]
    ]
    predictions = pd.concat(parts, ignore_index=True)
    begun = time.process_time()
    assert len(score_predictions(predictions, systems, 200)) == 10
    assert time.process_time() - begun < 5
