"""Flaws of models are found, and what is worth knowing is told."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import LinearRegression, Ridge

from offmap.crystals import Crystals
from offmap.testing import check_model


class Forgetful(RegressorMixin, BaseEstimator):
    """A regressor with one flaw, chosen by name."""

    flaw = ""

    def fit(self, X: np.ndarray, y: np.ndarray) -> Forgetful:
        if self.flaw == "writes":
            X[0] += 1
        self.ridge_ = Ridge().fit(X, y)
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        found: np.ndarray = self.ridge_.predict(X)
        match self.flaw:
            case "shape":
                return found[:, None]
            case "nan":
                return np.where(found > found.mean(), found, np.nan)
            case "random":
                return found + np.random.default_rng().normal(size=len(found)) * 1e-3
            case "batch":
                return found - found.mean()
            case "worse":
                return -found
        return found


class Unclonable(Ridge):
    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__(alpha=alpha * 2)


@pytest.mark.parametrize(
    ("flaw", "message"),
    [
        ("writes", "changes the arrays"),
        ("shape", r"predict gives shape \(120, 1\)"),
        ("nan", "numbers not finite"),
        ("random", "same seed gives other predictions"),
        ("batch", "depends on the other materials"),
        ("worse", "worse than the mean"),
    ],
)
def test_flaws_of_models_are_found(flaw: str, message: str) -> None:
    model = type("Flawed", (Forgetful,), {"flaw": flaw})
    with pytest.raises(AssertionError, match=message):
        check_model(model)


def test_models_that_are_not_of_scikit_learn_are_found() -> None:
    with pytest.raises(AssertionError, match="clone"):
        check_model(Unclonable)
    with pytest.raises(AssertionError, match="not a scikit-learn regressor"):
        check_model(dict)
    with pytest.raises(AssertionError, match="does not take these settings"):
        check_model(Ridge, {"apha": 1})


def test_a_model_without_flaw_and_what_is_worth_knowing() -> None:
    found = check_model(LinearRegression)
    assert "a seed reproduces" in found.held
    assert "SimpleImputer" in found.remarks[0]
    assert str(found).startswith("model 'sklearn.linear_model._base:LinearRegression' fits: ")


def test_a_model_of_crystals() -> None:
    class OfCrystals(BaseEstimator):
        consumes = "crystals"

        def fit(self, X: Crystals, y: np.ndarray) -> OfCrystals:
            self.ridge_ = Ridge().fit(X.counts, y)
            return self

        def predict(self, X: Crystals) -> np.ndarray:
            found: np.ndarray = self.ridge_.predict(X.counts)
            return found

    check_model(OfCrystals)
