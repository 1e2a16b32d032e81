import numpy as np

from offmap.domain.moments import Moments


def test_leaving_rows_out_gives_the_moments_of_the_rest() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(9000, 6)) * [1, 10, 0.1, 1, 1, 1] + 1000
    whole, left_out = Moments.of(X), rng.random(9000) < 0.4
    rest = whole - Moments.of(X[left_out], whole.origin)
    np.testing.assert_allclose(rest.mean, X[~left_out].mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(rest.covariance, np.cov(X[~left_out].T, bias=True), atol=1e-9)
