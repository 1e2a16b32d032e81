"""The compiled isolation forest isolates as that of scikit-learn does."""

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.ensemble import IsolationForest

from offmap.domain.isolation import Forest


@pytest.fixture
def rows() -> np.ndarray:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3000, 8)).astype(np.float32)
    X[:, 3] = 1.0  # constant
    X[:, 4] = np.round(X[:, 4])
    X[:30, :3] += 4
    return X


def test_scores_are_those_of_scikit_learn(rows: np.ndarray) -> None:
    theirs = -IsolationForest(n_estimators=300, random_state=0).fit(rows).score_samples(rows)
    mine = Forest.grow(rows, 300, np.random.default_rng(0)).score(rows)
    assert spearmanr(theirs, mine).statistic > 0.97
    assert np.abs(mine - theirs).mean() < 0.01  # two seeds of either differ by as much


def test_a_seed_gives_the_same_trees(rows: np.ndarray) -> None:
    first, again = (Forest.grow(rows, 5, np.random.default_rng(1)).score(rows) for _ in range(2))
    assert (first == again).all()


def test_rows_that_are_all_alike_are_not_isolated() -> None:
    X = np.ones((50, 3), np.float32)
    score = Forest.grow(X, 10, np.random.default_rng(0)).score(X)
    np.testing.assert_allclose(score, 0.5, atol=0.02)


def test_two_rows_are_enough() -> None:
    X = np.array([[0.0], [1.0]], np.float32)
    assert np.isfinite(Forest.grow(X, 3, np.random.default_rng(0)).score(X)).all()
