import numpy as np
import pytest
from scipy.stats import gaussian_kde

from offmap.domain.faithful import density, joint_map, prune
from offmap.domain.faithful_study import error_against_density, in_and_out
from offmap.errors import DataError


def test_the_density_is_that_of_scipy() -> None:
    rng = np.random.default_rng(0)
    train = rng.normal(size=(2000, 2)) * [3, 1] + 5
    test = rng.normal(size=(300, 2)) * [3, 2] + 5
    expected = gaussian_kde(train.T, 0.01)(test.T)
    found = density(train, test)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)
    assert ((found > 1e-3) == (expected > 1e-3)).all()


def test_pruning_drops_constants_and_correlated_columns() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 500))
    X = np.column_stack([np.ones(500), a, a + 0.1 * b, b, -b])
    assert prune(X).tolist() == [1, 3]


def test_both_sides_and_the_curve() -> None:
    y, inside = np.arange(10.0), np.arange(10) < 6
    y_pred = y + np.where(inside, 0.1, 2.0)
    found = in_and_out(y, y_pred, inside)
    assert found["mae_in"] == pytest.approx(0.1)
    assert found["mae_out"] == pytest.approx(2)
    curve = error_against_density(np.abs(y_pred - y), np.where(inside, 1.0, 0.0), n_bins=2)
    assert curve["mae"].iloc[0] > curve["mae"].iloc[1]
    assert curve["n"].sum() == 10


def test_too_few_materials_for_the_map() -> None:
    with pytest.raises(DataError, match="more than 50 materials"):
        joint_map(np.zeros((20, 3)))
