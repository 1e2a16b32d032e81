import numpy as np
import pytest
from scipy.stats import gaussian_kde
from sklearn.neighbors import NearestNeighbors

from offmap.domain.neighbours import neighbours
from offmap.errors import DataError


@pytest.fixture
def points() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    references = rng.normal(size=(5000, 4)).astype(np.float32)
    queries = np.concatenate([rng.normal(size=(290, 4)), references[:10]]).astype(np.float32)
    return queries, references


def test_the_neighbours_are_those_of_scikit_learn(points: tuple[np.ndarray, np.ndarray]) -> None:
    queries, references = points
    expected, index = NearestNeighbors(n_neighbors=7).fit(references).kneighbors(queries)
    found = neighbours(queries, references, 7)
    np.testing.assert_allclose(found.distance, expected, atol=1e-6)
    assert (found.index == index).mean() > 0.999


def test_kernel_sums_are_those_of_scipy(points: tuple[np.ndarray, np.ndarray]) -> None:
    queries, references = points
    kde = gaussian_kde(references.T, 0.3)
    white = np.linalg.inv(np.linalg.cholesky(kde.covariance))
    scaled = [side @ white.T for side in (queries, references)]
    found = neighbours(*scaled, 1, (1.0, 2.0)).log_density[:, 0] + np.log(np.linalg.det(white))
    np.testing.assert_allclose(found, kde.logpdf(queries.T), atol=2e-3)


def test_far_from_everything_the_density_is_still_ordered() -> None:
    references = np.zeros((10, 2), np.float32)
    queries = np.array([[10, 0], [100, 0], [1000, 0]], np.float32)
    found = neighbours(queries, references, 20, (0.5,))
    assert found.distance.shape == (3, 10)
    assert np.isfinite(found.log_density).all()
    assert (np.diff(found.log_density[:, 0]) < 0).all()


def test_without_references_there_is_nothing_to_measure_from() -> None:
    with pytest.raises(DataError, match="no training materials"):
        neighbours(np.zeros((2, 2)), np.zeros((0, 2)), 3)
