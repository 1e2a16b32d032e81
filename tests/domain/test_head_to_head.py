import lightgbm
import numpy as np
import pytest

from offmap.domain.curves import SHARES, risk_at
from offmap.domain.detectors import DETECTORS, SIGNALS
from offmap.domain.head_to_head import excess_area, rank_correlation, risk_coverage, sample_level
from offmap.domain.scoring import Materials, score_tasks
from offmap.domain.two_sample import area, two_sample_auc


def test_ranking_by_the_error_itself_is_ideal_and_chance_is_one() -> None:
    rng = np.random.default_rng(0)
    error = rng.exponential(size=4000)
    assert excess_area(error, error) == pytest.approx(0)
    assert excess_area(rng.normal(size=4000), error) == pytest.approx(1, abs=0.1)
    assert excess_area(-error, error) > 1.5


def test_the_whole_set_is_kept_at_full_coverage() -> None:
    error = np.array([3.0, 1.0, 2.0])
    coverage, risk = risk_coverage(np.array([3.0, 1.0, 2.0]), error)
    np.testing.assert_allclose(coverage, [1 / 3, 2 / 3, 1])
    np.testing.assert_allclose(risk, [1, 1.5, 2])


def test_the_area_is_that_of_scikit_learn() -> None:
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(1)
    score, positive = rng.integers(0, 20, 500), rng.random(500) < 0.3
    assert area(score, positive) == pytest.approx(roc_auc_score(positive, score))
    assert np.isnan(area(score, np.ones(500, bool)))


def test_small_tasks_and_constant_scores_say_nothing() -> None:
    assert np.isnan(sample_level(np.arange(5.0), np.arange(5.0), 1.0)["auroc"])
    assert np.isnan(rank_correlation(np.ones(9), np.arange(9.0)))
    assert rank_correlation(np.array([1, 2, np.nan, 4.0]), np.array([1, 2, 9, 4.0])) == 1


def test_two_samples_alike_and_apart() -> None:
    rng = np.random.default_rng(2)
    train = rng.normal(size=(800, 5)).astype(np.float32)
    assert two_sample_auc(train, train[:300] + 0.0) < 0.6
    assert two_sample_auc(train, train[:300] + 3) > 0.99
    assert np.isnan(two_sample_auc(train, train[:5]))


def test_risk_at_shares_ends_at_the_mean_error() -> None:
    rng = np.random.default_rng(3)
    error = rng.exponential(size=137)
    found = risk_at(error, error)
    assert found[-1] == pytest.approx(error.mean())
    assert (np.diff(found) > 0).all()
    assert risk_at(rng.random(3), np.ones(3)).tolist() == [1.0] * len(SHARES)


def test_threads_are_named_in_every_call_to_lightgbm(
    planted: Materials, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that leaves them out changes them under the trees of a task beside it (a crash)."""
    given: list[str] = []
    as_text = lightgbm.basic._param_dict_to_str

    def listen(settings: dict[str, object] | None) -> str:
        given.append(as_text(settings))
        return given[-1]

    monkeypatch.setattr(lightgbm.basic, "_param_dict_to_str", listen)
    for task in score_tasks(planted, (*DETECTORS, *SIGNALS), jobs=2):
        assert task.scores
    assert given
    assert not [text for text in given if "num_threads=1" not in text.split()]
