"""Intervals keep their coverage on tasks that they have not seen, in every bin, or abstain."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom

from offmap.domain.conformal import (
    BINS,
    VERDICTS,
    Residuals,
    bins_of,
    fewest_tasks,
    intervals,
    measured,
    quantile,
    trivial,
)


def _tasks(n_tasks: int, seed: int, far: float = 3.0) -> Residuals:
    """Tasks of 60 rows; some are wrong by much more than expected, the more so further out."""
    rng = np.random.default_rng(seed)
    task = np.repeat(np.arange(n_tasks), 60)
    # Half of the rows of every task are in domain: all have the same verdict.
    standing = np.concatenate([rng.permutation(np.linspace(-1, far, 60)) for _ in range(n_tasks)])
    expected = np.exp(0.5 * standing)
    scale = rng.lognormal(0, 0.8, n_tasks)[task] * np.where(standing > 1, 3.0, 1.0)
    error = expected * scale * np.abs(rng.normal(size=len(task)))
    return Residuals.of(standing, expected, error, task.astype(np.int64))


def _unshared(known: Residuals) -> np.ndarray:
    return np.zeros((len(known), int(known.task.max()) + 1), dtype=bool)


@pytest.mark.parametrize("nominal", [0.8, 0.9])
def test_the_nominal_level_holds_in_every_bin_on_new_tasks(nominal: float) -> None:
    known, held = _tasks(80, seed=1), {name: [] for name in BINS}
    rng = np.random.default_rng(5)
    for seed in range(400):  # one row of each bin from each of 400 new tasks: independent draws
        new = _tasks(1, seed=1000 + seed)
        found = intervals(_tasks(80, seed=5000 + seed), new.standing, new.expected, nominal)
        for b, name in enumerate(BINS):
            row = rng.choice(np.flatnonzero(found.bin == b))
            held[name].append(bool(new.error[row] <= found.half_width[row]))
    for name, inside in held.items():
        # Exact up to one task in 81; both ends at three standard errors.
        low = binom.ppf(0.0015, 400, nominal)
        high = binom.ppf(0.9985, 400, min(nominal + 1 / 81, 1))
        assert low <= sum(inside) <= high, name
    assert len(known) == 80 * 60


def test_pooling_rows_would_not_hold_and_tasks_do() -> None:
    """One huge easy task must not decide for the others."""
    rng = np.random.default_rng(2)
    task = np.concatenate([np.zeros(10_000, int), np.repeat(np.arange(1, 41), 20)])
    error = np.concatenate([np.full(10_000, 0.01), np.abs(rng.normal(size=800))])
    pooled = float(np.quantile(error, 0.9))
    assert quantile(error, task, 0.9) > 1.3 > pooled


def test_measured_coverage_is_reported_per_bin() -> None:
    known = _tasks(60, seed=3)
    table = measured(known, _unshared(known), 0.9).set_index("bin")
    assert list(table.index) == [*BINS, "all"]
    assert (table["interval_coverage_low"] <= 0.92).all()
    assert table["interval_coverage"].between(0.87, 0.96).all()
    assert (table["interval_coverage_q10"] < table["interval_coverage"]).all()
    assert table.loc["far outside", "half_width"] > table.loc["inside", "half_width"]


def test_rows_of_shared_materials_are_left_out() -> None:
    """A twin task that gives the answer away makes no difference once it is known as one."""
    known = _tasks(12, seed=4)
    loud = np.where(known.task == 7, 50 * known.error, known.error)
    loud = Residuals.of(known.standing, known.expected, loud, known.task)
    twin = np.flatnonzero(loud.task == 7)
    both = Residuals.of(
        np.concatenate([loud.standing, loud.standing[twin]]),
        np.concatenate([loud.expected, loud.expected[twin]]),
        np.concatenate([loud.error, loud.error[twin]]),
        np.concatenate([loud.task, np.full(len(twin), 12)]),
    )
    shared = np.zeros((len(both), 13), dtype=bool)
    same = np.isin(both.task, [7, 12])
    shared[np.ix_(same, [7, 12])] = True
    together = measured(both, shared, 0.9)["interval_coverage"].iloc[-1]
    hidden = measured(both, np.zeros_like(shared), 0.9)["interval_coverage"].iloc[-1]
    assert hidden - together > 1 / 13  # both twins are covered, each by the other


def test_it_abstains_where_too_few_tasks_reach() -> None:
    known = _tasks(40, seed=6)
    few = known.take((known.standing < 2) | (known.task < 5))
    found = intervals(few, np.array([0.5, 2.5, 9.0]), np.ones(3), 0.9)
    assert np.isfinite(found.half_width).tolist() == [True, False, False]
    assert found.reason[0] == ""
    assert "only 5 finished tasks that are partial or further out" in found.reason[1]
    assert "have materials far outside; 9 needed" in found.reason[1]
    far = intervals(known, np.array([0.5, 2.5, 9.0]), np.ones(3), 0.9)
    assert np.isfinite(far.half_width).tolist() == [True, True, False]
    assert "only 0 of 40 finished tasks reach this far out" in far.reason[2]


def _near_and_far(n_near: int, n_far: int, seed: int) -> Residuals:
    """Tasks well inside that err as expected, and tasks far out that err by far more, or less."""
    rng = np.random.default_rng(seed)
    task = np.repeat(np.arange(n_near + n_far), 50)
    is_far = task >= n_near
    standing = np.where(is_far, rng.uniform(0.8, 1.9, len(task)), rng.uniform(-1, 1.1, len(task)))
    scale = np.where(is_far, rng.lognormal(1.2, 0.5, n_near + n_far)[task], 1.0)
    error = scale * np.abs(rng.normal(size=len(task)))
    return Residuals.of(standing, np.ones(len(task)), error, task.astype(np.int64))


def test_extrapolation_is_not_judged_by_the_many_tasks_that_are_not() -> None:
    known = _near_and_far(60, 14, seed=8)
    assert set(known.verdict[known.task >= 60]) == {VERDICTS.index("extrapolation")}
    far = known.tasks_that_are("extrapolation")
    table = measured(known, _unshared(known), 0.9, tasks=far).set_index("bin")
    assert table.loc["all", "n_tasks"] == 14
    assert table.loc["all", "interval_coverage"] > 0.88
    pooled = replace(known, verdict=np.full(len(known), VERDICTS.index("extrapolation")))
    further = np.full(20, 1.5), np.ones(20), 0.9
    both = [np.median(intervals(one, *further).half_width) for one in (pooled, known)]
    assert both[0] < 0.8 * both[1]


def test_a_group_far_out_has_no_interval_where_only_few_tasks_are() -> None:
    known = _near_and_far(60, 5, seed=9)
    found = intervals(known, np.full(20, 1.5), np.ones(20), 0.9)
    assert np.isnan(found.half_width).all()
    assert "only 5 finished tasks that are extrapolation have materials outside" in found.reason[0]
    inside = intervals(known, np.full(20, 0.5), np.ones(20), 0.9)
    assert np.isfinite(inside.half_width).all()


def test_an_interval_that_says_nothing_is_not_given() -> None:
    known = _tasks(40, seed=6)
    y = np.random.default_rng(0).normal(size=5000)
    widest = trivial(y, 0.9)
    assert widest == pytest.approx(1.645, abs=0.1)
    found = intervals(known, np.array([0.5, 1.5]), np.array([0.01, 100.0]), 0.9, widest)
    assert np.isfinite(found.half_width).tolist() == [True, False]
    assert "wider than the labels spread (+/- 1.6" in found.reason[1]


def test_how_many_tasks_a_level_needs() -> None:
    assert [fewest_tasks(level) for level in (0.5, 0.8, 0.9, 0.95)] == [1, 4, 9, 19]
    score, task = np.arange(8.0), np.arange(8)
    assert quantile(score, task, 0.9) == np.inf
    assert quantile(np.arange(9.0), np.arange(9), 0.9) == 8.0
    assert quantile(np.zeros(0), np.zeros(0, dtype=np.int64), 0.9) == np.inf


def test_bins_are_bounded_by_median_and_threshold() -> None:
    assert [BINS[b] for b in bins_of(np.array([-1.0, 0.5, 1.0, 1.5, 4.0]))] == [
        "well inside", "inside", "inside", "outside", "far outside",
    ]  # fmt: skip
