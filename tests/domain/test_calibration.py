import numpy as np
import pytest

from offmap.domain.calibration import calibration_rows, p_values, standing, threshold
from offmap.errors import DataError


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.2])
def test_the_stated_false_alarm_rate_holds(rate: float) -> None:
    rng = np.random.default_rng(0)
    alarms = []
    for _ in range(300):
        scores = rng.exponential(size=1500) ** 3
        alarms.append((p_values(scores[500:], scores[:500]) <= rate).mean())
    assert np.mean(alarms) <= rate * 1.02 + 1e-3
    assert np.mean(alarms) >= rate * 0.85


def test_p_values_threshold_and_standing_agree() -> None:
    rng = np.random.default_rng(1)
    scores, calibration = rng.normal(size=1000), rng.normal(size=199)
    out = p_values(scores, calibration) <= 0.05
    np.testing.assert_array_equal(out, scores > threshold(calibration, 0.05))
    np.testing.assert_array_equal(out, standing(scores, calibration) > 1)


def test_standing_keeps_the_order_and_bears_constant_scores() -> None:
    scores = np.array([-3.0, 0.0, 1.0, 50.0])
    assert (np.diff(standing(scores, np.arange(100) / 100)) > 0).all()
    flat = standing(np.array([0.0, 0.1]), np.zeros(100))
    assert flat[0] <= 1 < flat[1]


def test_too_few_rows_to_calibrate_on() -> None:
    with pytest.raises(DataError, match="at least 19 materials"):
        threshold(np.arange(10.0), 0.05)


def test_calibration_rows_depend_on_ids_alone() -> None:
    ids = [f"m-{i}" for i in range(400)]
    order = np.random.default_rng(0).permutation(400)
    mask = calibration_rows(ids, 5)
    np.testing.assert_array_equal(calibration_rows([ids[i] for i in order], 5), mask[order])
    assert mask.sum() == 40
    assert calibration_rows(ids, 6).tolist() != mask.tolist()
    assert calibration_rows(ids, 5, most=7).sum() == 7
