import numpy as np
import pytest

from offmap.domain.error_model import ErrorModel, Examples, leave_task_out
from offmap.domain.head_to_head import rank_correlation
from offmap.errors import DataError


@pytest.fixture(scope="module")
def known() -> Examples:
    """Twenty tasks, errors that grow with the first of three scores."""
    rng = np.random.default_rng(0)
    task = np.repeat(np.arange(20), 120)
    level = np.repeat(np.linspace(-1, 3, 20), 120)
    features = np.column_stack([level + 0.5 * rng.normal(size=2400), rng.normal(size=(2400, 2))])
    error = 0.05 * np.exp(0.7 * features[:, 0]) * rng.exponential(size=2400)
    return Examples(features, error, task, rng.integers(0, 1500, 2400))


def test_the_error_of_a_task_is_forecast_from_the_others(known: Examples) -> None:
    expected, seen = [], []
    for task, model in leave_task_out(known, range(20)):
        mine = known.task == task
        expected.append(model.predict(known.features[mine]).mean())
        seen.append(known.error[mine].mean())
    assert rank_correlation(np.array(expected), np.array(seen)) > 0.9
    middle = slice(3, 17)
    np.testing.assert_allclose(np.array(expected)[middle], np.array(seen)[middle], rtol=0.5)


def test_the_task_and_its_materials_are_left_out(known: Examples) -> None:
    spoiled = Examples(known.features, known.error.copy(), known.task, known.material)
    mine = np.unique(known.material[known.task == 4])
    spoiled.error[(known.task == 4) | np.isin(known.material, mine)] = 1e6
    model = next(model for task, model in leave_task_out(spoiled, [4]))
    original = next(model for task, model in leave_task_out(known, [4]))
    probe = known.features[known.task == 4]
    np.testing.assert_array_equal(model.predict(probe), original.predict(probe))


def test_further_out_never_means_a_smaller_error(known: Examples) -> None:
    model = ErrorModel().fit(known)
    steps = np.zeros((50, 3))
    steps[:, 0] = np.linspace(-5, 8, 50)
    assert (np.diff(model.predict(steps)) >= 0).all()


def test_thinning_keeps_every_task(known: Examples) -> None:
    thin = known.thinned(per_task=30)
    assert np.unique(thin.task, return_counts=True)[1].tolist() == [30] * 20


def test_too_few_tasks_to_learn_from(known: Examples) -> None:
    with pytest.raises(DataError, match="at least 8 finished tasks, not 3"):
        ErrorModel().fit(known.take(known.task < 3))
