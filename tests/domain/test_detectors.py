import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from offmap import registry
from offmap.domain.detectors import DETECTORS, SIGNALS, make_detector
from offmap.domain.reference import Reference
from offmap.domain.scoring import Materials, TaskScores, score_task, score_tasks
from offmap.domain.two_sample import area
from offmap.domain.verdicts import Combined, Standings, task_verdict
from offmap.errors import DataError
from tests.domain.conftest import TASKS


@pytest.fixture(scope="module")
def scored(planted: Materials) -> dict[str, TaskScores]:
    """Every default detector on every task, as the study does it."""
    found = score_tasks(planted, (*DETECTORS, *SIGNALS))
    return dict(zip(TASKS, found, strict=True))


def coverage(scores: TaskScores, detector: str) -> float:
    if detector == "combined":
        return float(1 - Combined.mean(Standings.of(scores)).out_of_domain.mean())
    return float((scores.p_values(detector) > 0.05).mean())


@pytest.mark.parametrize("detector", [*DETECTORS, "combined"])
def test_planted_truths_are_found(scored: dict[str, TaskScores], detector: str) -> None:
    assert coverage(scored["far"], detector) <= 0.05
    assert coverage(scored["inside"], detector) >= 0.85
    assert 0.35 <= coverage(scored["half"], detector) <= 0.6


@pytest.mark.parametrize("detector", [*DETECTORS, *SIGNALS, "combined"])
def test_false_alarms_in_the_random_folds(scored: dict[str, TaskScores], detector: str) -> None:
    out = [1 - coverage(scored[name], detector) for name in TASKS if name.startswith("fold")]
    # Near 5 % with about 130 calibration rows: its own spread is 2 %.
    assert 0.0 <= np.mean(out) <= 0.10


def test_the_verdicts_of_the_planted_tasks(scored: dict[str, TaskScores]) -> None:
    found = {}
    for name in ("far", "inside", "half"):
        everything = Standings.of(scored[name])
        standings = everything.columns(DETECTORS)
        systems = np.array([f"s{i % 30}" for i in range(len(standings.test))], dtype=object)
        found[name] = task_verdict(standings, Combined.mean(everything), systems, 100, 0.95)
    assert [found[name]["verdict"] for name in found] == [
        "extrapolation",
        "interpolation",
        "partial",
    ]
    assert found["far"]["sure"]
    assert found["far"]["agreement"] > 0.9
    for row in found.values():
        assert row["coverage_low"] <= row["coverage"] <= row["coverage_high"]
        # A published map swings from 3 to 38 % with its knobs.
        assert row["coverage_most"] - row["coverage_least"] < 0.15


@pytest.mark.parametrize("detector", [*DETECTORS, *SIGNALS])
def test_all_tasks_at_once_equals_each_task_alone(
    planted: Materials, scored: dict[str, TaskScores], detector: str
) -> None:
    learn, calibration, test = planted.rows(2)
    alone = Reference(planted.X[learn], planted.y[learn], seed=planted.seed)
    fitted = make_detector(detector).fit(alone)
    expected = fitted.score(planted.X[test])
    np.testing.assert_allclose(scored["half"].scores[detector], expected, rtol=2e-3, atol=2e-3)
    expected = fitted.score(planted.X[calibration])
    np.testing.assert_allclose(
        scored["half"].calibration_scores[detector], expected, rtol=2e-3, atol=2e-3
    )


def test_test_rows_change_nothing(planted: Materials, scored: dict[str, TaskScores]) -> None:
    """Scores of calibration rows are the same whatever the test rows and their labels are."""
    rows = np.flatnonzero(planted.test[:, 0])
    X, y = planted.X.copy(), planted.y.copy()
    X[rows], y[rows] = 7.0, -1000.0
    other = Materials(X, y, planted.test, planted.calibration)
    found = score_task(other, 0, (*DETECTORS, *SIGNALS))
    for name, score in found.calibration_scores.items():
        expected = scored["far"].calibration_scores[name]
        np.testing.assert_allclose(score, expected, rtol=2e-3, atol=2e-3)


def test_threads_and_order_change_nothing(
    planted: Materials, scored: dict[str, TaskScores]
) -> None:
    found = {s.task: s for s in score_tasks(planted, ("knn", "kde"), [2, 0], jobs=2)}
    for task, name in ((0, "far"), (2, "half")):
        expected = scored[name].scores["knn"]
        np.testing.assert_allclose(found[task].scores["knn"], expected, rtol=1e-5)


def test_whitened_distances_are_those_of_scikit_learn(planted: Materials) -> None:
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import StandardScaler

    learn, _, test = planted.rows(0)
    scaler = StandardScaler().fit(planted.X[learn].astype(float))
    pca = PCA(whiten=True).fit(scaler.transform(planted.X[learn].astype(float)))
    places = [pca.transform(scaler.transform(planted.X[r].astype(float))) for r in (learn, test)]
    expected = NearestNeighbors(n_neighbors=10).fit(places[0]).kneighbors(places[1])[0][:, -1]
    found = make_detector("knn").fit(Reference(planted.X[learn])).score(planted.X[test])
    np.testing.assert_allclose(found, expected, rtol=2e-3)


def test_every_listed_detector_keeps_the_contract(planted: Materials) -> None:
    learn, _, test = planted.rows(1)
    train = Reference(planted.X[learn], planted.y[learn])
    for name in registry.TABLES["detector"]:
        if name == "umap":  # its compilation alone takes 20 s: a slow test fits it
            continue
        score = make_detector(name).fit(train).score(planted.X[test])
        assert score.shape == (len(test),)
        assert np.isfinite(score).all()


def test_models_that_lack_regions_disagree_further_out() -> None:
    rng = np.random.default_rng(0)
    X, far = rng.normal(size=(2000, 8)), rng.normal(size=(200, 8))
    far[:, :2] += 3
    train = Reference(X[:1800], X[:1800, 0] + X[:1800, 1] ** 2)
    scores = make_detector("group_spread").fit(train).score(np.concatenate([far, X[1800:]]))
    assert area(scores, np.arange(400) < 200) > 0.7


def test_constant_features_are_left_out_and_none_left_is_an_error() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 4)).astype(np.float32)
    with_constant = np.column_stack([X, np.full(300, 3.0)]).astype(np.float32)
    for name in ("knn", "mahalanobis"):
        scores = [make_detector(name).fit(Reference(x)).score(x[:20]) for x in (X, with_constant)]
        np.testing.assert_allclose(scores[0], scores[1], rtol=1e-3, atol=1e-4)
    with pytest.raises(DataError, match="every feature is constant"):
        make_detector("knn").fit(Reference(np.ones((50, 3)))).score(np.ones((2, 3)))


def test_bad_input_is_named() -> None:
    X = np.zeros((30, 3))
    X[4, 1] = np.nan
    with pytest.raises(DataError, match=r"1 of 30 training materials .* \(columns 1\)"):
        Reference(X)
    with pytest.raises(DataError, match="at least 2 training materials"):
        Reference(np.zeros((1, 3)))
    with pytest.raises(DataError, match="learns from labels"):
        make_detector("model_spread").fit(Reference(np.eye(30))).score(np.eye(30))
