"""Random folds that depend on ids and seed alone."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from offmap.tasks.random import fold_name, folds, random_order

IDS = st.lists(st.text(max_size=6), max_size=60, unique=True)


@settings(max_examples=50, deadline=None)
@given(IDS, st.integers(2, 7), st.integers(0, 3), st.randoms(use_true_random=False))
def test_folds(ids: list[str], n_folds: int, seed: int, random: object) -> None:
    fold = folds(ids, n_folds, seed)
    sizes = np.bincount(fold, minlength=n_folds)
    assert np.ptp(sizes) <= 1
    assert len(sizes) == n_folds
    order = np.random.default_rng(seed).permutation(len(ids))
    again = folds([ids[i] for i in order], n_folds, seed)
    assert again.tolist() == fold[order].tolist()


def test_seeds_differ_and_reproduce() -> None:
    ids = [f"mp-{i}" for i in range(500)]
    assert folds(ids, 5, 0).tolist() == folds(ids, 5, 0).tolist()
    assert (folds(ids, 5, 0) != folds(ids, 5, 1)).mean() > 0.6
    assert sorted(random_order(ids, 3)) == list(range(500))
    assert fold_name(0) == "fold-1"


def test_folds_are_not_of_the_order_of_the_ids() -> None:
    fold = folds([f"mp-{i:05d}" for i in range(5000)], 5)
    first = np.bincount(fold[:1000], minlength=5)
    assert (np.abs(first - 200) < 60).all()
