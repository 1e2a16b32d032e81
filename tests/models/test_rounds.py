"""Training that is followed round by round ends where training ends."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from sklearn.base import BaseEstimator, RegressorMixin

from offmap.errors import SettingsError
from offmap.models.base import make_model
from offmap.models.rounds import fit_by_round, has_rounds, log_spaced

rng = np.random.default_rng(0)
X = rng.normal(size=(300, 5)).astype(np.float32)
y = X[:, 0] ** 2 + X[:, 1]
TRAIN, TEST = slice(0, 200), slice(200, 300)


@pytest.mark.parametrize(
    ("name", "parameter"),
    [
        ("lgbm", "n_estimators"),
        ("xgb", "n_estimators"),
        ("sklearn.ensemble:HistGradientBoostingRegressor", "max_iter"),
    ],
)
def test_boosted_trees_are_asked_after_their_rounds(name: str, parameter: str) -> None:
    settings = {parameter: 30}
    model = make_model(name, settings, 0, 1)
    assert has_rounds(model)
    found = list(fit_by_round(model, X[TRAIN], y[TRAIN], X[TEST]))
    rounds = [n for n, _ in found]
    assert rounds == sorted(set(rounds))
    assert rounds[0] == 1
    assert rounds[-1] == 30
    assert np.allclose(found[-1][1], model.predict(X[TEST]))
    again = make_model(name, settings, 0, 1).fit(X[TRAIN], y[TRAIN])
    assert np.allclose(found[-1][1], again.predict(X[TEST]))
    errors = [np.abs(p - y[TEST]).mean() for _, p in found]
    assert errors[-1] < 0.7 * errors[0]


class Descent(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """A linear model by gradient descent that logs its epochs itself."""

    def __init__(self, epochs: int = 50) -> None:
        self.epochs = epochs

    def fit_by_round(self, X, y, X_test) -> Iterator[tuple[int, np.ndarray]]:  # type: ignore[no-untyped-def]
        self.weights_ = np.zeros(X.shape[1])
        for epoch in range(1, self.epochs + 1):
            self.weights_ += 0.1 * X.T @ (y - X @ self.weights_) / len(y)
            if epoch % 10 == 0:
                yield epoch, self.predict(X_test)

    def fit(self, X, y):  # type: ignore[no-untyped-def]
        for _ in self.fit_by_round(X, y, X[:1]):
            pass
        return self

    def predict(self, X):  # type: ignore[no-untyped-def]
        return X @ self.weights_


def test_a_model_may_log_its_own_epochs() -> None:
    found = list(fit_by_round(Descent(), X[TRAIN], y[TRAIN], X[TEST]))
    assert [epoch for epoch, _ in found] == [10, 20, 30, 40, 50]
    assert np.array_equal(found[-1][1], Descent().fit(X[TRAIN], y[TRAIN]).predict(X[TEST]))


def test_a_model_without_rounds_is_named() -> None:
    model = make_model("rf", {}, 0, 1)
    assert not has_rounds(model)
    with pytest.raises(SettingsError, match="Forest has no rounds"):
        list(fit_by_round(model, X, y, X))


def test_rounds_are_even_in_the_logarithm() -> None:
    assert log_spaced(1) == [1]
    assert log_spaced(3) == [1, 2, 3]
    steps = np.diff(np.log(log_spaced(1000)[10:]))
    assert steps.max() < 0.35
