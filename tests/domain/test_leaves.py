import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from offmap.domain.leaves import Leaves

MANY = 5000  # queries that are said to come, so that the points are cut along the axes


def cloud(n: int, seed: int) -> np.ndarray:
    """Clusters of unlike size, some of whose points are the same."""
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(n, 5)) * rng.lognormal(size=5) + 8 * rng.integers(0, 3, (n, 1))
    return np.repeat(points[: n - n // 4], 2, axis=0)[:n].astype(np.float32)


@settings(deadline=None, max_examples=25)
@given(n=st.integers(1, 700), k=st.integers(1, 40), n_queries=st.sampled_from([1, MANY]))
def test_the_nearest_are_those_of_all_distances(n: int, k: int, n_queries: int) -> None:
    points, queries = cloud(n, n), cloud(40, n + 1)
    leaves, k = Leaves.of(points, n_queries), min(k, n)
    assert sorted(leaves.ids[leaves.ids >= 0]) == list(range(n))
    distance, index, _ = leaves.search(queries, k)
    every = cdist(queries.astype(float), points.astype(float))
    np.testing.assert_allclose(distance, np.sort(every, axis=1)[:, :k], rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(np.take_along_axis(every, index, 1), distance, rtol=1e-12)
    assert all(len(set(row)) == k for row in index)


@pytest.mark.parametrize("n_queries", [1, MANY])
def test_points_that_are_not_chosen_count_for_nothing(n_queries: int) -> None:
    """Whether they are passed over or left out."""
    points, queries = cloud(900, 1), cloud(60, 2)
    chosen = np.random.default_rng(0).random(900) < 0.3
    some = Leaves.of(points, MANY).only(chosen, n_queries)
    distance, index, log_sums = some.search(queries, 7, (0.5,))
    alone = Leaves.of(points[chosen], 1).search(queries, 7, (0.5,))
    np.testing.assert_allclose(distance, alone[0], rtol=1e-6)
    np.testing.assert_allclose(log_sums, alone[2], rtol=1e-4)
    assert chosen[index].all()


def test_kernels_beyond_an_edge_are_summed_or_bounded() -> None:
    points, queries = cloud(2000, 3), cloud(50, 4)
    leaves, bandwidth = Leaves.of(points, MANY), 1.0
    edge = leaves.search(queries, 20)[0][:, -1] ** 2
    squared = cdist(queries.astype(float), points.astype(float), "sqeuclidean")
    beyond = np.where(squared > edge[:, None] * (1 - 1e-5), np.exp(-squared / 2), 0).sum(axis=1)
    expected = np.log(np.maximum(beyond, 1e-300))
    summed = leaves.beyond(queries, edge, bandwidth, np.full(50, -np.inf))
    np.testing.assert_allclose(summed, expected, atol=1e-3)
    enough = expected + 15.0
    bounded = leaves.beyond(queries, edge, bandwidth, enough)
    assert (bounded >= summed - 1e-3).all()
    assert (bounded <= enough).all()
    assert (bounded > summed + 1e-3).any()  # some are bounded by boxes alone
